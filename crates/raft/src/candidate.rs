//! Campaigns: first the question whether one could win, then the election (paper §5.2, thesis
//! §9.6).

use crate::core::Core;
use crate::membership::Ballots;
use crate::message::{Body, Campaign};
use crate::quorum::VoteResult;
use crate::types::MemberId;

/// A member that asks whether it could win an election. It is still in its old term, so that it
/// disturbs nobody if it could not.
#[derive(Clone, Debug, Hash)]
pub(crate) struct PreCandidate {
    ballots: Ballots,
}

impl PreCandidate {
    /// Asks every other voter, reachable or not.
    pub(crate) fn campaign(core: &mut Core) -> PreCandidate {
        core.reset_timer();
        let mut ballots = Ballots::default();
        ballots.record(core.id(), true);
        let last = core.log.last();
        for voter in other_voters(core) {
            core.send_now_in_term(voter, core.term().next(), Body::PreVote { last });
        }
        PreCandidate { ballots }
    }

    pub(crate) fn record(&mut self, voter: MemberId, granted: bool) {
        self.ballots.record(voter, granted);
    }

    pub(crate) fn result(&self, core: &Core) -> VoteResult {
        self.ballots.result(core.log.membership())
    }
}

/// A member that asks for votes.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Candidate {
    ballots: Ballots,
}

impl Candidate {
    /// Enters the next term, votes for itself, and asks every other voter, reachable or not.
    ///
    /// Unlike the paper, nobody is asked, and its own vote is not counted, before that vote is
    /// durable: a candidate that crashed and came back in the same term, with a shorter log, must
    /// not win by votes that were given to the longer one.
    pub(crate) fn campaign(core: &mut Core, campaign: Campaign) -> Candidate {
        core.enter_term(core.term().next());
        core.vote_for(core.id());
        assert!(!core.is_term_durable(), "a new term is on the disk before it was written");
        core.reset_timer();
        let last = core.log.last();
        for voter in other_voters(core) {
            core.send_when_durable(voter, Body::RequestVote { last, campaign });
        }
        Candidate { ballots: Ballots::default() }
    }

    pub(crate) fn record(&mut self, voter: MemberId, granted: bool) {
        self.ballots.record(voter, granted);
    }

    pub(crate) fn result(&self, core: &Core) -> VoteResult {
        self.ballots.result(core.log.membership())
    }
}

fn other_voters(core: &Core) -> Vec<MemberId> {
    core.log.membership().voters().filter(|voter| *voter != core.id()).collect()
}
