//! The messages under way, and the links that carry them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use raft::{AppendOutcome, Body, Message};

/// A message under way. Each copy has a number of its own.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) number: u64,
    pub(super) message: Message,
}

/// All messages under way, and the broken links.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// In the order in which they will be delivered.
    pub(super) flying: Vec<Flying>,
    /// Messages set aside: nothing delivers them until they are let go.
    pub(super) held: Vec<Flying>,
    /// The directions that carry nothing, from whom and to whom.
    pub(super) broken: BTreeSet<(u64, u64)>,
    numbered: u64,
}

impl Network {
    /// Gives the message a number, which names this copy of it.
    pub(super) fn number(&mut self, message: Message) -> Flying {
        self.numbered += 1;
        Flying { number: self.numbered, message }
    }

    /// Tells whether the message's link carries nothing.
    pub(super) fn is_broken_for(&self, message: &Message) -> bool {
        self.broken.contains(&(message.from.0, message.to.0))
    }

    /// Takes out all messages under way that `pick` names, in order.
    pub(super) fn take(&mut self, pick: impl Fn(&Message) -> bool) -> Vec<Flying> {
        self.flying.extract_if(.., |flying| pick(&flying.message)).collect()
    }

    /// Takes out the first message under way that `pick` names.
    pub(super) fn take_one(&mut self, pick: impl Fn(&Message) -> bool) -> Option<Flying> {
        let place = self.flying.iter().position(|flying| pick(&flying.message))?;
        Some(self.flying.remove(place))
    }
}

/// Picks every message.
pub fn any(_: &Message) -> bool {
    true
}

/// Picks the messages that `member` sends.
pub fn from(member: u64) -> impl Fn(&Message) -> bool + Copy {
    move |message| message.from.0 == member
}

/// Picks the messages that `member` is to receive.
pub fn to(member: u64) -> impl Fn(&Message) -> bool + Copy {
    move |message| message.to.0 == member
}

/// Picks the messages from one member to another.
pub fn link(from: u64, to: u64) -> impl Fn(&Message) -> bool + Copy {
    move |message| (message.from.0, message.to.0) == (from, to)
}

/// Picks the messages of one kind.
pub fn kind(kind: Kind) -> impl Fn(&Message) -> bool + Copy {
    move |message| Kind::of(message) == kind
}

/// What a message is about: the first word of its drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Asks who would vote.
    PreVote,
    /// Answers [`Kind::PreVote`].
    PreVoteResponse,
    /// Asks for a vote.
    RequestVote,
    /// Answers [`Kind::RequestVote`].
    VoteResponse,
    /// An AppendEntries with entries.
    Append,
    /// An AppendEntries without entries.
    Heartbeat,
    /// The entries, or the image, are durable.
    Accepted,
    /// The logs do not agree there.
    Rejected,
    /// The leader that sent the append leads no more.
    StaleTerm,
    /// An image of the service.
    InstallSnapshot,
    /// Asks a member to campaign.
    TimeoutNow,
    /// Asks for a read index.
    ReadIndex,
    /// Answers [`Kind::ReadIndex`].
    ReadIndexResponse,
}

impl Kind {
    const ALL: [(Kind, &str); 13] = [
        (Kind::PreVote, "PreVote"),
        (Kind::PreVoteResponse, "PreVoteResponse"),
        (Kind::RequestVote, "RequestVote"),
        (Kind::VoteResponse, "VoteResponse"),
        (Kind::Append, "Append"),
        (Kind::Heartbeat, "Heartbeat"),
        (Kind::Accepted, "Accepted"),
        (Kind::Rejected, "Rejected"),
        (Kind::StaleTerm, "StaleTerm"),
        (Kind::InstallSnapshot, "InstallSnapshot"),
        (Kind::TimeoutNow, "TimeoutNow"),
        (Kind::ReadIndex, "ReadIndex"),
        (Kind::ReadIndexResponse, "ReadIndexResponse"),
    ];

    /// The kind of a message.
    #[must_use]
    pub fn of(message: &Message) -> Kind {
        match &message.body {
            Body::PreVote { .. } => Kind::PreVote,
            Body::PreVoteResponse { .. } => Kind::PreVoteResponse,
            Body::RequestVote { .. } => Kind::RequestVote,
            Body::VoteResponse { .. } => Kind::VoteResponse,
            Body::AppendEntries { entries, .. } if entries.is_empty() => Kind::Heartbeat,
            Body::AppendEntries { .. } => Kind::Append,
            Body::AppendResponse { outcome, .. } => match outcome {
                AppendOutcome::Accepted { .. } => Kind::Accepted,
                AppendOutcome::Rejected { .. } => Kind::Rejected,
                AppendOutcome::StaleTerm => Kind::StaleTerm,
            },
            Body::InstallSnapshot { .. } => Kind::InstallSnapshot,
            Body::TimeoutNow => Kind::TimeoutNow,
            Body::ReadIndex { .. } => Kind::ReadIndex,
            Body::ReadIndexResponse { .. } => Kind::ReadIndexResponse,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Kind::ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(named.expect("the list holds all kinds").1)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let named = Kind::ALL.iter().find(|(_, name)| *name == text);
        named.map(|(kind, _)| *kind).ok_or_else(|| format!("no kind of message is called {text}"))
    }
}
