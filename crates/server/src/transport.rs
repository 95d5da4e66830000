//! Connections: from a listening address to the calls of gRPC and the pages of HTTP.
//!
//! ```text
//!  address ─► Listener ─► accept ─► shard ─► opening ─┬─► HTTP/2 ─► Routes (gRPC)
//!                                            │   ▲    │      └────► Pages, for what is not gRPC
//!                                            ▼   │    └─► HTTP/1 ─► Pages
//!                                            TLS ┘
//! ```
//!
//! - One address takes TLS and plaintext, HTTP/2 and HTTP/1, as its first bytes say (`opening`).
//! - A connection belongs to one shard for its whole life, and everything that is done for it is
//!   done on that shard's thread ([`Shards`]).
//! - All answers that become ready in one turn leave in one system call (`coalesce`, `driver`).
//! - A call is tried at once, inside the turn that read it. Only one that must wait becomes a task
//!   (`executor`).
//!
//! # Contract
//!
//! [`bind`] opens the addresses, [`serve`] accepts on them, and [`Server::shutdown`] ends that: new
//! connections are refused, clients are told to go away, calls in flight are finished until the
//! deadline. A stream that never ends, such as a watch, is ended by the service that serves it, or
//! by the deadline.
//!
//! Each request carries an `Arc<Peer>` among its extensions.
//!
//! # Decisions
//!
//! - **hyper's connection, not tonic's server.** The services that tonic generates are kept. What
//!   tonic's own server does around them is done here, because each of its layers costs an
//!   allocation or two per call.
//! - **[`Routes`] instead of tonic's**: those go through a router for web pages, which boxes a call
//!   four times more. Ours compares a handful of names.
//! - **No dates.** gRPC clients do not read the `date` header.
//!
//! # Left out
//!
//! - *Refusing clients that ping too often.* hyper answers pings before we see them. Each costs a
//!   client as much as us.
//! - *An HTTP/2 of our own for unary calls.* It would save about half of what is left, for
//!   thousands of lines that parse what strangers send.
//!
//! References: RFC 9113 (HTTP/2), gRPC over HTTP/2, etcd's `embed/serve.go` at 3.7 for what shares
//! an address.

mod clock;
mod coalesce;
mod connection;
mod dispatch;
mod driver;
mod executor;
mod listener;
mod opening;
mod oversize;
mod peer;
mod routes;
mod server;
mod shards;
mod socket;
#[cfg(test)]
mod tests;
mod traced;

pub use listener::{BindError, Listen, Listener, Place, Security, Serves, Sharing, bind};
pub use oversize::too_large;
pub use peer::{Peer, Remote};
pub use routes::Routes;
pub use server::{Bound, Options, Plan, Server, Shutdown, serve};
pub use shards::{ShardId, Shards};
