//! Everything that is written to a connection in one turn, kept until the end of the turn.
//!
//! hyper writes each answer when it is ready, and asks for it to be flushed. [`Coalesce`] stands
//! between it and the socket, only remembers, and says that all is done. When the turn is over, the
//! driver calls [`Pump::poll`], and one system call carries everything.
//!
//! Invariant: of what was written, nothing is lost and nothing changes its order; bytes leave the
//! buffer only as the stream takes them.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From this many bytes on, a write waits until the stream has taken some: otherwise a client that
/// does not read would make us keep all its answers.
const PENDING_BYTES_MAX: usize = 64 * 1024;

/// A spare buffer that has grown beyond this is given back to the allocator.
const SPARE_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    /// The buffer of whichever connection has its turn. An idle connection has none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What hyper reads from and writes to.
pub(super) struct Coalesce<S> {
    shared: Arc<Mutex<Shared<S>>>,
}

/// The driver's end: moves to the stream what was written.
pub(super) struct Pump<S> {
    shared: Arc<Mutex<Shared<S>>>,
}

/// Both ends are polled by one task, so the lock is never waited for.
struct Shared<S> {
    stream: S,
    pending: Vec<u8>,
    /// How much of `pending` the stream has taken.
    taken: usize,
    /// The stream may hold back bytes that it took, until it is flushed.
    is_unflushed: bool,
    /// A write found no room, and is to be tried again as soon as there is some.
    is_write_waiting: bool,
}

/// Makes the two ends of a stream.
pub(super) fn coalesce<S>(stream: S) -> (Coalesce<S>, Pump<S>) {
    let shared = Arc::new(Mutex::new(Shared {
        stream,
        pending: Vec::new(),
        taken: 0,
        is_unflushed: false,
        is_write_waiting: false,
    }));
    (Coalesce { shared: Arc::clone(&shared) }, Pump { shared })
}

fn lock<S>(shared: &Mutex<Shared<S>>) -> MutexGuard<'_, Shared<S>> {
    // A panic of one who held it left whole bytes, which are as good as any.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> Pump<S> {
    /// Moves what was written to the stream. Ready when nothing is left.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.shared);
        ready!(shared.poll_pump(cx))?;
        if std::mem::take(&mut shared.is_write_waiting) {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Moves what is left, and ends the stream.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.shared);
        ready!(shared.poll_pump(cx))?;
        Pin::new(&mut shared.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn pending_len(&self) -> usize {
        self.pending.len() - self.taken
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.pending.capacity() == 0 {
            self.pending = SPARE.take();
        }
        self.pending.extend_from_slice(bytes);
    }

    fn poll_pump(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.pending.len() {
            let rest = &self.pending[self.taken..];
            let len = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += len;
            assert!(self.taken <= self.pending.len(), "stream took more than it was given");
            self.is_unflushed = true;
        }
        if self.pending.capacity() != 0 {
            self.taken = 0;
            self.pending.clear();
            let spare = std::mem::take(&mut self.pending);
            if spare.capacity() <= SPARE_BYTES_MAX {
                SPARE.set(spare);
            }
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when there is room for a write.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if PENDING_BYTES_MAX <= self.pending_len() {
            self.is_write_waiting = true;
            ready!(self.poll_pump(cx))?;
        }
        self.is_write_waiting = false;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesce<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.shared).stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesce<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut shared = lock(&self.shared);
        ready!(shared.poll_room(cx))?;
        shared.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = lock(&self.shared);
        ready!(shared.poll_room(cx))?;
        let mut len = 0;
        for slice in slices {
            shared.push(slice);
            len += slice.len();
        }
        Poll::Ready(Ok(len))
    }

    /// Small frames are then put together by hyper itself, which is one call less for each.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.shared);
        ready!(shared.poll_pump(cx))?;
        Pin::new(&mut shared.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// A stream that takes nothing, until it takes everything.
    #[derive(Default)]
    struct Moody {
        is_open: bool,
        taken: usize,
    }

    impl AsyncWrite for Moody {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if !self.is_open {
                return Poll::Pending;
            }
            self.taken += bytes.len();
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn write_that_finds_no_room_waits_and_is_woken_when_there_is_some() {
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let (mut written, pump) = coalesce(Moody::default());
        let chunk = vec![0; PENDING_BYTES_MAX];
        let mut write = |cx: &mut _| Pin::new(&mut written).poll_write(cx, &chunk);
        assert!(write(&mut cx).is_ready(), "an empty buffer has room");
        assert!(pump.poll(&mut cx).is_pending(), "the stream takes nothing");
        assert!(write(&mut cx).is_pending(), "a full buffer has none");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        lock(&pump.shared).stream.is_open = true;
        assert!(pump.poll(&mut cx).is_ready());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "whoever waited is told");
        assert!(write(&mut cx).is_ready());
        assert!(pump.poll(&mut cx).is_ready());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "nobody waits any more");
        assert_eq!(lock(&pump.shared).stream.taken, 2 * PENDING_BYTES_MAX);
    }

    #[test]
    fn idle_connection_keeps_no_buffer() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut written, pump) = coalesce(Moody { is_open: true, taken: 0 });
        assert!(Pin::new(&mut written).poll_write(&mut cx, b"text").is_ready());
        assert!(pump.poll(&mut cx).is_ready());
        assert_eq!(lock(&pump.shared).pending.capacity(), 0);
        let spare = SPARE.take();
        assert!(4 <= spare.capacity(), "the next connection has it");
    }
}
