//! Rules that Kubernetes itself checks, in CEL, each with what is said to who breaks it.

use serde_json::{Value, json};

/// A rule, and what to say of something that breaks it.
type Rule = (&'static str, &'static str);

/// `spec.replicas`.
pub(super) const REPLICAS: &[Rule] = &[
    (
        "self == 0 || self % 2 == 1",
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
         int(self.split('.')[1]) <= int(oldSelf.split('.')[1]) + 1",
        "version skips a minor version: members of neighbouring versions understand each other, \
         others need not; go one by one, and wait for each to finish",
    ),
    (
        "!self.matches('^[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}$') || \
         int(self.split('.')[1]) + 1 >= int(oldSelf.split('.')[1])",
        "version goes back by more than one minor version: what newer members wrote cannot be \
         read by that one; restore a snapshot into a new cluster",
    ),
];

/// `spec.image.repository`.
pub(super) const REPOSITORY: &[Rule] = &[(
    "!self.matches('^.*:[^/]*$') && !self.contains('@')",
    "image.repository ends in a tag or a digest: give the tag as spec.version, and the \
         digest as image.digest",
)];

/// `spec.storage`.
pub(super) const STORAGE: &[Rule] = &[(
    "has(self.storageClassName) == has(oldSelf.storageClassName) && \
         (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    "storage.storageClassName is settled when the cluster is created: make another cluster \
         with the other class, and copy the data",
)];

/// `spec.storage.size`.
pub(super) const SIZE: &[Rule] = &[
    (
        "quantity(string(self)).isGreaterThan(quantity('0'))",
        "storage.size is not more than nothing: give something like 8Gi",
    ),
    (
        "quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",
        "storage.size is smaller than it was, and volumes cannot shrink: set it back, or make \
         another cluster and copy the data",
    ),
    (
        "quantity(string(self)).compareTo(quantity(string(oldSelf))) <= 0",
        "storage.size is larger than it was, and this version does not grow volumes: set it \
         back, or make another cluster and copy the data",
    ),
];

/// `spec.podTemplate.metadata.labels`.
pub(super) const LABELS: &[Rule] = &[(
    "self.all(key, !key.startsWith('raft.holdfast.dev/') && \
         !key.startsWith('app.kubernetes.io/'))",
    "podTemplate.metadata.labels sets a label below raft.holdfast.dev/ or \
         app.kubernetes.io/, by which the operator finds its pods: choose another name",
)];

/// `spec.server`.
pub(super) const ELECTION: &[Rule] = &[(
    "self.electionMillis >= 5 * self.heartbeatMillis",
    "server.electionMillis is less than five heartbeats: one lost message would cost the \
         leader; ask for at least 5 times server.heartbeatMillis",
)];

/// `spec.server.extraArgs`.
pub(super) const EXTRA_ARGS: &[Rule] = &[
    (
        "self.all(flag, flag.startsWith('--'))",
        "server.extraArgs holds something that is no flag: write each as --flag=value",
    ),
    (
        "self.all(flag, \
         !flag.matches('^--(name|data-dir|wal-dir|join|initial-.*|listen-.*|advertise-.*|\
         .*cert-file|.*key-file|.*trusted-ca-file|.*auto-tls|force-new-cluster|\
         heartbeat-interval|election-timeout|quota-backend-bytes|auto-compaction-.*|\
         snapshot-count)(=.*)?$'))",
        "server.extraArgs holds a flag that the operator sets: names, addresses, places and \
         certificates follow from the cluster, and the others have a field below spec.server",
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
         has(self.disabled)].filter(given, given).size() == 1",
    "tls wants exactly one of auto, secretRef, certManager and disabled for clients, and one for \
         peers",
)];

/// The rules as they stand in a schema.
pub(super) fn rules(rules: &[Rule]) -> Value {
    rules.iter().map(|(rule, message)| json!({ "rule": rule, "message": message })).collect()
}
