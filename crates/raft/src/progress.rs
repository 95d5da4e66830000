//! How far one follower has come, and what may be sent to it next.
//!
//! Knows indexes and limits, nothing of terms, messages or the log.
//!
//! ```text
//!                     accepted                         unreachable, rejected
//!        ┌─► Probe ───────────────► Replicate ───────────────────────────────┐
//!        │     │ ▲                      │                                    │
//!        │     │ └──────────────────────│────────────────────────────────────┘
//!        │     │ log trimmed            │ log trimmed
//!        │     ▼                        ▼
//!        └── Snapshot ◄─────────────────┘         Snapshot ── image accepted ──► Replicate
//!   failed or lost
//! ```

use std::collections::VecDeque;

use crate::status::ProgressKind;
use crate::types::Index;

#[cfg(test)]
mod tests;

/// What the leader knows of one follower's log.
///
/// Invariant: `matched < next`, in every state.
/// Invariant: `matched` never decreases, because acknowledged entries are durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Progress {
    /// Up to where the follower's log is known to be equal to ours, and durable. Zero until it
    /// first accepts.
    matched: Index,
    /// The next entry to send. In [`State::Probe`] a guess; in [`State::Snapshot`] without meaning.
    next: Index,
    state: State,
}

/// How entries are being sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// One append at a time, to find where the logs agree.
    Probe {
        /// An append is under way. If it is lost, the answer to a heartbeat, which asks about the
        /// same place, does as well.
        in_flight: bool,
    },
    /// A stream of appends, on the assumption that they arrive.
    Replicate {
        /// Those under way: the last entry and the bytes of each, oldest first.
        in_flight: VecDeque<(Index, usize)>,
        /// The sum of their bytes.
        bytes: usize,
    },
    /// An image of the service, since the log no longer reaches back to `matched`.
    Snapshot {
        /// Where the log began when the image was asked for: it ends here or later.
        at_least: Index,
        /// Where the image that was sent ends; `None` until the driver has made one.
        sent: Option<Index>,
        /// Ticks since the image was asked for or sent.
        ticks: u32,
    },
}

/// How much may be under way to one follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// At most this many appends; one or more.
    pub(crate) messages_max: usize,
    /// No further append once this many bytes are under way.
    pub(crate) bytes_max: usize,
}

impl Progress {
    /// What a new leader assumes of a follower: that its log is like our own, which ends at `last`.
    pub(crate) fn new(last: Index) -> Progress {
        let state = State::Probe { in_flight: false };
        Progress { matched: Index::ZERO, next: last.next(), state }
    }

    pub(crate) fn matched(&self) -> Index {
        self.matched
    }

    pub(crate) fn next(&self) -> Index {
        self.next
    }

    pub(crate) fn kind(&self) -> ProgressKind {
        match self.state {
            State::Probe { .. } => ProgressKind::Probe,
            State::Replicate { .. } => ProgressKind::Replicate,
            State::Snapshot { .. } => ProgressKind::Snapshot,
        }
    }

    /// The end of the image that is under way.
    pub(crate) fn snapshot_sent(&self) -> Option<Index> {
        match self.state {
            State::Snapshot { sent, .. } => sent,
            State::Probe { .. } | State::Replicate { .. } => None,
        }
    }

    /// Up to where the log may be trimmed, so that it goes on from the image that was sent or, as
    /// long as none was, from any that may yet be made.
    pub(crate) fn trim_limit(&self) -> Option<Index> {
        match self.state {
            State::Snapshot { at_least, sent, .. } => Some(sent.unwrap_or(at_least)),
            State::Probe { .. } | State::Replicate { .. } => None,
        }
    }

    /// Tells whether another append with entries may go.
    pub(crate) fn may_send(&self, window: Window) -> bool {
        match &self.state {
            State::Probe { in_flight } => !in_flight,
            State::Replicate { in_flight, bytes } => {
                in_flight.len() < window.messages_max && *bytes < window.bytes_max
            }
            State::Snapshot { .. } => false,
        }
    }

    /// Records that entries up to `last` went out, `bytes` in size.
    pub(crate) fn on_sent(&mut self, last: Index, bytes: usize) {
        assert!(last >= self.next, "sent up to {last}, and should have begun at {}", self.next);
        match &mut self.state {
            State::Probe { in_flight } => *in_flight = true,
            State::Replicate { in_flight, bytes: sum } => {
                in_flight.push_back((last, bytes));
                *sum += bytes;
                self.next = last.next();
            }
            State::Snapshot { .. } => panic!("entries were sent to a follower that needs an image"),
        }
    }

    /// Records that the follower holds our log up to `index`, durably; `base` is where our log
    /// begins. Tells whether that was news.
    ///
    /// An answer to an append sent before we fell back to probing may arrive late; it is still
    /// true, so it is not ignored.
    pub(crate) fn on_accepted(&mut self, index: Index, base: Index) -> bool {
        let news = index > self.matched;
        self.matched = self.matched.max(index);
        match &mut self.state {
            State::Probe { .. } => self.become_replicate(),
            State::Replicate { in_flight, bytes } => {
                while let Some((last, size)) = in_flight.front()
                    && *last <= index
                {
                    *bytes -= size;
                    in_flight.pop_front();
                }
                self.next = self.next.max(self.matched.next());
            }
            // Whether it was our image or another way: the log reaches back far enough now.
            State::Snapshot { .. } if self.matched >= base => self.become_replicate(),
            State::Snapshot { .. } => self.next = self.next.max(self.matched.next()),
        }
        assert!(self.matched < self.next, "the next entry must lie beyond the matched ones");
        news
    }

    /// Records that the follower does not hold the entry at `prev`, and that the logs may agree at
    /// `agreement`.
    ///
    /// An answer to an append that no longer matters is ignored: one that was sent before what has
    /// matched since, or that is not the probe we wait for.
    pub(crate) fn on_rejected(&mut self, prev: Index, agreement: Index) {
        let is_awaited = match self.state {
            State::Probe { .. } => prev.next() == self.next,
            State::Replicate { .. } => true,
            State::Snapshot { .. } => false,
        };
        if !is_awaited || prev <= self.matched {
            return;
        }
        self.next = prev.min(agreement.next()).max(self.matched.next());
        self.state = State::Probe { in_flight: false };
        assert!(self.matched < self.next, "the next entry must lie beyond the matched ones");
    }

    /// Falls back to one append at a time: what was under way may be lost.
    pub(crate) fn become_probe(&mut self) {
        self.next = self.matched.next();
        self.state = State::Probe { in_flight: false };
    }

    /// Records that the image that was asked for could not be made or delivered. The answer to a
    /// heartbeat has another one asked for: not sooner, or a service that fails at once would be
    /// kept busy.
    pub(crate) fn on_snapshot_failed(&mut self) {
        if let State::Snapshot { .. } = self.state {
            self.next = self.matched.next();
            self.state = State::Probe { in_flight: true };
        }
    }

    fn become_replicate(&mut self) {
        self.next = self.matched.next();
        self.state = State::Replicate { in_flight: VecDeque::new(), bytes: 0 };
    }

    /// Waits for the driver to make an image.
    pub(crate) fn become_snapshot(&mut self, at_least: Index) {
        self.state = State::Snapshot { at_least, sent: None, ticks: 0 };
    }

    /// Records that an image that ends at `index` went out, if one is waited for.
    pub(crate) fn on_snapshot_sent(&mut self, index: Index) {
        if let State::Snapshot { sent, ticks, .. } = &mut self.state {
            *sent = Some(index);
            *ticks = 0;
        }
    }

    /// Counts a tick; an image that is not acknowledged after `ticks_max` counts as lost.
    pub(crate) fn tick(&mut self, ticks_max: u32) {
        if let State::Snapshot { ticks, .. } = &mut self.state {
            *ticks += 1;
            if *ticks >= ticks_max {
                self.become_probe();
            }
        }
    }
}
