//! What the tests of whole processes stand on: it judges servers from outside, as a client, an
//! administrator and a power supply would.
//!
//! ```text
//!  suite ──► Cluster ──► Process ──► etcd or holdfast     kill -9, stop, continue, full disk
//!    │          └──────► Network ──► network namespaces   cut one way or both
//!    └─────► Client (tonic, the services of etcd's API)   what clients see
//! ```
//!
//! # Contract
//!
//! - A test names the server it wants ([`Server`]); both take the same flags. Where a program or a
//!   right is missing, [`programs`] says which, and the test says that it is skipped.
//! - Whatever was started ends with the value that holds it. When the test fails, the last lines of
//!   every member's log are shown.
//! - Addresses are never shared: each cluster has a network of its own below 127.0.0.0/8, claimed
//!   by a listening socket, or namespaces of its own.
//! - What happens in another process is waited for by asking again until a deadline ([`wait`]).
//!
//! # Left out
//!
//! - Clients here retry nothing and choose no endpoint: a test must know what was sent where.

pub mod address;
pub mod client;
pub mod cluster;
pub mod network;
pub mod process;
pub mod programs;
pub mod random;
pub mod wait;

pub use client::Client;
pub use cluster::{Cluster, Options};
pub use network::Network;
pub use programs::Server;
pub use random::Random;
