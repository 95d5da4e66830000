//! Makes a failing run smaller: fewer faults, a shorter fire, fewer clients.

use crate::options::{Fault, Options};
use crate::run::{Record, run};

/// How often the length of the fire is halved at most.
const HALVINGS: u32 = 8;

/// What is left of a run that still fails in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The smaller run.
    pub options: Options,
    /// What was switched off.
    pub without: Vec<Fault>,
}

/// Switches one thing off after the other as long as `options` fail by the same oracle; `oracle` is
/// the one that they fail by.
#[must_use]
pub fn shrink(options: &Options, oracle: &str) -> Shrunk {
    let fails = |options: &Options| {
        run(options, Record::Counts).violation.is_some_and(|violation| violation.oracle == oracle)
    };
    let mut shrunk = Shrunk { options: options.clone(), without: Vec::new() };
    for fault in options.faults() {
        let mut smaller = shrunk.options.clone();
        smaller.switch_off(fault);
        if fails(&smaller) {
            shrunk.options = smaller;
            shrunk.without.push(fault);
        }
    }
    let (mut passes, mut fails_at) = (0, shrunk.options.duration);
    for _ in 0..HALVINGS {
        let middle = passes + (fails_at - passes) / 2;
        let smaller = Options { duration: middle, ..shrunk.options.clone() };
        if fails(&smaller) { fails_at = middle } else { passes = middle }
    }
    shrunk.options.duration = fails_at;
    shrunk
}
