//! What happens to the cluster, one behaviour after the other. Each ends when the cluster is whole
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::cluster::run::wait_for;
use crate::e2e::certificates;
use crate::e2e::certified::Scene;
use crate::e2e::helm;
use crate::e2e::subject::{NAME, NAMESPACE, Subject, ensure_members};
use crate::e2e::upgraded;
use crate::e2e::witness::Seen;

/// How long the cluster may take to be whole again.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// What a change of all pods may take.
pub(super) const ROLL_LIMIT: Duration = Duration::from_secs(300);
/// How often the operator is killed while it works.
const KILL_EVERY: Duration = Duration::from_secs(3);
/// How long a node is away until Kubernetes has noticed.
const NOTICE: Duration = Duration::from_secs(16);

/// One of the things that happen.
#[derive(Debug)]
pub(super) struct Behaviour {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether nobody but the operator would do it.
    pub(super) needs_operator: bool,
    pub(super) cost: Cost,
    pub(super) stage: Stage,
}

/// How long a behaviour takes, and so, when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// Also where little time is to be taken.
    Seconds,
    /// If all are run.
    Minutes,
}

/// Happens to a cluster that is there.
pub(super) type Happens = fn(&Subject, &Cluster) -> Result<()>;

/// What a behaviour happens to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The cluster that many of them share.
    Shared(Happens),
    /// A cluster that it makes for itself, with a client.
    Own(fn(&Scene<'_>) -> Result<Seen>),
}

/// All of them, in the order in which they are run.
pub(super) const BEHAVIOURS: &[Behaviour] = &[
    common("follower-deleted", "the pod of a follower is deleted", Cost::Seconds, follower_deleted),
    common("leader-deleted", "the pod of the leader is deleted", Cost::Seconds, leader_deleted),
    operators("rolled", "all pods change, one after the other", Cost::Seconds, rolled),
    operators("bad-image", "an image that is not there, and back", Cost::Minutes, bad_image),
    operators("scaled", "three members become five, and three again", Cost::Seconds, scaled),
    operators(
        "operator-killed",
        "the same, and the operator is killed all the time",
        Cost::Minutes,
        killed,
    ),
    common(
        "node-cut",
        "the node of the leader loses its network, and has it back",
        Cost::Seconds,
        node_cut,
    ),
    common("node-lost", "a node fails, and starts again", Cost::Minutes, node_lost),
    operators(
        "disk-lost",
        "a node fails, and its volumes are lost with it",
        Cost::Minutes,
        disk_lost,
    ),
    common("quorum-lost", "two of three nodes fail, and start again", Cost::Minutes, quorum_lost),
    common("all-deleted", "all pods are deleted at once", Cost::Seconds, all_deleted),
    operators(
        "reinstalled",
        "the operator is removed, and comes back by Helm",
        Cost::Seconds,
        reinstalled,
    ),
    operators("hibernated", "no members, and back", Cost::Minutes, hibernated),
    operators("recreated", "deleted, and made again over its volumes", Cost::Minutes, recreated),
    certified(
        "certificates-renewed",
        "certificates of the operator are renewed before they expire, and when they are deleted",
        Cost::Minutes,
        certificates::renewed,
    ),
    certified(
        "secret-replaced",
        "certificates come from a Secret, and somebody puts others there",
        Cost::Minutes,
        certificates::replaced,
    ),
    certified(
        "upgraded",
        "the operator is upgraded by Helm and taken back, and then its cluster is upgraded",
        Cost::Minutes,
        upgraded::upgraded,
    ),
];

const fn common(name: &'static str, what: &'static str, cost: Cost, happens: Happens) -> Behaviour {
    Behaviour { name, what, needs_operator: false, cost, stage: Stage::Shared(happens) }
}

const fn operators(
    name: &'static str,
    what: &'static str,
    cost: Cost,
    happens: Happens,
) -> Behaviour {
    Behaviour { name, what, needs_operator: true, cost, stage: Stage::Shared(happens) }
}

const fn certified(
    name: &'static str,
    what: &'static str,
    cost: Cost,
    happens: fn(&Scene<'_>) -> Result<Seen>,
) -> Behaviour {
    Behaviour { name, what, needs_operator: true, cost, stage: Stage::Own(happens) }
}

fn whole(subject: &Subject) -> Result<()> {
    subject.wait_until_whole(3, &BTreeMap::new(), LIMIT)
}

fn follower_deleted(subject: &Subject, _: &Cluster) -> Result<()> {
    let pod = subject.follower()?;
    deleted(subject, &[pod])
}

fn leader_deleted(subject: &Subject, _: &Cluster) -> Result<()> {
    let pod = subject.leader()?;
    deleted(subject, &[pod])
}

fn all_deleted(subject: &Subject, _: &Cluster) -> Result<()> {
    let pods: Vec<String> = subject.pods()?.into_keys().collect();
    deleted(subject, &pods)
}

fn deleted(subject: &Subject, pods: &[String]) -> Result<()> {
    let mut before = subject.pods()?;
    ensure_members(&before, 3)?;
    before.retain(|name, _| pods.contains(name));
    let mut words = vec!["delete", "pod", "--wait=false"];
    words.extend(pods.iter().map(String::as_str));
    subject.ask(&words)?;
    subject.wait_until_whole(3, &before, LIMIT)
}

fn rolled(subject: &Subject, _: &Cluster) -> Result<()> {
    let before = subject.pods()?;
    subject.patch(r#"{"spec":{"resources":{"requests":{"memory":"72Mi"}}}}"#)?;
    subject.wait_until_whole(3, &before, ROLL_LIMIT)
}

fn bad_image(subject: &Subject, _: &Cluster) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    subject.patch(r#"{"spec":{"version":"0.1.99"}}"#)?;
    wait_for("the bad image to be tried", LIMIT, || {
        let format = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
        let reasons = subject.ask(&["get", "pods", "-o", format])?;
        Ok(reasons.contains("Pull").then_some(()))
    })?;
    subject.patch(&format!(r#"{{"spec":{{"version":"{version}"}}}}"#))?;
    whole(subject)
}

fn scaled(subject: &Subject, _: &Cluster) -> Result<()> {
    scale(subject, 5)?;
    subject.wait_until_whole(5, &BTreeMap::new(), ROLL_LIMIT)?;
    scale(subject, 3)?;
    subject.wait_until_whole(3, &BTreeMap::new(), ROLL_LIMIT)
}

fn scale(subject: &Subject, members: u32) -> Result<()> {
    let members = format!("--replicas={members}");
    subject.ask(&["scale", "raftcluster", NAME, &members]).map(drop)
}

fn killed(subject: &Subject, _: &Cluster) -> Result<()> {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut killed = Instant::now();
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                if killed.elapsed() > KILL_EVERY {
                    killed = Instant::now();
                    kill_operator(subject);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let result = scale(subject, 5)
            .and_then(|()| subject.wait_until_whole(5, &BTreeMap::new(), ROLL_LIMIT))
            .and_then(|()| subject.patch(r#"{"spec":{"resources":{"requests":{"cpu":"25m"}}}}"#))
            .and_then(|()| subject.wait_until_whole(5, &BTreeMap::new(), ROLL_LIMIT))
            .and_then(|()| scale(subject, 3))
            .and_then(|()| subject.wait_until_whole(3, &BTreeMap::new(), ROLL_LIMIT));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    })
}

/// Kills all pods of the operator; that it could not be done is no failure of what is tested.
fn kill_operator(subject: &Subject) {
    let _ = subject.kubectl.must(&[
        "-n",
        helm::NAMESPACE,
        "delete",
        "pods",
        "--all",
        "--grace-period=0",
        "--force",
        "--wait=false",
    ]);
}

fn node_cut(subject: &Subject, cluster: &Cluster) -> Result<()> {
    let node = subject.node_of(&subject.leader()?)?;
    cluster.cut(&node)?;
    std::thread::sleep(NOTICE);
    cluster.mend(&node)?;
    recovered(subject)
}

fn node_lost(subject: &Subject, cluster: &Cluster) -> Result<()> {
    let node = subject.node_of(&subject.leader()?)?;
    cluster.lose(&node, false)?;
    std::thread::sleep(NOTICE);
    cluster.bring_back(&node)?;
    recovered(subject)
}

fn disk_lost(subject: &Subject, cluster: &Cluster) -> Result<()> {
    let before = subject.pods()?;
    let (pod, node) = alone_on_its_node(subject, &before)?;
    let uid = before.get(&pod).context("it is one of the pods")?.clone();
    cluster.lose(&node, true)?;
    // Kubernetes lets go of a pod only when its node is.
    subject.kubectl.must(&["delete", "node", &node])?;
    let gone = BTreeMap::from([(pod, uid)]);
    let result = subject.wait_until_whole(3, &gone, ROLL_LIMIT);
    cluster.bring_back(&node)?;
    result
}

/// A pod, and its node, on which there is no other one: the others are a quorum without it. One
/// that does not lead, if there is one.
fn alone_on_its_node(
    subject: &Subject,
    pods: &BTreeMap<String, String>,
) -> Result<(String, String)> {
    let mut on: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for pod in pods.keys() {
        on.entry(subject.node_of(pod)?).or_default().push(pod);
    }
    let leader = subject.leader()?;
    let alone = on.into_iter().filter_map(|(node, pods)| match *pods {
        [pod] => Some((pod.clone(), node)),
        _ => None,
    });
    let found = alone.min_by_key(|(pod, _)| *pod == leader);
    found.context("all pods are on one node; no node can be lost without the quorum")
}

fn quorum_lost(subject: &Subject, cluster: &Cluster) -> Result<()> {
    let leader = subject.leader()?;
    let follower = subject.follower()?;
    // Both may be on one: that does as well.
    let nodes = BTreeSet::from([subject.node_of(&leader)?, subject.node_of(&follower)?]);
    nodes.iter().try_for_each(|node| cluster.lose(node, false))?;
    std::thread::sleep(NOTICE);
    nodes.iter().try_for_each(|node| cluster.bring_back(node))?;
    recovered(subject)
}

/// Waits until all nodes are ready, and then the cluster.
fn recovered(subject: &Subject) -> Result<()> {
    subject.kubectl.must(&["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"])?;
    whole(subject)?;
    subject.leader().map(drop)
}

/// Clusters go on without the operator; when it is back, the chart tests itself.
fn reinstalled(subject: &Subject, _: &Cluster) -> Result<()> {
    let before = subject.pods()?;
    subject.helm.uninstall()?;
    deleted_alone(subject)?;
    subject.helm.install()?;
    whole(subject)?;
    subject.helm.test()?;
    // It looks after what was there before it, too.
    subject.patch(r#"{"spec":{"update":{"stabilizationSeconds":4}}}"#)?;
    whole(subject)?;
    let kept = subject.pods()?.into_values().filter(|uid| before.values().any(|old| old == uid));
    ensure!(kept.count() == 2, "the operator has restarted members because it was installed");
    Ok(())
}

/// The pod of the leader is deleted, and nobody but Kubernetes is there to see it.
fn deleted_alone(subject: &Subject) -> Result<()> {
    let leader = subject.leader()?;
    subject.ask(&["delete", "pod", &leader, "--timeout=60s"])?;
    subject.leader().map(drop)
}

fn hibernated(subject: &Subject, _: &Cluster) -> Result<()> {
    scale(subject, 0)?;
    wait_for("all pods to be gone", LIMIT, || Ok(subject.pods()?.is_empty().then_some(())))?;
    scale(subject, 3)?;
    whole(subject)
}

fn recreated(subject: &Subject, _: &Cluster) -> Result<()> {
    subject.ask(&["delete", "raftcluster", NAME, "--timeout=60s"])?;
    wait_for("all pods to be gone", LIMIT, || Ok(subject.pods()?.is_empty().then_some(())))?;
    subject.create().with_context(|| format!("cannot be made again in {NAMESPACE}"))?;
    whole(subject)
}
