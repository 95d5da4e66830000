//! Looking at volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use crate::cache::{Caches, ClaimRow, VolumeRow};
use crate::names::Site;
use crate::plan::id::Ordinal;
use crate::plan::observed::{Home, Mark, VolumeSeen};

pub(super) fn look(caches: &Caches, site: &Site) -> BTreeMap<Ordinal, VolumeSeen> {
    let found = caches.claims.of_cluster(site).into_iter();
    let look = found.filter_map(|(name, claim)| {
        let ordinal = site.ordinal_of_claim(&name)?;
        let seen = VolumeSeen {
            mark: mark(&claim, site),
            home: home(&claim, caches),
            uid: claim.uid,
            is_deleting: claim.is_deleting,
            size: claim.size,
        };
        Some((ordinal, seen))
    });
    look.collect()
}

/// What is written on a claim.
fn mark(claim: &ClaimRow, site: &Site) -> Mark {
    Mark {
        cluster_id: claim.cluster_id,
        member_id: claim.member_id,
        is_owned: claim.owners.iter().any(|owner| owner.0 == site.uid),
    }
}

fn home(claim: &ClaimRow, caches: &Caches) -> Home {
    if claim.is_lost {
        return Home::Gone;
    }
    let Some(name) = &claim.volume else { return Home::Unbound };
    if caches.volumes.is_empty() {
        return Home::Present;
    }
    match caches.volumes.named(name) {
        Some(volume) if is_reachable(&volume, caches) => Home::Present,
        Some(_) | None => Home::Gone,
    }
}

/// Whether there is a node that has the volume, or may have it.
fn is_reachable(volume: &VolumeRow, caches: &Caches) -> bool {
    let Some(terms) = &volume.terms else { return true };
    if caches.nodes.is_empty() {
        return true;
    }
    caches.nodes.any(|name, node| terms.iter().any(|term| matches(term, name, &node.labels)))
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
