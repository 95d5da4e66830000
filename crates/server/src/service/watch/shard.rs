//! The hub of the connections of one thread, and the task that drives it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use etcd_api::etcdserverpb::watch_request::RequestUnion;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::arena::Key;
use super::hub::{Counts, Hub, Limits, Moment, Stream, Work};
use super::outgoing::Outgoing;
use crate::convert::Header;
use crate::dice;
use crate::member::Handle;
use crate::metrics::Metrics;
use crate::status::Refusal;

/// The progress interval of a stream is longer than what is set by up to one part of so many, so
/// that streams which were opened together are not told of progress together for ever.
const JITTER_PARTS: u32 = 10;

/// What a client needs for an answer when it is busy. Who was given many is left so much time
/// for each before the next: what happens meanwhile then comes in one answer, and costs the client,
/// and us, a fraction.
const PACE_PER_ANSWER: Duration = Duration::from_micros(10);

/// Nobody is left less time than this: changes that few watch are never delayed.
const PACE_MIN: Duration = Duration::from_millis(2);

/// Nobody waits longer than this.
const PACE_MAX: Duration = Duration::from_millis(10);

/// The watchers of the connections of one thread.
///
/// Everything is done on that thread, so the lock is never waited for.
pub(super) struct Shard {
    state: Mutex<State>,
    handle: Handle,
    metrics: Arc<Metrics>,
    /// From when the hub's time is counted.
    begun: Instant,
    progress_interval: Duration,
    /// Wakes the driver when a request has made work.
    work: Notify,
}

struct State {
    hub: Hub,
    /// The tasks of the streams that wait for something to send.
    wakers: BTreeMap<Key<Stream>, Waker>,
    /// Whether the driver runs. It does while there are streams.
    is_driven: bool,
    /// Whether the member stops.
    is_closed: bool,
    /// What the metrics were told.
    told: Counts,
}

/// What a turn has come to.
struct Turn {
    work: Work,
    /// How many answers were queued.
    answers: u64,
    /// When there will be work if nothing happens.
    next_tick: Option<Duration>,
}

/// Returns how long those who were given so many answers are left alone. `None` if there are few.
fn pause(answers: u64) -> Option<Duration> {
    let answers = u32::try_from(answers).unwrap_or(u32::MAX);
    let pause = PACE_PER_ANSWER.saturating_mul(answers);
    (PACE_MIN <= pause).then(|| pause.min(PACE_MAX))
}

impl Shard {
    pub(super) fn new(
        handle: Handle,
        divide_at: usize,
        progress_interval: Duration,
        metrics: Arc<Metrics>,
    ) -> Shard {
        let identity = handle.identity();
        let origin = Header {
            cluster_id: identity.cluster_id,
            member_id: identity.member_id,
            ..Header::default()
        };
        let hub = Hub::new(origin, Limits::new(divide_at), dice::random());
        let state = State {
            hub,
            wakers: BTreeMap::new(),
            is_driven: false,
            is_closed: false,
            told: Counts::default(),
        };
        Shard {
            state: Mutex::new(state),
            handle,
            metrics,
            begun: Instant::now(),
            progress_interval,
            work: Notify::new(),
        }
    }

    /// Opens a stream.
    pub(super) fn open(self: &Arc<Shard>) -> Result<Key<Stream>, Refusal> {
        let jitter_max = (self.progress_interval / JITTER_PARTS).as_nanos();
        let jitter = u64::try_from(u128::from(dice::random()) % jitter_max).unwrap_or(u64::MAX);
        let progress_interval = self.progress_interval.saturating_add(Duration::from_nanos(jitter));
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Refusal::Stopped);
        }
        if !state.is_driven {
            state.is_driven = true;
            tokio::spawn(Arc::clone(self).drive());
        }
        Ok(state.hub.open(self.begun.elapsed(), progress_interval))
    }

    /// Closes a stream.
    pub(super) fn close(&self, stream: Key<Stream>) {
        let mut state = self.state.lock();
        state.hub.close(stream);
        state.wakers.remove(&stream);
        self.work.notify_one();
    }

    /// Does what a client asks for.
    pub(super) fn on_request(&self, stream: Key<Stream>, request: &RequestUnion) {
        let time = self.begun.elapsed();
        self.with_state(|State { hub, .. }, now| match request {
            RequestUnion::CreateRequest(create) => hub.create(stream, create, time, now),
            RequestUnion::CancelRequest(cancel) => hub.cancel(stream, cancel.watch_id, now),
            RequestUnion::ProgressRequest(_) => hub.progress(stream, now),
        });
    }

    /// Moves what a stream has to send to `into`, which is empty. Ready if that is something, or if
    /// the stream is to end.
    pub(super) fn poll_take(
        &self,
        stream: Key<Stream>,
        into: &mut VecDeque<Outgoing>,
        context: &Context<'_>,
    ) -> Poll<Result<(), Refusal>> {
        self.with_state(|state, now| {
            if state.is_closed {
                return Poll::Ready(Err(Refusal::Stopped));
            }
            state.hub.take(stream, into, now);
            if into.is_empty() {
                state.wakers.insert(stream, context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Does something, and sees to what follows from it.
    fn with_state<T>(&self, act: impl FnOnce(&mut State, &Moment<'_>) -> T) -> T {
        let published = self.handle.published();
        let now = Moment { view: &published.view, term: published.term.0 };
        let mut state = self.state.lock();
        let done = act(&mut state, &now);
        if state.hub.has_work(&now) {
            self.work.notify_one();
        }
        state.wake_ready();
        done
    }

    // === The driver ===

    /// Tells watchers of changes as long as there are streams.
    async fn drive(self: Arc<Shard>) {
        let mut changes = self.handle.changes();
        let mut closing = self.handle.closing();
        let mut tick = std::pin::pin!(tokio::time::sleep_until(self.begun));
        let mut answers = 0;
        loop {
            let Some(turn) = self.turn() else { return };
            answers += turn.answers;
            if turn.work == Work::Remains {
                // Streams send, and requests are read, before the next turn.
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(pause) = pause(std::mem::take(&mut answers)) {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = closing.wait_for(|is_closing| *is_closing) => return self.close_all(),
                }
            }
            let next_tick = turn.next_tick.map(|after| self.begun + after);
            if let Some(next_tick) = next_tick
                && next_tick != tick.deadline()
            {
                tick.as_mut().reset(next_tick);
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return self.close_all();
                },
                () = self.work.notified() => {}
                () = &mut tick, if next_tick.is_some() => {}
                _ = closing.wait_for(|is_closing| *is_closing) => return self.close_all(),
            }
        }
    }

    /// Does a bounded amount of work. Returns `None` if there are no streams any more.
    fn turn(&self) -> Option<Turn> {
        let published = self.handle.published();
        let now = Moment { view: &published.view, term: published.term.0 };
        let mut state = self.state.lock();
        let before = state.hub.answers_queued();
        let work = state.hub.turn(&now);
        let answers = state.hub.answers_queued() - before;
        state.hub.on_time(self.begun.elapsed(), &now);
        state.wake_ready();
        state.tell(&self.metrics, &now);
        if state.told.streams == 0 {
            state.is_driven = false;
            return None;
        }
        Some(Turn { work, answers, next_tick: state.hub.next_tick() })
    }

    /// Ends all streams.
    fn close_all(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        for waker in std::mem::take(&mut state.wakers).into_values() {
            waker.wake();
        }
    }
}

impl State {
    fn wake_ready(&mut self) {
        for stream in self.hub.drain_ready() {
            if let Some(waker) = self.wakers.remove(&stream) {
                waker.wake();
            }
        }
    }

    /// Brings the metrics up to date.
    fn tell(&mut self, metrics: &Metrics, now: &Moment<'_>) {
        let counts = self.hub.counts(now);
        let before = std::mem::replace(&mut self.told, counts);
        let watch = &metrics.watch;
        watch.streams.shift(before.streams, counts.streams);
        watch.watchers.shift(before.watchers, counts.watchers);
        watch.slow_watchers.shift(before.slow_watchers, counts.slow_watchers);
        watch.pending_events.shift(before.events_pending, counts.events_pending);
        watch.events.add(counts.events_sent - before.events_sent);
        watch.cancelled_compacted.add(counts.compacted_away - before.compacted_away);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_few_watch_are_never_delayed() {
        assert_eq!(pause(0), None);
        assert_eq!(pause(199), None);
    }

    #[test]
    fn changes_that_many_watch_are_collected_for_a_bounded_time() {
        assert_eq!(pause(200), Some(PACE_MIN));
        assert_eq!(pause(1000), Some(PACE_MAX));
        assert_eq!(pause(u64::MAX), Some(PACE_MAX));
    }
}
