//! What can be done: the smallest things after each of which the operator may die.
//!
//! A step leaves no choice to the one who carries it out, and an old one does no harm: what is
//! deleted is named by its UID, a member by an ID that is never used again, and the rest is said so
//! that saying it twice changes nothing.

use std::fmt;

use super::certificate::CertificateStep;
use super::id::{ClusterId, MemberId, Ordinal, Uid};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a child, or make it as it is wanted.
    ApplyChild(Child),
    /// Delete a child that is not wanted.
    DeleteChild(Child, Uid),
    /// Make or change the budget.
    ApplyBudget {
        /// How many pods must stay.
        available_min: u32,
    },
    /// Delete the budget.
    DeleteBudget(Uid),
    /// Make or renew a certificate.
    Certificate(CertificateStep),
    /// Make or change the StatefulSet. No pod is restarted by it.
    ApplyStatefulSet {
        /// How many pods it is to have.
        replicas: u32,
    },
    /// Write on a volume.
    MarkVolume {
        /// Whose.
        ordinal: Ordinal,
        /// Only this one.
        uid: Uid,
        /// What is to stand there afterwards.
        cluster_id: Option<ClusterId>,
        /// What is to stand there afterwards.
        member_id: Option<MemberId>,
        /// What is to hold afterwards.
        is_owned: bool,
    },
    /// Tell the pod to found a cluster of itself alone.
    Form {
        /// Which one.
        ordinal: Ordinal,
        /// Only this one.
        pod: Uid,
        /// What goes into its ID.
        token: String,
    },
    /// Add the pod's address to the cluster, as a learner.
    AddLearner(Ordinal),
    /// Make a learner a voter.
    Promote(Ordinal, MemberId),
    /// Remove a member from the cluster for good.
    RemoveMember(Ordinal, MemberId),
    /// Ask the leader to let another lead.
    TransferLeadership {
        /// Who leads.
        from: Ordinal,
        /// Who is to.
        to: Ordinal,
        /// The ID of the latter.
        heir: MemberId,
    },
    /// Delete a pod. The StatefulSet makes another.
    DeletePod(Ordinal, Uid),
    /// Delete a volume and what is on it.
    DeleteVolume(Ordinal, Uid),
}

/// An object that belongs to the cluster, and has nothing to be decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Child {
    /// The account under which pods run.
    ServiceAccount,
    /// Gives each pod a name.
    PeerService,
    /// Where clients connect.
    ClientService,
    /// What cert-manager is to issue for clients.
    ClientCertificate,
    /// What cert-manager is to issue for members.
    PeerCertificate,
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Child::ServiceAccount => "service-account",
            Child::PeerService => "peer-service",
            Child::ClientService => "client-service",
            Child::ClientCertificate => "client-certificate",
            Child::PeerCertificate => "peer-certificate",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::ApplyChild(child) => write!(f, "apply {child}"),
            Step::DeleteChild(child, _) => write!(f, "delete {child}"),
            Step::ApplyBudget { available_min } => write!(f, "apply budget min={available_min}"),
            Step::DeleteBudget(_) => f.write_str("delete budget"),
            Step::Certificate(step) => write!(f, "{step}"),
            Step::ApplyStatefulSet { replicas } => {
                write!(f, "apply stateful-set replicas={replicas}")
            }
            Step::MarkVolume { ordinal, cluster_id, member_id, is_owned, .. } => {
                write!(f, "mark volume {ordinal}")?;
                if let Some(cluster_id) = cluster_id {
                    write!(f, " cluster={cluster_id}")?;
                }
                if let Some(member_id) = member_id {
                    write!(f, " member={member_id}")?;
                }
                f.write_str(if *is_owned { " owned" } else { "" })
            }
            Step::Form { ordinal, .. } => write!(f, "form {ordinal}"),
            Step::AddLearner(ordinal) => write!(f, "add-learner {ordinal}"),
            Step::Promote(ordinal, id) => write!(f, "promote {ordinal} member={id}"),
            Step::RemoveMember(ordinal, id) => write!(f, "remove-member {ordinal} member={id}"),
            Step::TransferLeadership { from, to, .. } => {
                write!(f, "transfer-leadership {from} to {to}")
            }
            Step::DeletePod(ordinal, _) => write!(f, "delete pod {ordinal}"),
            Step::DeleteVolume(ordinal, _) => write!(f, "delete volume {ordinal}"),
        }
    }
}
