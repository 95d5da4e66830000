//! What is kept of an object.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ContainerStatus, Node, NodeSelectorTerm, PersistentVolume, PersistentVolumeClaim, Pod, Secret,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Resource, ResourceExt};

use crate::certificates::Outline;
use crate::children;
use crate::names::ours;
use crate::plan::id::{ClusterId, MemberId, Uid};
use crate::plan::observed::{Admission, BudgetSeen, ChildSeen, PodSeen, PodState, StatefulSetSeen};

/// What is kept of an object: enough to tell whether it changed in a way that matters.
pub trait Row<K>: PartialEq + Send + Sync + Sized + 'static {
    /// Returns what is kept. `None` if the object lacks what every one has.
    fn of(object: &K) -> Option<Self>;
}

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// What Kubernetes tells of it; nobody has asked its process.
    pub seen: PodSeen,
    /// Where its process is reached.
    pub address: Option<String>,
    /// Which version it runs.
    pub version: Option<String>,
}

/// What is kept of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// Its UID.
    pub uid: Uid,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// The cluster that is written on it.
    pub cluster_id: Option<ClusterId>,
    /// The member that is written on it.
    pub member_id: Option<MemberId>,
    /// The UIDs of those that own it.
    pub owners: Vec<Uid>,
    /// Whether Kubernetes says that its volume is lost.
    pub is_lost: bool,
    /// The volume that it is bound to.
    pub volume: Option<String>,
    /// How large that is.
    pub size: Option<String>,
}

/// What is kept of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What is kept of a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeRow {
    /// The nodes from which it can be reached; from all if `None`.
    pub terms: Option<Vec<NodeSelectorTerm>>,
}

/// What an object was made from.
fn digest<K: ResourceExt>(object: &K) -> String {
    object.annotations().get(&children::digest_key()).cloned().unwrap_or_default()
}

/// The annotation that holds a pod's version.
fn version_key() -> String {
    ours("version")
}

impl<K> Row<PartialObjectMeta<K>> for ChildSeen
where
    K: Resource<DynamicType = ()> + 'static,
{
    fn of(object: &PartialObjectMeta<K>) -> Option<ChildSeen> {
        Some(ChildSeen { uid: Uid(object.uid()?), digest: digest(object) })
    }
}

impl Row<DynamicObject> for ChildSeen {
    fn of(object: &DynamicObject) -> Option<ChildSeen> {
        Some(ChildSeen { uid: Uid(object.uid()?), digest: digest(object) })
    }
}

impl Row<StatefulSet> for StatefulSetSeen {
    fn of(set: &StatefulSet) -> Option<StatefulSetSeen> {
        let spec = set.spec.as_ref()?;
        let status = set.status.as_ref();
        let is_current =
            status.and_then(|status| status.observed_generation) == set.metadata.generation;
        let revision = status.and_then(|status| status.update_revision.clone());
        Some(StatefulSetSeen {
            uid: Uid(set.uid()?),
            digest: digest(set),
            replicas: u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default(),
            revision: revision.filter(|_| is_current),
        })
    }
}

impl Row<PodDisruptionBudget> for BudgetSeen {
    fn of(budget: &PodDisruptionBudget) -> Option<BudgetSeen> {
        let available_min = match budget.spec.as_ref()?.min_available.as_ref()? {
            IntOrString::Int(count) => u32::try_from(*count).ok()?,
            // Somebody else wrote it: it is to be made anew.
            IntOrString::String(_) => 0,
        };
        Some(BudgetSeen { uid: Uid(budget.uid()?), available_min })
    }
}

impl Row<Secret> for Outline {
    fn of(secret: &Secret) -> Option<Outline> {
        Outline::of(secret)
    }
}

impl Row<PartialObjectMeta<Node>> for NodeRow {
    fn of(node: &PartialObjectMeta<Node>) -> Option<NodeRow> {
        Some(NodeRow { labels: node.labels().clone() })
    }
}

impl Row<PersistentVolume> for VolumeRow {
    fn of(volume: &PersistentVolume) -> Option<VolumeRow> {
        let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
        let required = affinity.and_then(|affinity| affinity.required.as_ref());
        Some(VolumeRow { terms: required.map(|required| required.node_selector_terms.clone()) })
    }
}

impl Row<PersistentVolumeClaim> for ClaimRow {
    fn of(claim: &PersistentVolumeClaim) -> Option<ClaimRow> {
        let note = |key: &str| claim.annotations().get(&ours(key)).map(String::as_str);
        let status = claim.status.as_ref();
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone());
        let capacity = status.and_then(|status| status.capacity.as_ref());
        Some(ClaimRow {
            uid: Uid(claim.uid()?),
            is_deleting: claim.metadata.deletion_timestamp.is_some(),
            cluster_id: note("cluster-id").and_then(ClusterId::parse),
            member_id: note("member-id").and_then(MemberId::parse),
            owners: claim.owner_references().iter().map(|owner| Uid(owner.uid.clone())).collect(),
            is_lost: status.and_then(|status| status.phase.as_deref()) == Some("Lost"),
            volume: volume.filter(|name| !name.is_empty()),
            size: capacity.and_then(|sizes| sizes.get("storage").cloned()).map(|size| size.0),
        })
    }
}

// === Pods ===

impl Row<Pod> for PodRow {
    fn of(pod: &Pod) -> Option<PodRow> {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let ready = conditions.and_then(|conditions| {
            conditions.iter().find(|found| found.type_ == "Ready" && found.status == "True")
        });
        let ready_since =
            ready.and_then(|found| found.last_transition_time.as_ref().map(|time| time.0));
        let seen = PodSeen {
            uid: Uid(pod.uid()?),
            is_deleting: pod.metadata.deletion_timestamp.is_some(),
            revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
            state: state(pod),
            ready_since,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            admission: Admission::Silent,
        };
        let address = status.and_then(|status| status.pod_ip.clone());
        Some(PodRow { seen, address, version: pod.annotations().get(&version_key()).cloned() })
    }
}

fn state(pod: &Pod) -> PodState {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let container = containers.and_then(|containers| containers.first());
    match container {
        Some(container) => container_state(container),
        None => {
            let conditions = status.and_then(|status| status.conditions.as_ref());
            let unmet = conditions.and_then(|conditions| {
                conditions.iter().find(|found| found.status == "False" && found.reason.is_some())
            });
            let reason = unmet.and_then(|found| found.reason.clone());
            PodState::Waiting(reason.unwrap_or_else(|| "Pending".to_owned()))
        }
    }
}

fn container_state(container: &ContainerStatus) -> PodState {
    let Some(state) = &container.state else {
        return PodState::Waiting("Unknown".to_owned());
    };
    if state.running.is_some() {
        return PodState::Running;
    }
    let waits = state.waiting.as_ref().and_then(|waits| waits.reason.clone());
    let ended = state.terminated.as_ref().and_then(|ended| ended.reason.clone());
    PodState::Waiting(waits.or(ended).unwrap_or_else(|| "Pending".to_owned()))
}
