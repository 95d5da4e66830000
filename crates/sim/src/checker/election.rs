//! Election Safety: at most one leader in a term (paper, Figure 3), and one vote of each member.

use std::collections::BTreeMap;

use raft::{Ballot, Body, MemberId, Message, Term};

use super::{Verdict, violation};

const NAME: &str = "election safety";

/// Who led, and who voted for whom, since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Election {
    leaders: BTreeMap<Term, MemberId>,
    /// The votes that were spoken or are durable; others may be forgotten in a crash.
    votes: BTreeMap<(Term, MemberId), MemberId>,
}

impl Election {
    /// A member leads a term.
    pub(crate) fn leads(&mut self, member: MemberId, term: Term) -> Verdict {
        let first = *self.leaders.entry(term).or_insert(member);
        if first == member {
            return Ok(());
        }
        violation(NAME, format!("{member} leads term {term}, which {first} has led"))
    }

    /// A member has voted for good.
    pub(crate) fn votes(&mut self, member: MemberId, term: Term, vote: MemberId) -> Verdict {
        let first = *self.votes.entry((term, member)).or_insert(vote);
        if first == vote {
            return Ok(());
        }
        violation(NAME, format!("{member} votes for {vote} in term {term}, and had for {first}"))
    }

    /// A message leaves: it may be a vote, or show a leader.
    pub(crate) fn sent(&mut self, message: &Message) -> Verdict {
        let Message { from, to, term, body } = message;
        match body {
            Body::VoteResponse { ballot: Ballot::Granted } => self.votes(*from, *term, *to),
            Body::RequestVote { .. } => self.votes(*from, *term, *from),
            Body::AppendEntries { .. } | Body::InstallSnapshot { .. } | Body::TimeoutNow => {
                self.leads(*from, *term)
            }
            Body::VoteResponse { ballot: Ballot::Refused }
            | Body::PreVote { .. }
            | Body::PreVoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => Ok(()),
        }
    }
}
