//! What happened in a run, as data: the picture, the determinism test and people read it.

use std::fmt;

use raft::{EntryId, Index, MemberId, RoleKind, Term};
use serde::Serialize;

/// Everything that happened in one run, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What the run shows, for the head of the page.
    pub title: String,
    /// What happened, by rising time.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, in simulated microseconds; in scripts, one millisecond a step.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A member starts, for the first time or again.
    Start {
        /// Who.
        member: u64,
    },
    /// A member's process dies; what its disk had not made durable may be lost.
    Crash {
        /// Who.
        member: u64,
    },
    /// A member's process stands still.
    Pause {
        /// Who.
        member: u64,
    },
    /// A member's process goes on.
    Resume {
        /// Who.
        member: u64,
    },
    /// A member's disk stops answering. Stalls may overlap, and go on over a crash.
    Stall {
        /// Whose.
        member: u64,
    },
    /// One stall of a member's disk ends; once all have ended, the disk answers again.
    Unstall {
        /// Whose.
        member: u64,
    },
    /// A member has another role, term, vote or leader than before.
    Role {
        /// Who.
        member: u64,
        /// Its role: `follower`, `pre-candidate`, `candidate` or `leader`.
        role: String,
        /// Its term.
        term: u64,
        /// Whom it follows; itself if it leads.
        leader: Option<u64>,
    },
    /// A cursor of a member's log has moved.
    Log {
        /// Who.
        member: u64,
        /// The index before the first entry.
        base: u64,
        /// The index of the last entry.
        last: u64,
        /// The term of the last entry.
        last_term: u64,
        /// Up to where the log is durable.
        durable: u64,
        /// Up to where the log is known to be committed.
        committed: u64,
        /// Up to where the log is applied.
        applied: u64,
    },
    /// A member has another configuration than before.
    Membership {
        /// Who.
        member: u64,
        /// The configuration, drawn.
        membership: String,
    },
    /// A message leaves. Each copy that the network makes has a number of its own.
    Sent {
        /// Its number.
        id: u64,
        /// From whom.
        from: u64,
        /// To whom.
        to: u64,
        /// The sender's term.
        term: u64,
        /// What it says, drawn.
        body: String,
    },
    /// A message arrives.
    Received {
        /// Its number.
        id: u64,
    },
    /// A message is lost.
    Lost {
        /// Its number.
        id: u64,
    },
    /// The links that carry nothing from now on; all others carry.
    Links {
        /// Each broken direction, from whom and to whom. Empty if all is whole.
        broken: Vec<(u64, u64)>,
    },
    /// A client asks, or is answered.
    Client {
        /// Which client.
        client: u64,
        /// Of or by which member; zero if the client does not know.
        member: u64,
        /// The request or answer, drawn.
        text: String,
    },
    /// Something else that is worth knowing.
    Note {
        /// What.
        text: String,
    },
}

impl Trace {
    /// Adds an event.
    pub fn push(&mut self, at: u64, what: What) {
        self.events.push(Event { at, what });
    }
}

impl What {
    /// The event of a member's role.
    #[must_use]
    pub fn role(id: MemberId, role: RoleKind, term: Term, leader: Option<MemberId>) -> What {
        let leader = leader.map(|id| id.0);
        What::Role { member: id.0, role: role.to_string(), term: term.0, leader }
    }

    /// The event of a member's cursors.
    #[must_use]
    pub fn log(
        id: MemberId,
        base: EntryId,
        last: EntryId,
        [durable, committed, applied]: [Index; 3],
    ) -> What {
        What::Log {
            member: id.0,
            base: base.index.0,
            last: last.index.0,
            last_term: last.term.0,
            durable: durable.0,
            committed: committed.0,
            applied: applied.0,
        }
    }
}

/// One line for one event; equal traces print equal.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} {:?}", self.at, self.what)
    }
}
