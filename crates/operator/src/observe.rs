//! Looking: what Kubernetes has, and what the members say.

mod papers;
mod pods;
mod told;
mod volumes;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::cache::{Caches, Row as _};
use crate::certificates::{self, Outline};
use crate::children;
use crate::crd::RaftCluster;
use crate::members::{Dialer, Member};
use crate::names::{Site, Source, source};
use crate::plan::certificate::{Audience, CertificatesSeen, Validity};
use crate::plan::id::{Ordinal, Uid};
use crate::plan::observed::{ChildSeen, ClusterSeen, Observed};
use crate::plan::step::Child;

/// What is seen, and what is needed to act on it.
pub struct View {
    /// For the planner.
    pub observed: Observed,
    /// What each child is to look like.
    pub wanted: BTreeMap<Child, Value>,
    /// What the StatefulSet is to look like, without the number of pods.
    pub wanted_pods: Value,
    /// The members that can be talked to.
    pub members: BTreeMap<Ordinal, Member>,
}

/// Looks at a cluster.
///
/// # Errors
///
/// If Kubernetes does not answer. Members that do not are part of what is seen.
pub async fn observe(
    client: &Client,
    caches: &Caches,
    dialer: &Dialer,
    cluster: &RaftCluster,
    site: &Site,
) -> Result<View> {
    let seen = ClusterSeen {
        name: site.name.clone(),
        namespace: site.namespace.clone(),
        uid: Uid(site.uid.clone()),
        generation: cluster.metadata.generation.unwrap_or_default(),
        is_deleting: cluster.metadata.deletion_timestamp.is_some(),
        status: cluster.status.clone().unwrap_or_default(),
    };
    let wanted = children::wanted(cluster, site);
    let wanted_pods = children::stateful_set(cluster, site, &seen.token());
    let pods = pods::look(client, caches, dialer, cluster, site).await?;
    let told = told::ask(site, &pods.members, &pods.versions).await;
    let observed = Observed {
        now: Timestamp::now(),
        cluster: seen,
        wanted: wanted.iter().map(|(child, body)| (*child, children::digest(body))).collect(),
        wanted_pods: children::digest(&wanted_pods),
        children: children_seen(client, caches, site, &wanted).await?,
        budget: caches.budgets.get(site, &site.name),
        stateful_set: caches.sets.get(site, &site.name),
        pods: pods.seen,
        volumes: volumes::look(caches, site),
        certificates: certificates_seen(caches, cluster, site),
        issued: issued_seen(caches, cluster, site),
        told,
    };
    Ok(View { observed, wanted, wanted_pods, members: pods.members })
}

/// An object of cert-manager.
#[must_use]
pub fn certificate_api(client: &Client, site: &Site) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate");
    let resource = ApiResource::from_gvk(&kind);
    Api::namespaced_with(client.clone(), &site.namespace, &resource)
}

async fn children_seen(
    client: &Client,
    caches: &Caches,
    site: &Site,
    wanted: &BTreeMap<Child, Value>,
) -> Result<BTreeMap<Child, ChildSeen>> {
    let mut seen = BTreeMap::new();
    let mut add = |child: Child, found: Option<ChildSeen>| {
        if let Some(found) = found {
            seen.insert(child, found);
        }
    };
    for child in [Child::PeerService, Child::ClientService] {
        add(child, caches.services.get(site, &children::child_name(site, child)));
    }
    add(Child::ServiceAccount, caches.accounts.get(site, &site.name));
    for child in [Child::ClientCertificate, Child::PeerCertificate] {
        if wanted.contains_key(&child) {
            let api = certificate_api(client, site);
            let found = api.get_opt(&children::child_name(site, child)).await;
            let found = found.context("Certificates of cert-manager cannot be read")?;
            add(child, found.as_ref().and_then(ChildSeen::of));
        }
    }
    Ok(seen)
}

/// The Secrets that the operator made for an audience.
#[must_use]
pub fn own_secrets(
    caches: &Caches,
    site: &Site,
    audience: Audience,
) -> (Option<Outline>, Option<Outline>) {
    let of = |name: &str| caches.secrets.get(site, name);
    (of(&site.authority_secret(audience)), of(&site.leaf_secret(audience)))
}

fn certificates_seen(caches: &Caches, cluster: &RaftCluster, site: &Site) -> CertificatesSeen {
    let audiences = [Audience::Peer, Audience::Client].into_iter();
    let own = audiences.filter(|audience| source(cluster, *audience) == Source::Auto);
    own.map(|audience| {
        let (authority, leaf) = own_secrets(caches, site, audience);
        (audience, certificates::seen(site, audience, authority.as_ref(), leaf.as_ref()))
    })
    .collect()
}

fn issued_seen(
    caches: &Caches,
    cluster: &RaftCluster,
    site: &Site,
) -> BTreeMap<Audience, Option<Validity>> {
    let audiences = [Audience::Peer, Audience::Client].into_iter();
    let issued = audiences.filter(|audience| match source(cluster, *audience) {
        Source::Issuer(_) => true,
        Source::Auto | Source::Secret(_) | Source::Off => false,
    });
    issued
        .map(|audience| {
            let leaf = caches.secrets.get(site, &site.leaf_secret(audience));
            (audience, leaf.and_then(|leaf| leaf.leaf()))
        })
        .collect()
}
