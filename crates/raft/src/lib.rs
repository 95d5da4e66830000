//! The Raft consensus algorithm as a pure state machine.
//!
//! A [`Raft`] is one member of a cluster that agrees on a log of commands. It does nothing by
//! itself: it is told what happened, and it tells what must be done.
//!
//! ```text
//!            Tick · Message · Durable · Applied · Snapshotted · …        propose · read · transfer
//!                                │                                               │
//!                                ▼                                               ▼
//!          ┌──────────────────────────────── Raft ────────────────────────────────────────┐
//!          │  term rules and roles     node ─► follower · candidate · leader              │
//!          │  what the leader knows    progress (one member)   read (rounds, leases)      │
//!          │  what everybody has       log · membership                                   │
//!          │  arithmetic               quorum                                             │
//!          └──────────────────────────────────────────────────────────────────────────────┘
//!                                │
//!                                ▼  Effects
//!       persist ──► disk      send_now ──► network      apply ──► service
//!          │                                            reads ──► service
//!          └─ then ─► send_when_durable ──► network     snapshot_requests, trim ──► service, log
//! ```
//!
//! # How to drive it
//!
//! [`Raft::step`] takes one [`Input`] and returns the [`Effects`] that are due. A driver that has
//! several inputs at hand gives each to [`Raft::feed`] and calls [`Raft::flush`] once: the effects
//! are then those of the whole batch, with one write and one message where there would have been
//! many. Requests that have an answer of their own ([`Raft::propose`] and its like) give it at once
//! and leave their effects to the next flush.
//!
//! The service is told of success only through [`Effects::apply`]: [`Raft::propose`] returns the
//! index and term under which the command *may* come back. If an entry with that index and another
//! term comes back instead, the command was replaced and is certain never to be executed. If none
//! has come back yet, nobody knows.
//!
//! # Contract
//!
//! The driver must
//!
//! 1. make [`Effects::persist`] durable in the order in which it was handed out, each write atomic
//!    or a prefix of itself (entries before hard state), and then give its [`Durable`] back; the
//!    writes may go on while the core is stepped, and acknowledgements may be skipped in favour of
//!    later ones;
//! 2. send [`Effects::send_when_durable`] only when that write and all before it are durable;
//!    messages may be lost, delayed, duplicated and reordered, but not altered;
//! 3. let the service take over [`Persist::snapshot`] before it applies what follows, and apply
//!    [`Effects::apply`] in order; entries may be handed out before they are durable here, since a
//!    quorum holds them;
//! 4. after a crash, build the member from exactly what was durable ([`Raft::restore`]), with a new
//!    [`Config::seed`]; what the service's own image holds is [`DurableState::snapshot`]. If
//!    [`Status::base`] is then another than the stored one, the stored log did not lead up to the
//!    image, and must be dropped before anything is written;
//! 5. stop the member for good if a write fails;
//! 6. tell a member that it was removed, if it must know: the log does not tell it, since the
//!    leader sends it nothing from the moment of the change.
//!
//! # Invariants
//!
//! What Raft promises, for all members and all times (paper, Figure 3); the simulator checks it:
//!
//! - Election Safety: at most one leader in a term.
//! - Leader Append-Only: a leader never overwrites or deletes entries of its log.
//! - Log Matching: two logs with the same entry are equal up to it.
//! - Leader Completeness: a committed entry is in the log of every later leader.
//! - State Machine Safety: no two members apply different entries at one index.
//!
//! What this code promises beside it, asserted where it is decided:
//!
//! - Terms and commit indexes never decrease, and a vote never changes within a term.
//! - Nothing that was committed is truncated.
//! - A member counts its own entries and its own vote only once they are durable.
//! - An acknowledgement of a write that has since been overwritten changes nothing.
//! - A configuration is in force from the moment it stands in the log, and leaves with it.
//! - Bytes and messages from outside never cause a panic: what cannot be is dropped, with a reason.
//!
//! # Decisions
//!
//! - **Configurations take effect when appended**, as in the paper, not when applied. The log
//!   itself is then the one source of truth, and a truncation restores the configuration before.
//!   The price is that a new configuration may be proposed only when the one before is committed,
//!   and when the leader has committed an entry of its own term (the correction to thesis §4.1 of
//!   2015).
//! - **PreVote and CheckQuorum are always on** (thesis §9.6, §6.2). They are what keeps a member
//!   that returns from a partition, or was removed, from disturbing a healthy leader.
//! - **The heartbeat is an AppendEntries** that may be empty. It carries commit index and read
//!   round, and its rejection tells that an append was lost: no second mechanism is needed.
//! - **A vote is requested only once the candidate's own vote is durable.** Otherwise a candidate
//!   that crashes and campaigns again in the same term, with a shorter log, could win by votes that
//!   were given to the longer one.
//!
//! # Left out, and what it would cost
//!
//! - *Forwarding proposals to the leader.* The service knows better whether a command may be sent
//!   twice. Cost: a message kind and a table of the forwarded.
//! - *Reading entries back from the disk.* The latest are in memory, up to
//!   [`Config::catch_up_bytes`]; who lags further behind gets an image, though the disk may have
//!   the entries. Cost: a storage trait in the core, and with it I/O.
//! - *Witnesses and flexible quorums.* Cost: a second kind of voter in `quorum`.
//! - *Sessions that make commands exactly-once* (paper §8): the service's business.
//!
//! # References
//!
//! "Paper": Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm* (extended
//! version). "Thesis": Ongaro, *Consensus: Bridging Theory and Practice*.

mod candidate;
mod config;
mod core;
mod effects;
mod error;
mod follower;
mod leader;
mod log;
pub mod membership;
mod message;
mod node;
mod progress;
pub mod quorum;
mod read;
mod status;
mod timer;
mod types;

pub use config::{Config, ReadConfirmation};
pub use effects::{
    DropReason, Dropped, Durable, Effects, Input, Persist, ReadFailure, ReadId, ReadOutcome,
    SnapshotRequest,
};
pub use error::{MembershipError, ProposeError, ReadError, RestoreError, TransferError};
pub use membership::Membership;
pub use message::{AppendOutcome, Ballot, Body, Campaign, Message, Round};
pub use node::Raft;
pub use status::{MemberStatus, ProgressKind, RoleKind, Status};
pub use types::{
    DurableState, Entry, EntryId, HardState, Index, MemberId, MembershipChange, Payload, Snapshot,
    SnapshotMeta, Term,
};
