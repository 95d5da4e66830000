//! One connection of HTTP/2: hyper has its turn, then what it wrote is moved to the socket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::clock::TurnClock;
use super::coalesce::Pump;

/// A connection that can be told to end when its calls have.
pub(super) trait Closable: Future<Output = Result<(), hyper::Error>> {
    /// Tells the client to send no more, and ends when the calls in flight are answered.
    fn close(self: Pin<&mut Self>);
}

/// Drives a connection to its end.
///
/// Invariant: each turn ends with a pump, so that nothing that hyper has written waits for another
/// reason to wake up.
pub(super) struct Driver<C, S, Q> {
    connection: Pin<Box<C>>,
    pump: Pump<S>,
    /// Ready when the server closes. `None` once it has been.
    closing: Option<Pin<Box<Q>>>,
    state: State,
}

enum State {
    Serving,
    /// hyper is finished. What it wrote may not be: the goodbye that says why, above all.
    Draining(Option<hyper::Error>),
}

impl<C, S, Q> Driver<C, S, Q> {
    /// Drives `connection`, which writes to the other end of `pump`.
    pub(super) fn new(connection: C, pump: Pump<S>, closing: Q) -> Driver<C, S, Q> {
        Driver {
            connection: Box::pin(connection),
            pump,
            closing: Some(Box::pin(closing)),
            state: State::Serving,
        }
    }
}

impl<C, S, Q> Future for Driver<C, S, Q>
where
    C: Closable,
    S: AsyncWrite + Unpin,
    Q: Future<Output = ()>,
{
    type Output = Result<(), io::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        TurnClock::on_turn();
        let me = self.get_mut();
        if let Some(closing) = &mut me.closing
            && closing.as_mut().poll(cx).is_ready()
        {
            me.closing = None;
            me.connection.as_mut().close();
        }
        if let State::Serving = me.state
            && let Poll::Ready(result) = me.connection.as_mut().poll(cx)
        {
            me.state = State::Draining(result.err());
        }
        match &mut me.state {
            State::Serving => match me.pump.poll(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            },
            State::Draining(error) => {
                let drained = ready!(me.pump.poll_shutdown(cx));
                Poll::Ready(error.take().map_or(drained, |error| Err(io::Error::other(error))))
            }
        }
    }
}
