//! Looking at pods, and asking each who it is.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::future::join_all;
use kube::Client;

use super::papers;
use crate::cache::Caches;
use crate::crd::RaftCluster;
use crate::members::{Dialer, Member};
use crate::names::Site;
use crate::plan::id::{ClusterId, MemberId, Ordinal};
use crate::plan::observed::{Admission, PodSeen};

/// What is seen of pods.
pub(super) struct Pods {
    pub(super) seen: BTreeMap<Ordinal, PodSeen>,
    /// Those that can be talked to.
    pub(super) members: BTreeMap<Ordinal, Member>,
    /// Which version each runs.
    pub(super) versions: BTreeMap<Ordinal, String>,
}

/// Looks at the pods, and asks those that can be reached.
///
/// # Errors
///
/// If Kubernetes does not tell what to show to members.
pub(super) async fn look(
    client: &Client,
    caches: &Caches,
    dialer: &Dialer,
    cluster: &RaftCluster,
    site: &Site,
) -> Result<Pods> {
    let mut pods =
        Pods { seen: BTreeMap::new(), members: BTreeMap::new(), versions: BTreeMap::new() };
    let mut addresses = BTreeMap::new();
    for (name, row) in caches.pods.of_cluster(site) {
        let Some(ordinal) = Ordinal::of_pod(&name, &site.name) else { continue };
        pods.seen.insert(ordinal, row.seen);
        if let Some(version) = row.version {
            pods.versions.insert(ordinal, version);
        }
        if let Some(address) = row.address {
            addresses.insert(ordinal, address);
        }
    }
    let papers = papers::needed(caches, cluster, site);
    let fetch = papers::fetch(client, &papers, site);
    let reached = dialer.dial(site, &addresses, &papers, fetch).await?;
    let asked = reached.into_iter().map(|(ordinal, member)| async move {
        let admission = ask(&member).await;
        (ordinal, member, admission)
    });
    for (ordinal, member, admission) in join_all(asked).await {
        if admission == Admission::Silent {
            continue;
        }
        pods.members.insert(ordinal, member);
        if let Some(seen) = pods.seen.get_mut(&ordinal) {
            seen.admission = admission;
        }
    }
    Ok(pods)
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
