//! Why a replica cannot go on, or cannot start.

use std::path::PathBuf;

use disk::DiskError;
use raft::{EntryId, RestoreError};
use thiserror::Error;
use wal::WalError;

/// Why a replica cannot go on, or cannot start. After the first one it refuses everything.
#[derive(Debug, Error)]
pub enum Fault {
    /// A call to the disk failed.
    #[error("the member's files cannot be used")]
    Disk(#[from] DiskError),
    /// The log cannot be written or read.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A checkpoint is not what was written.
    #[error(transparent)]
    Checkpoint(#[from] Box<DamagedCheckpoint>),
    /// An image from a peer is not what the leader announced. Only the image is refused; the
    /// replica itself goes on.
    #[error("an image was refused: {0}")]
    Image(String),
    /// The directory holds no member.
    #[error(
        "there is no member in {0}: name the directory that it was created in, or create it there"
    )]
    NoMember(PathBuf),
    /// The directory holds a member already.
    #[error("there is a member in {0} already: open it, or name an empty directory")]
    MemberExists(PathBuf),
    /// The directory holds another member.
    #[error(
        "{dir} holds member {found:x}, and member {expected:x} was to start: name the right one"
    )]
    WrongMember {
        /// The directory.
        dir: PathBuf,
        /// Which member it holds.
        found: u64,
        /// Which one was to start.
        expected: u64,
    },
    /// What belongs together is not there together.
    #[error("{found} in {dir}: {}", DamagedCheckpoint::ADVICE)]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// What is there without what.
        found: String,
    },
    /// Log and image contradict each other.
    #[error("what is stored contradicts itself: {error}; {}", DamagedCheckpoint::ADVICE)]
    Restore {
        /// How.
        error: RestoreError,
    },
    /// A committed entry cannot be executed, so this member would fall behind for good.
    #[error(
        "entry {at} cannot be executed: {found}; run the version that the other members run, or \
         replace this member by one with a new ID and an empty directory"
    )]
    Entry {
        /// Which entry.
        at: EntryId,
        /// What is wrong with it.
        found: String,
    },
    /// There was a fault before.
    #[error("the replica has stopped after a fault: restart it, so that the disk is read again")]
    Stopped,
}

/// A checkpoint that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the checkpoint {} is damaged at offset {offset}: expected {expected}, found {found}; {}",
    file.display(), DamagedCheckpoint::ADVICE
)]
pub struct DamagedCheckpoint {
    /// Which file.
    pub file: PathBuf,
    /// Where, in bytes.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl DamagedCheckpoint {
    /// What to do about it. It is what the log's own damage advises: this member may have
    /// acknowledged what it cannot read.
    pub const ADVICE: &str = wal::Corruption::ADVICE;
}

impl Fault {
    /// Tells whether nothing was written because no space is left, so that it may be tried again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Fault::Disk(error) => error.is_full(),
            Fault::Wal(error) => error.is_full(),
            Fault::Checkpoint(_)
            | Fault::Image(_)
            | Fault::NoMember(_)
            | Fault::MemberExists(_)
            | Fault::WrongMember { .. }
            | Fault::Incomplete { .. }
            | Fault::Restore { .. }
            | Fault::Entry { .. }
            | Fault::Stopped => false,
        }
    }
}
