//! One member without a network: core, log and store driven by one queue of events.
//!
//! A [`Replica`] is synchronous and deterministic: it knows no clock, no thread and no network, and
//! reaches files only through `dyn Disk`. Its driver turns in this loop:
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
//! acknowledges leaves after.

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
pub use replica::{Identity, Replica};
pub use status::Status;
pub use verify::{VerifiedCheckpoint, VerifyReport, verify};
