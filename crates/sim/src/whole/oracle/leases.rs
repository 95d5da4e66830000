//! No lease runs out before its time, and none that is gone is renewed.
//!
//! A lease lives as long as was granted from the moment on at which its client last asked for it,
//! or for its renewal, and was answered with yes. Clocks may be too fast, by as much as they are
//! permitted to be wrong. That a lease has run out shows in the deletion of the key attached to it.

use std::collections::BTreeMap;

use raft::MemberId;

use crate::checker::{Verdict, violation};

/// What is known of one lease.
#[derive(Clone, Debug)]
struct Lease {
    /// What was granted, in microseconds.
    ttl: u64,
    /// When its client last asked for what it was answered with yes.
    confirmed: Option<u64>,
    /// Whether somebody has asked to revoke it, who may have succeeded.
    may_be_revoked: bool,
    /// When it was first known to be gone.
    gone: Option<u64>,
    /// Who led when it was granted, as far as its client's member knew.
    granted_by: Option<MemberId>,
}

/// All leases that anybody asked for.
#[derive(Debug)]
pub(crate) struct Leases {
    leases: BTreeMap<i64, Lease>,
    /// By how many thousandths clocks may be too fast.
    skew_max: u64,
}

impl Leases {
    pub(crate) fn new(skew_max: u32) -> Leases {
        Leases { leases: BTreeMap::new(), skew_max: u64::from(skew_max) }
    }

    /// A client asks for a lease.
    pub(crate) fn asked(&mut self, id: i64, ttl: u64) {
        let (confirmed, gone, granted_by) = (None, None, None);
        let lease = Lease { ttl, confirmed, may_be_revoked: false, gone, granted_by };
        let before = self.leases.insert(id, lease);
        assert!(before.is_none(), "lease {id} is asked for twice");
    }

    /// A client asks to revoke a lease.
    pub(crate) fn revoking(&mut self, id: i64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.may_be_revoked = true;
        }
    }

    /// A member that follows this leader has told that the lease was granted or renewed. Returns
    /// whether somebody else had granted it.
    pub(crate) fn is_of_another(&mut self, id: i64, leader: Option<MemberId>) -> bool {
        let (Some(lease), Some(leader)) = (self.leases.get_mut(&id), leader) else { return false };
        *lease.granted_by.get_or_insert(leader) != leader
    }

    /// A client that asked at `call` was told that the lease was granted or renewed.
    pub(crate) fn confirmed(&mut self, id: i64, call: u64) -> Verdict {
        let Some(lease) = self.leases.get_mut(&id) else { return Ok(()) };
        lease.confirmed = lease.confirmed.max(Some(call));
        let Some(gone) = lease.gone else { return Ok(()) };
        if gone < call {
            let text = format!("lease {id} was gone at {gone}, and is renewed by a call at {call}");
            return violation("leases", text);
        }
        lease.lived_to(id, gone, self.skew_max)
    }

    /// A client was told at `now` that the lease is gone, or its key was seen to be deleted.
    pub(crate) fn gone(&mut self, id: i64, now: u64) -> Verdict {
        let Some(lease) = self.leases.get_mut(&id) else { return Ok(()) };
        if lease.gone.is_some() {
            return Ok(());
        }
        lease.gone = Some(now);
        lease.lived_to(id, now, self.skew_max)
    }
}

impl Lease {
    /// The lease has lived to `gone`, and no longer.
    fn lived_to(&self, id: i64, gone: u64, skew_max: u64) -> Verdict {
        let Some(confirmed) = self.confirmed.filter(|_| !self.may_be_revoked) else {
            return Ok(());
        };
        if gone < confirmed + self.ttl * (1000 - skew_max) / 1000 {
            let text = format!(
                "lease {id} of {} µs was confirmed to a call at {confirmed}, and gone at {gone}",
                self.ttl
            );
            return violation("leases", text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> Leases {
        let mut leases = Leases::new(0);
        leases.asked(7, 1000);
        leases.confirmed(7, 100).expect("it is new");
        leases
    }

    #[test]
    fn lease_that_runs_out_early_is_seen() {
        assert!(leases().gone(7, 1099).is_err());
        assert!(leases().gone(7, 1100).is_ok());
        let mut renewed = leases();
        renewed.confirmed(7, 500).expect("it is there");
        assert!(renewed.gone(7, 1400).is_err());
        let mut revoked = leases();
        revoked.revoking(7);
        assert!(revoked.gone(7, 200).is_ok());
    }

    #[test]
    fn renewal_of_what_is_gone_is_seen() {
        let mut gone = leases();
        gone.gone(7, 1200).expect("its time is over");
        assert!(gone.confirmed(7, 150).is_ok(), "it was asked long before");
        assert!(gone.confirmed(7, 1150).is_err(), "it would have lived on");
        assert!(gone.confirmed(7, 1250).is_err(), "it was asked afterwards");
    }
}
