//! Things that are referred to by number, whose numbers are used again when they are gone.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// The number of a `T` in its arena.
pub(super) struct Key<T>(u32, PhantomData<fn() -> T>);

impl<T> Key<T> {
    /// The least number.
    pub(super) const FIRST: Key<T> = Key(0, PhantomData);
}

/// Where all `T` are.
#[derive(Debug)]
pub(super) struct Arena<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Arena<T> {
    pub(super) fn new() -> Arena<T> {
        Arena { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Key<T> {
        let at = if let Some(at) = self.free.pop() {
            at
        } else {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 things fit into memory")
        };
        let slot = &mut self.slots[at as usize];
        assert!(slot.is_none(), "slot {at} is free and taken");
        *slot = Some(value);
        Key(at, PhantomData)
    }

    pub(super) fn remove(&mut self, key: Key<T>) -> T {
        let value = self.slots[key.0 as usize].take();
        self.free.push(key.0);
        value.expect("whoever has a key has what it stands for")
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key<T>> {
        let taken = self.slots.iter().zip(0..).filter(|(slot, _)| slot.is_some());
        taken.map(|(_, at)| Key(at, PhantomData))
    }
}

impl<T> Index<Key<T>> for Arena<T> {
    type Output = T;

    fn index(&self, key: Key<T>) -> &T {
        self.slots[key.0 as usize].as_ref().expect("whoever has a key has what it stands for")
    }
}

impl<T> IndexMut<Key<T>> for Arena<T> {
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        self.slots[key.0 as usize].as_mut().expect("whoever has a key has what it stands for")
    }
}

// By hand, because what is derived would ask the same of `T`.

impl<T> Clone for Key<T> {
    fn clone(&self) -> Key<T> {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Key<T>) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Key<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Key<T>) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut arena = Arena::new();
        let [a, b] = ["a", "b"].map(|value| arena.insert(value));
        assert_eq!(arena.remove(a), "a");
        assert_eq!(arena.len(), 1);
        let c = arena.insert("c");
        assert_eq!(c, a);
        assert_eq!((arena[b], arena[c]), ("b", "c"));
        assert_eq!(arena.keys().collect::<Vec<_>>(), [c, b]);
    }
}
