//! The member: entry points, and the rules that hold in every role.

use std::fmt;

use bytes::Bytes;

use crate::config::Config;
use crate::effects::{Effects, Input, ProposeError, ReadId, TransferError};
use crate::membership::{Change, ChangeError};
use crate::status::Status;
use crate::types::{DurableState, Entry, EntryId, Index, MemberId, SnapshotMeta};

/// One member of a cluster: see the crate's documentation.
#[derive(Clone, Debug, Hash)]
pub struct Raft {}

impl Raft {
    /// Builds a member from what its disk holds.
    ///
    /// # Errors
    ///
    /// If what the disk holds cannot have been written by a member that kept the contract.
    pub fn restore(config: Config, durable: DurableState) -> Result<Raft, RestoreError> {
        let _ = (config, durable);
        unimplemented!()
    }
    /// Takes one input and returns everything that is due: [`Raft::feed`] and [`Raft::flush`].
    pub fn step(&mut self, input: Input) -> Effects {
        self.feed(input);
        self.flush()
    }
    /// Takes one input and leaves its effects to the next [`Raft::flush`].
    pub fn feed(&mut self, input: Input) {
        let _ = input;
        unimplemented!()
    }
    /// Returns everything that is due.
    pub fn flush(&mut self) -> Effects {
        unimplemented!()
    }
    /// Appends a command to the log if this member leads.
    pub fn propose(&mut self, command: Bytes) -> Result<EntryId, ProposeError> {
        let _ = command;
        unimplemented!()
    }
    /// Appends a change of the configuration to the log if this member leads.
    pub fn change_membership(
        &mut self,
        changes: &[Change],
        context: Bytes,
    ) -> Result<EntryId, MembershipError> {
        let _ = (changes, context);
        unimplemented!()
    }
    /// Begins to hand leadership to `to`; to the best placed voter if `None`. Returns to whom.
    pub fn transfer(&mut self, to: Option<MemberId>) -> Result<MemberId, TransferError> {
        let _ = to;
        unimplemented!()
    }
    /// Asks from which index a linearizable read may be served. The answer comes as a
    /// [`ReadOutcome`](crate::ReadOutcome).
    pub fn read(&mut self, id: ReadId) -> Result<(), ReadError> {
        let _ = id;
        unimplemented!()
    }
    /// What the member tells about itself.
    #[must_use]
    pub fn status(&self) -> Status {
        unimplemented!()
    }
    /// The log since the last trim.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::empty()
    }
    /// What an image of the service at `index` must carry; `None` if `index` is not committed, or
    /// lies before the service's latest image.
    #[must_use]
    pub fn snapshot_meta(&self, index: Index) -> Option<SnapshotMeta> {
        let _ = index;
        unimplemented!()
    }
}

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
    /// An entry comes from a later term than the member has seen.
    TermBehindLog(EntryId),
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
            RestoreError::TermBehindLog(id) => {
                write!(f, "the log holds entry {id}, of a later term than the one on record")
            }
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
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NoLeader => write!(f, "no leader is known: try again after an election"),
        }
    }
}

impl std::error::Error for ReadError {}
