//! Draws sequences of operations from a seed. Keys are few, so that operations meet.

use bytes::Bytes;
use etcd_api::etcdserverpb as pb;
use pb::compare::TargetUnion;
use pb::request_op::Request;
use tests::Random;

use super::op::{Op, Stream, relative};

const KEYS: [&[u8]; 14] = [
    b"a",
    b"ab",
    b"abc",
    b"b",
    b"b/1",
    b"b/2",
    b"b/3",
    b"c",
    b"c0",
    b"d",
    b"\x00",
    b"\x01",
    b"\xff",
    b"\xff\xff",
];
const LEASES: i64 = 6;
/// Leases live longer than any sequence runs.
const TTLS: [i64; 3] = [1000, 5000, 100_000];

/// What a sequence is mostly about.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Keys,
    Transactions,
    Watches,
    Leases,
    Everything,
}

/// Draws a sequence of `len` operations.
pub(crate) fn sequence(seed: u64, len: usize) -> Vec<Op> {
    let mut random = Random::new(seed);
    let mood = *random.pick(&[
        Mood::Keys,
        Mood::Transactions,
        Mood::Watches,
        Mood::Leases,
        Mood::Everything,
        Mood::Everything,
    ]);
    (0..len).map(|_| operation(&mut random, mood)).collect()
}

fn operation(random: &mut Random, mood: Mood) -> Op {
    // Range, stream, put, delete, txn, compact; watch, cancel, sync, close; grant, revoke, keep
    // alive, time to live, leases; members, status, alarms.
    let weights: [u64; 18] = match mood {
        Mood::Keys => [40, 8, 30, 10, 8, 2, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1],
        Mood::Transactions => [15, 2, 15, 5, 60, 1, 1, 1, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0],
        Mood::Watches => [4, 0, 45, 15, 15, 2, 12, 5, 4, 1, 2, 1, 0, 0, 0, 0, 0, 0],
        Mood::Leases => [10, 0, 35, 6, 10, 1, 2, 1, 1, 0, 12, 8, 4, 8, 3, 0, 0, 0],
        Mood::Everything => [25, 5, 30, 8, 20, 2, 4, 2, 2, 1, 5, 3, 2, 3, 1, 1, 1, 1],
    };
    match random.weighted(&weights) {
        0 => Op::Range(range(random)),
        1 => Op::RangeStream(range(random)),
        2 => Op::Put(put(random)),
        3 => Op::Delete(delete(random)),
        4 => Op::Txn(txn(random, 2)),
        5 => Op::Compact(pb::CompactionRequest {
            revision: relative(random.between(-30, 1)),
            physical: true,
        }),
        6 => watch(random),
        7 => Op::Cancel(stream(random), random.between(0, 5)),
        8 => Op::Sync(stream(random)),
        9 => Op::Close(stream(random)),
        10 => Op::Grant(pb::LeaseGrantRequest { id: lease(random), ttl: ttl(random) }),
        11 => Op::Revoke(pb::LeaseRevokeRequest { id: lease(random) }),
        12 => Op::KeepAlive(pb::LeaseKeepAliveRequest { id: lease(random) }),
        13 => Op::TimeToLive(pb::LeaseTimeToLiveRequest {
            id: lease(random),
            keys: random.percent(60),
        }),
        14 => Op::Leases,
        15 => Op::Members,
        16 => Op::Status,
        _ => Op::Alarms,
    }
}

fn key(random: &mut Random) -> Bytes {
    let key: &[u8] = if random.percent(1) { b"" } else { random.pick::<&[u8]>(&KEYS) };
    Bytes::copy_from_slice(key)
}

/// Draws a key and where its range ends.
fn span(random: &mut Random) -> (Bytes, Bytes) {
    let from = key(random);
    let end = match random.weighted(&[45, 15, 10, 20, 10]) {
        0 => Bytes::new(),
        1 => prefix_end(&from),
        2 => Bytes::from_static(b"\0"),
        3 => key(random),
        _ => return (Bytes::from_static(b"\0"), Bytes::from_static(b"\0")),
    };
    (from, end)
}

/// Returns the first key after all those that begin with `prefix`.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let kept = prefix.iter().rposition(|byte| *byte < 0xFF);
    let Some(at) = kept else { return Bytes::from_static(b"\0") };
    let mut end = prefix[..=at].to_vec();
    end[at] += 1;
    end.into()
}

fn value(random: &mut Random) -> Bytes {
    match random.weighted(&[80, 10, 8, 2]) {
        0 => format!("v{}", random.below(5)).into(),
        1 => Bytes::new(),
        2 => random.draw().to_string().into(),
        _ => vec![b'x'; usize::try_from(random.below(20_000)).expect("small")].into(),
    }
}

fn lease(random: &mut Random) -> i64 {
    random.between(1, LEASES)
}

fn ttl(random: &mut Random) -> i64 {
    if random.percent(3) { 9_000_000_001 } else { *random.pick(&TTLS) }
}

fn stream(random: &mut Random) -> Stream {
    if random.percent(25) {
        Stream::Future
    } else {
        Stream::Past(usize::try_from(random.below(2)).expect("small"))
    }
}

fn revision(random: &mut Random) -> i64 {
    match random.weighted(&[60, 36, 3, 1]) {
        0 => 0,
        1 => relative(random.between(-25, 0)),
        2 => relative(random.between(1, 3)),
        _ => random.between(-1, 3),
    }
}

/// Draws a bound for a filter; zero is none.
fn bound(random: &mut Random) -> i64 {
    if random.percent(8) { relative(random.between(-20, 2)) } else { 0 }
}

fn range(random: &mut Random) -> pb::RangeRequest {
    let (key, range_end) = span(random);
    let sorted = random.percent(40);
    let unknown = random.percent(1);
    let choice = |random: &mut Random, end: u64| i32::try_from(random.below(end)).expect("small");
    pb::RangeRequest {
        key,
        range_end,
        limit: *random.pick(&[0, 0, 0, 0, 1, 2, 3, 5, 100, -1]),
        revision: revision(random),
        sort_order: if sorted { choice(random, 3) } else { 0 },
        sort_target: if unknown { 7 } else { choice(random, if sorted { 5 } else { 1 }) },
        serializable: random.percent(30),
        keys_only: random.percent(15),
        count_only: random.percent(8),
        min_mod_revision: bound(random),
        max_mod_revision: bound(random),
        min_create_revision: bound(random),
        max_create_revision: bound(random),
    }
}

fn put(random: &mut Random) -> pb::PutRequest {
    let ignore_value = random.percent(6);
    let ignore_lease = random.percent(6);
    let strict = random.percent(90);
    pb::PutRequest {
        key: key(random),
        value: if ignore_value && strict { Bytes::new() } else { value(random) },
        lease: if random.percent(20) && !(ignore_lease && strict) { lease(random) } else { 0 },
        prev_kv: random.percent(30),
        ignore_value,
        ignore_lease,
    }
}

fn delete(random: &mut Random) -> pb::DeleteRangeRequest {
    let (key, range_end) = span(random);
    pb::DeleteRangeRequest { key, range_end, prev_kv: random.percent(40) }
}

fn txn(random: &mut Random, depth: u32) -> pb::TxnRequest {
    let many = if random.percent(1) { 130 } else { 4 };
    let compare = (0..random.below(4)).map(|_| compare(random)).collect();
    let branch = |random: &mut Random| {
        let len = if many > 4 && random.percent(50) { many } else { random.below(4) };
        (0..len).map(|at| part(random, depth, at)).collect()
    };
    pb::TxnRequest { compare, success: branch(random), failure: branch(random) }
}

fn part(random: &mut Random, depth: u32, at: u64) -> pb::RequestOp {
    let request = match random.weighted(&[30, 45, 12, if depth > 0 { 12 } else { 0 }, 1]) {
        0 => Request::RequestRange(range(random)),
        1 => {
            let mut put = put(random);
            if random.percent(85) {
                // Mostly distinct keys: a branch that writes one twice is refused.
                put.key = format!("{}{depth}{at}", put.key.escape_ascii()).into();
            }
            Request::RequestPut(put)
        }
        2 => {
            let mut delete = delete(random);
            if delete.range_end == b"\0"[..] {
                // To etcd, a deletion of all keys from one on does not overlap with a put of one of
                // them. Then both happen at one revision, and it panics: at once if the put asks
                // for the value that was there, and otherwise when that revision was compacted.
                delete.range_end = prefix_end(&delete.key);
            }
            Request::RequestDeleteRange(delete)
        }
        3 => Request::RequestTxn(txn(random, depth - 1)),
        _ => return pb::RequestOp { request: None },
    };
    pb::RequestOp { request: Some(request) }
}

fn compare(random: &mut Random) -> pb::Compare {
    let (key, range_end) = span(random);
    let target = i32::try_from(random.below(5)).expect("small");
    let fitting =
        if random.percent(2) { i32::try_from(random.below(5)).expect("small") } else { target };
    let number = |random: &mut Random| relative(random.between(-20, 1));
    let target_union = match fitting {
        0 => TargetUnion::Version(random.between(0, 4)),
        1 => TargetUnion::CreateRevision(if random.percent(40) { 0 } else { number(random) }),
        2 => TargetUnion::ModRevision(if random.percent(40) { 0 } else { number(random) }),
        3 => TargetUnion::Value(value(random)),
        _ => TargetUnion::Lease(random.between(0, LEASES)),
    };
    pb::Compare {
        result: i32::try_from(random.below(4)).expect("small"),
        target,
        key,
        range_end: if random.percent(60) { Bytes::new() } else { range_end },
        target_union: if random.percent(2) { None } else { Some(target_union) },
    }
}

fn watch(random: &mut Random) -> Op {
    let (key, range_end) = span(random);
    let stream = stream(random);
    let start_revision = match stream {
        Stream::Past(_) => match random.weighted(&[40, 58, 2]) {
            0 => 0,
            1 => relative(random.between(-40, 0)),
            _ => random.between(-1, 1),
        },
        Stream::Future if random.percent(40) => 0,
        Stream::Future => relative(random.between(1, 12)),
    };
    Op::Watch(
        stream,
        pb::WatchCreateRequest {
            key,
            range_end,
            start_revision,
            progress_notify: random.percent(10),
            filters: match random.weighted(&[80, 8, 8, 4]) {
                0 => vec![],
                1 => vec![0],
                2 => vec![1],
                _ => vec![0, 1],
            },
            prev_kv: random.percent(50),
            watch_id: if random.percent(10) { random.between(0, 5) } else { 0 },
            fragment: random.percent(20),
        },
    )
}
