//! What is refused, and why.

use std::fmt;

use crate::membership::ChangeError;
use crate::types::{EntryId, Index, MemberId};

/// Why a command was not taken. It is then certain that it will never be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProposeError {
    /// This member does not lead.
    NotLeader {
        /// Who does, as far as this member knows.
        leader: Option<MemberId>,
    },
    /// Leadership is being handed to another member.
    Transferring {
        /// To whom.
        to: MemberId,
    },
    /// Too many bytes wait to be committed; try again when some are.
    Busy,
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProposeError::NotLeader { leader: Some(leader) } => {
                write!(f, "not the leader: ask {leader}")
            }
            ProposeError::NotLeader { leader: None } => {
                write!(f, "not the leader, and none is known: try again after an election")
            }
            ProposeError::Transferring { to } => {
                write!(f, "leadership is being handed to {to}: try again in a moment")
            }
            ProposeError::Busy => {
                write!(f, "too many bytes wait to be committed: try again when some are")
            }
        }
    }
}

impl std::error::Error for ProposeError {}

/// Why leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferError {
    /// This member does not lead.
    NotLeader {
        /// Who does, as far as this member knows.
        leader: Option<MemberId>,
    },
    /// The member is not a voter.
    NotVoter(MemberId),
    /// No other voter has been heard of for an election timeout.
    NoCandidate,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::NotLeader { leader } => {
                fmt::Display::fmt(&ProposeError::NotLeader { leader: *leader }, f)
            }
            TransferError::NotVoter(member) => {
                write!(f, "{member} is not a voter: choose one of the voting members")
            }
            TransferError::NoCandidate => {
                write!(f, "no other voter answers: wait until one does")
            }
        }
    }
}

impl std::error::Error for TransferError {}

/// Why a member cannot be built from what its disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestoreError {
    /// The log has a gap, or its terms decrease, at this entry.
    Disordered(EntryId),
    /// The log goes on from a later entry than the image ends with: entries are missing between.
    Gap {
        /// Where the image ends.
        snapshot: EntryId,
        /// Where the log begins.
        base: EntryId,
    },
    /// The commit hint points beyond the log: entries that were written are gone.
    CommitBeyondLog {
        /// The hint.
        commit: Index,
        /// The end of log and image.
        last: Index,
    },
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Disordered(id) => {
                write!(f, "the log is out of order at entry {id}")
            }
            RestoreError::Gap { snapshot, base } => write!(
                f,
                "the image ends with entry {snapshot}, and the log only begins after {base}: \
                 entries are missing between them"
            ),
            RestoreError::CommitBeyondLog { commit, last } => write!(
                f,
                "entry {commit} was known to be committed, and the log ends at {last}: entries \
                 that were written are gone"
            ),
        }
    }
}

impl std::error::Error for RestoreError {}

/// Why a change of the configuration was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MembershipError {
    /// No entry can be taken now.
    Propose(ProposeError),
    /// The leader has not yet committed an entry of its own term.
    TermTooYoung,
    /// The change before is not yet committed.
    Pending(EntryId),
    /// The change does not fit the configuration.
    Change(ChangeError),
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MembershipError::Propose(error) => fmt::Display::fmt(error, f),
            MembershipError::TermTooYoung => {
                write!(f, "the leader has not yet committed an entry of its term: try again soon")
            }
            MembershipError::Pending(id) => {
                write!(f, "the change in entry {id} is not yet committed: wait until it is")
            }
            MembershipError::Change(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for MembershipError {}

/// Why a read cannot even be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadError {
    /// No leader is known that could confirm it.
    NoLeader,
    /// Too many reads wait already.
    Busy,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NoLeader => write!(f, "no leader is known: try again after an election"),
            ReadError::Busy => write!(f, "too many reads wait: try again when some are answered"),
        }
    }
}

impl std::error::Error for ReadError {}
