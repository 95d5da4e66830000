//! The kind `RaftCluster`: what people ask for, and what they are told.
//!
//! The types here are the only source of the definition that Kubernetes is given: [`definition()`]
//! makes it, `manifests/crd/` holds it, and a test compares both. Rules that Kubernetes itself
//! checks (CEL) stand beside the field that they are about; their texts say what to do. No webhook
//! is needed, so what is refused is refused while the operator is down, too.

mod condition;
mod definition;
mod rule;
mod serving;
mod status;
mod tls;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use rule::rules;

pub use condition::{ConditionStatus, ConditionType, Reason};
pub use definition::{DEFINITION_FILES, definition, definition_yaml};
pub use serving::{AutoCompaction, CompactionMode, ServerSpec};
pub use status::{
    CertificateTimes, Condition, LeaderStatus, MemberPhase, MemberRole, MemberStatus, Operation,
    OperationType, QuorumStatus, RaftClusterStatus, VersionStatus, VolumeStatus,
};
pub use tls::{IssuerRef, OwnCertificates, Plaintext, SecretRef, TlsSource, TlsSpec};

/// The group of all our kinds, and the prefix of our labels and annotations.
pub const GROUP: &str = "raft.holdfast.dev";

/// A replicated key-value store that heals itself.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "raft.holdfast.dev",
    version = "v1alpha1",
    kind = "RaftCluster",
    namespaced,
    status = "RaftClusterStatus",
    derive = "PartialEq",
    shortname = "raft",
    category = "all",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.version",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader.name"),
    printcolumn(name = "Term", type_ = "string", json_path = ".status.leader.term"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.versions.current"),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        priority = 1
    ),
    printcolumn(
        name = "Voters",
        type_ = "integer",
        json_path = ".status.quorum.voters",
        priority = 1
    ),
    printcolumn(
        name = "Learners",
        type_ = "integer",
        json_path = ".status.quorum.learners",
        priority = 1
    ),
    printcolumn(
        name = "Quorum",
        type_ = "string",
        json_path = ".status.quorum.summary",
        priority = 1
    ),
    printcolumn(
        name = "Operation",
        type_ = "string",
        json_path = ".status.operation.type",
        priority = 1
    ),
    printcolumn(
        name = "Storage",
        type_ = "string",
        json_path = ".status.volumes.desired",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40").message(
        "metadata.name has more than 40 characters, and names of pods and labels are made from \
         it: choose a shorter one"
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name is also the name of a Service: begin with a letter, and use only lower-case \
         letters, digits and hyphens"
    )
)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::SPEC)))]
pub struct RaftClusterSpec {
    /// How many members there are to be: an odd number, or 0 to hibernate, which keeps the volumes.
    #[schemars(range(min = 0))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::REPLICAS)))]
    pub replicas: u32,
    /// Which version of Holdfast runs; also the tag of the image if that has no digest.
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::VERSION)))]
    pub version: String,
    /// Where the image comes from.
    pub image: ImageSpec,
    /// The volume that each member has.
    pub storage: StorageSpec,
    /// What a member's container asks for, and what it may use.
    #[schemars(extend("x-kubernetes-validations" = rules(rule::RESOURCES)))]
    pub resources: ResourceRequirements,
    /// What else the pods are to carry.
    pub pod_template: PodTemplateSpec,
    /// How members are kept apart.
    pub scheduling: SchedulingSpec,
    /// How connections are protected.
    pub tls: TlsSpec,
    /// How the members run.
    pub server: ServerSpec,
    /// How a change of the pods is rolled out.
    pub update: UpdateSpec,
    /// When a lost member is replaced.
    pub repair: RepairSpec,
    /// Whether evictions are limited so that a quorum stays.
    pub disruption_budget: DisruptionBudgetSpec,
    /// Whether the operator keeps its hands off. The status is refreshed all the same.
    pub paused: bool,
    /// After how many seconds an operation that does not come to an end is said to be stuck.
    #[schemars(range(min = 30, max = 86400))]
    pub progress_deadline_seconds: u32,
}

/// Where the image comes from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageSpec {
    /// Registry and name, without tag.
    #[schemars(length(max = 255))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::REPOSITORY)))]
    pub repository: String,
    /// The image's digest, which then stands for the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::DIGEST)))]
    pub digest: Option<String>,
    /// When nodes ask the registry.
    pub pull_policy: PullPolicy,
    /// Secrets with credentials for the registry.
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::PULL_SECRETS)))]
    pub pull_secrets: Vec<LocalObjectReference>,
}

/// When nodes ask the registry for an image.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// If they do not have it.
    IfNotPresent,
    /// Never; it was put there otherwise.
    Never,
}

/// The volume that each member has.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::STORAGE)))]
pub struct StorageSpec {
    /// The size of each volume.
    #[schemars(extend("x-kubernetes-validations" = rules(rule::SIZE)))]
    pub size: Quantity,
    /// The class of the volumes; that of the Kubernetes cluster if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::STORAGE_CLASS)))]
    pub storage_class_name: Option<String>,
    /// What becomes of volumes that are not needed any more.
    pub retention: RetentionSpec,
}

/// What becomes of volumes that are not needed any more.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct RetentionSpec {
    /// When the cluster is deleted. Retained volumes are taken up by a cluster of the same name.
    pub when_deleted: Retention,
    /// When a member was removed for good. A retained volume is deleted when its place is filled
    /// again, because what was removed must not come back.
    pub when_scaled: Retention,
}

/// Whether something is kept.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// It is kept.
    Retain,
    /// It is deleted.
    Delete,
}

/// What else the pods are to carry.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct PodTemplateSpec {
    /// Labels and annotations.
    pub metadata: PodMetadata,
    /// Which nodes fit.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::NODE_SELECTOR)))]
    pub node_selector: BTreeMap<String, String>,
    /// Which taints are tolerated.
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Takes the place of what `scheduling.antiAffinity` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Takes the place of the spread over zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// How important the pods are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::PRIORITY_CLASS)))]
    pub priority_class_name: Option<String>,
    /// Takes the place of the account that the operator makes, which may do nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::SERVICE_ACCOUNT)))]
    pub service_account_name: Option<String>,
}

/// Labels and annotations of pods.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct PodMetadata {
    /// Labels beside ours.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::LABELS)))]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[schemars(extend("maxProperties" = 16))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::ANNOTATIONS)))]
    pub annotations: BTreeMap<String, String>,
}

/// How members are kept apart.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct SchedulingSpec {
    /// Whether two members may run in one place.
    pub anti_affinity: AntiAffinity,
    /// The label of nodes whose value is a place.
    #[schemars(length(max = 317))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::TOPOLOGY_KEY)))]
    pub topology_key: String,
}

/// Whether two members may run in one place.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiAffinity {
    /// If there is no other.
    Preferred,
    /// Never; a member waits instead.
    Required,
    /// Always.
    None,
}

/// How a change of the pods is rolled out.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct UpdateSpec {
    /// Who restarts pods.
    pub strategy: UpdateStrategy,
    /// How many entries a member may lack and still count as having caught up.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_learner_lag_entries: u32,
    /// How long a restarted pod must have been ready before the next one goes.
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_seconds: u32,
}

/// Who restarts pods when they are to change.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// The operator: broken ones first, the leader last, one at a time.
    Automatic,
    /// Somebody else, who deletes pods. The status says which one is next.
    Supervised,
}

/// When a lost member is replaced.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct RepairSpec {
    /// Whether members are replaced at all.
    pub enabled: bool,
    /// How long a member whose volume or node is gone may be missing.
    #[schemars(range(min = 10, max = 604_800))]
    pub replace_after_seconds: u32,
}

/// Whether evictions are limited so that a quorum stays.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct DisruptionBudgetSpec {
    /// Whether there is a budget. Its number follows from the voters.
    pub enabled: bool,
}

// === Defaults: a cluster fit for production ===

impl Default for RaftClusterSpec {
    fn default() -> RaftClusterSpec {
        let quantities = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            Some(
                pairs
                    .map(|(name, size)| ((*name).to_owned(), Quantity((*size).to_owned())))
                    .collect(),
            )
        };
        RaftClusterSpec {
            replicas: 3,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            image: ImageSpec::default(),
            storage: StorageSpec::default(),
            resources: ResourceRequirements {
                requests: quantities(&[("cpu", "250m"), ("memory", "512Mi")]),
                limits: quantities(&[("memory", "4Gi")]),
                claims: None,
            },
            pod_template: PodTemplateSpec::default(),
            scheduling: SchedulingSpec::default(),
            tls: TlsSpec::default(),
            server: ServerSpec::default(),
            update: UpdateSpec::default(),
            repair: RepairSpec::default(),
            disruption_budget: DisruptionBudgetSpec::default(),
            paused: false,
            progress_deadline_seconds: 600,
        }
    }
}

impl Default for ImageSpec {
    fn default() -> ImageSpec {
        ImageSpec {
            repository: "ghcr.io/holdfast/holdfast".to_owned(),
            digest: None,
            pull_policy: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
        }
    }
}

impl Default for StorageSpec {
    fn default() -> StorageSpec {
        StorageSpec {
            size: Quantity("8Gi".to_owned()),
            storage_class_name: None,
            retention: RetentionSpec::default(),
        }
    }
}

impl Default for RetentionSpec {
    fn default() -> RetentionSpec {
        RetentionSpec { when_deleted: Retention::Retain, when_scaled: Retention::Delete }
    }
}

impl Default for SchedulingSpec {
    fn default() -> SchedulingSpec {
        SchedulingSpec {
            anti_affinity: AntiAffinity::Preferred,
            topology_key: "kubernetes.io/hostname".to_owned(),
        }
    }
}

impl Default for UpdateSpec {
    fn default() -> UpdateSpec {
        UpdateSpec {
            strategy: UpdateStrategy::Automatic,
            max_learner_lag_entries: 1000,
            stabilization_seconds: 30,
        }
    }
}

impl Default for RepairSpec {
    fn default() -> RepairSpec {
        RepairSpec { enabled: true, replace_after_seconds: 600 }
    }
}

impl Default for DisruptionBudgetSpec {
    fn default() -> DisruptionBudgetSpec {
        DisruptionBudgetSpec { enabled: true }
    }
}
