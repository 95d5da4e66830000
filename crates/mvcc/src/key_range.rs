//! Which keys a request means.

use std::ops::Range;

use crate::revision::Change;
use crate::tree::{Entry, Probe, Tree};

/// A range of keys, borrowed from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRange<'a> {
    /// One key.
    Single(&'a [u8]),
    /// From the first key on, up to but not including the second. Empty if the second is not
    /// behind the first.
    Between(&'a [u8], &'a [u8]),
    /// From this key on.
    From(&'a [u8]),
}

impl<'a> KeyRange<'a> {
    /// Returns the range that etcd's requests mean by a key and a range end: no end for one key,
    /// the end `\0` for all keys from `key` on.
    pub fn of_request(key: &'a [u8], range_end: &'a [u8]) -> KeyRange<'a> {
        match range_end {
            [] => KeyRange::Single(key),
            [0] => KeyRange::From(key),
            end => KeyRange::Between(key, end),
        }
    }

    /// Returns the range of all keys.
    pub fn all() -> KeyRange<'static> {
        KeyRange::From(&[])
    }

    /// Tells whether the range holds this key.
    pub fn contains(self, key: &[u8]) -> bool {
        match self {
            KeyRange::Single(only) => only == key,
            KeyRange::Between(start, end) => start <= key && key < end,
            KeyRange::From(start) => start <= key,
        }
    }

    /// Returns the ranks of the entries of a tree that are sorted into this range.
    pub(crate) fn ranks<E: Entry>(self, tree: &Tree<E>) -> Range<usize> {
        let (start, end) = match self {
            // No key is empty.
            KeyRange::Single([]) => return 0..0,
            KeyRange::Single(key) => (key, tree.rank(Probe { key, change: Change::MAX })),
            KeyRange::Between(start, end) => (start, tree.rank(Probe::key(end))),
            KeyRange::From(start) => (start, tree.len()),
        };
        let start = tree.rank(Probe::key(start));
        start..end.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_end_means_what_it_means_to_etcd() {
        assert_eq!(KeyRange::of_request(b"a", b""), KeyRange::Single(b"a"));
        assert_eq!(KeyRange::of_request(b"a", b"\0"), KeyRange::From(b"a"));
        assert_eq!(KeyRange::of_request(b"a", b"b"), KeyRange::Between(b"a", b"b"));
        assert_eq!(KeyRange::of_request(b"a", b"\0\0"), KeyRange::Between(b"a", b"\0\0"));
    }

    #[test]
    fn key_is_in_the_ranges_that_reach_it() {
        let holds = |range: KeyRange<'_>| {
            [&b"a"[..], b"a\0", b"b", b"c"].map(|key| range.contains(key)).to_vec()
        };
        assert_eq!(holds(KeyRange::Single(b"a")), [true, false, false, false]);
        assert_eq!(holds(KeyRange::Between(b"a", b"b")), [true, true, false, false]);
        assert_eq!(holds(KeyRange::Between(b"c", b"a")), [false; 4]);
        assert_eq!(holds(KeyRange::From(b"b")), [false, false, true, true]);
        assert_eq!(holds(KeyRange::all()), [true; 4]);
    }
}
