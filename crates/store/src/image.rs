//! Images: the whole machine as an ordered stream of bytes, cut into chunks.
//!
//! ```text
//! stream = head chunk, chunks of leases, checkpoint of the keys (drawn in mvcc)
//!
//! chunk    0       4       8              16               24
//!          "HFIM"  kind    payload bytes  checksum         payload
//!                  (u32)   (u64)          (u64)
//!
//! kind 1   0        4         8        16       20
//! head     format   zero      digest   leases   cluster
//!          (u32)    (u32)     (u64)    (u32)
//!
//! kind 2   0          8                      16
//! each     ID (i64)   time to live in        remaining seconds (i64);
//! lease               seconds (i64)          zero if none were told
//!
//! cluster  list of: member (u64), name, list of: peer URL, list of: client URL, whether it
//!                   becomes a voter (u8)
//!          list of: member (u64) that was removed
//!          list of: member (u64), kind of an alarm (u8)
//!          version of the cluster and target of a downgrade: each 0 (u8), or 1 and a text
//! ```
//!
//! Numbers are little-endian; lists and texts are as in commands. A checksum is the hash (XXH64) of
//! the sixteen bytes before it, seeded with the checksum of the chunk before, and then of the
//! payload, seeded with that. The chunks of the checkpoint have the same form and a chain of their
//! own. What binds both parts together is the digest of the machine, which is computed again when
//! all is loaded.
//!
//! Leases come by ID. Which keys are attached to them is not written: the keys say it. Machines to
//! which the same has happened give the same stream, byte for byte.

mod load;
#[cfg(test)]
mod tests;

use mvcc::{Checkpoint, Revision, View, hash};

pub use self::load::{LoadError, MachineLoader};
use crate::cluster::Cluster;
use crate::codec::length;
use crate::leases::LeaseTable;
use crate::machine::Machine;

const MAGIC: [u8; 4] = *b"HFIM";
/// With this the chunks of the checkpoint begin.
const CHECKPOINT_MAGIC: [u8; 4] = *b"HFCK";
const FORMAT: u32 = 1;
const HEAD: u32 = 1;
const LEASES: u32 = 2;
/// What a lease takes.
const LEASE_BYTES: usize = 24;

/// What stands before the payload of every chunk, in bytes.
pub const CHUNK_HEADER_BYTES: usize = 24;
/// A chunk is finished when its payload has reached this size; the head and a chunk with a large
/// value can be larger.
const CHUNK_BYTES: usize = 256 * 1024;

/// The machine at one moment. It costs a few pointers, never changes, and can be written out on any
/// thread.
#[derive(Clone, Debug)]
pub struct Image {
    view: View,
    leases: LeaseTable,
    cluster: Cluster,
    digest: u64,
}

/// Writes an image as a stream, one chunk per call of `next`.
#[derive(Debug)]
pub struct Chunks {
    image: Image,
    stage: Stage,
    checksum: u64,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// The leases after this ID are to be written; `None` for all.
    Leases(Option<i64>),
    Keys(Checkpoint),
}

impl Machine {
    /// Returns the machine as it is now, for writing out. This takes a few instructions, but what
    /// is changed from now on must be copied first.
    pub fn image(&self) -> Image {
        Image {
            view: self.view(),
            leases: self.leases().clone(),
            cluster: self.cluster.clone(),
            digest: self.digest(),
        }
    }
}

impl Image {
    /// Returns the revision of the keys.
    pub fn revision(&self) -> Revision {
        self.view.revision()
    }

    /// Returns [`Machine::digest`].
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns about how many bytes the stream will have, for deciding when to write one.
    pub fn bytes_hint(&self) -> u64 {
        let sizes = self.view.sizes();
        (sizes.live_bytes + sizes.past_bytes + self.leases.len() * LEASE_BYTES) as u64
    }

    /// Writes the image out.
    pub fn chunks(self) -> Chunks {
        Chunks { image: self, stage: Stage::Head, checksum: 0 }
    }
}

/// Returns how long a chunk is, with its header, from that header alone: for reading chunks from a
/// file. `None` if it is no header.
pub fn chunk_bytes(header: &[u8; CHUNK_HEADER_BYTES]) -> Option<u64> {
    let is_ours = header[..4] == MAGIC || header[..4] == CHECKPOINT_MAGIC;
    let payload = u64::from_le_bytes(header[8..16].try_into().expect("a header has 24 bytes"));
    if is_ours { payload.checked_add(CHUNK_HEADER_BYTES as u64) } else { None }
}

impl Chunks {
    fn head(&self) -> Vec<u8> {
        let mut payload = FORMAT.to_le_bytes().to_vec();
        payload.extend_from_slice(&0_u32.to_le_bytes());
        payload.extend_from_slice(&self.image.digest.to_le_bytes());
        length(&mut payload, self.image.leases.len());
        self.image.cluster.encode(&mut payload);
        payload
    }

    /// Returns the next leases, and the ID of the last one of them.
    fn leases(&self, after: Option<i64>) -> (Vec<u8>, Option<i64>) {
        let mut payload = Vec::new();
        let mut last = None;
        // No lease follows the one with the greatest ID.
        let from = after.map_or(Some(i64::MIN), |id| id.checked_add(1));
        let leases = from.into_iter().flat_map(|from| self.image.leases.iter_from(from));
        for lease in leases.take(CHUNK_BYTES / LEASE_BYTES) {
            payload.extend_from_slice(&lease.to_bytes());
            last = Some(lease.id);
        }
        (payload, last)
    }

    fn chunk(&mut self, kind: u32, payload: &[u8]) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + payload.len());
        chunk.extend_from_slice(&MAGIC);
        chunk.extend_from_slice(&kind.to_le_bytes());
        chunk.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.checksum = hash(payload, hash(&chunk, self.checksum));
        chunk.extend_from_slice(&self.checksum.to_le_bytes());
        chunk.extend_from_slice(payload);
        chunk
    }
}

impl Iterator for Chunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.stage {
            Stage::Head => {
                self.stage = Stage::Leases(None);
                let payload = self.head();
                Some(self.chunk(HEAD, &payload))
            }
            Stage::Leases(after) => {
                let after = *after;
                let (payload, last) = self.leases(after);
                if payload.is_empty() {
                    let checkpoint = Checkpoint::new(self.image.view.clone(), CHUNK_BYTES);
                    self.stage = Stage::Keys(checkpoint);
                    return self.next();
                }
                self.stage = Stage::Leases(last);
                Some(self.chunk(LEASES, &payload))
            }
            Stage::Keys(checkpoint) => checkpoint.next(),
        }
    }
}
