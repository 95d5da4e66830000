//! What can be asked of the machine through the log.

use bytes::Bytes;

use crate::members::MemberAttributes;

/// Names one command for ever: who asked for it, and its number there.
///
/// The member where the client waits knows its command by this when it comes back, whoever led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    /// The member where the command was asked for; zero if nobody waits for it.
    pub origin: u64,
    /// Its number there, different in every life of the member.
    pub sequence: u64,
}

/// One command. Keys and values share the allocation of the entry that they were decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Writes a key.
    Put(Put),
    /// Deletes a range of keys.
    DeleteRange(DeleteRange),
    /// Compares, and then does one of two lists of operations, under one revision.
    Txn(Txn),
    /// Compacts the history up to a revision. As in etcd, zero is taken of a store that was never
    /// compacted, and less than zero is refused as compacted.
    Compact {
        /// The last revision that can still be read at.
        revision: i64,
    },
    /// Grants a lease.
    LeaseGrant {
        /// Its ID; never zero here: who asks draws one if the client did not.
        id: i64,
        /// Its time to live in seconds, already raised to the minimum.
        ttl: i64,
    },
    /// Revokes a lease and deletes its keys.
    LeaseRevoke {
        /// Its ID.
        id: i64,
    },
    /// The leader has seen these leases run out. Those that do not exist are passed over; each of
    /// the others is revoked under a revision of its own.
    LeaseExpire {
        /// Their IDs, ascending.
        ids: Vec<i64>,
    },
    /// The leader tells how much of leases is left, so that its successor need not begin anew.
    LeaseCheckpoint {
        /// Lease ID and remaining seconds.
        remaining: Vec<(i64, i64)>,
    },
    /// Raises or lowers an alarm.
    Alarm {
        /// Which way.
        action: AlarmAction,
        /// Whose alarm; zero on lowering means every member's.
        member: u64,
        /// Which alarm.
        kind: AlarmKind,
    },
    /// A member tells its name and where its clients find it.
    Publish {
        /// Which member.
        member: u64,
        /// Its name.
        name: String,
        /// Its client URLs.
        client_urls: Vec<String>,
    },
    /// Other peer URLs for a member.
    MemberUpdate {
        /// Which member.
        member: u64,
        /// Its peer URLs.
        peer_urls: Vec<String>,
    },
    /// The version that the whole cluster can speak, as `X.Y.Z`.
    ClusterVersion {
        /// The version.
        version: String,
    },
    /// Allows or forbids members of an older version.
    Downgrade {
        /// The version to go to, as `X.Y.Z`; `None` takes it back.
        target: Option<String>,
    },
    /// Does nothing: what is asked is only whether the cluster commits.
    Nothing,
}

/// Writes a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// The key; empty is refused.
    pub key: Bytes,
    /// The value; ignored if `ignore_value`.
    pub value: Bytes,
    /// The lease to attach the key to; zero for none. Ignored if `ignore_lease`.
    pub lease: i64,
    /// Whether the version before is wanted.
    pub previous: bool,
    /// Keeps the value of a key that must exist.
    pub ignore_value: bool,
    /// Keeps the lease of a key that must exist.
    pub ignore_lease: bool,
}

/// Deletes a range of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRange {
    /// The first key; empty is refused.
    pub key: Bytes,
    /// The end as etcd means it: empty for one key, `\0` for all from `key` on.
    pub range_end: Bytes,
    /// Whether the versions before are wanted.
    pub previous: bool,
}

/// A read, alone or in a transaction; with etcd's meanings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first key; empty is refused.
    pub key: Bytes,
    /// The end: empty for one key, `\0` for all from `key` on.
    pub range_end: Bytes,
    /// How many at most; zero and less for all.
    pub limit: i64,
    /// At which revision; zero and less for now.
    pub revision: i64,
    /// In which direction it is sorted.
    pub order: Order,
    /// By what it is sorted.
    pub target: Target,
    /// Values are not wanted.
    pub keys_only: bool,
    /// Only the number of keys is wanted.
    pub count_only: bool,
    /// Bounds, inclusive; zero for none.
    pub mod_revision_min: i64,
    /// See `mod_revision_min`.
    pub mod_revision_max: i64,
    /// See `mod_revision_min`.
    pub create_revision_min: i64,
    /// See `mod_revision_min`.
    pub create_revision_max: i64,
}

/// In which direction a range is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Whatever is cheapest.
    #[default]
    None,
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// By what a range is sorted or a key is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The key.
    #[default]
    Key,
    /// The number of writes since creation.
    Version,
    /// The revision of creation.
    CreateRevision,
    /// The revision of the last write.
    ModRevision,
    /// The value.
    Value,
}

/// Compares, and then does one of two lists of operations, under one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold for `success`.
    pub compare: Vec<Compare>,
    /// What is done if all hold.
    pub success: Vec<Operation>,
    /// What is done otherwise.
    pub failure: Vec<Operation>,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads.
    Range(Range),
    /// Writes.
    Put(Put),
    /// Deletes.
    DeleteRange(DeleteRange),
    /// A transaction inside.
    Txn(Txn),
}

/// One comparison. With a range it must hold for every key there; with none there, it fails only
/// if it speaks of values, as in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// The end of a range, or empty for the key alone.
    pub range_end: Bytes,
    /// How.
    pub result: CompareResult,
    /// With what.
    pub with: CompareWith,
}

/// How two things are compared: the stored thing stands on the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareResult {
    /// They are equal.
    Equal,
    /// The stored one is greater.
    Greater,
    /// The stored one is less.
    Less,
    /// They differ.
    NotEqual,
}

/// With what a key is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareWith {
    /// Its version; zero if it does not exist.
    Version(i64),
    /// The revision of its creation; zero if it does not exist.
    CreateRevision(i64),
    /// The revision of its last write; zero if it does not exist.
    ModRevision(i64),
    /// Its value; never holds if it does not exist.
    Value(Bytes),
    /// Its lease; zero for none.
    Lease(i64),
}

/// Which way an alarm goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmAction {
    /// It is raised.
    Activate,
    /// It is lowered.
    Deactivate,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// Every kind; only to lower, or to list.
    None,
    /// The quota is exceeded.
    NoSpace,
    /// Members disagree.
    Corrupt,
}

/// What comes with a configuration entry of the core: who was added, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipContext {
    /// A member was added, as voter or learner: the configuration says which.
    Added {
        /// Its ID.
        member: u64,
        /// Where it is reached, and whether a learner is to become a voter by itself; name and
        /// client URLs are empty until it publishes them.
        attributes: MemberAttributes,
    },
    /// A learner became a voter.
    Promoted {
        /// Its ID.
        member: u64,
    },
    /// A member was removed, and its ID is never used again.
    Removed {
        /// Its ID.
        member: u64,
    },
}

impl MembershipContext {
    /// Returns whom the change is about.
    pub fn member(&self) -> u64 {
        match self {
            MembershipContext::Added { member, .. }
            | MembershipContext::Promoted { member }
            | MembershipContext::Removed { member } => *member,
        }
    }
}
