//! Why the log cannot be written or read.

use std::fmt;
use std::path::PathBuf;

use disk::DiskError;
use raft::Index;

/// Why the log cannot be written or read.
#[derive(Debug)]
pub enum WalError {
    /// A call to the disk failed. If [`DiskError::is_full`], nothing was written and it may be
    /// tried again once there is space; otherwise the member stops.
    Disk(DiskError),
    /// The files are not what was written. Nothing was changed.
    Corruption(Box<Corruption>),
    /// A write or a sync failed before. Nobody knows what is on the disk until it is read again.
    Poisoned,
    /// A batch does not fit into a segment.
    BatchTooLarge {
        /// What the batch needs, in sectors of 512 bytes.
        sectors: u32,
        /// What a segment can take.
        sectors_max: u32,
    },
}

/// Files that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// In which file.
    pub file: PathBuf,
    /// Where, in bytes.
    pub offset: u64,
    /// The first index whose entry may be missing; all before it were read.
    pub index: Index,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Corruption {
    /// What to do about it: the same for all, because this member may have acknowledged what it
    /// cannot read.
    pub const ADVICE: &str = "keep the directory for inspection, and replace this member by one \
         with a new ID and an empty directory";
}

impl WalError {
    /// Tells whether nothing was written, and the call may be repeated once there is space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            WalError::Disk(error) => error.is_full(),
            WalError::Corruption(_) | WalError::Poisoned | WalError::BatchTooLarge { .. } => false,
        }
    }
}

impl From<DiskError> for WalError {
    fn from(error: DiskError) -> WalError {
        WalError::Disk(error)
    }
}

impl From<Corruption> for WalError {
    fn from(corruption: Corruption) -> WalError {
        WalError::Corruption(Box::new(corruption))
    }
}

impl fmt::Display for WalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalError::Disk(_) => write!(f, "the log's files cannot be used"),
            WalError::Corruption(corruption) => corruption.fmt(f),
            WalError::Poisoned => {
                write!(f, "a write to the log failed before: restart, so that it is read again")
            }
            WalError::BatchTooLarge { sectors, sectors_max } => write!(
                f,
                "a batch of {sectors} sectors does not fit into a segment, which takes \
                 {sectors_max}: use smaller batches or larger segments"
            ),
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Corruption { file, offset, index, expected, found } = self;
        write!(
            f,
            "the log is damaged in {} at offset {offset}, from index {index} on: expected \
             {expected}, found {found}; {}",
            file.display(),
            Corruption::ADVICE
        )
    }
}

impl std::error::Error for WalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WalError::Disk(error) => Some(error),
            WalError::Corruption(_) | WalError::Poisoned | WalError::BatchTooLarge { .. } => None,
        }
    }
}

impl std::error::Error for Corruption {}
