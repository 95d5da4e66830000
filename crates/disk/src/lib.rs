//! All that Holdfast does to files, as one trait with one method for each system call.
//!
//! [`RealDisk`] does what it is told. [`SimDisk`] keeps files in memory, and breaks in every way in
//! which disks break, on purpose and by a seed. Nothing else in the workspace opens a file.
//!
//! ```text
//!    wal, mvcc, replica ──► dyn Disk ──┬──► RealDisk ──► the kernel
//!                                      └──► SimDisk  ──► cached │ on its way │ stored
//!                                                         reads │  a crash   │ survives
//!                                                         see   │  takes     │ a crash
//!                                                         this  │  some      │
//! ```
//!
//! # What a caller may rely on
//!
//! - What was written is certain to survive a loss of power only after [`DiskFile::sync_data`] or
//!   [`DiskFile::sync_all`] returned without an error. Until then any of its sectors may survive,
//!   in any order.
//! - A name that was created, renamed or removed is certain to stay so only after
//!   [`Disk::sync_dir`] of its directory. Syncing a file does not sync its name.
//! - A sector of [`SECTOR_BYTES`] is written whole or not at all.
//! - After a failed sync nothing is known of what had been written since the one before, and a
//!   later sync that succeeds says nothing of it: the kernel may have dropped the pages. Whoever
//!   meets a failed sync stops.
//!
//! # Left out, and what it would cost
//!
//! - *Memory maps.* Cost: `unsafe`.
//! - *Direct I/O for reads.* Cost: buffers with an alignment of their own; what is written by
//!   [`OpenMode::WriteSectors`] is copied to one.
//! - *Asynchronous calls.* Cost: a second trait; a simulated disk would have to say when.
//! - *Renaming a directory in [`SimDisk`]*. Nobody does it: what must appear at once is a file.

mod error;
mod real;
mod sim;

use std::any::Any;
use std::fmt;
use std::path::Path;

pub use error::{Action, Cause, DiskError};
pub use real::RealDisk;
pub use sim::{Call, Chances, Fault, SimDisk, Survivors};

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// How many zeros [`DiskFile::zero_fill`] writes by one call, in bytes.
const ZERO_CHUNK_BYTES: usize = 1 << 20;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenMode {
    /// An existing file, to be read only.
    Read,
    /// An existing file, to be read and written.
    Write,
    /// An existing file, to be read and written, of which nobody soon reads what is written, and in
    /// whole sectors: the kernel need not keep it, and writes no more than that. Where this cannot
    /// be, it is as [`OpenMode::Write`].
    WriteSectors,
    /// A file that must not exist yet, to be read and written. Only its owner may look at it
    /// (0600).
    CreateNew,
}

/// A place where files are. The one seam between Holdfast and what may lose its data.
///
/// Every method is one system call, so that a test can cut the power between any two of them.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Creates a directory that only its owner may look into (0700); one that exists is left as it
    /// is. Its parent must exist.
    fn create_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Returns the names in a directory, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError>;

    /// Gives a file another name. What bore that name before is replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Takes the right to work in a directory, which one process at a time can have.
    ///
    /// # Errors
    ///
    /// [`Cause::Locked`] if somebody has it.
    fn lock(&self, dir: &Path) -> Result<DirLock, DiskError>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// The name under which the file was opened, for messages.
    fn path(&self) -> &Path;

    /// Reads at most as much as fits into `buffer`, and returns how much; zero only at the end of
    /// the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;

    /// Writes at most all of `bytes`, and returns how much; never zero unless `bytes` is empty.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, DiskError>;

    /// Makes all that was written durable, and the file's size.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// As [`Self::sync_data`], with everything else that is known of the file.
    fn sync_all(&self) -> Result<(), DiskError>;

    /// Cuts the file, or lengthens it by zeros.
    fn set_len(&self, bytes: u64) -> Result<(), DiskError>;

    /// Returns the file's size in bytes.
    fn size(&self) -> Result<u64, DiskError>;

    /// Fills the whole `buffer`, by as many calls as it takes.
    ///
    /// # Errors
    ///
    /// [`Cause::EndOfFile`] if the file ends before that.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let read = self.read_at(at, &mut buffer[done..])?;
            if read == 0 {
                let action = Action::Read { offset: at, bytes: buffer.len() - done };
                return Err(DiskError::new(action, self.path(), Cause::EndOfFile));
            }
            done += read;
        }
        Ok(())
    }

    /// Writes all of `bytes`, by as many calls as it takes.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut done = 0;
        while done < bytes.len() {
            let written = self.write_at(offset + done as u64, &bytes[done..])?;
            assert!(0 < written, "a write of {} bytes wrote none", bytes.len() - done);
            done += written;
        }
        Ok(())
    }

    /// Takes the space for `bytes` bytes from the file's start by writing zeros, so that later
    /// writes change no metadata. (Space that is only reserved is not enough: the first write to it
    /// changes the metadata.)
    fn zero_fill(&self, bytes: u64) -> Result<(), DiskError> {
        let zeros = vec![0; ZERO_CHUNK_BYTES];
        let mut done = 0;
        while done < bytes {
            let rest = usize::try_from(bytes - done).unwrap_or(usize::MAX);
            let chunk = &zeros[..rest.min(ZERO_CHUNK_BYTES)];
            self.write_all_at(done, chunk)?;
            done += chunk.len() as u64;
        }
        Ok(())
    }
}

/// The right to work in a directory, held until it is dropped, or the process ends.
pub struct DirLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DirLock {
    /// A lock that is held as long as `held` lives.
    fn new(held: impl Any + Send + Sync) -> DirLock {
        DirLock { _held: Box::new(held) }
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirLock")
    }
}
