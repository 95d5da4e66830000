//! Running one seed, or one script, and looking at it closely.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sim::options::{Fault, Options};
use sim::run::{Record, run};

use crate::report;

/// What is to be run, and what is to come of it.
pub(crate) struct Wish {
    pub(crate) seed: u64,
    /// The faults to switch off, with commas between them.
    pub(crate) without: Option<String>,
    /// How long the fire is to last.
    pub(crate) milliseconds: Option<u64>,
    /// Where the picture goes.
    pub(crate) html: Option<String>,
    /// Where the trace goes.
    pub(crate) trace: Option<String>,
}

/// Runs one seed.
pub(crate) fn seed(wish: &Wish) -> Result<ExitCode> {
    let mut options = Options::draw(wish.seed);
    for word in wish.without.iter().flat_map(|words| words.split(',')) {
        let Some(fault) = Fault::ALL.iter().find(|fault| fault.word() == word) else {
            let known: Vec<&str> = Fault::ALL.iter().map(|fault| fault.word()).collect();
            bail!("there is no fault `{word}`; there are {}", known.join(", "));
        };
        options.switch_off(*fault);
    }
    if let Some(milliseconds) = wish.milliseconds {
        options.duration = milliseconds * 1000;
    }
    println!("{options:#?}");
    let outcome = run(&options, Record::Trace);
    let trace = outcome.trace.as_ref().context("the run has kept a trace")?;
    report::keep(trace, wish.html.as_deref(), wish.trace.as_deref())?;
    report::length(outcome.events, outcome.simulated);
    let Some(violation) = outcome.violation else {
        println!("seed {}: all is well", wish.seed);
        return Ok(ExitCode::SUCCESS);
    };
    println!("seed {}: {violation}", wish.seed);
    if wish.without.is_none() && wish.milliseconds.is_none() {
        report::smaller(&options, violation.oracle);
    }
    Ok(ExitCode::FAILURE)
}

/// Runs a script of a stage, and draws what happened.
pub(crate) fn script(file: &str, html: Option<&str>) -> Result<ExitCode> {
    let trace = sim::script::trace(file.as_ref())?;
    let page = sim::html::render(&trace);
    match html {
        Some(path) => {
            std::fs::write(path, page).with_context(|| format!("cannot write {path}"))?;
            println!("the picture is in {path}");
        }
        None => println!("{page}"),
    }
    Ok(ExitCode::SUCCESS)
}
