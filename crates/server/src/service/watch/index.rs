//! Watchers by what they want: who is to be told of a change of a key.

use std::collections::HashMap;
use std::sync::Arc;

use mvcc::Version;

use super::arena::{Arena, Key};
use super::hub::Watcher;
use super::interest::{Extent, Interest, Wish};
use super::intervals::Intervals;

/// Watchers in groups, the groups by key and by range.
#[derive(Debug)]
pub(super) struct Index {
    groups: Arena<Group>,
    singles: HashMap<Box<[u8]>, Alike>,
    ranges: Intervals<Alike>,
    members_len: usize,
}

/// Groups of the same keys. They differ in their wishes, so there are few.
type Alike = Vec<Key<Group>>;

/// Watchers that want exactly the same, so that one message serves them all.
#[derive(Debug)]
pub(super) struct Group {
    /// What they want.
    pub(super) interest: Arc<Interest>,
    /// Who they are.
    pub(super) members: Vec<Key<Watcher>>,
    /// Which of the changes that are looked at now they want, by number.
    pub(super) wanted: Vec<u32>,
}

/// Where a watcher stands in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// The group.
    pub(super) group: Key<Group>,
    /// The place among its members.
    pub(super) place: u32,
}

impl Index {
    pub(super) fn new(seed: u64) -> Index {
        Index {
            groups: Arena::new(),
            singles: HashMap::new(),
            ranges: Intervals::new(seed),
            members_len: 0,
        }
    }

    /// How many watchers there are.
    pub(super) fn members_len(&self) -> usize {
        self.members_len
    }

    /// Adds a watcher, and returns the interest that its group shares.
    pub(super) fn add(
        &mut self,
        watcher: Key<Watcher>,
        interest: &Arc<Interest>,
    ) -> (Seat, Arc<Interest>) {
        let alike = match &interest.extent {
            // Most watchers of a key are the first, but a key is only copied if there is need.
            Extent::Single => match self.singles.get_mut(&interest.start) {
                Some(alike) => alike,
                None => self.singles.entry(interest.start.clone()).or_default(),
            },
            Extent::Range(end) => self.ranges.value(&interest.start, end),
        };
        let is_same = |group: &&Key<Group>| self.groups[**group].interest.wish == interest.wish;
        let group = if let Some(group) = alike.iter().find(is_same) {
            *group
        } else {
            let interest = Arc::clone(interest);
            let group =
                self.groups.insert(Group { interest, members: Vec::new(), wanted: Vec::new() });
            alike.push(group);
            group
        };
        let Group { interest, members, wanted: _ } = &mut self.groups[group];
        let place = u32::try_from(members.len()).expect("fewer than 2^32 watchers");
        members.push(watcher);
        self.members_len += 1;
        (Seat { group, place }, Arc::clone(interest))
    }

    /// Takes a watcher away, and returns who sits in its place now.
    pub(super) fn remove(&mut self, seat: Seat) -> Option<Key<Watcher>> {
        let group = &mut self.groups[seat.group];
        group.members.swap_remove(seat.place as usize);
        let moved = group.members.get(seat.place as usize).copied();
        self.members_len -= 1;
        if group.members.is_empty() {
            self.dissolve(seat.group);
        }
        moved
    }

    fn dissolve(&mut self, key: Key<Group>) {
        let group = self.groups.remove(key);
        let Interest { start, extent, wish: _ } = &*group.interest;
        let without = |alike: &mut Alike| {
            alike.retain(|other| *other != key);
            alike.is_empty()
        };
        match extent {
            Extent::Single => {
                if self.singles.get_mut(start).is_some_and(without) {
                    self.singles.remove(start);
                }
            }
            Extent::Range(end) => {
                if without(self.ranges.value(start, end)) {
                    self.ranges.remove(start, end);
                }
            }
        }
    }

    /// Notes that a change, which has this number, is wanted by those who watch its key. Groups
    /// that want nothing else yet are added to `touched`.
    pub(super) fn note(&mut self, number: u32, version: &Version, touched: &mut Vec<Key<Group>>) {
        let groups = &mut self.groups;
        let mut note = |alike: &Alike| {
            for key in alike {
                let group = &mut groups[*key];
                let Wish { kinds, previous: _, parts: _ } = group.interest.wish;
                if kinds.holds(version.kind()) {
                    if group.wanted.is_empty() {
                        touched.push(*key);
                    }
                    group.wanted.push(number);
                }
            }
        };
        if let Some(alike) = self.singles.get(version.key()) {
            note(alike);
        }
        self.ranges.holding(version.key(), &mut note);
    }

    pub(super) fn group(&self, group: Key<Group>) -> &Group {
        &self.groups[group]
    }

    /// Forgets what a group wanted of the changes that were looked at.
    pub(super) fn forget(&mut self, group: Key<Group>) {
        self.groups[group].wanted.clear();
    }

    /// Returns all watchers.
    pub(super) fn members(&self) -> impl Iterator<Item = Key<Watcher>> {
        self.groups.keys().flat_map(|group| self.groups[group].members.iter().copied())
    }
}
