//! The member: entry points, and the rules that hold in every role (paper, Figure 2: "All
//! Servers").

mod election;
mod inspect;

use bytes::Bytes;

use crate::candidate::{Candidate, PreCandidate};
use crate::config::Config;
use crate::core::Core;
use crate::effects::{DropReason, Durable, Effects, Input, ReadId};
use crate::error::{MembershipError, ProposeError, ReadError, RestoreError, TransferError};
use crate::follower::Follower;
use crate::leader::{Leader, StepDown};
use crate::membership::Change;
use crate::message::{AppendOutcome, Ballot, Body, Campaign, Message, Round};
use crate::read::Reader;
use crate::types::{DurableState, EntryId, Index, MemberId, Term};

/// Terms and indexes from outside must stay below this, so that counting on from them is safe.
const NUMBER_MAX: u64 = 1 << 62;

/// One member of a cluster: see the crate's documentation.
///
/// Two members with the same hash behave the same, as long as no tick reaches them: the hash leaves
/// out the random numbers and the election timer, and nothing else.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    core: Core,
    role: Role,
}

/// The roles, each with what only it needs.
#[derive(Clone, Debug, Hash)]
enum Role {
    Follower(Follower),
    PreCandidate(PreCandidate),
    Candidate(Candidate),
    Leader(Box<Leader>),
}

impl Raft {
    /// Builds a member from what its disk holds. It starts as a follower.
    ///
    /// # Errors
    ///
    /// If what the disk holds cannot have been written by a member that kept the contract.
    ///
    /// # Panics
    ///
    /// If the settings contradict each other.
    pub fn restore(config: Config, durable: DurableState) -> Result<Raft, RestoreError> {
        config.assert_valid();
        check_durable(&durable)?;
        Ok(Raft { core: Core::new(config, durable), role: Role::Follower(Follower::default()) })
    }

    // === The doors ===

    /// Takes one input and returns everything that is due: [`Raft::feed`] and [`Raft::flush`].
    pub fn step(&mut self, input: Input) -> Effects {
        self.feed(input);
        self.flush()
    }

    /// Takes one input and leaves its effects to the next [`Raft::flush`].
    pub fn feed(&mut self, input: Input) {
        match input {
            Input::Tick => self.on_tick(),
            Input::Message(message) => self.on_message(message),
            Input::Durable(durable) => self.on_durable(durable),
            Input::Applied(index) => self.on_applied(index),
            Input::Snapshotted(index) => self.on_snapshotted(index),
            Input::SnapshotReady { to, snapshot } => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_snapshot_ready(&mut self.core, to, snapshot);
                }
            }
            Input::SnapshotFailed { to } => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_snapshot_failed(to);
                }
            }
            Input::Unreachable(member) => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_unreachable(member);
                }
            }
            Input::Campaign => {
                // A lease rests on the promise not to campaign while the leader is heard of.
                if !(self.core.has_leases() && self.protects_leader()) {
                    self.campaign();
                }
            }
            Input::ForgetLeader => {
                if let Role::Follower(follower) = &mut self.role
                    && !self.core.has_leases()
                {
                    follower.forget_leader();
                }
            }
            Input::Paused => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.on_paused();
                }
            }
        }
    }

    /// Returns everything that is due.
    pub fn flush(&mut self) -> Effects {
        self.maybe_step_down();
        if let Role::Leader(leader) = &mut self.role {
            leader.flush(&mut self.core);
        }
        self.assert_role();
        self.core.take_effects()
    }

    /// Holds what is true of each role between one input and the next.
    fn assert_role(&self) {
        let (id, term) = (self.core.id(), self.core.term());
        match &self.role {
            Role::Follower(follower) => {
                assert!(follower.leader() != Some(id), "{id} follows itself");
            }
            Role::PreCandidate(_) => {}
            Role::Candidate(_) => {
                assert!(self.core.vote() == Some(id), "{id} campaigns and voted for another");
            }
            Role::Leader(leader) => {
                assert!(self.core.vote() == Some(id), "{id} leads and voted for another");
                let last = self.core.log.last();
                assert!(last.term == term, "{id} leads term {term}, and its log ends with {last}");
                leader.assert_peers(&self.core);
            }
        }
    }

    /// Appends a command to the log if this member leads, and returns where and in which term.
    ///
    /// The command has succeeded when an entry of that index and term comes out of
    /// [`Effects::apply`], and has failed when one of another term does.
    ///
    /// # Errors
    ///
    /// If the command was not taken. It is then certain never to be executed.
    pub fn propose(&mut self, command: Bytes) -> Result<EntryId, ProposeError> {
        match &mut self.role {
            Role::Leader(leader) => leader.propose(&mut self.core, command),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                Err(ProposeError::NotLeader { leader: self.leader() })
            }
        }
    }

    /// Appends a new configuration to the log if this member leads. It is in force at once; a joint
    /// one is left by itself when it is committed. `context` comes back with the entry.
    ///
    /// # Errors
    ///
    /// If the change was not taken: see [`MembershipError`].
    pub fn change_membership(
        &mut self,
        changes: &[Change],
        context: Bytes,
    ) -> Result<EntryId, MembershipError> {
        match &mut self.role {
            Role::Leader(leader) => leader.change_membership(&mut self.core, changes, context),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                Err(MembershipError::Propose(ProposeError::NotLeader { leader: self.leader() }))
            }
        }
    }

    /// Begins to hand leadership to `to`, or to the voter that has come furthest if `None`, and
    /// returns to whom (thesis §3.10). Until it is done no commands are taken. It is given up after
    /// an election timeout. Asking again for the same member changes nothing, and handing
    /// leadership to the leader itself gives up what is under way.
    ///
    /// # Errors
    ///
    /// If leadership cannot be handed over: see [`TransferError`].
    pub fn transfer(&mut self, to: Option<MemberId>) -> Result<MemberId, TransferError> {
        match &mut self.role {
            Role::Leader(leader) => leader.transfer(&self.core, to),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                Err(TransferError::NotLeader { leader: self.leader() })
            }
        }
    }

    /// Asks from which index a linearizable read may be served, at the leader or at any other
    /// member. The answer comes in [`Effects::reads`].
    ///
    /// # Errors
    ///
    /// If nobody can be asked now: see [`ReadError`].
    pub fn read(&mut self, id: ReadId) -> Result<(), ReadError> {
        match &mut self.role {
            Role::Leader(leader) => {
                let taken = leader.read(&mut self.core, Reader::Local(id));
                taken.then_some(()).ok_or(ReadError::Busy)
            }
            Role::Follower(follower) if follower.is_full() => Err(ReadError::Busy),
            Role::Follower(follower) => {
                follower.read(&mut self.core, id).then_some(()).ok_or(ReadError::NoLeader)
            }
            Role::PreCandidate(_) | Role::Candidate(_) => Err(ReadError::NoLeader),
        }
    }

    // === Messages ===

    fn on_message(&mut self, message: Message) {
        let Message { from, to, term, body } = message;
        if to != self.core.id() || from == self.core.id() {
            return self.core.drop_message(from, DropReason::Misaddressed);
        }
        if !is_plausible(term, &body) {
            return self.core.drop_message(from, DropReason::Malformed);
        }
        // The talk before an election changes nobody's term, so it does not follow the term rules.
        match body {
            Body::PreVote { last } => return self.on_pre_vote(from, term, last),
            Body::PreVoteResponse { ballot: Ballot::Granted } => {
                return self.on_pre_vote_granted(from, term);
            }
            Body::RequestVote { campaign: Campaign::Timeout, .. }
                if (term > self.core.term() && self.protects_leader())
                    || (term == self.core.term() && self.core.has_promised()) =>
            {
                return self.core.drop_message(from, DropReason::LeaderAlive);
            }
            Body::PreVoteResponse { ballot: Ballot::Refused }
            | Body::RequestVote { .. }
            | Body::VoteResponse { .. }
            | Body::AppendEntries { .. }
            | Body::AppendResponse { .. }
            | Body::InstallSnapshot { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => {}
        }
        if term > self.core.term() {
            self.enter_term(term);
            if body.is_answer() {
                // It answers something said in an earlier term: the new term was all its news.
                return;
            }
        }
        if term < self.core.term() {
            return self.on_stale_message(from, &body);
        }
        self.on_current_message(from, body);
    }

    /// Answers a message of a term that is over: requests so that their sender learns of the new
    /// term, answers not at all.
    fn on_stale_message(&mut self, from: MemberId, body: &Body) {
        match body {
            Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
                let outcome = AppendOutcome::StaleTerm;
                let round = Round::ZERO;
                self.core.send_when_durable(from, Body::AppendResponse { round, outcome });
            }
            Body::RequestVote { .. } => {
                let ballot = Ballot::Refused;
                self.core.send_when_durable(from, Body::VoteResponse { ballot });
            }
            Body::PreVote { .. }
            | Body::PreVoteResponse { .. }
            | Body::VoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => {
                self.core.drop_message(from, DropReason::StaleTerm);
            }
        }
    }

    fn on_current_message(&mut self, from: MemberId, body: Body) {
        match body {
            Body::PreVote { .. } => unreachable!("pre-votes are handled before the term rules"),
            Body::PreVoteResponse { ballot } => self.on_pre_vote_response(from, ballot),
            Body::RequestVote { last, .. } => self.on_request_vote(from, last),
            Body::VoteResponse { ballot } => self.on_vote_response(from, ballot),
            Body::AppendEntries { prev, entries, commit, round } => {
                if let Some((follower, core)) = self.follow(from) {
                    follower.on_append(core, from, prev, entries, commit, round);
                }
            }
            Body::InstallSnapshot { snapshot } => {
                if let Some((follower, core)) = self.follow(from) {
                    follower.on_snapshot(core, from, snapshot);
                }
            }
            Body::AppendResponse { round, outcome } => match &mut self.role {
                Role::Leader(leader) => {
                    leader.on_append_response(&mut self.core, from, round, outcome);
                }
                Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                    self.core.drop_message(from, DropReason::WrongRole);
                }
            },
            Body::TimeoutNow => self.on_timeout_now(from),
            Body::ReadIndex { nonce } => match &mut self.role {
                Role::Leader(leader) => {
                    // One that finds no room is not answered, and fails at the other end in time.
                    leader.read(&mut self.core, Reader::Remote { member: from, nonce });
                }
                Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => {
                    self.core.drop_message(from, DropReason::WrongRole);
                }
            },
            Body::ReadIndexResponse { nonce, index } => match &mut self.role {
                Role::Follower(follower) => {
                    follower.on_read_index(&mut self.core, from, nonce, index);
                }
                Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                    self.core.drop_message(from, DropReason::WrongRole);
                }
            },
        }
    }

    /// Follows the member that leads this term, which was just heard of. Returns `None` if it
    /// cannot be the leader.
    fn follow(&mut self, leader: MemberId) -> Option<(&mut Follower, &mut Core)> {
        let rival = match &mut self.role {
            Role::Follower(follower) => !follower.hear_from(leader),
            Role::PreCandidate(_) | Role::Candidate(_) => {
                self.become_follower(Follower::of(leader));
                false
            }
            Role::Leader(_) => true,
        };
        if rival {
            self.core.drop_message(leader, DropReason::SecondLeader);
            return None;
        }
        self.core.reset_timer();
        self.core.promise();
        match &mut self.role {
            Role::Follower(follower) => Some((follower, &mut self.core)),
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                unreachable!("every other role became a follower above")
            }
        }
    }

    // === Time, disk and service ===

    fn on_tick(&mut self) {
        self.core.tick();
        match &mut self.role {
            Role::Leader(leader) => return leader.tick(&self.core),
            Role::Follower(follower) => follower.tick(&mut self.core),
            Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
        if self.core.timer.tick() {
            self.campaign();
        }
    }

    fn on_durable(&mut self, durable: Durable) {
        if !self.core.on_durable(durable) {
            return;
        }
        match &mut self.role {
            Role::Leader(leader) => leader.maybe_commit(&mut self.core),
            Role::Candidate(candidate) => {
                // The write that carried this term carried the vote for itself.
                candidate.record(self.core.id(), true);
                self.count_votes();
            }
            Role::Follower(_) | Role::PreCandidate(_) => {}
        }
    }

    fn on_snapshotted(&mut self, index: Index) {
        self.core.log.image_at(index);
        let kept = self.core.log.image().0.saturating_sub(self.core.config.catch_up_entries);
        if let Some(base) = self.core.log.trim(Index(kept).min(self.trim_limit())) {
            self.core.outbox.trim = Some(base);
        }
    }

    fn on_applied(&mut self, index: Index) {
        self.core.log.applied_to(index);
        self.core.log.evict(self.core.config.catch_up_bytes, self.trim_limit());
    }

    /// The index up to which nobody needs the log for an image that is under way.
    fn trim_limit(&self) -> Index {
        match &self.role {
            Role::Leader(leader) => leader.trim_limit(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => Index(u64::MAX),
        }
    }

    // === Changing roles ===

    fn maybe_step_down(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        match leader.must_step_down(&self.core) {
            None => return,
            Some(StepDown::Removed) => {
                // The others learn that the change is committed, and one of them takes over.
                leader.flush(&mut self.core);
                leader.hand_over(&mut self.core);
            }
            Some(StepDown::DiskSilent) => leader.hand_over(&mut self.core),
            Some(StepDown::QuorumSilent) => {}
        }
        self.become_follower(Follower::default());
    }

    /// Enters a later term that another member is in. A follower's timer goes on: a member that can
    /// only raise terms, and never win, must not keep others from campaigning.
    fn enter_term(&mut self, term: Term) {
        self.core.enter_term(term);
        match self.role {
            Role::Follower(_) => self.replace_role(Role::Follower(Follower::default())),
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.become_follower(Follower::default());
            }
        }
    }

    fn become_follower(&mut self, follower: Follower) {
        self.core.reset_timer();
        self.replace_role(Role::Follower(follower));
    }

    fn replace_role(&mut self, role: Role) {
        match std::mem::replace(&mut self.role, role) {
            Role::Follower(follower) => follower.abandon(&mut self.core),
            Role::Leader(leader) => leader.abandon(&mut self.core),
            Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
    }
}

/// Tells whether the numbers of a message are such that a member can have come to them by counting.
fn is_plausible(term: Term, body: &Body) -> bool {
    // Only one who has not heard of any election yet speaks in the term before the first.
    let is_fresh = matches!(body, Body::PreVoteResponse { ballot: Ballot::Refused });
    if term == Term::ZERO && !is_fresh {
        return false;
    }
    let index = match body {
        Body::AppendEntries { prev, .. } => prev.index,
        Body::InstallSnapshot { snapshot } => {
            let id = snapshot.meta.id;
            if id.term > term || (id.index == Index::ZERO) != (id.term == Term::ZERO) {
                return false;
            }
            snapshot.meta.id.index
        }
        Body::PreVote { .. }
        | Body::PreVoteResponse { .. }
        | Body::RequestVote { .. }
        | Body::VoteResponse { .. }
        | Body::AppendResponse { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexResponse { .. } => Index::ZERO,
    };
    term.0 < NUMBER_MAX && index.0 < NUMBER_MAX
}

/// Looks for what no member that kept the contract can have written.
fn check_durable(durable: &DurableState) -> Result<(), RestoreError> {
    let DurableState { hard_state, snapshot, base, entries } = durable;
    let mut before = *base;
    for entry in entries {
        if entry.index != before.index.next() || entry.term < before.term {
            return Err(RestoreError::Disordered(entry.id()));
        }
        before = entry.id();
    }
    if base.index > snapshot.id.index {
        return Err(RestoreError::Gap { snapshot: snapshot.id, base: *base });
    }
    let holds_snapshot = *base == snapshot.id || entries.iter().any(|e| e.id() == snapshot.id);
    // A log that does not hold the image's last entry gives way to the image.
    let last = if holds_snapshot { before.index } else { snapshot.id.index };
    if hard_state.commit > last {
        return Err(RestoreError::CommitBeyondLog { commit: hard_state.commit, last });
    }
    Ok(())
}
