//! How convoys travel, and how watchers come to them.

use mvcc::{EventFilter, KeyRange, Previous, Revision};

use super::super::arena::Key;
use super::super::index::{Group, Index};
use super::super::outgoing::{Notice, Outgoing};
use super::slice::Slice;
use super::{Hub, Moment, Place, Watcher, Work};
use crate::convert::Header;

/// All changes; who wants which is found by an [`Index`].
const ALL: EventFilter<'static> =
    EventFilter { keys: KeyRange::From(&[]), kind: None, previous: Previous::Unwanted };

/// Watchers that want the same revision next.
#[derive(Debug)]
pub(super) struct Convoy {
    pub(super) id: ConvoyId,
    /// The revision that they want next.
    pub(super) position: Revision,
    pub(super) index: Index,
}

/// Stays the same while a convoy travels. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConvoyId(u64);

impl ConvoyId {
    pub(super) const FIRST: ConvoyId = ConvoyId(0);
}

impl Convoy {
    pub(super) fn new(id: ConvoyId, position: Revision, seed: u64) -> Convoy {
        Convoy { id, position, index: Index::new(seed) }
    }

    fn is_empty(&self) -> bool {
        self.index.members_len() == 0
    }
}

impl Hub {
    /// Tells watchers what they want to know of `now`, for a bounded time.
    pub(in super::super) fn turn(&mut self, now: &Moment<'_>) -> Work {
        self.cancel_compacted(now);
        let mut steps = 0;
        let work = loop {
            self.tidy(now);
            let Some(at) = self.next_to_move(now) else { break Work::Done };
            if self.limits.turn_steps <= steps {
                break Work::Remains;
            }
            steps += self.advance(at, now);
        };
        self.answer_asking(now);
        work
    }

    /// Tells whether there is something for [`Hub::turn`] to do.
    pub(in super::super) fn has_work(&self, now: &Moment<'_>) -> bool {
        let is_behind = |convoy: &Convoy| !convoy.is_empty() && convoy.position < now.next();
        let lowest = self.stations.first().map(|(revision, _)| *revision);
        self.convoys.iter().any(is_behind) || lowest.is_some_and(|lowest| lowest <= now.next())
    }

    /// Returns the convoy whose turn it is among those that are behind.
    fn next_to_move(&self, now: &Moment<'_>) -> Option<usize> {
        let behind = || {
            let convoys = self.convoys.iter().enumerate();
            convoys.filter(|(_, convoy)| convoy.position < now.next())
        };
        let later = behind().filter(|(_, convoy)| self.moved < convoy.id);
        let next = later.min_by_key(|(_, convoy)| convoy.id);
        next.or_else(|| behind().min_by_key(|(_, convoy)| convoy.id)).map(|(at, _)| at)
    }

    // === Going on ===

    /// Moves a convoy by a slice of the log, and returns how many steps that took.
    fn advance(&mut self, at: usize, now: &Moment<'_>) -> usize {
        let Convoy { id, position, index: _ } = self.convoys[at];
        self.moved = id;
        let found = now.view.events(position, &ALL, &self.limits.slice);
        let found = found.expect("a convoy whose revision is compacted was dissolved");
        let next = self.stop_behind(at).map_or(found.next, |stop| stop.min(found.next));
        assert!(position < next && next <= now.next(), "a convoy goes from {position} to {next}");
        let mut slice = Slice::before(now.view, next, &found.events);
        let mut touched = std::mem::take(&mut self.touched);
        for (number, version) in slice.numbered() {
            self.convoys[at].index.note(number, version, &mut touched);
        }
        // What is sent from here on comes after this revision, so that clients can go on from it.
        let upto = Revision(next.0 - 1);
        let header = Header { raft_term: now.term, ..self.origin }.at(upto);
        let mut steps = 1 + slice.len();
        for group in touched.drain(..) {
            steps += self.deliver(at, group, &mut slice, header);
        }
        self.touched = touched;
        self.convoys[at].position = next;
        self.on_arrival(at);
        steps
    }

    /// Returns where a convoy must stop next: at a station, or because another is there.
    fn stop_behind(&self, at: usize) -> Option<Revision> {
        let station = self.next_station(self.convoys[at].position.next());
        let station = station.map(|(revision, _)| revision);
        let convoy = self.convoys.get(at + 1).map(|convoy| convoy.position);
        station.into_iter().chain(convoy).min()
    }

    /// Sends to the watchers of a group what they want of a slice. Who has no room is parked.
    fn deliver(
        &mut self,
        at: usize,
        key: Key<Group>,
        slice: &mut Slice<'_>,
        header: Header,
    ) -> usize {
        let Convoy { id: _, position, index } = &self.convoys[at];
        let (position, group) = (*position, index.group(key));
        let wish = group.interest.wish;
        let messages = slice.messages(header, &group.wanted, wish, self.limits.divide_at);
        let members_len = group.members.len();
        let mut without_room = Vec::new();
        for member in &group.members {
            let watcher = &mut self.watchers[*member];
            let stream = &mut self.streams[watcher.stream];
            if self.limits.queue_bytes_max <= stream.queue_bytes() {
                without_room.push(*member);
                continue;
            }
            watcher.progress.on_event();
            for message in &messages {
                let bytes_max = self.limits.answer_bytes_max;
                let is_new = stream.push_events(watcher.id, message, bytes_max, &mut watcher.last);
                self.answers_queued += u64::from(is_new);
                self.events_pending += message.events_len();
            }
            if !stream.is_ready {
                stream.is_ready = true;
                self.ready.push(watcher.stream);
            }
        }
        self.convoys[at].index.forget(key);
        for watcher in without_room {
            self.leave(watcher);
            self.park(watcher, position);
        }
        members_len * messages.len()
    }

    fn park(&mut self, key: Key<Watcher>, cursor: Revision) {
        let watcher = &mut self.watchers[key];
        watcher.place = Place::Parked(cursor);
        self.streams[watcher.stream].park(key);
        self.parked_len += 1;
    }

    // === Coming and going ===

    /// Brings a watcher, which is nowhere, to where it gets what it wants from `cursor` on.
    pub(super) fn arrive(&mut self, key: Key<Watcher>, cursor: Revision, now: &Moment<'_>) {
        if now.is_compacted(cursor) {
            return self.compact_away(key, now);
        }
        self.jump(now);
        let behind = self.convoys.partition_point(|convoy| convoy.position <= cursor);
        let nearest = behind.checked_sub(1).map(|at| (at, self.convoys[at].position));
        match nearest {
            Some((at, position)) if position == cursor => return self.board(at, key),
            Some((_, position)) if cursor.0 - position.0 <= self.limits.near_revisions => {}
            Some(_) | None => {
                if cursor <= now.next() && self.convoys.len() < self.limits.convoys_max {
                    self.insert(behind, cursor);
                    return self.board(behind, key);
                }
            }
        }
        self.watchers[key].place = Place::Waiting(cursor);
        self.stations.insert((cursor, key));
    }

    /// Makes a convoy where there is none.
    fn insert(&mut self, at: usize, position: Revision) {
        let last = self.convoys.iter().map(|convoy| convoy.id).max();
        let last = last.expect("there is always a convoy").max(self.moved);
        self.seed = self.seed.wrapping_add(1);
        self.convoys.insert(at, Convoy::new(ConvoyId(last.0 + 1), position, self.seed));
        self.on_arrival(at);
    }

    fn board(&mut self, at: usize, key: Key<Watcher>) {
        let convoy = &mut self.convoys[at];
        let watcher = &mut self.watchers[key];
        let (seat, interest) = convoy.index.add(key, &watcher.interest);
        watcher.interest = interest;
        watcher.place = Place::Riding(convoy.id, seat);
    }

    /// Lets a convoy pick up who waits where it has come to, and join the convoy that is there.
    fn on_arrival(&mut self, at: usize) {
        let position = self.convoys[at].position;
        while let Some((station, watcher)) = self.next_station(position)
            && station == position
        {
            self.stations.remove(&(station, watcher));
            self.board(at, watcher);
        }
        let Some(other) = self.convoys.get(at + 1) else { return };
        assert!(position <= other.position, "a convoy at {position} has overtaken another");
        if position == other.position {
            let other = self.convoys.remove(at + 1);
            let here = &mut self.convoys[at];
            let is_smaller = here.index.members_len() < other.index.members_len();
            let moving = if is_smaller { std::mem::replace(here, other) } else { other };
            for watcher in moving.index.members() {
                self.board(at, watcher);
            }
        }
    }

    /// Returns the first who waits, from a revision on.
    fn next_station(&self, from: Revision) -> Option<(Revision, Key<Watcher>)> {
        self.stations.range((from, Key::FIRST)..).next().copied()
    }

    /// Dissolves convoys without watchers, and sees to it that nobody waits in vain: before the
    /// first who waits there is always a convoy.
    fn tidy(&mut self, now: &Moment<'_>) {
        let last = self.convoys.len() - 1;
        let mut at = 0..;
        self.convoys.retain(|convoy| at.next() == Some(last) || !convoy.is_empty());
        self.jump(now);
        if let Some((station, _)) = self.stations.first().copied()
            && station <= now.next()
            && station < self.convoys[0].position
        {
            self.insert(0, station);
        }
    }

    /// Brings the foremost convoy to the end of the log if nobody is in it.
    fn jump(&mut self, now: &Moment<'_>) {
        let at = self.convoys.len() - 1;
        while self.convoys[at].is_empty() && self.convoys[at].position < now.next() {
            let stop = self.stop_behind(at).map_or(now.next(), |stop| stop.min(now.next()));
            self.convoys[at].position = stop;
            self.on_arrival(at);
        }
    }

    // === Compaction ===

    /// Ends the watches that are behind the compacted revision.
    fn cancel_compacted(&mut self, now: &Moment<'_>) {
        while let Some((station, watcher)) = self.stations.first().copied()
            && now.is_compacted(station)
        {
            self.leave(watcher);
            self.compact_away(watcher, now);
        }
        while now.is_compacted(self.convoys[0].position) {
            for watcher in self.convoys[0].index.members().collect::<Vec<_>>() {
                self.leave(watcher);
                self.compact_away(watcher, now);
            }
            if self.convoys.len() == 1 {
                // Nobody is left who could have missed anything.
                return self.jump(now);
            }
            self.convoys.remove(0);
        }
    }

    /// Ends the watch of a watcher, which is nowhere.
    fn compact_away(&mut self, key: Key<Watcher>, now: &Moment<'_>) {
        let Watcher { stream, id, .. } = self.watchers.remove(key);
        self.streams[stream].bury(id);
        self.compacted_away += 1;
        let compacted = now.view.compacted().expect("something is compacted");
        // As in etcd, the header of this answer has no revision.
        let header = Header { raft_term: now.term, ..self.origin };
        self.push(stream, Outgoing::notice(header, id, Notice::Compacted(compacted)));
    }
}
