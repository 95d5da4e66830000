//! Metrics, under etcd's names where etcd has them, and under `holdfast_` where it has none.
//!
//! Whoever does something counts it: [`Metrics`] has a field for each part of the process, and each
//! of these has counters, gauges and histograms that any thread may write to without waiting. What
//! is state rather than something that happens (who leads, how many keys there are) is not counted
//! but read from the member when somebody asks for the page.
//!
//! Names, types, labels and bounds are those of etcd 3.7, so that its published dashboards and
//! alerts work. Where etcd measures a part that we do not have, the nearest thing is measured, and
//! the help of the metric says so: `etcd_disk_backend_commit_duration_seconds` is the time to apply
//! a batch, and both sizes of the database are what counts against the quota.
//!
//! # Left out
//!
//! - What is about Go's runtime, bbolt's own phases, defragmentation, and the proxy.
//! - `etcd_server_client_requests_total`, by the version that a client claims: it would cost each
//!   call a look at its headers.
//! - `etcd_server_apply_duration_seconds`: a command takes about as long as measuring it.

mod asked;
mod cell;
mod member;
mod network;
mod process;
mod reading;
mod rpc;
mod storage;
mod text;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use asked::AskedMetrics;
pub use cell::{Counter, Gauge, Histogram, Unit};
pub use member::{HealthMetrics, MemberMetrics, Outcome, RequestKind};
pub use network::{NetworkMetrics, PeerMetrics};
pub use rpc::{MethodMetrics, RpcMetrics};
pub use storage::{DiskMetrics, MvccMetrics, WatchMetrics};

pub(crate) use process::Process;

use crate::config::{Config, ETCD_VERSION, FeatureGates, MetricsDetail};
use crate::http::{Check, CheckResult, Probe};
use crate::member::Handle;
use reading::Reading;
use text::{Page, Type};

/// The metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    /// Elections, applying, and calls by kind.
    pub member: MemberMetrics,
    /// The log and checkpoints.
    pub disk: DiskMetrics,
    /// Keys and their history.
    pub mvcc: MvccMetrics,
    /// Watches.
    pub watch: WatchMetrics,
    /// Clients and other members.
    pub network: Arc<NetworkMetrics>,
    /// Calls of gRPC, by method.
    pub rpc: RpcMetrics,
    health: HealthMetrics,
    features: FeatureGates,
    handle: OnceLock<Handle>,
}

impl Metrics {
    /// With nothing counted.
    #[must_use]
    pub fn new(config: &Config) -> Metrics {
        Metrics {
            member: MemberMetrics::new(config.warnings),
            disk: DiskMetrics::new(),
            mvcc: MvccMetrics::new(),
            watch: WatchMetrics::default(),
            network: Arc::default(),
            rpc: RpcMetrics::new(config.metrics == MetricsDetail::Extensive),
            health: HealthMetrics::default(),
            features: config.features.clone(),
            handle: OnceLock::new(),
        }
    }

    /// From now on the page also shows the state of this member.
    pub fn show(&self, handle: Handle) {
        assert!(self.handle.set(handle).is_ok(), "one process is one member");
    }

    /// A batch of commands was applied and published.
    pub fn on_apply(&self, duration: Duration) {
        self.disk.on_apply(duration);
        self.member.on_apply(duration);
    }

    /// A probe has looked at something.
    pub fn on_check(&self, probe: Probe, check: Check, result: CheckResult) {
        self.health.on_check(probe, check, result);
    }

    /// Writes all metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.page(self.handle.get().map(Reading::of))
    }

    fn page(&self, reading: Option<Reading>) -> String {
        let mut page = Page::default();
        self.describe_version(&mut page);
        // A member that is in no cluster yet has no leader, and else nothing to show.
        let reading = reading.unwrap_or_default();
        reading.describe(&mut page);
        self.member.describe(&mut page);
        self.disk.describe(&mut page);
        self.mvcc.describe(&mut page);
        let unasked = AskedMetrics::default();
        self.handle.get().map_or(&unasked, Handle::asked).describe(&mut page);
        self.watch.describe(&mut page);
        self.network.describe(&mut page, reading.member_id);
        self.rpc.describe(&mut page);
        self.health.describe(&mut page);
        Process::now().describe(&mut page);
        page.into_text()
    }

    fn describe_version(&self, page: &mut Page) {
        let name = "etcd_server_version";
        page.family(name, Type::Gauge, "The version of etcd whose API is served, as a label.");
        page.series(name, &[("server_version", ETCD_VERSION)], 1);
        let name = "holdfast_version";
        page.family(name, Type::Gauge, "The version of the program, as a label.");
        page.series(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let name = "etcd_server_feature_enabled";
        page.family(name, Type::Gauge, "Whether each feature gate was turned on.");
        for (feature, stage, is_on) in self.features.iter() {
            page.series(name, &[("name", feature), ("stage", stage)], u64::from(is_on));
        }
    }
}

#[cfg(test)]
mod tests;
