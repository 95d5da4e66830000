//! Running many seeds, on all processors.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sim::options::{Fault, Options};
use sim::probe::{Probe, Probes};
use sim::run::{Record, run};

use crate::report::{self, Sum};

/// The seeds that the smoke test always runs.
const SMOKE_KNOWN: u64 = 2000;
/// The seeds that it runs beside them, which nobody has run before.
const SMOKE_FRESH: u64 = 24;
/// So many failures are told in full; more would only be more of the same.
const TOLD_MAX: u64 = 3;
/// After so many failures there is no use in going on.
const VIOLATIONS_MAX: u64 = 20;
/// How often a line of progress is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// When to stop, and which seeds to run.
pub(crate) struct Plan {
    pub(crate) seeds: Vec<std::ops::Range<u64>>,
    pub(crate) time_max: Option<Duration>,
    pub(crate) threads: usize,
}

/// What is counted of one run.
pub(crate) struct Done {
    pub(crate) is_violated: bool,
    pub(crate) simulated: u64,
    pub(crate) events: u64,
}

/// What is counted of many runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) simulated: u64,
    pub(crate) events: u64,
    pub(crate) violations: u64,
}

/// Runs known seeds and fresh ones.
pub(crate) fn smoke() -> ExitCode {
    let fresh = fresh_seed();
    println!("smoke: seeds 0..{SMOKE_KNOWN}, and fresh ones from {fresh} on");
    let seeds = vec![0..SMOKE_KNOWN, fresh..fresh + SMOKE_FRESH];
    let (total, _) = cores(&Plan { seeds, time_max: None, threads: processors() });
    println!(
        "smoke: {} seeds, {:.1} simulated hours, {} violations",
        total.seeds,
        report::seconds(total.simulated) / 3600.0,
        total.violations
    );
    if total.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds for so many minutes.
pub(crate) fn long(minutes: u64, from: Option<u64>, threads: Option<u64>) -> ExitCode {
    let from = from.unwrap_or_else(fresh_seed);
    println!("running seeds from {from} on for {minutes} min");
    let threads = threads.and_then(|threads| usize::try_from(threads).ok());
    let (total, sum) = cores(&Plan {
        seeds: std::iter::once(from..u64::MAX).collect(),
        time_max: Some(Duration::from_secs(60 * minutes)),
        threads: threads.unwrap_or_else(processors),
    });
    let hits = Probe::ALL.iter().map(|probe| (sum.probes.count(*probe), probe.text()));
    sum.print(Fault::ALL, hits);
    println!(
        "{} seeds from {from} on, {:.1} simulated hours, {} events, {} violations",
        total.seeds,
        report::seconds(total.simulated) / 3600.0,
        total.events,
        total.violations
    );
    let missing: Vec<&str> = sum.probes.missing().map(Probe::text).collect();
    for text in &missing {
        println!("never happened: {text}");
    }
    if total.violations == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds from `from` on until one fails; `run` tells what must not have happened.
pub(crate) fn hunt(from: u64, seeds_max: u64, run: fn(u64) -> Option<String>) -> ExitCode {
    for seed in from..from + seeds_max {
        if let Some(violation) = run(seed) {
            println!("found after {} seeds by {violation}", seed - from + 1);
            return ExitCode::FAILURE;
        }
    }
    println!("{seeds_max} seeds");
    ExitCode::SUCCESS
}

/// Runs a seed with cores alone; returns what must not have happened.
pub(crate) fn core(seed: u64) -> Option<String> {
    run(&Options::draw(seed), Record::Counts).violation.map(|violation| violation.to_string())
}

/// Runs a plan with cores alone.
fn cores(plan: &Plan) -> (Total, Sum<Fault, Probes>) {
    let sum: Mutex<Sum<Fault, Probes>> = Mutex::default();
    let total = all(plan, &|seed, tell| {
        let options = Options::draw(seed);
        let outcome = run(&options, Record::Counts);
        {
            let mut sum = sum.lock().expect("no worker panics with the lock");
            sum.add(options.faults(), &outcome.struck);
            sum.probes.add(&outcome.probes);
        }
        let is_violated = outcome.violation.is_some();
        if is_violated && tell {
            report::failure(&options, &outcome);
        }
        Done { is_violated, simulated: outcome.simulated, events: outcome.events }
    });
    (total, sum.into_inner().expect("no worker panics with the lock"))
}

/// Runs a plan on several threads; each takes the next seed when it is done with one. What runs a
/// seed is told whether to tell of a failure.
pub(crate) fn all(plan: &Plan, run: &(dyn Fn(u64, bool) -> Done + Sync)) -> Total {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Total::default());
    let began = now();
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| {
                loop {
                    let is_over = plan.time_max.is_some_and(|max| began.elapsed() >= max);
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = nth_seed(&plan.seeds, nth).filter(|_| !is_over) else { break };
                    let lock = || sum.lock().expect("no worker panics with the lock");
                    let tell = lock().violations < TOLD_MAX;
                    let done = run(seed, tell);
                    let mut sum = lock();
                    sum.seeds += 1;
                    sum.simulated += done.simulated;
                    sum.events += done.events;
                    sum.violations += u64::from(done.is_violated);
                    if VIOLATIONS_MAX <= sum.violations {
                        break;
                    }
                }
            });
        }
        scope.spawn(|| progress(plan, began, &sum, &next));
    });
    sum.into_inner().expect("no worker panics with the lock")
}

/// Prints how far the run has come, until it is over.
fn progress(plan: &Plan, began: Instant, sum: &Mutex<Total>, next: &AtomicU64) {
    let mut printed = Duration::ZERO;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let elapsed = began.elapsed();
        let is_over = plan.time_max.is_some_and(|max| elapsed >= max)
            || nth_seed(&plan.seeds, next.load(Ordering::Relaxed)).is_none();
        let (seeds, simulated, violations) = {
            let sum = sum.lock().expect("no worker panics with the lock");
            (sum.seeds, sum.simulated, sum.violations)
        };
        let is_over = is_over || violations >= VIOLATIONS_MAX;
        if elapsed < printed + PROGRESS_INTERVAL && !is_over {
            continue;
        }
        printed = elapsed;
        #[expect(clippy::cast_precision_loss, reason = "it is only shown")]
        let rate = seeds as f64 / elapsed.as_secs_f64();
        println!(
            "{:>6.0} s {:>22} {seeds:>8} seeds {rate:>7.1}/s {:>8.1} h simulated {violations:>4} \
             violations",
            elapsed.as_secs_f64(),
            bar(plan, elapsed, seeds),
            report::seconds(simulated) / 3600.0,
        );
        // Progress that cannot be shown is no reason to stop.
        std::io::stdout().flush().ok();
        if is_over {
            return;
        }
    }
}

/// Draws how much of the plan is done.
fn bar(plan: &Plan, elapsed: Duration, seeds: u64) -> String {
    const WIDTH: u128 = 20;
    let (done, all) = match plan.time_max {
        Some(max) => (elapsed.as_millis(), max.as_millis()),
        None => {
            let all: u64 = plan.seeds.iter().map(|range| range.end - range.start).sum();
            (u128::from(seeds), u128::from(all))
        }
    };
    let filled = (WIDTH * done.min(all) / all.max(1)).try_into().unwrap_or(0);
    let width = WIDTH.try_into().unwrap_or(0);
    format!("[{:<width$}]", "#".repeat(filled))
}

fn nth_seed(seeds: &[std::ops::Range<u64>], nth: u64) -> Option<u64> {
    let mut left = nth;
    for range in seeds {
        let len = range.end - range.start;
        if left < len {
            return Some(range.start + left);
        }
        left -= len;
    }
    None
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[expect(clippy::disallowed_methods, reason = "it only measures how long the run takes")]
fn now() -> Instant {
    Instant::now()
}

/// A seed that nobody has run before, most likely.
#[expect(clippy::disallowed_methods, reason = "the seed is printed, and all else comes from it")]
pub(crate) fn fresh_seed() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since_1970.as_secs() * 1_000_000 + u64::from(std::process::id() % 1000) * 1000
}
