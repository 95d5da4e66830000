//! Counters of the operator, as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::crd::{ConditionStatus, ConditionType, RaftClusterStatus};

/// Upper bounds of the durations in seconds.
const BOUNDS: [f64; 8] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// All counters.
#[derive(Debug, Default)]
pub struct Metrics {
    is_leader: AtomicBool,
    reconciles: AtomicU64,
    steps: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    durations: Mutex<Durations>,
    clusters: Mutex<BTreeMap<(String, String), (u32, RaftClusterStatus)>>,
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

    /// What a cluster is like now.
    pub fn show(&self, namespace: &str, name: &str, wanted: u32, status: &RaftClusterStatus) {
        let key = (namespace.to_owned(), name.to_owned());
        self.clusters.lock().insert(key, (wanted, status.clone()));
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
        self.durations.lock().write(&mut page);
        for ((namespace, name), (wanted, status)) in &*self.clusters.lock() {
            let labels = format!("namespace=\"{namespace}\",name=\"{name}\"");
            cluster(&mut page, &labels, *wanted, status);
        }
        page.text()
    }
}

impl Durations {
    fn write(&self, page: &mut Page) {
        let name = "holdfast_operator_reconcile_duration_seconds";
        let lines = page.lines("histogram", name);
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            lines.push(format!("{name}_bucket{{le=\"{bound}\"}} {count}"));
        }
        lines.push(format!("{name}_bucket{{le=\"+Inf\"}} {}", self.count));
        lines.push(format!("{name}_sum {}", self.sum));
        lines.push(format!("{name}_count {}", self.count));
    }
}

fn cluster(page: &mut Page, labels: &str, wanted: u32, status: &RaftClusterStatus) {
    let holds = |kind: ConditionType| {
        let found = status.conditions.iter().find(|found| found.r#type == kind);
        f64::from(u8::from(found.is_some_and(|found| found.status == ConditionStatus::True)))
    };
    let mut gauge = |name: &str, labels: &str, value: f64| {
        page.add("gauge", &format!("holdfast_cluster_{name}"), labels, value);
    };
    gauge("ready", labels, holds(ConditionType::Ready));
    gauge("available", labels, holds(ConditionType::Available));
    gauge("members_wanted", labels, f64::from(wanted));
    if let Some(quorum) = &status.quorum {
        gauge("voters", labels, f64::from(quorum.voters));
        gauge("voters_healthy", labels, f64::from(quorum.healthy_voters));
        gauge("quorum", labels, f64::from(quorum.required));
    }
    if let Some(leader) = &status.leader {
        gauge("term", labels, leader.term.parse().unwrap_or_default());
        gauge("leader", &format!("{labels},member=\"{}\"", leader.name), 1.0);
    }
    for member in &status.members {
        if let Some(lag) = member.lag {
            let labels = format!("{labels},member=\"{}\"", member.name);
            gauge("lag_entries", &labels, f64::from(lag));
        }
    }
    for (audience, time) in [
        ("client", &status.certificates.client_not_after),
        ("peer", &status.certificates.peer_not_after),
        ("ca", &status.certificates.ca_not_after),
    ] {
        if let Some(time) = time {
            let labels = format!("{labels},audience=\"{audience}\"");
            gauge("certificate_not_after_seconds", &labels, time.0.as_second() as f64);
        }
    }
}

/// Lines by metric, each under its type.
#[derive(Debug, Default)]
struct Page {
    metrics: BTreeMap<String, (&'static str, Vec<String>)>,
}

impl Page {
    fn lines(&mut self, kind: &'static str, name: &str) -> &mut Vec<String> {
        &mut self.metrics.entry(name.to_owned()).or_insert((kind, Vec::new())).1
    }

    fn add(&mut self, kind: &'static str, name: &str, labels: &str, value: f64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        self.lines(kind, name).push(format!("{name}{labels} {value}"));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, (kind, lines)) in &self.metrics {
            // Writing to a string does not fail.
            let _written = writeln!(text, "# TYPE {name} {kind}\n{}", lines.join("\n"));
        }
        text
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
        metrics.show("a", "x", 3, &RaftClusterStatus::default());
        metrics.show("b", "y", 3, &RaftClusterStatus::default());
        let text = metrics.text();
        for line in [
            "holdfast_operator_is_leader 1",
            "holdfast_operator_reconciles_total 1",
            "holdfast_operator_reconcile_errors_total{kind=\"api\"} 1",
            "holdfast_operator_reconcile_duration_seconds_bucket{le=\"0.01\"} 0",
            "holdfast_operator_reconcile_duration_seconds_bucket{le=\"0.03\"} 1",
            "holdfast_cluster_members_wanted{namespace=\"b\",name=\"y\"} 3",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE holdfast_cluster_ready gauge").count(), 1);
    }
}
