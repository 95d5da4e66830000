//! What is made for a cluster: pure builders of objects.
//!
//! An object carries a digest of what it was made from. It follows from the specification alone:
//! another operator that builds the same leaves everything as it is.

mod pod;
mod stateful_set;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::crd::RaftCluster;
use crate::names::{CLIENT_PORT, METRICS_PORT, PEER_PORT, Site, Source, ours, source};
use crate::plan::certificate::Audience;
use crate::plan::step::Child;

pub use stateful_set::stateful_set;

/// The annotation that holds the digest.
#[must_use]
pub fn digest_key() -> String {
    ours("digest")
}

/// The children that are wanted, but for StatefulSet and budget.
#[must_use]
pub fn wanted(cluster: &RaftCluster, site: &Site) -> BTreeMap<Child, Value> {
    let mut wanted = BTreeMap::from([
        (Child::PeerService, peer_service(site)),
        (Child::ClientService, client_service(site)),
    ]);
    if cluster.spec.pod_template.service_account_name.is_none() {
        wanted.insert(Child::ServiceAccount, service_account(site));
    }
    for (audience, child) in
        [(Audience::Client, Child::ClientCertificate), (Audience::Peer, Child::PeerCertificate)]
    {
        if let Source::Issuer(issuer) = source(cluster, audience) {
            let spec = json!({
                "secretName": site.leaf_secret(audience),
                "secretTemplate": {"labels": site.labels()},
                "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": "cert-manager.io"},
                "commonName": site.name,
                "dnsNames": site.hosts(audience).iter()
                    .filter(|host| host.parse::<std::net::IpAddr>().is_err())
                    .collect::<Vec<_>>(),
                "usages": ["digital signature", "key encipherment", "server auth", "client auth"],
            });
            let name = site.leaf_secret(audience);
            let object = object(site, "cert-manager.io/v1", "Certificate", &name, ("spec", spec));
            wanted.insert(child, object);
        }
    }
    wanted
}

/// The budget of disruptions.
#[must_use]
pub fn budget(site: &Site, available_min: u32) -> Value {
    let spec = json!({
        "minAvailable": available_min,
        "selector": {"matchLabels": site.selector()},
        "unhealthyPodEvictionPolicy": "IfHealthyBudget",
    });
    object(site, "policy/v1", "PodDisruptionBudget", &site.name, ("spec", spec))
}

/// The name of a child.
#[must_use]
pub fn child_name(site: &Site, child: Child) -> String {
    match child {
        Child::ServiceAccount | Child::ClientService => site.name.clone(),
        Child::PeerService => site.peer_service(),
        Child::ClientCertificate => site.leaf_secret(Audience::Client),
        Child::PeerCertificate => site.leaf_secret(Audience::Peer),
    }
}

/// The digest of an object.
#[must_use]
pub fn digest(object: &Value) -> String {
    let hash = Sha256::digest(object.to_string().as_bytes());
    hash.iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an object's digest on it.
pub fn sign(object: &mut Value, digest: &str) {
    object["metadata"]["annotations"][digest_key()] = json!(digest);
}

fn object(
    site: &Site,
    api_version: &str,
    kind: &str,
    name: &str,
    (key, body): (&str, Value),
) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata(site, name),
        key: body,
    })
}

/// The metadata of an object that goes with the cluster.
#[must_use]
pub fn metadata(site: &Site, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": site.namespace,
        "labels": site.labels(),
        "ownerReferences": [owner(site)],
    })
}

/// The reference to the object that people edit.
#[must_use]
pub fn owner(site: &Site) -> Value {
    json!({
        "apiVersion": "raft.holdfast.dev/v1alpha1",
        "kind": "RaftCluster",
        "name": site.name,
        "uid": site.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn service_account(site: &Site) -> Value {
    object(site, "v1", "ServiceAccount", &site.name, ("automountServiceAccountToken", json!(false)))
}

fn port(name: &str, port: u16) -> Value {
    json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"})
}

fn peer_service(site: &Site) -> Value {
    let spec = json!({
        "clusterIP": "None",
        // Members find each other before anybody is ready.
        "publishNotReadyAddresses": true,
        "selector": site.selector(),
        "ports": [
            port("peer", PEER_PORT),
            port("client", CLIENT_PORT),
            port("metrics", METRICS_PORT),
        ],
    });
    object(site, "v1", "Service", &site.peer_service(), ("spec", spec))
}

fn client_service(site: &Site) -> Value {
    let spec = json!({
        "type": "ClusterIP",
        "selector": site.selector(),
        "ports": [port("client", CLIENT_PORT)],
    });
    object(site, "v1", "Service", &site.name, ("spec", spec))
}
