//! Addresses to listen on, and the sockets that do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener, lookup_host};

use super::peer::Remote;
use super::socket::Socket;
use crate::config::Url;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG_LEN: u32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a network.
    Tcp {
        /// A name or a number, without the brackets of IPv6; empty for every interface.
        host: String,
        /// Zero for any that is free.
        port: u16,
    },
    /// At a socket in the file system.
    Unix {
        /// Where the file is made.
        path: PathBuf,
    },
}

/// What is spoken at an address below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nothing: plaintext only.
    Plain,
    /// TLS only.
    Tls,
    /// Whatever the client begins with.
    Either,
}

/// What is served at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Calls and pages.
    All,
    /// Calls only.
    Calls,
    /// Pages only, as on the addresses for metrics.
    Pages,
}

/// Whether other processes may listen at the same port, each getting some of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// They may not.
    #[default]
    Alone,
    /// They may (`SO_REUSEPORT`).
    Shared,
}

/// A wish to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub place: Place,
    /// What is spoken there.
    pub security: Security,
    /// What is served there.
    pub serves: Serves,
    /// Who else may listen there.
    pub sharing: Sharing,
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    pub(super) place: Place,
    pub(super) security: Security,
    pub(super) serves: Serves,
    socket: Listening,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "it is held for what its end does")] Removed),
}

/// Removes the file of a socket when nobody listens any more.
#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Somebody may have removed it before us, which is as well.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A name does not stand for any address.
    #[error(
        "cannot listen on {place}: the name `{host}` has no address; give a name that this machine \
         resolves, or a number such as 0.0.0.0"
    )]
    Unresolvable {
        /// The address as it was given.
        place: Place,
        /// The name.
        host: String,
        /// What the resolver says. `None` if it says that there is none.
        source: Option<io::Error>,
    },
    /// Somebody listens there.
    #[error(
        "cannot listen on {place}: the address is in use; stop the process that uses it, or choose \
         another port"
    )]
    InUse {
        /// The address.
        place: Place,
    },
    /// The address is that of another machine.
    #[error(
        "cannot listen on {place}: {address} is not an address of this machine; listen on one that \
         is, or on 0.0.0.0, and put this one into the advertised URLs"
    )]
    NotHere {
        /// The address as it was given.
        place: Place,
        /// What it stands for.
        address: SocketAddr,
    },
    /// The process may not listen there.
    #[error(
        "cannot listen on {place}: permission denied; ports below 1024 and other users' \
         directories need privileges, so choose another, or run with them"
    )]
    Denied {
        /// The address.
        place: Place,
    },
    /// Two wishes for one place differ in what is served there.
    #[error(
        "cannot listen on {place}: it is wanted for {first} and for {second}; give each an address \
         of its own"
    )]
    Conflict {
        /// The address.
        place: Place,
        /// What it was wanted for first.
        first: Serves,
        /// What it was wanted for next.
        second: Serves,
    },
    /// Something else.
    #[error("cannot listen on {place}")]
    Other {
        /// The address.
        place: Place,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Tcp { host, port } => write!(f, "{host}:{port}"),
            Place::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Serves::All => "clients",
            Serves::Calls => "clients of gRPC only",
            Serves::Pages => "pages of HTTP only",
        })
    }
}

impl Listen {
    /// The wish that an address expresses.
    #[must_use]
    pub fn at(url: &Url, serves: Serves, sharing: Sharing) -> Listen {
        let place = match url.socket_path() {
            Some(path) => Place::Unix { path },
            None => Place::Tcp { host: url.host().to_owned(), port: url.port() },
        };
        let security = if url.scheme().is_tls() { Security::Tls } else { Security::Plain };
        Listen { place, security, serves, sharing }
    }
}

/// Opens every address. Two wishes for one place, one with TLS and one without, share it.
///
/// # Errors
///
/// If one of them cannot be had; those before it are closed again.
pub async fn bind(wishes: &[Listen]) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    for wish in merge(wishes)? {
        let socket = match &wish.place {
            Place::Tcp { host, port } => bind_tcp(&wish.place, host, *port, wish.sharing).await?,
            Place::Unix { path } => bind_unix(&wish.place, path)?,
        };
        let Listen { place, security, serves, sharing: _ } = wish;
        listeners.push(Listener { place, security, serves, socket });
    }
    Ok(listeners)
}

/// One wish for each place. A free port is another place each time.
fn merge(wishes: &[Listen]) -> Result<Vec<Listen>, BindError> {
    let mut merged: Vec<Listen> = Vec::new();
    for wish in wishes {
        let is_any_port = matches!(wish.place, Place::Tcp { port: 0, .. });
        let same = merged.iter_mut().find(|other| !is_any_port && other.place == wish.place);
        let Some(same) = same else {
            merged.push(wish.clone());
            continue;
        };
        if same.serves != wish.serves {
            return Err(BindError::Conflict {
                place: wish.place.clone(),
                first: same.serves,
                second: wish.serves,
            });
        }
        if same.security != wish.security {
            same.security = Security::Either;
        }
    }
    Ok(merged)
}

async fn bind_tcp(
    place: &Place,
    host: &str,
    port: u16,
    sharing: Sharing,
) -> Result<Listening, BindError> {
    let address = resolve(place, host, port).await?;
    let listen = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Without this, connections of a process that has just ended keep its port for a minute.
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(sharing == Sharing::Shared)?;
        // Accepted connections inherit it. A client whose machine is gone is then found out.
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG_LEN)
    };
    listen().map(Listening::Tcp).map_err(|source| refused(place, Some(address), source))
}

/// The address that `host` stands for; of several the first, and IPv4 before IPv6, as etcd has it.
async fn resolve(place: &Place, host: &str, port: u16) -> Result<SocketAddr, BindError> {
    let name = if host.is_empty() { "0.0.0.0" } else { host };
    let unresolvable =
        |source| BindError::Unresolvable { place: place.clone(), host: host.to_owned(), source };
    let found = lookup_host((name, port)).await.map_err(|error| unresolvable(Some(error)))?;
    let addresses: Vec<SocketAddr> = found.collect();
    let v4 = addresses.iter().find(|address| address.is_ipv4());
    v4.or(addresses.first()).copied().ok_or_else(|| unresolvable(None))
}

fn bind_unix(place: &Place, path: &Path) -> Result<Listening, BindError> {
    // A file without anybody who listens is what a process leaves that was killed.
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(BindError::InUse { place: place.clone() });
    }
    if is_socket(path) {
        std::fs::remove_file(path).map_err(|source| refused(place, None, source))?;
    }
    let listener = UnixListener::bind(path).map_err(|source| refused(place, None, source))?;
    Ok(Listening::Unix(listener, Removed(path.to_owned())))
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn refused(place: &Place, address: Option<SocketAddr>, source: io::Error) -> BindError {
    let place = place.clone();
    if source.kind() == io::ErrorKind::AddrInUse {
        return BindError::InUse { place };
    }
    if source.kind() == io::ErrorKind::PermissionDenied {
        return BindError::Denied { place };
    }
    match address {
        Some(address) if source.kind() == io::ErrorKind::AddrNotAvailable => {
            BindError::NotHere { place, address }
        }
        Some(_) | None => BindError::Other { place, source },
    }
}

impl Listener {
    /// The address that was got, with the port if any was asked for; `None` for a socket in the
    /// file system.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Listening::Tcp(listener) => listener.local_addr().ok(),
            Listening::Unix(..) => None,
        }
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Remote)> {
        match &self.socket {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers leave when we say so, not when a packet is full.
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), Remote::Tcp(address)))
            }
            Listening::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), Remote::Unix))
            }
        }
    }
}
