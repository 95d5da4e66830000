//! A store of many keys: what it takes to fill it, its memory, ranges over all of it, and restarts.

use anyhow::{Result, ensure};

use super::{Bench, Meter, memory_of, put};
use crate::bench::cluster::Cluster;
use crate::bench::measure;
use crate::bench::metric;
use crate::bench::samples::Values;

/// Ranges that go over all keys, by the metric for their median.
const RANGES: &[(&str, &[&str])] = &[
    ("limit1_ms", &["--all", "--limit=1"]),
    ("limit100_ms", &["--all", "--limit=100"]),
    ("limit500_ms", &["--all", "--limit=500"]),
    ("count_ms", &["--all", "--count-only"]),
];
/// One client, until it has asked so often or the time is over.
const RANGE_RUN: &[&str] = &[
    "--op=range",
    "--serializable",
    "--connections=1",
    "--in-flight=1",
    "--total=1000",
    "--seconds=3",
];

impl Bench {
    /// Writes `keys` keys and looks at what that makes of the one member.
    pub(super) fn large(&self, cluster: &mut Cluster<'_>, keys: u64) -> Result<Values> {
        let client = cluster.clients()[0];
        let mut values = Values::new();
        let (total, space) = (format!("--total={keys}"), format!("--keys={keys}"));
        let meter = Meter::start(cluster)?;
        let fill = ["--op=put", "--order=sequential", "--connections=50", "--in-flight=500"];
        let words = [&fill[..], &["--seconds=600", &total, &space]].concat();
        let filled = self.load.run(&[client], &words)?;
        ensure!(
            filled.failed() == 0 && filled.answered == keys,
            "{} of {keys} keys could not be written",
            keys - filled.answered
        );
        meter.finish(cluster, keys as f64, &mut values)?;
        put(&mut values, metric::RATE, filled.rate);

        for (metric, options) in RANGES {
            let summary = self.load.run(&[client], &[RANGE_RUN, options].concat())?;
            ensure!(summary.failed() == 0, "{} ranges failed", summary.failed());
            put(&mut values, metric, summary.latency_ms.p50);
        }

        cluster.stop(0)?;
        put(&mut values, "restart_s", cluster.restart(0)?.as_secs_f64());
        put(&mut values, "restart_rss_mb", memory_of(cluster)?.rss);
        self.check_count(cluster, keys)?;
        cluster.kill(0)?;
        put(&mut values, "crash_restart_s", cluster.restart(0)?.as_secs_f64());
        self.check_count(cluster, keys)?;
        put(&mut values, metric::DISK, measure::directory_megabytes(cluster.directory())?);
        Ok(values)
    }

    /// A restart that is quick because keys are missing is none.
    fn check_count(&self, cluster: &Cluster<'_>, keys: u64) -> Result<()> {
        let found = self.load.count(cluster.clients()[0])?;
        ensure!(found == keys, "{keys} keys were written, and {found} are there after a restart");
        Ok(())
    }
}
