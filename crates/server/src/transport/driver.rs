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
/// Each turn ends with a pump, so that nothing that hyper has written waits for another reason to
/// wake up.
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::coalesce::{Coalesce, coalesce};
    use super::*;

    /// Writes a text when it is polled first, and ends when it is told to.
    struct Talkative {
        written: Coalesce<DuplexStream>,
        text: Vec<u8>,
        is_closed: bool,
    }

    impl Future for Talkative {
        type Output = Result<(), hyper::Error>;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let me = &mut *self;
            while !me.text.is_empty() {
                let len = ready!(Pin::new(&mut me.written).poll_write(cx, &me.text)).unwrap();
                me.text.drain(..len);
            }
            if me.is_closed { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
    }

    impl Closable for Talkative {
        fn close(mut self: Pin<&mut Self>) {
            self.text.extend(b"goodbye");
            self.is_closed = true;
        }
    }

    #[tokio::test]
    async fn all_that_was_written_arrives_before_the_end() {
        let (near, mut far) = tokio::io::duplex(16);
        let (written, pump) = coalesce(near);
        let text = vec![b'x'; 100_000];
        let connection = Talkative { written, text: text.clone(), is_closed: false };
        let driver = tokio::spawn(Driver::new(connection, pump, std::future::ready(())));
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert!(read == [&text[..], b"goodbye"].concat(), "{} bytes were read", read.len());
        driver.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn connection_that_cannot_be_written_to_ends() {
        let (near, far) = tokio::io::duplex(16);
        let (written, pump) = coalesce(near);
        let connection = Talkative { written, text: vec![b'x'; 100], is_closed: false };
        let driver = Driver::new(connection, pump, std::future::pending());
        drop(far);
        assert_eq!(driver.await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn nothing_of_a_turn_is_sent_before_its_end() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut written, pump) = coalesce(near);
        for _ in 0..3 {
            written.write_all(b"part ").await.unwrap();
            written.flush().await.unwrap();
        }
        let mut buffer = [0; 100];
        let early = tokio::time::timeout(std::time::Duration::ZERO, far.read(&mut buffer)).await;
        early.unwrap_err();
        std::future::poll_fn(|cx| pump.poll(cx)).await.unwrap();
        assert_eq!(far.read(&mut buffer).await.unwrap(), 15);
    }
}
