//! What can go wrong with a file, and with which.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A system call that failed: what was attempted, on which file, and why it failed.
#[derive(Debug)]
pub struct DiskError {
    action: Action,
    path: PathBuf,
    cause: Cause,
}

/// What was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To create a directory.
    CreateDir,
    /// To open a file that exists.
    Open,
    /// To create a file.
    Create,
    /// To list a directory.
    List,
    /// To rename a file.
    Rename {
        /// Its new name.
        to: PathBuf,
    },
    /// To remove a file.
    Remove,
    /// To make the names in a directory durable.
    SyncDir,
    /// To lock a directory.
    Lock,
    /// To read.
    Read {
        /// From where, in bytes.
        offset: u64,
        /// How much.
        bytes: usize,
    },
    /// To write.
    Write {
        /// To where, in bytes.
        offset: u64,
        /// How much.
        bytes: usize,
    },
    /// To make a file durable.
    Sync,
    /// To cut or lengthen a file.
    SetLen {
        /// To how many bytes.
        bytes: u64,
    },
    /// To ask for a file's size.
    Size,
}

/// Why it failed.
#[derive(Debug)]
pub enum Cause {
    /// No space is left, on the disk or in somebody's quota.
    Full,
    /// Another process holds the directory.
    Locked,
    /// There is no such file.
    NotFound,
    /// There is such a file already.
    Exists,
    /// The file ends before what was asked for.
    EndOfFile,
    /// The power of the simulated disk is off.
    PowerOff,
    /// What the kernel says.
    Io(io::Error),
}

impl DiskError {
    pub(crate) fn new(action: Action, path: &Path, cause: Cause) -> DiskError {
        DiskError { action, path: path.to_owned(), cause }
    }

    /// What was attempted.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// On which file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Tells whether it may succeed once there is space again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.cause, Cause::Full)
    }
}

impl Cause {
    /// Sorts out what callers ask about from what the kernel says.
    pub(crate) fn of(error: io::Error) -> Cause {
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Cause::Full
        } else if kind == io::ErrorKind::NotFound {
            Cause::NotFound
        } else if kind == io::ErrorKind::AlreadyExists {
            Cause::Exists
        } else {
            Cause::Io(error)
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.action {
            Action::CreateDir => write!(f, "cannot create the directory {path}")?,
            Action::Open => write!(f, "cannot open {path}")?,
            Action::Create => write!(f, "cannot create {path}")?,
            Action::List => write!(f, "cannot list {path}")?,
            Action::Rename { to } => write!(f, "cannot rename {path} to {}", to.display())?,
            Action::Remove => write!(f, "cannot remove {path}")?,
            Action::SyncDir => write!(f, "cannot sync the directory {path}")?,
            Action::Lock => write!(f, "cannot lock the directory {path}")?,
            Action::Read { offset, bytes } => {
                write!(f, "cannot read {bytes} bytes at offset {offset} of {path}")?;
            }
            Action::Write { offset, bytes } => {
                write!(f, "cannot write {bytes} bytes at offset {offset} of {path}")?;
            }
            Action::Sync => write!(f, "cannot sync {path}")?,
            Action::SetLen { bytes } => write!(f, "cannot make {path} {bytes} bytes long")?,
            Action::Size => write!(f, "cannot ask for the size of {path}")?,
        }
        match &self.cause {
            Cause::Full => write!(f, ": no space is left, so free some or raise the quota"),
            Cause::Locked => write!(
                f,
                ": another process works there, so stop it or give this one its own directory"
            ),
            Cause::NotFound => write!(f, ": it does not exist"),
            Cause::Exists => write!(f, ": it exists already"),
            Cause::EndOfFile => write!(f, ": the file ends before that"),
            Cause::PowerOff => write!(f, ": the power is off"),
            // The source says it.
            Cause::Io(_) => Ok(()),
        }
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(error) => Some(error),
            Cause::Full
            | Cause::Locked
            | Cause::NotFound
            | Cause::Exists
            | Cause::EndOfFile
            | Cause::PowerOff => None,
        }
    }
}
