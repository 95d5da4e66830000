//! The operations on one register, made ready for the search.
//!
//! What can be told without a search is told here: which operations must have taken effect, and by
//! when at the latest.

use std::collections::BTreeMap;

use super::{Op, Operation, ViolationKind};

/// Names one value of the register: zero is the one before any write, any other is one more than
/// the place of the step that writes it.
pub(super) type Value = usize;

/// Before any write.
pub(super) const INITIAL: Value = 0;
/// A value that nobody writes.
const NEVER: Value = usize::MAX;

/// All that matters of one register's history.
pub(super) struct Register {
    pub(super) steps: Vec<Step>,
    /// What is known of each value.
    pub(super) facts: Vec<Facts>,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) act: Act,
    /// By when it must have taken effect; `None` if it may never have.
    pub(super) deadline: Option<u64>,
}

/// What an operation does to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It saw this value.
    Read(Value),
    /// It saw any value but this one.
    Refused(Value),
    /// It wrote this value over any other.
    Write(Value),
    /// It wrote one value over another.
    Swap { from: Value, to: Value },
}

/// What is known of one value.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The step that writes it, if it was kept.
    pub(super) writer: Option<usize>,
    /// The steps that must have seen it.
    pub(super) observers: Vec<usize>,
    /// The one of them that also replaced it.
    pub(super) swap: Option<usize>,
    /// Until when there are refusals which say that it was not there at some moment.
    pub(super) denied_until: Option<u64>,
}

impl Step {
    /// The value that it must have seen.
    pub(super) fn observes(&self) -> Option<Value> {
        match self.act {
            Act::Read(value) | Act::Swap { from: value, .. } => self.deadline.map(|_| value),
            Act::Refused(_) | Act::Write(_) => None,
        }
    }

    /// The value that it writes.
    pub(super) fn writes(&self) -> Option<Value> {
        match self.act {
            Act::Write(value) | Act::Swap { to: value, .. } => Some(value),
            Act::Read(_) | Act::Refused(_) => None,
        }
    }
}

impl Register {
    /// Gathers what the operations, all on one key, say about each other.
    pub(super) fn new(operations: &[Operation]) -> Result<Register, Refusal> {
        let mut steps = steps(operations);
        tighten(&mut steps);
        if let Some(lost) = steps.iter().find(|step| step.observes() == Some(NEVER)) {
            return Err((ViolationKind::FromNowhere, vec![lost.operation]));
        }
        drop_idle(&mut steps);
        let mut facts = vec![Facts::default(); operations.len() + 1];
        for (place, step) in steps.iter().enumerate() {
            if let Some(value) = step.writes() {
                facts[value].writer = Some(place);
            }
            if let Some(value) = step.observes() {
                facts[value].observers.push(place);
                if let Act::Swap { .. } = step.act
                    && let Some(other) = facts[value].swap.replace(place)
                {
                    let both = [other, place].map(|place| steps[place].operation);
                    return Err((ViolationKind::NoOrder, both.to_vec()));
                }
            }
            if let Act::Refused(value) = step.act {
                facts[value].denied_until = facts[value].denied_until.max(step.deadline);
            }
        }
        Ok(Register { steps, facts })
    }

    /// The step that writes a value.
    pub(super) fn writer(&self, value: Value) -> Option<&Step> {
        self.facts[value].writer.map(|place| &self.steps[place])
    }

    /// The plain write by which the register must be brought to a value: its writer, or the one
    /// that a row of swaps up to its writer begins with. `None` if they begin before any write.
    pub(super) fn root(&self, value: Value) -> Option<usize> {
        let (first, _) = self.begin_of_row(value);
        let is_plain = |place: &usize| matches!(self.steps[*place].act, Act::Write(_));
        self.facts[first].writer.filter(is_plain)
    }

    /// How many swaps lead to a value from the one that a plain write brings about.
    pub(super) fn swaps_before(&self, value: Value) -> usize {
        let (_, swaps) = self.begin_of_row(value);
        swaps
    }

    fn begin_of_row(&self, value: Value) -> (Value, usize) {
        let mut first = value;
        let mut swaps = 0;
        // Swaps that go round in a circle never begin.
        while let Some(writer) = self.writer(first)
            && let Act::Swap { from, .. } = writer.act
            && swaps < self.facts.len()
        {
            first = from;
            swaps += 1;
        }
        (first, swaps)
    }
}

/// What is wrong, and the operations that show it.
pub(super) type Refusal = (ViolationKind, Vec<Operation>);

/// The operations that say anything at all: one for each writer, so that its place names its value,
/// and each of the others that was answered.
fn steps(operations: &[Operation]) -> Vec<Step> {
    let mut values = BTreeMap::new();
    for (place, operation) in operations.iter().enumerate() {
        assert!(
            operation.ret.is_none_or(|ret| operation.call <= ret),
            "an operation returned before it was called: {operation}"
        );
        if let Op::Write { value } | Op::Cas { value, .. } = operation.op {
            let refused = matches!(operation.op, Op::Cas { succeeded: Some(false), .. });
            let name = if refused && operation.ret.is_some() { NEVER } else { place + 1 };
            let before = values.insert(value, name);
            assert!(before.is_none(), "a value was written twice: {operation}");
        }
    }
    let name = |value: Option<u64>| match value {
        None => INITIAL,
        Some(value) => values.get(&value).copied().unwrap_or(NEVER),
    };
    operations
        .iter()
        .enumerate()
        .filter_map(|(place, operation)| {
            let own = place + 1;
            let (act, deadline) = match (operation.op, operation.ret) {
                (Op::Read { .. }, None) => return None,
                (Op::Read { value }, ret) => (Act::Read(name(value)), ret),
                (Op::Write { .. }, ret) => (Act::Write(own), ret),
                (Op::Cas { expect, succeeded: Some(false), .. }, Some(_))
                    if name(expect) == NEVER =>
                {
                    return None;
                }
                (Op::Cas { expect, succeeded: Some(false), .. }, ret @ Some(_)) => {
                    (Act::Refused(name(expect)), ret)
                }
                (Op::Cas { expect, succeeded: Some(true), .. }, ret @ Some(_)) => {
                    (Act::Swap { from: name(expect), to: own }, ret)
                }
                (Op::Cas { expect, .. }, _) => (Act::Swap { from: name(expect), to: own }, None),
            };
            Some(Step { operation: *operation, act, deadline })
        })
        .collect()
}

/// Brings forward the deadline of each writer to that of the first who saw its value. A writer
/// whose outcome was unknown gets one in this way: it did take effect.
fn tighten(steps: &mut [Step]) {
    let writers: BTreeMap<Value, usize> = steps
        .iter()
        .enumerate()
        .filter_map(|(place, step)| step.writes().map(|value| (value, place)))
        .collect();
    let mut changed: Vec<usize> = (0..steps.len()).collect();
    while let Some(place) = changed.pop() {
        let (Some(value), deadline) = (steps[place].observes(), steps[place].deadline) else {
            continue;
        };
        let Some(writer) = writers.get(&value) else { continue };
        let before = &mut steps[*writer].deadline;
        if before.is_none_or(|before| deadline.is_some_and(|deadline| deadline < before)) {
            *before = deadline;
            changed.push(*writer);
        }
    }
}

/// Drops writers that may never have taken effect, and whose value nobody saw: with them no more
/// can be explained than without, but that a compare-and-swap was refused.
fn drop_idle(steps: &mut Vec<Step>) {
    let refusals: Vec<(Value, Option<u64>)> = steps
        .iter()
        .filter_map(|step| match step.act {
            Act::Refused(value) => Some((value, step.deadline)),
            Act::Read(_) | Act::Write(_) | Act::Swap { .. } => None,
        })
        .collect();
    steps.retain(|step| {
        let call = Some(step.operation.call);
        let mut later = refusals.iter().filter(|(_, deadline)| *deadline >= call);
        step.deadline.is_some()
            || match step.act {
                Act::Write(_) => later.next().is_some(),
                Act::Swap { from, .. } => later.any(|(value, _)| *value == from),
                Act::Read(_) | Act::Refused(_) => true,
            }
    });
}
