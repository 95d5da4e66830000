//! What is told about runs.

use std::collections::BTreeMap;
use std::process::Command;

use sim::options::{Fault, Options};
use sim::probe::{Probe, Probes};
use sim::run::Outcome;
use sim::shrink::shrink;

/// The sum of many runs.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) seeds: u64,
    pub(crate) simulated: u64,
    pub(crate) events: u64,
    pub(crate) violations: u64,
    pub(crate) probes: Probes,
    struck: BTreeMap<Fault, u64>,
    /// In how many runs each class of faults was on.
    on: BTreeMap<Fault, u64>,
}

impl Sum {
    /// Adds a run.
    pub(crate) fn add(&mut self, options: &Options, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.events += outcome.events;
        self.violations += u64::from(outcome.violation.is_some());
        self.probes.add(&outcome.probes);
        for (fault, count) in &outcome.struck {
            *self.struck.entry(*fault).or_default() += count;
        }
        for fault in options.faults() {
            *self.on.entry(fault).or_default() += 1;
        }
    }

    /// Prints which faults struck and which probes were hit.
    pub(crate) fn print(&self) {
        println!("\n{:>10} {:>12}  fault", "runs", "strikes");
        for fault in Fault::ALL {
            let (on, struck) = (self.on.get(fault), self.struck.get(fault));
            let struck = struck.map_or("always".to_owned(), ToString::to_string);
            println!("{:>10} {struck:>12}  {fault}", on.copied().unwrap_or(0));
        }
        println!("\n{:>10}  probe", "hits");
        for probe in Probe::ALL {
            println!("{:>10}  {}", self.probes.count(*probe), probe.text());
        }
        println!();
    }
}

/// Simulated microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "it is only shown")]
pub(crate) fn seconds(simulated: u64) -> f64 {
    simulated as f64 / 1e6
}

/// Tells how to see a failing run again, and what is left of it when it is made smaller.
pub(crate) fn failure(options: &Options, outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    println!("\nseed {} fails at {}: {violation}", options.seed, commit());
    println!("    cargo xtask sim --seed {} --html failure.html", options.seed);
    smaller(options, violation.oracle);
}

/// Makes a failing run smaller, and tells how to see that.
pub(crate) fn smaller(options: &Options, oracle: &str) {
    let shrunk = shrink(options, oracle);
    let words: Vec<&str> = shrunk.without.iter().map(|fault| fault.word()).collect();
    let left: Vec<&str> = shrunk.options.faults().iter().map(|fault| fault.word()).collect();
    let without =
        if words.is_empty() { String::new() } else { format!(" --without {}", words.join(",")) };
    println!(
        "it fails with {} alone:\n    cargo xtask sim --seed {}{without} --milliseconds {} --html \
         failure.html",
        if left.is_empty() { "no faults".to_owned() } else { left.join(", ") },
        options.seed,
        shrunk.options.duration.div_ceil(1000),
    );
}

/// The commit that is checked out, as far as that is known.
pub(crate) fn commit() -> String {
    let answer = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    match answer {
        Ok(output) if output.status.success() => {
            format!("commit {}", String::from_utf8_lossy(&output.stdout).trim())
        }
        Ok(_) | Err(_) => "an unknown commit".to_owned(),
    }
}
