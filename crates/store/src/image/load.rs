//! Loading an image. Everything that a stream says is checked: it comes from outside.

use bytes::Bytes;
use mvcc::{Answer, Filter, KeyRange, RangeRequest, SortTarget, Store, Version, hash};
use thiserror::Error;

use super::{CHUNK_HEADER_BYTES, FORMAT, HEAD, Image, LEASE_BYTES, LEASES, MAGIC};
use crate::cluster::Cluster;
use crate::codec::Reader;
use crate::leases::{Attached, Lease, LeaseTable, Leases};
use crate::machine::Machine;

/// Why a stream is refused. A number is that of the chunk, counted from zero.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The chunk is not as it was written, or is not the one that follows.
    #[error("chunk {0} of the image is damaged or out of place")]
    Damaged(u64),
    /// The stream has a format that this program does not know.
    #[error("the image has format {0}, and only {FORMAT} is known")]
    Format(u32),
    /// The chunk has the right checksum, but says something that cannot be.
    #[error("chunk {0} of the image is wrong: {1}")]
    Wrong(u64, &'static str),
    /// The keys could not be loaded. Chunks are counted from the first one with keys.
    #[error("the keys of the image could not be loaded")]
    Keys(#[source] mvcc::LoadError),
    /// The stream ends too early, after this many chunks.
    #[error("the image ends after {0} chunks, before it is complete")]
    Unfinished(u64),
}

/// Builds a machine from the chunks of a stream.
#[derive(Debug, Default)]
pub struct MachineLoader {
    chunks: u64,
    checksum: u64,
    stage: Stage,
    /// The digest that the machine must have.
    digest: u64,
    leases: LeaseTable,
    /// How many leases are still to come.
    leases_left: usize,
    /// The ID of the last lease so far.
    last: Option<i64>,
    cluster: Cluster,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Head,
    Leases,
    Keys(Box<mvcc::Loader>),
}

impl Image {
    /// Makes a machine of what the image shares with the one that it was taken of.
    pub(crate) fn rebuild(self) -> Machine {
        let store = Store::from(self.view);
        let attached = attached_of(all_of(&store), &self.leases);
        let attached = attached.expect("the keys of a machine are attached to its own leases");
        Machine::of(store, Leases::of(self.leases, attached), self.cluster)
    }
}

impl MachineLoader {
    /// Begins with nothing.
    pub fn new() -> MachineLoader {
        MachineLoader::default()
    }

    /// Takes in the next chunk, as [`super::Chunks`] gave it.
    ///
    /// # Errors
    ///
    /// The chunk is damaged or wrong. The loader is then of no more use.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), LoadError> {
        match &mut self.stage {
            Stage::Head => {
                let payload = self.open(HEAD, chunk)?;
                self.head(payload)?;
                self.stage = Stage::Leases;
            }
            Stage::Leases if self.leases_left == 0 => {
                let mut loader = Box::new(mvcc::Loader::new());
                loader.push(chunk).map_err(LoadError::Keys)?;
                self.stage = Stage::Keys(loader);
            }
            Stage::Leases => {
                let payload = self.open(LEASES, chunk)?;
                self.take_leases(payload).map_err(|what| self.wrong(what))?;
            }
            Stage::Keys(loader) => loader.push(chunk).map_err(LoadError::Keys)?,
        }
        self.chunks += 1;
        Ok(())
    }

    /// Returns the machine.
    ///
    /// # Errors
    ///
    /// The stream is not complete, or its parts do not belong together.
    pub fn finish(self) -> Result<Machine, LoadError> {
        let last = self.chunks.saturating_sub(1);
        let wrong = |what| LoadError::Wrong(last, what);
        let Stage::Keys(mut loader) = self.stage else {
            return Err(LoadError::Unfinished(self.chunks));
        };
        let leased = loader.take_leased();
        let store = loader.finish().map_err(LoadError::Keys)?;
        let attached = attached_of(&leased, &self.leases).map_err(wrong)?;
        let machine = Machine::of(store, Leases::of(self.leases, attached), self.cluster);
        if machine.digest() != self.digest {
            return Err(wrong("the parts of the image do not belong together"));
        }
        Ok(machine)
    }

    fn wrong(&self, what: &'static str) -> LoadError {
        LoadError::Wrong(self.chunks, what)
    }

    /// Checks a chunk's frame and kind and returns what is in it.
    fn open<'c>(&mut self, kind: u32, chunk: &'c [u8]) -> Result<&'c [u8], LoadError> {
        let damaged = LoadError::Damaged(self.chunks);
        let Some((header, payload)) = chunk.split_at_checked(CHUNK_HEADER_BYTES) else {
            return Err(damaged);
        };
        let mut wanted = MAGIC.to_vec();
        wanted.extend_from_slice(&kind.to_le_bytes());
        wanted.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.checksum = hash(payload, hash(&wanted, self.checksum));
        wanted.extend_from_slice(&self.checksum.to_le_bytes());
        if header == wanted { Ok(payload) } else { Err(damaged) }
    }

    fn head(&mut self, payload: &[u8]) -> Result<(), LoadError> {
        let payload = Bytes::copy_from_slice(payload);
        let mut reader = Reader::new(&payload);
        let short = |_| LoadError::Wrong(0, "the head cannot be read");
        let format = reader.word().map_err(short)?;
        if format != FORMAT {
            return Err(LoadError::Format(format));
        }
        if reader.word().map_err(short)? != 0 {
            return Err(self.wrong("what is not used is not zero"));
        }
        self.digest = reader.unsigned().map_err(short)?;
        self.leases_left = reader.word().map_err(short)? as usize;
        self.cluster = Cluster::decode(&mut reader).map_err(short)?;
        reader.finish().map_err(short)
    }

    fn take_leases(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let (leases, rest) = payload.as_chunks::<LEASE_BYTES>();
        if leases.is_empty() || !rest.is_empty() || self.leases_left < leases.len() {
            return Err("the number of leases is another");
        }
        self.leases_left -= leases.len();
        for bytes in leases {
            let lease = Lease::from_bytes(bytes).ok_or("a lease says what cannot be")?;
            if Some(lease.id) <= self.last {
                return Err("leases are out of order");
            }
            self.last = Some(lease.id);
            self.leases.insert(lease);
        }
        Ok(())
    }
}

/// Finds out which keys are attached to which lease, from the versions of those that are.
fn attached_of<'v>(
    leased: impl IntoIterator<Item = &'v Version>,
    leases: &LeaseTable,
) -> Result<Attached, &'static str> {
    let mut pairs = Vec::new();
    for version in leased {
        let Some(lease) = version.lease() else { continue };
        leases.get(lease).ok_or("a key is attached to a lease that is not there")?;
        pairs.push((lease, version.key()));
    }
    Ok(Attached::of(pairs))
}

/// Returns the latest versions of all keys.
fn all_of(store: &Store) -> Vec<&Version> {
    let all = RangeRequest {
        keys: KeyRange::all(),
        revision: None,
        limit: None,
        answer: Answer::Versions,
        target: SortTarget::Key,
        order: None,
        filter: Filter::default(),
    };
    store.now().range(&all).expect("a view shows its own revision").versions
}
