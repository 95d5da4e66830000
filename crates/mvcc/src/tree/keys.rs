//! The sorted contents of one node: a short array, searched without following its pointers.
//!
//! ```text
//! common   the bytes with which all keys here begin, at most 62, once for the whole node
//! heads    of each key, the eight bytes behind the common ones, as a number that sorts like them
//! items    the entries, which hold the whole keys
//! ```
//!
//! A search compares numbers that lie side by side. It reads whole keys only where heads are equal.

use std::cmp::Ordering;

use super::{CAPACITY, Entry, Probe};

const COMMON_MAX: usize = 62;

/// Up to [`CAPACITY`] entries in ascending order.
///
/// Invariant: every key begins with the common bytes, and `heads` repeats what follows them.
pub(super) struct Keys<T> {
    len: usize,
    common_len: usize,
    common: [u8; COMMON_MAX],
    heads: [u64; CAPACITY],
    items: [Option<T>; CAPACITY],
}

impl<T: Entry> Clone for Keys<T> {
    fn clone(&self) -> Keys<T> {
        // Counting up a reference waits for its memory, one after the other. Reads that come first
        // wait for all of it together.
        self.touch();
        Keys {
            len: self.len,
            common_len: self.common_len,
            common: self.common,
            heads: self.heads,
            items: self.items.clone(),
        }
    }
}

impl<T: Entry> Keys<T> {
    pub(super) fn new() -> Keys<T> {
        Keys {
            len: 0,
            common_len: 0,
            common: [0; COMMON_MAX],
            heads: [0; CAPACITY],
            items: [const { None }; CAPACITY],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    pub(super) fn item(&self, at: usize) -> &T {
        self.items[at].as_ref().expect("places below the length are taken")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items[..self.len].iter().flatten()
    }

    /// Returns the first place whose entry is not before the probe, and whether it is equal.
    pub(super) fn search(&self, probe: Probe<'_>) -> (usize, bool) {
        let common = &self.common[..self.common_len];
        let shared = self.common_len.min(probe.key.len());
        match probe.key[..shared].cmp(&common[..shared]) {
            Ordering::Less => return (0, false),
            Ordering::Greater => return (self.len, false),
            Ordering::Equal if shared < self.common_len => return (0, false),
            Ordering::Equal => {}
        }
        let head = probe.head(self.common_len);
        let heads = &self.heads[..self.len];
        let low = heads.partition_point(|other| *other < head);
        if heads.get(low) != Some(&head) {
            return (low, false);
        }
        let equal = heads[low..].partition_point(|other| *other == head);
        let run = &self.items[low..low + equal];
        let before = |item: &Option<T>| item.as_ref().is_some_and(|item| item.probe() < probe);
        let at = low + run.partition_point(before);
        let exact = at < low + equal && self.item(at).probe() == probe;
        (at, exact)
    }

    /// Puts an entry at its place, which [`Keys::search`] has found.
    pub(super) fn insert(&mut self, at: usize, item: T) {
        assert!(self.len < CAPACITY, "an entry for a node that is full");
        self.admit(item.probe().key);
        let head = item.probe().head(self.common_len);
        self.heads[at..=self.len].rotate_right(1);
        self.heads[at] = head;
        self.items[at..=self.len].rotate_right(1);
        self.items[at] = Some(item);
        self.len += 1;
    }

    /// Puts an entry behind all others. Nothing may be searched before [`Keys::index`].
    pub(super) fn push_unindexed(&mut self, item: T) {
        assert!(self.len < CAPACITY, "an entry for a node that is full");
        self.items[self.len] = Some(item);
        self.len += 1;
    }

    /// Puts an entry in the place of one that lies between the same neighbours.
    pub(super) fn replace(&mut self, at: usize, item: T) -> T {
        self.admit(item.probe().key);
        self.heads[at] = item.probe().head(self.common_len);
        self.items[at].replace(item).expect("places below the length are taken")
    }

    pub(super) fn remove(&mut self, at: usize) -> T {
        assert!(at < self.len, "place {at} of {} is removed", self.len);
        let item = self.items[at].take().expect("places below the length are taken");
        self.heads[at..self.len].rotate_left(1);
        self.items[at..self.len].rotate_left(1);
        self.len -= 1;
        item
    }

    /// Takes away the entries from place `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Keys<T> {
        let mut right = Keys::new();
        for (to, from) in (at..self.len).enumerate() {
            right.items[to] = self.items[from].take();
        }
        right.len = self.len - at;
        self.len = at;
        self.index();
        right.index();
        right
    }

    /// Takes over the entries of the node to the right.
    pub(super) fn append(&mut self, mut right: Keys<T>) {
        assert!(self.len + right.len <= CAPACITY, "two nodes do not fit into one");
        for at in 0..right.len {
            self.items[self.len + at] = right.items[at].take();
        }
        self.len += right.len;
        self.index();
    }

    /// Takes over the first `count` entries of the node to the right.
    pub(super) fn take_front(&mut self, right: &mut Keys<T>, count: usize) {
        let rest = right.split_off(count);
        let front = std::mem::replace(right, rest);
        self.append(front);
    }

    /// Shortens the common bytes to those that `key` shares.
    fn admit(&mut self, key: &[u8]) {
        if self.len == 0 {
            // Invariant of a single entry: its whole beginning is common, so that the next entry
            // decides how much of it is.
            self.common_len = key.len().min(COMMON_MAX);
            self.common[..self.common_len].copy_from_slice(&key[..self.common_len]);
            return;
        }
        let shared = shared_len(&self.common[..self.common_len], key);
        if shared < self.common_len {
            self.common_len = shared;
            self.read_heads();
        }
    }

    /// Finds the common bytes and the heads anew.
    pub(super) fn index(&mut self) {
        self.common_len = 0;
        if self.len == 0 {
            return;
        }
        let first = self.item(0).probe().key;
        let shared = shared_len(first, self.item(self.len - 1).probe().key).min(COMMON_MAX);
        let mut common = [0; COMMON_MAX];
        common[..shared].copy_from_slice(&first[..shared]);
        self.common_len = shared;
        self.common = common;
        self.read_heads();
    }

    fn read_heads(&mut self) {
        for at in 0..self.len {
            self.heads[at] = self.item(at).probe().head(self.common_len);
        }
    }

    fn touch(&self) {
        let mut read = 0_usize;
        for item in self.iter() {
            read = read.wrapping_add(item.touch());
        }
        std::hint::black_box(read);
    }

    /// Asserts what must hold of every node.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.items[self.len..].iter().all(Option::is_none), "entries behind the length");
        for at in 0..self.len {
            let probe = self.item(at).probe();
            assert!(probe.key.starts_with(&self.common[..self.common_len]), "bytes not common");
            assert_eq!(self.heads[at], probe.head(self.common_len), "head {at} is another's");
            assert!(at == 0 || self.item(at - 1).probe() < probe, "entry {at} out of order");
        }
    }
}

/// Returns how many bytes the two begin with in common.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
