//! What this member's clients want executed, and how far that has come.
//!
//! ```text
//!               sent: proposed here, or forwarded
//!      due ──────────────────────────────────────────► sent ──► executed, and answered
//!       ▲                                               │ │
//!       │  certain never to be executed: refused, or    │ │  an image took the place of the
//!       └── an entry of a later term was applied ◄──────┘ │  entries among which it may have been
//!                                                         └──► unknown ──► given up in time
//! ```
//!
//! Nothing is sent a second time while its fate is unknown, since it may be executed. What makes it
//! certain that a command which was sent in term T is not executed any more:
//!
//! 1. **An entry of a later term is applied here, and the command has not come back.** Whoever
//!    takes the command gives it an entry of term T: the leader proposes in its own term, and takes
//!    what is forwarded only if it leads the very term that the sender speaks of. The terms of
//!    entries never decrease, so no entry of term T follows; all entries before were seen here.
//!    That the forwarded message may still be on its way does not matter: if whoever led term T
//!    still takes it, it becomes an entry that can never be committed.
//! 2. **It was refused.** Whoever refuses has not proposed it. It was sent to nobody else in this
//!    term, and is delivered once; a refusal of what was sent in an earlier term is passed over.
//!
//! An image skips entries, among which the command may have been, and takes rule 1 away.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft::membership::Change;
use raft::{MemberId, Term};
use store::{CommandId, MembershipContext};

use crate::event::Ticket;
use crate::output::Unavailable;

/// All commands of this member's clients that are not executed.
#[derive(Debug)]
pub(crate) struct Proposals {
    member: MemberId,
    /// The number of the next command.
    next: u64,
    table: BTreeMap<u64, Proposal>,
    /// Those to be sent, in order; also some that are not wanted any more.
    due: VecDeque<u64>,
    /// What all commands in the table take.
    bytes: usize,
    retries: u64,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// Who waits for it.
    pub(crate) ticket: Ticket,
    /// What it is.
    pub(crate) what: What,
    fate: Fate,
}

/// What is proposed.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A command, encoded with its ID.
    Command(Bytes),
    /// A change of the configuration.
    Change {
        /// What changes.
        changes: Vec<Change>,
        /// What every member is to remember of it.
        context: MembershipContext,
    },
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is nowhere but here.
    Due,
    /// It was given to the leader of this term, and may be executed.
    Sent { term: Term, to: MemberId, link: Link },
    /// It may have been executed, and nobody will tell.
    Unknown,
}

/// Whether the connection by which a command was sent has held since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Held,
    Broken,
}

impl Proposals {
    /// An empty table. The numbers follow from the seed of this life, so that two lives do not
    /// share any: each begins at a random place among 2^64.
    pub(crate) fn new(member: MemberId, seed: u64) -> Proposals {
        let (table, due) = (BTreeMap::new(), VecDeque::new());
        Proposals { member, next: spread(seed), table, due, bytes: 0, retries: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many had to be sent again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries
    }

    /// The ID of the next command.
    pub(crate) fn next_id(&self) -> CommandId {
        CommandId { origin: self.member.0, sequence: self.next }
    }

    /// The ID of a command of this member.
    pub(crate) fn id(&self, sequence: u64) -> CommandId {
        CommandId { origin: self.member.0, sequence }
    }

    /// Takes in the command that has [`Proposals::next_id`], to be sent, and returns its number.
    pub(crate) fn insert(&mut self, ticket: Ticket, what: What) -> u64 {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += what.bytes();
        let before = self.table.insert(sequence, Proposal { ticket, what, fate: Fate::Due });
        assert!(before.is_none(), "a command's number was given twice: {sequence:x}");
        self.due.push_back(sequence);
        sequence
    }

    /// Takes out a command.
    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Proposal> {
        let removed = self.table.remove(&sequence)?;
        self.bytes -= removed.what.bytes();
        Some(removed)
    }

    /// Takes the numbers of all that are to be sent, in order.
    pub(crate) fn take_due(&mut self) -> VecDeque<u64> {
        std::mem::take(&mut self.due)
    }

    /// Tells whether something may have to be sent.
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Gives back the numbers of those that could not be sent.
    pub(crate) fn put_back(&mut self, due: impl IntoIterator<Item = u64>) {
        self.due.extend(due);
    }

    /// Returns what is to be sent under this number, if it is still wanted.
    pub(crate) fn due(&self, sequence: u64) -> Option<&What> {
        let proposal = self.table.get(&sequence)?;
        assert!(proposal.fate == Fate::Due, "{sequence:x} is sent a second time");
        Some(&proposal.what)
    }

    /// Records that a command was given to the leader of this term.
    pub(crate) fn sent(&mut self, sequence: u64, term: Term, to: MemberId) {
        let proposal = self.table.get_mut(&sequence).expect("what is sent is in the table");
        assert!(proposal.fate == Fate::Due, "{sequence:x} was sent before its fate was certain");
        proposal.fate = Fate::Sent { term, to, link: Link::Held };
    }

    /// Records that the connection to a member broke.
    pub(crate) fn unreachable(&mut self, member: MemberId) {
        for proposal in self.table.values_mut() {
            if let Fate::Sent { to, link, .. } = &mut proposal.fate
                && *to == member
            {
                *link = Link::Broken;
            }
        }
    }

    /// Records that an entry of this term is applied: what was sent in earlier terms is certain
    /// never to be executed, and is due again.
    pub(crate) fn on_term_applied(&mut self, applied: Term) {
        let is_lost = |fate: Fate| match fate {
            Fate::Sent { term, .. } => term < applied,
            Fate::Due | Fate::Unknown => false,
        };
        for (sequence, proposal) in &mut self.table {
            if is_lost(proposal.fate) {
                proposal.fate = Fate::Due;
                self.due.push_back(*sequence);
                self.retries += 1;
            }
        }
    }

    /// Records that entries up to one of this term were skipped.
    pub(crate) fn on_skipped(&mut self, to: Term) {
        for proposal in self.table.values_mut() {
            if let Fate::Sent { term, .. } = proposal.fate
                && term <= to
            {
                proposal.fate = Fate::Unknown;
            }
        }
    }

    /// Tells whether it was this command's sending in this term that the member refused, after
    /// which it is certain that it is not executed.
    pub(crate) fn is_refused(&self, sequence: u64, refused_in: Term, by: MemberId) -> bool {
        self.table.get(&sequence).is_some_and(|proposal| match proposal.fate {
            Fate::Sent { term, to, .. } => (term, to) == (refused_in, by),
            Fate::Due | Fate::Unknown => false,
        })
    }

    /// Lets a command that was refused be sent again.
    pub(crate) fn send_again(&mut self, sequence: u64) {
        let proposal = self.table.get_mut(&sequence).expect("what was refused is in the table");
        proposal.fate = Fate::Due;
        self.due.push_back(sequence);
        self.retries += 1;
    }
}

impl Proposal {
    /// Why there was no answer in time, if the leader of `term` is followed now.
    pub(crate) fn reason(&self, now: Term, leader: Option<MemberId>) -> Unavailable {
        match self.fate {
            Fate::Due => Unavailable::NoLeader,
            Fate::Unknown => Unavailable::TimeoutLeaderLost,
            Fate::Sent { term, to, .. } if term < now || leader != Some(to) => {
                Unavailable::TimeoutLeaderLost
            }
            Fate::Sent { link: Link::Broken, .. } => Unavailable::TimeoutConnectionLost,
            Fate::Sent { link: Link::Held, .. } => Unavailable::Timeout,
        }
    }

    /// Tells whether it is certain that the command was not executed and will not be.
    pub(crate) fn is_certain(&self) -> bool {
        self.fate == Fate::Due
    }
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            What::Command(command) => command.len(),
            What::Change { .. } => 0,
        }
    }
}

/// Spreads seeds that lie close together over all numbers (splitmix64).
pub(crate) fn spread(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
