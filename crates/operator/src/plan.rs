//! Deciding: what is to be done next, and what people are told.
//!
//! The function [`plan()`] is pure: it knows what it is given, and the only time it knows is
//! [`Observed::now`]. It names at most one step, after which everything is looked at again: so the
//! operator may die after any step, and whoever comes next goes on from what is there.

pub mod certificate;
mod condition;
mod decide;
pub mod event;
pub mod id;
mod news;
pub mod observed;
mod operation;
mod refuse;
mod repair;
mod report;
mod roll;
mod scale;
pub mod step;
mod view;

use std::time::Duration;

pub use event::{Event, EventReason, Follows, Severity};
pub use observed::Observed;
pub use step::Step;

use crate::crd::{Operation, RaftClusterSpec, RaftClusterStatus};

/// While a leader answers: members do not say by themselves that another one leads.
const SERVED: Pause = Pause { first: Duration::from_secs(2), longest: Duration::from_secs(2) };

/// The same while something is under way.
const BUSY: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(2) };

/// While processes run and no leader answers: they do not say by themselves that they can be asked.
const UNHEARD: Pause = Pause { first: Duration::from_millis(500), longest: Duration::from_secs(8) };

/// While no process runs: what comes next is noticed. Only nodes, volumes and the clock are not.
const ASLEEP: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// When to look again, if nothing is noticed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// After the first look that saw what is seen now. It doubles with each that sees the same.
    pub first: Duration,
    /// But never to more than this.
    pub longest: Duration,
}

/// What is to be done, and what people are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one thing to do now, if there is any. Afterwards everything is looked at again.
    pub step: Option<Step>,
    /// The status as it is to be written. If it equals the one that was seen, nothing is written.
    pub status: RaftClusterStatus,
    /// What is to be published, and after what.
    pub events: Vec<Event>,
    /// When to look again, if nothing is noticed before, and there is no step.
    pub again: Pause,
}

/// Decides what to do about a cluster: pure, total and deterministic.
#[must_use]
pub fn plan(spec: &RaftClusterSpec, observed: &Observed) -> Plan {
    let view = view::View::new(spec, observed);
    let decision = decide::decide(&view);
    let status = report::status(&view, &decision);
    let events = news::events(&view, decision.step.as_ref(), &status);
    let again = pause(observed, status.operation.as_ref());
    Plan { step: decision.step, status, events, again }
}

fn pause(observed: &Observed, operation: Option<&Operation>) -> Pause {
    if observed.told.is_some() {
        return if operation.is_some() { BUSY } else { SERVED };
    }
    if observed.pods.values().any(|pod| pod.state.is_running()) {
        return UNHEARD;
    }
    // That an operation is overdue is told when it is.
    let left = operation.map(|operation| operation.deadline.0.duration_since(observed.now));
    let left = left.and_then(|left| Duration::try_from(left).ok());
    let left = left.map(|left| left + Duration::from_secs(1));
    Pause { longest: left.map_or(ASLEEP.longest, |left| left.min(ASLEEP.longest)), ..ASLEEP }
}
