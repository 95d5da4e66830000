//! Runs one seed of whole members, and tells what came of it.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::options::{Fault, Options};
use super::probe::Probes;
use crate::checker::Violation;
use crate::run::{Record, violation_of};
use crate::trace::{Trace, What};

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What must not have happened; `None` if all is well.
    pub violation: Option<Violation>,
    /// What happened, if it was recorded.
    pub trace: Option<Trace>,
    /// Which situations were seen.
    pub probes: Probes,
    /// How often each class of faults struck.
    pub struck: BTreeMap<Fault, u64>,
    /// For how long the cluster ran, in simulated microseconds.
    pub simulated: u64,
    /// How many events there were.
    pub events: u64,
}

/// Runs what `options` say.
#[must_use]
pub fn run(options: &Options, record: Record) -> Outcome {
    let mut cluster = Cluster::new(options.clone(), record);
    let violation = violation_of(|| cluster.run());
    if let (Some(violation), Some(trace)) = (&violation, &mut cluster.trace) {
        trace.push(cluster.now, What::Note { text: violation.to_string() });
    }
    Outcome {
        violation,
        trace: cluster.trace,
        probes: cluster.probes,
        struck: cluster.struck,
        simulated: cluster.now,
        events: cluster.events,
    }
}

/// Runs what a seed draws.
#[must_use]
pub fn run_seed(seed: u64, record: Record) -> Outcome {
    run(&Options::draw(seed), record)
}
