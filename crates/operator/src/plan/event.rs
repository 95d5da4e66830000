//! What is published when something happens: once, at the change.

use std::fmt;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What, in one word.
    pub reason: EventReason,
    /// Whether somebody should look after it.
    pub severity: Severity,
    /// What, in a sentence.
    pub message: String,
    /// After what it is true.
    pub follows: Follows,
}

/// After what an event may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// After the status was written: only then it is not noticed a second time.
    Status,
    /// After the step was done without an error.
    Step,
}

/// Whether somebody should look after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is as it should be.
    Normal,
    /// It is not.
    Warning,
}

/// What happened, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// The first member founded the cluster.
    ClusterBootstrapped,
    /// Volumes were found that hold a cluster.
    ClusterAdopted,
    /// A learner was added.
    MemberAdded,
    /// A learner became a voter.
    MemberPromoted,
    /// A member was removed.
    MemberRemoved,
    /// A lost member was removed, so that another takes its place.
    MemberReplaced,
    /// Another member leads.
    LeaderChanged,
    /// The leader was asked to let another lead.
    LeadershipTransferred,
    /// A pod was deleted, so that another takes its place.
    PodRecreated,
    /// A volume was deleted.
    VolumeDeleted,
    /// Pods are being changed.
    UpdateStarted,
    /// All pods are as wanted.
    UpdateFinished,
    /// A changed pod does not serve, so no other is changed.
    UpdateBlocked,
    /// Members come or go.
    ScaleStarted,
    /// There are as many members as asked for.
    ScaleFinished,
    /// Most voters are missing.
    QuorumLost,
    /// Clients are served again.
    QuorumRestored,
    /// A learner does not catch up.
    LearnerStuck,
    /// A certificate is about to expire.
    CertificateExpiring,
    /// Something was asked for that would harm, and is not done.
    RefusedUnsafeAction,
    /// The operator could not look, or not do what was to be done.
    ReconcileFailed,
}

impl EventReason {
    /// The word that Kubernetes is given.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EventReason::ClusterBootstrapped => "ClusterBootstrapped",
            EventReason::ClusterAdopted => "ClusterAdopted",
            EventReason::MemberAdded => "MemberAdded",
            EventReason::MemberPromoted => "MemberPromoted",
            EventReason::MemberRemoved => "MemberRemoved",
            EventReason::MemberReplaced => "MemberReplaced",
            EventReason::LeaderChanged => "LeaderChanged",
            EventReason::LeadershipTransferred => "LeadershipTransferred",
            EventReason::PodRecreated => "PodRecreated",
            EventReason::VolumeDeleted => "VolumeDeleted",
            EventReason::UpdateStarted => "UpdateStarted",
            EventReason::UpdateFinished => "UpdateFinished",
            EventReason::UpdateBlocked => "UpdateBlocked",
            EventReason::ScaleStarted => "ScaleStarted",
            EventReason::ScaleFinished => "ScaleFinished",
            EventReason::QuorumLost => "QuorumLost",
            EventReason::QuorumRestored => "QuorumRestored",
            EventReason::LearnerStuck => "LearnerStuck",
            EventReason::CertificateExpiring => "CertificateExpiring",
            EventReason::RefusedUnsafeAction => "RefusedUnsafeAction",
            EventReason::ReconcileFailed => "ReconcileFailed",
        }
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}
