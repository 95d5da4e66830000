//! Running clusters of whole members.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use sim::run::Record;
use sim::whole::options::{Fault, Options};
use sim::whole::probe::{Probe, Probes};
use sim::whole::run::run;

use crate::args::Args;
use crate::many::{self, Done, Plan};
use crate::report::{self, Sum};

/// The seeds that the smoke test always runs.
const SMOKE_KNOWN: u64 = 600;
/// The seeds that it runs beside them, which nobody has run before.
const SMOKE_FRESH: u64 = 24;

/// Does what the words after `whole` say.
pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    if let Some(word) = args.take_command() {
        if word != "hunt" {
            bail!("there is no command `whole {word}`");
        }
        let (from, seeds_max) = args.take_hunt()?;
        return Ok(many::hunt(from, seeds_max, violation_of));
    }
    if let Some(minutes) = args.take_number("--minutes")? {
        let from = args.take_number("--from")?;
        let threads = args.take_number("--threads")?;
        args.finish()?;
        return Ok(long(minutes, from, threads));
    }
    let Some(seed) = args.take_number("--seed")? else {
        bail!("`sim whole` wants --seed or --minutes");
    };
    let mut options = Options::draw(seed);
    if let Some(words) = args.take_word("--without")? {
        switch_off(&mut options, &words)?;
    }
    if let Some(milliseconds) = args.take_number("--milliseconds")? {
        options.duration = milliseconds * 1000;
    }
    let (html, trace) = (args.take_word("--html")?, args.take_word("--trace")?);
    args.finish()?;
    one(&options, html.as_deref(), trace.as_deref())
}

fn switch_off(options: &mut Options, words: &str) -> Result<()> {
    for word in words.split(',') {
        let Some(fault) = Fault::ALL.iter().find(|fault| fault.word() == word) else {
            let known: Vec<&str> = Fault::ALL.iter().map(|fault| fault.word()).collect();
            bail!("there is no fault `{word}`; there are {}", known.join(", "));
        };
        options.switch_off(*fault);
    }
    Ok(())
}

fn one(options: &Options, html: Option<&str>, trace: Option<&str>) -> Result<ExitCode> {
    println!("{options:#?}");
    let outcome = run(options, Record::Trace);
    let kept = outcome.trace.as_ref().context("the run has kept a trace")?;
    report::keep(kept, html, trace)?;
    report::length(outcome.events, outcome.simulated);
    let Some(violation) = outcome.violation else {
        println!("seed {}: all is well", options.seed);
        return Ok(ExitCode::SUCCESS);
    };
    println!("seed {}: {violation}", options.seed);
    Ok(ExitCode::FAILURE)
}

/// Runs known seeds and fresh ones.
pub(crate) fn smoke() -> ExitCode {
    let fresh = many::fresh_seed();
    println!("smoke of whole members: seeds 0..{SMOKE_KNOWN}, and fresh ones from {fresh} on");
    let seeds = vec![0..SMOKE_KNOWN, fresh..fresh + SMOKE_FRESH];
    let sum = many(Plan { seeds, time_max: None, threads: many::processors() });
    if sum == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn long(minutes: u64, from: Option<u64>, threads: Option<u64>) -> ExitCode {
    let from = from.unwrap_or_else(many::fresh_seed);
    println!("running whole members, seeds from {from} on, for {minutes} min");
    let threads = threads.and_then(|threads| usize::try_from(threads).ok());
    let violations = many(Plan {
        seeds: std::iter::once(from..u64::MAX).collect(),
        time_max: Some(std::time::Duration::from_secs(60 * minutes)),
        threads: threads.unwrap_or_else(many::processors),
    });
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn violation_of(seed: u64) -> Option<String> {
    run(&Options::draw(seed), Record::Counts).violation.map(|violation| violation.to_string())
}

fn many(plan: Plan) -> u64 {
    let sum: Mutex<Sum<Fault, Probes>> = Mutex::default();
    let total = many::all(&plan, &|seed, tell| {
        let options = Options::draw(seed);
        let outcome = run(&options, Record::Counts);
        if let (Some(violation), true) = (&outcome.violation, tell) {
            println!("\nseed {seed} fails at {}: {violation}", report::commit());
            println!("    cargo xtask sim whole --seed {seed} --html failure.html");
        }
        let mut sum = sum.lock().expect("no worker panics with the lock");
        sum.add(options.faults(), &outcome.struck);
        sum.probes.add(&outcome.probes);
        Done {
            is_violated: outcome.violation.is_some(),
            simulated: outcome.simulated,
            events: outcome.events,
        }
    });
    let sum = sum.into_inner().expect("no worker panics with the lock");
    let hits = Probe::ALL.iter().map(|probe| (sum.probes.count(*probe), probe.text()));
    sum.print(Fault::ALL, hits);
    for probe in sum.probes.missing() {
        println!("never happened: {}", probe.text());
    }
    println!(
        "{} seeds of whole members, {:.1} simulated hours, {} events, {} violations",
        total.seeds,
        report::seconds(total.simulated) / 3600.0,
        total.events,
        total.violations
    );
    total.violations
}
