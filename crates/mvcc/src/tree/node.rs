//! The nodes of a tree, and how one is changed: copied first if anybody else holds it.

use std::sync::Arc;

use super::keys::{Keys, shared_len};
use super::{CAPACITY, Entry, LEN_MIN, Probe};
use crate::revision::Change;

/// A node, shared between all trees that contain it.
pub(super) enum Node<E> {
    Leaf(Arc<Keys<E>>),
    Inner(Arc<Inner<E>>),
}

/// A node with children.
///
/// Invariant: the bound of a child is not behind its first entry, and behind the last entry of the
/// child before it.
pub(super) struct Inner<E> {
    bounds: Keys<Arc<Bound>>,
    children: [Option<Node<E>>; CAPACITY],
    /// How many entries are below each child.
    counts: [usize; CAPACITY],
}

/// Where a child begins: as much of a key as tells it from the child before.
pub(super) struct Bound {
    key: Box<[u8]>,
    change: Change,
}

/// Whether a node is the last of its level. Nodes there may be shorter than elsewhere, because a
/// node that overflows at its end is left full: entries often come in ascending order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spine {
    Right,
    Inside,
}

/// A node that has come into being to the right of another.
pub(super) type Sprout<E> = Option<(Arc<Bound>, Node<E>)>;

impl<E> Clone for Node<E> {
    fn clone(&self) -> Node<E> {
        match self {
            Node::Leaf(keys) => Node::Leaf(Arc::clone(keys)),
            Node::Inner(inner) => Node::Inner(Arc::clone(inner)),
        }
    }
}

impl<E> Clone for Inner<E> {
    fn clone(&self) -> Inner<E> {
        Inner { bounds: self.bounds.clone(), children: self.children.clone(), counts: self.counts }
    }
}

impl Entry for Arc<Bound> {
    fn probe(&self) -> Probe<'_> {
        Probe { key: &self.key, change: self.change }
    }

    fn touch(&self) -> usize {
        Arc::strong_count(self)
    }
}

/// Returns a bound between two neighbours, as short as can be.
pub(super) fn bound_between<E: Entry>(left: &E, right: &E) -> Arc<Bound> {
    let (left, right) = (left.probe(), right.probe());
    assert!(left < right, "neighbours out of order");
    let (key, change) = if left.key == right.key {
        (right.key, right.change)
    } else {
        (&right.key[..=shared_len(left.key, right.key)], Change::MIN)
    };
    Arc::new(Bound { key: key.into(), change })
}

/// Returns a bound that is the place of an entry.
pub(super) fn bound_at<E: Entry>(entry: &E) -> Arc<Bound> {
    let Probe { key, change } = entry.probe();
    Arc::new(Bound { key: key.into(), change })
}

impl<E: Entry> Node<E> {
    pub(super) fn empty() -> Node<E> {
        Node::Leaf(Arc::new(Keys::new()))
    }

    /// Makes a root above two nodes.
    pub(super) fn above(left: Node<E>, (bound, right): (Arc<Bound>, Node<E>)) -> Node<E> {
        let mut inner = Inner::empty();
        inner.insert(0, bound_at(left.leaf_at(0).0.item(0)), left);
        inner.insert(1, bound, right);
        Node::Inner(Arc::new(inner))
    }

    /// Returns how many entries or children the node itself has.
    pub(super) fn width(&self) -> usize {
        match self {
            Node::Leaf(keys) => keys.len(),
            Node::Inner(inner) => inner.bounds.len(),
        }
    }

    /// Returns how many entries are below.
    fn count(&self) -> usize {
        match self {
            Node::Leaf(keys) => keys.len(),
            Node::Inner(inner) => inner.counts[..inner.bounds.len()].iter().sum(),
        }
    }

    /// Returns the only child, if there is no other.
    pub(super) fn only_child(&self) -> Option<Node<E>> {
        match self {
            Node::Inner(inner) if inner.bounds.len() == 1 => Some(inner.child(0).clone()),
            Node::Inner(_) | Node::Leaf(_) => None,
        }
    }

    pub(super) fn get(&self, probe: Probe<'_>) -> Option<&E> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(keys) => {
                    let (at, exact) = keys.search(probe);
                    return exact.then(|| keys.item(at));
                }
                Node::Inner(inner) => node = inner.child(inner.child_of(probe)),
            }
        }
    }

    /// Returns how many entries are before the probe.
    pub(super) fn rank(&self, probe: Probe<'_>) -> usize {
        let mut node = self;
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(keys) => return before + keys.search(probe).0,
                Node::Inner(inner) => {
                    let at = inner.child_of(probe);
                    before += inner.counts[..at].iter().sum::<usize>();
                    node = inner.child(at);
                }
            }
        }
    }

    /// Returns the leaf that holds the entry of this rank, and the rank of the leaf's first entry.
    pub(super) fn leaf_at(&self, rank: usize) -> (&Keys<E>, usize) {
        let mut node = self;
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(keys) => return (keys, before),
                Node::Inner(inner) => {
                    let mut at = 0;
                    while before + inner.counts[at] <= rank {
                        before += inner.counts[at];
                        at += 1;
                    }
                    node = inner.child(at);
                }
            }
        }
    }

    /// Puts an entry in, and returns the one whose place it took, or else perhaps a new neighbour.
    pub(super) fn insert(&mut self, item: E, spine: Spine) -> (Option<E>, Sprout<E>) {
        match self {
            Node::Leaf(keys) => insert_into_leaf(Arc::make_mut(keys), item, spine),
            Node::Inner(inner) => Arc::make_mut(inner).insert_below(item, spine),
        }
    }

    /// Takes out an entry that is there.
    pub(super) fn remove(&mut self, probe: Probe<'_>) -> E {
        match self {
            Node::Leaf(keys) => {
                let (at, exact) = keys.search(probe);
                assert!(exact, "an entry that is not there is removed");
                Arc::make_mut(keys).remove(at)
            }
            Node::Inner(inner) => Arc::make_mut(inner).remove_below(probe),
        }
    }

    /// Makes one node of two neighbours, or two of about the same width, in which case the second
    /// is returned with its bound.
    fn join(&mut self, bound: &Arc<Bound>, right: Node<E>) -> Sprout<E> {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                let left = Arc::make_mut(left);
                let mut right = Arc::unwrap_or_clone(right);
                balance(left, &mut right)?;
                let bound = bound_between(left.item(left.len() - 1), right.item(0));
                Some((bound, Node::Leaf(Arc::new(right))))
            }
            (Node::Inner(left), Node::Inner(right)) => {
                let right = Arc::make_mut(left).join(bound, Arc::unwrap_or_clone(right))?;
                Some((Arc::clone(right.bounds.item(0)), Node::Inner(Arc::new(right))))
            }
            (Node::Leaf(_), Node::Inner(_)) | (Node::Inner(_), Node::Leaf(_)) => {
                unreachable!("neighbours are on one level")
            }
        }
    }
}

/// Moves everything to the left if it fits there (`None`), or else evens out the two.
fn balance<T: Entry>(left: &mut Keys<T>, right: &mut Keys<T>) -> Option<()> {
    let all = left.len() + right.len();
    if all <= CAPACITY {
        left.append(std::mem::replace(right, Keys::new()));
        return None;
    }
    if left.len() < all / 2 {
        left.take_front(right, all / 2 - left.len());
    } else {
        let mut moved = left.split_off(all / 2);
        moved.append(std::mem::replace(right, Keys::new()));
        *right = moved;
    }
    Some(())
}

fn insert_into_leaf<E: Entry>(keys: &mut Keys<E>, item: E, spine: Spine) -> (Option<E>, Sprout<E>) {
    let (at, exact) = keys.search(item.probe());
    if exact {
        return (Some(keys.replace(at, item)), None);
    }
    if !keys.is_full() {
        keys.insert(at, item);
        return (None, None);
    }
    let mut right;
    if spine == Spine::Right && at == CAPACITY {
        right = Keys::new();
        right.insert(0, item);
    } else {
        right = keys.split_off(CAPACITY / 2);
        if at <= CAPACITY / 2 {
            keys.insert(at, item);
        } else {
            right.insert(at - CAPACITY / 2, item);
        }
    }
    let bound = bound_between(keys.item(keys.len() - 1), right.item(0));
    (None, Some((bound, Node::Leaf(Arc::new(right)))))
}

impl<E> Inner<E> {
    fn child(&self, at: usize) -> &Node<E> {
        self.children[at].as_ref().expect("places below the width are taken")
    }

    fn child_mut(&mut self, at: usize) -> &mut Node<E> {
        self.children[at].as_mut().expect("places below the width are taken")
    }
}

impl<E: Entry> Inner<E> {
    fn empty() -> Inner<E> {
        Inner { bounds: Keys::new(), children: [const { None }; CAPACITY], counts: [0; CAPACITY] }
    }

    /// Makes a node of the next children, as many as it can have.
    pub(super) fn of(children: impl Iterator<Item = (Arc<Bound>, Node<E>)>) -> Inner<E> {
        let mut inner = Inner::empty();
        for (at, (bound, child)) in children.take(CAPACITY).enumerate() {
            inner.insert(at, bound, child);
        }
        inner
    }

    /// Returns the child in which the probe is, if it is anywhere.
    fn child_of(&self, probe: Probe<'_>) -> usize {
        match self.bounds.search(probe) {
            (at, true) => at,
            (at, false) => at.saturating_sub(1),
        }
    }

    fn insert_below(&mut self, item: E, spine: Spine) -> (Option<E>, Sprout<E>) {
        let at = self.child_of(item.probe());
        if at == 0 && item.probe() < self.bounds.item(0).probe() {
            self.bounds.replace(0, bound_at(&item));
        }
        let last = at + 1 == self.bounds.len();
        let below = if spine == Spine::Right && last { Spine::Right } else { Spine::Inside };
        let (replaced, sprout) = self.child_mut(at).insert(item, below);
        let Some((bound, child)) = sprout else {
            self.counts[at] += usize::from(replaced.is_none());
            return (replaced, None);
        };
        self.counts[at] = self.child(at).count();
        if !self.bounds.is_full() {
            self.insert(at + 1, bound, child);
            return (None, None);
        }
        let mut right;
        if below == Spine::Right {
            right = Inner::empty();
            right.insert(0, Arc::clone(&bound), child);
        } else {
            right = self.split_off(CAPACITY / 2);
            if at < CAPACITY / 2 {
                self.insert(at + 1, bound, child);
            } else {
                right.insert(at + 1 - CAPACITY / 2, bound, child);
            }
        }
        (None, Some((Arc::clone(right.bounds.item(0)), Node::Inner(Arc::new(right)))))
    }

    fn remove_below(&mut self, probe: Probe<'_>) -> E {
        let at = self.child_of(probe);
        let removed = self.child_mut(at).remove(probe);
        self.counts[at] -= 1;
        let width = self.child(at).width();
        if width == 0 {
            self.remove(at);
        } else if width < LEN_MIN && self.bounds.len() > 1 {
            self.join_child(at);
        }
        removed
    }

    /// Gives a child that has become short something of a neighbour, or makes one of both.
    fn join_child(&mut self, at: usize) {
        let left = if at + 1 < self.bounds.len() { at } else { at - 1 };
        let (bound, right) = self.remove(left + 1);
        let sprout = self.child_mut(left).join(&bound, right);
        self.counts[left] = self.child(left).count();
        if let Some((bound, right)) = sprout {
            self.insert(left + 1, bound, right);
        }
    }

    fn insert(&mut self, at: usize, bound: Arc<Bound>, child: Node<E>) {
        let len = self.bounds.len();
        self.bounds.insert(at, bound);
        self.counts[at..=len].rotate_right(1);
        self.counts[at] = child.count();
        self.children[at..=len].rotate_right(1);
        self.children[at] = Some(child);
    }

    fn remove(&mut self, at: usize) -> (Arc<Bound>, Node<E>) {
        let len = self.bounds.len();
        let bound = self.bounds.remove(at);
        let child = self.children[at].take().expect("places below the width are taken");
        self.counts[at..len].rotate_left(1);
        self.children[at..len].rotate_left(1);
        (bound, child)
    }

    fn split_off(&mut self, at: usize) -> Inner<E> {
        let mut right = Inner::empty();
        for (to, from) in (at..self.bounds.len()).enumerate() {
            right.children[to] = self.children[from].take();
            right.counts[to] = self.counts[from];
        }
        right.bounds = self.bounds.split_off(at);
        right
    }

    fn append(&mut self, mut right: Inner<E>) {
        let len = self.bounds.len();
        for at in 0..right.bounds.len() {
            self.children[len + at] = right.children[at].take();
            self.counts[len + at] = right.counts[at];
        }
        self.bounds.append(right.bounds);
    }

    fn join(&mut self, bound: &Arc<Bound>, mut right: Inner<E>) -> Option<Inner<E>> {
        // Entries may have gone from the front, so the bound above may be the smaller one.
        right.bounds.replace(0, Arc::clone(bound));
        let all = self.bounds.len() + right.bounds.len();
        if all <= CAPACITY {
            self.append(right);
            return None;
        }
        if self.bounds.len() < all / 2 {
            let rest = right.split_off(all / 2 - self.bounds.len());
            self.append(right);
            return Some(rest);
        }
        let mut moved = self.split_off(all / 2);
        moved.append(right);
        Some(moved)
    }
}

#[cfg(test)]
impl<E: Entry> Node<E> {
    /// Asserts what must hold of a node and all below; returns its height and its entries.
    pub(super) fn check<'a>(&'a self, spine: Spine, entries: &mut Vec<&'a E>) -> usize {
        assert!(spine == Spine::Right || LEN_MIN <= self.width(), "a node is too short");
        match self {
            Node::Leaf(keys) => {
                keys.check();
                entries.extend(keys.iter());
                0
            }
            Node::Inner(inner) => {
                inner.bounds.check();
                let len = inner.bounds.len();
                assert!(len > 0, "a node without children");
                let mut heights = Vec::new();
                for at in 0..len {
                    let before = entries.len();
                    let last = at + 1 == len && spine == Spine::Right;
                    let below = if last { Spine::Right } else { Spine::Inside };
                    heights.push(inner.child(at).check(below, entries));
                    assert_eq!(inner.counts[at], entries.len() - before, "count of child {at}");
                    let bound = inner.bounds.item(at).probe();
                    assert!(bound <= entries[before].probe(), "bound {at} is too great");
                    let ahead = before.checked_sub(1).filter(|_| at > 0);
                    let ahead = ahead.map(|last| entries[last].probe());
                    assert!(ahead.is_none_or(|last| last < bound), "bound {at} is too small");
                }
                assert!(heights.windows(2).all(|pair| pair[0] == pair[1]), "heights differ");
                heights[0] + 1
            }
        }
    }
}
