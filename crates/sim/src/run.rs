//! Runs one seed, and tells what came of it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::checker::{Verdict, Violation};
use crate::cluster::Cluster;
pub use crate::cluster::Record;
use crate::options::{Fault, Options};
use crate::probe::Probes;
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

thread_local! {
    /// Where this thread last panicked.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes panics quiet, and remembers where they were: a run reports them as violations.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PANICKED_AT.with_borrow_mut(|at| *at = place);
    }));
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

/// Runs something to its end. That it panics is a violation as well: whatever did is not used any
/// more, and what is outside it holds only data.
pub(crate) fn violation_of(run: impl FnOnce() -> Verdict) -> Option<Violation> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(verdict) => verdict.err(),
        Err(payload) => Some(panicked(payload.as_ref())),
    }
}

pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Violation {
    let text = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned());
    let place = PANICKED_AT.take();
    let text = text.lines().collect::<Vec<_>>().join(" ");
    let oracle = if place.contains("crates/sim/") { "simulator" } else { "assertion" };
    Violation { oracle, text: format!("{text} ({place})") }
}
