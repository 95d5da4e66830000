//! The writing of a checkpoint.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Cause, Disk, DiskFile, OpenMode};
use raft::SnapshotMeta;
use store::Image;

use super::{BLOCK_BYTES, Head, name_of};
use crate::fault::Fault;

/// The writing of a checkpoint, in the background: of a moment that is past, to a file of its own.
#[derive(Debug)]
pub struct CheckpointJob {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    head: Head,
    image: Image,
}

/// What became of the writing of a checkpoint.
#[derive(Debug)]
pub struct CheckpointOutcome {
    /// Which state it holds.
    pub(crate) meta: SnapshotMeta,
    /// How long the file is, now that it is durable.
    pub(crate) bytes: Result<u64, Fault>,
}

impl CheckpointOutcome {
    /// How long the file is, now that it is durable. `None` if it could not be made.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.bytes.as_ref().ok().copied()
    }
}

impl CheckpointJob {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, head: Head, image: Image) -> Self {
        CheckpointJob { disk, dir, head, image }
    }

    /// Does it. If there is no space, nothing is left behind.
    pub(crate) fn run(self) -> CheckpointOutcome {
        let meta = self.head.meta.clone();
        CheckpointOutcome { meta, bytes: self.write() }
    }

    /// Writes the file, makes it durable, and only then gives it its name.
    fn write(self) -> Result<u64, Fault> {
        let path = self.dir.join(name_of(self.head.meta.id.index));
        let (unfinished, bytes) = self.write_unfinished()?;
        self.disk.rename(&unfinished, &path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(bytes)
    }

    /// Writes the file under the name of an unfinished one and makes it durable; returns that name,
    /// and its size. If there is no space, nothing is left behind.
    pub(crate) fn write_unfinished(&self) -> Result<(PathBuf, u64), Fault> {
        let path = self.dir.join(format!("{}.tmp", name_of(self.head.meta.id.index)));
        match self.write_to(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(fault) => {
                if fault.is_full() {
                    // If that fails too, the next start does it.
                    let _left_behind = self.disk.remove(&path);
                }
                Err(fault)
            }
        }
    }

    fn write_to(&self, path: &Path) -> Result<u64, Fault> {
        let file = create_anew(&*self.disk, path)?;
        let (mut out, mut framer) = self.head.encode();
        let mut offset = 0;
        for chunk in self.image.clone().chunks() {
            framer.put_chunk(&mut out, &chunk);
            if BLOCK_BYTES <= out.len() {
                offset += write_block(&*file, offset, &mut out)?;
            }
        }
        framer.put_end(&mut out);
        offset += write_block(&*file, offset, &mut out)?;
        file.sync_all()?;
        Ok(offset)
    }
}

/// Creates a file in the place of one that may have been left behind.
pub(crate) fn create_anew(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, Fault> {
    match disk.open(path, OpenMode::CreateNew) {
        Err(error) if matches!(error.cause(), Cause::Exists) => {
            disk.remove(path)?;
            Ok(disk.open(path, OpenMode::CreateNew)?)
        }
        created => Ok(created?),
    }
}

/// Writes a block and returns its length.
pub(crate) fn write_block(
    file: &dyn DiskFile,
    offset: u64,
    block: &mut Vec<u8>,
) -> Result<u64, Fault> {
    file.write_all_at(offset, block)?;
    let bytes = block.len() as u64;
    block.clear();
    Ok(bytes)
}
