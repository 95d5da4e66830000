//! Hunting: running seeds with a bug selected until the simulator objects.
//!
//! The simulator's part is `sim hunt --from SEED --seeds-max N`, or `sim whole hunt …`: it runs
//! seeds from SEED on, exits with 0 if N of them pass, and else with 1 after a line
//! `found after COUNT seeds by ORACLE: TEXT`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::mutants::VARIABLE;
use crate::mutants::format::{Hunter, Mutant};

/// A hunt that takes longer has got stuck.
const TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How often a running hunt is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What became of one hunt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An oracle objected.
    Found {
        /// How many seeds it took, the last included.
        seeds: u64,
        /// Which oracle.
        oracle: String,
        /// What it said.
        text: String,
    },
    /// All seeds passed.
    Survived,
    /// The simulator ended otherwise; why, and where its output is.
    Broken(String),
}

/// The results of the bugs hunted for, by their place: one for each start.
pub(crate) type Results = BTreeMap<usize, Vec<Outcome>>;

/// The simulator with all bugs planted.
pub(crate) struct Hunt {
    simulator: PathBuf,
    /// Where the output of each hunt is kept.
    log: PathBuf,
}

/// One hunt to be done: for which bug, and from which of the starts.
struct Job {
    bug: usize,
    nth: usize,
}

impl Outcome {
    pub(crate) fn is_found(&self) -> bool {
        match self {
            Outcome::Found { .. } => true,
            Outcome::Survived | Outcome::Broken(_) => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Found { seeds, oracle, text } => {
                write!(f, "found after {seeds} seeds by {oracle}: {text}")
            }
            Outcome::Survived => f.write_str("survived"),
            Outcome::Broken(reason) => write!(f, "no answer: {reason}"),
        }
    }
}

impl Hunt {
    /// Hunts with this simulator, and keeps what it prints in the directory `log`.
    pub(crate) fn new(simulator: PathBuf, log: PathBuf) -> Result<Hunt> {
        std::fs::create_dir_all(&log)
            .with_context(|| format!("cannot create {}", log.display()))?;
        Ok(Hunt { simulator, log })
    }

    /// Hunts for each of the `chosen` bugs from each start, on all processors, and prints what is
    /// found as it is found.
    pub(crate) fn run_all(
        &self,
        mutants: &[Mutant],
        chosen: &[usize],
        starts: &[u64],
        seeds_max: u64,
    ) -> Result<Results> {
        let jobs = chosen.iter().flat_map(|bug| {
            let bug = *bug;
            (0..starts.len()).map(move |nth| Job { bug, nth })
        });
        let jobs: Mutex<VecDeque<Job>> = Mutex::new(jobs.collect());
        let (sender, receiver) = mpsc::channel();
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let sender = sender.clone();
                let jobs = &jobs;
                scope.spawn(move || {
                    loop {
                        let job = jobs.lock().expect("no worker panics with the lock").pop_front();
                        let Some(Job { bug, nth }) = job else { break };
                        let (number, hunter) = (super::number(bug), mutants[bug].hunter);
                        let outcome = self.run(hunter, number, starts[nth], seeds_max);
                        if sender.send((bug, nth, outcome)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            collect(mutants, chosen.len(), starts.len(), &receiver, &jobs)
        })
    }

    /// Hunts for the bug with this number, zero being none, from one seed on.
    pub(crate) fn run(
        &self,
        hunter: Hunter,
        number: u32,
        from: u64,
        seeds_max: u64,
    ) -> Result<Outcome> {
        let command: &[&str] = match hunter {
            Hunter::Core => &["hunt"],
            Hunter::Whole => &["whole", "hunt"],
        };
        let log = self.log.join(format!("{}-{number}-from-{from}.txt", command.join("-")));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(&self.simulator)
            .args(command)
            .args(["--from", &from.to_string(), "--seeds-max", &seeds_max.to_string()])
            .env(VARIABLE, number.to_string())
            .stderr(output.try_clone().context("cannot share the log")?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot run {}", self.simulator.display()))?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().context("cannot wait for the simulator")? {
                break status;
            }
            if began.elapsed() > TIME_MAX {
                child.kill().context("cannot stop the simulator")?;
                child.wait().context("cannot wait for the simulator")?;
                let minutes = TIME_MAX.as_secs() / 60;
                return Ok(Outcome::Broken(format!("stuck for {minutes} min; {}", log.display())));
            }
            std::thread::sleep(POLL_INTERVAL);
        };
        let bytes =
            std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(match read_outcome(status, &text) {
            Outcome::Broken(reason) => Outcome::Broken(format!("{reason}; {}", log.display())),
            outcome @ (Outcome::Found { .. } | Outcome::Survived) => outcome,
        })
    }
}

/// Takes what the workers send until all is done, and prints each bug when its last hunt ends.
fn collect(
    mutants: &[Mutant],
    bugs_len: usize,
    starts_len: usize,
    receiver: &mpsc::Receiver<(usize, usize, Result<Outcome>)>,
    jobs: &Mutex<VecDeque<Job>>,
) -> Result<Results> {
    let mut partial: BTreeMap<usize, BTreeMap<usize, Outcome>> = BTreeMap::new();
    let mut done = 0;
    let mut failure = None;
    for (bug, nth, outcome) in receiver {
        match outcome {
            Ok(outcome) => {
                let outcomes = partial.entry(bug).or_default();
                outcomes.insert(nth, outcome);
                if outcomes.len() == starts_len {
                    done += 1;
                    println!("[{done}/{bugs_len}] {}", report(&mutants[bug], outcomes.values()));
                }
            }
            Err(error) => {
                // The other hunts would fail alike.
                jobs.lock().expect("no worker panics with the lock").clear();
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(partial
            .into_iter()
            .map(|(bug, outcomes)| (bug, outcomes.into_values().collect()))
            .collect()),
    }
}

fn report<'a>(mutant: &Mutant, outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let mut text = mutant.name.clone();
    for outcome in outcomes {
        text.push_str("\n    ");
        text.push_str(&outcome.to_string());
    }
    text
}

/// Reads how a hunt ended from the simulator's exit and output.
fn read_outcome(status: ExitStatus, output: &str) -> Outcome {
    let found = output.lines().find_map(read_found);
    match (status.code(), found) {
        (Some(0), None) => Outcome::Survived,
        (Some(1), Some(found)) => found,
        _ => Outcome::Broken(format!("ended with {status}, and not as a hunt does")),
    }
}

fn read_found(line: &str) -> Option<Outcome> {
    let (seeds, rest) = line.strip_prefix("found after ")?.split_once(" seeds by ")?;
    let (oracle, text) = rest.split_once(": ")?;
    let seeds = seeds.parse().ok()?;
    Some(Outcome::Found { seeds, oracle: oracle.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// The status of a process that exits with this code.
    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn find_is_read_from_its_line() {
        let output = "some\nfound after 12 seeds by log matching: m1 and m2: differ\n";
        let expected = Outcome::Found {
            seeds: 12,
            oracle: "log matching".to_owned(),
            text: "m1 and m2: differ".to_owned(),
        };
        assert_eq!(read_outcome(exited(1), output), expected);
    }

    #[test]
    fn hunt_without_objection_survived() {
        assert_eq!(read_outcome(exited(0), "20000 seeds\n"), Outcome::Survived);
    }

    #[test]
    fn hunt_that_ends_otherwise_is_neither_found_nor_survived() {
        let killed = ExitStatus::from_raw(9);
        let found = "found after 1 seeds by x: y\n";
        for (status, output) in [(exited(101), "panicked"), (killed, ""), (exited(0), found)] {
            let outcome = read_outcome(status, output);
            assert!(matches!(outcome, Outcome::Broken(_)), "{status}: {outcome}");
        }
        assert!(matches!(read_outcome(exited(1), "no such option"), Outcome::Broken(_)), "no line");
    }
}
