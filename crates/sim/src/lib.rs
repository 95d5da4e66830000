//! Deterministic simulation of Holdfast: whole clusters under fire, each determined by one number.
//!
//! A seed draws a cluster, its settings, the faults that it meets and the clients that use it, and
//! then everything that happens: two runs of a seed are equal to the last byte. Members run the
//! product's core unchanged; disks, network, clocks and time are simulated, in one thread, so that
//! minutes of a cluster's life take milliseconds.
//!
//! ```text
//!                      seed ──► options: cluster, settings, faults, clients
//!                                  │
//!            ┌─────────────────────▼─── cluster: one queue of events ─────────────────────┐
//!   clients  │  workload ──ask──► member ◄──arrives── network ◄──sends── member ──► …      │
//!   faults   │  nemesis ──crash, pause, part, change──►  │                                 │
//!            │                 core ── effects ──► disk, machine, network                  │
//!            └──────────────────────────────┬──────────────────────────────────────────────┘
//!                                           │ every step
//!                             checker: oracles     probe: situations     trace: the picture
//! ```
//!
//! # Two phases
//!
//! First the cluster is under fire, and only safety is asked for. Then a quorum is chosen at random
//! and healed, while the others stay in their faults or are cut off; within ten election timeouts
//! a leader must be there, a new command acknowledged, every healed member up to date, and every
//! one of them able to answer a read ([`run`]).
//!
//! # Contract
//!
//! A member's process keeps the contract in [`raft`] to the letter, and uses all the freedom that
//! it leaves: writes end late, together, or not at all; acknowledgements are skipped; messages that
//! promise nothing overtake writes; entries are applied late; logs are trimmed lazily; a process
//! may die between any two effects.
//!
//! # Invariants
//!
//! - Whatever is drawn is drawn from the seed, by a generator that belongs to one part of the run:
//!   a fault that is switched off changes nothing in what other parts draw.
//! - Nothing here knows the time of day, the order of a hash table, or a thread.
//! - What was synced stays. At no time does a disk lose what it has acknowledged.
//! - With leader leases on, clocks keep within the margin that leases rest on, and a pause is told
//!   before anything else: what is promised under that condition is then demanded.
//!
//! # Left out, and what it would cost
//!
//! - *Disks that lie*: bit rot, misdirected writes, full disks. They are for the log on disk to
//!   find, and come with it.
//! - *Members that lie.* Raft does not stand that.
//! - *Two processes of one member.* The operator must see to it that there is one.
//! - *A scheduler of threads.* What runs here has none.
//!
//! # Beside the engine
//!
//! [`stage`] and [`script`] move a cluster by hand, for tests that a person reads; [`html`] draws a
//! [`trace`] of either.

mod checker;
mod clock;
mod cluster;
mod disk;
mod event;
pub mod explore;
pub mod html;
pub mod linearizability;
mod machine;
mod member;
mod network;
pub mod options;
pub mod probe;
mod rng;
pub mod run;
pub mod script;
pub mod shrink;
pub mod stage;
pub mod trace;
pub mod whole;
mod workload;

pub use checker::Violation;
pub use clock::Shape;
