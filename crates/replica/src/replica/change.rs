//! Changes of the configuration, and of the leader.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::membership::{Change, ChangeError};
use raft::{EntryId, MemberId, Membership, MembershipError, Term, TransferError};
use store::{CommandId, MembershipContext, Rejection};

use super::Replica;
use super::lead::NOBODY;
use crate::clients::Waiting;
use crate::event::{ForwardRefusal, Ticket};
use crate::output::{MembershipRefusal, Reply, TransferRefusal};
use crate::proposals::What;

/// A learner may be promoted when it holds so many hundredths of the leader's log, as in etcd.
const READY_PERCENT: u64 = 90;

/// What clients wait for beside commands.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Their changes are committed, and the joint configuration is not left yet.
    joint: Vec<Ticket>,
    /// They want another leader.
    transfers: Vec<Ticket>,
}

/// A change that another member wants, and that cannot be made yet.
#[derive(Clone, Debug)]
pub(super) struct RemoteChange {
    /// Who wants it.
    pub(super) from: MemberId,
    /// Its name.
    pub(super) id: CommandId,
    changes: Vec<Change>,
    context: MembershipContext,
    /// The tick at which it is given up.
    deadline: u64,
}

/// What became of the attempt to change the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It stands in the log.
    Taken(EntryId),
    /// It is not possible.
    Refused(MembershipRefusal),
    /// It is not possible now.
    Later,
}

/// How the context of a change stands in the log: the ID by which its author knows it, then what
/// every member remembers.
///
/// ```text
/// 0            8              16
/// origin (8)   sequence (8)   context, as `store` encodes it
/// ```
pub(super) fn encode_context(id: CommandId, context: &MembershipContext) -> Bytes {
    let mut out = id.origin.to_le_bytes().to_vec();
    out.extend_from_slice(&id.sequence.to_le_bytes());
    out.extend_from_slice(&context.encode());
    out.into()
}

/// Reads what [`encode_context`] has written.
pub(super) fn decode_context(bytes: &Bytes) -> Result<(CommandId, MembershipContext), String> {
    let number = |from: usize| {
        let bytes = bytes.get(from..from + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let (Some(origin), Some(sequence)) = (number(0), number(8)) else {
        return Err(format!("{} bytes where 16 are an ID", bytes.len()));
    };
    let context = MembershipContext::decode(&bytes.slice(16..));
    let context = context.map_err(|error| error.to_string())?;
    Ok((CommandId { origin, sequence }, context))
}

impl Replica {
    /// Takes in a change that a client of this member wants.
    pub(super) fn on_change_membership(
        &mut self,
        ticket: Ticket,
        changes: Vec<Change>,
        context: MembershipContext,
    ) {
        let sequence = self.proposals.insert(ticket, What::Change { changes, context });
        self.clients.insert(ticket, Waiting::Change(sequence), self.deadline());
    }

    /// Takes in a change that another member wants.
    pub(super) fn on_forward_change(
        &mut self,
        from: MemberId,
        term: Term,
        id: CommandId,
        changes: Vec<Change>,
        context: MembershipContext,
    ) {
        if id.origin != from.0 {
            self.violations += 1;
            return;
        }
        let deadline = self.deadline();
        let leads = self.leads(term);
        self.follow_role();
        match &mut self.lead {
            Some(lead) if leads => {
                lead.changes.push(RemoteChange { from, id, changes, context, deadline });
            }
            Some(_) | None => self.refuse(from, term, id.sequence, ForwardRefusal::NotLeader),
        }
    }

    /// Tries again what others want and could not be done before.
    pub(super) fn try_changes(&mut self) {
        let Some(lead) = &mut self.lead else { return };
        let term = lead.term;
        for change in std::mem::take(&mut lead.changes) {
            let (from, sequence) = (change.from, change.id.sequence);
            match self.attempt(change.id, &change.changes, &change.context) {
                Attempt::Taken(id) => {
                    assert!(id.term == term, "a change of term {term} was proposed in {id}");
                }
                Attempt::Refused(refusal) => {
                    let reason = ForwardRefusal::Membership(refusal);
                    self.refuse(from, term, sequence, reason);
                }
                Attempt::Later if change.deadline <= self.now => {
                    let reason = ForwardRefusal::Membership(MembershipRefusal::Pending);
                    self.refuse(from, term, sequence, reason);
                }
                Attempt::Later => {
                    let lead = self.lead.as_mut().expect("this member leads");
                    lead.changes.push(change);
                }
            }
        }
    }

    /// Promotes a member that was added as a voter, once it has come far enough: one at a time, and
    /// under the conditions under which a client may promote a learner.
    pub(super) fn promote_ready(&mut self) {
        if self.lead.is_none() {
            return;
        }
        let members = self.machine.members();
        let mut waiting = members.iter().filter(|(_, known)| known.becomes_voter);
        let ready = waiting.find_map(|(id, _)| {
            let change = [Change::Promote(MemberId(*id))];
            self.check_promoted(&change).is_ok().then_some((*id, change))
        });
        let Some((member, change)) = ready else { return };
        match self.attempt(NOBODY, &change, &MembershipContext::Promoted { member }) {
            // If it did not succeed, the next tick tries again.
            Attempt::Taken(_) | Attempt::Refused(_) | Attempt::Later => {}
        }
    }

    /// Changes the configuration, if this member leads and the change is possible.
    pub(super) fn attempt(
        &mut self,
        id: CommandId,
        changes: &[Change],
        context: &MembershipContext,
    ) -> Attempt {
        // Whether a change is possible can only be told when all before it are executed.
        if self.applied.index < self.core.committed()
            || *self.core.membership() != self.applied_membership
        {
            return Attempt::Later;
        }
        if let Err(refusal) = self.check_change(changes, context) {
            return Attempt::Refused(refusal);
        }
        match self.core.change_membership(changes, encode_context(id, context)) {
            Ok(id) => Attempt::Taken(id),
            Err(
                MembershipError::Propose(_)
                | MembershipError::TermTooYoung
                | MembershipError::Pending(_)
                | MembershipError::Change(ChangeError::Joint),
            ) => Attempt::Later,
            Err(MembershipError::Change(error)) => Attempt::Refused(refusal_of(error)),
        }
    }

    /// Tells whether a change is possible and wise.
    fn check_change(
        &self,
        changes: &[Change],
        context: &MembershipContext,
    ) -> Result<(), MembershipRefusal> {
        let removed = self.machine.removed();
        for change in changes {
            if removed.contains(&change.member().0) {
                return Err(MembershipRefusal::Removed);
            }
        }
        let before = self.core.membership();
        let after = match before.change(changes) {
            Ok(after) => after.leave(),
            // It is left in time.
            Err(ChangeError::Joint) => return Ok(()),
            Err(error) => return Err(refusal_of(error)),
        };
        match self.machine.check_membership(context) {
            Ok(()) => {}
            Err(Rejection::MemberExists) => return Err(MembershipRefusal::Exists),
            Err(Rejection::PeerUrlExists) => return Err(MembershipRefusal::PeerUrlExists),
            Err(_) => return Err(MembershipRefusal::NotFound),
        }
        let learners = self.learners_len(&after, context)?;
        if self.learners_len(before, context)? < learners && self.options.learners_max < learners {
            return Err(MembershipRefusal::TooManyLearners);
        }
        self.check_promoted(changes)?;
        self.check_survival(before, &after)
    }

    /// Returns how many learners of a configuration stay learners. Those that become voters by
    /// themselves do not count.
    fn learners_len(
        &self,
        membership: &Membership,
        context: &MembershipContext,
    ) -> Result<usize, MembershipRefusal> {
        let mut stay = membership.learners().clone();
        for (id, known) in &**self.machine.members() {
            if known.becomes_voter {
                stay.remove(&MemberId(*id));
            }
        }
        if let MembershipContext::Added { member, attributes } = context
            && attributes.becomes_voter
            && membership.contains(MemberId(*member))
        {
            // Only a learner can become a voter.
            let is_learner = stay.remove(&MemberId(*member));
            is_learner.then_some(()).ok_or(MembershipRefusal::Contradictory)?;
        }
        Ok(stay.len())
    }

    /// Tells whether the learners that are to be promoted have come far enough.
    fn check_promoted(&self, changes: &[Change]) -> Result<(), MembershipRefusal> {
        let status = self.core.status();
        let is_ready = |id: MemberId| {
            status.members.iter().any(|member| {
                member.id == id
                    && member.last_contact_ticks < self.options.core.election_ticks
                    && status.last.index.0 * READY_PERCENT <= member.matched.0 * 100
            })
        };
        let mut promoted = changes.iter().filter_map(|change| match change {
            Change::Promote(id) => Some(*id),
            Change::AddVoter(_) | Change::AddLearner(_) | Change::Demote(_) | Change::Remove(_) => {
                None
            }
        });
        if promoted.all(is_ready) { Ok(()) } else { Err(MembershipRefusal::LearnerNotReady) }
    }

    /// Tells whether those who answer now would be a quorum after the change: if not, nothing could
    /// be written any more, and the change could not be taken back.
    fn check_survival(
        &self,
        before: &Membership,
        after: &Membership,
    ) -> Result<(), MembershipRefusal> {
        let (voters_before, voters): (&BTreeSet<MemberId>, _) =
            (before.incoming(), after.incoming());
        // A second member cannot answer before it is added: as in etcd, that is permitted.
        let is_second = voters_before.len() == 1 && voters.is_superset(voters_before);
        if !self.options.strict_reconfiguration || voters == voters_before || is_second {
            return Ok(());
        }
        let status = self.core.status();
        let answers = |id: MemberId| {
            let heard = status.members.iter().any(|member| {
                member.id == id && member.last_contact_ticks < self.options.core.election_ticks
            });
            Some(id == self.id || heard && !self.unreachable.contains(&id))
        };
        match after.quorum().vote_result(answers) {
            raft::quorum::VoteResult::Won => Ok(()),
            raft::quorum::VoteResult::Lost | raft::quorum::VoteResult::Pending => {
                Err(MembershipRefusal::Unhealthy)
            }
        }
    }

    /// Answers the client whose change is committed. `is_left` tells that the configuration is not
    /// joint, or not any more.
    pub(super) fn on_changed(&mut self, id: Option<CommandId>, membership: &Membership) {
        if let Some(id) = id
            && id.origin == self.id.0
            && let Some(proposal) = self.proposals.remove(id.sequence)
        {
            self.changes.joint.push(proposal.ticket);
        }
        if !membership.is_joint() {
            for ticket in std::mem::take(&mut self.changes.joint) {
                self.answer(ticket, Reply::Membership(Ok(())));
            }
        }
    }

    // === The leader ===

    /// Begins to hand leadership over.
    pub(super) fn on_transfer(&mut self, ticket: Ticket, to: Option<MemberId>) {
        let outcome = match self.core.transfer(to) {
            Ok(heir) if heir == self.id => Ok(()),
            Ok(_) => {
                self.clients.insert(ticket, Waiting::Transfer, self.deadline());
                self.changes.transfers.push(ticket);
                return;
            }
            Err(TransferError::NotLeader { .. }) => Err(TransferRefusal::NotLeader),
            Err(TransferError::NotVoter(_)) => Err(TransferRefusal::NotVoter),
            Err(TransferError::NoCandidate) => Err(TransferRefusal::NoCandidate),
        };
        self.out.replies.push((ticket, Reply::Transferred(outcome)));
    }

    /// Answers those who wanted another leader, when there is one or the attempt was given up.
    pub(super) fn follow_transfers(&mut self) {
        if self.changes.transfers.is_empty() {
            return;
        }
        let outcome = match self.core.leader() {
            Some(leader) if leader != self.id => Ok(()),
            Some(_) if self.core.status().transferring_to.is_none() => {
                Err(TransferRefusal::Timeout)
            }
            Some(_) | None => return,
        };
        for ticket in std::mem::take(&mut self.changes.transfers) {
            self.answer(ticket, Reply::Transferred(outcome));
        }
    }
}

fn refusal_of(error: ChangeError) -> MembershipRefusal {
    match error {
        ChangeError::Exists(_) => MembershipRefusal::Exists,
        ChangeError::Unknown(_) => MembershipRefusal::NotFound,
        ChangeError::Votes(_) => MembershipRefusal::NotLearner,
        ChangeError::NoVoters => MembershipRefusal::LastVoter,
        ChangeError::Joint => MembershipRefusal::Pending,
        ChangeError::Empty | ChangeError::Twice(_) | ChangeError::Learns(_) => {
            MembershipRefusal::Contradictory
        }
    }
}
