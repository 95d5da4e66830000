//! How fast the store is by itself, beside a sorted map of the standard library: one thread, a
//! million keys of 32 bytes with values of 256 bytes.
//!
//! `cargo bench -p mvcc` prints the time of one operation in nanoseconds, the median of the rounds
//! with the fastest and the slowest. Keys are drawn at random, so most of them are not in the
//! cache. An argument gives another number of keys.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::LazyLock;
use std::time::Instant;

use mvcc::{
    Answer, Checkpoint, EventFilter, EventLimits, KeyRange, Loader, Previous, Progress,
    RangeRequest, Revision, Store,
};

const KEYS_LEN: u64 = 1_000_000;
const ROUNDS: usize = 5;
const VALUE: [u8; 256] = [b'v'; 256];
/// How many views are held while writing, as a server would for readers of the past.
const VIEWS_MAX: usize = 1_000;

/// Draws keys, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn key(number: u64) -> [u8; 32] {
    let mut key = *b"/registry/pods/0000000000000000x";
    let digits = format!("{number:016}");
    key[15..31].copy_from_slice(digits.as_bytes());
    key
}

/// The time so far, in nanoseconds: of this thread on a processor if the system tells.
fn nanoseconds() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = told.and_then(|text| text.split(' ').next()?.parse().ok());
    busy.unwrap_or_else(|| BEGAN.elapsed().as_secs_f64() * 1e9)
}

/// Runs something in rounds and prints how long one operation took.
fn measure(name: &str, operations: u64, mut round: impl FnMut(&mut Dice)) {
    let mut times: Vec<f64> = Vec::new();
    for at in 0..ROUNDS {
        let mut dice = Dice(at as u64);
        let began = nanoseconds();
        round(&mut dice);
        times.push((nanoseconds() - began) / operations as f64);
    }
    times.sort_by(f64::total_cmp);
    let (fastest, slowest) = (times[0], times[ROUNDS - 1]);
    println!("{name:44} {:>12.0} ns  ({fastest:.0} to {slowest:.0})", times[ROUNDS / 2]);
}

fn put(store: &mut Store, number: u64) {
    let mut transaction = store.write();
    transaction.put(&key(number), &VALUE, None);
    black_box(transaction.commit());
}

fn compacted(store: &mut Store) {
    let revision = store.now().revision();
    if store.compact(revision).is_ok() {
        while store.compact_step(NonZeroUsize::MAX) == Progress::Unfinished {}
    }
}

/// The numbers of all keys, shuffled.
fn shuffled(keys: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..keys).collect();
    let mut dice = Dice(99);
    for at in (1..numbers.len()).rev() {
        let other = dice.below(at as u64 + 1);
        numbers.swap(at, usize::try_from(other).expect("an index"));
    }
    numbers
}

fn standard_map(keys: u64) {
    let numbers = shuffled(keys);
    let mut map: BTreeMap<Box<[u8]>, Box<[u8]>> = BTreeMap::new();
    measure("std: load in ascending order", keys, |_| {
        map = BTreeMap::new();
        for number in 0..keys {
            map.insert(key(number).into(), VALUE.into());
        }
    });
    measure("std: load in random order", keys, |_| {
        map = BTreeMap::new();
        for number in &numbers {
            map.insert(key(*number).into(), VALUE.into());
        }
    });
    measure("std: overwrite", 200_000, |dice| {
        for _ in 0..200_000 {
            map.insert(key(dice.below(keys)).into(), VALUE.into());
        }
    });
    measure("std: get", 200_000, |dice| {
        for _ in 0..200_000 {
            black_box(map.get(&key(dice.below(keys))[..]).map(|value| value[0]));
        }
    });
    measure("std: range of 100, one byte of each", 20_000, |dice| {
        for _ in 0..20_000 {
            let start = key(dice.below(keys));
            let range = map.range::<[u8], _>((Included(&start[..]), Unbounded)).take(100);
            black_box(range.fold(0, |sum, (_, value)| sum + u64::from(value[0])));
        }
    });
    measure("std: count of a tenth of the keys", 5, |dice| {
        for _ in 0..5 {
            let start = dice.below(keys - keys / 10);
            let (start, end) = (key(start), key(start + keys / 10));
            black_box(map.range::<[u8], _>((Included(&start[..]), Excluded(&end[..]))).count());
        }
    });
}

fn writes(store: &mut Store, keys: u64) {
    let numbers = shuffled(keys);
    measure("store: put new keys in ascending order", keys, |_| {
        *store = Store::new();
        for number in 0..keys {
            put(store, number);
        }
    });
    measure("store: put new keys in random order", keys, |_| {
        *store = Store::new();
        for number in &numbers {
            put(store, *number);
        }
    });
    measure("store: overwrite", 200_000, |dice| {
        for _ in 0..200_000 {
            put(store, dice.below(keys));
        }
    });
    for (every, name) in [
        (100, "store: overwrite, a view held of each 100th"),
        (1, "store: overwrite, a view held of each"),
    ] {
        compacted(store);
        let mut views = VecDeque::new();
        measure(name, 200_000, |dice| {
            for at in 0..200_000 {
                put(store, dice.below(keys));
                if at % every == 0 {
                    views.push_back(store.view());
                    if views.len() > VIEWS_MAX {
                        views.pop_front();
                    }
                }
            }
        });
    }
}

fn reads(store: &Store, keys: u64) {
    let view = store.view();
    measure("store: get", 200_000, |dice| {
        for _ in 0..200_000 {
            black_box(view.get(&key(dice.below(keys))).map(|version| version.encoded().bytes()[0]));
        }
    });
    measure("store: range of 100, one byte of each", 20_000, |dice| {
        for _ in 0..20_000 {
            let start = key(dice.below(keys));
            let limit = NonZeroUsize::new(100);
            let request = RangeRequest { limit, ..RangeRequest::of(KeyRange::From(&start)) };
            let result = view.range(&request).expect("the current revision is there");
            let bytes = result.versions.iter().map(|version| version.encoded().bytes()[0]);
            black_box(bytes.fold(0, |sum, byte| sum + u64::from(byte)));
        }
    });
    measure("store: count of a tenth of the keys", 20_000, |dice| {
        for _ in 0..20_000 {
            let start = dice.below(keys - keys / 10);
            let (start, end) = (key(start), key(start + keys / 10));
            let keys = KeyRange::Between(&start, &end);
            let request = RangeRequest { answer: Answer::Count, ..RangeRequest::of(keys) };
            black_box(view.range(&request).expect("the current revision is there").count);
        }
    });
}

fn history(store: &mut Store, keys: u64) {
    compacted(store);
    let began = store.now().revision();
    let mut dice = Dice(5);
    for _ in 0..200_000 {
        put(store, dice.below(keys));
    }
    let view = store.view();
    let then = Some(Revision(began.0 + 100_000));
    measure("store: range of 1000 at an old revision", 500, |dice| {
        for _ in 0..500 {
            let start = dice.below(keys - 1000);
            let (start, end) = (key(start), key(start + 1000));
            let request = RangeRequest {
                revision: then,
                ..RangeRequest::of(KeyRange::Between(&start, &end))
            };
            black_box(view.range(&request).expect("the revision is there").count);
        }
    });
    measure("store: catch up with an event", 200_000, |_| {
        let filter =
            EventFilter { keys: KeyRange::all(), kind: None, previous: Previous::Unwanted };
        let limits =
            EventLimits { events_max: 100, bytes_max: usize::MAX, changes_max: usize::MAX };
        let mut cursor = began.next();
        while cursor <= view.revision() {
            let events = view.events(cursor, &filter, &limits).expect("nothing is compacted");
            cursor = black_box(events).next;
        }
    });
    drop(view);
    let revision = store.now().revision();
    store.compact(revision).expect("the revision is there");
    let began = nanoseconds();
    while store.compact_step(NonZeroUsize::new(1000).expect("not zero")) == Progress::Unfinished {}
    let each = (nanoseconds() - began) / 200_000.0;
    println!("{:44} {each:>12.0} ns", "store: compact one version away");
}

fn checkpoint(store: &Store, keys: u64) {
    let chunks: Vec<Vec<u8>> = Checkpoint::new(store.view(), 1 << 20).collect();
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    println!("{:44} {:>12.0} bytes", "checkpoint: of one key", bytes as f64 / keys as f64);
    measure("checkpoint: write one key", keys, |_| {
        black_box(Checkpoint::new(store.view(), 1 << 20).map(|chunk| chunk.len()).sum::<usize>());
    });
    measure("checkpoint: load one key", keys, |_| {
        let mut loader = Loader::new();
        for chunk in &chunks {
            loader.push(chunk).expect("the chunk is whole");
        }
        black_box(loader.finish().expect("the stream is whole"));
    });
    measure("hash of one key", keys, |_| {
        black_box(store.now().hash_kv(None).expect("the current revision is there"));
    });
}

fn main() {
    let given = std::env::args().find_map(|argument| argument.parse().ok());
    let keys = given.unwrap_or(KEYS_LEN);
    assert!(10_000 <= keys, "at least 10000 keys are wanted, and {keys} were given");
    standard_map(keys);
    let mut store = Store::new();
    writes(&mut store, keys);
    reads(&store, keys);
    history(&mut store, keys);
    checkpoint(&store, keys);
}
