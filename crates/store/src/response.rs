//! What the machine answers.

use mvcc::{Revision, Version};
use thiserror::Error;

use crate::command::{AlarmKind, Target};

/// What became of a command: the same on every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision of the store after the command, for the header of the answer.
    pub revision: Revision,
    /// The answer, or why the command was refused and nothing changed.
    pub result: Result<Response, Rejection>,
}

/// The answer to a command, by the kind of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To a put: the version before, if it was wanted and there was one.
    Put(Option<Version>),
    /// To a deletion.
    DeleteRange(DeletedRange),
    /// To a transaction.
    Txn(TxnResponse),
    /// To a compaction.
    Compact,
    /// To the grant of a lease: its time to live in seconds.
    LeaseGrant {
        /// Seconds.
        ttl: i64,
    },
    /// To commands on leases and attributes that only succeed.
    Done,
    /// To a change of an alarm: the alarms that were changed, as (member, kind).
    Alarm(Vec<(u64, AlarmKind)>),
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedRange {
    /// How many keys were deleted.
    pub deleted: i64,
    /// Their last versions, if they were wanted.
    pub previous: Vec<Version>,
}

/// What a range holds. What is wanted of the versions (keys only) the request knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeAnswer {
    /// The versions, sorted as asked.
    pub versions: Vec<Version>,
    /// Whether the limit cut some off.
    pub more: bool,
    /// How many keys the range has, whatever the limit.
    pub count: i64,
    /// Whether the versions are to be sent without their values.
    pub keys_only: bool,
    /// What the versions are sorted by.
    pub target: Target,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// The answers to the operations that were done, in order.
    pub responses: Vec<OperationResponse>,
}

/// The answer to one operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResponse {
    /// To a range.
    Range(RangeAnswer),
    /// To a put: the version before, if it was wanted and there was one.
    Put(Option<Version>),
    /// To a deletion.
    DeleteRange(DeletedRange),
    /// To a transaction inside.
    Txn(TxnResponse),
}

/// Why a command or a read is refused; every member refuses it alike. The server has the one table
/// from these to etcd's codes and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// A key is empty.
    #[error("the key is empty")]
    EmptyKey,
    /// A put that keeps value or lease speaks of a key that does not exist.
    #[error("the key does not exist")]
    KeyNotFound,
    /// A put with `ignore_value` brings a value.
    #[error("a value is given where it is to be kept")]
    ValueProvided,
    /// A put with `ignore_lease` brings a lease.
    #[error("a lease is given where it is to be kept")]
    LeaseProvided,
    /// A transaction puts one key twice, or puts and deletes it, in one branch.
    #[error("a key is written twice in one transaction")]
    DuplicateKey,
    /// A transaction has more operations than are allowed, or nests too deeply.
    #[error("the transaction has too many operations")]
    TooManyOperations,
    /// The revision is compacted.
    #[error("the revision is compacted")]
    Compacted,
    /// The revision is not reached yet.
    #[error("the revision is not reached yet")]
    FutureRevision,
    /// There is no such lease.
    #[error("there is no such lease")]
    LeaseNotFound,
    /// There is such a lease already.
    #[error("there is such a lease already")]
    LeaseExists,
    /// The time to live is above 9,000,000,000 s.
    #[error("the time to live is above 9000000000 seconds")]
    LeaseTtlTooLarge,
    /// The quota is exceeded: only what frees space is taken.
    #[error("the quota is exceeded")]
    NoSpace,
    /// The members disagree about the contents, and an operator must look.
    #[error("the members disagree about the contents")]
    Corrupt,
    /// There is no such member.
    #[error("there is no such member")]
    MemberNotFound,
    /// There is such a member already.
    #[error("there is such a member already")]
    MemberExists,
    /// Another member has one of these peer URLs.
    #[error("another member has one of these peer URLs")]
    PeerUrlExists,
    /// A downgrade is already under way.
    #[error("a downgrade is already under way")]
    DowngradeInProgress,
    /// There is no downgrade to take back.
    #[error("there is no downgrade to take back")]
    NoDowngrade,
}

impl TxnResponse {
    /// Tells whether the transaction has changed anything, and so has a revision of its own.
    pub fn has_changed(&self) -> bool {
        self.responses.iter().any(OperationResponse::has_changed)
    }
}

impl OperationResponse {
    /// Tells whether the operation has changed anything. From the first in a transaction that has
    /// on, the answers to its operations bear the transaction's own revision; before it, the one
    /// before that.
    pub fn has_changed(&self) -> bool {
        match self {
            OperationResponse::Range(_) => false,
            OperationResponse::Put(_) => true,
            OperationResponse::DeleteRange(deleted) => deleted.deleted != 0,
            OperationResponse::Txn(txn) => txn.has_changed(),
        }
    }
}
