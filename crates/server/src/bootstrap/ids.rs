//! The IDs of first members and of their cluster, as etcd computes them.
//!
//! ```text
//! member  = first 8 bytes, big-endian, of SHA-1(peer addresses, sorted, joined; token; [seconds])
//! cluster = first 8 bytes, big-endian, of SHA-1(member IDs, sorted, 8 bytes big-endian each)
//! ```

use sha1::{Digest, Sha1};

use crate::config::Url;

/// The ID of a first member.
#[must_use]
pub fn member_id(peer_urls: &[Url], token: &str) -> u64 {
    let mut sorted: Vec<&str> = peer_urls.iter().map(Url::as_str).collect();
    sorted.sort_unstable();
    hash(&[sorted.concat().as_bytes(), token.as_bytes()])
}

/// The ID of a member that is added to a cluster at this time, in seconds since 1970. The time
/// makes it another ID than any member had that was at the same address before.
#[must_use]
pub fn added_member_id(peer_urls: &[String], unix_seconds: u64) -> u64 {
    let mut sorted: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    hash(&[sorted.concat().as_bytes(), unix_seconds.to_string().as_bytes()])
}

/// The ID of the cluster that these members found.
#[must_use]
pub fn cluster_id(member_ids: impl IntoIterator<Item = u64>) -> u64 {
    let mut ids: Vec<u64> = member_ids.into_iter().collect();
    ids.sort_unstable();
    let bytes: Vec<u8> = ids.into_iter().flat_map(u64::to_be_bytes).collect();
    hash(&[&bytes])
}

/// The ID of the cluster that goes on from the snapshot with this hash, in place of the one that
/// its members would found without. So it is the same on all of them, and not that of the old
/// cluster, even if the members are the same.
#[must_use]
pub fn restored_cluster_id(founded: u64, snapshot_hash: &[u8; 32]) -> u64 {
    hash(&[&founded.to_le_bytes(), snapshot_hash])
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let first = digest.first_chunk::<8>().expect("SHA-1 has 20 bytes");
    #[expect(clippy::big_endian_bytes, reason = "etcd's IDs are defined that way")]
    let id = u64::from_be_bytes(*first);
    id
}
