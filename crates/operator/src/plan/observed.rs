//! What is seen of a cluster before it is decided what to do: all that the planner may know.
//!
//! Objects of Kubernetes may be older than they look; preconditions on UIDs make that harmless.
//! What members tell is asked for each time: the list of members is read linearizably, or there is
//! none.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use k8s_openapi::jiff::Timestamp;

use super::certificate::{Audience, CertificatesSeen, Validity};
use super::id::{ClusterId, MemberId, Ordinal, Uid};
use super::step::Child;
use crate::crd::RaftClusterStatus;

/// All that is seen.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time at which it was seen. The planner has no other clock.
    pub now: Timestamp,
    /// The object that people edit.
    pub cluster: ClusterSeen,
    /// What each child is to look like, as a digest of what is built from the specification. A
    /// child that is not here is not wanted.
    pub wanted: BTreeMap<Child, String>,
    /// What the StatefulSet is to look like, without the number of pods.
    pub wanted_pods: String,
    /// The children that exist.
    pub children: BTreeMap<Child, ChildSeen>,
    /// The budget of disruptions, if there is one.
    pub budget: Option<BudgetSeen>,
    /// The StatefulSet, if there is one.
    pub stateful_set: Option<StatefulSetSeen>,
    /// The pods that exist.
    pub pods: BTreeMap<Ordinal, PodSeen>,
    /// The volumes that exist, also those that no pod uses.
    pub volumes: BTreeMap<Ordinal, VolumeSeen>,
    /// Certificates that the operator makes.
    pub certificates: CertificatesSeen,
    /// The lives of the certificates that cert-manager makes. `None` while there is none.
    pub issued: BTreeMap<Audience, Option<Validity>>,
    /// What the members tell. `None` if no leader confirmed it just now.
    pub told: Option<Told>,
}

impl Observed {
    /// All that Kubernetes tells and pods say, as one number: who sees the same number again has
    /// seen nothing new. It is for this process alone.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.cluster.generation.hash(&mut hasher);
        (&self.wanted, &self.wanted_pods).hash(&mut hasher);
        (&self.children, &self.budget, &self.stateful_set).hash(&mut hasher);
        (&self.pods, &self.volumes, &self.certificates, &self.issued).hash(&mut hasher);
        self.told.is_some().hash(&mut hasher);
        hasher.finish()
    }
}

/// The object that people edit, beside its specification.
#[derive(Clone, Debug)]
pub struct ClusterSeen {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: Uid,
    /// The generation of its specification.
    pub generation: i64,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// The status as it was written last.
    pub status: RaftClusterStatus,
}

impl ClusterSeen {
    /// What goes into the ID of the cluster, so that no two ever have the same: once it stands in
    /// the status, it is what stands there.
    #[must_use]
    pub fn token(&self) -> String {
        let made = || format!("{}-{}-{}", self.name, self.namespace, self.uid);
        self.status.token.clone().unwrap_or_else(made)
    }
}

/// A child that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildSeen {
    /// Its UID.
    pub uid: Uid,
    /// The digest of what it was made from.
    pub digest: String,
}

/// The budget that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetSeen {
    /// Its UID.
    pub uid: Uid,
    /// How many pods must stay.
    pub available_min: u32,
}

/// The StatefulSet that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatefulSetSeen {
    /// Its UID.
    pub uid: Uid,
    /// The digest of what it was made from, without the number of pods.
    pub digest: String,
    /// How many pods it is to have.
    pub replicas: u32,
    /// The revision that new pods get. `None` while Kubernetes has not looked at the last change.
    pub revision: Option<String>,
}

/// A pod that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodSeen {
    /// Its UID.
    pub uid: Uid,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// The revision of the StatefulSet that it was made from.
    pub revision: String,
    /// Whether it runs.
    pub state: PodState,
    /// Since when it is ready. `None` if it is not.
    pub ready_since: Option<Timestamp>,
    /// The node that it is on, if it has one.
    pub node: Option<String>,
    /// What its process says of itself.
    pub admission: Admission,
}

/// Whether a pod runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PodState {
    /// Its process runs, as far as its node tells.
    Running,
    /// No process runs: it has no place, no image, no volume, or failed and waits to be started
    /// again. Holds Kubernetes' word for it.
    Waiting(String),
}

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// It does not answer.
    Silent,
    /// Its volume is empty, and it waits to become a member. Holds what it says.
    Awaiting(String),
    /// It has data.
    Member {
        /// Of which cluster.
        cluster_id: ClusterId,
        /// As which member.
        member_id: MemberId,
    },
}

/// A volume that exists: a claim, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VolumeSeen {
    /// The UID of the claim.
    pub uid: Uid,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// What we wrote on it.
    pub mark: Mark,
    /// Whether its data can be reached.
    pub home: Home,
    /// How large it is, if that is known.
    pub size: Option<String>,
}

/// What is written on a volume, so that it is known even if nothing else is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The cluster of which it may hold data. Written before there can be any, but for that of the
    /// founder.
    pub cluster_id: Option<ClusterId>,
    /// The member whose data it holds. Written when that member runs.
    pub member_id: Option<MemberId>,
    /// Whether it is deleted together with the object that people edit.
    pub is_owned: bool,
}

/// Whether the data of a volume can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// It is not bound yet: there is no data.
    Unbound,
    /// It can be, as far as Kubernetes tells.
    Present,
    /// What it was bound to is gone, or lies on a node that is gone.
    Gone,
}

/// What a leader told that had confirmed that it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The cluster's ID.
    pub cluster_id: ClusterId,
    /// Who leads; one of the members.
    pub leader: MemberId,
    /// In which term.
    pub term: u64,
    /// All members.
    pub members: BTreeMap<MemberId, MemberSeen>,
}

/// A member of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSeen {
    /// The place that its address names. `None` if it is none of ours.
    pub ordinal: Option<Ordinal>,
    /// Whether it has ever run: only then has it a name.
    pub has_started: bool,
    /// Whether it is a learner.
    pub is_learner: bool,
    /// Whether it answers.
    pub health: Health,
}

/// Whether a member answers the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does not.
    Silent,
    /// It does, and follows the leader.
    Serving {
        /// How many entries the leader has that it has not applied.
        lag_entries: u64,
        /// The version that it runs.
        version: String,
    },
}

impl Admission {
    /// The cluster that the process has data of.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        match self {
            Admission::Silent | Admission::Awaiting(_) => None,
            Admission::Member { cluster_id, .. } => Some(*cluster_id),
        }
    }

    /// Whether the process says that its volume is empty.
    #[must_use]
    pub fn is_awaiting(&self) -> bool {
        match self {
            Admission::Awaiting(_) => true,
            Admission::Silent | Admission::Member { .. } => false,
        }
    }
}

impl PodState {
    /// Whether a process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        match self {
            PodState::Running => true,
            PodState::Waiting(_) => false,
        }
    }
}

impl Health {
    /// Whether the member answers.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        match self {
            Health::Serving { .. } => true,
            Health::Silent => false,
        }
    }

    /// How many entries it lacks. `None` if it does not answer.
    #[must_use]
    pub fn lag_entries(&self) -> Option<u64> {
        match self {
            Health::Serving { lag_entries, .. } => Some(*lag_entries),
            Health::Silent => None,
        }
    }

    /// The version that it runs. `None` if it does not answer.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Health::Serving { version, .. } => Some(version),
            Health::Silent => None,
        }
    }
}
