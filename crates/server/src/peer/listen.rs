//! The addresses where peers call this member.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::Host;
use super::net::{HELLO_TIMEOUT, Stream};
use crate::config::Url;

/// How long nothing is accepted after the system has refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is needed to be called over TLS: made anew for each call, so that certificates that were
/// replaced are used.
pub(crate) type ServerTls = Arc<dyn Fn() -> Result<Arc<rustls::ServerConfig>> + Send + Sync>;

/// An address that is listened on.
#[derive(Debug)]
pub(crate) enum PeerListener {
    /// On a network.
    Tcp(TcpListener, Url),
    /// At a socket in the file system.
    Unix(UnixListener, Url),
}

/// Listens on an address.
///
/// # Errors
///
/// If that is impossible; the text says what to do.
pub(crate) async fn bind(url: &Url) -> Result<PeerListener> {
    let advice = || {
        format!(
            "cannot listen for peers on {url}: stop the process that uses the address, or give \
             another by --listen-peer-urls"
        )
    };
    if url.scheme().is_unix() {
        // A file that an earlier life has left would be in the way.
        match std::fs::remove_file(url.host()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(advice);
            }
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(url.host()).with_context(advice)?;
        return Ok(PeerListener::Unix(listener, url.clone()));
    }
    let host = if url.host().is_empty() { "0.0.0.0" } else { url.host() };
    let listener = TcpListener::bind((host, url.port())).await.with_context(advice)?;
    Ok(PeerListener::Tcp(listener, url.clone()))
}

/// Accepts connections for as long as the process lives.
pub(crate) async fn accept(listener: PeerListener, tls: Option<ServerTls>, host: Arc<Host>) {
    loop {
        let (accepted, url) = match &listener {
            PeerListener::Tcp(listener, url) => {
                let accepted = listener.accept().await.and_then(|(stream, _)| {
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Stream)
                });
                (accepted, url)
            }
            PeerListener::Unix(listener, url) => {
                let accepted = listener.accept().await;
                (accepted.map(|(stream, _)| Box::new(stream) as Stream), url)
            }
        };
        match accepted {
            Ok(stream) => {
                let tls = tls.clone().filter(|_| url.scheme().is_tls());
                tokio::spawn(greet(stream, tls, host.clone()));
            }
            Err(error) => {
                warn!(%error, url = url.as_str(), "a connection of a peer was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn greet(stream: Stream, tls: Option<ServerTls>, host: Arc<Host>) {
    let Some(tls) = tls else { return host.serve(stream).await };
    let config = match tls() {
        Ok(config) => config,
        Err(error) => return warn!(error = format!("{error:#}"), "no certificates for peers"),
    };
    match timeout(HELLO_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => host.serve(Box::new(stream)).await,
        Ok(Err(error)) => debug!(%error, "a TLS handshake at the peer address failed"),
        Err(_) => debug!("a TLS handshake at the peer address took too long"),
    }
}
