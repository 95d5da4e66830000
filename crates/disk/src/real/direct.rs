//! Writing past the kernel's cache.
//!
//! The cache writes whole pages: for a log that grows by a sector at a time that is eight times as
//! much as was meant. Past it, sectors go to the device as they are. Not every file system can do
//! that, and some devices only in larger pieces. What cannot go this way goes through the cache,
//! and the kernel keeps the two consistent.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

use crate::SECTOR_BYTES;

/// Where memory must begin that goes to a device: a page suits all of them.
const ALIGNMENT: usize = 4096;

/// No more than this is copied for one write, in bytes.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// A file that is open for writing past the cache.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    /// What is written is copied to an aligned place in here.
    buffer: Mutex<Vec<u8>>,
}

impl Direct {
    /// Opens an existing file; `None` if its file system cannot do it.
    pub(super) fn open(path: &Path) -> Option<Direct> {
        let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(Direct { file, buffer: Mutex::default() })
    }

    /// Writes as [`crate::DiskFile::write_at`] does; `None` if it cannot go this way, and nothing
    /// is known of what was written.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Option<usize> {
        let bytes = &bytes[..bytes.len().min(PIECE_BYTES_MAX)];
        let are_sectors = offset.is_multiple_of(SECTOR_BYTES as u64)
            && bytes.len().is_multiple_of(SECTOR_BYTES)
            && !bytes.is_empty();
        if !are_sectors {
            return None;
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let room = bytes.len() + ALIGNMENT;
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = buffer.get_mut(start..start.checked_add(bytes.len())?)?;
        aligned.copy_from_slice(bytes);
        // Whatever error there is, a real one is met again through the cache.
        self.file.write_at(aligned, offset).ok().filter(|written| 0 < *written)
    }
}
