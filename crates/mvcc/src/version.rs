//! One version of one key, in one allocation that is never changed.
//!
//! ```text
//! offset  0                       4
//!         sub (u32), bit 31 =     mvccpb.KeyValue as protobuf: what ranges and watches send
//!         this is a tombstone
//! ```
//!
//! What else there is to know stands in the message, and is read there: a million versions of 300
//! bytes are in memory, and each byte that all of them have costs a megabyte, or the step to the
//! next size that the allocator has. For the same reason nobody can hold them weakly.
//!
//! Numbers are little-endian. A tombstone holds its key and `mod_revision`, as the event of a
//! deletion does.

use std::fmt;

use triomphe::Arc;

use crate::encoding::{self, KeyValue};
use crate::hash::hash;
use crate::revision::{Change, Revision};

const HEADER: usize = 4;
const TOMBSTONE: u32 = 1 << 31;

/// What a version counts in memory beyond its message: the allocation, and its place in the trees.
/// All members count alike, so this never changes.
pub(crate) const OVERHEAD_BYTES: usize = 80;

/// Whether a version gave a key a value or took it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key was written.
    Put,
    /// The key was deleted: this is a tombstone.
    Delete,
}

/// Where the bytes of a value are.
///
/// Today they are always in memory. Whoever matches on this will be told by the compiler when a
/// version may have its value elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// In memory, here.
    Memory(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// Returns the bytes.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            ValueRef::Memory(bytes) => bytes,
        }
    }
}

/// One version of one key. A clone shares the allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    image: Arc<[u8]>,
}

impl Version {
    /// Builds a version; `scratch` is a buffer to reuse.
    ///
    /// `fields.mod_revision` is taken from `change`.
    pub(crate) fn new(
        change: Change,
        kind: Kind,
        fields: KeyValue<'_>,
        scratch: &mut Vec<u8>,
    ) -> Version {
        assert!(!fields.key.is_empty(), "a version without a key");
        scratch.clear();
        put_header(scratch, change.sub, kind);
        KeyValue { mod_revision: change.revision.0, ..fields }.encode(scratch);
        Version { image: Arc::from(scratch.as_slice()) }
    }

    /// Builds a version of a message as [`KeyValue::encode`] writes it; `scratch` is a buffer to
    /// reuse.
    pub(crate) fn of_encoded(
        sub: u32,
        kind: Kind,
        encoded: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Version {
        scratch.clear();
        put_header(scratch, sub, kind);
        scratch.extend_from_slice(encoded);
        Version { image: Arc::from(scratch.as_slice()) }
    }

    /// Returns the change that made this version.
    pub fn change(&self) -> Change {
        let sub = self.word() & !TOMBSTONE;
        Change { revision: self.mod_revision(), sub }
    }

    /// Returns whether this is a value or a tombstone.
    pub fn kind(&self) -> Kind {
        if self.word() & TOMBSTONE == 0 { Kind::Put } else { Kind::Delete }
    }

    /// Tells whether this is a tombstone.
    pub fn is_tombstone(&self) -> bool {
        self.kind() == Kind::Delete
    }

    /// Returns the key.
    pub fn key(&self) -> &[u8] {
        encoding::split_key(self.message()).0
    }

    /// Returns the revision of the transaction that wrote this version.
    pub fn mod_revision(&self) -> Revision {
        Revision(encoding::mod_revision(self.behind_key()))
    }

    /// Returns the revision at which the key was created, the last time that it was; zero for a
    /// tombstone.
    pub fn create_revision(&self) -> Revision {
        Revision(self.fields().create_revision)
    }

    /// Returns how often the key was written since it was created, from 1; zero for a tombstone.
    pub fn version(&self) -> u64 {
        self.fields().version
    }

    /// Returns the value.
    pub fn value(&self) -> ValueRef<'_> {
        ValueRef::Memory(self.fields().value)
    }

    /// Returns the lease that the key is attached to, or `None`.
    pub fn lease(&self) -> Option<i64> {
        Some(self.fields().lease).filter(|lease| *lease != 0)
    }

    /// Returns the whole `mvccpb.KeyValue`, encoded.
    pub fn encoded(&self) -> ValueRef<'_> {
        ValueRef::Memory(self.message())
    }

    /// Returns the `mvccpb.KeyValue` without value and lease, encoded: what a range of keys only
    /// answers, and always in memory.
    pub fn encoded_key_only(&self) -> &[u8] {
        let (message, behind_key) = (self.message(), self.behind_key());
        let key_end = message.len() - behind_key.len();
        &message[..key_end + encoding::before_value(behind_key)]
    }

    /// Returns what this version counts in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.message().len() + OVERHEAD_BYTES
    }

    /// Hashes the version: revision, place in the transaction, kind, length of the key, and the
    /// message. `scratch` is a buffer to reuse.
    pub(crate) fn hash(&self, seed: u64, scratch: &mut Vec<u8>) -> u64 {
        let key_len = u32::try_from(self.key().len()).expect("a key is shorter than 4 GiB");
        scratch.clear();
        scratch.extend_from_slice(&self.mod_revision().0.to_le_bytes());
        scratch.extend_from_slice(&self.word().to_le_bytes());
        scratch.extend_from_slice(&key_len.to_le_bytes());
        scratch.extend_from_slice(self.message());
        hash(scratch, seed)
    }

    /// Reads from the version's memory, so that a later access finds it in the cache.
    pub(crate) fn touch(&self) -> usize {
        Arc::strong_count(&self.image)
    }

    fn word(&self) -> u32 {
        u32::from_le_bytes(self.image[..HEADER].try_into().expect("a header has four bytes"))
    }

    fn message(&self) -> &[u8] {
        &self.image[HEADER..]
    }

    fn behind_key(&self) -> &[u8] {
        encoding::split_key(self.message()).1
    }

    fn fields(&self) -> KeyValue<'_> {
        KeyValue::decode_behind_key(self.behind_key())
            .expect("the bytes of a version are well formed")
    }
}

fn put_header(out: &mut Vec<u8>, sub: u32, kind: Kind) {
    assert!(sub < TOMBSTONE, "change {sub} of one transaction");
    let flag = match kind {
        Kind::Put => 0,
        Kind::Delete => TOMBSTONE,
    };
    out.extend_from_slice(&(sub | flag).to_le_bytes());
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { revision, sub } = self.change();
        let key = self.key().escape_ascii();
        match self.kind() {
            Kind::Put => {
                let value = self.value().bytes();
                write!(f, "put {key}@{revision}.{sub}={}", value.escape_ascii())
            }
            Kind::Delete => write!(f, "delete {key}@{revision}.{sub}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_gives_back_what_it_was_made_of() {
        let change = Change { revision: Revision(300), sub: 7 };
        for key_len in [1, 127, 128, 20_000] {
            let key = vec![b'k'; key_len];
            let fields = KeyValue {
                key: &key,
                create_revision: 200,
                version: 4,
                value: b"v",
                lease: 9,
                ..KeyValue::default()
            };
            let version = Version::new(change, Kind::Put, fields, &mut Vec::new());
            assert_eq!(version.key(), key);
            assert_eq!(version.change(), change);
            assert_eq!(version.create_revision(), Revision(200));
            assert_eq!((version.version(), version.lease()), (4, Some(9)));
            assert_eq!(version.value(), ValueRef::Memory(b"v"));
            let only_key = KeyValue::decode(version.encoded_key_only()).unwrap();
            assert_eq!(only_key, KeyValue { value: b"", lease: 0, mod_revision: 300, ..fields });
        }
    }

    #[test]
    fn tombstone_holds_key_and_revision() {
        let change = Change { revision: Revision(5), sub: 0 };
        let fields = KeyValue { key: b"k", ..KeyValue::default() };
        let version = Version::new(change, Kind::Delete, fields, &mut Vec::new());
        assert!(version.is_tombstone());
        assert_eq!(version.encoded().bytes(), [0x0a, 1, b'k', 0x18, 5]);
        assert_eq!(version.encoded_key_only(), version.encoded().bytes());
        let mut hashed = Vec::new();
        version.hash(0, &mut hashed);
        assert_eq!(hashed[..16], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0]);
        assert_eq!(hashed[16..], *version.encoded().bytes());
    }
}
