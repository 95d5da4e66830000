//! What people are told of a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{ConditionStatus, ConditionType, Reason};

/// What people are told of a cluster. Numbers of 64 bits are texts: JSON would round them.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct RaftClusterStatus {
    /// Of which generation of the specification this tells.
    pub observed_generation: i64,
    /// How many pods there are, for the scale subresource.
    pub replicas: u32,
    /// How many voters are ready.
    pub ready_members: u32,
    /// The same and how many there are to be, as `2/3`.
    pub ready: String,
    /// Which pods belong to it, for the scale subresource.
    pub selector: String,
    /// The reason of the condition `Ready`, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Reason>,
    /// The cluster's ID in hexadecimal. Once it stands here it never changes.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// What goes into the IDs of the first members. Once it stands here it never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who leads; the last one known if the members do not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<LeaderStatus>,
    /// How many voters are needed, and how many serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<QuorumStatus>,
    /// Which versions run.
    pub versions: VersionStatus,
    /// What is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The members, and pods that are to become members. Who does not answer stays listed.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub members: Vec<MemberStatus>,
    /// The members' volumes.
    pub volumes: VolumeStatus,
    /// When certificates expire.
    pub certificates: CertificateTimes,
    /// What is true or false of it.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Who leads.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LeaderStatus {
    /// The name of its pod.
    pub name: String,
    /// Its ID in hexadecimal.
    #[serde(rename = "memberID")]
    pub member_id: String,
    /// In which term.
    pub term: String,
    /// When the operator first saw it lead in this term.
    pub since: Time,
}

/// How many voters are needed, and how many serve.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QuorumStatus {
    /// How many voters must agree.
    pub required: u32,
    /// How many voters serve.
    pub healthy_voters: u32,
    /// How many voters there are.
    pub voters: u32,
    /// How many learners there are.
    pub learners: u32,
    /// Required and present voters, as `2/3`.
    pub summary: String,
}

/// Which versions run.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct VersionStatus {
    /// What all members run, or did before the present change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// What they are to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The lowest that is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowest: Option<String>,
}

/// What is being done.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its kind.
    pub r#type: OperationType,
    /// What is being done just now, or waited for.
    pub message: String,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Since when operations of this kind are under way.
    pub started_at: Time,
    /// When it will be said to be stuck.
    pub deadline: Time,
}

/// The kind of what is being done.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationType {
    /// The first members found the cluster.
    Bootstrap,
    /// Members come.
    ScaleOut,
    /// Members go.
    ScaleIn,
    /// Pods are changed.
    Update,
    /// A lost member is replaced.
    Replace,
    /// All pods go, and the volumes stay.
    Hibernate,
    /// Pods come back to volumes that hold a cluster.
    Resume,
}

/// A member, or a pod that is to become one.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// The name of the pod.
    pub name: String,
    /// The number of the pod.
    pub ordinal: u32,
    /// Its ID in hexadecimal, if it is a member.
    #[serde(rename = "memberID", skip_serializing_if = "Option::is_none")]
    pub member_id: Option<String>,
    /// What it is to the others.
    pub role: MemberRole,
    /// Where it stands, for people.
    pub phase: MemberPhase,
    /// Whether its pod is ready.
    pub ready: bool,
    /// What it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// In which term it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// How many entries the leader has that it has not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u32>,
    /// On which node it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// When it last answered the operator. `None` if it does now, or never has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
}

/// What a member is to the others.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// It leads.
    Leader,
    /// It votes and does not lead.
    Follower,
    /// It receives, and does not vote yet.
    Learner,
    /// Nobody can tell, or it is no member.
    Unknown,
}

/// Where a member stands.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberPhase {
    /// Its pod does not run yet.
    Pending,
    /// It awaits admission.
    Joining,
    /// It catches up.
    Syncing,
    /// It serves.
    Ready,
    /// It does not answer.
    Unhealthy,
    /// Its data is lost, and another takes its place.
    Replacing,
    /// It is to go, or has been removed.
    Leaving,
}

/// The members' volumes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeStatus {
    /// How large each is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// How large each is, by the name of its pod.
    #[schemars(extend("maxProperties" = 16))]
    pub actual: BTreeMap<String, String>,
}

/// When certificates expire.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct CertificateTimes {
    /// Those of members for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_not_after: Option<Time>,
    /// Those of members for each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_not_after: Option<Time>,
    /// The first of the authorities to expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_not_after: Option<Time>,
}

/// Something that is true or false of a cluster.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What.
    pub r#type: ConditionType,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Of which generation of the specification this tells.
    pub observed_generation: i64,
    /// When `status` last changed.
    pub last_transition_time: Time,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
}
