//! Telling clients how far their watches are, without an event.

use std::time::Duration;

use etcd_api::etcdserverpb::WatchCreateRequest;

use super::super::arena::Key;
use super::super::outgoing::Notice;
use super::{Hub, Moment, NO_WATCH, Place, Stream, Watcher};

/// Whether a watcher is told of progress at the next tick of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It does not want to be.
    Unwanted,
    /// It is.
    Due,
    /// It is not: it had an event since the last.
    Elided,
}

impl Progress {
    pub(super) fn of(request: &WatchCreateRequest) -> Progress {
        if request.progress_notify { Progress::Due } else { Progress::Unwanted }
    }

    /// What follows from an event.
    pub(super) fn on_event(&mut self) {
        match self {
            Progress::Due => *self = Progress::Elided,
            Progress::Unwanted | Progress::Elided => {}
        }
    }
}

/// How the watchers of a stream stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// There are none, or one is to begin at a revision that has not come.
    Silent,
    /// One is behind.
    Behind,
    /// All were told everything.
    Synced,
}

impl Hub {
    /// Tells how far all watches of a stream are, as soon as none is behind.
    pub(in super::super) fn progress(&mut self, stream: Key<Stream>, now: &Moment<'_>) {
        if !self.asking.contains(&stream) {
            self.asking.push(stream);
            self.answer_asking(now);
        }
    }

    /// Answers those who asked and of whose watchers none is behind.
    pub(super) fn answer_asking(&mut self, now: &Moment<'_>) {
        let mut asking = std::mem::take(&mut self.asking);
        asking.retain(|stream| match self.standing(*stream, now) {
            Standing::Behind => true,
            Standing::Silent => false,
            Standing::Synced => {
                self.notify(*stream, NO_WATCH, Notice::Progress, now);
                false
            }
        });
        self.asking = asking;
    }

    fn standing(&self, stream: Key<Stream>, now: &Moment<'_>) -> Standing {
        let mut standing = Standing::Silent;
        for key in self.streams[stream].watchers() {
            let watcher = &self.watchers[key];
            if now.revision() < watcher.start {
                return Standing::Silent;
            }
            if standing != Standing::Behind {
                let is_synced = self.is_synced(watcher, now);
                standing = if is_synced { Standing::Synced } else { Standing::Behind };
            }
        }
        standing
    }

    /// Tells whether a watcher was told everything.
    fn is_synced(&self, watcher: &Watcher, now: &Moment<'_>) -> bool {
        match watcher.place {
            Place::Riding(convoy, _) => {
                let convoy = self.convoys.iter().find(|other| other.id == convoy);
                convoy.expect("a convoy with a watcher exists").position == now.next()
            }
            Place::Waiting(_) | Place::Parked(_) => false,
        }
    }

    // === Ticks ===

    /// Returns when [`Hub::on_time`] has something to do.
    pub(in super::super) fn next_tick(&self) -> Option<Duration> {
        self.ticks.first().map(|(tick, _)| *tick)
    }

    /// Tells those watchers of progress whose streams tick. Those that are behind hear of it at the
    /// next tick.
    pub(in super::super) fn on_time(&mut self, time: Duration, now: &Moment<'_>) {
        while let Some((tick, stream)) = self.ticks.first().copied()
            && tick <= time
        {
            self.ticks.remove(&(tick, stream));
            self.streams[stream].stop_ticking();
            self.on_tick(stream, now);
            self.schedule(stream, time);
        }
    }

    /// Lets a stream tick, if there is anybody to be told.
    pub(super) fn schedule(&mut self, key: Key<Stream>, time: Duration) {
        let wants = |key| self.watchers[key].progress != Progress::Unwanted;
        if self.streams[key].tick().is_none() && self.streams[key].watchers().any(wants) {
            let tick = self.streams[key].start_ticking(time);
            self.ticks.insert((tick, key));
        }
    }

    fn on_tick(&mut self, stream: Key<Stream>, now: &Moment<'_>) {
        for key in self.streams[stream].watchers().collect::<Vec<_>>() {
            let watcher = &self.watchers[key];
            let is_due = match watcher.progress {
                Progress::Unwanted => continue,
                Progress::Due => watcher.start <= now.revision() && self.is_synced(watcher, now),
                Progress::Elided => false,
            };
            let id = watcher.id;
            self.watchers[key].progress = Progress::Due;
            if is_due {
                self.notify(stream, id, Notice::Progress, now);
            }
        }
    }
}
