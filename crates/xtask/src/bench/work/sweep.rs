//! Our own generator: first as fast as the server answers, then on schedules below that.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::{Bench, Meter, put};
use crate::bench::cluster::Cluster;
use crate::bench::load::Summary;
use crate::bench::metric;
use crate::bench::samples::Values;

/// Percent of the highest rate.
pub(in crate::bench) const LEVELS: &[u32] = &[25, 50, 75, 90];
/// The latency that must be kept at the highest useful rate.
const P99_MS_MAX: f64 = 10.0;
/// How often the interval in which that rate lies is halved.
const HALVINGS: usize = 4;
/// A schedule counts as kept if so much of it was answered in time.
const KEPT: f64 = 0.99;
/// A schedule beyond what a closed loop reaches.
const BEYOND: f64 = 1.2;

impl Bench {
    /// Finds the highest rate, and the latencies below it.
    pub(super) fn sweep(
        &self,
        cluster: &Cluster<'_>,
        requests: &[&str],
        filled: bool,
    ) -> Result<Values> {
        let clients = cluster.clients();
        let leader = [clients[self.load.leader(&clients)?]];
        if filled {
            let words = ["--op=put", "--keys=10000", "--total=10000", "--order=sequential"];
            let summary = self.load.run(&leader, &words)?;
            ensure!(summary.failed() == 0, "{} puts failed", summary.failed());
        }
        let mut values = Values::new();
        let meter = Meter::start(cluster)?;
        let fastest = self.step(&leader, requests, "--in-flight=100")?;
        // The warm-up costs as much in a second as the rest does.
        let all = fastest.rate * (fastest.seconds + 1.0);
        meter.finish(cluster, all, &mut values)?;
        put(&mut values, metric::RATE, fastest.rate);
        put(&mut values, metric::P50, fastest.latency_ms.p50);
        put(&mut values, metric::P99, fastest.latency_ms.p99);
        put(&mut values, metric::P999, fastest.latency_ms.p999);

        let mut kept = 0.0;
        let mut failed = fastest.failed();
        for level in LEVELS {
            let rate = fastest.rate * f64::from(*level) / 100.0;
            let summary = self.step(&leader, requests, &format!("--rate={rate:.0}"))?;
            put(&mut values, &format!("at{level}_rate"), summary.rate);
            put(&mut values, &format!("at{level}_p50_ms"), summary.latency_ms.p50);
            put(&mut values, &format!("at{level}_p99_ms"), summary.latency_ms.p99);
            put(&mut values, &format!("at{level}_p999_ms"), summary.latency_ms.p999);
            failed += summary.failed();
            if keeps(&summary, rate) {
                kept = rate;
            }
        }
        put(&mut values, metric::FAILED, failed as f64);
        let (mut low, mut high) = (kept, fastest.rate * BEYOND);
        for _ in 0..HALVINGS {
            let rate = f64::midpoint(low, high);
            let summary = self.step(&leader, requests, &format!("--rate={rate:.0}"))?;
            if keeps(&summary, rate) {
                low = rate;
            } else {
                high = rate;
            }
        }
        put(&mut values, "rate_p99_10ms", low);
        Ok(values)
    }

    fn step(&self, leader: &[SocketAddr], requests: &[&str], pace: &str) -> Result<Summary> {
        let seconds = format!("--seconds={}", self.scaled(4, 1));
        self.load.run(leader, &[requests, &["--warm-up=1", &seconds, pace]].concat())
    }
}

/// Tells whether a schedule was kept, without failures and with good latencies.
fn keeps(summary: &Summary, rate: f64) -> bool {
    summary.failed() == 0 && summary.rate >= rate * KEPT && summary.latency_ms.p99 <= P99_MS_MAX
}
