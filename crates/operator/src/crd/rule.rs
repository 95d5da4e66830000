//! Rules that Kubernetes itself checks, in CEL, each with what is said to who breaks it.

use serde_json::{Value, json};

/// A rule, and what to say of something that breaks it.
type Rule = (&'static str, &'static str);

/// `spec.replicas`.
pub(super) const REPLICAS: &[Rule] = &[
    (
        "self % 2 != 0 || self == 0",
        "replicas is even: one member less fails as seldom and is faster; ask for 1, 3, 5, 7 or \
         9, or for 0 to hibernate",
    ),
    (
        "self <= 9",
        "replicas is more than 9: every write waits for a majority, so more members are slower \
         and hardly safer; ask for 9 at most",
    ),
];

/// `spec.version`. What is no version at all breaks only the first.
pub(super) const VERSION: &[Rule] = &[
    (
        "self.matches('^[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}$')",
        "version is not of the form 0.4.0: give three numbers, without a v",
    ),
    (
        "!self.matches('^[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}$') || \
         self.split('.')[0] == oldSelf.split('.')[0]",
        "version changes its first number: read the notes of the release, and move the data to a \
         new cluster",
    ),
    (
        "!self.matches('^[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}$') || \
         self.split('.')[0] != oldSelf.split('.')[0] || \
         int(self.split('.')[1]) <= int(oldSelf.split('.')[1]) + 1",
        "version skips a minor version: members of neighbouring versions understand each other, \
         others need not; go one by one, and wait for each to finish",
    ),
    (
        "!self.matches('^[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}$') || \
         self.split('.')[0] != oldSelf.split('.')[0] || \
         int(self.split('.')[1]) + 1 >= int(oldSelf.split('.')[1])",
        "version goes back by more than one minor version: what newer members wrote cannot be \
         read by that one; restore a snapshot into a new cluster",
    ),
];

/// `spec`: what two fields mean together.
pub(super) const SPEC: &[Rule] = &[
    (
        "!isQuantity(string(self.storage.size)) || \
         !quantity(string(self.storage.size)).isGreaterThan(quantity('0')) || \
         quantity(string(self.storage.size)).asApproximateFloat() >= 2.0 * \
         double(self.server.quotaBytes)",
        "storage.size is less than twice server.quotaBytes: while a checkpoint is written, the one \
         before it is still there; ask for a larger volume, or for a lower quota",
    ),
    (
        "!has(self.resources.limits) || !('memory' in self.resources.limits) || \
         !isQuantity(string(self.resources.limits['memory'])) || \
         quantity(string(self.resources.limits['memory'])).asApproximateFloat() >= 2.0 * \
         double(self.server.quotaBytes)",
        "resources.limits.memory is less than twice server.quotaBytes: members keep all keys and \
         their history in memory, and would be killed before the quota refuses a write; allow \
         more memory, or ask for a lower quota",
    ),
    (
        "!has(self.podTemplate.affinity) || self.scheduling.antiAffinity != 'Required'",
        "podTemplate.affinity takes the place of what scheduling.antiAffinity: Required asks for: \
         write the rule into podTemplate.affinity and leave antiAffinity out, or leave out \
         podTemplate.affinity",
    ),
];

/// `spec.resources`.
pub(super) const RESOURCES: &[Rule] = &[
    (
        "(!has(self.requests) || self.requests.all(name, \
         isQuantity(string(self.requests[name])))) && (!has(self.limits) || \
         self.limits.all(name, isQuantity(string(self.limits[name]))))",
        "resources holds something that is no amount: give something like 500m for cpu, and like \
         1Gi for memory",
    ),
    (
        "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in \
         self.limits) || !isQuantity(string(self.requests[name])) || \
         !isQuantity(string(self.limits[name])) || \
         quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= \
         0)",
        "resources.requests asks for more than resources.limits allows, and no pod would be made: \
         raise the limit, or ask for less",
    ),
];

/// `spec.image.repository`. What is no name at all breaks only the first.
pub(super) const REPOSITORY: &[Rule] = &[
    (
        "self.matches('^[a-z0-9]([-a-z0-9._/:@]*[a-z0-9])?$')",
        "image.repository is no name of an image: give registry and name in lower-case letters, \
         like ghcr.io/holdfast/holdfast",
    ),
    (
        "!self.matches('^.*:[^/]*$') && !self.contains('@')",
        "image.repository ends in a tag or a digest: give the tag as spec.version, and the digest \
         as image.digest",
    ),
];

/// `spec.image.digest`.
pub(super) const DIGEST: &[Rule] = &[(
    "self.matches('^sha256:[0-9a-f]{64}$')",
    "image.digest is not sha256: and 64 hexadecimal digits: take it from the registry, or leave it \
     out and let spec.version be the tag",
)];

/// `spec.image.pullSecrets`.
pub(super) const PULL_SECRETS: &[Rule] = &[(
    "self.all(secret, has(secret.name) && \
     !format.dns1123Subdomain().validate(secret.name).hasValue())",
    "image.pullSecrets holds something that names no Secret: write each as name: my-registry",
)];

/// `spec.storage`.
pub(super) const STORAGE: &[Rule] = &[(
    "has(self.storageClassName) == has(oldSelf.storageClassName) && \
         (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    "storage.storageClassName is settled when the cluster is created: make another cluster \
         with the other class, and copy the data",
)];

/// `spec.storage.storageClassName`. An empty name is one: that of volumes made by hand.
pub(super) const STORAGE_CLASS: &[Rule] = &[(
    "self == '' || !format.dns1123Subdomain().validate(self).hasValue()",
    "storage.storageClassName is no name of a StorageClass: kubectl get storageclasses lists those \
     that there are",
)];

/// `spec.storage.size`. What is no amount at all breaks only the first.
pub(super) const SIZE: &[Rule] = &[
    (
        "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
        "storage.size is no amount above zero: give something like 8Gi",
    ),
    (
        "!isQuantity(string(self)) || !isQuantity(string(oldSelf)) || \
         quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",
        "storage.size is smaller than it was, and volumes cannot shrink: set it back, or make \
         another cluster and copy the data",
    ),
    (
        "!isQuantity(string(self)) || !isQuantity(string(oldSelf)) || \
         quantity(string(self)).compareTo(quantity(string(oldSelf))) <= 0",
        "storage.size is larger than it was, and this version does not grow volumes: set it \
         back, or make another cluster and copy the data",
    ),
];

/// `spec.podTemplate.metadata.labels`.
pub(super) const LABELS: &[Rule] = &[
    (
        "self.all(key, !key.startsWith('raft.holdfast.dev/') && \
         !key.startsWith('app.kubernetes.io/'))",
        "podTemplate.metadata.labels sets a label below raft.holdfast.dev/ or app.kubernetes.io/, \
         by which the operator finds its pods: choose another name",
    ),
    (
        "self.all(key, !format.qualifiedName().validate(key).hasValue() && \
         !format.labelValue().validate(self[key]).hasValue())",
        "podTemplate.metadata.labels holds what is no label: a name is like example.com/team, a \
         value has at most 63 letters, digits, dots, hyphens and underscores",
    ),
];

/// `spec.podTemplate.metadata.annotations`.
pub(super) const ANNOTATIONS: &[Rule] = &[
    (
        "self.all(key, !key.startsWith('raft.holdfast.dev/'))",
        "podTemplate.metadata.annotations sets one below raft.holdfast.dev/, where the operator \
         keeps what it must remember: choose another name",
    ),
    (
        "self.all(key, !format.qualifiedName().validate(key).hasValue())",
        "podTemplate.metadata.annotations has a name that is none: write it like example.com/team",
    ),
];

/// `spec.podTemplate.nodeSelector`.
pub(super) const NODE_SELECTOR: &[Rule] = &[(
    "self.all(key, !format.qualifiedName().validate(key).hasValue() && \
     !format.labelValue().validate(self[key]).hasValue())",
    "podTemplate.nodeSelector holds what no node can have as a label: kubectl get nodes \
     --show-labels lists those that there are",
)];

/// `spec.podTemplate.priorityClassName`.
pub(super) const PRIORITY_CLASS: &[Rule] = &[(
    "!format.dns1123Subdomain().validate(self).hasValue()",
    "podTemplate.priorityClassName is no name of a PriorityClass: kubectl get priorityclasses \
     lists those that there are",
)];

/// `spec.podTemplate.serviceAccountName`.
pub(super) const SERVICE_ACCOUNT: &[Rule] = &[(
    "!format.dns1123Subdomain().validate(self).hasValue()",
    "podTemplate.serviceAccountName is no name of a ServiceAccount: leave it out, and the operator \
     makes one that may do nothing",
)];

/// `spec.scheduling.topologyKey`.
pub(super) const TOPOLOGY_KEY: &[Rule] = &[(
    "!format.qualifiedName().validate(self).hasValue()",
    "scheduling.topologyKey is no name of a label: give one that all nodes have, like \
     kubernetes.io/hostname or topology.kubernetes.io/zone",
)];

/// `spec.server`.
pub(super) const ELECTION: &[Rule] = &[(
    "self.electionMillis >= 5 * self.heartbeatMillis",
    "server.electionMillis is less than five heartbeats: one lost message would cost the \
         leader; ask for at least 5 times server.heartbeatMillis",
)];

/// `spec.server.autoCompaction`. What is neither breaks only the first.
pub(super) const AUTO_COMPACTION: &[Rule] = &[
    (
        "self.retention.matches('^[0-9]{1,9}(s|m|h)?$')",
        "server.autoCompaction.retention is neither a time nor a number: give a time such as 1h, a \
         number of revisions with mode Revision, or 0 to keep all history",
    ),
    (
        "self.mode != 'Revision' || !self.retention.matches('^[0-9]{1,9}(s|m|h)$')",
        "server.autoCompaction.retention is a time, and mode Revision counts revisions: give a \
         number, or set the mode to Periodic",
    ),
    (
        "self.mode != 'Periodic' || !self.retention.matches('^[0-9]{1,9}$') || \
         self.retention.matches('^0+$')",
        "server.autoCompaction.retention has no unit: give a time such as 1h, set the mode to \
         Revision, or give 0 to keep all history",
    ),
];

/// `spec.server.extraArgs`.
pub(super) const EXTRA_ARGS: &[Rule] = &[
    (
        "self.all(flag, flag.matches('^--[a-z][-a-z0-9]*(=.*)?$'))",
        "server.extraArgs holds something that is no flag: write each as --flag=value",
    ),
    (
        "self.all(flag, \
         !flag.matches('^--(name|data-dir|wal-dir|config-file|join|initial-.*|listen-.*|\
         advertise-.*|discovery.*|.*cert-file|.*key-file|.*trusted-ca-file|.*auto-tls|\
         .*client-cert-auth|heartbeat-interval|election-timeout|quota-backend-bytes|\
         auto-compaction-.*|snapshot-count)(=.*)?$'))",
        "server.extraArgs holds a flag that the operator sets: names, addresses, places and \
         certificates follow from the cluster, and the others have a field below spec.server",
    ),
    (
        "self.all(flag, \
         !flag.matches('^--(unsafe-no-fsync|force-new-cluster|strict-reconfig-check|max-learners)\
         (=.*)?$'))",
        "server.extraArgs holds a flag that gives up what keeps data safe, or on which the \
         operator relies: leave out unsafe-no-fsync, force-new-cluster, strict-reconfig-check and \
         max-learners",
    ),
    (
        "self.all(flag, self.filter(other, other.split('=')[0] == flag.split('=')[0]).size() == 1)",
        "server.extraArgs gives a flag twice: leave one of them out",
    ),
];

/// `spec.tls`.
pub(super) const TLS: &[Rule] = &[
    (
        "has(self.client.disabled) == has(oldSelf.client.disabled)",
        "tls.client.disabled is settled when the cluster is created: clients of one kind would be \
         shut out; make another cluster, and copy the data",
    ),
    (
        "has(self.peer.disabled) == has(oldSelf.peer.disabled)",
        "tls.peer.disabled is settled when the cluster is created: members that changed first \
         would be cut off from the others; make another cluster, and copy the data",
    ),
];

/// `spec.tls.client` and `spec.tls.peer`.
pub(super) const TLS_SOURCE: &[Rule] = &[(
    "[has(self.auto), has(self.secretRef), has(self.certManager), \
     has(self.disabled)].filter(given, given).size() <= 1",
    "tls gives more than one of auto, secretRef, certManager and disabled: keep one of them",
)];

/// `spec.tls.*.secretRef.name`.
pub(super) const SECRET: &[Rule] = &[(
    "!format.dns1123Subdomain().validate(self).hasValue()",
    "secretRef.name is no name of a Secret: name one in the cluster's namespace that holds ca.crt, \
     tls.crt and tls.key",
)];

/// `spec.tls.*.certManager.kind`.
pub(super) const ISSUER_KIND: &[Rule] = &[(
    "self in ['Issuer', 'ClusterIssuer']",
    "certManager.kind is neither Issuer nor ClusterIssuer: leave it out for an Issuer in the \
     cluster's namespace",
)];

/// `spec.tls.*.certManager.name`.
pub(super) const ISSUER: &[Rule] = &[(
    "!format.dns1123Subdomain().validate(self).hasValue()",
    "certManager.name is no name of an issuer: kubectl get issuers,clusterissuers lists those that \
     there are",
)];

/// The rules as they stand in a schema.
pub(super) fn rules(rules: &[Rule]) -> Value {
    rules.iter().map(|(rule, message)| json!({ "rule": rule, "message": message })).collect()
}
