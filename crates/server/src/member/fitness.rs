//! Whether this member is fit to serve, for probes.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use store::AlarmKind;

use super::Handle;
use crate::http::{Alarm, Check, CheckResult, Consistency, Health, Probe, ReadFuture, Versions};
use crate::metrics::Metrics;

/// What probes are told: nothing good before the member is born.
#[derive(Debug)]
pub(crate) struct Fitness {
    handle: OnceLock<Handle>,
    metrics: Arc<Metrics>,
}

impl Fitness {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Fitness {
        Fitness { handle: OnceLock::new(), metrics }
    }

    /// The member is born.
    pub(crate) fn set(&self, handle: Handle) {
        assert!(self.handle.set(handle).is_ok(), "one process is one member");
    }
}

impl Health for Fitness {
    fn alarms(&self) -> Vec<Alarm> {
        let Some(handle) = self.handle.get() else { return Vec::new() };
        let published = handle.published();
        let alarms = published.alarms.iter().filter_map(|(_, kind)| match kind {
            AlarmKind::NoSpace => Some(Alarm::NoSpace),
            AlarmKind::Corrupt => Some(Alarm::Corrupt),
            AlarmKind::None => None,
        });
        alarms.collect()
    }

    fn has_leader(&self) -> bool {
        self.handle.get().is_some_and(|handle| handle.published().leader.is_some())
    }

    fn is_learner(&self) -> bool {
        let Some(handle) = self.handle.get() else { return false };
        !handle.published().membership.is_voter(raft::MemberId(handle.identity().member_id))
    }

    fn read(&self, consistency: Consistency) -> ReadFuture {
        let Some(handle) = self.handle.get().cloned() else {
            return Box::pin(async { Err("awaiting admission to a cluster".to_owned()) });
        };
        Box::pin(async move {
            match consistency {
                Consistency::Serializable => Ok(()),
                Consistency::Linearizable => match handle.read_index().await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(crate::status::refused(error).message().to_owned()),
                },
            }
        })
    }

    fn versions(&self) -> Versions {
        let cluster = self.handle.get().map(|handle| handle.published().cluster_version.clone());
        Versions {
            server: crate::config::ETCD_VERSION.to_owned(),
            cluster: cluster
                .filter(|version| !version.is_empty())
                .map(|version| version.to_string()),
            storage: Some(STORAGE_VERSION.to_owned()),
        }
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn variables(&self) -> Map<String, Value> {
        Map::new()
    }

    fn on_check(&self, probe: Probe, check: Check, result: CheckResult) {
        self.metrics.on_check(probe, check, result);
    }
}

/// The version of what members store, in etcd's numbers.
const STORAGE_VERSION: &str = "3.7.0";
