//! What waits for the driver, and who waits for its answers.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;
use replica::{Event, Replica, Reply, Ticket, Unavailable};
use tokio::sync::{Notify, oneshot};

/// How many questions of clients may wait for the driver, or for an answer.
const WAITING_MAX: usize = 200_000;

/// How many bytes of commands may wait for the driver.
const BYTES_MAX: usize = 64 << 20;

/// The queue between everybody and the driver.
///
/// Everybody pushes; the driver swaps the whole queue out and takes what it finds as one batch.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    woken: Notify,
}

/// A look at the replica, from the driver's thread, between two turns.
pub(crate) type Look = Box<dyn FnOnce(&Replica) + Send>;

#[derive(Default)]
struct State {
    events: Vec<Event>,
    looks: Vec<Look>,
    bytes: usize,
    waiters: HashMap<Ticket, oneshot::Sender<Reply>>,
    tickets_len: u64,
    stopping: bool,
    stopped: bool,
}

/// A client's place in the queue. Dropping it before the answer has come takes the question back,
/// as far as that is possible.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    inbox: &'a Inbox,
    ticket: Ticket,
    answer: oneshot::Receiver<Reply>,
    answered: bool,
}

impl Inbox {
    /// Puts in something that nobody waits for an answer to.
    pub(crate) fn push(&self, event: Event) {
        self.state.lock().events.push(event);
        self.woken.notify_one();
    }

    /// Puts in several at once.
    pub(crate) fn extend(&self, events: impl IntoIterator<Item = Event>) {
        self.state.lock().events.extend(events);
        self.woken.notify_one();
    }

    /// Puts in a client's question, which weighs `bytes`.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Busy`] if too much waits, [`Unavailable::Stopped`] if nobody answers any
    /// more.
    pub(crate) fn ask(
        &self,
        bytes: usize,
        event: impl FnOnce(Ticket) -> Event,
    ) -> Result<Waiting<'_>, Unavailable> {
        let (sender, answer) = oneshot::channel();
        let ticket = {
            let mut state = self.state.lock();
            if state.stopped {
                return Err(Unavailable::Stopped);
            }
            if WAITING_MAX <= state.waiters.len() || BYTES_MAX < state.bytes + bytes {
                return Err(Unavailable::Busy);
            }
            state.tickets_len += 1;
            let ticket = Ticket(state.tickets_len);
            state.bytes += bytes;
            state.waiters.insert(ticket, sender);
            state.events.push(event(ticket));
            ticket
        };
        self.woken.notify_one();
        Ok(Waiting { inbox: self, ticket, answer, answered: false })
    }

    /// Has the driver look at its replica for somebody.
    pub(crate) fn look(&self, look: Look) {
        let mut state = self.state.lock();
        // Whoever waits for what is seen learns that nothing is when `look` is dropped.
        if !state.stopped {
            state.looks.push(look);
        }
        drop(state);
        self.woken.notify_one();
    }

    /// Takes everything that waits, into an empty `events`, and returns who wants to look.
    pub(crate) fn take(&self, events: &mut Vec<Event>) -> Vec<Look> {
        assert!(events.is_empty(), "the batch before was not worked off");
        let mut state = self.state.lock();
        std::mem::swap(&mut state.events, events);
        state.bytes = 0;
        std::mem::take(&mut state.looks)
    }

    /// Hands out answers.
    pub(crate) fn answer(&self, replies: Vec<(Ticket, Reply)>) {
        if replies.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for (ticket, reply) in replies {
            if let Some(waiter) = state.waiters.remove(&ticket) {
                // Whoever has gone does not want it any more.
                drop(waiter.send(reply));
            }
        }
    }

    /// Lets the driver look around, though there is nothing new.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Asks the driver to end.
    pub(crate) fn ask_to_stop(&self) {
        self.state.lock().stopping = true;
        self.wake();
    }

    /// Tells whether the driver was asked to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Ends all waiting, now and later.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.events.clear();
        state.looks.clear();
        state.waiters.clear();
    }

    /// Returns how many clients wait for an answer.
    pub(crate) fn waiting_len(&self) -> usize {
        self.state.lock().waiters.len()
    }

    /// Waits until something was put in since this last returned.
    pub(crate) async fn filled(&self) {
        self.woken.notified().await;
    }
}

impl Waiting<'_> {
    /// Waits for the answer.
    pub(crate) async fn answer(mut self) -> Result<Reply, Unavailable> {
        let answer = (&mut self.answer).await;
        self.answered = true;
        match answer {
            Ok(Reply::Unavailable(why)) => Err(why),
            Ok(reply) => Ok(reply),
            Err(_) => Err(Unavailable::Stopped),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut state = self.inbox.state.lock();
        if state.waiters.remove(&self.ticket).is_some() {
            state.events.push(Event::Forget(self.ticket));
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("events", &self.events.len())
            .field("waiters", &self.waiters.len())
            .finish_non_exhaustive()
    }
}
