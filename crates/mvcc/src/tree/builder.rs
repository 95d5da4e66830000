//! Building a tree from entries that come in order, from the leaves up: nothing is searched.

use std::sync::Arc;

use super::keys::Keys;
use super::node::{Bound, Inner, Node, bound_at, bound_between};
use super::{CAPACITY, Entry, Tree};

/// A tree that is being built. All nodes but the last of each level become full.
pub(crate) struct Builder<E> {
    /// The leaves that are full, each with where it begins.
    full: Vec<(Arc<Bound>, Node<E>)>,
    /// The last entry of the last full leaf.
    before: Option<E>,
    last: Keys<E>,
    len: usize,
}

impl<E: Entry> Builder<E> {
    pub(crate) fn new() -> Builder<E> {
        Builder { full: Vec::new(), before: None, last: Keys::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts an entry behind all others, which it must follow in the order.
    pub(crate) fn push(&mut self, entry: E) {
        if self.last.is_full() {
            self.end_leaf();
        }
        self.last.push_unindexed(entry);
        self.len += 1;
    }

    pub(crate) fn finish(mut self) -> Tree<E> {
        if self.last.len() == 0 {
            return Tree::new();
        }
        self.end_leaf();
        let mut level = self.full;
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len().div_ceil(CAPACITY));
            let mut nodes = level.into_iter().peekable();
            while let Some((bound, _)) = nodes.peek() {
                let bound = Arc::clone(bound);
                above.push((bound, Node::Inner(Arc::new(Inner::of(nodes.by_ref())))));
            }
            level = above;
        }
        let root = level.pop().expect("there is a leaf").1;
        Tree { root, len: self.len }
    }

    fn end_leaf(&mut self) {
        let mut leaf = std::mem::replace(&mut self.last, Keys::new());
        leaf.index();
        let bound = match &self.before {
            Some(before) => bound_between(before, leaf.item(0)),
            None => bound_at(leaf.item(0)),
        };
        self.before = Some(leaf.item(leaf.len() - 1).clone());
        self.full.push((bound, Node::Leaf(Arc::new(leaf))));
    }
}
