//! The search for an order.
//!
//! The history is walked through in time. What may be true at a moment is a set of *worlds*: the
//! value that the register holds, and which of the operations under way have taken effect. When an
//! operation returns, each world in which it has taken effect stays as it is. Each other one gives
//! way to those that follow from it by letting operations under way take effect, one after the
//! other, this one last: anything more can wait until it is asked for (just-in-time linearization,
//! Lowe, after Wing and Gong). When no world is left, no order exists.
//!
//! Since a value that was left never comes back, there is rarely a choice:
//!
//! - An operation that only looks takes effect as soon as it can.
//! - A value is left only when all who saw it have taken effect, and if one of them replaced it,
//!   then by that one.
//! - A write takes effect only when it returns or somebody who saw its value does.
//! - A write whose observers are all under way too disturbs nobody: it takes effect, and they do,
//!   right before any other write does.
//!
//! Only a refused compare-and-swap complicates this. It needs that the register does **not** hold a
//! value, and any write will do for that, also one that disturbs nobody and would be more useful
//! now than before, or one that may never have taken effect otherwise. Therefore a write that
//! disturbed nobody stays *spare* until it returns: it may be moved to a later moment, when it is
//! needed or, at the latest, when it returns. Of writes that differ in nothing else, the one that
//! returns first is used first.

use std::collections::BTreeSet;

use super::register::{Act, INITIAL, Refusal, Register, Step, Value};
use super::{Operation, ViolationKind};

/// After this many worlds in all the search is given up: it has taken some seconds then.
pub(super) const WORLDS_MAX: usize = 2_000_000;
/// At most this many worlds are looked at to say what the contradiction is.
const WORLDS_SHOWN: usize = 8;
/// At most this many operations are named for each of them.
const OBSERVERS_SHOWN: usize = 4;

/// What may be true at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    /// What the register holds.
    value: Value,
    /// Operations under way that have taken effect, in order of their place; those that have
    /// returned are not kept.
    done: Vec<usize>,
    /// Those of them that are plain writes and may as well take effect now, in order.
    spare: Vec<usize>,
}

impl World {
    fn has(&self, place: usize) -> bool {
        self.done.binary_search(&place).is_ok()
    }

    fn add(&mut self, place: usize) {
        if let Err(at) = self.done.binary_search(&place) {
            self.done.insert(at, place);
        }
    }

    fn remove(&mut self, place: usize) {
        self.done.retain(|done| *done != place);
        self.spare.retain(|spare| *spare != place);
    }
}

/// The walk through the history.
struct Search<'a> {
    register: &'a Register,
    /// Operations that have been called and have not returned.
    under_way: Vec<usize>,
    /// For each value, how many of its observers have been called.
    called: Vec<usize>,
    /// For each value, how many of its observers have returned.
    returned: Vec<usize>,
    /// How many more worlds may be looked at.
    worlds_left: usize,
}

/// What happens to an operation. At equal times calls come before returns: the operations may then
/// have overlapped. Writers come before those who saw their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Call,
    Return,
}

/// Looks for an order in at most `worlds_max` worlds.
pub(super) fn run(register: &Register, worlds_max: usize) -> Result<(), Refusal> {
    let mut events = Vec::new();
    for (place, step) in register.steps.iter().enumerate() {
        let rank = step.writes().map_or(usize::MAX, |value| register.swaps_before(value));
        events.push((step.operation.call, Moment::Call, rank, place));
        if let Some(deadline) = step.deadline {
            events.push((deadline, Moment::Return, rank, place));
        }
    }
    events.sort_unstable();
    let mut search = Search::new(register, worlds_max);
    let mut worlds =
        BTreeSet::from([World { value: INITIAL, done: Vec::new(), spare: Vec::new() }]);
    for (_, moment, _, place) in events {
        worlds = match moment {
            Moment::Call => search.on_call(place, worlds),
            Moment::Return => search.on_return(place, worlds)?,
        };
    }
    Ok(())
}

impl<'a> Search<'a> {
    fn new(register: &'a Register, worlds_left: usize) -> Search<'a> {
        Search {
            register,
            under_way: Vec::new(),
            called: vec![0; register.facts.len()],
            returned: vec![0; register.facts.len()],
            worlds_left,
        }
    }

    fn step(&self, place: usize) -> &'a Step {
        &self.register.steps[place]
    }

    fn on_call(&mut self, place: usize, worlds: BTreeSet<World>) -> BTreeSet<World> {
        self.under_way.push(place);
        if let Some(value) = self.step(place).observes() {
            self.called[value] += 1;
        }
        worlds
            .into_iter()
            .map(|mut world| {
                if self.looks_at(place, world.value) {
                    world.add(place);
                }
                world
            })
            .collect()
    }

    fn on_return(
        &mut self,
        place: usize,
        worlds: BTreeSet<World>,
    ) -> Result<BTreeSet<World>, Refusal> {
        let mut next = BTreeSet::new();
        for world in &worlds {
            if world.has(place) {
                next.insert(world.clone());
                next.extend(self.last_chance(world, place));
            } else {
                next.extend(self.explore(world, place));
            }
            self.count(place)?;
        }
        if next.is_empty() {
            return Err((ViolationKind::NoOrder, self.contradiction(place, &worlds)));
        }
        self.under_way.retain(|other| *other != place);
        if let Some(value) = self.step(place).observes() {
            self.returned[value] += 1;
        }
        let leave = |mut world: World| {
            world.remove(place);
            world
        };
        Ok(next.into_iter().map(leave).collect())
    }

    fn count(&mut self, place: usize) -> Result<(), Refusal> {
        if self.worlds_left > 0 {
            self.worlds_left -= 1;
            return Ok(());
        }
        let mut shown: Vec<usize> = self.under_way.clone();
        shown.push(place);
        let operations = shown.into_iter().map(|place| self.step(place).operation).collect();
        Err((ViolationKind::Undecided, operations))
    }

    /// Finds all worlds that follow from this one by letting operations take effect, `goal` last.
    fn explore(&self, world: &World, goal: usize) -> Vec<World> {
        if self.step(goal).act == Act::Refused(world.value) {
            return self.ways_out(world).into_iter().map(|way| self.after(world, way)).collect();
        }
        let mut next = world.clone();
        while let Some(way) = self.way_to(&next, goal) {
            next = self.after(&next, way);
            if next.has(goal) {
                return vec![next];
            }
            if !self.all_called(next.value) {
                break;
            }
        }
        Vec::new()
    }

    /// The world in which a spare write is moved to the moment of its return, if it can matter that
    /// the register then does not hold the value that it holds, or will hold otherwise.
    fn last_chance(&self, world: &World, place: usize) -> Option<World> {
        world.spare.binary_search(&place).ok()?;
        let open = self.under_way.iter().filter(|other| !world.has(**other));
        let mut values = open.filter_map(|other| self.step(*other).writes()).chain([world.value]);
        let deadline = self.step(place).deadline;
        if !values.any(|value: Value| self.register.facts[value].denied_until >= deadline) {
            return None;
        }
        let mut before = world.clone();
        while let Some(swap) = self.register.facts[before.value].swap {
            before = self.is_next(&before, swap).then(|| self.after(&before, swap))?;
        }
        (self.unseen(&before) == 0).then(|| self.after(&before, place))
    }

    /// The writer that takes effect next on the way to an operation.
    fn way_to(&self, world: &World, goal: usize) -> Option<usize> {
        if let Some(swap) = self.register.facts[world.value].swap {
            return self.is_next(world, swap).then_some(swap);
        }
        let value = match self.step(goal).act {
            Act::Read(value) | Act::Write(value) | Act::Swap { to: value, .. } => value,
            Act::Refused(_) => unreachable!("it waits only to get away from the value it denies"),
        };
        let root = self.register.root(value)?;
        let is_open = self.under_way.contains(&root) && !world.has(root);
        (is_open && self.unseen(world) == 0).then_some(root)
    }

    /// The writers by any of which the register can be made to hold another value.
    fn ways_out(&self, world: &World) -> Vec<usize> {
        if let Some(swap) = self.register.facts[world.value].swap {
            return if self.is_next(world, swap) { vec![swap] } else { Vec::new() };
        }
        if self.unseen(world) > 0 {
            return Vec::new();
        }
        let leads_out = |place: &usize| match self.step(*place).act {
            Act::Read(_) | Act::Refused(_) => false,
            Act::Write(_) => !world.has(*place) || world.spare.binary_search(place).is_ok(),
            Act::Swap { from, .. } => from == world.value && !world.has(*place),
        };
        let by_return = |place: &usize| {
            let deadline = self.step(*place).deadline;
            (deadline.is_none(), deadline, *place)
        };
        let ways: Vec<usize> = self.under_way.iter().copied().filter(leads_out).collect();
        let (alike, mut ways): (Vec<usize>, Vec<usize>) =
            ways.into_iter().partition(|place| self.is_like_others(*place));
        ways.extend(alike.into_iter().min_by_key(by_return));
        ways
    }

    /// The world after a writer has taken effect in this one.
    fn after(&self, world: &World, place: usize) -> World {
        let mut next = world.clone();
        next.value = match self.step(place).act {
            Act::Write(value) => {
                self.fit_in(&mut next, place);
                if let Ok(at) = next.spare.binary_search(&place) {
                    next.spare.remove(at);
                    self.take_back_swaps(&mut next, value);
                }
                value
            }
            Act::Swap { to, .. } => to,
            Act::Read(_) | Act::Refused(_) => unreachable!("only writers are chosen"),
        };
        next.add(place);
        for other in &self.under_way {
            if self.looks_at(*other, next.value) {
                next.add(*other);
            }
        }
        next
    }

    /// Lets all writes that disturb nobody take effect before the write at `place`.
    fn fit_in(&self, world: &mut World, place: usize) {
        for other in &self.under_way {
            let step = self.step(*other);
            let Act::Write(value) = step.act else { continue };
            if *other == place || step.deadline.is_none() || world.has(*other) {
                continue;
            }
            let Some(row) = self.row(value) else { continue };
            let observers = row.iter().flat_map(|value| &self.register.facts[*value].observers);
            observers.for_each(|observer| world.add(*observer));
            world.add(*other);
            let at = world.spare.partition_point(|spare| spare < other);
            world.spare.insert(at, *other);
        }
    }

    /// Undoes what followed from `value`, which was fitted in earlier and comes about only now.
    fn take_back_swaps(&self, world: &mut World, value: Value) {
        let row = self.row(value).expect("only a row without gaps is fitted in");
        let is_later = |seen| row[1..].contains(&seen);
        world.done.retain(|done| {
            let step = self.step(*done);
            !step.observes().is_some_and(is_later) && !step.writes().is_some_and(is_later)
        });
    }

    /// The values that must follow each other from this one on, each swapped for the next; `None`
    /// if somebody who saw one of them is still to come.
    fn row(&self, value: Value) -> Option<Vec<Value>> {
        let mut row = vec![value];
        let mut last = value;
        while self.all_called(last) {
            let Some(swap) = self.register.facts[last].swap else { return Some(row) };
            last = self.step(swap).writes()?;
            row.push(last);
        }
        None
    }

    /// Tells whether the operation only looks, and may take effect while the register holds
    /// `value`.
    fn looks_at(&self, place: usize, value: Value) -> bool {
        match self.step(place).act {
            Act::Read(seen) => seen == value,
            Act::Refused(unseen) => unseen != value,
            Act::Write(_) | Act::Swap { .. } => false,
        }
    }

    /// Tells whether a swap of the value that the register holds may take effect: all others who
    /// saw that have.
    fn is_next(&self, world: &World, swap: usize) -> bool {
        self.under_way.contains(&swap) && !world.has(swap) && self.unseen(world) == 1
    }

    /// How many must have seen the value that the register holds, and have not taken effect.
    fn unseen(&self, world: &World) -> usize {
        let saw = |place: &&usize| self.step(**place).observes() == Some(world.value);
        let all = self.register.facts[world.value].observers.len();
        all - self.returned[world.value] - world.done.iter().filter(saw).count()
    }

    /// Tells whether all who must have seen the value have been called.
    fn all_called(&self, value: Value) -> bool {
        self.called[value] == self.register.facts[value].observers.len()
    }

    /// Tells whether a plain write differs from others at most in when it returns: nobody who saw
    /// its value is still to come, or replaced it, or denies it.
    fn is_like_others(&self, place: usize) -> bool {
        let Act::Write(value) = self.step(place).act else { return false };
        let facts = &self.register.facts[value];
        self.all_called(value) && facts.swap.is_none() && facts.denied_until.is_none()
    }

    /// The operations that contradict each other when `goal` can take effect in no world: it and
    /// its value's writer and earliest observers, and those that hold the register to the value
    /// that it has.
    fn contradiction(&self, goal: usize, worlds: &BTreeSet<World>) -> Vec<Operation> {
        let step = self.step(goal);
        let mut shown = vec![step];
        match step.act {
            Act::Read(value) | Act::Refused(value) | Act::Swap { from: value, .. } => {
                shown.extend(self.register.writer(value));
            }
            Act::Write(_) => {}
        }
        if step.deadline != step.operation.ret {
            let first = |other: &&Step| {
                other.deadline == step.deadline
                    && other.observes().is_some()
                    && other.observes() == step.writes()
            };
            shown.extend(self.register.steps.iter().filter(first).take(OBSERVERS_SHOWN));
        }
        for world in worlds.iter().take(WORLDS_SHOWN) {
            shown.extend(self.register.writer(world.value));
            let holds = |(place, other): &(usize, &Step)| {
                let is_over =
                    Some(other.operation.call) <= step.deadline && !self.under_way.contains(place);
                other.observes() == Some(world.value) && !world.has(*place) && !is_over
            };
            let holding = self.register.steps.iter().enumerate().filter(holds);
            shown.extend(holding.take(OBSERVERS_SHOWN).map(|(_, other)| other));
        }
        shown.into_iter().map(|step| step.operation).collect()
    }
}
