//! How fast the machine is by itself: one thread, a million keys of 32 bytes with values of 256
//! bytes, and a million leases.
//!
//! `cargo bench -p store` prints the time of one operation in nanoseconds, the median of the rounds
//! with the fastest and the slowest. Keys and leases are drawn at random, so most of them are not
//! in the cache. An argument gives another number of both.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

use bytes::Bytes;
use store::{
    Command, CommandId, Compare, CompareResult, CompareWith, Machine, MachineLoader, Operation,
    Put, Range, Txn,
};

const KEYS_LEN: u64 = 1_000_000;
const ROUNDS: usize = 5;
const VALUE: [u8; 256] = [b'v'; 256];
const ID: CommandId = CommandId { origin: 1, sequence: 1 };

/// Draws numbers, always the same ones.
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

fn key(number: u64) -> Bytes {
    Bytes::from(format!("/registry/pods/{number:016}x"))
}

fn lease(number: u64) -> i64 {
    // IDs lie all over, as those that servers draw.
    number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).cast_signed()
}

fn put(number: u64, lease: i64) -> Put {
    Put { key: key(number), value: Bytes::from_static(&VALUE), lease, ..Put::default() }
}

/// What Kubernetes sends for every change: if nobody has changed the key, it is put.
fn guarded_put(number: u64) -> Txn {
    Txn {
        compare: vec![Compare {
            key: key(number),
            range_end: Bytes::new(),
            result: CompareResult::NotEqual,
            with: CompareWith::ModRevision(1),
        }],
        success: vec![Operation::Put(put(number, 0))],
        failure: vec![Operation::Range(Range { key: key(number), ..Range::default() })],
    }
}

/// The time so far, in nanoseconds: of this thread on a processor if the system tells.
fn nanoseconds() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = told.and_then(|text| text.split(' ').next()?.parse().ok());
    busy.unwrap_or_else(|| BEGAN.elapsed().as_secs_f64() * 1e9)
}

/// Runs something in rounds on what was prepared for each, and prints how long one operation took.
fn measure<T>(
    name: &str,
    operations: u64,
    mut prepare: impl FnMut(&mut Dice) -> T,
    mut round: impl FnMut(T),
) {
    let mut times: Vec<f64> = Vec::new();
    for at in 0..ROUNDS {
        let prepared = prepare(&mut Dice(at as u64));
        let began = nanoseconds();
        round(prepared);
        times.push((nanoseconds() - began) / operations as f64);
    }
    times.sort_by(f64::total_cmp);
    let (fastest, median, slowest) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("{name:40} {median:10.0} ns   {fastest:.0} to {slowest:.0}");
}

/// Makes the bytes of many commands.
fn encoded(count: u64, mut command: impl FnMut() -> Command) -> Vec<Bytes> {
    (0..count).map(|_| command().encode(ID)).collect()
}

fn apply_all(machine: &mut Machine, commands: &[Bytes]) {
    for command in commands {
        let (_, applied) = machine.apply_encoded(command).expect("it was encoded here");
        assert!(applied.result.is_ok(), "{:?}", applied.result);
        black_box(applied);
    }
}

fn compact(machine: &mut Machine) {
    let revision = machine.view_now().revision().0.cast_signed();
    machine.apply(&Command::Compact { revision });
    let changes_max = std::num::NonZeroUsize::MAX;
    while machine.compact_step(changes_max) == mvcc::Progress::Unfinished {}
    machine.take_lease_changes();
}

fn measure_commands(machine: &mut Machine, keys: u64) {
    let count = keys / 10;
    let draw = |dice: &mut Dice| encoded(count, || Command::Put(put(dice.below(keys), 0)));
    measure("put, from its bytes", count, draw, |commands| apply_all(machine, &commands));
    compact(machine);
    let draw = |dice: &mut Dice| encoded(count, || Command::Put(put(dice.below(keys), 0)));
    measure("put, with a view after each", count, draw, |commands| {
        for command in &commands {
            apply_all(machine, std::slice::from_ref(command));
            black_box(machine.view());
        }
    });
    compact(machine);
    let draw = |dice: &mut Dice| {
        encoded(count, || Command::Put(put(dice.below(keys), lease(dice.below(keys)))))
    };
    measure("put to another lease", count, draw, |commands| apply_all(machine, &commands));
    compact(machine);
    let draw = |dice: &mut Dice| encoded(count, || Command::Txn(guarded_put(dice.below(keys))));
    measure("put if not changed", count, draw, |commands| apply_all(machine, &commands));
    compact(machine);
    let draw = |dice: &mut Dice| encoded(count, || Command::Put(put(dice.below(keys), 0)));
    measure("a put's bytes into a command", count, draw, |commands| {
        for command in &commands {
            black_box(Command::decode(command).expect("it was encoded here"));
        }
    });
    let draw =
        |dice: &mut Dice| (0..count).map(|_| Command::Put(put(dice.below(keys), 0))).collect();
    measure("a put into bytes", count, draw, |commands: Vec<Command>| {
        for command in &commands {
            black_box(command.encode(ID));
        }
    });
}

fn measure_leases(machine: &mut Machine, keys: u64) {
    let count = keys / 10;
    let mut next = keys;
    measure(
        "grant and revoke, an image after 1000",
        2 * count,
        |_| {
            let first = next;
            next += count;
            let grants =
                (first..next).map(|number| Command::LeaseGrant { id: lease(number), ttl: 60 });
            grants.map(|grant| grant.encode(ID)).collect()
        },
        |grants: Vec<Bytes>| {
            for grants in grants.chunks(1_000) {
                let image = machine.image();
                apply_all(machine, grants);
                for change in machine.take_lease_changes() {
                    if let store::LeaseChange::Granted { id, .. } = change {
                        black_box(machine.apply(&Command::LeaseRevoke { id }));
                    }
                }
                machine.take_lease_changes();
                drop(image);
            }
        },
    );
}

fn measure_images(machine: &Machine, keys: u64) {
    measure(
        "image",
        100_000,
        |_| (),
        |()| {
            for _ in 0..100_000 {
                black_box(machine.image());
            }
        },
    );
    let write = |()| {
        for chunk in machine.image().chunks() {
            black_box(chunk);
        }
    };
    measure("image into bytes, each key", keys, |_| (), write);
    let chunks: Vec<Vec<u8>> = machine.image().chunks().collect();
    measure(
        "bytes into a machine, each key",
        keys,
        |_| (),
        |()| {
            let mut loader = MachineLoader::new();
            for chunk in &chunks {
                loader.push(chunk).expect("it was written here");
            }
            black_box(loader.finish().expect("it was written here"));
        },
    );
}

fn main() {
    // Cargo gives an argument of its own.
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let keys = argument.unwrap_or(KEYS_LEN);
    let mut machine = Machine::new();
    for number in 0..keys {
        machine.apply(&Command::LeaseGrant { id: lease(number), ttl: 60 });
        machine.apply_put(&put(number, lease(number)));
    }
    compact(&mut machine);
    println!("{keys} keys and as many leases");
    measure_commands(&mut machine, keys);
    measure_leases(&mut machine, keys);
    measure_images(&machine, keys);
}
