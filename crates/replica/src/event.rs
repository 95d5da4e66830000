//! What happens to a replica.

use bytes::Bytes;
use raft::membership::Change;
use raft::{MemberId, Message, Term};
use store::{CommandId, MembershipContext};

use crate::job::Finished;

/// The driver's own name for a question, under which the answer comes back. Never used twice while
/// an answer is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something that happened outside the replica.
#[derive(Debug)]
pub enum Event {
    /// One tick has passed.
    Tick,
    /// More time has passed than ticks were given for: the process was paused.
    Paused,
    /// A peer has said something. The driver has checked that it is who it says.
    Peer {
        /// Who.
        from: MemberId,
        /// What.
        message: PeerMessage,
    },
    /// All connections to and from this peer broke, and what was under way may be lost.
    Unreachable(MemberId),
    /// The leader is known to be gone: elect another as soon as may be. Ignored if this member
    /// leads or already campaigns.
    LeaderGone,
    /// A client wants this command executed. Answered with [`crate::Reply::Applied`].
    Propose {
        /// Where the answer goes.
        ticket: Ticket,
        /// The command; the replica gives it its ID.
        command: store::Command,
    },
    /// A client wants a linearizable read. Answered with [`crate::Reply::ReadReady`].
    Read(Ticket),
    /// Changes the configuration. Answered with [`crate::Reply::Membership`].
    ChangeMembership {
        /// Where the answer goes.
        ticket: Ticket,
        /// What changes.
        changes: Vec<Change>,
        /// What every member is to remember of it.
        context: MembershipContext,
    },
    /// Hands leadership over, to the best other voter if `None`. Answered with
    /// [`crate::Reply::Transferred`] once another leads.
    Transfer {
        /// Where the answer goes.
        ticket: Ticket,
        /// To whom.
        to: Option<MemberId>,
    },
    /// A client keeps a lease alive. Answered with [`crate::Reply::LeaseRenewed`].
    LeaseRenew {
        /// Where the answer goes.
        ticket: Ticket,
        /// Which lease.
        id: i64,
    },
    /// A client asks how long a lease lives. Answered with [`crate::Reply::LeaseTimeToLive`].
    LeaseTimeToLive {
        /// Where the answer goes.
        ticket: Ticket,
        /// Which lease.
        id: i64,
    },
    /// The client that asked has gone: its answer is not wanted any more. What it proposed may be
    /// executed all the same.
    Forget(Ticket),
    /// A job has ended.
    Finished(Finished),
    /// The image that the leader announced has arrived whole in this checkpoint file, or was
    /// already there.
    SnapshotReceived {
        /// The leader's message, its token replaced by [`crate::SnapshotReceiver::finish`].
        message: Message,
    },
    /// An image could not be delivered to this member.
    SnapshotFailed(MemberId),
}

/// What members say to each other beside Raft's own messages. Every one may be lost, but none is
/// delivered twice: the driver sends each once over one ordered connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// Raft's own.
    Raft(Message),
    /// "Propose these for me." Refused unless the receiver leads this very term.
    Forward {
        /// The term in which the sender takes the receiver for the leader.
        term: Term,
        /// Encoded commands, each with its ID.
        commands: Vec<Bytes>,
    },
    /// "Change the configuration for me." Refused as [`PeerMessage::Forward`] is.
    ForwardChange {
        /// As in [`PeerMessage::Forward`].
        term: Term,
        /// Names the change; it comes back with the entry.
        id: CommandId,
        /// What changes.
        changes: Vec<Change>,
        /// What is to be remembered.
        context: MembershipContext,
    },
    /// "These I have not proposed, and never will."
    ForwardRefused {
        /// The term that the refused message spoke of.
        term: Term,
        /// The numbers of the commands.
        sequences: Vec<u64>,
        /// Why.
        reason: ForwardRefusal,
    },
    /// "Renew these leases", or tell what is left of them.
    LeaseQuestion {
        /// Comes back with the answer.
        nonce: u64,
        /// Lease IDs.
        ids: Vec<i64>,
        /// What is asked.
        kind: LeaseQuestionKind,
    },
    /// The answer to a [`PeerMessage::LeaseQuestion`].
    LeaseAnswer {
        /// From the question.
        nonce: u64,
        /// For each lease that was asked for, what the leader says.
        leases: Vec<LeaseLife>,
        /// The leader has applied up to here; the asker answers its client once it has, too.
        applied: raft::Index,
    },
    /// "I do not lead, or cannot tell now: ask again."
    LeaseRefused {
        /// From the question.
        nonce: u64,
    },
}

/// Why a forwarded command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardRefusal {
    /// The receiver does not lead that term: ask whoever leads now.
    NotLeader,
    /// The leader is overloaded.
    Busy,
    /// The change does not fit the configuration, or another is under way.
    Membership(crate::MembershipRefusal),
}

/// What is asked about leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseQuestionKind {
    /// Start their time anew.
    Renew,
    /// Only tell.
    Tell,
}

/// What the leader knows of the life of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLife {
    /// Which lease.
    pub id: i64,
    /// What was granted, in seconds; `None` if there is no such lease (or it is just expiring).
    pub granted: Option<i64>,
    /// What is left, in seconds, rounded down.
    pub remaining: i64,
}
