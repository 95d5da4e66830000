//! One member without a network: core, log and store driven by one queue of events.
//!
//! A [`Replica`] is synchronous and deterministic: it knows no clock, no thread and no network, and
//! reaches files only through `dyn Disk`. What happens goes in as [`Event`], what is to be done
//! comes out as [`Output`].
//!
//! ```text
//!      Tick · Peer · Propose · Read · LeaseRenew · ChangeMembership · Finished · …
//!                                    │ feed
//!   ┌────────────────────────────────▼──────────────── Replica ──────────────────────────────────┐
//!   │   clients ─► proposals, reads, lease questions, changes ─► raft core                       │
//!   │                                                             │ effects                      │
//!   │              journal (wal, and what waits for it) ◄─ persist┤                              │
//!   │              machine (store) ◄──────────────────────── apply┤                              │
//!   │              checkpoints, images ◄──────── snapshots, trims ┘                              │
//!   └────────────────────────────────┬───────────────────────────────────────────────────────────┘
//!                                    │ flush
//!      published · messages to peers · replies to clients · jobs for the background
//! ```
//!
//! # How to drive it
//!
//! ```text
//!   feed everything that has happened
//!   loop {
//!       out = flush()?         publish, send, answer, start jobs
//!       if !needs_sync() { break }
//!       sync()?                one write and one sync for all that is queued
//!   }
//! ```
//!
//! So what a leader appends leaves for the others before its own disk has it, and what a follower
//! acknowledges leaves after. All that came before a turn goes to the core as one batch: one
//! append, one question to the quorum, one forwarded message, one sync.
//!
//! # Contract
//!
//! The driver must
//!
//! 1. feed a [`Event::Tick`] for each tick that has passed, a few at most at once, and
//!    [`Event::Paused`] before them if more time has passed than that;
//! 2. do what an [`Output`] says in the order published, messages, replies, jobs;
//! 3. deliver each [`PeerMessage`] at most once, and those from one member to another in order on
//!    each connection; it may lose them, and answer for a receiver that it certainly did not reach
//!    with [`PeerMessage::ForwardRefused`];
//! 4. carry the file of an image beside the message that announces it ([`Images`]), and feed the
//!    message that comes out at the end;
//! 5. run each [`Job`], on whatever thread, and feed what comes of it;
//! 6. give each question a [`Ticket`] of its own;
//! 7. stop the process after a [`Fault`], but for those of an [`SnapshotReceiver`] that say
//!    otherwise; and start each life with a new seed.
//!
//! # Invariants
//!
//! - What a client was told to be executed is executed on every member, and survives every crash.
//! - Nothing is proposed twice while its fate is unknown. When a command is certain never to be
//!   executed, it is sent again, until its client's deadline. Why it is certain stands at the head
//!   of the module `proposals`.
//! - A reply that may be read says so after what it may see is published.
//! - Only a leader that a quorum has confirmed since it was asked says that a lease is renewed, and
//!   only if it has executed all that was committed then. A lease never runs out early: it is given
//!   up by an entry of the log, its time begins anew with each leader, and one that is being given
//!   up is not renewed.
//! - The log names a checkpoint only when that is durable; a checkpoint goes only when the log
//!   durably names a newer one.
//! - The revision never goes back, whatever image comes.
//! - The same events give the same outputs.
//!
//! # Decisions
//!
//! - **The first entry exists already.** A founded cluster begins with a checkpoint at entry 1@1,
//!   the same on all its first members. So there is one way to join, by an image, from the first
//!   hour on, and one way to start.
//! - **A damaged checkpoint stops the member**, even if an older one is there: the log seldom
//!   reaches back to that, and what rots once rots again. A member that is running replaces one
//!   that turns out to be damaged when it is sent, since its state is in memory.
//! - **A full disk is no fault.** Nothing of the log is touched when the next segment cannot be
//!   made, so the member goes on without writing: it answers reads, stops leading, and tries again
//!   at each tick.
//! - **An image is loaded where it arrives**, beside the replica. So it is checked whole before
//!   anything is replaced, and taking it over is a swap.
//! - **The leader watches the space for all.** It raises the alarm for itself, and lowers those of
//!   all members when there is a tenth to spare, but none that somebody raised while there was
//!   space.
//! - **Who follows a leader that died campaigns in the order of IDs**, two ticks apart, so that
//!   votes do not split when all hear of it at once.
//! - **Addresses are published before they are committed.** A second voter must be reached to
//!   commit its own addition.
//! - **Who is added as a voter is promoted when it is ready.** To add a voter outright waits for it
//!   at once, also if it never starts. So the machine notes that a learner becomes a voter, and the
//!   leader promotes it by itself, as a client would promote a learner.
//!
//! # Left out, and what it would cost
//!
//! - *Falling back to an older checkpoint.* Cost: a log kept back to it, twice the space.
//! - *Telling the log how much of leases is left*, so that a new leader need not begin anew. The
//!   machine understands it. Cost: entries for leases that are renewed, and rules for when.
//! - *Asking again for what was forwarded over a connection that broke*, within a term. It is given
//!   up in time. Cost: numbers per connection, and a table of them on the leader.
//! - *Compressed checkpoints.* Cost: a format, and time on the processor.
//!
//! References: "contract" in comments is that of [`raft`]; etcd's documentation of leases and of
//! reconfiguration.

mod checkpoint;
mod clients;
mod event;
mod fault;
mod images;
mod job;
mod journal;
mod lease;
mod options;
mod output;
mod proposals;
mod replica;
mod status;
mod verify;

pub use checkpoint::{CheckpointJob, CheckpointOutcome, CheckpointReader};
pub use event::{Event, ForwardRefusal, LeaseLife, LeaseQuestionKind, PeerMessage, Ticket};
pub use fault::{DamagedCheckpoint, Fault};
pub use images::{Images, SnapshotReceiver};
pub use job::{Finished, Job};
pub use options::{Genesis, Options};
pub use output::{
    MembershipRefusal, Outgoing, Output, Published, Reply, TransferRefusal, Unavailable,
};
pub use replica::{Identity, Replica, Survivor};
pub use status::{Status, Unsynced};
pub use verify::{VerifiedCheckpoint, VerifyReport, verify};
