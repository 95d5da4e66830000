//! A connected socket, and one whose first bytes were read already.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::metrics::NetworkMetrics;

/// The bytes by which the beginning of HTTP/2 is known, and the most that is read to know it.
pub(super) const OPENING_BYTES_MAX: usize = 24;

/// A connection as it was accepted.
#[derive(Debug)]
pub(super) enum Socket {
    /// Over a network.
    Tcp(TcpStream),
    /// Over a socket in the file system.
    Unix(UnixStream),
}

/// A connection as it was accepted, away from any runtime, so that it can be given to another.
#[derive(Debug)]
pub(super) enum Loose {
    /// Over a network.
    Tcp(std::net::TcpStream),
    /// Over a socket in the file system.
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Takes the connection from the runtime that accepted it.
    pub(super) fn loosen(self) -> io::Result<Loose> {
        Ok(match self {
            Socket::Tcp(stream) => Loose::Tcp(stream.into_std()?),
            Socket::Unix(stream) => Loose::Unix(stream.into_std()?),
        })
    }
}

impl Loose {
    /// Gives the connection to the runtime that this is called on.
    pub(super) fn fasten(self) -> io::Result<Socket> {
        Ok(match self {
            Loose::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Loose::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

/// A connection of a client that is counted, and what goes over it.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    metrics: Arc<NetworkMetrics>,
}

impl<S> Counted<S> {
    /// Counts `stream` among the connections until it is dropped.
    pub(super) fn new(stream: S, metrics: Arc<NetworkMetrics>) -> Counted<S> {
        metrics.client_connections.increment();
        Counted { stream, metrics }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.metrics.client_connections.decrement();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut me.stream).poll_read(cx, buffer);
        me.metrics.client_received_bytes.add((buffer.filled().len() - before) as u64);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let written = Pin::new(&mut me.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = &written {
            me.metrics.client_sent_bytes.add(*len as u64);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream whose first bytes were read to see what it is, and are given again to whoever reads.
#[derive(Debug)]
pub(super) struct Prefixed<S> {
    prefix: [u8; OPENING_BYTES_MAX],
    /// The part of `prefix` that is still to be given: from here …
    given: usize,
    /// … to here.
    filled: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// Puts `bytes`, of which there are at most [`OPENING_BYTES_MAX`], before the stream.
    pub(super) fn new(bytes: &[u8], stream: S) -> Prefixed<S> {
        assert!(
            bytes.len() <= OPENING_BYTES_MAX,
            "{} bytes do not fit before a stream",
            bytes.len()
        );
        let mut prefix = [0; OPENING_BYTES_MAX];
        prefix[..bytes.len()].copy_from_slice(bytes);
        Prefixed { prefix, given: 0, filled: bytes.len(), stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.given < me.filled {
            let len = (me.filled - me.given).min(buffer.remaining());
            buffer.put_slice(&me.prefix[me.given..me.given + len]);
            me.given += len;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut me.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
