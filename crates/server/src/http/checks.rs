//! Whether the member is fit: `/health`, `/livez`, `/readyz`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use super::query::Query;
use super::{Alarm, CheckResult, Consistency, Health, page};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// `/health`, which has one answer for everything.
    Health,
    /// `/livez`: ought the process to be restarted?
    Live,
    /// `/readyz`: ought it to be sent requests?
    Ready,
}

/// One thing that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// All that `/health` looks at.
    Whole,
    /// No member is known to hold other data than the rest.
    DataCorruption,
    /// This member can be read.
    SerializableRead,
    /// A quorum agrees within the time limit.
    LinearizableRead,
    /// The member is a voter.
    NonLearner,
}

const LIVE: &[Check] = &[Check::SerializableRead];

const READY: &[Check] =
    &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner];

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Probe::Health => "health",
            Probe::Live => "livez",
            Probe::Ready => "readyz",
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Whole => "health",
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        })
    }
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `/livez`, `/readyz`: all checks but those that the query excludes.
    All(Probe),
    /// `/livez/CHECK`: this one, whatever is excluded.
    One(Probe, Check),
}

/// What a path asks for, if it is one of ours.
pub(super) fn find(path: &str) -> Option<Asked> {
    let path = path.strip_prefix('/')?;
    let (name, check) = match path.split_once('/') {
        Some((name, check)) => (name, Some(check)),
        None => (path, None),
    };
    let probe = [Probe::Live, Probe::Ready].into_iter().find(|known| known.to_string() == name)?;
    let Some(check) = check else { return Some(Asked::All(probe)) };
    let check = checks_of(probe).iter().find(|known| known.to_string() == check)?;
    Some(Asked::One(probe, *check))
}

fn checks_of(probe: Probe) -> &'static [Check] {
    match probe {
        Probe::Health => &[Check::Whole],
        Probe::Live => LIVE,
        Probe::Ready => READY,
    }
}

/// Answers the probes.
pub(super) struct Answerer {
    pub(super) health: Arc<dyn Health>,
    pub(super) read_timeout: Duration,
}

impl Answerer {
    /// `/health`.
    pub(super) async fn health(self, query: Query) -> Response<Full<Bytes>> {
        let consistency = match query.first("serializable") {
            Some("true") => Consistency::Serializable,
            Some(_) | None => Consistency::Linearizable,
        };
        let failure = self.unfitness(&query, consistency).await;
        self.count(Probe::Health, Check::Whole, &failure);
        let (flag, reason) = match &failure {
            Ok(()) => ("true", ""),
            Err(reason) => ("false", reason.as_str()),
        };
        let body = format!(r#"{{"health":"{flag}","reason":{}}}"#, Value::from(reason));
        if failure.is_ok() {
            return page::text(StatusCode::OK, body);
        }
        warn!(reason, "/health is asked, and the member is not fit");
        page::error(StatusCode::SERVICE_UNAVAILABLE, &body)
    }

    /// Why the member is not fit, in the order in which etcd looks.
    async fn unfitness(&self, query: &Query, consistency: Consistency) -> Result<(), String> {
        for alarm in self.health.alarms() {
            let name = alarm_name(alarm);
            if query.values("exclude").all(|excluded| excluded != name) {
                return Err(format!("ALARM {name}"));
            }
        }
        if consistency == Consistency::Linearizable && !self.health.has_leader() {
            return Err("RAFT NO LEADER".to_owned());
        }
        self.read(consistency).await.map_err(|error| format!("RANGE ERROR:{error}"))
    }

    /// `/livez` and `/readyz`, and their parts.
    pub(super) async fn probe(self, asked: Asked, query: Query) -> Response<Full<Bytes>> {
        let (probe, checks) = match asked {
            Asked::All(probe) => {
                let excluded: Vec<&str> = query.values("exclude").collect();
                let is_wanted = |check: &&Check| !excluded.contains(&check.to_string().as_str());
                (probe, checks_of(probe).iter().filter(is_wanted).copied().collect())
            }
            Asked::One(probe, check) => (probe, vec![check]),
        };
        let mut report = String::new();
        let mut failed = false;
        for check in checks {
            let result = self.check(check).await;
            self.count(probe, check, &result);
            match result {
                Ok(()) => report += &format!("[+]{check} ok\n"),
                Err(reason) => {
                    failed = true;
                    report += &format!("[-]{check} failed: {reason}\n");
                }
            }
        }
        if failed {
            warn!(%probe, report, "the member is not fit");
            return page::error(StatusCode::SERVICE_UNAVAILABLE, &report);
        }
        if !query.has("verbose") {
            report.clear();
        }
        page::text_only(StatusCode::OK, report + "ok\n")
    }

    async fn check(&self, check: Check) -> Result<(), String> {
        match check {
            Check::Whole | Check::LinearizableRead => self.read(Consistency::Linearizable).await,
            Check::SerializableRead => self.read(Consistency::Serializable).await,
            Check::DataCorruption if self.health.alarms().contains(&Alarm::Corrupt) => {
                Err("alarm activated: CORRUPT".to_owned())
            }
            Check::NonLearner if self.health.is_learner() => {
                Err("not supported for learner".to_owned())
            }
            Check::DataCorruption | Check::NonLearner => Ok(()),
        }
    }

    async fn read(&self, consistency: Consistency) -> Result<(), String> {
        match timeout(self.read_timeout, self.health.read(consistency)).await {
            Ok(result) => result,
            Err(_elapsed) => Err("context deadline exceeded".to_owned()),
        }
    }

    fn count(&self, probe: Probe, check: Check, result: &Result<(), String>) {
        let result = match result {
            Ok(()) => CheckResult::Passed,
            Err(_) => CheckResult::Failed,
        };
        self.health.on_check(probe, check, result);
    }
}

fn alarm_name(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::NoSpace => "NOSPACE",
        Alarm::Corrupt => "CORRUPT",
    }
}
