//! What the member does: elections, applying, calls by kind; and the probes that look at it.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::cell::{Counter, Gauge, Histogram, Unit};
use super::text::{Page, Type};
use crate::config::WarningThresholds;
use crate::http::{Check, CheckResult, Probe};

/// What the member does.
#[derive(Debug)]
pub struct MemberMetrics {
    /// How often it saw another leader than before.
    pub leader_changes: Counter,
    /// Batches of commands that took longer to apply than the threshold.
    slow_applies: Counter,
    slow_apply: Duration,
    slow_request: Duration,
    /// In which second the last slow call was logged.
    slow_logged_at: Gauge,
    /// Calls by kind and outcome.
    requests: [[Histogram; 2]; RequestKind::ALL.len()],
}

/// The kinds of calls whose duration is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A range.
    Range,
    /// A put.
    Put,
    /// A deletion.
    DeleteRange,
    /// A transaction that may write.
    Txn,
    /// A transaction that only reads.
    ReadonlyTxn,
    /// A compaction.
    Compaction,
    /// The granting of a lease.
    LeaseGrant,
    /// The revocation of a lease.
    LeaseRevoke,
    /// The raising or lowering of an alarm.
    Alarm,
    /// What a member tells of itself when it starts.
    ClusterMemberAttrSet,
    /// The agreement on a version.
    ClusterVersionSet,
    /// The beginning or end of a downgrade.
    DowngradeInfoSet,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Success,
    /// With an error.
    Failure,
}

impl RequestKind {
    /// All kinds, in their order.
    const ALL: [RequestKind; 12] = [
        RequestKind::Range,
        RequestKind::Put,
        RequestKind::DeleteRange,
        RequestKind::Txn,
        RequestKind::ReadonlyTxn,
        RequestKind::Compaction,
        RequestKind::LeaseGrant,
        RequestKind::LeaseRevoke,
        RequestKind::Alarm,
        RequestKind::ClusterMemberAttrSet,
        RequestKind::ClusterVersionSet,
        RequestKind::DowngradeInfoSet,
    ];
}

impl MemberMetrics {
    pub(super) fn new(thresholds: WarningThresholds) -> MemberMetrics {
        let request = |_| Histogram::doubling(Unit::Seconds, 0.001, 14);
        MemberMetrics {
            leader_changes: Counter::default(),
            slow_applies: Counter::default(),
            slow_apply: thresholds.apply,
            slow_request: thresholds.unary_request,
            slow_logged_at: Gauge::default(),
            requests: RequestKind::ALL.map(|_| [Outcome::Failure, Outcome::Success].map(request)),
        }
    }

    pub(super) fn on_apply(&self, duration: Duration) {
        if self.slow_apply < duration {
            self.slow_applies.increment();
            tracing::warn!(millis = duration.as_millis(), "applying commands took long");
        }
    }

    /// A call has ended.
    pub fn on_request(&self, kind: RequestKind, outcome: Outcome, duration: Duration) {
        self.requests[kind as usize][usize::from(outcome == Outcome::Success)].observe(duration);
        if self.slow_request < duration {
            self.on_slow_request(kind, duration);
        }
    }

    /// Logs a slow call, but no more than one per second: where one is slow, thousands may be.
    fn on_slow_request(&self, kind: RequestKind, duration: Duration) {
        let before = self.slow_logged_at.value();
        self.slow_logged_at.set_to_now();
        if before < self.slow_logged_at.value() {
            tracing::warn!(?kind, millis = duration.as_millis(), "a call took long");
        }
    }

    pub(super) fn describe(&self, page: &mut Page) {
        let help = "Changes of the leader that were seen.";
        page.counter("etcd_server_leader_changes_seen_total", help, &self.leader_changes);
        let help = "Batches of commands that were slow to apply.";
        page.counter("etcd_server_slow_apply_total", help, &self.slow_applies);
        let name = "etcd_server_request_duration_seconds";
        page.family(name, Type::Histogram, "How long calls took, in seconds, by kind.");
        for (kind, outcomes) in RequestKind::ALL.iter().zip(&self.requests) {
            for (outcome, histogram) in ["false", "true"].into_iter().zip(outcomes) {
                if 0 < histogram.read().1 {
                    let labels = [("success", outcome), ("type", &*format!("{kind:?}"))];
                    page.buckets(name, &labels, histogram);
                }
            }
        }
    }
}

/// What probes have found.
#[derive(Debug, Default)]
pub struct HealthMetrics {
    passed: Counter,
    failed: Counter,
    checks: Mutex<BTreeMap<(Probe, Check), Tally>>,
}

/// How a check has ended so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    last: Option<CheckResult>,
}

impl HealthMetrics {
    pub(super) fn on_check(&self, probe: Probe, check: Check, result: CheckResult) {
        match (probe, result) {
            (Probe::Health, CheckResult::Passed) => self.passed.increment(),
            (Probe::Health, CheckResult::Failed) => self.failed.increment(),
            (Probe::Live | Probe::Ready, _) => {
                let mut checks = self.checks.lock();
                let tally = checks.entry((probe, check)).or_default();
                match result {
                    CheckResult::Passed => tally.passed += 1,
                    CheckResult::Failed => tally.failed += 1,
                }
                tally.last = Some(result);
            }
        }
    }

    pub(super) fn describe(&self, page: &mut Page) {
        page.counter("etcd_server_health_success", "Checks of /health that passed.", &self.passed);
        page.counter("etcd_server_health_failures", "Checks of /health that failed.", &self.failed);
        let checks = self.checks.lock();
        let name = "etcd_server_healthcheck";
        page.family(name, Type::Gauge, "Whether each check passed the last time.");
        for ((probe, check), tally) in checks.iter() {
            let labels = [("name", &*check.to_string()), ("type", &*probe.to_string())];
            page.series(name, &labels, u64::from(tally.last == Some(CheckResult::Passed)));
        }
        let name = "etcd_server_healthchecks_total";
        page.family(name, Type::Counter, "How often each check passed and failed.");
        for ((probe, check), tally) in checks.iter() {
            let (check, probe) = (check.to_string(), probe.to_string());
            for (status, count) in [("error", tally.failed), ("success", tally.passed)] {
                if 0 < count {
                    let labels = [("name", &*check), ("status", status), ("type", &*probe)];
                    page.series(name, &labels, count);
                }
            }
        }
    }
}
