//! Images of the state as files: written in the background, loaded at start, sent to peers.
//!
//! ```text
//!   checkpoint-0000000000000001.tmp     being written
//!   checkpoint-0000000000000001         whole and durable: the state after entry 1
//!   received-000000000000002a-0.tmp     an image from a peer, on its way
//! ```
//!
//! A checkpoint counts from the moment that the log's mark names it. Until then it may vanish.

mod format;
mod job;
mod reader;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use disk::{Disk, DiskFile, OpenMode};
use raft::Index;
use store::{Machine, MachineLoader};

pub(crate) use format::{Damage, Framer, HEAD_IMAGE, Head, Piece, Scan};
pub use job::{CheckpointJob, CheckpointOutcome};
pub(crate) use job::{create_anew, write_block};
pub use reader::CheckpointReader;

use crate::fault::{DamagedCheckpoint, Fault};

/// How much of a file is read or written by one call, in bytes.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

/// What a file in a member's directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A checkpoint, and the index at which it stands.
    Checkpoint(Index),
    /// Something that was not finished.
    Unfinished,
}

impl Named {
    /// Recognizes a file; `None` if it is none of ours.
    pub(crate) fn of(name: &str) -> Option<Named> {
        let ours = name.starts_with("checkpoint-") || name.starts_with("received-");
        if ours && name.ends_with(".tmp") {
            return Some(Named::Unfinished);
        }
        let number = name.strip_prefix("checkpoint-").filter(|number| number.len() == 16)?;
        let index = u64::from_str_radix(number, 16).ok()?;
        (name == name_of(Index(index))).then_some(Named::Checkpoint(Index(index)))
    }
}

/// The name of the checkpoint that stands at this index, which is also the token by which the core
/// knows it.
pub(crate) fn name_of(index: Index) -> String {
    format!("checkpoint-{:016x}", index.0)
}

/// The index of the checkpoint that a token names; `None` if it names none.
pub(crate) fn index_of(token: &Bytes) -> Option<Index> {
    match Named::of(std::str::from_utf8(token).ok()?)? {
        Named::Checkpoint(index) => Some(index),
        Named::Unfinished => None,
    }
}

/// Returns the indexes of all checkpoints in a directory, ascending.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Index>, Fault> {
    let names = disk.list(dir)?;
    let mut found: Vec<Index> = names
        .iter()
        .filter_map(|name| match Named::of(name)? {
            Named::Checkpoint(index) => Some(index),
            Named::Unfinished => None,
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes what an earlier run did not finish.
pub(crate) fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), Fault> {
    for name in disk.list(dir)? {
        if Named::of(&name) == Some(Named::Unfinished) {
            disk.remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// A checkpoint that was loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What it begins with.
    pub(crate) head: Head,
    /// The state.
    pub(crate) machine: Machine,
    /// The size of the file.
    pub(crate) bytes: u64,
}

/// Reads the head of a checkpoint.
pub(crate) fn read_head(disk: &dyn Disk, path: &Path) -> Result<Head, Fault> {
    let mut pieces = Pieces::open(disk, path)?;
    match pieces.next()? {
        Some(Piece::Head(head)) => Ok(head),
        Some(Piece::Chunk(_) | Piece::End) | None => unreachable!("the head is the first piece"),
    }
}

/// Loads the checkpoint at an index.
pub(crate) fn load(disk: &dyn Disk, dir: &Path, index: Index) -> Result<Loaded, Fault> {
    let mut pieces = Pieces::open(disk, &dir.join(name_of(index)))?;
    let mut head = None;
    let mut loader = MachineLoader::new();
    while let Some(piece) = pieces.next()? {
        match piece {
            Piece::Head(found) => head = Some(found),
            Piece::Chunk(chunk) => loader.push(&chunk).map_err(|error| pieces.wrong(&error))?,
            Piece::End => {}
        }
    }
    let head = head.expect("what ends has a head");
    let machine = loader.finish().map_err(|error| pieces.wrong(&error))?;
    Ok(Loaded { head, machine, bytes: pieces.offset })
}

/// The pieces of a file, one after the other.
#[derive(Debug)]
struct Pieces {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    scan: Scan,
    /// How much was read.
    offset: u64,
    is_at_end: bool,
    /// What was read last.
    block: Vec<u8>,
}

impl Pieces {
    fn open(disk: &dyn Disk, path: &Path) -> Result<Pieces, Fault> {
        let file = disk.open(path, OpenMode::Read)?;
        let scan = Scan::default();
        let (path, block) = (path.to_owned(), vec![0; BLOCK_BYTES]);
        Ok(Pieces { file, path, scan, offset: 0, is_at_end: false, block })
    }

    /// Returns the next piece; `None` behind the end, which was found where it must be.
    fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            if let Some(piece) = self.scan.next().map_err(|damage| damage.of(&self.path))? {
                return Ok(Some(piece));
            }
            if self.is_at_end {
                self.scan.finish().map_err(|damage| damage.of(&self.path))?;
                return Ok(None);
            }
            let bytes = self.file.read_at(self.offset, &mut self.block)?;
            self.offset += bytes as u64;
            self.is_at_end = bytes == 0;
            self.scan.push(&self.block[..bytes]);
        }
    }

    /// The damage of an image whose frames are sound.
    fn wrong(&self, error: &store::LoadError) -> Fault {
        let expected = "an image of the machine".to_owned();
        Damage { offset: self.offset, expected, found: chain_of(error) }.of(&self.path)
    }
}

impl Damage {
    /// Names the file.
    pub(crate) fn of(self, file: &Path) -> Fault {
        let Damage { offset, expected, found } = self;
        Box::new(DamagedCheckpoint { file: file.to_owned(), offset, expected, found }).into()
    }
}

/// Reads what fits into one call; nothing only at the end of the file.
fn read_block(file: &dyn DiskFile, offset: u64) -> Result<Vec<u8>, Fault> {
    let mut block = vec![0; BLOCK_BYTES];
    let bytes = file.read_at(offset, &mut block)?;
    block.truncate(bytes);
    Ok(block)
}

/// The texts of an error and of what it comes from.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
