//! The words of the status that programs may match on: conditions and their reasons.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is true or false of a cluster.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum ConditionType {
    /// All wanted voters serve, and the cluster is as asked for. Its reason is the STATUS column.
    Ready,
    /// Clients are served: there is a leader that a quorum follows.
    Available,
    /// Work is under way.
    Progressing,
    /// Clients are served, and fewer members than there should be may be lost.
    Degraded,
    /// Every pod is as the specification wants it.
    MembersUpdated,
    /// There are as many voters as asked for.
    ScaleComplete,
    /// Every member has its volume.
    StorageReady,
    /// Certificates are there, and not about to expire.
    TLSReady,
    /// All members and volumes are of one cluster.
    ClusterIDConsistent,
}

impl ConditionType {
    /// All of them, in the order in which they are shown.
    pub const ALL: [ConditionType; 9] = [
        ConditionType::Ready,
        ConditionType::Available,
        ConditionType::Progressing,
        ConditionType::Degraded,
        ConditionType::MembersUpdated,
        ConditionType::ScaleComplete,
        ConditionType::StorageReady,
        ConditionType::TLSReady,
        ConditionType::ClusterIDConsistent,
    ];
}

/// Whether it is so.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not.
    False,
    /// It cannot be known now.
    Unknown,
}

/// Why it is so, in one word.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All is well and as asked for.
    Healthy,
    /// The cluster does not exist yet.
    Bootstrapping,
    /// Members come or go.
    Scaling,
    /// Members come.
    ScalingOut,
    /// Members go.
    ScalingIn,
    /// Pods are being changed.
    Updating,
    /// A member is missing, or being replaced.
    Repairing,
    /// Most voters are missing.
    QuorumLost,
    /// The cluster existed, and its volumes are empty or gone.
    DataLost,
    /// It was asked for no members; volumes are kept.
    Hibernated,
    /// It was asked to be left alone.
    Paused,
    /// Pods run, and none answers the operator.
    Unreachable,
    /// The specification contradicts itself.
    InvalidSpec,
    /// The version cannot follow on the one that runs.
    UnsupportedVersion,
    /// The version is older than what wrote the data.
    DowngradeForbidden,
    /// A quorum follows the leader.
    QuorumHealthy,
    /// There is no leader at the moment.
    NoLeader,
    /// There is nothing to do.
    Reconciled,
    /// It takes longer than `progressDeadlineSeconds`.
    DeadlineExceeded,
    /// A member does not answer.
    MemberDown,
    /// A learner does not catch up.
    LearnerStuck,
    /// No member is missing.
    AllMembersServe,
    /// All pods are as wanted.
    AllUpdated,
    /// A pod is to be restarted, and its member is needed.
    WaitingForQuorum,
    /// A pod is to be restarted, by somebody else.
    WaitingForUser,
    /// There are as many voters as asked for.
    AsRequested,
    /// Every member has its volume.
    Bound,
    /// A volume is missing, or lies on a node that is gone.
    VolumeLost,
    /// A volume has not been made yet.
    VolumePending,
    /// Certificates are valid.
    Valid,
    /// Certificates expire soon, or have.
    Expiring,
    /// Certificates are not there.
    Missing,
    /// Connections are in the clear, as asked for.
    Off,
    /// All are of one cluster.
    Consistent,
    /// Some are of another cluster.
    Mismatch,
}
