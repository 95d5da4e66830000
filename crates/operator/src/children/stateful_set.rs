//! The StatefulSet: `Parallel`, because nobody is ready before a quorum runs, and `OnDelete`,
//! because the operator decides who is restarted.

use serde_json::{Value, json};

use super::{metadata, pod};
use crate::crd::RaftCluster;
use crate::names::Site;

/// The StatefulSet, without the number of pods, which goes with the members.
#[must_use]
pub fn stateful_set(cluster: &RaftCluster, site: &Site, token: &str) -> Value {
    let storage = &cluster.spec.storage;
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": storage.size}},
    });
    if let Some(class) = &storage.storage_class_name {
        claim["storageClassName"] = json!(class);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(site, &site.name),
        "spec": {
            "serviceName": site.peer_service(),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "revisionHistoryLimit": 3,
            // Volumes go when their member is known to have gone, or with their owner.
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "selector": {"matchLabels": site.selector()},
            "template": pod::template(cluster, site, token),
            "volumeClaimTemplates": [{
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "labels": site.selector()},
                "spec": claim,
            }],
        },
    })
}
