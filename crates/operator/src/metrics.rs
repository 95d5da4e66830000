//! Counters of the operator, as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::Mutex;

use crate::crd::{ConditionStatus, ConditionType, MemberStatus, RaftClusterStatus};

/// Upper bounds of the durations in seconds.
const BOUNDS: [f64; 8] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// All counters.
#[derive(Debug, Default)]
pub struct Metrics {
    is_leader: AtomicBool,
    reconciles: AtomicU64,
    steps: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<Refusal, u64>>,
    durations: Mutex<Durations>,
    clusters: Mutex<BTreeMap<(String, String), Shown>>,
}

/// Why something is tried again, and is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The status was written over an older object than there is.
    StatusConflict,
    /// A step was done to an older object than there is.
    StepConflict,
    /// A learner is not ready yet to vote.
    TooEarly,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Refusal::StatusConflict => "status_conflict",
            Refusal::StepConflict => "step_conflict",
            Refusal::TooEarly => "too_early",
        }
    }
}

#[derive(Debug, Default)]
struct Durations {
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// This operator works, or does not.
    pub fn lead(&self, is_leader: bool) {
        self.is_leader.store(is_leader, Ordering::Relaxed);
    }

    /// A cluster was looked at.
    pub fn reconciled(&self, took: Duration) {
        self.reconciles.fetch_add(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let mut durations = self.durations.lock();
        durations.count += 1;
        durations.sum += seconds;
        for (count, bound) in durations.counts.iter_mut().zip(BOUNDS) {
            if seconds <= bound {
                *count += 1;
            }
        }
    }

    /// A step was done.
    pub fn stepped(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Something failed.
    pub fn failed(&self, kind: &'static str) {
        *self.errors.lock().entry(kind).or_default() += 1;
    }

    /// Something was refused, and is tried again.
    pub fn refused(&self, refusal: Refusal) {
        *self.refusals.lock().entry(refusal).or_default() += 1;
    }

    /// What a cluster is like now.
    pub fn show(&self, namespace: &str, name: &str, wanted: u32, status: &RaftClusterStatus) {
        let key = (namespace.to_owned(), name.to_owned());
        self.clusters.lock().insert(key, Shown::of(wanted, status));
    }

    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.clusters.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// All of it, as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        let leads = f64::from(u8::from(self.is_leader.load(Ordering::Relaxed)));
        page.add("gauge", "holdfast_operator_is_leader", "", leads);
        page.add("counter", "holdfast_operator_reconciles_total", "", number(&self.reconciles));
        page.add("counter", "holdfast_operator_steps_total", "", number(&self.steps));
        for (kind, count) in &*self.errors.lock() {
            let labels = format!("kind=\"{kind}\"");
            let name = "holdfast_operator_reconcile_errors_total";
            page.add("counter", name, &labels, *count as f64);
        }
        for (refusal, count) in &*self.refusals.lock() {
            let labels = format!("kind=\"{}\"", refusal.name());
            page.add("counter", "holdfast_operator_retries_total", &labels, *count as f64);
        }
        self.durations.lock().write(&mut page);
        for ((namespace, name), shown) in &*self.clusters.lock() {
            let labels = format!("namespace=\"{namespace}\",name=\"{name}\"");
            shown.write(&mut page, &labels);
        }
        page.text()
    }
}

impl Durations {
    fn write(&self, page: &mut Page) {
        let name = "holdfast_operator_reconcile_duration_seconds";
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            page.line("histogram", name, format_args!("_bucket{{le=\"{bound}\"}} {count}"));
        }
        page.line("histogram", name, format_args!("_bucket{{le=\"+Inf\"}} {}", self.count));
        page.line("histogram", name, format_args!("_sum {}", self.sum));
        page.line("histogram", name, format_args!("_count {}", self.count));
    }
}

/// What is shown of a cluster: the numbers of its status.
#[derive(Debug)]
struct Shown {
    is_ready: bool,
    is_available: bool,
    wanted: u32,
    quorum: Option<QuorumShown>,
    /// Who leads, and in which term.
    leader: Option<(Box<str>, f64)>,
    /// How many entries each member lacks.
    lags: Box<[(Box<str>, u32)]>,
    /// When certificates of each audience expire.
    expiries: [(&'static str, Option<i64>); 3],
}

#[derive(Debug)]
struct QuorumShown {
    voters: u32,
    healthy: u32,
    required: u32,
}

impl Shown {
    fn of(wanted: u32, status: &RaftClusterStatus) -> Shown {
        let holds = |kind: ConditionType| {
            let found = status.conditions.iter().find(|found| found.r#type == kind);
            found.is_some_and(|found| found.status == ConditionStatus::True)
        };
        let times = &status.certificates;
        let expiry = |time: &Option<Time>| time.as_ref().map(|time| time.0.as_second());
        let lag = |member: &MemberStatus| Some((member.name.as_str().into(), member.lag?));
        Shown {
            is_ready: holds(ConditionType::Ready),
            is_available: holds(ConditionType::Available),
            wanted,
            quorum: status.quorum.as_ref().map(|quorum| QuorumShown {
                voters: quorum.voters,
                healthy: quorum.healthy_voters,
                required: quorum.required,
            }),
            leader: status.leader.as_ref().map(|leader| {
                (leader.name.as_str().into(), leader.term.parse().unwrap_or_default())
            }),
            lags: status.members.iter().filter_map(lag).collect(),
            expiries: [
                ("client", expiry(&times.client_not_after)),
                ("peer", expiry(&times.peer_not_after)),
                ("ca", expiry(&times.ca_not_after)),
            ],
        }
    }

    fn write(&self, page: &mut Page, labels: &str) {
        let mut gauge = |name: &'static str, labels: &str, value: f64| {
            page.add("gauge", name, labels, value);
        };
        gauge("holdfast_cluster_ready", labels, f64::from(u8::from(self.is_ready)));
        gauge("holdfast_cluster_available", labels, f64::from(u8::from(self.is_available)));
        gauge("holdfast_cluster_members_wanted", labels, f64::from(self.wanted));
        if let Some(quorum) = &self.quorum {
            gauge("holdfast_cluster_voters", labels, f64::from(quorum.voters));
            gauge("holdfast_cluster_voters_healthy", labels, f64::from(quorum.healthy));
            gauge("holdfast_cluster_quorum", labels, f64::from(quorum.required));
        }
        if let Some((leader, term)) = &self.leader {
            gauge("holdfast_cluster_term", labels, *term);
            gauge("holdfast_cluster_leader", &format!("{labels},member=\"{leader}\""), 1.0);
        }
        for (member, lag) in &self.lags {
            let labels = format!("{labels},member=\"{member}\"");
            gauge("holdfast_cluster_lag_entries", &labels, f64::from(*lag));
        }
        for (audience, time) in self.expiries {
            if let Some(time) = time {
                let labels = format!("{labels},audience=\"{audience}\"");
                let name = "holdfast_cluster_certificate_not_after_seconds";
                gauge(name, &labels, time as f64);
            }
        }
    }
}

/// Lines by metric, each under its type.
#[derive(Debug, Default)]
struct Page {
    metrics: BTreeMap<&'static str, String>,
}

impl Page {
    fn line(&mut self, kind: &'static str, name: &'static str, rest: fmt::Arguments<'_>) {
        let begin = || format!("# TYPE {name} {kind}\n");
        let lines = self.metrics.entry(name).or_insert_with(begin);
        // Writing to a string does not fail.
        let _written = writeln!(lines, "{name}{rest}");
    }

    fn add(&mut self, kind: &'static str, name: &'static str, labels: &str, value: f64) {
        if labels.is_empty() {
            self.line(kind, name, format_args!(" {value}"));
        } else {
            self.line(kind, name, format_args!("{{{labels}}} {value}"));
        }
    }

    fn text(self) -> String {
        self.metrics.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_each_type_once() {
        let metrics = Metrics::default();
        metrics.lead(true);
        metrics.reconciled(Duration::from_millis(20));
        metrics.failed("api");
        metrics.refused(Refusal::TooEarly);
        metrics.show("a", "x", 3, &RaftClusterStatus::default());
        metrics.show("b", "y", 3, &RaftClusterStatus::default());
        let text = metrics.text();
        for line in [
            "holdfast_operator_is_leader 1",
            "holdfast_operator_reconciles_total 1",
            "holdfast_operator_reconcile_errors_total{kind=\"api\"} 1",
            "holdfast_operator_retries_total{kind=\"too_early\"} 1",
            "holdfast_operator_reconcile_duration_seconds_bucket{le=\"0.01\"} 0",
            "holdfast_operator_reconcile_duration_seconds_bucket{le=\"0.03\"} 1",
            "holdfast_cluster_members_wanted{namespace=\"b\",name=\"y\"} 3",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE holdfast_cluster_ready gauge").count(), 1);
    }
}
