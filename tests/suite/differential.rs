//! The differential test: the same random operations to real etcd and to Holdfast, in lockstep.
//! Replies, revisions, errors and what watchers are told must be equal; what may differ is listed
//! in `known`.
//!
//! ```text
//!  seed ─► generate ─► operations ─┬─► Side (etcd)     ─► text ─┐
//!                                  └─► Side (holdfast) ─► text ─┴─ equal? ── no ─► shrink, print
//! ```
//!
//! Each sequence begins with fresh processes, so that a seed is all that a run depends on.
//!
//! | variable | default | |
//! | --- | --- | --- |
//! | `DIFFERENTIAL_OPS` | 100000 | how many operations are compared at least |
//! | `DIFFERENTIAL_SEED` | drawn | the first seed: one that failed comes first |

use std::env;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tests::programs::or_skip;
use tests::{Cluster, Options, Server};

mod generate;
mod known;
mod op;
mod shrink;
mod side;

use op::Op;
use side::Side;

/// How many operations are compared in a run, unless `DIFFERENTIAL_OPS` says otherwise.
const OPS_MIN: u64 = 100_000;
/// How long a sequence is.
const SEQUENCE_LEN: usize = 1000;
/// How many sequences run at once.
const PAIRS: usize = 3;

/// Two clusters that are compared.
#[derive(Clone, Debug)]
struct Pair {
    left: Options,
    right: Options,
}

/// Where two clusters were seen to differ.
#[derive(Debug)]
struct Difference {
    /// How many operations came before.
    at: usize,
    op: String,
    left: String,
    right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { at, op, left, right } = self;
        let (op, left, right) = (cut(op), cut(left), cut(right));
        write!(f, "operation {at}, {op}\n left: {left}\nright: {right}")
    }
}

/// Returns the beginning of a text that is long.
fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 2000;
    let mut cut: String = text.chars().take(CHARS_MAX).collect();
    cut.push_str(if cut.len() < text.len() { "…" } else { "" });
    cut
}

impl Pair {
    fn of(left: Options, right: Options) -> Pair {
        // Elections cannot matter with one member, and short ones start sooner.
        let quick = ["--heartbeat-interval=20", "--election-timeout=200"];
        let slow = ["--heartbeat-interval=100", "--election-timeout=1000"];
        let timing = if right.members > 1 { slow } else { quick };
        Pair { left: left.flags(&timing).in_memory(), right: right.flags(&timing).in_memory() }
    }

    /// Returns the operations that follow from a seed.
    fn sequence(&self, seed: u64) -> Vec<Op> {
        let mut ops = generate::sequence(seed, SEQUENCE_LEN);
        if self.left.members != self.right.members {
            // Of these, each has its own.
            ops.retain(|op| !matches!(op, Op::Members));
        }
        ops
    }

    /// Starts both, executes a sequence on both, and returns the first difference.
    fn run(&self, ops: &[Op]) -> Result<Option<Difference>> {
        let left = Cluster::start(self.left.clone())?;
        let right = Cluster::start(self.right.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut left, mut right) = (Side::new(&left)?, Side::new(&right)?);
            for (at, op) in ops.iter().enumerate() {
                let (left, right) = tokio::join!(left.execute(op), right.execute(op));
                if let Some(difference) = difference(at, Some(op), left, right) {
                    return Ok(Some(difference));
                }
            }
            let (left, right) = tokio::join!(left.finish(), right.finish());
            Ok(difference(ops.len(), None, left, right))
        })
    }
}

/// Compares what both sides answered to an operation, or, without one, what was told at the end.
fn difference(at: usize, op: Option<&Op>, left: String, right: String) -> Option<Difference> {
    let is_broken = left.contains("BROKEN") || right.contains("BROKEN");
    let is_known = || op.is_some_and(|op| known::is_known(op, &left, &right));
    if !is_broken && (left == right || is_known()) {
        return None;
    }
    let op = op.map_or("the end".to_owned(), Op::draw);
    Some(Difference { at, op, left, right })
}

/// Compares sequences until `ops_min` operations were executed, several at once. Shortens the first
/// that differs, and panics.
fn compare(pair: &Pair, first_seed: u64, ops_min: u64) {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let first_found = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..PAIRS {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < ops_min {
                    let seed = first_seed.wrapping_add(next.fetch_add(1, Ordering::Relaxed));
                    let ops = pair.sequence(seed);
                    let found = pair.run(&ops).expect("both clusters start");
                    if let Some(found) = found {
                        // The others stop soon.
                        done.store(ops_min, Ordering::Relaxed);
                        first_found.lock().expect("nobody panics").get_or_insert((seed, found));
                    }
                    done.fetch_add(SEQUENCE_LEN as u64, Ordering::Relaxed);
                }
            });
        }
    });
    if let Some((seed, found)) = first_found.into_inner().expect("nobody panicked") {
        panic!("{}", report(pair, seed, &pair.sequence(seed), &found));
    }
    let (ops, took) = (done.load(Ordering::Relaxed), began.elapsed());
    println!("differential: {ops} operations are equal, in {took:.1?}, from seed {first_seed}");
}

/// Shortens a sequence that differs, and says how to see it again.
fn report(pair: &Pair, seed: u64, ops: &[Op], found: &Difference) -> String {
    const TRIES: usize = 3;
    eprintln!("seed {seed} differs, and is shortened, which takes a while: {found}");
    let upto = &ops[..ops.len().min(found.at + 1)];
    let differs = |ops: &[Op]| pair.run(ops).is_ok_and(|found| found.is_some());
    let again = format!("DIFFERENTIAL_SEED={seed} cargo test -p tests differential -- --nocapture");
    if !(0..TRIES).any(|_| differs(upto)) {
        return format!("seed {seed} differs: {found}\nbut not again in {TRIES} runs: {again}");
    }
    let mut shortest = shrink::shrink(upto, differs);
    for at in 0..shortest.len() {
        shortest = shrink::shrink_parts(&shortest, at, differs);
    }
    let drawn: Vec<String> =
        shortest.iter().enumerate().map(|(at, op)| format!("{at:4} {}", cut(&op.draw()))).collect();
    let last = (0..TRIES).find_map(|_| pair.run(&shortest).ok().flatten());
    let last = last.map_or("(not every time)".to_owned(), |last| last.to_string());
    let drawn = drawn.join("\n");
    format!("seed {seed} differs: {found}\n\nshortest sequence:\n{drawn}\n{last}\n\nagain: {again}")
}

/// Returns the number that an environment variable holds.
fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} wants a number, and is `{value}`")))
}

fn first_seed() -> u64 {
    number("DIFFERENTIAL_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
        now.as_secs() * 1000
    })
}

#[test]
fn differential_finds_nothing_between_etcd_and_holdfast() {
    let name = "differential_finds_nothing_between_etcd_and_holdfast";
    let Some(_) = or_skip(name, Server::Etcd.program()) else { return };
    let pair = Pair::of(Options::new(Server::Etcd, 1), Options::new(Server::Holdfast, 1));
    compare(&pair, first_seed(), number("DIFFERENTIAL_OPS").unwrap_or(OPS_MIN));
}

#[test]
fn differential_finds_nothing_between_one_etcd_and_three_holdfasts() {
    let name = "differential_finds_nothing_between_one_etcd_and_three_holdfasts";
    let Some(_) = or_skip(name, Server::Etcd.program()) else { return };
    let pair = Pair::of(Options::new(Server::Etcd, 1), Options::new(Server::Holdfast, 3));
    compare(&pair, first_seed(), number("DIFFERENTIAL_OPS").unwrap_or(OPS_MIN) / 10);
}

#[test]
fn differential_finds_nothing_between_etcd_and_itself() {
    let name = "differential_finds_nothing_between_etcd_and_itself";
    let Some(_) = or_skip(name, Server::Etcd.program()) else { return };
    let pair = Pair::of(Options::new(Server::Etcd, 1), Options::new(Server::Etcd, 1));
    compare(&pair, first_seed(), number("DIFFERENTIAL_OPS").unwrap_or(OPS_MIN) / 50);
}

#[test]
fn differential_finds_a_server_that_allows_fewer_operations() {
    let name = "differential_finds_a_server_that_allows_fewer_operations";
    let Some(_) = or_skip(name, Server::Etcd.program()) else { return };
    let strict = Options::new(Server::Etcd, 1).flags(&["--max-txn-ops=2"]);
    let pair = Pair::of(Options::new(Server::Etcd, 1), strict);
    let ops = generate::sequence(1, 200);
    let found = pair.run(&ops).expect("both start").expect("some transactions are larger");
    let few = shrink::shrink(&ops[..=found.at], |ops| pair.run(ops).expect("both start").is_some());
    assert_eq!(few.len(), 1, "one transaction is all that is needed, not {few:?}");
}
