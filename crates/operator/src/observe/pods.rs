//! Looking at pods, and asking each who it is.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use crate::cache::{self, Caches};
use crate::certificates::Identity;
use crate::members::{Dialer, Member};
use crate::names::Site;
use crate::plan::id::{ClusterId, MemberId, Ordinal, Uid};
use crate::plan::observed::{Admission, PodSeen, PodState};

/// What is seen of pods.
pub(super) struct Pods {
    pub(super) seen: BTreeMap<Ordinal, PodSeen>,
    /// Those that can be talked to.
    pub(super) members: BTreeMap<Ordinal, Member>,
    /// Which version each runs.
    pub(super) versions: BTreeMap<Ordinal, String>,
}

pub(super) async fn look(
    caches: &Caches,
    dialer: &Dialer,
    site: &Site,
    identity: Option<&Identity>,
) -> Pods {
    let mut pods =
        Pods { seen: BTreeMap::new(), members: BTreeMap::new(), versions: BTreeMap::new() };
    let found = cache::of_cluster(&caches.pods, site);
    let look = found.iter().filter_map(|pod| {
        let ordinal = Ordinal::of_pod(&pod.name_any(), &site.name)?;
        Some(async move {
            let member = reach(pod, ordinal, dialer, site, identity);
            let admission = match &member {
                Some(member) => ask(member).await,
                None => Admission::Silent,
            };
            (ordinal, pod, member, admission)
        })
    });
    for (ordinal, pod, member, admission) in join_all(look).await {
        let answers = admission != Admission::Silent;
        if let Some(seen) = seen(pod, admission) {
            pods.seen.insert(ordinal, seen);
        }
        if let Some(member) = member.filter(|_| answers) {
            pods.members.insert(ordinal, member);
        }
        if let Some(version) = pod.annotations().get(&super::version_key()) {
            pods.versions.insert(ordinal, version.clone());
        }
    }
    pods
}

/// A connection to a pod, if it has an address and a process.
fn reach(
    pod: &Pod,
    ordinal: Ordinal,
    dialer: &Dialer,
    site: &Site,
    identity: Option<&Identity>,
) -> Option<Member> {
    let address = pod.status.as_ref()?.pod_ip.as_deref()?;
    match dialer.dial(site, ordinal, address, identity) {
        Ok(member) => Some(member),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), pod = pod.name_any(), "cannot be asked");
            None
        }
    }
}

async fn ask(member: &Member) -> Admission {
    match member.state().await {
        Ok(state) if state.member_id == 0 => Admission::Awaiting(state.awaiting),
        Ok(state) => Admission::Member {
            cluster_id: ClusterId(state.cluster_id),
            member_id: MemberId(state.member_id),
        },
        Err(error) => {
            tracing::debug!(error = format!("{error:#}"), "a pod does not say who it is");
            Admission::Silent
        }
    }
}

fn seen(pod: &Pod, admission: Admission) -> Option<PodSeen> {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let ready = conditions.and_then(|conditions| {
        conditions.iter().find(|found| found.type_ == "Ready" && found.status == "True")
    });
    Some(PodSeen {
        uid: Uid(pod.uid()?),
        is_deleting: pod.metadata.deletion_timestamp.is_some(),
        revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
        state: state(pod),
        ready_since: ready.and_then(|found| found.last_transition_time.as_ref().map(|time| time.0)),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        admission,
    })
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
