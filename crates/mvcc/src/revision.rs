//! Revisions: the store's clock, and the place of one change within a transaction.

use std::fmt;

/// A revision of the whole store: how many transactions have changed it, plus one.
///
/// An empty store is at revision 1, so its first change gets 2, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a store that was never written to.
    pub const FIRST: Revision = Revision(1);

    /// Returns the revision after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0.checked_add(1).expect("revisions are counted in 64 bits"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One change: the revision of its transaction, and its number within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The revision that the transaction made.
    pub revision: Revision,
    /// The number of the change within the transaction, from zero, below 2^31.
    pub sub: u32,
}

impl Change {
    /// A place before every change.
    pub(crate) const MIN: Change = Change { revision: Revision(0), sub: 0 };
    /// A place behind every change.
    pub(crate) const MAX: Change = Change { revision: Revision(u64::MAX), sub: u32::MAX };

    /// Returns the place before all changes of this revision.
    pub(crate) fn first_of(revision: Revision) -> Change {
        Change { revision, sub: 0 }
    }

    /// Returns the place behind all changes of this revision.
    pub(crate) fn end_of(revision: Revision) -> Change {
        Change { revision, sub: u32::MAX }
    }
}
