//! What a member has said of its disk is true, also after a loss of power.

use std::collections::BTreeMap;

use raft::{AppendOutcome, Ballot, Body, Index, MemberId, Message, Term};
use replica::Status;

use crate::checker::{Verdict, violation};

/// What members have promised.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// To whom each member has given its vote in a term.
    votes: BTreeMap<(u64, Term), MemberId>,
    /// The last term in which a member has promised anything.
    terms: BTreeMap<u64, Term>,
    /// The end of the log that a member has acknowledged in that term.
    acknowledged: BTreeMap<u64, (Term, Index)>,
}

impl Promises {
    /// A member says something.
    pub(crate) fn says(&mut self, message: &Message) -> Verdict {
        let (id, term) = (message.from.0, message.term);
        match &message.body {
            Body::VoteResponse { ballot: Ballot::Granted } => {
                self.promise(id, term);
                self.vote(id, term, message.to)
            }
            Body::RequestVote { .. } => {
                self.promise(id, term);
                self.vote(id, term, message.from)
            }
            Body::AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. } => {
                self.promise(id, term);
                let acknowledged = self.acknowledged.entry(id).or_insert((term, *matched));
                if acknowledged.0 < term {
                    *acknowledged = (term, *matched);
                }
                acknowledged.1 = acknowledged.1.max(*matched);
                Ok(())
            }
            Body::VoteResponse { ballot: Ballot::Refused }
            | Body::PreVote { .. }
            | Body::PreVoteResponse { .. }
            | Body::AppendEntries { .. }
            | Body::AppendResponse { .. }
            | Body::InstallSnapshot { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => Ok(()),
        }
    }

    fn promise(&mut self, id: u64, term: Term) {
        let last = self.terms.entry(id).or_default();
        *last = (*last).max(term);
    }

    fn vote(&mut self, id: u64, term: Term, candidate: MemberId) -> Verdict {
        let given = *self.votes.entry((id, term)).or_insert(candidate);
        if given != candidate {
            let text = format!("m{id} votes for {candidate} in term {term}, and did for {given}");
            return violation("promises", text);
        }
        Ok(())
    }

    /// A member has started again from its disk.
    pub(crate) fn started(&self, id: u64, status: &Status) -> Verdict {
        let core = &status.core;
        let term = self.terms.get(&id).copied().unwrap_or_default();
        if core.term < term {
            let text = format!("m{id} is in term {} and promised something in {term}", core.term);
            return violation("promises", text);
        }
        if let Some(vote) = self.votes.get(&(id, core.term))
            && core.vote != Some(*vote)
        {
            let text = format!("m{id} has forgotten its vote for {vote} in term {}", core.term);
            return violation("promises", text);
        }
        if let Some((term, matched)) = self.acknowledged.get(&id)
            && *term == core.term
            && core.last.index < *matched
        {
            let text = format!(
                "m{id} has acknowledged entry {matched} in term {term}, and has only {}",
                core.last
            );
            return violation("promises", text);
        }
        Ok(())
    }
}
