//! Simulation of whole members: replicas with their disks, unchanged, from one seed.
//!
//! Where the rest of this crate simulates the core alone, and looks at every step of it, here
//! everything below the server runs: core, log, machine, checkpoints, images. What is simulated is
//! what the replica sees of the world: its disk, the connections to its peers, its driver, time.
//!
//! ```text
//!   clients ─► driver ─► Replica ──► SimDisk: errors, full, rot, losses of power at any call
//!   operator     │ ▲        │
//!   nemesis      ▼ │        └─ what it publishes, sends and answers ──► oracles
//!            connections: in order, at most once, until they break
//!            images: piece by piece, beside the messages
//! ```
//!
//! # Two phases
//!
//! First the cluster is under fire. Then a quorum is healed, while the others stay in their faults
//! or are cut off; every healed member must execute a command, answer a read and renew a lease in
//! time, all must come to the same state, and leases that nobody renews must run out.
//!
//! # Contract
//!
//! The driver keeps the contract in [`replica`] and uses the freedom that it leaves: turns take in
//! what came while the last one synced, a process may die between any two effects, jobs end late,
//! connections break, and messages that were received may be read after those of the next
//! connection.

mod clients;
mod cluster;
mod happening;
mod member;
pub mod options;
mod oracle;
pub mod probe;
pub mod run;
mod wire;

/// Where each member has its files.
const DIR: &str = "/member";
