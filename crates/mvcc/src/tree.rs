//! A sorted map that can be copied in no time: a B+tree whose nodes are shared and counted.
//!
//! A [`Tree`] is a root. Cloning it copies a pointer. A change copies the nodes on its way from the
//! root, unless nobody else holds them, and leaves all other trees as they were. Each inner node
//! knows how many entries are below each of its children, so that entries can be counted and found
//! by their rank in O(log n).
//!
//! Entries are versions of keys. What they are sorted by is the matter of three small types:
//! [`ByKey`], [`ByKeyAndChange`], [`ByChange`].

mod builder;
mod keys;
mod node;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(crate) use self::builder::Builder;
use self::keys::Keys;
use self::node::{Node, Spine};
use crate::revision::Change;
use crate::version::Version;

/// How many entries a leaf has at most, and how many children an inner node. More makes a copy
/// dearer and a search cheaper.
const CAPACITY: usize = 32;

/// Nodes that have become shorter than this are joined with a neighbour.
const LEN_MIN: usize = CAPACITY / 4;

/// Where something stands in the order of a tree: first by key, then by change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Probe<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) change: Change,
}

impl<'a> Probe<'a> {
    pub(crate) fn key(key: &'a [u8]) -> Probe<'a> {
        Probe { key, change: Change::MIN }
    }

    pub(crate) fn change(change: Change) -> Probe<'a> {
        Probe { key: &[], change }
    }

    /// Returns a number that sorts as probes do, if they agree in the first `skip` bytes of the
    /// key; probes with equal numbers must be compared in full.
    fn head(&self, skip: usize) -> u64 {
        if self.key.is_empty() {
            return self.change.revision.0;
        }
        let rest = &self.key[skip..];
        let mut head = [0; 8];
        let len = rest.len().min(8);
        head[..len].copy_from_slice(&rest[..len]);
        // Read so that the first byte counts most, the order of numbers is that of keys.
        u64::from_le_bytes(head).swap_bytes()
    }
}

/// What a tree can hold.
pub(crate) trait Entry: Clone {
    /// Returns the place of the entry in the order.
    fn probe(&self) -> Probe<'_>;

    /// Reads from the memory that the entry shares with its clones.
    fn touch(&self) -> usize;
}

/// A version in a tree that holds one of each key.
#[derive(Clone)]
pub(crate) struct ByKey(pub(crate) Version);

/// A version in a tree that holds many of each key, the oldest first.
#[derive(Clone)]
pub(crate) struct ByKeyAndChange(pub(crate) Version);

/// A version in a tree that holds all in the order in which they were written.
#[derive(Clone)]
pub(crate) struct ByChange(pub(crate) Version);

impl Entry for ByKey {
    fn probe(&self) -> Probe<'_> {
        Probe::key(self.0.key())
    }

    fn touch(&self) -> usize {
        self.0.touch()
    }
}

impl Entry for ByKeyAndChange {
    fn probe(&self) -> Probe<'_> {
        Probe { key: self.0.key(), change: self.0.change() }
    }

    fn touch(&self) -> usize {
        self.0.touch()
    }
}

impl Entry for ByChange {
    fn probe(&self) -> Probe<'_> {
        Probe::change(self.0.change())
    }

    fn touch(&self) -> usize {
        self.0.touch()
    }
}

/// The tree.
pub(crate) struct Tree<E> {
    root: Node<E>,
    len: usize,
}

impl<E> Clone for Tree<E> {
    fn clone(&self) -> Tree<E> {
        Tree { root: self.root.clone(), len: self.len }
    }
}

impl<E: Entry> Tree<E> {
    pub(crate) fn new() -> Tree<E> {
        Tree { root: Node::empty(), len: 0 }
    }

    /// Builds a tree from entries in ascending order. The nodes are full.
    pub(crate) fn from_sorted(entries: impl IntoIterator<Item = E>) -> Tree<E> {
        let mut builder = Builder::new();
        for entry in entries {
            builder.push(entry);
        }
        builder.finish()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, probe: Probe<'_>) -> Option<&E> {
        self.root.get(probe)
    }

    /// Returns how many entries are before the probe.
    pub(crate) fn rank(&self, probe: Probe<'_>) -> usize {
        self.root.rank(probe)
    }

    /// Returns the entry of this rank, counted from zero.
    pub(crate) fn nth(&self, rank: usize) -> Option<&E> {
        self.range(rank..self.len).next()
    }

    /// Puts an entry in and returns the one with the same place in the order.
    pub(crate) fn insert(&mut self, entry: E) -> Option<E> {
        let (replaced, sprout) = self.root.insert(entry, Spine::Right);
        if let Some(sprout) = sprout {
            let left = std::mem::replace(&mut self.root, Node::empty());
            self.root = Node::above(left, sprout);
        }
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Puts an entry behind all others.
    pub(crate) fn push(&mut self, entry: E) {
        assert!(self.insert(entry).is_none(), "an entry that is there is appended");
    }

    /// Takes an entry out and returns it, if it is there.
    pub(crate) fn remove(&mut self, probe: Probe<'_>) -> Option<E> {
        // Looking first costs less than copying the way to something that is not there.
        self.get(probe)?;
        let removed = self.root.remove(probe);
        self.len -= 1;
        if self.root.width() == 0 {
            self.root = Node::empty();
        }
        while let Some(child) = self.root.only_child() {
            self.root = child;
        }
        Some(removed)
    }

    /// Iterates over the entries with these ranks, from either end.
    pub(crate) fn range(&self, ranks: Range<usize>) -> Iter<'_, E> {
        let end = ranks.end.min(self.len);
        Iter { tree: self, front: ranks.start.min(end), back: end, first: None, last: None }
    }
}

/// Iterates over a part of a tree. Skipping costs nothing.
pub(crate) struct Iter<'a, E> {
    tree: &'a Tree<E>,
    /// The rank of what comes next from the front.
    front: usize,
    /// The rank behind what comes next from the back.
    back: usize,
    /// The leaf that the front is in, with the rank of its first entry.
    first: Option<(&'a Keys<E>, usize)>,
    last: Option<(&'a Keys<E>, usize)>,
}

impl<'a, E: Entry> Iter<'a, E> {
    fn find(tree: &'a Tree<E>, held: &mut Option<(&'a Keys<E>, usize)>, rank: usize) -> &'a E {
        let (leaf, start) = match *held {
            Some((leaf, start)) if start <= rank && rank < start + leaf.len() => (leaf, start),
            Some(_) | None => tree.root.leaf_at(rank),
        };
        *held = Some((leaf, start));
        leaf.item(rank - start)
    }
}

impl<'a, E: Entry> Iterator for Iter<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        self.nth(0)
    }

    fn nth(&mut self, skipped: usize) -> Option<&'a E> {
        self.front = self.front.saturating_add(skipped).min(self.back);
        if self.front == self.back {
            return None;
        }
        self.front += 1;
        Some(Iter::find(self.tree, &mut self.first, self.front - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.back - self.front, Some(self.back - self.front))
    }
}

impl<E: Entry> ExactSizeIterator for Iter<'_, E> {}

impl<'a, E: Entry> DoubleEndedIterator for Iter<'a, E> {
    fn next_back(&mut self) -> Option<&'a E> {
        if self.front == self.back {
            return None;
        }
        self.back -= 1;
        Some(Iter::find(self.tree, &mut self.last, self.back))
    }
}
