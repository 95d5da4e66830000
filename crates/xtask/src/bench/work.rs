//! Doing what a case asks for, on one side, once.

mod large;
mod sweep;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::cases::{Case, Loss, Target, Tells, Tool, Work};
use crate::bench::cluster::{Cluster, Pin};
use crate::bench::load::{Load, joined};
use crate::bench::measure::{self, CpuTicks, DiskCounts};
use crate::bench::metric;
use crate::bench::samples::{Spread, Values};
use crate::bench::side::Side;
use crate::bench::tool;

pub(super) use sweep::LEVELS;

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// A few seconds for each case: for those who develop.
    Quick,
    /// What is published.
    Full,
}

/// Quick runs do so many times less.
const QUICK_DIVISOR: u64 = 5;
/// Less than this part of what was expected is not a result. Of their last events the tool's own
/// watchers miss some.
const COMPLETE: f64 = 0.95;
/// How long a cluster is left alone after its start, and after a member came back.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// How long connections are held before the memory is looked at.
const IDLE_SECONDS: u64 = 4;

/// What all cases need.
pub(super) struct Bench {
    pub(super) load: Load,
    /// etcd's `benchmark`, if there is one.
    pub(super) benchmark: Option<PathBuf>,
    /// Where clusters have their data.
    pub(super) data: PathBuf,
    pub(super) pin: Pin,
    /// The first port that may be used.
    pub(super) port: u16,
    pub(super) scale: Scale,
    pub(super) rounds: u64,
}

impl Bench {
    /// Tells whether the case can be done with the programs that there are.
    pub(super) fn can(&self, case: &Case) -> bool {
        match case.work {
            Work::Tool(_) => self.benchmark.is_some(),
            Work::Sweep { .. }
            | Work::Large { .. }
            | Work::Failover { .. }
            | Work::Disturbed { .. }
            | Work::Idle { .. } => true,
        }
    }

    /// Does the work of a case with a new cluster of `side`, and returns the figures.
    pub(super) fn perform(&self, side: &Side, case: &Case) -> Result<Values> {
        let directory = self.data.join(case.name);
        let mut cluster = Cluster::start(side, self.pin, &directory, case.members, self.port)?;
        // What a member prepares after its start is not what a request costs.
        std::thread::sleep(SETTLE_TIME);
        match case.work {
            Work::Tool(tool) => self.tool(&cluster, tool),
            Work::Sweep { words, filled } => self.sweep(&cluster, words, filled),
            Work::Large { keys, quick_keys } => {
                self.large(&mut cluster, self.scaled(keys, quick_keys))
            }
            Work::Failover { loss, losses, quick_losses } => {
                let rounds = self.rounds.min(case.rounds_max);
                let rounds = usize::try_from(rounds).context("too many rounds")?;
                let losses = match self.scale {
                    Scale::Full => losses.div_ceil(rounds),
                    Scale::Quick => quick_losses,
                };
                self.failover(&mut cluster, loss, losses)
            }
            Work::Disturbed { rate, seconds } => self.disturbed(&cluster, rate, seconds),
            Work::Idle { connections } => self.idle(&cluster, connections),
        }
    }

    fn scaled(&self, full: u64, quick: u64) -> u64 {
        match self.scale {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }

    /// A run of etcd's `benchmark`.
    fn tool(&self, cluster: &Cluster<'_>, tool: Tool) -> Result<Values> {
        let program = self.benchmark.as_ref().context("etcd's benchmark is missing")?;
        let clients = cluster.clients();
        let leader = self.load.leader(&clients)?;
        let endpoints = match tool.target {
            Target::Leader => clients[leader].to_string(),
            Target::All => joined(&clients),
        };
        // What the single-key ranges ask for.
        self.load.put(clients[leader], "foo")?;
        let (flag, total) = tool.total;
        let total = self.scaled(total, total / QUICK_DIVISOR);
        let mut words: Vec<String> =
            vec![format!("--conns={}", tool.connections), format!("--clients={}", tool.clients)];
        words.extend(tool.words.iter().map(|word| (*word).to_owned()));
        words.push(format!("{flag}={total}"));

        let meter = Meter::start(cluster)?;
        let summaries = tool::run(program, self.pin, &endpoints, &words, cluster.directory())?;
        let summary = told(&summaries, tool.tells).context("a run without a summary")?;
        let mut values = Values::new();
        meter.finish(cluster, (total * tool.each) as f64, &mut values)?;
        // The tool does not mind watches that end, and is quick then.
        let expected = (total * tool.each) as f64;
        ensure!(
            summary.answered() + summary.failed as f64 >= expected * COMPLETE,
            "{:.0} answers or events came, and {expected} were expected",
            summary.answered()
        );
        put(&mut values, metric::FAILED, summary.failed as f64);
        if tool.tells != Tells::Latency {
            put(&mut values, metric::RATE, summary.rate);
        }
        for (key, value) in
            [(metric::P50, summary.p50), (metric::P99, summary.p99), (metric::P999, summary.p999)]
        {
            // The tool leaves out what it cannot tell.
            if value > 0.0 && tool.tells != Tells::Rate {
                put(&mut values, key, value);
            }
        }
        Ok(values)
    }

    /// Takes the leader away and brings it back, again and again.
    fn failover(&self, cluster: &mut Cluster<'_>, loss: Loss, losses: usize) -> Result<Values> {
        ensure!(losses > 0, "a failover without a loss");
        let clients = cluster.clients();
        let mut outages = Vec::new();
        let mut values = Values::new();
        for number in 1..=losses {
            std::thread::sleep(SETTLE_TIME);
            let leader = self.load.leader(&clients)?;
            let mut survivors = clients.clone();
            survivors.remove(leader);
            let process = cluster.process(leader)?;
            let outage = self.load.failover(&survivors, process, loss)?.outage_ms;
            put(&mut values, &format!("outage{number:02}_ms"), outage);
            outages.push(outage);
            // If it is dead already, this takes note of it.
            cluster.kill(leader)?;
            cluster.restart(leader)?;
        }
        let spread = Spread::of(outages).context("there were no outages")?;
        put(&mut values, "outage_p50_ms", spread.median);
        // Of fewer than a hundred, the longest is the 99th percentile.
        put(&mut values, "outage_p99_ms", spread.max);
        Ok(values)
    }

    /// Puts at a fixed rate: undisturbed, during compactions, and during a defragmentation.
    fn disturbed(&self, cluster: &Cluster<'_>, rate: u64, seconds: u64) -> Result<Values> {
        let clients = cluster.clients();
        let leader = clients[self.load.leader(&clients)?];
        let seconds = self.scaled(seconds, seconds / QUICK_DIVISOR);
        let (rate, seconds_word) = (format!("--rate={rate}"), format!("--seconds={seconds}"));
        let words = ["--op=put", "--keys=20000", &rate, &seconds_word];
        let mut values = Values::new();
        let quiet = self.load.run(&[leader], &words)?;

        let running = self.load.spawn(&[leader], &words)?;
        // Three times, so that the store has something to drop each time.
        for _ in 0..3 {
            std::thread::sleep(Duration::from_secs(1 + seconds) / 4);
            let revision = self.load.status(&[leader])?[0].revision;
            self.load.compact(leader, revision)?;
        }
        let compacted = running.finish()?;

        let running = self.load.spawn(&[leader], &words)?;
        std::thread::sleep(Duration::from_secs(1 + seconds) / 3);
        self.load.defragment(leader)?;
        let defragmented = running.finish()?;

        put(&mut values, "quiet_p999_ms", quiet.latency_ms.p999);
        put(&mut values, "compaction_p999_ms", compacted.latency_ms.p999);
        let factor = compacted.latency_ms.p999 / quiet.latency_ms.p999.max(f64::MIN_POSITIVE);
        put(&mut values, "compaction_factor", factor);
        put(&mut values, "defragment_p999_ms", defragmented.latency_ms.p999);
        put(&mut values, "defragment_max_ms", defragmented.latency_ms.max);
        for (name, summary) in
            [("quiet", &quiet), ("compaction", &compacted), ("defragment", &defragmented)]
        {
            for (second, figures) in summary.per_second.iter().enumerate() {
                put(&mut values, &format!("{name}_second{second:02}_ms"), figures.p999);
            }
        }
        let failed = quiet.failed() + compacted.failed() + defragmented.failed();
        put(&mut values, metric::FAILED, failed as f64);
        Ok(values)
    }

    /// What a connection costs that watches a key and hears nothing.
    fn idle(&self, cluster: &Cluster<'_>, connections: usize) -> Result<Values> {
        let clients = cluster.clients();
        let resident = || Ok::<f64, anyhow::Error>(memory_of(cluster)?.rss);
        // The first requests have the server allocate what it keeps.
        self.load.run(&clients, &["--op=put", "--seconds=1", "--warm-up=0", "--rate=500"])?;
        let before = resident()?;
        let words =
            [format!("--connections={connections}"), format!("--seconds={}", IDLE_SECONDS + 1)];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut process = self.load.spawn_idle(&clients, &words)?;
        std::thread::sleep(Duration::from_secs(IDLE_SECONDS));
        let during = resident();
        let status = process.wait().context("cannot wait for `load idle`")?;
        if !status.success() {
            bail!("`load idle` failed with {status}");
        }
        let mut values = Values::new();
        put(&mut values, "connection_kb", (during? - before) * 1000.0 / connections as f64);
        Ok(values)
    }
}

/// What is to be taken from the summaries of a run. Those before the last tell of its preparation,
/// or of reads.
fn told(summaries: &[tool::Summary], tells: Tells) -> Option<tool::Summary> {
    let mut told = summaries.last()?.clone();
    match tells {
        Tells::RateAndLatency | Tells::Rate | Tells::Latency => {}
        Tells::ReadsAndWrites => {
            for reads in summaries.iter().rev().skip(1) {
                told.rate += reads.rate;
                told.failed += reads.failed;
            }
        }
    }
    Some(told)
}

/// Adds a figure.
fn put(values: &mut Values, key: &str, value: f64) {
    values.insert(key.to_owned(), value);
}

/// The memory of all members together.
fn memory_of(cluster: &Cluster<'_>) -> Result<measure::Memory> {
    let mut sum = measure::Memory::default();
    for process in cluster.processes() {
        let memory = measure::memory(process)?;
        sum.rss += memory.rss;
        sum.anonymous += memory.anonymous;
        sum.file += memory.file;
    }
    Ok(sum)
}

/// What the kernel had counted when a run began.
struct Meter {
    server_seconds: f64,
    client_seconds: f64,
    disk: Option<DiskCounts>,
    ticks: CpuTicks,
    load: f64,
}

impl Meter {
    fn start(cluster: &Cluster<'_>) -> Result<Meter> {
        Ok(Meter {
            disk: measure::disk_counts(cluster.directory())?,
            load: measure::load_average()?,
            ticks: CpuTicks::read()?,
            client_seconds: measure::children_cpu_seconds()?,
            server_seconds: server_seconds(cluster)?,
        })
    }

    /// Adds what a run of so many requests has cost.
    fn finish(self, cluster: &Cluster<'_>, requests: f64, values: &mut Values) -> Result<()> {
        let each = |all: f64| all / requests.max(1.0);
        let server = server_seconds(cluster)? - self.server_seconds;
        let client = measure::children_cpu_seconds()? - self.client_seconds;
        put(values, metric::SERVER_CPU, each(server * 1e6));
        put(values, metric::CLIENT_CPU, each(client * 1e6));
        let steal = CpuTicks::read()?.steal_percent_since(self.ticks);
        put(values, metric::STEAL, steal);
        put(values, metric::LOAD, self.load);
        let memory = memory_of(cluster)?;
        put(values, metric::RSS, memory.rss);
        put(values, metric::RSS_ANON, memory.anonymous);
        put(values, metric::RSS_FILE, memory.file);
        put(values, metric::DISK, measure::directory_megabytes(cluster.directory())?);
        if let (Some(before), Some(after)) = (self.disk, measure::disk_counts(cluster.directory())?)
        {
            put(values, metric::DEVICE_BYTES, each((after.bytes - before.bytes) as f64));
            put(values, metric::FLUSHES, each((after.flushes - before.flushes) as f64));
        }
        Ok(())
    }
}

fn server_seconds(cluster: &Cluster<'_>) -> Result<f64> {
    cluster.processes().into_iter().map(measure::cpu_seconds).sum()
}
