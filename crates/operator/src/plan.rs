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

use crate::crd::{RaftClusterSpec, RaftClusterStatus};

/// How long nothing may be looked at while something is under way.
const AGAIN_BUSY: Duration = Duration::from_secs(1);

/// The same while nothing is: members do not say by themselves that another one leads.
const AGAIN_CALM: Duration = Duration::from_secs(2);

/// What is to be done, and what people are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one thing to do now, if there is any. Afterwards everything is looked at again.
    pub step: Option<Step>,
    /// The status as it is to be written. If it equals the one that was seen, nothing is written.
    pub status: RaftClusterStatus,
    /// What is to be published, and after what.
    pub events: Vec<Event>,
    /// When to look again at the latest, if nothing is noticed before.
    pub again: Duration,
}

/// Decides what to do about a cluster: pure, total and deterministic.
#[must_use]
pub fn plan(spec: &RaftClusterSpec, observed: &Observed) -> Plan {
    let view = view::View::new(spec, observed);
    let decision = decide::decide(&view);
    let status = report::status(&view, &decision);
    let events = news::events(&view, decision.step.as_ref(), &status);
    let again = match (&decision.step, &status.operation) {
        (Some(_), _) => Duration::ZERO,
        (None, Some(_)) => AGAIN_BUSY,
        (None, None) => AGAIN_CALM,
    };
    Plan { step: decision.step, status, events, again }
}
