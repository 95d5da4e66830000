//! What a member tells about itself.

use crate::membership::Membership;
use crate::node::{Raft, Role};
use crate::status::{MemberStatus, RoleKind, Status};
use crate::types::{Entry, EntryId, Index, MemberId, SnapshotMeta, Term};

impl Raft {
    /// This member's ID.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.core.id()
    }

    /// Its term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.core.term()
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        match &self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// Whom it takes for the leader of its term; itself if it leads.
    #[must_use]
    pub fn leader(&self) -> Option<MemberId> {
        match &self.role {
            Role::Follower(follower) => follower.leader(),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.core.id()),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.core.log.membership()
    }

    /// The last entry of its log.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.core.log.last()
    }

    /// Up to where it knows the log to be committed.
    #[must_use]
    pub fn committed(&self) -> Index {
        self.core.log.committed()
    }

    /// The part of the log that is in memory.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.core.log.iter()
    }

    /// What an image of the service at `index` must carry; `None` if no image can be made there:
    /// if `index` is not committed, has left memory, or lies before the service's latest image or
    /// the first configuration that a member which joined the cluster has heard of.
    #[must_use]
    pub fn snapshot_meta(&self, index: Index) -> Option<SnapshotMeta> {
        self.core.log.snapshot_meta(index)
    }

    /// What the member tells about itself.
    #[must_use]
    pub fn status(&self) -> Status {
        let log = &self.core.log;
        let contact_ticks = match &self.role {
            Role::Follower(follower) => follower.contact_ticks(),
            Role::PreCandidate(_) | Role::Candidate(_) => u32::MAX,
            Role::Leader(_) => 0,
        };
        Status {
            id: self.core.id(),
            role: self.role(),
            term: self.core.term(),
            vote: self.core.vote(),
            leader: self.leader(),
            base: log.trimmed(),
            evicted: log.base(),
            last: log.last(),
            durable: log.durable(),
            committed: log.committed(),
            applied: log.applied(),
            membership: log.membership().clone(),
            membership_committed: log.membership_index() <= log.committed(),
            transferring_to: match &self.role {
                Role::Leader(leader) => leader.transferring_to(),
                Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
            },
            leader_contact_ticks: contact_ticks,
            election_timeout_ticks: self.core.timer.timeout(),
            members: self.member_statuses(),
        }
    }

    fn member_statuses(&self) -> Vec<MemberStatus> {
        let Role::Leader(leader) = &self.role else { return Vec::new() };
        leader
            .peers()
            .map(|(id, peer)| MemberStatus {
                id,
                progress: peer.progress.kind(),
                matched: peer.progress.matched(),
                next: peer.progress.next(),
                last_contact_ticks: peer.contact_ticks,
            })
            .collect()
    }
}
