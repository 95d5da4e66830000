//! The watchers of one shard: who is told what, and when.
//!
//! ```text
//!             the log of the view, by revision ─────────────────────────────────► now
//!
//!   convoys        ▣►                    ▣►                                       ▣  synced
//!               (2 watchers)        (40 watchers)                           (900 watchers)
//!   stations             ·    ··                                                       ·
//!                     watchers that wait until a convoy passes        one for a revision to come
//!
//!   parked         watchers whose stream is full: each keeps the revision that it wants next
//! ```
//!
//! All who want the same revision next travel together, in a **convoy**. A convoy reads the log in
//! slices: each change is looked up once, and what comes of it is encoded once for all who want the
//! same. Convoys never overtake each other. Where one reaches another, they go on as one. The
//! foremost waits at the end of the log for more to come: whoever is in it is synced.
//!
//! A watcher that wants to begin elsewhere waits at a **station** for the next convoy, or gets one
//! of its own if that would take long. Watchers that come late are therefore brought up together,
//! and the log is read a bounded number of times however many they are.
//!
//! A watcher that is to be told something while its stream has too much to send is **parked**. It
//! keeps a revision and nothing else, and goes to a station again when the stream was taken from.
//!
//! Invariants:
//!
//! - A watcher has been told of everything that it wants below the revision where it is, in order,
//!   and of nothing at or above.
//! - Convoys stand at different revisions, in ascending order. There is always at least one.
//! - All messages of a stream go through its one queue, so that they arrive in the order in which
//!   they were decided.

mod convoy;
mod progress;
mod slice;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use etcd_api::etcdserverpb::WatchCreateRequest;
use mvcc::{EventLimits, Revision, View};

use super::arena::{Arena, Key};
use super::index::{Group, Seat};
use super::interest::{EmptyRange, Interest};
use super::outgoing::{Notice, Outgoing};
use crate::convert::Header;
use convoy::{Convoy, ConvoyId};
use progress::Progress;

use stream::Last;
pub(super) use stream::Stream;

/// The number of a watch that does not exist, and of all watches of a stream.
const NO_WATCH: i64 = -1;

/// The number by which a client asks to be given one.
const ANY_WATCH: i64 = 0;

/// Texts of etcd's.
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// The watchers of one shard. Time, threads and connections are somebody else's business.
#[derive(Debug)]
pub(super) struct Hub {
    /// The parts of headers that are always the same.
    origin: Header,
    limits: Limits,
    /// What the trees of ranges draw from.
    seed: u64,
    streams: Arena<Stream>,
    watchers: Arena<Watcher>,
    convoys: Vec<Convoy>,
    stations: BTreeSet<(Revision, Key<Watcher>)>,
    /// How many watchers are parked.
    parked_len: usize,
    /// The convoy that moved last, so that each has its turn.
    moved: ConvoyId,
    /// Streams that were given something to send.
    ready: Vec<Key<Stream>>,
    /// Streams that want to be told when none of their watchers is behind.
    asking: Vec<Key<Stream>>,
    /// When streams are told of progress.
    ticks: BTreeSet<(Duration, Key<Stream>)>,
    /// How many answers with events were queued, ever.
    answers_queued: u64,
    events_sent: u64,
    events_pending: usize,
    compacted_away: u64,
    /// Kept for its memory.
    touched: Vec<Key<Group>>,
}

/// How much of everything there is at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Messages of so many bytes are divided, for watchers that permit it.
    pub(super) divide_at: usize,
    /// A stream whose queue takes so many bytes is given no more events.
    pub(super) queue_bytes_max: usize,
    /// Events are added to an answer that waits to be sent as long as it has no more bytes than
    /// this.
    pub(super) answer_bytes_max: usize,
    /// What of the log is looked at together.
    pub(super) slice: EventLimits,
    /// A turn ends after so many changes that were looked at and messages that were queued.
    pub(super) turn_steps: usize,
    /// How many convoys there are. Each may read the whole log once.
    pub(super) convoys_max: usize,
    /// A watcher waits for a convoy that is so many revisions behind it, instead of getting
    /// another.
    pub(super) near_revisions: u64,
}

/// One watch of a client.
#[derive(Debug)]
pub(super) struct Watcher {
    stream: Key<Stream>,
    /// Its number on the stream.
    id: i64,
    interest: Arc<Interest>,
    /// The revision that the client asked for; zero for those to come.
    start: Revision,
    place: Place,
    progress: Progress,
    /// Where its last events are queued.
    last: Last,
}

/// Where a watcher is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a convoy.
    Riding(ConvoyId, Seat),
    /// At a station, for a convoy that comes to this revision.
    Waiting(Revision),
    /// Parked. It wants this revision next.
    Parked(Revision),
}

/// What is known of the store when something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'v> {
    /// Keys and history. It is never older than the one before.
    pub(super) view: &'v View,
    /// The member's term.
    pub(super) term: u64,
}

/// Whether there is more to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Another turn is needed.
    Remains,
    /// All watchers whose streams have room were told everything.
    Done,
}

/// What the hub is busy with, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Streams that are open.
    pub(super) streams: usize,
    /// Watchers.
    pub(super) watchers: usize,
    /// Of those, how many are behind.
    pub(super) slow_watchers: usize,
    /// Events that were sent.
    pub(super) events_sent: u64,
    /// Events that wait to be sent.
    pub(super) events_pending: usize,
    /// Watches that were ended because what they wanted was compacted.
    pub(super) compacted_away: u64,
}

impl Limits {
    /// Returns the limits of a server whose messages are divided at this size.
    pub(super) fn new(divide_at: usize) -> Limits {
        Limits {
            divide_at,
            queue_bytes_max: 256 << 10,
            answer_bytes_max: 128 << 10,
            slice: EventLimits { events_max: 256, bytes_max: 128 << 10, changes_max: 256 },
            turn_steps: 2048,
            convoys_max: 8,
            near_revisions: 1000,
        }
    }
}

impl Moment<'_> {
    fn revision(&self) -> Revision {
        self.view.revision()
    }

    /// The revision that is to come next.
    fn next(&self) -> Revision {
        self.revision().next()
    }

    /// Tells whether nobody can begin at this revision any more.
    fn is_compacted(&self, revision: Revision) -> bool {
        self.view.compacted().is_some_and(|compacted| revision < compacted)
    }
}

impl Hub {
    /// Makes a hub without watchers. `origin` says who answers.
    pub(super) fn new(origin: Header, limits: Limits, seed: u64) -> Hub {
        let head = Convoy::new(ConvoyId::FIRST, Revision::FIRST.next(), seed);
        Hub {
            origin,
            limits,
            seed,
            streams: Arena::new(),
            watchers: Arena::new(),
            convoys: vec![head],
            stations: BTreeSet::new(),
            parked_len: 0,
            moved: ConvoyId::FIRST,
            ready: Vec::new(),
            asking: Vec::new(),
            ticks: BTreeSet::new(),
            answers_queued: 0,
            events_sent: 0,
            events_pending: 0,
            compacted_away: 0,
            touched: Vec::new(),
        }
    }

    /// Opens a stream, which tells of progress at this interval where that is wanted.
    pub(super) fn open(&mut self, time: Duration, progress_interval: Duration) -> Key<Stream> {
        assert!(!progress_interval.is_zero(), "progress is to be told all the time");
        self.streams.insert(Stream::new(time, progress_interval))
    }

    /// Ends a stream and its watchers.
    pub(super) fn close(&mut self, key: Key<Stream>) {
        for watcher in self.streams[key].watchers().collect::<Vec<_>>() {
            self.leave(watcher);
            self.watchers.remove(watcher);
        }
        let stream = self.streams.remove(key);
        self.events_pending -= stream.events_len();
        if let Some(tick) = stream.tick() {
            self.ticks.remove(&(tick, key));
        }
        self.ready.retain(|other| *other != key);
        self.asking.retain(|other| *other != key);
    }

    /// Opens a watch, or says why not.
    pub(super) fn create(
        &mut self,
        stream: Key<Stream>,
        request: &WatchCreateRequest,
        time: Duration,
        now: &Moment<'_>,
    ) {
        let (id, interest) = match self.admit(stream, request) {
            Ok(admitted) => admitted,
            Err(reason) => return self.notify(stream, NO_WATCH, Notice::Refused(reason), now),
        };
        let start = Revision(request.start_revision.cast_unsigned());
        let cursor = if request.start_revision == 0 { now.next() } else { start };
        let watcher = self.watchers.insert(Watcher {
            stream,
            id,
            interest: Arc::new(interest),
            start,
            place: Place::Parked(cursor),
            progress: Progress::of(request),
            last: Last::default(),
        });
        self.streams[stream].add(id, watcher);
        self.notify(stream, id, Notice::Created, now);
        self.arrive(watcher, cursor, now);
        if request.progress_notify {
            self.schedule(stream, time);
        }
    }

    /// Finds out what a request wants, and gives the watch its number.
    fn admit(
        &mut self,
        stream: Key<Stream>,
        request: &WatchCreateRequest,
    ) -> Result<(i64, Interest), &'static str> {
        if request.start_revision < 0 {
            return Err(COMPACTED);
        }
        let interest = Interest::of(request).map_err(|EmptyRange| EMPTY_RANGE)?;
        let stream = &mut self.streams[stream];
        let id = match request.watch_id {
            ANY_WATCH => stream.new_id(),
            id if stream.knows(id) => return Err(DUPLICATE_ID),
            id => id,
        };
        Ok((id, interest))
    }

    /// Closes a watch. If there is none of this number, nothing is said.
    pub(super) fn cancel(&mut self, stream: Key<Stream>, id: i64, now: &Moment<'_>) {
        if let Some(watcher) = self.streams[stream].watcher(id) {
            self.leave(watcher);
            self.watchers.remove(watcher);
        } else if !self.streams[stream].knows(id) {
            return;
        }
        self.streams[stream].forget(id);
        self.notify(stream, id, Notice::Canceled, now);
    }

    /// Moves what a stream has to send to `into`, which is empty.
    pub(super) fn take(
        &mut self,
        key: Key<Stream>,
        into: &mut VecDeque<Outgoing>,
        now: &Moment<'_>,
    ) {
        let stream = &mut self.streams[key];
        let events_len = stream.events_len();
        stream.take(into);
        let parked = stream.take_parked();
        self.events_pending -= events_len;
        self.events_sent += events_len as u64;
        self.parked_len -= parked.len();
        for watcher in parked {
            let Place::Parked(cursor) = self.watchers[watcher].place else {
                panic!("a watcher is parked that is {:?}", self.watchers[watcher].place);
            };
            self.arrive(watcher, cursor, now);
        }
    }

    /// Returns the streams that were given something to send since this was last asked.
    pub(super) fn drain_ready(&mut self) -> impl Iterator<Item = Key<Stream>> {
        for key in &self.ready {
            self.streams[*key].is_ready = false;
        }
        self.ready.drain(..)
    }

    /// How many answers with events were queued since the hub was made.
    pub(super) fn answers_queued(&self) -> u64 {
        self.answers_queued
    }

    /// Returns what the hub is busy with.
    pub(super) fn counts(&self, now: &Moment<'_>) -> Counts {
        let behind = |convoy: &&Convoy| convoy.position < now.next();
        let riding: usize =
            self.convoys.iter().filter(behind).map(|convoy| convoy.index.members_len()).sum();
        let to_come = self.stations.iter().rev().take_while(|(from, _)| now.next() < *from).count();
        let waiting = self.stations.len() - to_come;
        Counts {
            streams: self.streams.len(),
            watchers: self.watchers.len(),
            slow_watchers: riding + waiting + self.parked_len,
            events_sent: self.events_sent,
            events_pending: self.events_pending,
            compacted_away: self.compacted_away,
        }
    }

    /// Tells a watcher something at the revision of the store.
    fn notify(&mut self, stream: Key<Stream>, id: i64, notice: Notice, now: &Moment<'_>) {
        let header = Header { raft_term: now.term, ..self.origin }.at(now.revision());
        self.push(stream, Outgoing::notice(header, id, notice));
    }

    fn push(&mut self, key: Key<Stream>, outgoing: Outgoing) {
        let stream = &mut self.streams[key];
        if !stream.is_ready {
            stream.is_ready = true;
            self.ready.push(key);
        }
        stream.push(outgoing);
    }

    /// Takes a watcher from where it is.
    fn leave(&mut self, key: Key<Watcher>) {
        match self.watchers[key].place {
            Place::Riding(convoy, seat) => {
                let convoy = self.convoys.iter_mut().find(|other| other.id == convoy);
                let convoy = convoy.expect("a convoy with a watcher exists");
                if let Some(moved) = convoy.index.remove(seat) {
                    self.watchers[moved].place = Place::Riding(convoy.id, seat);
                }
            }
            Place::Waiting(revision) => {
                let was_there = self.stations.remove(&(revision, key));
                assert!(was_there, "no watcher {key:?} waits for revision {revision}");
            }
            Place::Parked(_) => {
                self.streams[self.watchers[key].stream].unpark(key);
                self.parked_len -= 1;
            }
        }
    }
}
