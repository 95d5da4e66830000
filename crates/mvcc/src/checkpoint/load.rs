//! Loading a checkpoint. Everything that a stream says is checked: it comes from outside.

use std::fmt;

use super::{ChunkKind, FORMAT, HEADER, MAGIC, TOMBSTONE};
use crate::encoding::KeyValue;
use crate::hash::hash;
use crate::retained::is_kept;
use crate::revision::{Change, Revision};
use crate::store::Store;
use crate::tree::{Builder, ByChange, ByKey, ByKeyAndChange, Tree};
use crate::version::{Kind, Version};
use crate::view::View;

/// Why a stream is refused. The number is that of the chunk, counted from zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The chunk is not as it was written, or is not the one that follows.
    Damaged(u64),
    /// The stream has a format that this program does not know.
    Format(u32),
    /// The chunk has the right checksum, but says something that cannot be.
    Wrong(u64, &'static str),
    /// The stream ends before its end chunk, after this many chunks.
    Unfinished(u64),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Damaged(chunk) => {
                write!(f, "chunk {chunk} of the checkpoint is damaged or out of place")
            }
            LoadError::Format(found) => {
                write!(f, "the checkpoint has format {found}, and only {FORMAT} is known")
            }
            LoadError::Wrong(chunk, what) => {
                write!(f, "chunk {chunk} of the checkpoint is wrong: {what}")
            }
            LoadError::Unfinished(chunks) => {
                write!(f, "the checkpoint ends after {chunks} chunks, without an end chunk")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Builds a store from the chunks of a stream.
pub struct Loader {
    chunks: u64,
    checksum: u64,
    stage: Stage,
    view: View,
    live: Builder<ByKey>,
    past: Builder<ByKeyAndChange>,
    versions: u64,
    /// The last version so far. It is kept back until it is known whether it is its key's latest.
    last: Option<Version>,
    /// The latest versions of keys that exist and are attached to a lease.
    leased: Vec<Version>,
    /// What belongs into the log, not yet in order. To sort it, nothing else must be read.
    log: Vec<(Change, Version)>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Versions,
    Done,
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("stage", &self.stage)
            .field("chunks", &self.chunks)
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

impl Default for Loader {
    fn default() -> Loader {
        Loader::new()
    }
}

impl Loader {
    /// Begins with nothing.
    pub fn new() -> Loader {
        Loader {
            chunks: 0,
            checksum: 0,
            stage: Stage::Head,
            view: View::empty(),
            live: Builder::new(),
            past: Builder::new(),
            versions: 0,
            last: None,
            leased: Vec::new(),
            log: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes in the next chunk.
    ///
    /// # Errors
    ///
    /// The chunk is damaged or wrong. The loader is then of no more use.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), LoadError> {
        let (kind, payload) = self.open(chunk).ok_or(LoadError::Damaged(self.chunks))?;
        match (self.stage, kind) {
            (Stage::Head, ChunkKind::Head) => {
                self.head(payload)?;
                self.stage = Stage::Versions;
            }
            (Stage::Versions, ChunkKind::Versions) => {
                let mut rest = payload;
                while !rest.is_empty() {
                    self.version(&mut rest).map_err(|what| self.wrong(what))?;
                }
            }
            (Stage::Versions, ChunkKind::End) => {
                self.end(payload).map_err(|what| self.wrong(what))?;
                self.stage = Stage::Done;
            }
            (Stage::Head | Stage::Versions | Stage::Done, _) => {
                return Err(LoadError::Damaged(self.chunks));
            }
        }
        self.chunks += 1;
        Ok(())
    }

    /// Gives away the latest versions of the keys that exist and are attached to a lease, by key.
    /// Looking through the store for them would take as long again as loading it.
    pub fn take_leased(&mut self) -> Vec<Version> {
        std::mem::take(&mut self.leased)
    }

    /// Returns the store.
    ///
    /// # Errors
    ///
    /// The end chunk has not been seen.
    pub fn finish(self) -> Result<Store, LoadError> {
        match self.stage {
            Stage::Done => Ok(Store::of(self.view)),
            Stage::Head | Stage::Versions => Err(LoadError::Unfinished(self.chunks)),
        }
    }

    fn wrong(&self, what: &'static str) -> LoadError {
        LoadError::Wrong(self.chunks, what)
    }

    /// Checks a chunk's frame and returns what is in it.
    fn open<'c>(&mut self, chunk: &'c [u8]) -> Option<(ChunkKind, &'c [u8])> {
        let (header, payload) = chunk.split_at_checked(HEADER)?;
        let len = read_u64(&header[8..16]);
        let checksum = hash(payload, hash(&header[..16], self.checksum));
        let is_whole = header[..4] == MAGIC
            && usize::try_from(len) == Ok(payload.len())
            && read_u64(&header[16..]) == checksum;
        self.checksum = checksum;
        let kinds = [ChunkKind::Head, ChunkKind::Versions, ChunkKind::End];
        let kind = kinds.into_iter().find(|kind| *kind as u32 == read_u32(&header[4..8]))?;
        is_whole.then_some((kind, payload))
    }

    fn head(&mut self, payload: &[u8]) -> Result<(), LoadError> {
        if payload.len() < 4 {
            return Err(self.wrong("the head is too short for a format"));
        }
        let format = read_u32(payload);
        if format != FORMAT {
            return Err(LoadError::Format(format));
        }
        if payload.len() != 32 {
            return Err(self.wrong("the head of this format has 32 bytes"));
        }
        self.view.revision = Revision(read_u64(&payload[8..]));
        let compacted = Revision(read_u64(&payload[16..]));
        self.view.compacted = match (read_u32(&payload[4..]), compacted) {
            (0, Revision(0)) => None,
            (1, compacted) if compacted <= self.view.revision => Some(compacted),
            _ => return Err(self.wrong("the compacted revision cannot be")),
        };
        if self.view.revision < Revision::FIRST {
            return Err(self.wrong("revisions begin with 1"));
        }
        self.view.digest = read_u64(&payload[24..]);
        Ok(())
    }

    fn version(&mut self, rest: &mut &[u8]) -> Result<(), &'static str> {
        let short = "a version is cut off";
        let (header, behind) = rest.split_at_checked(8).ok_or(short)?;
        let len = usize::try_from(read_u32(&header[4..])).map_err(|_| short)?;
        let (encoded, behind) = behind.split_at_checked(len).ok_or(short)?;
        *rest = behind;
        let fields = KeyValue::decode(encoded).ok_or("a version is not encoded as it must be")?;
        let sub = read_u32(header);
        let kind = if sub & TOMBSTONE == 0 { Kind::Put } else { Kind::Delete };
        let revision = Revision(fields.mod_revision);
        let change = Change { revision, sub: sub & !TOMBSTONE };
        if fields.key.is_empty() || revision <= Revision::FIRST || self.view.revision < revision {
            return Err("a version without a key, or of a revision that never was");
        }
        self.check_against_last(&fields, kind, change)?;
        let version = Version::of_encoded(change.sub, kind, encoded, &mut self.scratch);
        if self.view.compacted <= Some(revision) {
            self.log.push((change, version.clone()));
        }
        if let Some(last) = self.last.take() {
            let superseded = (last.key() == version.key()).then_some(revision);
            self.place(last, superseded)?;
        }
        self.last = Some(version);
        self.versions += 1;
        Ok(())
    }

    /// Checks that a version can follow the one before it, of the same key or of another.
    fn check_against_last(
        &self,
        fields: &KeyValue<'_>,
        kind: Kind,
        change: Change,
    ) -> Result<(), &'static str> {
        let last = self.last.as_ref();
        if last.is_some_and(|last| (fields.key, change) <= (last.key(), last.change())) {
            return Err("versions are out of order");
        }
        let before = last.filter(|last| last.key() == fields.key);
        let is_possible = match kind {
            Kind::Delete => {
                *fields
                    == KeyValue {
                        key: fields.key,
                        mod_revision: fields.mod_revision,
                        ..KeyValue::default()
                    }
                    && before.is_none_or(|before| !before.is_tombstone())
            }
            Kind::Put => match before {
                Some(before) if !before.is_tombstone() => {
                    fields.create_revision == before.create_revision().0
                        && fields.version == before.version() + 1
                }
                Some(_) => fields.create_revision == change.revision.0 && fields.version == 1,
                None => {
                    (1..=change.revision.0).contains(&fields.create_revision) && fields.version > 0
                }
            },
        };
        if is_possible { Ok(()) } else { Err("a version does not follow from the one before") }
    }

    /// Puts a version where it belongs, now that it is known whether and when it was superseded.
    fn place(
        &mut self,
        version: Version,
        superseded: Option<Revision>,
    ) -> Result<(), &'static str> {
        if !is_kept(&version, superseded, self.view.compacted) {
            return Err("a version that was to be compacted");
        }
        let bytes = version.memory_bytes();
        if superseded.is_none() && !version.is_tombstone() {
            self.view.live_bytes += bytes;
            if version.lease().is_some() {
                self.leased.push(version.clone());
            }
            self.live.push(ByKey(version));
        } else {
            self.view.past_bytes += bytes;
            self.past.push(ByKeyAndChange(version));
        }
        Ok(())
    }

    fn end(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        if let Some(last) = self.last.take() {
            self.place(last, None)?;
        }
        if payload.len() != 16 || read_u64(payload) != self.versions {
            return Err("the number of versions is another");
        }
        if read_u64(&payload[8..]) != self.live.len() as u64 {
            return Err("the number of keys is another");
        }
        let mut log = std::mem::take(&mut self.log);
        log.sort_unstable_by_key(|(change, _)| *change);
        if log.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("two versions have one change");
        }
        self.view.live = std::mem::replace(&mut self.live, Builder::new()).finish();
        self.view.past = std::mem::replace(&mut self.past, Builder::new()).finish();
        self.view.log = Tree::from_sorted(log.into_iter().map(|(_, version)| ByChange(version)));
        Ok(())
    }
}

fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes were asked for"))
}

fn read_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes were asked for"))
}
