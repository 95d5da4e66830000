//! What commands have done, in numbers, for whoever watches a member.

/// What commands have done since the machine was made or loaded. It is no part of the state: it is
/// not written to images, and members that began with different ones differ in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Puts, those in transactions among them.
    pub puts: u64,
    /// Bytes of keys and values that were put.
    pub put_bytes: u64,
    /// Deletions of ranges, those in transactions among them.
    pub deletes: u64,
    /// Transactions that have done more than one thing.
    pub txns: u64,
    /// Versions of keys that compactions have dropped.
    pub versions_dropped: u64,
    /// Leases that were granted.
    pub leases_granted: u64,
    /// Leases that were revoked, those that had expired among them.
    pub leases_revoked: u64,
    /// Leases that had expired.
    pub leases_expired: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, DeleteRange, Machine, Operation, Put, Txn};

    #[test]
    fn what_was_done_is_counted_and_what_was_refused_is_not() {
        let put = |lease| Put { key: "k".into(), value: "12".into(), lease, ..Put::default() };
        let delete = DeleteRange { key: "k".into(), ..DeleteRange::default() };
        let both = vec![Operation::Put(put(0)), Operation::DeleteRange(delete)];
        let mut machine = Machine::new();
        for command in [
            Command::LeaseGrant { id: 1, ttl: 10 },
            Command::LeaseGrant { id: 2, ttl: 10 },
            Command::LeaseGrant { id: 2, ttl: 10 },
            Command::Put(put(1)),
            Command::Put(put(7)),
            Command::LeaseRevoke { id: 2 },
            Command::LeaseExpire { ids: vec![1, 2] },
            Command::Txn(Txn { success: both, ..Txn::default() }),
        ] {
            // Some are refused: a lease is granted twice, or does not exist.
            let _some_are_refused = machine.apply(&command);
        }
        let expected = Tally {
            puts: 2,
            put_bytes: 6,
            deletes: 1,
            txns: 1,
            versions_dropped: 0,
            leases_granted: 2,
            leases_revoked: 2,
            leases_expired: 1,
        };
        assert_eq!(machine.tally(), expected);
    }
}
