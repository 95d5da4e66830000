//! Connections between members, whatever they run over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::bytes::WireError;
use super::hello::{self, Hello, Verdict};
use super::wire::{FRAME_HEAD_BYTES, check_body, frame_head, put_frame};
use crate::config::Url;

/// How long the beginning of a connection may take.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other end may take to accept a connection, which its kernel does if it listens.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Nobody who begins a connection says more than this.
const HELLO_BYTES_MAX: usize = 1 << 20;

/// The size of a buffer that frames are read into, one behind the other. Entries keep what they
/// came in, so a new one is taken only when the last one is used up.
const BUFFER_BYTES: usize = 64 << 10;

/// Less room than this is not worth a read.
const ROOM_BYTES_MIN: usize = 4 << 10;

/// A connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) type Stream = Box<dyn Duplex>;

/// What is needed to call peers over TLS: made anew for each call, so that certificates that were
/// replaced are used.
pub(crate) type ClientTls =
    Arc<dyn Fn() -> Result<Arc<rustls::ClientConfig>, anyhow::Error> + Send + Sync>;

/// Why a peer could not be called.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// Nobody accepts connections there, or the network does not reach it.
    #[error("{url} cannot be reached: {source}")]
    Unreachable { url: String, source: io::Error },
    /// The connection failed.
    #[error("the connection to {url} failed: {source}")]
    Connection { url: String, source: io::Error },
    /// It took too long.
    #[error("{url} did not answer within {} s", HELLO_TIMEOUT.as_secs())]
    Timeout { url: String },
    /// TLS is needed and not set, or its files cannot be used.
    #[error("{url} wants TLS: {source}")]
    Tls { url: String, source: anyhow::Error },
    /// The other end does not speak our protocol.
    #[error("{url} does not speak as a member of Holdfast: {source}")]
    Foreign { url: String, source: WireError },
}

/// Calls a peer, and says who calls.
pub(crate) async fn call(
    url: &Url,
    tls: Option<&ClientTls>,
    hello: &Hello,
) -> Result<(Stream, Verdict), CallError> {
    let text = url.as_str().to_owned();
    match timeout(HELLO_TIMEOUT, call_at_leisure(url, tls, hello)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(CallError::Timeout { url: text }),
    }
}

async fn call_at_leisure(
    url: &Url,
    tls: Option<&ClientTls>,
    hello: &Hello,
) -> Result<(Stream, Verdict), CallError> {
    let failed = |source| CallError::Connection { url: url.as_str().to_owned(), source };
    let mut stream = connect(url, tls).await?;
    let mut first = Vec::new();
    put_frame(&mut first, |out| hello::put_hello(out, hello));
    stream.write_all(&first).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let body = read_hello(&mut stream).await.map_err(|source| source.at(url))?;
    let verdict = hello::verdict(body)
        .map_err(|source| CallError::Foreign { url: url.as_str().to_owned(), source })?;
    Ok((stream, verdict))
}

async fn connect(url: &Url, tls: Option<&ClientTls>) -> Result<Stream, CallError> {
    let failed = |source| CallError::Connection { url: url.as_str().to_owned(), source };
    let unreachable = |source| CallError::Unreachable { url: url.as_str().to_owned(), source };
    let stream: Stream = if url.scheme().is_unix() {
        Box::new(UnixStream::connect(url.host()).await.map_err(unreachable)?)
    } else {
        // Names are resolved at each call: pods change their addresses.
        let connecting = TcpStream::connect((url.host(), url.port()));
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected.unwrap_or_else(|late| Err(late.into())).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(failed)?;
        Box::new(stream)
    };
    if !url.scheme().is_tls() {
        return Ok(stream);
    }
    let unusable = |source| CallError::Tls { url: url.as_str().to_owned(), source };
    let config = match tls {
        Some(config) => config().map_err(unusable)?,
        None => return Err(unusable(anyhow::anyhow!("set --peer-cert-file and its like"))),
    };
    let host = if url.scheme().is_unix() { "localhost" } else { url.host() };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| unusable(error.into()))?;
    let connector = tokio_rustls::TlsConnector::from(config);
    Ok(Box::new(connector.connect(name, stream).await.map_err(failed)?))
}

/// Why the beginning of a connection was not understood.
#[derive(Debug, Error)]
pub(crate) enum HelloError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    /// What was said makes no sense.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl HelloError {
    fn at(self, url: &Url) -> CallError {
        let url = url.as_str().to_owned();
        match self {
            HelloError::Connection(source) => CallError::Connection { url, source },
            HelloError::Wire(source) => CallError::Foreign { url, source },
        }
    }
}

/// Reads the one frame with which a connection begins.
pub(crate) async fn read_hello(stream: &mut Stream) -> Result<Bytes, HelloError> {
    let mut head = [0; FRAME_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let (len, checksum) = frame_head(head)?;
    if HELLO_BYTES_MAX < len {
        return Err(WireError::TooLong { found: len, max: HELLO_BYTES_MAX }.into());
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    check_body(&body, checksum)?;
    Ok(body.into())
}

/// Cuts what arrives into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Waits for more, and returns the bodies of all frames that are complete then; `None` at the
    /// end of the connection.
    pub(crate) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<Vec<Bytes>>, HelloError> {
        loop {
            if self.buffer.capacity() - self.buffer.len() < ROOM_BYTES_MIN {
                self.buffer.reserve(BUFFER_BYTES);
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
            let bodies = self.complete()?;
            if !bodies.is_empty() {
                return Ok(Some(bodies));
            }
        }
    }

    fn complete(&mut self) -> Result<Vec<Bytes>, WireError> {
        let mut bodies = Vec::new();
        while let Some(head) = self.buffer.first_chunk::<FRAME_HEAD_BYTES>() {
            let (len, checksum) = frame_head(*head)?;
            if self.buffer.len() < FRAME_HEAD_BYTES + len {
                self.buffer.reserve(FRAME_HEAD_BYTES + len - self.buffer.len());
                break;
            }
            let mut frame = self.buffer.split_to(FRAME_HEAD_BYTES + len);
            let body = frame.split_off(FRAME_HEAD_BYTES).freeze();
            check_body(&body, checksum)?;
            bodies.push(body);
        }
        Ok(bodies)
    }
}
