//! The cluster that things happen to: a RaftCluster with the operator, or a plain StatefulSet of
//! the same members, which shows what Kubernetes alone does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::run::{Kubectl, must, wait_for};
use crate::e2e::helm::Helm;

/// Where it lives.
pub(super) const NAMESPACE: &str = "e2e";
/// What it is called.
pub(super) const NAME: &str = "subject";
/// The kind that the operator looks after, as Kubernetes calls it.
const KIND: &str = "raftclusters.raft.holdfast.dev";
/// Members of the largest cluster that is made.
pub(super) const MEMBERS_MAX: u32 = 5;

/// What looks after the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// The operator, told by a RaftCluster.
    Operator,
    /// Nobody but Kubernetes.
    StatefulSet,
}

/// The cluster under test, and how it is asked.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) keeper: Keeper,
    /// Its name.
    pub(super) name: &'static str,
    /// What its `spec.tls` is, on one line of YAML. `None` if clients need no certificates.
    pub(super) tls: Option<String>,
    pub(super) kubectl: Kubectl,
    pub(super) etcdctl: PathBuf,
    pub(super) helm: Helm,
}

impl Subject {
    /// The URLs of so many members, in the cluster's own names.
    pub(super) fn urls(&self, members: u32) -> Vec<String> {
        let (scheme, name) = (if self.tls.is_some() { "https" } else { "http" }, self.name);
        let host = |ordinal| format!("{name}-{ordinal}.{name}-peers.{NAMESPACE}.svc.cluster.local");
        (0..members).map(|ordinal| format!("{scheme}://{}:2379", host(ordinal))).collect()
    }

    /// Makes the namespace, which admits only what is restricted, and the cluster.
    pub(super) fn create(&self) -> Result<()> {
        self.make_namespace()?;
        self.kubectl.apply(&match self.keeper {
            Keeper::Operator => self.raft_cluster(),
            Keeper::StatefulSet => stateful_set(),
        })
    }

    /// Makes the namespace.
    pub(super) fn make_namespace(&self) -> Result<()> {
        self.kubectl.apply(&namespace())
    }

    /// Runs kubectl in the namespace.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        self.kubectl.must(&[&["-n", NAMESPACE], words].concat())
    }

    /// Changes the RaftCluster.
    pub(super) fn patch(&self, patch: &str) -> Result<()> {
        self.ask(&["patch", "raftcluster", self.name, "--type=merge", "-p", patch]).map(drop)
    }

    /// The UIDs of pods by their names.
    pub(super) fn pods(&self) -> Result<BTreeMap<String, String>> {
        let format = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
        let text = self.ask(&["get", "pods", "-o", format])?;
        Ok(text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| name.starts_with(&format!("{}-", self.name)))
            .map(|(name, uid)| (name.to_owned(), uid.to_owned()))
            .collect())
    }

    /// The node of a pod.
    pub(super) fn node_of(&self, pod: &str) -> Result<String> {
        self.ask(&["get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"])
    }

    /// The pod of the leader, as the members say.
    pub(super) fn leader(&self) -> Result<String> {
        wait_for("a leader", Duration::from_secs(30), || {
            let text = self.ask(&[
                "get",
                "pods",
                "-o",
                "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}",
            ])?;
            for (pod, address) in text.lines().filter_map(|line| line.split_once(' ')) {
                if !address.is_empty() && self.leads(address) {
                    return Ok(Some(pod.to_owned()));
                }
            }
            Ok(None)
        })
    }

    fn leads(&self, address: &str) -> bool {
        let Some(etcdctl) = self.etcdctl.to_str() else {
            return false;
        };
        let endpoint = format!("--endpoints=http://{address}:2379");
        let words =
            [etcdctl, &endpoint, "--command-timeout=1s", "endpoint", "status", "-w", "json"];
        let Ok(text) = must(&words) else {
            return false;
        };
        serde_json::from_str::<Value>(&text).is_ok_and(|answer| {
            let status = &answer[0]["Status"];
            status["leader"] == status["header"]["member_id"] && status["leader"] != Value::Null
        })
    }

    /// A pod that does not lead.
    pub(super) fn follower(&self) -> Result<String> {
        let leader = self.leader()?;
        let pods = self.pods()?;
        pods.into_keys().find(|pod| *pod != leader).context("there is no follower")
    }

    /// Waits until `members` are as they should be, and none of them is one of `gone`.
    pub(super) fn wait_until_whole(
        &self,
        members: u32,
        gone: &BTreeMap<String, String>,
        limit: Duration,
    ) -> Result<()> {
        wait_for(&format!("{members} healthy members"), limit, || {
            let pods = self.pods()?;
            let is_renewed = pods.values().all(|uid| !gone.values().any(|old| old == uid));
            let is_whole = is_renewed && self.is_whole(members)?;
            Ok(is_whole.then_some(()))
        })
    }

    fn is_whole(&self, members: u32) -> Result<bool> {
        let kind = match self.keeper {
            Keeper::Operator => "raftcluster",
            Keeper::StatefulSet => "statefulset",
        };
        let text = self.ask(&["get", kind, self.name, "-o", "json"])?;
        let object: Value = serde_json::from_str(&text).context("kubectl prints JSON")?;
        let status = &object["status"];
        let is_current = status["observedGeneration"] == object["metadata"]["generation"];
        Ok(is_current
            && match self.keeper {
                Keeper::Operator => {
                    let is_ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
                    let conditions = status["conditions"].as_array();
                    status["ready"] == format!("{members}/{members}")
                        && conditions.is_some_and(|all| all.iter().any(is_ready))
                }
                Keeper::StatefulSet => status["readyReplicas"] == members,
            })
    }

    /// Removes it, with its namespace.
    pub(super) fn remove(&self) -> Result<()> {
        let kind = ["get", "customresourcedefinition", KIND, "--ignore-not-found", "-o", "name"];
        if !self.kubectl.must(&kind)?.is_empty() {
            let words = ["delete", "raftclusters", "--all", "--timeout=60s", "--ignore-not-found"];
            self.ask(&words)?;
        }
        let words = ["delete", "namespace", NAMESPACE, "--timeout=90s", "--ignore-not-found"];
        self.kubectl.must(&words).map(drop)
    }

    /// Small, and unless something else is said, without certificates for clients, so that any
    /// client can look into it.
    fn raft_cluster(&self) -> String {
        let Subject { name, tls, .. } = self;
        let tls = tls.as_deref().unwrap_or("{client: {disabled: {}}}");
        format!(
            "apiVersion: raft.holdfast.dev/v1alpha1
kind: RaftCluster
metadata:
  name: {name}
  namespace: {NAMESPACE}
spec:
  replicas: 3
  storage:
    size: 1Gi
  server:
    quotaBytes: 268435456
  resources:
    requests: {{cpu: 20m, memory: 64Mi}}
    limits: {{memory: 512Mi}}
  tls: {tls}
  repair:
    replaceAfterSeconds: 30
  update:
    stabilizationSeconds: 5
"
        )
    }
}

fn namespace() -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"
    )
}

fn stateful_set() -> String {
    let host =
        |ordinal: &str| format!("{NAME}-{ordinal}.{NAME}-peers.{NAMESPACE}.svc.cluster.local");
    let all: Vec<String> = ["0", "1", "2"]
        .iter()
        .map(|ordinal| format!("{NAME}-{ordinal}=http://{}:2380", host(ordinal)))
        .collect();
    include_str!("stateful-set.yaml")
        .replace("NAMESPACE", NAMESPACE)
        .replace("NAME", NAME)
        .replace("ALL-MEMBERS", &all.join(","))
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
}

/// Makes sure that what a behaviour needs is there.
pub(super) fn ensure_members(pods: &BTreeMap<String, String>, members: usize) -> Result<()> {
    ensure!(pods.len() == members, "{members} pods were expected, and there are {}", pods.len());
    Ok(())
}
