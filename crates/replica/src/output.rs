//! What a replica wants done, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mvcc::View;
use raft::{EntryId, MemberId, Membership, RoleKind, Term};
use store::{AlarmKind, Applied, MemberAttributes};
use thiserror::Error;

use crate::event::{LeaseLife, PeerMessage, Ticket};
use crate::job::Job;

/// What is due. The driver first publishes, then sends, then answers, then starts jobs.
#[derive(Debug, Default)]
pub struct Output {
    /// The state that reads are served from, if it has changed.
    pub published: Option<Arc<Published>>,
    /// What goes to peers.
    pub messages: Vec<Outgoing>,
    /// What goes to clients.
    pub replies: Vec<(Ticket, Reply)>,
    /// What is to be done in the background, and reported by [`crate::Event::Finished`].
    pub jobs: Vec<Job>,
    /// This member was removed from the cluster: it stops for good.
    pub removed: bool,
}

/// A message to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub to: MemberId,
    /// What. An `InstallSnapshot` carries the name of a checkpoint: see
    /// [`crate::Replica::read_checkpoint`].
    pub message: PeerMessage,
}

/// What clients may see of this member, at one moment.
#[derive(Clone, Debug)]
pub struct Published {
    /// All keys and their history.
    pub view: View,
    /// The last entry that was applied.
    pub applied: EntryId,
    /// This member's term, which may be later than that entry's.
    pub term: Term,
    /// Its role.
    pub role: RoleKind,
    /// Whom it takes for the leader.
    pub leader: Option<MemberId>,
    /// The configuration in force.
    pub membership: Arc<Membership>,
    /// Names and addresses of the members, and who becomes a voter.
    pub members: Arc<BTreeMap<u64, MemberAttributes>>,
    /// The IDs of members that were removed, which never come back.
    pub removed: Arc<BTreeSet<u64>>,
    /// Alarms that are raised.
    pub alarms: Arc<BTreeSet<(u64, AlarmKind)>>,
    /// The version that the cluster can speak, `X.Y.Z`; empty before the first leader says so.
    pub cluster_version: Arc<str>,
    /// The version that a downgrade under way goes to.
    pub downgrade: Option<Arc<str>>,
}

impl Published {
    /// Tells whether a member is a learner and stays one: what clients are told. One that becomes a
    /// voter by itself is a voter to them from the beginning, as in etcd.
    #[must_use]
    pub fn is_learner(&self, member: u64) -> bool {
        self.membership.learners().contains(&MemberId(member)) && !self.becomes_voter(member)
    }

    /// Tells whether a member was added as a voter and has no vote yet.
    #[must_use]
    pub fn becomes_voter(&self, member: u64) -> bool {
        self.members.get(&member).is_some_and(|known| known.becomes_voter)
    }
}

/// An answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The command was executed, or refused by all members alike.
    Applied {
        /// What became of it.
        applied: Applied,
        /// Where it stood in the log.
        at: EntryId,
    },
    /// A read may be served from what is published now.
    ReadReady,
    /// The configuration was changed and the change is committed, or it was refused.
    Membership(Result<(), MembershipRefusal>),
    /// Another member leads now, or the transfer was refused.
    Transferred(Result<(), TransferRefusal>),
    /// What the leader says of the lease after renewing it.
    LeaseRenewed(LeaseLife),
    /// What the leader says of the lease.
    LeaseTimeToLive(LeaseLife),
    /// It cannot be done now. What was proposed may still be executed, unless the variant says no.
    Unavailable(Unavailable),
}

/// Why something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// No leader is known, and none was found in time. Nothing was proposed.
    #[error("no leader is known")]
    NoLeader,
    /// Too much waits already. Nothing was proposed.
    #[error("too much waits to be executed already")]
    Busy,
    /// No answer in time; the command may still be executed.
    #[error("no answer in time")]
    Timeout,
    /// No answer in time, and the leader was lost meanwhile; the command may still be executed.
    #[error("no answer in time, and the leader was lost meanwhile")]
    TimeoutLeaderLost,
    /// No answer in time, and the connection to the leader was lost meanwhile.
    #[error("no answer in time, and the connection to the leader was lost meanwhile")]
    TimeoutConnectionLost,
    /// The command is larger than a log entry may be. Nothing was proposed.
    #[error("the command is larger than an entry may be")]
    TooLarge,
    /// The member stops. The command may still be executed.
    #[error("the member stops")]
    Stopped,
}

/// Why the configuration was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MembershipRefusal {
    /// There is such a member already.
    #[error("there is such a member already")]
    Exists,
    /// There is no such member.
    #[error("there is no such member")]
    NotFound,
    /// The member's ID was removed and is never used again.
    #[error("the member was removed, and its ID is never used again")]
    Removed,
    /// Only a learner can be promoted.
    #[error("only a learner can be promoted")]
    NotLearner,
    /// The learner's log is too far behind.
    #[error("the learner is too far behind the leader")]
    LearnerNotReady,
    /// The last voter cannot go.
    #[error("the last voter cannot go")]
    LastVoter,
    /// Too few voters answer for the cluster to survive the change.
    #[error("too few voters answer for the cluster to survive the change")]
    Unhealthy,
    /// Another change is under way; it was not waited for any longer.
    #[error("another change is under way")]
    Pending,
    /// There may be no more learners.
    #[error("there may be no more learners")]
    TooManyLearners,
    /// Another member has one of the peer URLs.
    #[error("another member has one of these peer URLs")]
    PeerUrlExists,
    /// The changes are none, or contradict each other.
    #[error("the changes are none, or contradict each other")]
    Contradictory,
}

/// Why leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransferRefusal {
    /// This member does not lead.
    #[error("this member does not lead")]
    NotLeader,
    /// The heir is not a voter.
    #[error("the heir is not a voter")]
    NotVoter,
    /// No other voter answers.
    #[error("no other voter answers")]
    NoCandidate,
    /// The heir did not take over in time.
    #[error("the heir did not take over in time")]
    Timeout,
}
