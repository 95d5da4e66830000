//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;

use crate::tls::Identity;

/// The other end of a connection. Every request carries it, as an `Arc<Peer>` among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub remote: Remote,
    /// What its certificate says. `None` in plaintext, and if no certificate was asked for.
    pub identity: Option<Identity>,
}

/// Where the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// At an address of a network.
    Tcp(SocketAddr),
    /// On this machine, at the other end of a socket in the file system, which has no name.
    Unix,
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Tcp(address) => address.fmt(f),
            Remote::Unix => f.write_str("unix"),
        }
    }
}
