//! Looking at volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, PersistentVolumeClaim,
};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use crate::cache::{self, Caches};
use crate::names::{Site, ours};
use crate::plan::id::{ClusterId, MemberId, Ordinal, Uid};
use crate::plan::observed::{Home, Mark, VolumeSeen};

pub(super) fn look(caches: &Caches, site: &Site) -> BTreeMap<Ordinal, VolumeSeen> {
    let found = cache::of_cluster(&caches.claims, site);
    let look = found.iter().filter_map(|claim| {
        let ordinal = site.ordinal_of_claim(&claim.name_any())?;
        let seen = VolumeSeen {
            uid: Uid(claim.uid()?),
            is_deleting: claim.metadata.deletion_timestamp.is_some(),
            mark: mark(claim, site),
            home: home(claim, caches),
            size: claim
                .status
                .as_ref()
                .and_then(|status| status.capacity.as_ref()?.get("storage").cloned())
                .map(|size| size.0),
        };
        Some((ordinal, seen))
    });
    look.collect()
}

/// What is written on a claim.
#[must_use]
pub(crate) fn mark(claim: &PersistentVolumeClaim, site: &Site) -> Mark {
    let note = |key: &str| claim.annotations().get(&ours(key)).map(String::as_str);
    Mark {
        cluster_id: note("cluster-id").and_then(ClusterId::parse),
        member_id: note("member-id").and_then(MemberId::parse),
        is_owned: claim.owner_references().iter().any(|owner| owner.uid == site.uid),
    }
}

fn home(claim: &PersistentVolumeClaim, caches: &Caches) -> Home {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase == Some("Lost") {
        return Home::Gone;
    }
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Home::Unbound };
    if !cache::is_known(&caches.volumes) {
        return Home::Present;
    }
    match caches.volumes.get(&ObjectRef::new(name)) {
        Some(volume) if is_reachable(&volume, caches) => Home::Present,
        Some(_) | None => Home::Gone,
    }
}

/// Whether there is a node that has the volume, or may have it.
fn is_reachable(volume: &PersistentVolume, caches: &Caches) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    let Some(required) = required else { return true };
    if !cache::is_known(&caches.nodes) {
        return true;
    }
    let nodes = caches.nodes.state();
    nodes.iter().any(|node| {
        let terms = &required.node_selector_terms;
        terms.iter().any(|term| matches(term, &node.name_any(), node.labels()))
    })
}

fn matches(term: &NodeSelectorTerm, node: &str, labels: &BTreeMap<String, String>) -> bool {
    let by_label = |asked: &NodeSelectorRequirement| is_met(asked, labels.get(&asked.key));
    let name = node.to_owned();
    let by_field = |asked: &NodeSelectorRequirement| {
        asked.key != "metadata.name" || is_met(asked, Some(&name))
    };
    term.match_expressions.iter().flatten().all(by_label)
        && term.match_fields.iter().flatten().all(by_field)
}

/// Whether a value is what is asked for. What is not understood does not count.
fn is_met(asked: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let is_listed = value.is_some_and(|value| asked.values.iter().flatten().any(|it| it == value));
    match asked.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => true,
    }
}
