//! Deciding: what is to be done next, and what people are told.

pub mod certificate;
pub mod event;
pub mod id;
pub mod observed;
pub mod step;

use std::time::Duration;

pub use event::{Event, EventReason, Follows, Severity};
pub use observed::Observed;
pub use step::Step;

use crate::crd::{RaftClusterSpec, RaftClusterStatus};

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
    let _ = spec;
    Plan {
        step: None,
        status: observed.cluster.status.clone(),
        events: Vec::new(),
        again: Duration::from_secs(2),
    }
}
