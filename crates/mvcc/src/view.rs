//! The store as it was at one moment. A view is a few pointers, and nothing changes what it shows.

use std::fmt;

use crate::retained::Retained;
use crate::revision::{Change, Revision};
use crate::tree::{ByChange, ByKey, ByKeyAndChange, Probe, Tree};
use crate::version::Version;

/// The store at one moment: all keys and values, and the history that was kept then.
///
/// A clone costs three counted pointers, and can be read on any thread.
///
/// Invariant: `live` has the latest version of each key that exists, `past` all other versions,
/// among them every tombstone, and `log` whatever was written at the compacted revision or later.
#[derive(Clone)]
pub struct View {
    pub(crate) live: Tree<ByKey>,
    pub(crate) past: Tree<ByKeyAndChange>,
    pub(crate) log: Tree<ByChange>,
    pub(crate) revision: Revision,
    pub(crate) compacted: Option<Revision>,
    pub(crate) digest: u64,
    pub(crate) live_bytes: usize,
    pub(crate) past_bytes: usize,
}

/// Why a read at a revision is refused. Every member refuses it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The history was compacted up to this revision, which is later than what was asked for.
    Compacted(Revision),
    /// The store is only at this revision.
    Future(Revision),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Compacted(revision) => {
                write!(f, "the history is compacted up to revision {revision}")
            }
            ReadError::Future(revision) => write!(f, "the store is only at revision {revision}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// What a view holds, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// How many keys exist.
    pub keys: usize,
    /// How many versions are held beside the latest ones of these keys.
    pub past_versions: usize,
    /// What the latest versions of the keys that exist take, in bytes: the same on all members.
    pub live_bytes: usize,
    /// What the other versions take, in bytes. It depends on how far this member's compaction has
    /// come, so nothing that is replicated may depend on it.
    pub past_bytes: usize,
}

/// The hash of a store's contents, for comparing members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// The hash: equal if contents, revision and compacted revision are.
    pub hash: u64,
    /// The revision up to which it was taken.
    pub revision: Revision,
    /// The compacted revision, which tells what of the history was looked at.
    pub compacted: Option<Revision>,
}

impl View {
    pub(crate) fn empty() -> View {
        View {
            live: Tree::new(),
            past: Tree::new(),
            log: Tree::new(),
            revision: Revision::FIRST,
            compacted: None,
            digest: 0,
            live_bytes: 0,
            past_bytes: 0,
        }
    }

    /// Returns the revision of the last transaction that changed something.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the revision up to which the history was compacted, or `None` if it never was. It
    /// can still be read at, and watched from.
    pub fn compacted(&self) -> Option<Revision> {
        self.compacted
    }

    /// Returns a hash over all changes since the store was empty, in order. Members that have done
    /// the same have the same, whatever they have compacted.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Returns what is held, in numbers.
    pub fn sizes(&self) -> Sizes {
        let versions = self.live.len() + self.past.len();
        assert!(self.log.len() <= versions, "the log has more than {versions} versions");
        Sizes {
            keys: self.live.len(),
            past_versions: self.past.len(),
            live_bytes: self.live_bytes,
            past_bytes: self.past_bytes,
        }
    }

    /// Returns the latest version of a key that exists.
    pub fn get(&self, key: &[u8]) -> Option<&Version> {
        self.live.get(Probe::key(key)).map(|entry| &entry.0)
    }

    /// Returns the version of a key at a revision, if the key existed then.
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one, or has not been reached.
    pub fn get_at(&self, key: &[u8], revision: Revision) -> Result<Option<&Version>, ReadError> {
        self.admit(revision)?;
        Ok(self.version_at(key, revision))
    }

    /// Tells whether the view can show the store at a revision.
    pub(crate) fn admit(&self, revision: Revision) -> Result<(), ReadError> {
        if revision > self.revision {
            return Err(ReadError::Future(self.revision));
        }
        match self.compacted {
            Some(compacted) if revision < compacted => Err(ReadError::Compacted(compacted)),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn version_at(&self, key: &[u8], revision: Revision) -> Option<&Version> {
        if let Some(version) = self.get(key)
            && version.mod_revision() <= revision
        {
            return Some(version);
        }
        let behind = self.past.rank(Probe { key, change: Change::end_of(revision) });
        let version = &self.past.nth(behind.checked_sub(1)?)?.0;
        (version.key() == key && !version.is_tombstone()).then_some(version)
    }

    /// Hashes the contents up to a revision, or up to the current one.
    ///
    /// The hash covers, by key and revision, every version that has to be kept, with the header and
    /// the bytes that clients get. How much of a compaction has been carried out is of no
    /// influence. It takes time in proportion to the contents.
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one, or has not been reached.
    pub fn hash_kv(&self, revision: Option<Revision>) -> Result<HashKv, ReadError> {
        let revision = revision.unwrap_or(self.revision);
        self.admit(revision)?;
        let upto = Retained::new(self).filter(|version| version.mod_revision() <= revision);
        let mut scratch = Vec::new();
        let hash = upto.fold(0, |sum, version| version.hash(sum, &mut scratch));
        Ok(HashKv { hash, revision, compacted: self.compacted })
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("revision", &self.revision)
            .field("compacted", &self.compacted)
            .field("sizes", &self.sizes())
            .finish_non_exhaustive()
    }
}
