//! One connection, from its first byte to its last.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::clock::TurnClock;
use super::coalesce::{Coalesce, coalesce};
use super::dispatch::Dispatch;
use super::driver::{Closable, Driver};
use super::executor::Eager;
use super::listener::{Security, Serves};
use super::opening::{Opening, recognize};
use super::peer::{Peer, Remote};
use super::routes::Routes;
use super::server::{Options, Phase};
use super::socket::{Counted, Loose, Prefixed, Socket};
use crate::http::Pages;
use crate::metrics::NetworkMetrics;
use crate::spans::Spans;
use crate::tls::{Identity, ServerTls};

/// Calls that a client may cancel before they were looked at. A client that opens and cancels one
/// stream per call, as etcd's benchmark of leases does, comes to some hundreds in one turn; one
/// that wants us to work for nothing would go on and on (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 4096;

/// Streams that we may have to reset for the errors of a client before it is sent away.
const ERROR_RESETS_MAX: usize = 1024;

/// Of every stream, what a client may send before it was read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// Of all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The headers of one request.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// What the connections of one listener and one shard have in common.
pub(super) struct Common {
    pub(super) security: Security,
    pub(super) serves: Serves,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) routes: Arc<Routes>,
    pub(super) pages: Arc<Pages>,
    pub(super) metrics: Arc<NetworkMetrics>,
    pub(super) options: Options,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) spans: Option<Arc<Spans>>,
}

/// The stream below HTTP.
type Stream = Prefixed<Layer>;

/// What a client has connected to.
type Client = Counted<Socket>;

/// What carries the bytes.
enum Layer {
    Plain(Prefixed<Client>),
    Tls(Box<TlsStream<Prefixed<Client>>>),
}

/// A connection of which is known what it is.
struct Opened {
    stream: Stream,
    protocol: Protocol,
    identity: Option<Identity>,
}

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// Why a connection ended, if not because either side had enough.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// It was not clear in time what the client wants.
    #[error("the client did not finish its opening within {0:?}")]
    Silent(std::time::Duration),
    /// TLS where there is none.
    #[error("the client speaks TLS to an address that takes plaintext only")]
    TlsOnPlain,
    /// Plaintext where there must be TLS.
    #[error("the client speaks plaintext to an address that takes TLS only")]
    PlainOnTls,
    /// The handshake failed.
    #[error("TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The connection broke.
    #[error("connection broke")]
    Io(#[from] io::Error),
    /// HTTP/1 was not spoken well.
    #[error("HTTP/1 failed")]
    Http1(#[from] hyper::Error),
}

/// Serves a connection to its end, on the runtime that polls this.
pub(super) async fn serve(
    socket: Loose,
    remote: Remote,
    common: &Common,
) -> Result<(), ConnectionError> {
    let mut phase = common.phase.clone();
    let serving = async {
        let limit = common.options.opening_timeout;
        let client = Counted::new(socket.fasten()?, Arc::clone(&common.metrics));
        let opened = tokio::select! {
            opened = timeout(limit, open(client, common)) => opened,
            // Whoever has not asked for anything yet is not waited for.
            () = closing(common.phase.clone()) => return Ok(()),
        };
        let Some(opened) = opened.map_err(|_| ConnectionError::Silent(limit))?? else {
            return Ok(());
        };
        let peer = Arc::new(Peer { remote, identity: opened.identity });
        let dispatch = Dispatch {
            routes: Arc::clone(&common.routes),
            pages: Arc::clone(&common.pages),
            serves: common.serves,
            peer,
            spans: common.spans.clone(),
        };
        match opened.protocol {
            Protocol::Http2 => Ok(http2(opened.stream, dispatch, common).await?),
            Protocol::Http1 => http1(opened.stream, dispatch, common).await,
        }
    };
    // Whoever closes the server waits for us to finish, but not for ever.
    tokio::select! {
        biased;
        result = serving => result,
        _ = phase.wait_for(|phase| *phase == Phase::Closed) => Ok(()),
    }
}

/// Finds out what the client wants to speak, through TLS if there is to be any. `None` if it left.
async fn open(socket: Client, common: &Common) -> Result<Option<Opened>, ConnectionError> {
    let Some((opening, mut socket)) = recognize(socket).await? else { return Ok(None) };
    let protocol = match opening {
        Opening::Tls => return secure(socket, common).await,
        Opening::Http1 => Protocol::Http1,
        Opening::Http2 => Protocol::Http2,
    };
    if common.security == Security::Tls {
        if let Protocol::Http1 = protocol {
            explain_tls(&mut socket).await?;
        }
        return Err(ConnectionError::PlainOnTls);
    }
    let stream = Prefixed::new(&[], Layer::Plain(socket));
    Ok(Some(Opened { stream, protocol, identity: None }))
}

/// Answers somebody who speaks HTTP/1 without TLS, in the words of Go.
async fn explain_tls(socket: &mut Prefixed<Client>) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let text = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await
}

async fn secure(
    socket: Prefixed<Client>,
    common: &Common,
) -> Result<Option<Opened>, ConnectionError> {
    let tls = match (common.security, &common.tls) {
        (Security::Tls | Security::Either, Some(tls)) => tls,
        (Security::Plain, _) | (_, None) => return Err(ConnectionError::TlsOnPlain),
    };
    let acceptor = TlsAcceptor::from(tls.config());
    let stream = acceptor.accept(socket).await.map_err(ConnectionError::Handshake)?;
    let (_, session) = stream.get_ref();
    let identity = session.peer_certificates().and_then(|chain| Identity::of(chain.first()?));
    let agreed = match session.alpn_protocol() {
        Some(b"h2") => Some(Protocol::Http2),
        Some(_) => Some(Protocol::Http1),
        None => None,
    };
    let layer = Layer::Tls(Box::new(stream));
    if let Some(protocol) = agreed {
        return Ok(Some(Opened { stream: Prefixed::new(&[], layer), protocol, identity }));
    }
    let Some((opening, stream)) = recognize(layer).await? else { return Ok(None) };
    let protocol = match opening {
        Opening::Http2 => Protocol::Http2,
        Opening::Http1 | Opening::Tls => Protocol::Http1,
    };
    Ok(Some(Opened { stream, protocol, identity }))
}

async fn http1(stream: Stream, dispatch: Dispatch, common: &Common) -> Result<(), ConnectionError> {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(common.options.opening_timeout);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), dispatch));
    tokio::select! {
        result = connection.as_mut() => return Ok(result?),
        () = closing(common.phase.clone()) => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

type Http2<S> = http2::Connection<TokioIo<Coalesce<S>>, Dispatch, Eager>;

async fn http2(stream: Stream, dispatch: Dispatch, common: &Common) -> io::Result<()> {
    let options = &common.options;
    let (written, pump) = coalesce(stream);
    let connection: Http2<Stream> = http2::Builder::new(Eager)
        .timer(TurnClock::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(options.concurrent_streams_max)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .serve_connection(TokioIo::new(written), dispatch);
    Driver::new(connection, pump, closing(common.phase.clone())).await
}

/// Waits until the server closes.
async fn closing(mut phase: watch::Receiver<Phase>) {
    // A server that is gone has closed.
    let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
}

impl<S> Closable for Http2<S>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl AsyncRead for Layer {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Layer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Layer::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Layer::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
