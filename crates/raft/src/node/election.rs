//! Elections: who may campaign, who votes for whom, who has won (paper §5.2, §5.4.1, thesis §9.6).

use crate::candidate::{Candidate, PreCandidate};
use crate::effects::DropReason;
use crate::follower::Follower;
use crate::leader::Leader;
use crate::message::{Ballot, Body, Campaign};
use crate::node::{Raft, Role};
use crate::quorum::VoteResult;
use crate::types::{EntryId, MemberId, Term};

impl Raft {
    /// Tells whether this member hears from a leader, and so must not help to replace it.
    pub(super) fn protects_leader(&self) -> bool {
        let by_role = match &self.role {
            Role::Follower(follower) => follower.protects_leader(self.core.config.election_ticks),
            Role::PreCandidate(_) | Role::Candidate(_) => false,
            // A leader leads because a quorum answered it within an election timeout.
            Role::Leader(_) => true,
        };
        by_role || self.core.has_promised()
    }

    /// Campaigns, unless this member cannot win.
    pub(super) fn campaign(&mut self) {
        self.core.reset_timer();
        if matches!(self.role, Role::Leader(_)) {
            return;
        }
        if !self.may_campaign() {
            // It cannot replace the leader, and must not go on to name one that is silent.
            return self.replace_role(Role::Follower(Follower::default()));
        }
        let candidate = PreCandidate::campaign(&mut self.core);
        self.replace_role(Role::PreCandidate(candidate));
        self.count_pre_votes();
    }

    pub(super) fn may_campaign(&self) -> bool {
        self.core.log.may_campaign(self.core.id()) && !self.core.is_disk_stalled()
    }

    /// Campaigns in the next term, without asking first whether it can be won.
    pub(super) fn campaign_for_real(&mut self, campaign: Campaign) {
        let candidate = Candidate::campaign(&mut self.core, campaign);
        self.replace_role(Role::Candidate(candidate));
    }

    /// Answers the question whether this member would vote for `from` in `term`.
    pub(super) fn on_pre_vote(&mut self, from: MemberId, term: Term, last: EntryId) {
        let would_vote = term > self.core.term()
            && !self.protects_leader()
            && last.is_up_to_date_with(self.core.log.last());
        let ballot = if would_vote { Ballot::Granted } else { Ballot::Refused };
        // A grant names the term that was asked about; a refusal names ours, so that one who is
        // behind learns of it.
        let spoken_of = if would_vote { term } else { self.core.term() };
        self.core.send_now_in_term(from, spoken_of, Body::PreVoteResponse { ballot });
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: MemberId, term: Term) {
        match &mut self.role {
            Role::PreCandidate(candidate) if term == self.core.term().next() => {
                candidate.record(from, true);
                self.count_pre_votes();
            }
            Role::PreCandidate(_) => self.core.drop_message(from, DropReason::StaleTerm),
            Role::Follower(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.core.drop_message(from, DropReason::WrongRole);
            }
        }
    }

    pub(super) fn on_pre_vote_response(&mut self, from: MemberId, ballot: Ballot) {
        assert!(ballot == Ballot::Refused, "grants are handled before the term rules");
        match &mut self.role {
            Role::PreCandidate(candidate) => {
                candidate.record(from, false);
                self.count_pre_votes();
            }
            Role::Follower(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.core.drop_message(from, DropReason::WrongRole);
            }
        }
    }

    pub(super) fn count_pre_votes(&mut self) {
        let Role::PreCandidate(candidate) = &self.role else { return };
        match candidate.result(&self.core) {
            VoteResult::Won => self.campaign_for_real(Campaign::Timeout),
            VoteResult::Lost => self.become_follower(Follower::default()),
            VoteResult::Pending => {}
        }
    }

    /// Votes, at most once in a term and only for a log as up-to-date as the own one (paper §5.2,
    /// §5.4.1). Learners vote too when they are asked: they may have become voters without knowing
    /// it yet (thesis §4.2.1).
    pub(super) fn on_request_vote(&mut self, from: MemberId, last: EntryId) {
        let free = match self.core.vote() {
            Some(candidate) => candidate == from,
            // Who knows the leader of a term knows that the election is over.
            None => self.leader().is_none(),
        };
        if free && last.is_up_to_date_with(self.core.log.last()) {
            self.core.vote_for(from);
            self.core.reset_timer();
            if let Role::PreCandidate(_) = self.role {
                self.become_follower(Follower::default());
            }
            let ballot = Ballot::Granted;
            self.core.send_when_durable(from, Body::VoteResponse { ballot });
        } else {
            let ballot = Ballot::Refused;
            self.core.send_when_durable(from, Body::VoteResponse { ballot });
        }
    }

    pub(super) fn on_vote_response(&mut self, from: MemberId, ballot: Ballot) {
        match &mut self.role {
            Role::Candidate(candidate) => {
                candidate.record(from, ballot == Ballot::Granted);
                self.count_votes();
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Leader(_) => {
                self.core.drop_message(from, DropReason::WrongRole);
            }
        }
    }

    pub(super) fn count_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        match candidate.result(&self.core) {
            VoteResult::Won => {
                let leader = Leader::begin(&mut self.core);
                self.replace_role(Role::Leader(Box::new(leader)));
            }
            VoteResult::Lost => self.become_follower(Follower::default()),
            VoteResult::Pending => {}
        }
    }

    /// Campaigns because the leader of this term asked for it.
    pub(super) fn on_timeout_now(&mut self, from: MemberId) {
        match &self.role {
            Role::Follower(follower) if follower.leader() == Some(from) && self.may_campaign() => {
                self.campaign_for_real(Campaign::Transfer);
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.core.drop_message(from, DropReason::WrongRole);
            }
        }
    }
}
