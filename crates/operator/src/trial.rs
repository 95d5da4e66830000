//! A cluster that is made, waited for and removed, to see whether an installation works: what
//! `helm test` runs.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep};

use crate::crd::{ConditionStatus, ConditionType, RaftCluster, RaftClusterSpec, Retention};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// In which namespace.
    pub namespace: String,
    /// What the cluster is called. There may be none of this name.
    pub name: String,
    /// What it is to be like. Nothing of it is kept, whatever this says.
    pub spec: RaftClusterSpec,
    /// How long it may take to come up, and then how long to go.
    pub limit: Duration,
}

impl Trial {
    /// Makes the cluster, waits until it is ready, and removes it. Tells on standard output how it
    /// goes.
    ///
    /// # Errors
    ///
    /// If there is a cluster of that name, if this one is not ready within the limit, or if it does
    /// not go. One that was made is removed all the same.
    pub async fn run(self, client: Client) -> Result<()> {
        let clusters: Api<RaftCluster> = Api::namespaced(client, &self.namespace);
        let made = clusters.create(&PostParams::default(), &self.object()).await;
        let made = made.with_context(|| format!("RaftCluster {} cannot be made", self.name))?;
        let uid = made.uid().context("what was made has no UID")?;
        println!("made RaftCluster {}/{}", self.namespace, self.name);

        let came = self.wait_until_ready(&clusters).await;
        let parameters = DeleteParams::default().preconditions(kube::api::Preconditions {
            uid: Some(uid.clone()),
            resource_version: None,
        });
        let deleted = clusters.delete(&self.name, &parameters).await;
        // Why it did not come is the news; that it could not be removed either follows from it.
        came?;
        deleted.with_context(|| format!("RaftCluster {} cannot be deleted", self.name))?;
        self.wait_until_gone(&clusters, &uid).await?;
        println!("it is gone again");
        Ok(())
    }

    /// What is made: of its volumes nothing is to stay.
    fn object(&self) -> RaftCluster {
        let mut spec = self.spec.clone();
        spec.storage.retention.when_deleted = Retention::Delete;
        spec.storage.retention.when_scaled = Retention::Delete;
        RaftCluster::new(&self.name, spec)
    }

    async fn wait_until_ready(&self, clusters: &Api<RaftCluster>) -> Result<()> {
        let deadline = Instant::now() + self.limit;
        let mut said = String::new();
        loop {
            // A server that does not answer for a moment is no reason to give up.
            let progress = match clusters.get(&self.name).await {
                Ok(cluster) => Progress::of(&cluster),
                Err(error) => Progress::Waits(error.to_string()),
            };
            let now = progress.to_string();
            if now != said {
                println!("{now}");
                said = now;
            }
            match progress {
                Progress::Ready(_) => return Ok(()),
                Progress::Waits(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Progress::Waits(last) => bail!(
                    "RaftCluster {} was not ready within {} s, and this is the last that was seen \
                     of it: {last}; look at the operator's log and at the events of its namespace",
                    self.name,
                    self.limit.as_secs()
                ),
            }
        }
    }

    async fn wait_until_gone(&self, clusters: &Api<RaftCluster>, uid: &str) -> Result<()> {
        let deadline = Instant::now() + self.limit;
        loop {
            let found = clusters.get_opt(&self.name).await;
            let is_there = found.is_ok_and(|found| found.is_some_and(|it| is_of(&it, uid)));
            if !is_there {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "RaftCluster {} was not gone within {} s after it was deleted",
                self.name,
                self.limit.as_secs()
            );
            sleep(PAUSE).await;
        }
    }
}

fn is_of(cluster: &RaftCluster, uid: &str) -> bool {
    cluster.uid().is_some_and(|other| other == uid)
}

/// How far a cluster has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// It is ready, and this is who leads.
    Ready(String),
    /// It is not, for this reason.
    Waits(String),
}

impl Progress {
    /// What its status says, if that is about what was asked for.
    fn of(cluster: &RaftCluster) -> Progress {
        let Some(status) = &cluster.status else {
            return Progress::Waits("the operator has not looked at it yet".to_owned());
        };
        let ready = status.conditions.iter().find(|is| is.r#type == ConditionType::Ready);
        let Some(ready) = ready else {
            return Progress::Waits("its status does not say whether it is ready".to_owned());
        };
        let is_current = cluster.metadata.generation == Some(ready.observed_generation);
        match ready.status {
            ConditionStatus::True if is_current => {
                let leader = status.leader.as_ref();
                let words = leader.map(|it| format!("{} leads in term {}", it.name, it.term));
                Progress::Ready(words.unwrap_or_else(|| "nobody is said to lead".to_owned()))
            }
            ConditionStatus::True | ConditionStatus::False | ConditionStatus::Unknown => {
                Progress::Waits(format!("{:?}: {}", ready.reason, ready.message))
            }
        }
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Progress::Ready(words) => write!(f, "it is ready: {words}"),
            Progress::Waits(why) => write!(f, "it is not ready: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cluster(status: Value) -> RaftCluster {
        let mut cluster = RaftCluster::new("trial", RaftClusterSpec::default());
        cluster.metadata.generation = Some(2);
        cluster.status = serde_json::from_value(status).unwrap();
        cluster
    }

    fn with_ready(status: &str, generation: i64) -> RaftCluster {
        cluster(json!({
            "leader": {"name": "trial-0", "memberID": "1", "term": "3",
                "since": "2026-01-01T00:00:00Z"},
            "conditions": [{"type": "Ready", "status": status, "reason": "Bootstrapping",
                "message": "its first member starts", "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        }))
    }

    #[test]
    fn trial_ends_well_only_when_what_was_asked_for_is_ready() {
        assert!(matches!(Progress::of(&cluster(Value::Null)), Progress::Waits(_)));
        assert!(matches!(Progress::of(&cluster(json!({}))), Progress::Waits(_)));
        let waits = Progress::Waits("Bootstrapping: its first member starts".to_owned());
        assert_eq!(Progress::of(&with_ready("False", 2)), waits);
        assert_eq!(Progress::of(&with_ready("True", 1)), waits, "of another generation");
        let ready = Progress::Ready("trial-0 leads in term 3".to_owned());
        assert_eq!(Progress::of(&with_ready("True", 2)), ready);
    }

    #[test]
    fn nothing_of_a_trial_is_kept() {
        let mut spec = RaftClusterSpec::default();
        spec.storage.retention.when_deleted = Retention::Retain;
        let trial = Trial {
            namespace: "default".to_owned(),
            name: "trial".to_owned(),
            spec,
            limit: Duration::from_secs(1),
        };
        let made = trial.object().spec.storage.retention;
        assert_eq!((made.when_deleted, made.when_scaled), (Retention::Delete, Retention::Delete));
    }
}
