//! All versions of all keys, in memory, as etcd's clients know them: revisions, ranges at any
//! revision, history until compaction, watches, checkpoints.
//!
//! A [`Store`] is written to by one owner, transaction by transaction. A [`View`] of it is the
//! store at one moment: it costs a few pointers, never changes, and can be read on any thread.
//!
//! ```text
//!   write ─► Transaction ─► Commit (revision, events)         compact, compact_step
//!                │                                                     │
//!   ┌────────────▼───────────────────── Store ─────────────────────────▼───────────────┐
//!   │ revision · compacted revision · digest · sizes                                   │
//!   │                                                                                  │
//!   │  live  by key             the latest version of each key that exists             │
//!   │  past  by key and change  versions that were superseded, and tombstones          │
//!   │  log   by change          all that was written since the compacted revision      │
//!   │                                                                                  │
//!   │  Each is a counted B+tree that shares its nodes with all views of it. What they  │
//!   │  hold is a Version: one allocation, with the message that clients get, encoded.  │
//!   └───────────────────────────────────┬──────────────────────────────────────────────┘
//!                                       │ view (a copy of three roots)
//!                                       ▼
//!     View ─► range · get_at · events · hash_kv · Checkpoint ─► bytes ─► Loader ─► Store
//! ```
//!
//! # Contract
//!
//! 1. What is done to a store in one order gives the same answers, the same [`View::digest`], the
//!    same [`View::hash_kv`] and the same checkpoint on every member. Only
//!    [`Sizes::past_versions`], [`Sizes::past_bytes`] and the time that things take depend on
//!    [`Store::compact_step`], which every member calls when it likes.
//! 2. A transaction cannot fail. Whoever writes has looked first at whatever could be refused:
//!    quotas, leases, compares, keys that are empty or given twice.
//! 3. A negative revision, or zero for "now", does not exist here: the caller turns them into
//!    `None`, or into the error that etcd gives.
//! 4. A watcher remembers [`Events::next`], and gives it to any later view. If it comes too late it
//!    gets the compacted revision as an error, and never a gap.
//! 5. A reader lists pages at one revision from [`RecentViews`]; it gets the same from the newest
//!    view, but the count then takes time in proportion to the range.
//! 6. Where bytes go and when they are durable is the caller's business: nothing here opens a file,
//!    waits, looks at a clock, or draws a random number.
//!
//! # Invariants
//!
//! - A version is never changed. Views are unaffected by anything that is done later.
//! - Changes of one revision are numbered in order; revisions have no gaps.
//! - A key is in `live` if and only if it exists. Its older versions are in `past`, each with a
//!   smaller change than the one that superseded it.
//! - The log is complete from the compacted revision on: no event can be missed, whatever the
//!   watcher's speed.
//! - The revision and the compacted revision are stored, never inferred from keys that survive.
//! - What must be kept is one rule ([`Store::compact`]): what was written at the compacted
//!   revision or later, and of each key that existed then, the version in force. A tombstone at
//!   the compacted revision is kept, for a watch that begins there.
//!
//! # Decisions
//!
//! - **One tree for keys that exist, another for the past.** So the number of keys in a range is
//!   the difference of two ranks, whatever was deleted or overwritten, and the past is touched
//!   only by those who ask for it. Chains of versions at each key would make the count wrong where
//!   a key is deleted, and a key that is written a million times slow.
//! - **Compaction follows the log**, not the keys. It costs as much as there is garbage.
//! - **The log has no bound of its own.** It holds pointers to versions that the history holds
//!   anyway, two words each, and goes with them. So there is one source of events, and no second
//!   path for watchers that are slow.
//! - **Reading ahead before counting up.** A node is copied before it is changed, if a view holds
//!   it; each of its versions then gets one more owner, and lies elsewhere in memory. Reading from
//!   all of them first lets the processor fetch them together.
//!
//! # Left out
//!
//! - *Values that are not in memory.* [`ValueRef`] is the place: a second variant, and a version
//!   with a place in a file instead of the value's bytes. It costs a cache, and answers that wait.
//! - *Sorting as etcd does where values are equal.* Go's sort is not stable beyond twelve elements.
//!   Here what is equal stays in the order of keys.
//! - *Counting in O(log n) at any revision.* It needs a tree in two dimensions, for a question that
//!   clients ask at recent revisions.
//! - *Groups of watchers by key.* One look at the log for many watchers is made where the watchers
//!   are known, in the server.
//!
//! References: etcd's documentation of its API guarantees; `mvccpb/kv.proto` for the message.

mod checkpoint;
mod compaction;
mod encoding;
mod hash;
mod key_range;
mod range;
mod recent;
mod retained;
mod revision;
mod store;
mod tree;
mod version;
mod view;
mod watch;

pub use checkpoint::{Checkpoint, LoadError, Loader};
pub use compaction::{CompactError, Progress};
pub use hash::hash;
pub use key_range::KeyRange;
pub use range::{Answer, Filter, RangeRequest, RangeResult, SortOrder, SortTarget};
pub use recent::RecentViews;
pub use revision::{Change, Revision};
pub use store::{Commit, Store, Transaction};
pub use version::{Kind, ValueRef, Version};
pub use view::{HashKv, ReadError, Sizes, View};
pub use watch::{Event, EventFilter, EventLimits, Events, Previous};
