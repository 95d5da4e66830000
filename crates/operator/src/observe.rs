//! Looking: what Kubernetes has, and what the members say.

mod pods;
mod told;
mod volumes;

pub(crate) use volumes::mark;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::Value;

use crate::cache::{self, Caches};
use crate::certificates::{self, Identity, Secrets};
use crate::children;
use crate::crd::RaftCluster;
use crate::members::{Dialer, Member};
use crate::names::{Site, Source, ours, source};
use crate::plan::certificate::{Audience, CertificatesSeen};
use crate::plan::id::{Ordinal, Uid};
use crate::plan::observed::{BudgetSeen, ChildSeen, ClusterSeen, Observed, StatefulSetSeen};
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
    let identity = identity(client, caches, cluster, site).await?;
    let pods = pods::look(caches, dialer, site, identity.as_ref()).await;
    let told = told::ask(site, &pods.members, &pods.versions).await;
    let observed = Observed {
        now: Timestamp::now(),
        cluster: seen,
        wanted: wanted.iter().map(|(child, body)| (*child, children::digest(body))).collect(),
        wanted_pods: children::digest(&wanted_pods),
        children: children_seen(client, caches, site, &wanted).await?,
        budget: budget(caches, site),
        stateful_set: stateful_set(caches, site),
        pods: pods.seen,
        volumes: volumes::look(caches, site),
        certificates: certificates_seen(caches, cluster, site),
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

fn child_seen<K: Resource>(object: &K) -> Option<ChildSeen> {
    Some(ChildSeen {
        uid: Uid(object.uid()?),
        digest: object.annotations().get(&children::digest_key()).cloned().unwrap_or_default(),
    })
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
        let found = cache::get(&caches.services, site, &children::child_name(site, child));
        add(child, found.and_then(|found| child_seen(&*found)));
    }
    let account = cache::get(&caches.accounts, site, &site.name);
    add(Child::ServiceAccount, account.and_then(|found| child_seen(&*found)));
    for child in [Child::ClientCertificate, Child::PeerCertificate] {
        if wanted.contains_key(&child) {
            let api = certificate_api(client, site);
            let found = api.get_opt(&children::child_name(site, child)).await;
            let found = found.context("Certificates of cert-manager cannot be read")?;
            add(child, found.as_ref().and_then(child_seen));
        }
    }
    Ok(seen)
}

fn budget(caches: &Caches, site: &Site) -> Option<BudgetSeen> {
    let found = cache::get(&caches.budgets, site, &site.name)?;
    let available_min = match found.spec.as_ref()?.min_available.as_ref()? {
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(count) => {
            u32::try_from(*count).ok()?
        }
        // Somebody else wrote it: it is to be made anew.
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(_) => 0,
    };
    Some(BudgetSeen { uid: Uid(found.uid()?), available_min })
}

fn stateful_set(caches: &Caches, site: &Site) -> Option<StatefulSetSeen> {
    let found = cache::get(&caches.sets, site, &site.name)?;
    let spec = found.spec.as_ref()?;
    let status = found.status.as_ref();
    let is_current =
        status.and_then(|status| status.observed_generation) == found.metadata.generation;
    let revision = status.and_then(|status| status.update_revision.clone());
    Some(StatefulSetSeen {
        uid: Uid(found.uid()?),
        digest: found.annotations().get(&children::digest_key()).cloned().unwrap_or_default(),
        replicas: u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default(),
        revision: revision.filter(|_| is_current),
    })
}

/// The Secrets that the operator made for an audience.
#[must_use]
pub fn own_secrets(
    caches: &Caches,
    site: &Site,
    audience: Audience,
) -> (Option<Arc<Secret>>, Option<Arc<Secret>>) {
    let of = |name: &str| cache::get(&caches.secrets, site, name);
    (of(&site.authority_secret(audience)), of(&site.leaf_secret(audience)))
}

fn certificates_seen(caches: &Caches, cluster: &RaftCluster, site: &Site) -> CertificatesSeen {
    let audiences = [Audience::Peer, Audience::Client].into_iter();
    let own = audiences.filter(|audience| source(cluster, *audience) == Source::Auto);
    own.map(|audience| {
        let (authority, leaf) = own_secrets(caches, site, audience);
        let secrets = Secrets { authority: authority.as_deref(), leaf: leaf.as_deref() };
        (audience, certificates::seen(site, audience, secrets))
    })
    .collect()
}

/// What the operator shows to members. `None` if connections are in the clear, or nothing is there
/// yet.
async fn identity(
    client: &Client,
    caches: &Caches,
    cluster: &RaftCluster,
    site: &Site,
) -> Result<Option<Identity>> {
    match source(cluster, Audience::Client) {
        Source::Off => Ok(None),
        Source::Auto => {
            let (authority, leaf) = own_secrets(caches, site, Audience::Client);
            Ok(leaf.and_then(|leaf| certificates::identity(authority.as_deref(), &leaf)))
        }
        Source::Issuer(_) => {
            let leaf = cache::get(&caches.secrets, site, &site.leaf_secret(Audience::Client));
            Ok(leaf.and_then(|leaf| certificates::identity(None, &leaf)))
        }
        // Not ours, and not labelled: it is asked for.
        Source::Secret(name) => {
            let api: Api<Secret> = Api::namespaced(client.clone(), &site.namespace);
            let found = api.get_opt(name).await;
            let found = found.with_context(|| format!("Secret {name} cannot be read"))?;
            Ok(found.and_then(|leaf| certificates::identity(None, &leaf)))
        }
    }
}

/// The annotation that holds a pod's version.
fn version_key() -> String {
    ours("version")
}
