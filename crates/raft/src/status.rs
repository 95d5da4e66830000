//! What a member tells about itself, as plain data.

use std::fmt;

use crate::membership::Membership;
use crate::types::{EntryId, Index, MemberId, Term};

/// One member's view of itself and, if it leads, of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who tells.
    pub id: MemberId,
    /// Its role.
    pub role: RoleKind,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub vote: Option<MemberId>,
    /// Whom it takes for the leader of this term; itself if it leads.
    pub leader: Option<MemberId>,
    /// The entry before the first one in its stored log.
    pub base: EntryId,
    /// The entry before the first one that is in memory; what is between is only on the disk.
    pub evicted: EntryId,
    /// The last entry of its log.
    pub last: EntryId,
    /// Up to where its log is on its disk.
    pub durable: Index,
    /// Up to where it knows the log to be committed.
    pub committed: Index,
    /// Up to where the service says it has applied the log. An image that was handed out counts as
    /// applied at once: a reader must also wait until the service has taken it over.
    pub applied: Index,
    /// The configuration in force.
    pub membership: Membership,
    /// Whether the entry that holds this configuration is known to be committed.
    pub membership_committed: bool,
    /// To whom it is handing leadership.
    pub transferring_to: Option<MemberId>,
    /// Ticks since it has heard from its leader; on a leader zero, on a candidate `u32::MAX`.
    pub leader_contact_ticks: u32,
    /// Ticks after which it campaigns without having heard from a leader; drawn anew at each reset.
    pub election_timeout_ticks: u32,
    /// What it knows of the others. Empty unless it leads.
    pub members: Vec<MemberStatus>,
}

/// What a leader knows of one other member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Of whom.
    pub id: MemberId,
    /// How entries are being sent.
    pub progress: ProgressKind,
    /// Up to where the member's log is known to be equal to the leader's, and durable.
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    /// Ticks since the member has answered anything; at the start of a term it counts from there.
    pub last_contact_ticks: u32,
}

/// The roles of paper §5.1, and the pre-candidate of thesis §9.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// Answers others.
    Follower,
    /// Asks whether it could win an election, without disturbing anybody.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Makes every log equal to its own.
    Leader,
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleKind::Follower => "follower",
            RoleKind::PreCandidate => "pre-candidate",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        })
    }
}

/// The three ways to send entries to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgressKind {
    /// One append at a time, to find where the logs agree.
    Probe,
    /// A stream of appends.
    Replicate,
    /// An image of the service, since the log no longer reaches back far enough.
    Snapshot,
}

impl fmt::Display for ProgressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProgressKind::Probe => "probe",
            ProgressKind::Replicate => "replicate",
            ProgressKind::Snapshot => "snapshot",
        })
    }
}
