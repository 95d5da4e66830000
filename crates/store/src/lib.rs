//! The replicated machine: takes commands in order, and gives the same answers on every member.
//!
//! A [`Machine`] is keys with all their versions, leases, and what is known of the cluster. It is
//! what etcd's server is below its log: the same answers, the same revisions, the same refusals.
//!
//! ```text
//!   client's request                  log                                 answer
//!        │ check_put, check_txn        │                                     ▲
//!        ▼                             ▼                                     │
//!     Command ─► encode ─► bytes ─► apply_encoded ─► what alarms forbid ─► Applied
//!                                      │                                  (revision,
//!                 ┌────────────────────▼────── Machine ──────────────┐     Response or
//!                 │  keys      mvcc::Store                           │     Rejection)
//!                 │  leases    table by ID · keys attached to each   │
//!                 │  cluster   members · removed · alarms · versions │
//!                 └───┬──────────────┬────────────────────┬──────────┘
//!                view │        image │ take_lease_changes │ space_verdict, compact_step
//!                     ▼              ▼                    ▼
//!      range, read_txn, hash_kv   Chunks ─► bytes      the replica: clock of leases, alarms
//!      on any thread                 │
//!                                    └─► MachineLoader ─► Machine
//! ```
//!
//! # Contract
//!
//! 1. What is applied to a machine in one order, commands and changes of the configuration, gives
//!    the same answers, the same [`Machine::digest`] and the same image on every member, whatever
//!    image it began with and whenever it compacts.
//! 2. A command that is refused has changed nothing. A [`Rejection`] is an answer like others:
//!    every member refuses alike.
//! 3. Whatever the bytes of an entry are, nothing panics: they are a command or a [`DecodeError`].
//!    What the server should have refused, such as a key that is written twice, is executed in some
//!    way that is the same everywhere.
//! 4. Time, quotas and who leads are not known here. The leader tells by commands which leases
//!    have run out; each member tells by commands that its quota is exceeded.
//! 5. Who counts the time of leases calls [`Machine::take_lease_changes`] after each batch, and
//!    begins with [`Machine::leases`].
//! 6. Who proposes a change of the configuration asks [`Machine::check_membership`] first, when all
//!    changes before it are applied. Who votes is the core's matter.
//!
//! # Invariants
//!
//! - A transaction is validated as a whole, and then executed, which cannot fail.
//! - A key is attached to a lease if and only if its latest version names the lease, and the lease
//!   exists. So leases are never stored with their keys, but found again from the keys.
//! - Revoking a lease makes one revision, in which its keys are deleted in their order; none, if it
//!   has no keys. Each lease of a [`Command::LeaseExpire`] counts by itself.
//! - A member that was removed is never a member again, and has no alarm.
//!
//! # Decisions
//!
//! - **One format, our own** for commands: it is read for every entry on every member, and a put is
//!   executed from the bytes of the log without a copy but that into its version.
//! - **Comparisons come before everything**, nested ones too, as in etcd: a transaction asks about
//!   the store as it found it.
//! - **Alarms forbid, quotas do not.** A member that compared its own size with its own quota
//!   while it applies would refuse what another takes.
//! - **Live bytes count for the quota**, the same on all members, and the alarm is lowered by
//!   itself. History goes with the next compaction, and nobody has to defragment.
//! - **A removed member's alarms go with it**: nobody could lower them who knows of them.
//!
//! # Where we differ from etcd
//!
//! - A put that keeps the value of a key that an operation before it in the transaction deletes is
//!   refused; etcd stops. It takes a deletion of all keys from one on, since others are refused as
//!   duplicates.
//! - Lowering the alarm of member zero lowers that of every member, and no kind means every kind;
//!   etcd leaves both to its client.
//! - Starting a downgrade while one is under way, or taking back none, is refused here and not only
//!   by the member that was asked, so that two that are asked at once cannot both succeed.
//!
//! # Left out
//!
//! - *Users and roles.* They need commands of their own, and checks in the same places as alarms.
//! - *Not reading for nobody.* Reads in a transaction are done on every member, though only one has
//!   a client that waits. Whoever skips them must not let them decide what is refused.
//! - *Comparing large ranges in pieces.* A comparison of a range collects the range first.
//!
//! References: etcd's documentation of its API; etcd's issue 18667, of members that validated one
//! transaction differently.

mod backup;
mod check;
mod cluster;
mod codec;
mod command;
mod deleted;
mod image;
mod leases;
mod machine;
mod members;
mod range;
mod response;
mod space;
mod tally;
mod txn;

pub use backup::History;
pub use check::{check_delete_range, check_put, check_range, check_txn};
pub use codec::DecodeError;
pub use command::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MembershipContext, Operation, Order, Put, Range, Target, Txn,
};
pub use image::{CHUNK_HEADER_BYTES, Chunks, Image, LoadError, MachineLoader, chunk_bytes};
pub use leases::{Lease, LeaseChange, LeaseTable};
pub use machine::Machine;
pub use members::MemberAttributes;
pub use range::{hash_kv, range, range_borrowed};
pub use response::{
    Applied, DeletedRange, OperationResponse, RangeAnswer, Rejection, Response, TxnResponse,
};
pub use space::SpaceVerdict;
pub use tally::Tally;
pub use txn::read_txn;
