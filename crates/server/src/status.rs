//! What clients are told instead of an answer: one map from our errors to etcd's codes and texts.
//!
//! Clients match the text letter by letter, and then the code. So neither is written anywhere else.

use mvcc::ReadError;
use replica::{MembershipRefusal, TransferRefusal, Unavailable};
use store::Rejection;
use tonic::{Code, Status};

/// Declares [`Refusal`] together with code and text of each of its variants.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:ident, $text:literal;)+) => {
        /// Why a client gets no answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Refusal {
            /// All of them.
            #[cfg(test)]
            const ALL: &[Refusal] = &[$(Refusal::$name,)+];

            /// The code that etcd gives.
            #[must_use]
            pub fn code(self) -> Code {
                match self {
                    $(Refusal::$name => Code::$code,)+
                }
            }

            /// The text that etcd gives.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Refusal::$name => $text,)+
                }
            }
        }
    };
}

refusals! {
    /// A key is empty.
    EmptyKey = InvalidArgument, "etcdserver: key is not provided";
    /// A put that keeps value or lease speaks of a key that does not exist; also a transaction with
    /// an operation that is none.
    KeyNotFound = InvalidArgument, "etcdserver: key not found";
    /// A put that keeps the value brings one.
    ValueProvided = InvalidArgument, "etcdserver: value is provided";
    /// A put that keeps the lease brings one.
    LeaseProvided = InvalidArgument, "etcdserver: lease is provided";
    /// A transaction has more comparisons or operations than `--max-txn-ops`.
    TooManyOperations = InvalidArgument, "etcdserver: too many operations in txn request";
    /// A transaction writes a key twice in one branch.
    DuplicateKey = InvalidArgument, "etcdserver: duplicate key given in txn request";
    /// A range is to be sorted in an order that is not known.
    InvalidSortOption = InvalidArgument, "etcdserver: invalid sort option";
    /// A request is larger than `--max-request-bytes`.
    RequestTooLarge = InvalidArgument, "etcdserver: request is too large";
    /// The client's version is no text.
    InvalidClientVersion = InvalidArgument, "etcdserver: invalid client api version";
    /// The history is gone.
    Compacted = OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    /// The revision is not reached yet.
    FutureRevision = OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    /// The quota is exceeded.
    NoSpace = ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    /// There is no such lease.
    LeaseNotFound = NotFound, "etcdserver: requested lease not found";
    /// There is such a lease already.
    LeaseExists = FailedPrecondition, "etcdserver: lease already exists";
    /// The time to live is above 9,000,000,000 s.
    LeaseTtlTooLarge = OutOfRange, "etcdserver: too large lease TTL";
    /// The watch was closed.
    WatchCanceled = Cancelled, "etcdserver: watch canceled";
    /// There is such a member already.
    MemberExists = FailedPrecondition, "etcdserver: member ID already exist";
    /// Another member has one of these peer URLs.
    PeerUrlExists = FailedPrecondition, "etcdserver: Peer URLs already exists";
    /// The cluster would need members that have not started yet.
    NotEnoughStarted =
        FailedPrecondition, "etcdserver: re-configuration failed due to not enough started members";
    /// The peer URLs are none.
    BadMemberUrls = InvalidArgument, "etcdserver: given member URLs are invalid";
    /// There is no such member, or none any more.
    MemberNotFound = NotFound, "etcdserver: member not found";
    /// The member votes already.
    MemberNotLearner = FailedPrecondition, "etcdserver: can only promote a learner member";
    /// The learner is too far behind.
    LearnerNotReady = FailedPrecondition,
        "etcdserver: can only promote a learner member which is in sync with leader";
    /// There may be no more learners.
    TooManyLearners = FailedPrecondition, "etcdserver: too many learner members in cluster";
    /// A learner does not serve this.
    NotSupportedForLearner = FailedPrecondition, "etcdserver: rpc not supported for learner";
    /// Too much waits to be executed.
    TooManyRequests = ResourceExhausted, "etcdserver: too many requests";
    /// No leader is known.
    NoLeader = Unavailable, "etcdserver: no leader";
    /// Only the leader can do this.
    NotLeader = FailedPrecondition, "etcdserver: not leader";
    /// Another member leads now, and what was asked is lost.
    LeaderChanged = Unavailable, "etcdserver: leader changed";
    /// The heir is not a voter.
    BadTransferee = FailedPrecondition, "etcdserver: bad leader transferee";
    /// The member stops.
    Stopped = Unavailable, "etcdserver: server stopped";
    /// There was no leader to be asked, as long as the client could wait. The words are Go's.
    NeverProposed = DeadlineExceeded, "context deadline exceeded";
    /// No answer in time.
    Timeout = Unavailable, "etcdserver: request timed out";
    /// No answer in time, and the leader was lost meanwhile.
    TimeoutLeaderLost =
        Unavailable, "etcdserver: request timed out, possibly due to previous leader failure";
    /// No answer in time, and the connection to the leader was lost meanwhile.
    TimeoutConnectionLost = Unavailable,
        "etcdserver: request timed out, possibly due to connection lost";
    /// This member was not as far as the leader in time.
    TimeoutWaitingForApplied =
        Unavailable, "etcdserver: request timed out, waiting for the applied index took too long";
    /// The heir did not take over in time.
    TimeoutTransfer = Unavailable, "etcdserver: request timed out, leader transfer took too long";
    /// Too few members answer.
    Unhealthy = Unavailable, "etcdserver: unhealthy cluster";
    /// Members disagree about the contents.
    Corrupt = DataLoss, "etcdserver: corrupt cluster";
    /// The version to go down to is no version.
    WrongDowngradeVersion = InvalidArgument, "etcdserver: wrong downgrade target version format";
    /// The cluster cannot go down to this version.
    InvalidDowngradeTarget = InvalidArgument, "etcdserver: invalid downgrade target version";
    /// The cluster has not agreed on a version yet.
    ClusterVersionUnavailable =
        FailedPrecondition, "etcdserver: cluster version not found during downgrade";
    /// A downgrade is under way.
    DowngradeInProgress = FailedPrecondition, "etcdserver: cluster has a downgrade job in progress";
    /// No downgrade is under way.
    NoDowngrade = FailedPrecondition, "etcdserver: no inflight downgrade job";
    /// A request asks for an action that is not known.
    UnknownMethod = InvalidArgument, "etcdserver: unknown method";
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::new(refusal.code(), refusal.text())
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::EmptyKey => Refusal::EmptyKey,
            Rejection::KeyNotFound => Refusal::KeyNotFound,
            Rejection::ValueProvided => Refusal::ValueProvided,
            Rejection::LeaseProvided => Refusal::LeaseProvided,
            Rejection::TooManyOperations => Refusal::TooManyOperations,
            Rejection::MemberExists => Refusal::MemberExists,
            Rejection::DuplicateKey => Refusal::DuplicateKey,
            Rejection::Compacted => Refusal::Compacted,
            Rejection::FutureRevision => Refusal::FutureRevision,
            Rejection::LeaseNotFound => Refusal::LeaseNotFound,
            Rejection::LeaseExists => Refusal::LeaseExists,
            Rejection::LeaseTtlTooLarge => Refusal::LeaseTtlTooLarge,
            Rejection::NoSpace => Refusal::NoSpace,
            Rejection::Corrupt => Refusal::Corrupt,
            Rejection::MemberNotFound => Refusal::MemberNotFound,
            Rejection::PeerUrlExists => Refusal::PeerUrlExists,
            Rejection::DowngradeInProgress => Refusal::DowngradeInProgress,
            Rejection::NoDowngrade => Refusal::NoDowngrade,
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        match error {
            ReadError::Compacted(_) => Refusal::Compacted,
            ReadError::Future(_) => Refusal::FutureRevision,
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Refusal {
        match unavailable {
            Unavailable::NoLeader => Refusal::NeverProposed,
            Unavailable::Busy => Refusal::TooManyRequests,
            Unavailable::Timeout => Refusal::Timeout,
            Unavailable::TimeoutLeaderLost => Refusal::TimeoutLeaderLost,
            Unavailable::TimeoutConnectionLost => Refusal::TimeoutConnectionLost,
            Unavailable::TooLarge => Refusal::RequestTooLarge,
            Unavailable::Stopped => Refusal::Stopped,
        }
    }
}

impl From<MembershipRefusal> for Refusal {
    fn from(refusal: MembershipRefusal) -> Refusal {
        match refusal {
            MembershipRefusal::Exists => Refusal::MemberExists,
            MembershipRefusal::NotFound | MembershipRefusal::Removed => Refusal::MemberNotFound,
            MembershipRefusal::NotLearner => Refusal::MemberNotLearner,
            MembershipRefusal::LearnerNotReady => Refusal::LearnerNotReady,
            MembershipRefusal::LastVoter => Refusal::NotEnoughStarted,
            // The services ask for one change at a time, which cannot contradict itself.
            MembershipRefusal::Unhealthy | MembershipRefusal::Contradictory => Refusal::Unhealthy,
            // In etcd the second change is dropped, and its client waits in vain.
            MembershipRefusal::Pending => Refusal::Timeout,
            MembershipRefusal::PeerUrlExists => Refusal::PeerUrlExists,
            MembershipRefusal::TooManyLearners => Refusal::TooManyLearners,
        }
    }
}

impl From<TransferRefusal> for Refusal {
    fn from(refusal: TransferRefusal) -> Refusal {
        match refusal {
            TransferRefusal::NotLeader => Refusal::NotLeader,
            TransferRefusal::NotVoter => Refusal::BadTransferee,
            TransferRefusal::NoCandidate => Refusal::Unhealthy,
            TransferRefusal::Timeout => Refusal::TimeoutTransfer,
        }
    }
}

/// Makes a status of what one of the other crates refused.
pub fn refused(why: impl Into<Refusal>) -> Status {
    Status::from(why.into())
}

/// Answers a number in a request that stands for nothing.
pub fn unknown(field: &str, value: i32, known: &str) -> Status {
    Status::invalid_argument(format!(
        "etcdserver: {field} is {value}, which is not known: these are: {known}"
    ))
}

#[cfg(test)]
mod tests;
