//! Which keys are attached to which lease. It follows from the keys that exist: what is kept of it
//! elsewhere is the lease that each version names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound::{Included, Unbounded};

/// Pairs of lease and key, sorted: one set for all leases, which takes less room for the many that
/// have one key, and is as good for one that has many.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pairs: BTreeSet<Pair>,
}

#[derive(Debug)]
struct Pair {
    lease: i64,
    key: Box<[u8]>,
}

/// What pairs are sorted by, owned or borrowed: so that a set of pairs can be asked without an
/// allocation.
trait Place {
    fn place(&self) -> (i64, &[u8]);
}

impl Place for Pair {
    fn place(&self) -> (i64, &[u8]) {
        (self.lease, &self.key)
    }
}

impl Place for (i64, &[u8]) {
    fn place(&self) -> (i64, &[u8]) {
        *self
    }
}

impl<'a> Borrow<dyn Place + 'a> for Pair {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn Place + '_ {}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Pair {}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Attached {
    /// Takes in pairs of lease and key, in any order.
    pub(crate) fn of(pairs: Vec<(i64, &[u8])>) -> Attached {
        let pairs = pairs.into_iter().map(|(lease, key)| Pair { lease, key: key.into() });
        Attached { pairs: pairs.collect() }
    }

    /// Attaches a key that is not attached.
    pub(crate) fn attach(&mut self, lease: i64, key: &[u8]) {
        let is_new = self.pairs.insert(Pair { lease, key: key.into() });
        assert!(is_new, "a key is attached to lease {lease} twice");
    }

    /// Detaches a key that is attached.
    pub(crate) fn detach(&mut self, lease: i64, key: &[u8]) {
        let pair: (i64, &[u8]) = (lease, key);
        let was_there = self.pairs.remove(&pair as &dyn Place);
        assert!(was_there, "a key is detached from lease {lease}, where it was not");
    }

    /// Returns the keys of a lease in their order.
    pub(crate) fn keys(&self, lease: i64) -> impl Iterator<Item = &[u8]> {
        let start: (i64, &[u8]) = (lease, &[]);
        let from = self.pairs.range::<dyn Place, _>((Included(&start as &dyn Place), Unbounded));
        from.take_while(move |pair| pair.lease == lease).map(|pair| &*pair.key)
    }

    pub(crate) fn has_keys(&self, lease: i64) -> bool {
        self.keys(lease).next().is_some()
    }
}
