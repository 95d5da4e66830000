//! Accepts connections, hands them to shards, and ends them again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::connection::{self, Common};
use super::listener::{Listener, Place, Security, Serves};
use super::peer::Remote;
use super::routes::Routes;
use super::shards::{ShardId, Shards};
use super::socket::Socket;
use crate::http::Pages;
use crate::metrics::NetworkMetrics;
use crate::spans::Spans;
use crate::tls::ServerTls;

/// How long nothing is accepted after the system has refused to: it has run out of something that
/// connections give back as they end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections may do. The default is etcd's where etcd has one.
#[derive(Clone, Debug)]
pub struct Options {
    /// Calls that a client may have under way on one connection.
    pub concurrent_streams_max: u32,
    /// A connection on which nothing came for this long is asked whether it lives; `None` for
    /// never.
    pub keepalive_interval: Option<Duration>,
    /// And is given up if it does not answer within this.
    pub keepalive_timeout: Duration,
    /// Within this a client must have finished its TLS handshake and the beginning of HTTP/2; or of
    /// HTTP/1, the headers of its next request.
    pub opening_timeout: Duration,
    /// Connections at a time; more are closed as they come. `None` for no limit.
    pub connections_max: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            concurrent_streams_max: u32::MAX,
            keepalive_interval: Some(Duration::from_secs(2 * 60 * 60)),
            keepalive_timeout: Duration::from_secs(20),
            opening_timeout: Duration::from_secs(20),
            connections_max: None,
        }
    }
}

/// Everything that a server is made of.
pub struct Plan<'a> {
    /// Where it listens, from [`super::bind`].
    pub listeners: Vec<Listener>,
    /// What its connections live on.
    pub shards: Arc<Shards>,
    /// Makes the services of a shard. It is called once for each.
    pub routes: &'a dyn Fn(ShardId) -> Routes,
    /// What is answered to those who do not call.
    pub pages: Arc<Pages>,
    /// The certificates. It may be `None` if no listener wants TLS.
    pub tls: Option<Arc<ServerTls>>,
    /// Counts connections and what goes over them.
    pub metrics: Arc<NetworkMetrics>,
    /// What connections may do.
    pub options: Options,
    /// Tells a collector of calls; `None` if nobody wants to know.
    pub spans: Option<Arc<Spans>>,
}

/// How far a server is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not.
    Serving,
    /// No more calls are taken, those under way are finished.
    Closing,
    /// Whatever is left is dropped.
    Closed,
}

/// A server that runs. To drop it is to end it without waiting for anything.
pub struct Server {
    phase: watch::Sender<Phase>,
    accepting: Vec<JoinHandle<()>>,
    addresses: Vec<Bound>,
    /// Gives `None` when the last connection has ended.
    alive: mpsc::Receiver<()>,
    /// Threads that live as long as connections may.
    _shards: Arc<Shards>,
}

/// An address that a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As it was asked for.
    pub place: Place,
    /// As it was got; `None` for a socket in the file system.
    pub address: Option<SocketAddr>,
    /// What is spoken there.
    pub security: Security,
    /// What is served there.
    pub serves: Serves,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// All calls under way were finished.
    Finished,
    /// Some were not, and were dropped.
    Dropped,
}

/// What one listener needs for each connection.
struct Acceptor {
    listener: Listener,
    shards: Arc<Shards>,
    /// By shard.
    common: Vec<Arc<Common>>,
    connections_max: Option<usize>,
    phase: watch::Receiver<Phase>,
    alive: mpsc::Sender<()>,
}

/// Starts to accept connections, on the runtime that this is called on.
#[must_use]
pub fn serve(plan: Plan<'_>) -> Server {
    let Plan { listeners, shards, routes, pages, tls, metrics, options, spans } = plan;
    let (phase, phase_seen) = watch::channel(Phase::Serving);
    let (alive_held, alive) = mpsc::channel(1);
    let routes: Vec<Arc<Routes>> = shards.ids().map(|id| Arc::new(routes(id))).collect();
    let mut addresses = Vec::new();
    let mut accepting = Vec::new();
    for listener in listeners {
        addresses.push(Bound {
            place: listener.place.clone(),
            address: listener.address(),
            security: listener.security,
            serves: listener.serves,
        });
        let common = routes.iter().map(|routes| {
            Arc::new(Common {
                security: listener.security,
                serves: listener.serves,
                tls: tls.clone(),
                routes: Arc::clone(routes),
                pages: Arc::clone(&pages),
                metrics: Arc::clone(&metrics),
                options: options.clone(),
                phase: phase_seen.clone(),
                spans: spans.clone(),
            })
        });
        let acceptor = Acceptor {
            common: common.collect(),
            listener,
            shards: Arc::clone(&shards),
            connections_max: options.connections_max,
            phase: phase_seen.clone(),
            alive: alive_held.clone(),
        };
        accepting.push(tokio::spawn(acceptor.run()));
    }
    Server { phase, accepting, addresses, alive, _shards: shards }
}

impl Acceptor {
    async fn run(mut self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.phase.wait_for(|phase| *phase != Phase::Serving) => return,
            };
            let result = match accepted {
                Ok((socket, remote)) => self.admit(socket, remote),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                warn!(place = %self.listener.place, %error, "no connection could be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn admit(&self, socket: Socket, remote: Remote) -> io::Result<()> {
        if let Some(max) = self.connections_max
            && max <= self.shards.seated_len()
        {
            warn!(%remote, connections_max = max, "connection refused: there is no room for more");
            return Ok(());
        }
        let (id, seat) = self.shards.seat();
        let common = Arc::clone(&self.common[id.0]);
        let alive = self.alive.clone();
        let socket = socket.loosen()?;
        self.shards.run(id, async move {
            if let Err(error) = connection::serve(socket, remote, &common).await {
                debug!(%remote, error = %Chain(&error), "connection ended");
            }
            drop((seat, alive));
        });
        Ok(())
    }
}

/// An error with all its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Server {
    /// The addresses that it listens on.
    #[must_use]
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// Stops to accept and tells clients to go away. When this returns, the addresses are free for
    /// others; calls under way go on until [`Server::shutdown`].
    pub async fn close(&mut self) {
        self.phase.send_replace(Phase::Closing);
        for accepting in self.accepting.drain(..) {
            // It returns when it sees the phase, and gives back its address.
            let _ = accepting.await;
        }
    }

    /// Closes, lets calls finish for as long as `patience`, and drops what is left.
    pub async fn shutdown(mut self, patience: Duration) -> Shutdown {
        self.close().await;
        // Nothing is ever sent: it ends when all who could have are gone.
        let finished = timeout(patience, self.alive.recv()).await.is_ok();
        self.phase.send_replace(Phase::Closed);
        if finished {
            return Shutdown::Finished;
        }
        self.alive.recv().await;
        Shutdown::Dropped
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Closed);
    }
}
