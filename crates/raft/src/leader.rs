//! The leader: it makes every log equal to its own (paper §5.3), and decides what is committed.

mod send;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::core::Core;
use crate::effects::{DropReason, ReadFailure, ReadOutcome};
use crate::error::{MembershipError, ProposeError, TransferError};
use crate::membership::{Change, ChangeError, Membership};
use crate::message::{AppendOutcome, Body, Round};
use crate::progress::Progress;
use crate::quorum::VoteResult;
use crate::read::{Reader, Reads};
use crate::status::ProgressKind;
use crate::types::{Entry, EntryId, Index, MemberId, MembershipChange, Payload};

/// The member that leads its term.
///
/// Handlers only record what happened; what is to be sent is decided in [`Leader::flush`], once for
/// all of it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leader {
    /// All other members of the configuration.
    peers: BTreeMap<MemberId, Peer>,
    /// The first entry of the term, a no-op.
    opening: Index,
    reads: Reads,
    transfer: Option<Transfer>,
    /// Bytes of this leader's own entries that are not committed.
    uncommitted_bytes: usize,
    /// Ticks since the term began.
    ticks: u64,
    /// Ticks since the last heartbeat.
    heartbeat_ticks: u32,
    /// Whether a heartbeat is to go to everybody with the next flush.
    heartbeat_due: bool,
}

/// What the leader knows of one other member.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Peer {
    pub(crate) progress: Progress,
    /// Ticks since it answered anything; from the start of the term until it first does.
    pub(crate) contact_ticks: u32,
    /// The latest round that it answered.
    answered: Round,
    /// The latest round that it was told of.
    told_round: Round,
    /// The highest commit index that it was told of.
    told_commit: Index,
}

impl Peer {
    fn new(last: Index) -> Peer {
        Peer {
            progress: Progress::new(last),
            contact_ticks: 0,
            answered: Round::ZERO,
            told_round: Round::ZERO,
            told_commit: Index::ZERO,
        }
    }
}

/// Leadership on its way to another member (thesis §3.10).
#[derive(Clone, Copy, Debug, Hash)]
struct Transfer {
    to: MemberId,
    /// Ticks since it was asked for.
    ticks: u32,
    /// Whether the other has been told to campaign.
    told: bool,
}

/// Why a leader must stop leading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepDown {
    /// No quorum has answered within an election timeout (thesis §6.2).
    QuorumSilent,
    /// The own disk has been silent for an election timeout.
    DiskSilent,
    /// A configuration in which it does not vote is committed (paper §6).
    Removed,
}

impl Leader {
    /// Begins a term with a no-op, by which all before it can be committed (paper §8).
    pub(crate) fn begin(core: &mut Core) -> Leader {
        assert!(core.vote() == Some(core.id()), "a leader voted for itself");
        let last = core.log.last().index;
        let mut leader = Leader {
            peers: BTreeMap::new(),
            opening: last.next(),
            reads: Reads::new(core.config.read_confirmation),
            transfer: None,
            uncommitted_bytes: 0,
            ticks: 0,
            heartbeat_ticks: 0,
            heartbeat_due: false,
        };
        leader.follow_membership(core, last);
        leader.append(core, Payload::Noop);
        leader
    }

    /// Holds what is true of the others at any time.
    pub(crate) fn assert_peers(&self, core: &Core) {
        assert!(!self.peers.contains_key(&core.id()), "a leader sends to itself");
        let last = core.log.last().index;
        for (id, peer) in &self.peers {
            let matched = peer.progress.matched();
            assert!(matched <= last, "{id} holds {matched}, and the leader's log ends at {last}");
            assert!(
                peer.answered <= peer.told_round && peer.told_round <= self.reads.round(),
                "{id} answered a round that it was not told of"
            );
        }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = (MemberId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (*id, peer))
    }

    pub(crate) fn transferring_to(&self) -> Option<MemberId> {
        self.transfer.map(|transfer| transfer.to)
    }

    // === Proposing ===

    /// Appends a command.
    pub(crate) fn propose(
        &mut self,
        core: &mut Core,
        command: Bytes,
    ) -> Result<EntryId, ProposeError> {
        self.check_may_propose()?;
        // A single command larger than the limit is let through, or it could never be.
        if self.uncommitted_bytes > 0
            && self.uncommitted_bytes + command.len() > core.config.uncommitted_bytes_max
        {
            return Err(ProposeError::Busy);
        }
        Ok(self.append(core, Payload::Command(command)))
    }

    fn check_may_propose(&self) -> Result<(), ProposeError> {
        match self.transfer {
            Some(Transfer { to, .. }) => Err(ProposeError::Transferring { to }),
            None => Ok(()),
        }
    }

    /// Appends a configuration: one at a time, and only after an entry of the own term is
    /// committed, or two leaders could each change the configuration so that their quorums share
    /// nobody (thesis §4.1 as corrected in 2015).
    pub(crate) fn change_membership(
        &mut self,
        core: &mut Core,
        changes: &[Change],
        context: Bytes,
    ) -> Result<EntryId, MembershipError> {
        self.check_may_propose().map_err(MembershipError::Propose)?;
        if !self.has_committed_in_term(core) {
            return Err(MembershipError::TermTooYoung);
        }
        let from = core.log.membership_index();
        if from > core.log.committed() {
            let term = core.log.term_at(from).expect("what is not committed is in the log");
            return Err(MembershipError::Pending(EntryId::new(from, term)));
        }
        if core.log.membership().is_joint() {
            return Err(MembershipError::Change(ChangeError::Joint));
        }
        let membership = core.log.membership().change(changes).map_err(MembershipError::Change)?;
        Ok(self.append_membership(core, membership, context))
    }

    fn append_membership(
        &mut self,
        core: &mut Core,
        membership: Membership,
        context: Bytes,
    ) -> EntryId {
        assert!(
            core.log.membership_index() <= core.log.committed(),
            "a configuration is changed while the one before is not committed"
        );
        let last = core.log.last().index;
        let change = MembershipChange { membership, context };
        let id = self.append(core, Payload::Membership(change));
        self.follow_membership(core, last);
        // The lease rests on a quorum of the configuration before.
        self.reads.void_lease();
        id
    }

    fn append(&mut self, core: &mut Core, payload: Payload) -> EntryId {
        let id = core.log.append(core.term(), payload);
        assert!(id.index >= self.opening, "a leader appends behind the opening of its term");
        let entry_size = core.log.iter().last().map_or(0, Entry::size);
        self.uncommitted_bytes += entry_size;
        id
    }

    /// Makes the peers those of the configuration in force; new ones are assumed to end at `last`.
    fn follow_membership(&mut self, core: &Core, last: Index) {
        let members = core.log.membership().members();
        self.peers.retain(|id, _| members.contains(id));
        for id in members {
            if id != core.id() {
                self.peers.entry(id).or_insert_with(|| Peer::new(last));
            }
        }
        let others = core.log.membership().members().len()
            - usize::from(core.log.membership().contains(core.id()));
        assert!(self.peers.len() == others, "a leader knows all members but itself");
        if let Some(Transfer { to, .. }) = self.transfer
            && !core.log.membership().will_vote(to)
        {
            self.transfer = None;
        }
    }

    fn has_committed_in_term(&self, core: &Core) -> bool {
        core.log.committed() >= self.opening
    }

    // === Hearing from followers ===

    /// Takes the answer to an append or an image.
    pub(crate) fn on_append_response(
        &mut self,
        core: &mut Core,
        from: MemberId,
        round: Round,
        outcome: AppendOutcome,
    ) {
        let (last, base) = (core.log.last().index, core.log.base().index);
        let Some(peer) = self.peers.get_mut(&from) else {
            return core.drop_message(from, DropReason::NotMember);
        };
        if round > peer.told_round || !is_possible(&outcome, last) {
            return core.drop_message(from, DropReason::ImpossibleAck);
        }
        peer.contact_ticks = 0;
        peer.answered = peer.answered.max(round);
        match outcome {
            AppendOutcome::Accepted { matched } => {
                if peer.progress.on_accepted(matched, base) {
                    self.maybe_commit(core);
                }
            }
            AppendOutcome::Rejected { prev, hint } => {
                // The follower agrees at `hint` only if our log does; ours may differ there too.
                let agreement = core.log.agreement_hint(hint).index;
                peer.progress.on_rejected(prev, agreement);
            }
            // It was said to this member as the leader of an earlier term.
            AppendOutcome::StaleTerm => core.drop_message(from, DropReason::Unexpected),
        }
        if self.reads.wants_confirmation() {
            self.maybe_confirm(core);
        }
    }

    /// Records that appends to a member may have been lost.
    pub(crate) fn on_unreachable(&mut self, member: MemberId) {
        if let Some(peer) = self.peers.get_mut(&member)
            && peer.progress.kind() == ProgressKind::Replicate
        {
            peer.progress.become_probe();
        }
    }

    // === Committing ===

    /// Commits what a quorum holds durably, if it is of this term: entries of earlier terms are
    /// committed along with it, and never by counting (paper §5.4.2).
    pub(crate) fn maybe_commit(&mut self, core: &mut Core) {
        let (id, durable) = (core.id(), core.log.durable());
        let reached = core.log.membership().quorum().reached(core.log.last().index, |member| {
            if member == id {
                // The leader's own copy counts like any other: once it is durable.
                Some(durable)
            } else {
                self.peers.get(&member).map(|peer| peer.progress.matched())
            }
        });
        let Some(index) = reached else { return };
        if index <= core.log.committed() || core.log.term_at(index) != Some(core.term()) {
            return;
        }
        // What earlier leaders left was never added.
        let counted = core.log.committed().max(self.opening.previous());
        self.uncommitted_bytes -= core.log.bytes_between(counted, index);
        core.log.commit_to(index);
        self.on_committed(core);
    }

    fn on_committed(&mut self, core: &mut Core) {
        let index = core.log.committed();
        for reader in self.reads.take_early() {
            self.reads.add(reader, index);
        }
        // Whoever leads when a joint configuration is committed leaves it, also if an earlier
        // leader began it.
        if core.log.membership().is_joint() && core.log.membership_index() <= index {
            let membership = core.log.membership().leave();
            self.append_membership(core, membership, Bytes::new());
        }
    }

    // === Reading ===

    /// Finds out from which index a read may be served, and tells whether there was room for it.
    pub(crate) fn read(&mut self, core: &mut Core, reader: Reader) -> bool {
        if self.reads.is_full() {
            return false;
        }
        if !self.has_committed_in_term(core) {
            self.reads.add_early(reader);
        } else if self.reads.holds_lease(self.ticks) && self.transfer.is_none() {
            release(core, reader, core.log.committed());
        } else {
            self.reads.add(reader, core.log.committed());
        }
        true
    }

    /// Releases the reads that waited for a round which a quorum has answered.
    fn maybe_confirm(&mut self, core: &mut Core) {
        let (id, current) = (core.id(), self.reads.round());
        let confirmed = core.log.membership().quorum().reached(current, |member| {
            if member == id {
                Some(current)
            } else {
                self.peers.get(&member).map(|peer| peer.answered)
            }
        });
        let Some(confirmed) = confirmed else { return };
        for (reader, index) in self.reads.confirm(confirmed, core.config.election_ticks) {
            release(core, reader, index);
        }
    }

    /// Takes the lease away until it is confirmed again.
    pub(crate) fn on_paused(&mut self) {
        self.reads.void_lease();
    }

    // === Handing over ===

    /// Begins to hand leadership over, and tells to whom.
    pub(crate) fn transfer(
        &mut self,
        core: &Core,
        to: Option<MemberId>,
    ) -> Result<MemberId, TransferError> {
        let to = match to {
            Some(to) if !core.log.membership().will_vote(to) => {
                return Err(TransferError::NotVoter(to));
            }
            Some(to) => to,
            None => self.best_successor(core).ok_or(TransferError::NoCandidate)?,
        };
        if to == core.id() {
            self.transfer = None;
        } else if self.transferring_to() != Some(to) {
            self.transfer = Some(Transfer { to, ticks: 0, told: false });
        }
        Ok(to)
    }

    /// The voter that has come furthest, of those that have been heard of lately.
    fn best_successor(&self, core: &Core) -> Option<MemberId> {
        self.peers
            .iter()
            .filter(|(id, peer)| {
                core.log.membership().will_vote(**id)
                    && peer.contact_ticks < core.config.election_ticks
            })
            .max_by_key(|(id, peer)| (peer.progress.matched(), std::cmp::Reverse(**id)))
            .map(|(id, _)| *id)
    }

    /// Tells the best successor to campaign, because this member is about to stop leading.
    pub(crate) fn hand_over(&mut self, core: &mut Core) {
        if let Some(to) = self.best_successor(core) {
            core.send_now(to, Body::TimeoutNow);
        }
    }

    fn tell_successor(&mut self, core: &mut Core) {
        let Some(transfer) = &mut self.transfer else { return };
        let matched = self.peers.get(&transfer.to).map(|peer| peer.progress.matched());
        if transfer.told || matched != Some(core.log.last().index) {
            return;
        }
        transfer.told = true;
        self.reads.forbid_lease();
        core.send_now(transfer.to, Body::TimeoutNow);
    }

    // === Time ===

    /// Counts a tick.
    pub(crate) fn tick(&mut self, core: &Core) {
        self.ticks += 1;
        for peer in self.peers.values_mut() {
            peer.contact_ticks = peer.contact_ticks.saturating_add(1);
            peer.progress.tick(core.config.snapshot_ticks);
        }
        if let Some(transfer) = &mut self.transfer {
            transfer.ticks += 1;
            if transfer.ticks >= core.config.election_ticks {
                self.transfer = None;
            }
        }
        self.heartbeat_ticks += 1;
        if self.heartbeat_ticks >= core.config.heartbeat_ticks {
            self.heartbeat_ticks = 0;
            self.heartbeat_due = true;
        }
    }

    /// Tells whether this member must stop leading, and why.
    pub(crate) fn must_step_down(&self, core: &Core) -> Option<StepDown> {
        let membership = core.log.membership();
        if core.log.membership_index() <= core.log.committed() && !membership.is_voter(core.id()) {
            return Some(StepDown::Removed);
        }
        if core.is_disk_stalled() {
            return Some(StepDown::DiskSilent);
        }
        let answering = membership.quorum().vote_result(|member| {
            let heard = self
                .peers
                .get(&member)
                .is_some_and(|peer| peer.contact_ticks < core.config.election_ticks);
            Some(member == core.id() || heard)
        });
        (answering != VoteResult::Won).then_some(StepDown::QuorumSilent)
    }

    /// Fails what waits for this leadership.
    pub(crate) fn abandon(self, core: &mut Core) {
        for reader in self.reads.abandon() {
            match reader {
                Reader::Local(id) => core.fail_read(id, ReadFailure::LeaderChanged),
                // It finds out by the new term, or by waiting in vain.
                Reader::Remote { .. } => {}
            }
        }
    }
}

/// Tells whether a follower of a leader whose log ends at `last` can have said this.
fn is_possible(outcome: &AppendOutcome, last: Index) -> bool {
    match outcome {
        AppendOutcome::Accepted { matched } => *matched <= last,
        AppendOutcome::Rejected { prev, hint } => *prev <= last && hint.index <= *prev,
        AppendOutcome::StaleTerm => true,
    }
}

/// Tells a reader from which index it may read.
fn release(core: &mut Core, reader: Reader, index: Index) {
    match reader {
        Reader::Local(id) => core.outbox.reads.push(ReadOutcome::Ready { id, index }),
        Reader::Remote { member, nonce } => {
            core.send_now(member, Body::ReadIndexResponse { nonce, index });
        }
    }
}
