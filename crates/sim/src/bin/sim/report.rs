//! What is told about runs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::Command;

use anyhow::{Context, Result};
use sim::options::Options;
use sim::run::Outcome;
use sim::shrink::shrink;
use sim::trace::Trace;

/// The faults and probes of many runs.
#[derive(Debug)]
pub(crate) struct Sum<F, P> {
    pub(crate) probes: P,
    struck: BTreeMap<F, u64>,
    /// In how many runs each class of faults was on.
    on: BTreeMap<F, u64>,
}

impl<F, P: Default> Default for Sum<F, P> {
    fn default() -> Sum<F, P> {
        Sum { probes: P::default(), struck: BTreeMap::new(), on: BTreeMap::new() }
    }
}

impl<F: Copy + Ord + Display, P> Sum<F, P> {
    /// Adds the faults of a run: which were on, and how often they struck.
    pub(crate) fn add(&mut self, on: Vec<F>, struck: &BTreeMap<F, u64>) {
        for (fault, count) in struck {
            *self.struck.entry(*fault).or_default() += count;
        }
        for fault in on {
            *self.on.entry(fault).or_default() += 1;
        }
    }

    /// Prints which of all faults struck, and how often each probe was hit.
    pub(crate) fn print<'t>(&self, all: &[F], hits: impl Iterator<Item = (u64, &'t str)>) {
        println!("\n{:>10} {:>12}  fault", "runs", "strikes");
        for fault in all {
            let (on, struck) = (self.on.get(fault), self.struck.get(fault));
            let struck = struck.map_or("always".to_owned(), ToString::to_string);
            println!("{:>10} {struck:>12}  {fault}", on.copied().unwrap_or(0));
        }
        println!("\n{:>10}  probe", "hits");
        for (count, text) in hits {
            println!("{count:>10}  {text}");
        }
        println!();
    }
}

/// Writes what a run has kept where it is wanted: as a picture, and as lines.
pub(crate) fn keep(trace: &Trace, html: Option<&str>, lines: Option<&str>) -> Result<()> {
    if let Some(path) = html {
        std::fs::write(path, sim::html::render(trace))
            .with_context(|| format!("cannot write {path}"))?;
        println!("the picture is in {path}");
    }
    if let Some(path) = lines {
        let lines: String = trace.events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(path, lines).with_context(|| format!("cannot write {path}"))?;
        println!("the trace is in {path}");
    }
    Ok(())
}

/// Tells how long a run was.
pub(crate) fn length(events: u64, simulated: u64) {
    println!("{events} events in {:.1} simulated seconds", seconds(simulated));
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
