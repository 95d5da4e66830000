//! Segments before and after their use: made ahead, recycled, removed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use disk::{Disk, OpenMode};

use crate::error::WalError;

/// How much of released segments is kept to be used again, in bytes: what is logged between two
/// checkpoints, or else zeros would be written before each of them.
const RELEASED_BYTES_MAX: u64 = 256 << 20;

/// But no fewer than so many, and no more.
const RELEASED_MIN: usize = 4;

/// See [`RELEASED_MIN`].
const RELEASED_MAX: usize = 32;

/// Segments that are not needed any more, the oldest first. Several preparations share them: each
/// takes the oldest there is when it runs, and no other before that is durable, so that what is
/// left has no gap.
#[derive(Debug, Default)]
pub(crate) struct Released {
    paths: Mutex<VecDeque<PathBuf>>,
}

/// A file of the size of a segment, all of it written, durable, and free to be used.
#[derive(Debug)]
pub struct Spare {
    pub(crate) path: PathBuf,
}

/// The making of a spare segment: some tens of milliseconds of writing zeros, or a rename. It
/// touches no file that the log uses, so that it may run while the log is written.
#[derive(Debug)]
#[must_use = "nothing is made until it runs"]
pub struct Preparation {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    /// Tells this spare from others.
    number: u64,
    released: Arc<Released>,
}

impl Released {
    pub(crate) fn extend(&self, paths: impl Iterator<Item = PathBuf>) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    }
}

impl Preparation {
    /// Prepares spare `number`, from the oldest of `released` if there is one.
    pub(crate) fn new(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
        number: u64,
        released: &Arc<Released>,
    ) -> Preparation {
        Preparation {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            segment_bytes,
            number,
            released: Arc::clone(released),
        }
    }

    /// Makes the spare segment.
    ///
    /// # Errors
    ///
    /// If [`WalError::is_full`], nothing is left behind, and another may be made later. After any
    /// other error the member stops.
    pub fn run(self) -> Result<Spare, WalError> {
        let path = self.dir.join(format!("spare-{}", self.number));
        if self.recycle(&path)? {
            return Ok(Spare { path });
        }
        let unfinished = self.dir.join(format!("spare-{}.tmp", self.number));
        let file = self.disk.open(&unfinished, OpenMode::CreateNew)?;
        if let Err(error) = file.zero_fill(self.segment_bytes) {
            if error.is_full() {
                // Give back what was taken: a part of a segment helps nobody.
                self.disk.remove(&unfinished)?;
            }
            return Err(error.into());
        }
        file.sync_all()?;
        self.disk.rename(&unfinished, &path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(Spare { path })
    }

    /// Removes released segments that are too many, and gives the oldest of the others the name
    /// `spare`. Tells whether there was one.
    fn recycle(&self, spare: &Path) -> Result<bool, WalError> {
        let kept = usize::try_from(RELEASED_BYTES_MAX / self.segment_bytes).unwrap_or(usize::MAX);
        let kept = kept.clamp(RELEASED_MIN, RELEASED_MAX);
        // Held until what is done to the oldest is durable: nobody may take a younger one before.
        let mut released = self.released.paths.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = released.front() {
            let is_surplus = kept + 1 < released.len();
            let is_recycled = !is_surplus
                && self.disk.open(oldest, OpenMode::Read)?.size()? == self.segment_bytes;
            if is_recycled {
                self.disk.rename(oldest, spare)?;
            } else {
                self.disk.remove(oldest)?;
            }
            self.disk.sync_dir(&self.dir)?;
            released.pop_front();
            if !is_surplus {
                return Ok(is_recycled);
            }
        }
        Ok(false)
    }
}

/// What a file in the log's directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// A spare segment, and its number.
    Spare(u64),
    /// Something that was not finished.
    Unfinished,
}

impl Leftover {
    /// Recognizes what is not a segment; `None` if it is none of the log's.
    pub(crate) fn of(name: &str) -> Option<Leftover> {
        if name.ends_with(".new") || name.starts_with("spare-") && name.ends_with(".tmp") {
            return Some(Leftover::Unfinished);
        }
        Some(Leftover::Spare(name.strip_prefix("spare-")?.parse().ok()?))
    }
}
