//! What a replica tells about itself, as plain data.

use raft::{Index, Status as CoreStatus};

/// A replica's view of itself and, if it leads, of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the core tells.
    pub core: CoreStatus,
    /// The cluster's ID.
    pub cluster_id: u64,
    /// How far this member's own machine has come.
    pub applied: Index,
    /// Up to where its log is on its disk.
    pub durable: Index,
    /// Where its newest durable checkpoint stands.
    pub checkpoint: Index,
    /// The size of that checkpoint in bytes.
    pub checkpoint_bytes: u64,
    /// Whether a checkpoint is being written now.
    pub checkpoint_under_way: bool,
    /// Bytes of entries applied since the newest checkpoint.
    pub log_bytes: u64,
    /// What is held of keys and versions.
    pub sizes: mvcc::Sizes,
    /// What counts for the quota, in bytes: the same on all members.
    pub live_bytes: u64,
    /// How many leases there are.
    pub leases_len: usize,
    /// How many clients wait for an answer.
    pub waiting_len: usize,
    /// How many commands of this member's clients are not executed.
    pub proposals_len: usize,
    /// What those commands take, in bytes.
    pub proposals_bytes: usize,
    /// Whether the log waits for space on the disk. It is tried again at each tick.
    pub disk_full: bool,
    /// Whether a compaction is still being carried out.
    pub compacting: bool,
    /// What commands have done since the member started.
    pub tally: store::Tally,
    /// How many messages of the core were dropped that every network gives rise to.
    pub dropped: u64,
    /// How many messages were dropped that no member which keeps the protocol can have sent.
    pub violations: u64,
    /// How many commands had to be proposed again, because they were certain to be lost.
    pub retries: u64,
}

/// What waits to be made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsynced {
    /// How many entries of the log.
    pub entries: u64,
    /// How many bytes.
    pub bytes: usize,
}
