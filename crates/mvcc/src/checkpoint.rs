//! Checkpoints: the whole store as an ordered stream of bytes, cut into chunks.
//!
//! ```text
//! stream = head chunk, chunks of versions, end chunk
//!
//! chunk    0       4       8              16               24
//!          "HFCK"  kind    payload bytes  checksum         payload
//!                  (u32)   (u64)          (u64)
//!
//! kind 1   0       4             8          16           24
//! head     format  1 if it was   revision   compacted    digest
//!          (u32)   compacted     (u64)      (u64)        (u64)
//!                  (u32)
//!
//! kind 2   0                       4               8
//! each     sub (u32), bit 31 =     bytes that      mvccpb.KeyValue as protobuf
//! version  this is a tombstone     follow (u32)
//!
//! kind 3   0          8
//! end      versions   keys that exist
//!          (u64)      (u64)
//! ```
//!
//! Numbers are little-endian. Versions come by key and then by revision. A checksum is the hash
//! (XXH64) of the sixteen bytes before it, seeded with the checksum of the chunk before, and then
//! of the payload, seeded with that: so a chunk that is missing, moved or from another stream is
//! found as one that is damaged. The same contents give the same stream on every member.

mod load;
#[cfg(test)]
mod tests;

pub use self::load::{LoadError, Loader};
use crate::hash::hash;
use crate::retained::{Position, Retained};
use crate::version::Version;
use crate::view::View;

const MAGIC: [u8; 4] = *b"HFCK";
const FORMAT: u32 = 1;
const HEADER: usize = 24;
const TOMBSTONE: u32 = 1 << 31;

/// The kind of a chunk. The numbers are on disks, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkKind {
    Head = 1,
    Versions = 2,
    End = 3,
}

/// Writes a view as a stream, one chunk per call of `next`. In between nothing is held but the
/// view.
#[derive(Debug)]
pub struct Checkpoint {
    view: View,
    chunk_bytes: usize,
    stage: Stage,
    checksum: u64,
    versions: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    Versions(Position),
    Done,
}

impl Checkpoint {
    /// Begins a stream. A chunk is finished when its payload has reached `chunk_bytes`.
    pub fn new(view: View, chunk_bytes: usize) -> Checkpoint {
        Checkpoint { view, chunk_bytes, stage: Stage::Head, checksum: 0, versions: 0 }
    }

    fn head(&self) -> Vec<u8> {
        let view = &self.view;
        let mut payload = FORMAT.to_le_bytes().to_vec();
        payload.extend_from_slice(&u32::from(view.compacted.is_some()).to_le_bytes());
        payload.extend_from_slice(&view.revision.0.to_le_bytes());
        payload.extend_from_slice(&view.compacted.unwrap_or_default().0.to_le_bytes());
        payload.extend_from_slice(&view.digest.to_le_bytes());
        payload
    }

    fn end(&self) -> Vec<u8> {
        let mut payload = self.versions.to_le_bytes().to_vec();
        payload.extend_from_slice(&(self.view.live.len() as u64).to_le_bytes());
        payload
    }

    /// Returns the next payload of versions, which is empty when there are none left.
    fn versions(&mut self, position: Position) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut retained = Retained::from(&self.view, position);
        while payload.len() < self.chunk_bytes.max(1) {
            let Some(version) = retained.next() else { break };
            write_version(version, &mut payload);
            self.versions += 1;
        }
        self.stage = Stage::Versions(retained.position());
        payload
    }

    fn chunk(&mut self, kind: ChunkKind, payload: &[u8]) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(HEADER + payload.len());
        chunk.extend_from_slice(&MAGIC);
        chunk.extend_from_slice(&(kind as u32).to_le_bytes());
        chunk.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.checksum = hash(payload, hash(&chunk, self.checksum));
        chunk.extend_from_slice(&self.checksum.to_le_bytes());
        chunk.extend_from_slice(payload);
        chunk
    }
}

impl Iterator for Checkpoint {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.stage {
            Stage::Head => {
                self.stage = Stage::Versions(Position::default());
                Some(self.chunk(ChunkKind::Head, &self.head()))
            }
            Stage::Versions(position) => {
                let payload = self.versions(position);
                if payload.is_empty() {
                    self.stage = Stage::Done;
                    return Some(self.chunk(ChunkKind::End, &self.end()));
                }
                Some(self.chunk(ChunkKind::Versions, &payload))
            }
            Stage::Done => None,
        }
    }
}

fn write_version(version: &Version, payload: &mut Vec<u8>) {
    let encoded = version.encoded().bytes();
    let flag = if version.is_tombstone() { TOMBSTONE } else { 0 };
    let len = u32::try_from(encoded.len()).expect("a version is shorter than 4 GiB");
    payload.extend_from_slice(&(version.change().sub | flag).to_le_bytes());
    payload.extend_from_slice(&len.to_le_bytes());
    payload.extend_from_slice(encoded);
}
