//! Leases: how long they are granted for, and which keys are attached to them.
//!
//! Time itself is not here. The leader counts it, and tells through the log what has run out.

mod attached;
mod table;
#[cfg(test)]
mod tests;

use std::mem;

pub(crate) use self::attached::Attached;
pub use self::table::{Lease, LeaseTable};

/// What became of a lease, for whoever counts its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// It was granted.
    Granted {
        /// Its ID.
        id: i64,
        /// Its time to live in seconds.
        ttl: i64,
    },
    /// It was revoked, or has expired.
    Revoked {
        /// Its ID.
        id: i64,
    },
}

/// All leases, with their keys.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pub(crate) table: LeaseTable,
    pub(crate) attached: Attached,
    changes: Vec<LeaseChange>,
}

impl Leases {
    pub(crate) fn of(table: LeaseTable, attached: Attached) -> Leases {
        Leases { table, attached, changes: Vec::new() }
    }

    pub(crate) fn contains(&self, id: i64) -> bool {
        self.table.get(id).is_some()
    }

    /// Puts in a lease that does not exist yet.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64) {
        let before = self.table.insert(Lease { id, ttl, remaining: None });
        assert!(before.is_none(), "lease {id} is granted twice");
        self.changes.push(LeaseChange::Granted { id, ttl });
    }

    /// Takes away a lease that has no keys any more.
    pub(crate) fn revoke(&mut self, id: i64) {
        assert!(!self.attached.has_keys(id), "lease {id} is revoked and still has keys");
        let revoked = self.table.remove(id);
        assert!(revoked.is_some(), "lease {id} is revoked and not there");
        self.changes.push(LeaseChange::Revoked { id });
    }

    /// Remembers how much of a lease is left, in seconds. Zero and less mean that it is whole, and
    /// a lease that does not exist is passed over.
    pub(crate) fn checkpoint(&mut self, id: i64, seconds: i64) {
        if let Some(lease) = self.table.get(id) {
            let remaining = Some(seconds).filter(|seconds| 0 < *seconds);
            self.table.insert(Lease { remaining, ..lease });
        }
    }

    /// Takes a key from one lease to another, either of which may be none.
    pub(crate) fn move_key(&mut self, key: &[u8], from: Option<i64>, to: Option<i64>) {
        if from == to {
            return;
        }
        if let Some(id) = from {
            self.attached.detach(id, key);
        }
        if let Some(id) = to {
            assert!(self.contains(id), "a key is attached to lease {id}, which is not there");
            self.attached.attach(id, key);
        }
    }

    pub(crate) fn take_changes(&mut self) -> Vec<LeaseChange> {
        mem::take(&mut self.changes)
    }
}
