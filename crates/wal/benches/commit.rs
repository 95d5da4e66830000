//! How fast batches become durable on the real disk, with so many entries of 330 bytes in flight.
//!
//! `cargo bench -p wal` writes to a directory of the build, prints for each number of entries how
//! many become durable per second, and how long one commit takes. Each figure is the median of the
//! rounds, with the slowest and the fastest.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use disk::RealDisk;
use raft::{Entry, EntryId, HardState, Index, Membership, Payload, SnapshotMeta, Term};
use wal::{Batch, Options, Wal};

const ROUNDS: usize = 5;
const ROUND_TIME: Duration = Duration::from_millis(800);
const COMMAND_BYTES: usize = 330;
/// The log is trimmed each time so many entries are durable, so that segments are used again.
const TRIM_ENTRIES: u64 = 400_000;

fn main() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("commit-bench");
    println!("in flight    entries/s (slowest..fastest)    µs per commit: p50   p99");
    for in_flight in [1, 10, 100, 1000] {
        let mut rates = Vec::new();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            rates.push(round(&dir, in_flight, &mut times));
        }
        rates.sort_by(f64::total_cmp);
        times.sort_unstable();
        let micros = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e6;
        println!(
            "{in_flight:>9} {:>12.0} ({:.0}..{:.0}) {:>24.0} {:>5.0}",
            rates[ROUNDS / 2],
            rates[0],
            rates[ROUNDS - 1],
            micros(50),
            micros(99)
        );
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// An entry with this command.
fn entry(index: u64, command: &Bytes) -> Entry {
    let payload = Payload::Command(command.clone());
    Entry { index: Index(index), term: Term(1), payload }
}

/// Writes for a while, all in flight as one batch; returns entries per second.
fn round(dir: &Path, in_flight: u64, times: &mut Vec<Duration>) -> f64 {
    let _ = std::fs::remove_dir_all(dir);
    let (mut wal, _) =
        Wal::open(Arc::new(RealDisk::new()), Options::new(dir, 1)).expect("a disk to use");
    if let Some(preparation) = wal.prepare_next() {
        wal.adopt(preparation.run().expect("space for a segment"));
    }
    let command = Bytes::from(vec![0x5a; COMMAND_BYTES]);
    let mut last = 0;
    let began = Instant::now();
    while began.elapsed() < ROUND_TIME {
        let commit_began = Instant::now();
        let state = HardState { term: Term(1), vote: None, commit: Index(last) };
        let indexes = last + 1..=last + in_flight;
        last += in_flight;
        let entries: Vec<Entry> = indexes.map(|index| entry(index, &command)).collect();
        let batch = Batch { entries: &entries, hard_state: Some(state), ..Batch::default() };
        wal.append(&batch).expect("the batch is small");
        wal.commit().expect("the disk works");
        times.push(commit_began.elapsed());
        if last % TRIM_ENTRIES < in_flight {
            let id = EntryId::new(Index(last), Term(1));
            let mark = SnapshotMeta { id, membership: Membership::default() };
            wal.append(&Batch { mark: Some(&mark), ..Batch::default() }).expect("it is small");
            wal.release(Index(last)).expect("the mark covers it");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = last as f64 / seconds;
    rate
}
