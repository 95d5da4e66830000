//! Which comparisons there are.

/// One comparison. Each run of it has a cluster of its own, with empty data.
#[derive(Clone, Copy)]
pub(super) struct Case {
    /// How it is named on the command line, and in the samples.
    pub(super) name: &'static str,
    /// What a person reads.
    pub(super) title: &'static str,
    pub(super) members: usize,
    pub(super) work: Work,
    pub(super) part: Part,
    /// More rounds than this are not run: those that take minutes.
    pub(super) rounds_max: u64,
}

/// Of those that take minutes, and look at many things each time.
const FEW_ROUNDS: u64 = 3;

/// When a case is run without being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// By `--quick`, and in a whole run.
    Quick,
    /// In a whole run.
    Whole,
    /// By `--curves`: how figures grow with values, members, keys and watchers.
    Curve,
}

/// How a leader is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Killed: its connections are reset at once.
    Kill,
    /// Stopped: it is silent.
    Stop,
}

/// What is done with the cluster.
#[derive(Clone, Copy)]
pub(super) enum Work {
    /// A run of etcd's `benchmark`.
    Tool(Tool),
    /// Closed and open loops of our own generator: the highest rate, and latencies below it.
    Sweep {
        /// Words for `load run` that say which requests.
        words: &'static [&'static str],
        /// Whether all keys are written before.
        filled: bool,
    },
    /// A store of so many keys: its memory, ranges over all of it, and restarts.
    Large { keys: u64, quick_keys: u64 },
    /// The leader is lost again and again.
    Failover { loss: Loss, losses: usize, quick_losses: usize },
    /// Puts at a fixed rate, while the store is compacted, and while it is tidied.
    Disturbed { rate: u64, seconds: u64 },
    /// Connections that watch and do nothing.
    Idle { connections: usize },
}

/// A run of etcd's `benchmark`.
#[derive(Clone, Copy)]
pub(super) struct Tool {
    pub(super) connections: u32,
    pub(super) clients: u32,
    /// The subcommand and its own flags, without the total.
    pub(super) words: &'static [&'static str],
    /// The flag that says how many requests there are, and how many.
    pub(super) total: (&'static str, u64),
    /// How many answers one of these requests has: watchers see one put many times.
    pub(super) each: u64,
    pub(super) tells: Tells,
    pub(super) target: Target,
}

/// Which figures of the tool mean something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    RateAndLatency,
    /// Of events that come as fast as they can, the tool times its own loop.
    Rate,
    /// The rate is that at which the tool sorts its figures.
    Latency,
    /// Reads and writes are summed up apart: their rates are added, and latencies are of writes.
    ReadsAndWrites,
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Leader,
    All,
}

/// Keys of 32 bytes, values of 256 bytes.
const PUT: &[&str] =
    &["put", "--key-size=32", "--val-size=256", "--sequential-keys", "--key-space-size=10000000"];
const PUT_16B: &[&str] =
    &["put", "--key-size=32", "--val-size=16", "--sequential-keys", "--key-space-size=10000000"];
const PUT_4K: &[&str] =
    &["put", "--key-size=32", "--val-size=4096", "--sequential-keys", "--key-space-size=10000"];
const PUT_64K: &[&str] =
    &["put", "--key-size=32", "--val-size=65536", "--sequential-keys", "--key-space-size=1000"];
const PUT_1M: &[&str] =
    &["put", "--key-size=32", "--val-size=1048576", "--sequential-keys", "--key-space-size=100"];
const SERIALIZABLE: &[&str] = &["range", "foo", "--consistency=s"];
const LINEARIZABLE: &[&str] = &["range", "foo", "--consistency=l"];
const TXN_PUT: &[&str] =
    &["txn-put", "--key-size=32", "--val-size=256", "--key-space-size=100000", "--txn-ops=1"];
const TXN_PUT_10: &[&str] =
    &["txn-put", "--key-size=32", "--val-size=256", "--key-space-size=100000", "--txn-ops=10"];
const TXN_MIXED: &[&str] = &[
    "txn-mixed",
    "",
    "--limit=1",
    "--rw-ratio=1",
    "--key-size=32",
    "--val-size=256",
    "--key-space-size=1000",
];
const WATCH: &[&str] =
    &["watch", "--streams=10", "--watch-per-stream=100", "--watched-key-total=1"];
const WATCH_100: &[&str] =
    &["watch", "--streams=10", "--watch-per-stream=10", "--watched-key-total=1"];
const WATCH_10K: &[&str] =
    &["watch", "--streams=10", "--watch-per-stream=1000", "--watched-key-total=1"];
const WATCH_LATENCY: &[&str] =
    &["watch-latency", "--streams=10", "--watchers-per-stream=10", "--put-rate=1000"];
const KEEPALIVE: &[&str] = &["lease-keepalive"];

const LOAD_PUT: &[&str] = &["--op=put", "--keys=100000"];
const LOAD_SERIALIZABLE: &[&str] = &["--op=range", "--keys=10000", "--serializable"];
const LOAD_LINEARIZABLE: &[&str] = &["--op=range", "--keys=10000"];
const LOAD_TXN: &[&str] = &["--op=txn", "--keys=100000"];
const LOAD_MIXED: &[&str] = &["--op=mixed", "--keys=10000", "--reads-percent=80"];

/// All comparisons, in the order in which they are run.
pub(super) const CASES: &[Case] = &[
    tool("put-1-1", "put, 1 member, 1 client", 1, 1, PUT, 10_000),
    quick(tool("put-1-100", "put, 1 member, 100 clients", 1, 100, PUT, 100_000)),
    tool("put-1-1000", "put, 1 member, 1000 clients", 1, 1000, PUT, 200_000),
    quick(tool("put-3-1", "put, 3 members, 1 client", 3, 1, PUT, 10_000)),
    quick(tool("put-3-100", "put, 3 members, 100 clients", 3, 100, PUT, 100_000)),
    quick(tool("put-3-1000", "put, 3 members, 1000 clients", 3, 1000, PUT, 200_000)),
    to_all(tool(
        "put-3-1000-all",
        "put, 3 members, 1000 clients, all asked",
        3,
        1000,
        PUT,
        200_000,
    )),
    tool("ser-1-1", "serializable range, 1 member, 1 client", 1, 1, SERIALIZABLE, 20_000),
    tool("ser-1-100", "serializable range, 1 member, 100 clients", 1, 100, SERIALIZABLE, 200_000),
    tool(
        "ser-1-1000",
        "serializable range, 1 member, 1000 clients",
        1,
        1000,
        SERIALIZABLE,
        200_000,
    ),
    quick(tool(
        "ser-3-100",
        "serializable range, 3 members, 100 clients",
        3,
        100,
        SERIALIZABLE,
        200_000,
    )),
    tool("lin-1-100", "linearizable range, 1 member, 100 clients", 1, 100, LINEARIZABLE, 200_000),
    tool("lin-3-1", "linearizable range, 3 members, 1 client", 3, 1, LINEARIZABLE, 10_000),
    quick(tool(
        "lin-3-100",
        "linearizable range, 3 members, 100 clients",
        3,
        100,
        LINEARIZABLE,
        150_000,
    )),
    tool(
        "lin-3-1000",
        "linearizable range, 3 members, 1000 clients",
        3,
        1000,
        LINEARIZABLE,
        150_000,
    ),
    quick(tool("txn-put-3-100", "txn of 1 put, 3 members, 100 clients", 3, 100, TXN_PUT, 100_000)),
    tool("txn-put-10-3-100", "txn of 10 puts, 3 members, 100 clients", 3, 100, TXN_PUT_10, 20_000),
    tells(
        Tells::ReadsAndWrites,
        tool("txn-mixed-3-100", "txn of reads and writes, 3 members", 3, 100, TXN_MIXED, 50_000),
    ),
    quick(watch("watch-1", "watch, 1 member, 1000 watchers of a key", 1, WATCH, 4_000, 1000)),
    watch("watch-3", "watch, 3 members, 1000 watchers of a key", 3, WATCH, 4_000, 1000),
    tells(
        Tells::Latency,
        watch(
            "watch-latency-1",
            "watch latency, 100 watchers, 1000 puts/s",
            1,
            WATCH_LATENCY,
            5_000,
            100,
        ),
    ),
    quick(tool(
        "keepalive-1",
        "lease keepalive, 1 member, 100 clients",
        1,
        100,
        KEEPALIVE,
        200_000,
    )),
    tool("keepalive-3", "lease keepalive, 3 members, 100 clients", 3, 100, KEEPALIVE, 200_000),
    quick(large("large", "1 M keys, 1 member", 1_000_000)),
    quick(case(
        "failover",
        "kill -9 of the leader, 3 members",
        3,
        Work::Failover { loss: Loss::Kill, losses: 20, quick_losses: 3 },
    )),
    few(case(
        "silence",
        "SIGSTOP of the leader, 3 members",
        3,
        Work::Failover { loss: Loss::Stop, losses: 9, quick_losses: 2 },
    )),
    few(case(
        "disturbed",
        "2000 puts/s, 3 members",
        3,
        Work::Disturbed { rate: 2000, seconds: 20 },
    )),
    case("idle", "1000 connections that watch, 1 member", 1, Work::Idle { connections: 1000 }),
    sweep("load-put", "put, 3 members, own generator", 3, LOAD_PUT, false),
    sweep("load-ser", "serializable range, 3 members, own generator", 3, LOAD_SERIALIZABLE, true),
    sweep("load-lin", "linearizable range, 3 members, own generator", 3, LOAD_LINEARIZABLE, true),
    sweep("load-txn", "txn of 1 put, 3 members, own generator", 3, LOAD_TXN, false),
    sweep("load-mixed", "80 % reads, 20 % puts, 3 members, own generator", 3, LOAD_MIXED, true),
    curve(tool("put-5-100", "put, 5 members, 100 clients", 5, 100, PUT, 60_000)),
    curve(tool("put-7-100", "put, 7 members, 100 clients", 7, 100, PUT, 40_000)),
    curve(tool("put-3-10", "put, 3 members, 10 clients", 3, 10, PUT, 40_000)),
    curve(tool("put-3-100-16b", "put of 16 B, 3 members", 3, 100, PUT_16B, 100_000)),
    curve(tool("put-3-100-4k", "put of 4 KiB, 3 members", 3, 100, PUT_4K, 40_000)),
    curve(tool("put-3-100-64k", "put of 64 KiB, 3 members", 3, 100, PUT_64K, 5_000)),
    curve(tool("put-3-100-1m", "put of 1 MiB, 3 members", 3, 100, PUT_1M, 400)),
    curve(large("large-1k", "1 k keys, 1 member", 1_000)),
    curve(large("large-10k", "10 k keys, 1 member", 10_000)),
    curve(large("large-100k", "100 k keys, 1 member", 100_000)),
    curve(watch("watch-100", "watch, 1 member, 100 watchers of a key", 1, WATCH_100, 20_000, 100)),
    curve(watch("watch-10k", "watch, 1 member, 10 k watchers of a key", 1, WATCH_10K, 500, 10_000)),
];

const fn case(name: &'static str, title: &'static str, members: usize, work: Work) -> Case {
    Case { name, title, members, work, part: Part::Whole, rounds_max: u64::MAX }
}

/// A run of the tool against the leader, with the usual number of connections.
const fn tool(
    name: &'static str,
    title: &'static str,
    members: usize,
    clients: u32,
    words: &'static [&'static str],
    total: u64,
) -> Case {
    let connections = match clients {
        1 => 1,
        1000 => 100,
        _ => 10,
    };
    let tool = Tool {
        connections,
        clients,
        words,
        total: ("--total", total),
        each: 1,
        tells: Tells::RateAndLatency,
        target: Target::Leader,
    };
    case(name, title, members, Work::Tool(tool))
}

const fn watch(
    name: &'static str,
    title: &'static str,
    members: usize,
    words: &'static [&'static str],
    puts: u64,
    watchers: u64,
) -> Case {
    let tool = Tool {
        connections: 10,
        clients: 10,
        words,
        total: ("--put-total", puts),
        each: watchers,
        tells: Tells::Rate,
        target: Target::Leader,
    };
    case(name, title, members, Work::Tool(tool))
}

const fn sweep(
    name: &'static str,
    title: &'static str,
    members: usize,
    words: &'static [&'static str],
    filled: bool,
) -> Case {
    few(case(name, title, members, Work::Sweep { words, filled }))
}

const fn few(mut case: Case) -> Case {
    case.rounds_max = FEW_ROUNDS;
    case
}

/// With fewer keys in a quick run.
const fn large(name: &'static str, title: &'static str, keys: u64) -> Case {
    let quick_keys = if keys > 50_000 { 50_000 } else { keys };
    case(name, title, 1, Work::Large { keys, quick_keys })
}

const fn curve(case: Case) -> Case {
    let mut case = few(case);
    case.part = Part::Curve;
    case
}

const fn quick(mut case: Case) -> Case {
    case.part = Part::Quick;
    case
}

const fn tells(tells: Tells, mut case: Case) -> Case {
    if let Work::Tool(mut tool) = case.work {
        tool.tells = tells;
        case.work = Work::Tool(tool);
    }
    case
}

const fn to_all(mut case: Case) -> Case {
    if let Work::Tool(mut tool) = case.work {
        tool.target = Target::All;
        case.work = Work::Tool(tool);
    }
    case
}

/// The case of that name.
pub(super) fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cases_are_different() {
        let mut names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
        assert!(find("put-3-100").is_some_and(|case| case.members == 3), "it is there");
    }
}
