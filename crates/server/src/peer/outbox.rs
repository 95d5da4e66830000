//! What waits to be sent to one peer, and the connection it leaves by.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use replica::PeerMessage;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

use super::wire::put_message;

/// No more than this waits for a slow connection, in bytes; then messages are dropped, which Raft
/// expects of a network.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// A buffer that has grown beyond this is given back when it is empty.
const IDLE_BYTES_MAX: usize = 1 << 20;

type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What waits to be sent to one peer.
///
/// The driver writes to the connection itself, as far as that does not block, before it waits for
/// its disk: so followers work while the leader syncs. What the connection does not take at once
/// is left to the link's own task.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    left_over: Notify,
}

#[derive(Default)]
struct State {
    sink: Option<Sink>,
    waiting: Vec<u8>,
    /// How much of `waiting` is sent.
    sent: usize,
    /// How much of `waiting` [`Outbox::flush`] has returned.
    counted: usize,
    /// The connection refused to go on.
    broken: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It will be sent if the connection holds.
    Waiting,
    /// It will never be sent.
    Dropped,
}

impl Outbox {
    /// Puts a message in.
    pub(crate) fn post(&self, message: &PeerMessage) -> Posted {
        let mut state = self.state.lock();
        if state.sink.is_none() || state.broken || WAITING_BYTES_MAX < state.waiting.len() {
            return Posted::Dropped;
        }
        put_message(&mut state.waiting, message);
        Posted::Waiting
    }

    /// Puts in bytes that are already framed.
    pub(crate) fn post_frame(&self, put: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if state.sink.is_some() && !state.broken {
            put(&mut state.waiting);
        }
    }

    /// Sends as much as the connection takes without waiting, and leaves the rest to
    /// [`Outbox::drain`]. Returns how many bytes will be sent, or were.
    pub(crate) fn flush(&self) -> usize {
        let mut state = self.state.lock();
        let bytes = state.waiting.len() - state.counted;
        state.counted = state.waiting.len();
        if state.waiting.is_empty() {
            return bytes;
        }
        let done = state.poll(&mut Context::from_waker(Waker::noop()));
        if done.is_pending() || state.broken {
            self.left_over.notify_one();
        }
        bytes
    }

    /// Opens the box: what is put in from now on goes to this connection.
    pub(crate) fn connect(&self, sink: Sink) {
        let mut state = self.state.lock();
        *state = State { sink: Some(sink), ..State::default() };
    }

    /// Closes the box, and drops what waits in it.
    pub(crate) fn disconnect(&self) {
        let mut state = self.state.lock();
        *state = State::default();
    }

    /// Tells whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        let state = self.state.lock();
        state.sink.is_some() && !state.broken
    }

    /// Sends what [`Outbox::flush`] leaves over, again and again, until the connection breaks.
    pub(crate) async fn drain(&self) {
        loop {
            self.left_over.notified().await;
            std::future::poll_fn(|context| self.state.lock().poll(context)).await;
            if self.state.lock().broken {
                return;
            }
        }
    }
}

impl State {
    /// Ready when nothing waits any more, or the connection is broken.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(sink) = &mut self.sink else { return Poll::Ready(()) };
        while self.sent < self.waiting.len() && !self.broken {
            match Pin::new(&mut *sink).poll_write(context, &self.waiting[self.sent..]) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => self.broken = true,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        self.waiting.clear();
        self.waiting.shrink_to(IDLE_BYTES_MAX);
        self.sent = 0;
        self.counted = 0;
        match Pin::new(sink).poll_flush(context) {
            Poll::Ready(Err(_)) => self.broken = true,
            Poll::Ready(Ok(())) => {}
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("connected", &self.sink.is_some())
            .field("waiting", &(self.waiting.len() - self.sent))
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use replica::PeerMessage;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn message() -> PeerMessage {
        PeerMessage::LeaseRefused { nonce: 7 }
    }

    #[test]
    fn without_a_connection_nothing_is_kept() {
        let outbox = Outbox::default();
        assert_eq!(outbox.post(&message()), Posted::Dropped);
        assert!(!outbox.is_connected());
    }

    #[tokio::test]
    async fn what_the_connection_does_not_take_at_once_is_sent_later() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let outbox = Outbox::default();
        outbox.connect(Box::new(ours));
        let mut expected = Vec::new();
        for _ in 0..10 {
            assert_eq!(outbox.post(&message()), Posted::Waiting);
            put_message(&mut expected, &message());
        }
        assert_eq!(outbox.flush(), expected.len());
        let mut received = vec![0; expected.len()];
        tokio::select! {
            () = outbox.drain() => panic!("the connection holds"),
            read = theirs.read_exact(&mut received) => { read.unwrap(); }
        }
        assert_eq!(received, expected);
    }

    #[tokio::test]
    async fn broken_connection_ends_the_sending() {
        let (ours, theirs) = tokio::io::duplex(8);
        drop(theirs);
        let outbox = Outbox::default();
        outbox.connect(Box::new(ours));
        outbox.post(&message());
        outbox.flush();
        outbox.drain().await;
        assert_eq!(outbox.post(&message()), Posted::Dropped);
    }
}
