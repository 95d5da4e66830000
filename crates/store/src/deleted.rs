//! The keys that deletions of a transaction mean, for asking whether one of them is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

/// Sets of keys, kept as single keys and as intervals that do not touch.
#[derive(Debug, Default)]
pub(crate) struct Deleted<'t> {
    keys: BTreeSet<&'t [u8]>,
    /// From the first key of an interval to the first behind it.
    intervals: BTreeMap<&'t [u8], &'t [u8]>,
    /// All from this key on.
    from: Option<&'t [u8]>,
}

impl<'t> Deleted<'t> {
    /// Takes in one key.
    pub(crate) fn insert(&mut self, key: &'t [u8]) {
        self.keys.insert(key);
    }

    /// Takes in the keys from `start` on that are less than `end`.
    pub(crate) fn insert_between(&mut self, start: &'t [u8], end: &'t [u8]) {
        if end <= start {
            return;
        }
        let (mut start, mut end) = (start, end);
        let before = self.intervals.range::<[u8], _>((Unbounded, Included(start))).next_back();
        if let Some((first, last)) = before
            && start <= *last
        {
            (start, end) = (*first, end.max(*last));
        }
        let within = (Included(start), Included(end));
        while let Some((first, last)) = self.intervals.range::<[u8], _>(within).next() {
            end = end.max(*last);
            let first = *first;
            self.intervals.remove(first);
        }
        self.intervals.insert(start, end);
    }

    /// Takes in all keys from `start` on.
    pub(crate) fn insert_from(&mut self, start: &'t [u8]) {
        self.from = Some(self.from.map_or(start, |from| from.min(start)));
    }

    /// Takes in what another has.
    pub(crate) fn extend(&mut self, other: Deleted<'t>) {
        self.keys.extend(other.keys);
        for (start, end) in other.intervals {
            self.insert_between(start, end);
        }
        if let Some(start) = other.from {
            self.insert_from(start);
        }
    }

    /// Tells whether a key is among them.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let interval = self.intervals.range::<[u8], _>((Unbounded, Included(key))).next_back();
        self.keys.contains(key)
            || interval.is_some_and(|(_, end)| key < *end)
            || self.from.is_some_and(|start| start <= key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_are_one() {
        let mut deleted = Deleted::default();
        for (start, end) in [("c", "e"), ("a", "b"), ("b", "c"), ("x", "w"), ("m", "m")] {
            deleted.insert_between(start.as_bytes(), end.as_bytes());
        }
        assert_eq!(deleted.intervals, BTreeMap::from([(&b"a"[..], &b"e"[..])]));
    }

    #[test]
    fn keys_are_found_as_in_a_list_of_intervals() {
        let names: Vec<[u8; 1]> = (b'a'..=b'h').map(|letter| [letter]).collect();
        let mut number: usize = 1;
        for _ in 0..500 {
            let mut deleted = Deleted::default();
            let mut intervals = Vec::new();
            for _ in 0..4 {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (start, end) = (&names[(number >> 40) % 8][..], &names[(number >> 50) % 8][..]);
                deleted.insert_between(start, end);
                intervals.push((start, end));
            }
            for name in &names {
                let name = &name[..];
                let is_meant = intervals.iter().any(|(start, end)| *start <= name && name < *end);
                assert_eq!(deleted.contains(name), is_meant, "{name:?} in {intervals:?}");
            }
        }
    }

    #[test]
    fn single_keys_and_open_ends_are_found() {
        let mut deleted = Deleted::default();
        deleted.insert(b"b");
        let mut other = Deleted::default();
        other.insert_from(b"y");
        other.insert_from(b"x");
        other.insert(b"d");
        deleted.extend(other);
        let found: Vec<&str> = ["a", "b", "b\0", "d", "w", "x", "z"]
            .into_iter()
            .filter(|key| deleted.contains(key.as_bytes()))
            .collect();
        assert_eq!(found, ["b", "d", "x", "z"]);
    }
}
