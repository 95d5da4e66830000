//! What goes into the core and what comes out of it.

use crate::message::Message;
use crate::types::{Entry, EntryId, HardState, Index, MemberId, Snapshot, Term};

/// Something that happened outside the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// One unit of time has passed. The core's only clock.
    Tick,
    /// A message has arrived.
    Message(Message),
    /// A write has reached the disk: everything that was handed out as [`Persist`] up to the one
    /// that carried this acknowledgement.
    Durable(Durable),
    /// The service has applied everything up to this index.
    Applied(Index),
    /// The service has made an image of its state at this index durable, after it has reported it
    /// as applied: the log before it may go, but for a tail that lets slow members catch up.
    Snapshotted(Index),
    /// The image that a [`SnapshotRequest`] asked for.
    SnapshotReady {
        /// For whom.
        to: MemberId,
        /// The image; any that is at least as new as was asked for will do.
        snapshot: Snapshot,
    },
    /// The image could not be made, or could not be delivered: try again.
    SnapshotFailed {
        /// For whom.
        to: MemberId,
    },
    /// The connection to this member broke; appends under way may be lost.
    Unreachable(MemberId),
    /// Campaign now, as if the election timeout had passed.
    Campaign,
    /// The leader is known to be gone (its connections were reset, say): stop protecting it, so
    /// that somebody else can be elected at once. Ignored while leader leases are on, which rest on
    /// that protection.
    ForgetLeader,
    /// More time has passed than ticks were given for: the process was paused. A leader lease is
    /// void.
    Paused,
}

/// What the driver must do. See the crate's documentation for the order in which it must be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects {
    /// What to write to the disk, and to acknowledge with [`Input::Durable`].
    pub persist: Option<Persist>,
    /// Messages that promise nothing about this member's disk.
    pub send_now: Vec<Message>,
    /// Messages that may leave only when `persist`, and every [`Persist`] handed out before it, is
    /// durable: they say that something is on this member's disk.
    pub send_when_durable: Vec<Message>,
    /// Committed entries, in order, each handed out once. If `persist` holds a snapshot, that comes
    /// first.
    pub apply: Vec<Entry>,
    /// What became of linearizable reads.
    pub reads: Vec<ReadOutcome>,
    /// Members that need an image of the service's state.
    pub snapshot_requests: Vec<SnapshotRequest>,
    /// The log may be dropped up to and including this entry, which is on the disk. Whether that is
    /// done at once, or ever, does not matter.
    pub trim: Option<EntryId>,
    /// Messages that were not acted on, and why.
    pub dropped: Vec<Dropped>,
}

impl Effects {
    /// Tells whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Effects::default()
    }
}

/// One write, which must not be reordered with others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Persist {
    /// An image from the leader. It replaces the service's state and the whole log, which then is
    /// empty and starts after the image's last entry. It must be durable before anything else here.
    pub snapshot: Option<Snapshot>,
    /// Entries to append. Stored entries at and after the index of the first one are overwritten.
    pub entries: Vec<Entry>,
    /// Term, vote and commit hint, if one of them changed. To be written after `entries`, or in one
    /// piece with them, so that the commit hint never points beyond the log.
    pub hard_state: Option<HardState>,
    /// What to give back as [`Input::Durable`] once all this is durable.
    pub ack: Durable,
}

/// Acknowledges a write by what the log was when it was made.
///
/// `last` alone would not do: the log may since have been truncated and rewritten, even with the
/// same entry at the same place. Together with the term in which the write was made it names one
/// state of the log, because within a term a follower's log is never rewritten twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Durable {
    /// This member's term when the write was handed out.
    pub written_in: Term,
    /// This member's last log entry when the write was handed out.
    pub last: EntryId,
}

/// The service's own name for one linearizable read, or for a batch of them. To be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// What became of a linearizable read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadOutcome {
    /// The read may be served from any state at or after `index`.
    Ready {
        /// Which read.
        id: ReadId,
        /// Wait until this index is applied.
        index: Index,
    },
    /// The read must not be served; asking again is safe.
    Failed {
        /// Which read.
        id: ReadId,
        /// Why.
        reason: ReadFailure,
    },
}

/// Why a linearizable read cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadFailure {
    /// The leader that was to confirm it leads no more, or another is followed now.
    LeaderChanged,
    /// The leader has not answered for an election timeout.
    Timeout,
}

/// Asks the driver for an image of the service's state, to be sent to a member that lags behind the
/// start of the log. To be answered with [`Input::SnapshotReady`] or [`Input::SnapshotFailed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotRequest {
    /// Who needs it.
    pub to: MemberId,
    /// The image must include at least this index.
    pub at_least: Index,
}

/// A message that was not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dropped {
    /// Who sent it.
    pub from: MemberId,
    /// Why it was dropped.
    pub reason: DropReason,
}

/// Why a message was not acted on.
///
/// The first group is everyday life in a network that delays and duplicates. The second means that
/// some member, the network or a disk does not keep the protocol: alert on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// An answer to something said in an earlier term.
    StaleTerm,
    /// A vote was asked for while the leader is alive (thesis §4.2.3).
    LeaderAlive,
    /// The message is for a role that this member does not have now.
    WrongRole,
    /// The sender is not in this leader's configuration.
    NotMember,
    /// The answer belongs to nothing that is still waited for.
    Unexpected,

    /// The message is addressed to another member, or claims to come from this one.
    Misaddressed,
    /// Two members claim to lead the same term.
    SecondLeader,
    /// The entries are not in order, have gaps, or come from a later term than the message.
    Malformed,
    /// The entries contradict what is committed.
    ContradictsCommitted,
    /// A follower claims to hold more than the leader has ever sent.
    ImpossibleAck,
}

impl DropReason {
    /// Tells whether the reason can only come from a broken member, network or disk.
    #[must_use]
    pub fn is_violation(self) -> bool {
        match self {
            DropReason::StaleTerm
            | DropReason::LeaderAlive
            | DropReason::WrongRole
            | DropReason::NotMember
            | DropReason::Unexpected => false,
            DropReason::Misaddressed
            | DropReason::SecondLeader
            | DropReason::Malformed
            | DropReason::ContradictsCommitted
            | DropReason::ImpossibleAck => true,
        }
    }
}
