//! Which of the situations in [`crate::probe`] are seen, and what is drawn in the trace.

use std::collections::{BTreeMap, BTreeSet};

use raft::{
    AppendOutcome, Ballot, Body, DropReason, Effects, Index, MemberId, Membership, Message,
    RoleKind, Status, Term,
};

use super::Cluster;
use crate::checker::Learnt;
use crate::member::Member;
use crate::probe::{Probes, sometimes};
use crate::trace::What;

/// What is remembered to recognize situations.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// Who has campaigned in each of the latest terms.
    campaigns: BTreeMap<Term, BTreeSet<MemberId>>,
    /// To whom images were sent, and where they end.
    images: BTreeSet<(MemberId, Index)>,
    /// Leaders that stood still for long.
    pub(super) long_paused: BTreeSet<MemberId>,
    /// To whom leadership was being handed when a term ended.
    successor: Option<(Term, MemberId)>,
    /// Which leader began the joint configuration in force.
    joint_by: Option<MemberId>,
    leaders: u64,
}

impl Sightings {
    /// A message leaves.
    pub(super) fn sent(&mut self, message: &Message, probes: &mut Probes) {
        let Message { from, to, term, body } = message;
        match body {
            Body::RequestVote { .. } => {
                let rivals = self.campaigns.entry(*term).or_default();
                rivals.insert(*from);
                sometimes!(probes, SplitVote if rivals.len() > 1);
            }
            Body::PreVoteResponse { ballot } => {
                sometimes!(probes, PreVoteRefused if *ballot == Ballot::Refused);
            }
            Body::VoteResponse { ballot } => {
                sometimes!(probes, VoteRefused if *ballot == Ballot::Refused);
            }
            Body::AppendResponse { outcome, .. } => sometimes!(
                probes,
                AppendRejected if matches!(outcome, AppendOutcome::Rejected { .. }),
                StaleAppendAnswered if *outcome == AppendOutcome::StaleTerm,
            ),
            Body::InstallSnapshot { snapshot } => {
                let news = self.images.insert((*to, snapshot.meta.id.index));
                sometimes!(probes, ImageRepeated if !news);
            }
            Body::PreVote { .. }
            | Body::AppendEntries { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => {}
        }
    }

    /// A message arrives at `to`.
    pub(super) fn arrived(&mut self, message: &Message, to: &Member, probes: &mut Probes) {
        let Some(process) = &to.process else { return };
        let status = &process.seen;
        match &message.body {
            Body::AppendEntries { entries, .. } => sometimes!(
                probes,
                AppendLate if entries.last().is_some_and(|e| e.index <= status.committed),
                CandidateYielded if status.role == RoleKind::Candidate
                    && message.term == status.term,
            ),
            Body::InstallSnapshot { snapshot } => sometimes!(
                probes,
                ImageNotNeeded if snapshot.meta.id.index <= status.committed,
            ),
            Body::VoteResponse { .. }
            | Body::RequestVote { .. }
            | Body::PreVote { .. }
            | Body::PreVoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => {}
        }
    }
}

impl Cluster {
    /// Looks at a step for situations that must happen somewhere.
    pub(super) fn see(
        &mut self,
        at: usize,
        before: &Status,
        now: &Status,
        effects: &Effects,
        learnt: &Learnt,
    ) {
        self.see_roles(before, now);
        self.see_log(before, now, effects, learnt);
        if before.membership != now.membership {
            self.see_membership(now, &before.membership);
        }
        for dropped in &effects.dropped {
            sometimes!(self.probes, VoteIgnored if dropped.reason == DropReason::LeaderAlive);
        }
        let leads = Cluster::leads(now);
        let answered =
            |outcome: &raft::ReadOutcome| matches!(outcome, raft::ReadOutcome::Ready { .. });
        let asks = |message: &Message| matches!(message.body, Body::AppendEntries { .. });
        sometimes!(
            self.probes,
            ReadAtOnce if leads
                && effects.reads.iter().any(answered)
                && !effects.send_now.iter().any(asks)
                && self.options.core.read_confirmation != raft::ReadConfirmation::Quorum,
            LearnerVoted if !now.membership.is_voter(now.id)
                && now.vote.is_some()
                && (before.term, before.vote) != (now.term, now.vote),
            TransferGivenUp if before.transferring_to.is_some()
                && now.transferring_to.is_none()
                && leads,
            QuorumDown if now.role == RoleKind::PreCandidate
                && before.role != now.role
                && !self.is_quorum_up(),
        );
        if leads
            && effects.send_now.iter().any(|message| message.body == Body::TimeoutNow)
            && let Some(to) = now.transferring_to
        {
            self.sightings.successor = Some((now.term.next(), to));
        }
        if leads && before.leader == Some(now.id) && before.term == now.term {
            let returned = self.sightings.long_paused.remove(&now.id);
            sometimes!(self.probes, LeaderPaused if returned);
        }
        let _ = at;
    }

    fn see_roles(&mut self, before: &Status, now: &Status) {
        let led = Cluster::leads(before);
        let leads = Cluster::leads(now);
        if leads && !(led && before.term == now.term) {
            self.sightings.leaders += 1;
            let rivals = self.members.iter().filter_map(|member| member.process.as_ref());
            let rival = rivals
                .filter(|process| process.seen.role == RoleKind::Leader)
                .any(|process| process.seen.id != now.id && process.seen.term != now.term);
            sometimes!(
                self.probes,
                LeaderElected if true,
                LaterTermElected if self.sightings.leaders > 1,
                TwoLeaders if rival,
                TransferDone if self.sightings.successor == Some((now.term, now.id)),
            );
            // Older terms are of no interest any more.
            self.sightings.campaigns = self.sightings.campaigns.split_off(&now.term);
        }
        if led && !leads {
            let removed = !now.membership.is_voter(now.id) && now.membership_committed;
            sometimes!(
                self.probes,
                LeaderSteppedDown if now.leader.is_none() && now.term == before.term && !removed,
                LeaderLearntTerm if now.term > before.term,
                LeaderRemoved if removed,
            );
        }
        let removed = !self.oracles.completeness.membership().is_none_or(|m| m.contains(now.id));
        sometimes!(
            self.probes,
            RemovedCampaigned if removed
                && now.role == RoleKind::PreCandidate
                && before.role != now.role,
        );
    }

    fn see_log(&mut self, before: &Status, now: &Status, effects: &Effects, learnt: &Learnt) {
        sometimes!(
            self.probes,
            EntryReplaced if !learnt.replaced.is_empty(),
            EntriesReplacedMany if learnt.replaced.len() > 3,
            ConfigurationReplaced if learnt.configuration_replaced,
            EarlierTermCommitted if learnt.committed_earlier_term,
            CommitAheadOfDisk if effects.apply.last().is_some_and(|e| e.index > now.durable),
            SingleVoter if learnt.committed > 0 && now.membership.voters().count() == 1,
            SevenVoters if learnt.committed > 0 && now.membership.voters().count() >= 7,
        );
        if let Some(image) = effects.persist.as_ref().and_then(|persist| persist.snapshot.as_ref())
        {
            sometimes!(
                self.probes,
                ImageInstalled if true,
                ImageInstalledInJoint if image.meta.membership.is_joint(),
                ImageReplacedEntries if before.last.index > before.committed,
            );
        }
    }

    fn see_membership(&mut self, now: &Status, before: &Membership) {
        let next = &now.membership;
        if !Cluster::leads(now) {
            return;
        }
        let became = |is: fn(&Membership, MemberId) -> bool,
                      was: fn(&Membership, MemberId) -> bool| {
            next.members().into_iter().any(|id| is(next, id) && was(before, id))
        };
        let learns: fn(&Membership, MemberId) -> bool = |m, id| m.learners().contains(&id);
        let votes: fn(&Membership, MemberId) -> bool = |m, id| m.will_vote(id);
        let absent: fn(&Membership, MemberId) -> bool = |m, id| !m.contains(id);
        let demoted = !next.demoted().is_empty() || became(learns, votes);
        sometimes!(
            self.probes,
            LearnerAdded if became(learns, absent),
            LearnerPromoted if became(votes, learns),
            VoterDemoted if demoted,
            JointEntered if next.is_joint() && !before.is_joint(),
            JointLeft if before.is_joint() && !next.is_joint(),
            JointLeftByOther if before.is_joint()
                && !next.is_joint()
                && self.sightings.joint_by.is_some_and(|by| by != now.id),
        );
        if next.is_joint() && !before.is_joint() {
            self.sightings.joint_by = Some(now.id);
        }
    }

    // === Drawing ===

    /// Draws how a member has changed.
    pub(super) fn draw(&mut self, at: usize, before: Option<&Status>, now: &Status) {
        if self.trace.is_none() {
            return;
        }
        let id = self.members[at].id;
        let role = |s: &Status| (s.role, s.term, s.leader);
        if before.map(role) != Some(role(now)) {
            self.event(|_| What::role(id, now.role, now.term, now.leader));
        }
        let cursors = |s: &Status| (s.base, s.last, [s.durable, s.committed, s.applied]);
        if before.map(cursors) != Some(cursors(now)) {
            let (base, last, cursors) = cursors(now);
            self.event(|_| What::log(id, base, last, cursors));
        }
        if before.map(|s| &s.membership) != Some(&now.membership) {
            let membership = now.membership.to_string();
            self.event(|_| What::Membership { member: id.0, membership });
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::EntryId;

    use super::*;
    use crate::probe::Probe;

    #[test]
    fn split_vote_needs_two_candidates_of_one_term() {
        let mut sightings = Sightings::default();
        let mut probes = Probes::default();
        let mut campaign = |from: u64, term: u64| {
            let campaign = raft::Campaign::Timeout;
            let body = Body::RequestVote { last: EntryId::ZERO, campaign };
            let (from, to) = (MemberId(from), MemberId(9));
            sightings.sent(&Message { from, to, term: Term(term), body }, &mut probes);
            probes.count(Probe::SplitVote)
        };
        assert_eq!(campaign(1, 2), 0);
        assert_eq!(campaign(1, 2), 0);
        assert_eq!(campaign(2, 3), 0);
        assert_eq!(campaign(2, 2), 1);
    }
}
