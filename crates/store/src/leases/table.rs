//! The leases themselves, in a sorted table that can be copied in no time.

use std::sync::Arc;

use mvcc::hash;

/// How many leases a chunk has at most.
const CHUNK_LEN_MAX: usize = 256;
/// A chunk that has fewer is joined with a neighbour, if both together are no more than
/// [`JOINED_LEN_MAX`].
const CHUNK_LEN_MIN: usize = CHUNK_LEN_MAX / 4;
const JOINED_LEN_MAX: usize = CHUNK_LEN_MAX * 3 / 4;

/// A lease, without its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its ID; never zero.
    pub id: i64,
    /// For how many seconds it was granted.
    pub ttl: i64,
    /// How many seconds were left when the leader last told, above zero; `None` if it has not told
    /// since the lease was granted or renewed.
    pub remaining: Option<i64>,
}

/// All leases by their IDs. A clone shares everything until one of the two is changed, and then
/// all but a directory and the chunks that are changed.
///
/// ```text
/// directory  [first ID, chunk] [first ID, chunk] …      shared as a whole
///                       │
/// chunk                 └─► lease, lease, …             shared one by one
/// ```
///
/// Invariant: no chunk is empty; IDs ascend; `digest` is the sum of the hashes of all leases.
#[derive(Clone, Debug, Default)]
pub struct LeaseTable {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
    digest: u64,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// The ID of the first lease.
    first: i64,
    leases: Arc<Vec<Lease>>,
}

impl Lease {
    /// Returns how many seconds a new leader gives it: what was left, as far as is known.
    pub fn seconds_left(&self) -> i64 {
        self.remaining.unwrap_or(self.ttl)
    }

    /// Returns the numbers of the lease as they stand in images: zero for nothing told.
    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ttl.to_le_bytes());
        bytes[16..].copy_from_slice(&self.remaining.unwrap_or(0).to_le_bytes());
        bytes
    }

    /// Returns the lease that stands in an image, or `None` if that cannot be one.
    pub(crate) fn from_bytes(bytes: &[u8; 24]) -> Option<Lease> {
        let [id, ttl, remaining] = [0, 8, 16].map(|at| {
            i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were asked for"))
        });
        let remaining_told = Some(remaining).filter(|seconds| *seconds != 0);
        let is_possible = id != 0 && 0 <= remaining;
        is_possible.then_some(Lease { id, ttl, remaining: remaining_told })
    }
}

impl Chunk {
    fn of(leases: Vec<Lease>) -> Chunk {
        assert!(!leases.is_empty(), "a chunk without leases");
        Chunk { first: leases[0].id, leases: Arc::new(leases) }
    }
}

impl LeaseTable {
    /// Returns how many leases there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a lease.
    pub fn get(&self, id: i64) -> Option<Lease> {
        let leases = &self.chunks.get(self.chunk_of(id)?)?.leases;
        leases.binary_search_by_key(&id, |lease| lease.id).ok().map(|at| leases[at])
    }

    /// Iterates over all leases, by ascending ID.
    pub fn iter(&self) -> impl Iterator<Item = Lease> {
        self.chunks.iter().flat_map(|chunk| chunk.leases.iter().copied())
    }

    /// Iterates over the leases from an ID on, that included.
    pub(crate) fn iter_from(&self, id: i64) -> impl Iterator<Item = Lease> {
        let chunks = &self.chunks[self.chunk_of(id).unwrap_or(0)..];
        let all = chunks.iter().flat_map(|chunk| chunk.leases.iter().copied());
        all.skip_while(move |lease| lease.id < id)
    }

    /// Returns the sum of the hashes of all leases: the same for the same leases, however they
    /// came to be.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Puts in a lease and returns the one that had its ID.
    pub(crate) fn insert(&mut self, lease: Lease) -> Option<Lease> {
        self.digest = self.digest.wrapping_add(hash(&lease.to_bytes(), 0));
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(at) = place(chunks, lease.id) else {
            chunks.insert(0, Chunk::of(vec![lease]));
            self.len += 1;
            return None;
        };
        let Chunk { first, leases } = &mut chunks[at];
        assert!(*first <= lease.id, "lease {} is put behind {first}", lease.id);
        let leases = Arc::make_mut(leases);
        match leases.binary_search_by_key(&lease.id, |other| other.id) {
            Ok(found) => {
                let before = std::mem::replace(&mut leases[found], lease);
                self.digest = self.digest.wrapping_sub(hash(&before.to_bytes(), 0));
                Some(before)
            }
            Err(between) => {
                leases.insert(between, lease);
                self.len += 1;
                if CHUNK_LEN_MAX < leases.len() {
                    // IDs that ascend fill the chunks.
                    let is_last = between + 1 == leases.len();
                    let keep = if is_last { CHUNK_LEN_MAX } else { leases.len() / 2 };
                    let behind = leases.split_off(keep);
                    chunks.insert(at + 1, Chunk::of(behind));
                }
                None
            }
        }
    }

    /// Takes out a lease.
    pub(crate) fn remove(&mut self, id: i64) -> Option<Lease> {
        self.get(id)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let at = place(chunks, id)?;
        let leases = Arc::make_mut(&mut chunks[at].leases);
        let found = leases.binary_search_by_key(&id, |lease| lease.id).ok()?;
        let lease = leases.remove(found);
        self.digest = self.digest.wrapping_sub(hash(&lease.to_bytes(), 0));
        self.len -= 1;
        assert!(self.len > 0 || self.digest == 0, "a digest of no leases: {}", self.digest);
        match leases.first() {
            Some(first) => chunks[at].first = first.id,
            None => {
                chunks.remove(at);
            }
        }
        join(chunks, at);
        if let Some(before) = at.checked_sub(1) {
            join(chunks, before);
        }
        Some(lease)
    }

    #[cfg(test)]
    pub(crate) fn chunks_len(&self) -> usize {
        self.chunks.len()
    }

    fn chunk_of(&self, id: i64) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.first <= id).checked_sub(1)
    }
}

/// Returns the chunk where a lease is or belongs: the first one, if it is less than all.
fn place(chunks: &mut [Chunk], id: i64) -> Option<usize> {
    let behind = chunks.partition_point(|chunk| chunk.first <= id);
    let first = chunks.first_mut()?;
    if behind == 0 {
        first.first = id;
    }
    Some(behind.saturating_sub(1))
}

/// Joins a chunk with the one behind it, if either has become short.
fn join(chunks: &mut Vec<Chunk>, at: usize) {
    let len_of = |at: usize| chunks.get(at).map(|chunk| chunk.leases.len());
    let (Some(len), Some(next)) = (len_of(at), len_of(at + 1)) else { return };
    if len.min(next) < CHUNK_LEN_MIN && len + next <= JOINED_LEN_MAX {
        let behind = chunks.remove(at + 1);
        Arc::make_mut(&mut chunks[at].leases).extend_from_slice(&behind.leases);
    }
}
