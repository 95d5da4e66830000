//! What members say to each other.

use std::fmt;

use crate::types::{Entry, EntryId, Index, MemberId, Snapshot, Term};

/// One message between two members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who sends.
    pub from: MemberId,
    /// Who is meant to receive.
    pub to: MemberId,
    /// The sender's term; in a [`Body::PreVote`] and in the grant that answers it, the term that
    /// the sender of the request would campaign in.
    pub term: Term,
    /// What is said.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// "Would you vote for me?" Changes nobody's term (thesis §9.6).
    PreVote {
        /// Where the sender's log ends.
        last: EntryId,
    },
    /// The answer to a [`Body::PreVote`].
    PreVoteResponse {
        /// Whether the receiver of the request would vote for its sender.
        ballot: Ballot,
    },
    /// "Vote for me." (paper §5.2)
    RequestVote {
        /// Where the candidate's log ends.
        last: EntryId,
        /// Why the candidate campaigns.
        campaign: Campaign,
    },
    /// The answer to a [`Body::RequestVote`].
    VoteResponse {
        /// Whether the vote was given.
        ballot: Ballot,
    },
    /// "My log goes on like this." Without entries it is the heartbeat (paper §5.3).
    AppendEntries {
        /// The entry right before `entries`.
        prev: EntryId,
        /// What follows `prev`, in order and without gaps.
        entries: Vec<Entry>,
        /// The leader's commit index.
        commit: Index,
        /// The leader's latest round of leadership confirmation (thesis §6.4).
        round: Round,
    },
    /// The answer to a [`Body::AppendEntries`] or a [`Body::InstallSnapshot`].
    AppendResponse {
        /// The round of the message that is answered; [`Round::ZERO`] in answer to a snapshot or to
        /// a leader of an older term.
        round: Round,
        /// What became of the entries.
        outcome: AppendOutcome,
    },
    /// "You lag behind what I still have of the log: take this image." (paper §7)
    InstallSnapshot {
        /// The image.
        snapshot: Snapshot,
    },
    /// "Campaign now: I want you to lead." (thesis §3.10)
    TimeoutNow,
    /// "From which index may I serve a linearizable read?" (thesis §6.4)
    ReadIndex {
        /// The sender's own number for the question.
        nonce: u64,
    },
    /// The answer to a [`Body::ReadIndex`].
    ReadIndexResponse {
        /// The number of the question that is answered.
        nonce: u64,
        /// Reads may be served once the state at this index is applied.
        index: Index,
    },
}

impl Body {
    /// Tells whether the message answers another one.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Body::PreVoteResponse { .. }
            | Body::VoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::ReadIndexResponse { .. } => true,
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries { .. }
            | Body::InstallSnapshot { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. } => false,
        }
    }
}

/// The answer of a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ballot {
    /// The candidate has the vote.
    Granted,
    /// The candidate does not have the vote.
    Refused,
}

/// Why a member campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Campaign {
    /// It has not heard from a leader for an election timeout. Voters that have heard from one
    /// ignore it.
    Timeout,
    /// The leader asked it to; voters that hear from that leader vote all the same.
    Transfer,
}

/// What became of the entries of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// The follower agrees with the leader at the point asked.
    Accepted {
        /// The two logs are equal up to here, and the follower's part is durable. It may lie before
        /// the point asked if the disk has not caught up.
        matched: Index,
    },
    /// The follower does not hold the entry before the new ones.
    Rejected {
        /// The index of that entry, which tells the leader which append is answered.
        prev: Index,
        /// The follower's last entry at or before `prev` whose term is not higher than that of the
        /// entry asked for: the logs may agree there, and do not agree between there and `prev`.
        hint: EntryId,
    },
    /// The sender's term is over; the answer carries the newer one.
    StaleTerm,
}

/// Numbers the leader's questions "do you still follow me?", from one in each term.
///
/// The leader makes the number itself, and an answer carries it back: an answer to an earlier
/// question can therefore never pass for one to a later question, however long it was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub u64);

impl Round {
    /// Before the first question.
    pub const ZERO: Round = Round(0);

    /// The next question.
    #[must_use]
    pub fn next(self) -> Round {
        Round(self.0 + 1)
    }
}

/// Draws the message as an engineer would: `m1@2 → m3 Append prev=1@1 [2@2] commit=1`.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} → {} {}", self.from, self.term, self.to, self.body)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::PreVote { last } => write!(f, "PreVote last={last}"),
            Body::PreVoteResponse { ballot } => write!(f, "PreVoteResponse {ballot}"),
            Body::RequestVote { last, campaign: Campaign::Timeout } => {
                write!(f, "RequestVote last={last}")
            }
            Body::RequestVote { last, campaign: Campaign::Transfer } => {
                write!(f, "RequestVote last={last} transfer")
            }
            Body::VoteResponse { ballot } => write!(f, "VoteResponse {ballot}"),
            Body::AppendEntries { prev, entries, commit, round } => {
                let kind = if entries.is_empty() { "Heartbeat" } else { "Append" };
                write!(f, "{kind} prev={prev}")?;
                match entries.as_slice() {
                    [] => {}
                    [one] => write!(f, " [{}]", one.id())?,
                    [first, .., last] => write!(f, " [{}..{}]", first.id(), last.id())?,
                }
                write!(f, " commit={commit}")?;
                fmt_round(f, *round)
            }
            Body::AppendResponse { round, outcome } => {
                match outcome {
                    AppendOutcome::Accepted { matched } => write!(f, "Accepted matched={matched}")?,
                    AppendOutcome::Rejected { prev, hint } => {
                        write!(f, "Rejected prev={prev} hint={hint}")?;
                    }
                    AppendOutcome::StaleTerm => write!(f, "StaleTerm")?,
                }
                fmt_round(f, *round)
            }
            Body::InstallSnapshot { snapshot } => {
                write!(f, "InstallSnapshot {} {}", snapshot.meta.id, snapshot.meta.membership)
            }
            Body::TimeoutNow => write!(f, "TimeoutNow"),
            Body::ReadIndex { .. } => write!(f, "ReadIndex"),
            Body::ReadIndexResponse { index, .. } => write!(f, "ReadIndexResponse index={index}"),
        }
    }
}

fn fmt_round(f: &mut fmt::Formatter<'_>, round: Round) -> fmt::Result {
    if round == Round::ZERO { Ok(()) } else { write!(f, " round={}", round.0) }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ballot::Granted => "granted",
            Ballot::Refused => "refused",
        })
    }
}
