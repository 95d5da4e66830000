//! The search itself.
//!
//! A state that is covered by another, which can do all that it can, is not looked at any more. To
//! find those that cover many before those that they cover, states that have come less far are
//! looked at first: then most ways to a state have been walked before it is its turn. That does not
//! find the shortest way to a violation, so that when there is one, a second search goes by length.

use std::collections::VecDeque;

use crate::checker::Violation;
use crate::explore::scope::Scope;
use crate::explore::state::{Action, Cast, State};
use crate::explore::table::{Fingerprint, Places};

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many different states were found that were not covered by others found before.
    pub states: usize,
    /// How many of them were looked at: what follows them is among those found.
    pub done: usize,
    /// How many of them were then covered, and need not be looked at.
    pub covered: usize,
    /// How many steps led from one state to another, also to one that was found or covered before.
    pub steps: u64,
    /// How many different conditions of single members were found.
    pub conditions: usize,
    /// How many different messages were found.
    pub messages: usize,
}

/// In which order states are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Those that have come less far first.
    LeastFar,
    /// Those that fewer steps lead to first.
    FewestSteps,
}

/// A violation, and the way there.
#[derive(Debug)]
pub(super) struct Path {
    /// What happens, one after the other; the last leads to the violation.
    pub(super) actions: Vec<Action>,
    pub(super) violation: Violation,
}

/// What came of a search.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) cast: Cast,
    pub(super) progress: Progress,
    /// Whether all states were looked at or covered.
    pub(super) is_complete: bool,
    pub(super) path: Option<Path>,
}

/// No state.
const NONE: u32 = u32::MAX;

/// All states in the order in which they were found.
#[derive(Debug)]
struct Arena {
    states: Vec<State>,
    /// From which state each was found first.
    parents: Vec<u32>,
    /// States that differ in their networks alone form a list, in which none covers another: which
    /// comes next to each; itself if it is no longer in a list.
    next: Vec<u32>,
    /// The first of each list.
    places: Places,
    /// Those that are to be looked at, by their rank.
    waiting: Vec<VecDeque<u32>>,
    waiting_len: usize,
    /// No state of a lower rank waits.
    lowest: usize,
    covered: usize,
}

impl Arena {
    fn new() -> Arena {
        Arena {
            states: Vec::new(),
            parents: Vec::new(),
            next: Vec::new(),
            places: Places::new(),
            waiting: Vec::new(),
            waiting_len: 0,
            lowest: 0,
            covered: 0,
        }
    }

    /// Adds a state, unless it is covered.
    fn add(&mut self, cast: &Cast, state: State, parent: u32, rank: usize) {
        let hash = Fingerprint::short(&state.core);
        let states = &self.states;
        let is_it = |place: u32| states[place as usize].core == state.core;
        let place = u32::try_from(states.len()).expect("fewer than 2^32 states");
        let mut following = NONE;
        if let Some(first) = self.places.find(hash, is_it) {
            if !self.make_room(cast, &state, first) {
                return;
            }
            following = first;
            self.places.replace(hash, first, place);
        } else {
            let states = &self.states;
            let hash_of = |place: u32| Fingerprint::short(&states[place as usize].core);
            self.places.add(hash, place, hash_of);
        }
        self.states.push(state);
        self.parents.push(parent);
        self.next.push(following);
        if self.waiting.len() <= rank {
            self.waiting.resize(rank + 1, VecDeque::new());
        }
        self.waiting[rank].push_back(place);
        self.waiting_len += 1;
        self.lowest = self.lowest.min(rank);
    }

    /// Takes those that the new state covers out of the list that begins with `first`, which stays,
    /// covered or not, to keep the list together. Tells whether the new state is not covered
    /// itself.
    fn make_room(&mut self, cast: &Cast, state: &State, first: u32) -> bool {
        let mut at = first;
        while at != NONE {
            if cast.is_covered(state, &self.states[at as usize]) {
                return false;
            }
            at = self.next[at as usize];
        }
        let mut before = first;
        loop {
            let at = self.next[before as usize];
            if at == NONE {
                return true;
            }
            if cast.is_covered(&self.states[at as usize], state) {
                self.next[before as usize] = self.next[at as usize];
                self.next[at as usize] = at;
            } else {
                before = at;
            }
        }
    }

    /// Takes out the next state to look at.
    fn take(&mut self) -> Option<u32> {
        while let Some(waiting) = self.waiting.get_mut(self.lowest) {
            match waiting.pop_front() {
                None => {
                    self.waiting[self.lowest] = VecDeque::new();
                    self.lowest += 1;
                }
                Some(place) if self.next[place as usize] == place => {
                    self.covered += 1;
                    self.waiting_len -= 1;
                }
                Some(place) => {
                    self.waiting_len -= 1;
                    return Some(place);
                }
            }
        }
        None
    }
}

/// Looks at all states that can be reached, and tells `watch` from time to time how far it has
/// come.
pub(super) fn search(scope: Scope, order: Order, watch: &mut dyn FnMut(&Progress)) -> Found {
    const WATCH_INTERVAL: usize = 1 << 16;
    let states_max = scope.states_max;
    let mut cast = Cast::new(scope);
    let mut arena = Arena::new();
    let first = cast.first();
    arena.add(&cast, first, 0, 0);
    let mut depths: Vec<u32> = vec![0];
    let mut progress = Progress::default();
    let mut broken = None;
    while broken.is_none()
        && arena.states.len() < states_max
        && let Some(at) = arena.take()
    {
        let state = arena.states[at as usize];
        let depth = depths.get(at as usize).map_or(0, |depth| depth + 1);
        cast.follow(&state, &mut |cast, action, next| {
            // All members are alike at first: whichever campaigns first may be called the first.
            if at == 0 && action.slot > 0 || broken.is_some() {
                return;
            }
            progress.steps += 1;
            match next {
                Ok(next) => {
                    let rank = match order {
                        Order::LeastFar => cast.rank(&next),
                        Order::FewestSteps => depth as usize,
                    };
                    arena.add(cast, next, at, rank);
                    if order == Order::FewestSteps {
                        depths.resize(arena.states.len(), depth);
                    }
                }
                Err(violation) => broken = Some((at, action, violation)),
            }
        });
        progress.done += 1;
        if progress.done.is_multiple_of(WATCH_INTERVAL) {
            update(&mut progress, &cast, &arena);
            watch(&progress);
        }
    }
    update(&mut progress, &cast, &arena);
    let is_complete = broken.is_none() && arena.waiting_len == 0;
    let path = broken.map(|broken| way_to(&mut cast, &arena, broken));
    Found { cast, progress, is_complete, path }
}

fn update(progress: &mut Progress, cast: &Cast, arena: &Arena) {
    progress.states = arena.states.len();
    progress.covered = arena.covered;
    [progress.conditions, progress.messages] = cast.counts();
}

/// The way from the first state to a broken one.
fn way_to(cast: &mut Cast, arena: &Arena, broken: (u32, Action, Violation)) -> Path {
    let (at, last, violation) = broken;
    let mut places = vec![at];
    while let Some(place) = places.last().copied()
        && place > 0
    {
        places.push(arena.parents[place as usize]);
    }
    let states: Vec<State> =
        places.into_iter().rev().map(|place| arena.states[place as usize]).collect();
    let mut actions = Vec::new();
    for pair in states.windows(2) {
        let mut found = None;
        cast.follow(&pair[0], &mut |_, action, next| {
            if found.is_none() && next.as_ref() == Ok(&pair[1]) {
                found = Some(action);
            }
        });
        actions.push(found.expect("what led to a state once does so again"));
    }
    actions.push(last);
    Path { actions, violation }
}
