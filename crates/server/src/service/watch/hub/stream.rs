//! What is kept of each stream: its watches, and what it has to send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::arena::Key;
use super::super::outgoing::{Message, Outgoing};
use super::Watcher;

/// Where the last events for a watcher are in the queue of its stream, if they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    epoch: u64,
    at: usize,
}

/// One stream of a client.
#[derive(Debug)]
pub(in super::super) struct Stream {
    queue: VecDeque<Outgoing>,
    /// What the queue takes in memory.
    queue_bytes: usize,
    /// How many events are in the queue.
    events_len: usize,
    /// Counts the times after which nothing is added to an answer from before.
    epoch: u64,
    /// By number, all watches; `None` for one that was compacted away, and that the client has not
    /// closed.
    watches: BTreeMap<i64, Option<Key<Watcher>>>,
    /// The number to be given next, if it is not taken.
    next_id: i64,
    /// Watchers for whom there was no room.
    parked: BTreeSet<Key<Watcher>>,
    /// Whether it was given something since it was last woken.
    pub(super) is_ready: bool,
    /// When it was opened: ticks are counted from then.
    opened: Duration,
    /// From one tick to the next.
    interval: Duration,
    /// The next tick; `None` if nobody wants to be told of progress.
    tick: Option<Duration>,
}

impl Stream {
    pub(super) fn new(opened: Duration, interval: Duration) -> Stream {
        Stream {
            queue: VecDeque::new(),
            queue_bytes: 0,
            events_len: 0,
            epoch: 1,
            watches: BTreeMap::new(),
            next_id: 0,
            parked: BTreeSet::new(),
            is_ready: false,
            opened,
            interval,
            tick: None,
        }
    }

    // === Watches ===

    pub(super) fn watchers(&self) -> impl Iterator<Item = Key<Watcher>> {
        self.watches.values().copied().flatten()
    }

    pub(super) fn watcher(&self, id: i64) -> Option<Key<Watcher>> {
        self.watches.get(&id).copied().flatten()
    }

    /// Tells whether a number is taken.
    pub(super) fn knows(&self, id: i64) -> bool {
        self.watches.contains_key(&id)
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.watches.keys().copied()
    }

    /// Returns a number that is not taken.
    pub(super) fn new_id(&mut self) -> i64 {
        while self.knows(self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn add(&mut self, id: i64, watcher: Key<Watcher>) {
        let other = self.watches.insert(id, Some(watcher));
        assert!(other.is_none(), "watch {id} is there already");
    }

    /// Keeps the number of a watch that has ended, until the client closes it.
    pub(super) fn bury(&mut self, id: i64) {
        self.watches.insert(id, None);
    }

    pub(super) fn forget(&mut self, id: i64) {
        self.watches.remove(&id);
    }

    // === Queue ===

    /// What the queue takes in memory.
    pub(super) fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Queues an answer without events. Events that follow will come behind it.
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.epoch += 1;
        self.queue_bytes += outgoing.weight();
        self.queue.push_back(outgoing);
    }

    /// Queues events, behind the last ones of the same watcher if that makes an answer of no more
    /// than `bytes_max`. Tells whether it took an answer of its own.
    pub(super) fn push_events(
        &mut self,
        id: i64,
        message: &Message,
        bytes_max: usize,
        last: &mut Last,
    ) -> bool {
        let outgoing = Outgoing::events(id, message);
        self.queue_bytes += outgoing.weight();
        self.events_len += outgoing.events_len();
        if last.epoch == self.epoch && self.queue[last.at].add(message, bytes_max) {
            return false;
        }
        *last = Last { epoch: self.epoch, at: self.queue.len() };
        self.queue.push_back(outgoing);
        true
    }

    pub(super) fn take(&mut self, into: &mut VecDeque<Outgoing>) {
        assert!(into.is_empty(), "{} messages were taken and not sent", into.len());
        std::mem::swap(&mut self.queue, into);
        self.epoch += 1;
        self.queue_bytes = 0;
        self.events_len = 0;
    }

    /// How many events it has to send.
    pub(super) fn events_len(&self) -> usize {
        self.events_len
    }

    pub(super) fn park(&mut self, watcher: Key<Watcher>) {
        self.parked.insert(watcher);
    }

    pub(super) fn unpark(&mut self, watcher: Key<Watcher>) {
        let was_parked = self.parked.remove(&watcher);
        assert!(was_parked, "watcher {watcher:?} is not parked");
    }

    pub(super) fn take_parked(&mut self) -> BTreeSet<Key<Watcher>> {
        std::mem::take(&mut self.parked)
    }

    // === Ticks ===

    pub(super) fn tick(&self) -> Option<Duration> {
        self.tick
    }

    /// Ticks no more.
    pub(super) fn stop_ticking(&mut self) {
        self.tick = None;
    }

    /// Returns when it ticks next, after `time`.
    pub(super) fn start_ticking(&mut self, time: Duration) -> Duration {
        let since = time.saturating_sub(self.opened).as_nanos();
        let interval = self.interval.as_nanos();
        let to_next = u64::try_from(interval - since % interval).unwrap_or(u64::MAX);
        let tick = time.saturating_add(Duration::from_nanos(to_next));
        self.tick = Some(tick);
        tick
    }
}
