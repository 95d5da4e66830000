//! The words of the protocol: members, terms, indexes, entries and what must survive a crash.

use std::fmt;

use bytes::Bytes;

use crate::membership::Membership;

/// Names one member of the cluster. An ID that was removed is never used again (thesis §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

/// Raft's logical clock: at most one leader per term (paper §5.1). Zero is before any election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// The term before any election.
    pub const ZERO: Term = Term(0);

    /// The term that a candidate of this one campaigns in.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A position in the log. The first entry has index one; zero is the position before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl Index {
    /// The position before the first entry, where all logs agree.
    pub const ZERO: Index = Index(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The position before this one; zero has none and stays zero.
    #[must_use]
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one entry for ever: two logs that hold the same `EntryId` are equal up to it (Log
/// Matching, paper §5.3). Printed `index@term`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// Where the entry stands.
    pub index: Index,
    /// The term of the leader that created it.
    pub term: Term,
}

impl EntryId {
    /// The position before the first entry.
    pub const ZERO: EntryId = EntryId { index: Index::ZERO, term: Term::ZERO };

    /// Names the entry at `index` that the leader of `term` created.
    #[must_use]
    pub fn new(index: Index, term: Term) -> EntryId {
        EntryId { index, term }
    }

    /// Tells whether a log that ends here is at least as up-to-date as one that ends at `other`:
    /// the later last term wins, then the longer log (paper §5.4.1).
    #[must_use]
    pub fn is_up_to_date_with(self, other: EntryId) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where the entry stands; one or more.
    pub index: Index,
    /// The term of the leader that created it; one or more.
    pub term: Term,
    /// What it asks of those who apply it.
    pub payload: Payload,
}

impl Entry {
    /// The entry's name.
    #[must_use]
    pub fn id(&self) -> EntryId {
        EntryId { index: self.index, term: self.term }
    }

    /// What the entry counts for against limits, in bytes: its payload and a fixed share for the
    /// rest, so that empty entries count too.
    #[must_use]
    pub fn size(&self) -> usize {
        const OVERHEAD: usize = 24;
        OVERHEAD
            + match &self.payload {
                Payload::Noop => 0,
                Payload::Command(command) => command.len(),
                Payload::Membership(change) => change.context.len() + change.membership.size(),
            }
    }
}

/// What an entry asks of those who apply it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Nothing. A leader opens its term with one, so that it may commit what it found in its log
    /// (paper §8).
    Noop,
    /// A command of the service, which the core never looks into.
    Command(Bytes),
    /// A new configuration. It is in force from the moment it stands in the log, committed or not
    /// (paper §6).
    Membership(MembershipChange),
}

/// A configuration entry: the whole configuration that results, so that a truncated log restores
/// the one before by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MembershipChange {
    /// The configuration in force from this entry on.
    pub membership: Membership,
    /// Opaque bytes of the service, such as the addresses of a new member. Empty on the entry by
    /// which the leader leaves a joint configuration.
    pub context: Bytes,
}

/// What a member must find again after a crash, apart from the log (paper, Figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The latest term this member has seen. Never decreases.
    pub term: Term,
    /// Whom this member voted for in `term`; `None` if nobody. Within a term it changes once.
    pub vote: Option<MemberId>,
    /// An index known to be committed. A hint that spares a restarted member some waiting: it may
    /// be old, and never by itself causes a write. It never lies beyond the entries that were
    /// written before or with it.
    pub commit: Index,
}

/// Which state an image of the service holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotMeta {
    /// The last entry that the image includes.
    pub id: EntryId,
    /// The configuration in force at that entry.
    pub membership: Membership,
}

/// An image of the service and where it stands in the log (paper §7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// Where the image stands in the log.
    pub meta: SnapshotMeta,
    /// The image, or whatever token lets the receiving driver find it. The core never looks.
    pub data: Bytes,
}

/// Everything a member finds on its disk when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableState {
    /// Term, vote and commit hint.
    pub hard_state: HardState,
    /// The service's own image, which it has already loaded; at index zero if there is none.
    pub snapshot: SnapshotMeta,
    /// The entry before the first of `entries`: where the log was last trimmed.
    pub base: EntryId,
    /// The log, in order and without gaps.
    pub entries: Vec<Entry>,
}

impl DurableState {
    /// The state of a member that starts for the first time.
    ///
    /// `membership` is the cluster's first configuration, the same on all its members; it is empty
    /// on a member that waits to be added to a cluster that exists.
    #[must_use]
    pub fn bootstrap(membership: Membership) -> DurableState {
        DurableState {
            hard_state: HardState::default(),
            snapshot: SnapshotMeta { id: EntryId::ZERO, membership },
            base: EntryId::ZERO,
            entries: Vec::new(),
        }
    }
}
