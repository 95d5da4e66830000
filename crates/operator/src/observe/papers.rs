//! What the operator shows to members: which Secrets it comes from, and reading them when a
//! connection has to be made.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::cache::Caches;
use crate::certificates::{self, Identity};
use crate::crd::RaftCluster;
use crate::members::Papers;
use crate::names::{Site, Source, source};
use crate::plan::certificate::Audience;

/// Tells what members have to be shown.
pub(super) fn needed(caches: &Caches, cluster: &RaftCluster, site: &Site) -> Papers {
    let version = |name: String| caches.secrets.get(site, &name).map(|found| found.version);
    let leaf = || version(site.leaf_secret(Audience::Client));
    match source(cluster, Audience::Client) {
        Source::Off => Papers::None,
        Source::Auto => Papers::Made {
            authority: version(site.authority_secret(Audience::Client)),
            leaf: leaf(),
        },
        Source::Issuer(_) => Papers::Issued { leaf: leaf() },
        Source::Secret(name) => Papers::Given { secret: name.to_owned() },
    }
}

/// Reads what members have to be shown. `None` if it is not there yet, or there is nothing to be
/// shown.
pub(super) async fn fetch(
    client: &Client,
    papers: &Papers,
    site: &Site,
) -> Result<Option<Identity>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &site.namespace);
    let read = async |name: String| {
        let found = api.get_opt(&name).await;
        found.with_context(|| format!("Secret {name} cannot be read"))
    };
    let of_leaf = |leaf: Option<Secret>| leaf.and_then(|leaf| certificates::identity(None, &leaf));
    match papers {
        Papers::None => Ok(None),
        Papers::Made { leaf: None, .. } | Papers::Issued { leaf: None } => Ok(None),
        Papers::Made { .. } => {
            let authority = read(site.authority_secret(Audience::Client)).await?;
            let leaf = read(site.leaf_secret(Audience::Client)).await?;
            Ok(leaf.and_then(|leaf| certificates::identity(authority.as_ref(), &leaf)))
        }
        Papers::Issued { .. } => Ok(of_leaf(read(site.leaf_secret(Audience::Client)).await?)),
        Papers::Given { secret } => Ok(of_leaf(read(secret.clone()).await?)),
    }
}
