//! Linearizable reads without a log entry (thesis §6.4).
//!
//! A leader may answer a read from its commit index if it still leads *after* the read arrived. It
//! asks its followers in rounds: each append carries the number of the latest round, each answer
//! carries it back. A read waits for a round that began after it; a quorum of answers to that round
//! or a later one releases it.
//!
//! ```text
//!   read a ─┐                read b ─┐    (b waits for round 2: the answers to round 1 may have
//!           ▼ round 1                │     been given before b arrived)
//!   leader ─────●──────────────●─────▼─●──────────────●──►
//!                ╲ appends     ▲        ╲             ▲
//!                 ╲ round=1   ╱ quorum   ╲ round=2   ╱ quorum
//!   followers ─────●─────────●────────────●─────────●────►
//!                              └► a may be served       └► b may be served
//! ```

use std::collections::VecDeque;

use crate::config::ReadConfirmation;
use crate::effects::ReadId;
use crate::message::Round;
use crate::types::{Index, MemberId};

/// At most this many reads wait at a leader; services batch theirs, so that more is an overload.
pub(crate) const READS_MAX: usize = 16_384;

/// Who wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    /// The leader's own service.
    Local(ReadId),
    /// The service of another member, which knows the read by its own number.
    Remote { member: MemberId, nonce: u64 },
}

#[derive(Clone, Copy, Debug, Hash)]
struct Waiting {
    reader: Reader,
    /// The commit index when the read arrived.
    index: Index,
    /// A quorum of answers to this round or a later one releases the read.
    round: Round,
}

/// The reads that wait at a leader, and its lease.
///
/// Invariant: reads wait in the order of their rounds, and for at most one round that has not
/// begun.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Reads {
    /// The latest round that has begun.
    round: Round,
    waiting: VecDeque<Waiting>,
    /// Reads that arrived before the leader had committed an entry of its own term: until then its
    /// commit index may be behind what earlier leaders have answered for (thesis §6.4, step 1).
    early: Vec<Reader>,
    lease: Lease,
}

impl Reads {
    pub(crate) fn new(confirmation: ReadConfirmation) -> Reads {
        Reads {
            round: Round::ZERO,
            waiting: VecDeque::new(),
            early: Vec::new(),
            lease: Lease::new(confirmation),
        }
    }

    /// The latest round that has begun.
    pub(crate) fn round(&self) -> Round {
        self.round
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() + self.early.len() >= READS_MAX
    }

    /// Keeps a read until the leader has committed an entry of its own term.
    pub(crate) fn add_early(&mut self, reader: Reader) {
        self.early.push(reader);
    }

    /// The reads that waited for the first commit of the term, which has come.
    pub(crate) fn take_early(&mut self) -> Vec<Reader> {
        std::mem::take(&mut self.early)
    }

    /// Keeps a read until a round that begins from now on is confirmed.
    pub(crate) fn add(&mut self, reader: Reader, index: Index) {
        let round = self.round.next();
        assert!(
            self.waiting.back().is_none_or(|last| last.round <= round && last.index <= index),
            "reads wait in the order of their rounds and of the commit index"
        );
        self.waiting.push_back(Waiting { reader, index, round });
    }

    /// Tells whether a read waits for a round that has not begun, and none for one that has.
    pub(crate) fn wants_round(&self) -> bool {
        self.waiting.front().is_some_and(|first| first.round > self.round)
    }

    /// Tells whether anybody would profit from another round.
    pub(crate) fn wants_confirmation(&self) -> bool {
        !self.waiting.is_empty() || self.lease.drift_ticks.is_some()
    }

    /// Begins a round; `now` is the leader's count of ticks.
    pub(crate) fn begin_round(&mut self, now: u64) {
        self.round = self.round.next();
        assert!(
            self.waiting.back().is_none_or(|last| last.round <= self.round),
            "a read waits for a round after the next"
        );
        self.lease.on_round(self.round, now);
    }

    /// Records that a quorum has answered `round` or later ones, and releases the reads that waited
    /// for that.
    pub(crate) fn confirm(&mut self, round: Round, election_ticks: u32) -> Vec<(Reader, Index)> {
        assert!(round <= self.round, "round {} was confirmed and never begun", round.0);
        self.lease.on_confirmed(round, election_ticks);
        let released = self.waiting.partition_point(|waiting| waiting.round <= round);
        self.waiting.drain(..released).map(|waiting| (waiting.reader, waiting.index)).collect()
    }

    /// Gives up all reads that wait, because the leader leads no more.
    pub(crate) fn abandon(self) -> impl Iterator<Item = Reader> {
        self.waiting.into_iter().map(|waiting| waiting.reader).chain(self.early)
    }

    /// Tells whether a read may be answered at once, at the leader's tick `now`.
    pub(crate) fn holds_lease(&self, now: u64) -> bool {
        now < self.lease.until
    }

    /// Takes the lease away until a round that begins from now on is confirmed: what it rests on
    /// has changed, or time has passed that was not counted.
    pub(crate) fn void_lease(&mut self) {
        self.lease.void();
    }

    /// Takes the lease away for the rest of the term: somebody was asked to campaign, and those who
    /// vote for it disregard that they have heard from us.
    pub(crate) fn forbid_lease(&mut self) {
        self.lease.void();
        self.lease.drift_ticks = None;
    }
}

/// The time within which no other leader can have been elected.
///
/// Followers that answered a round refuse their votes for an election timeout after they received
/// it, which was no earlier than we sent it.
#[derive(Clone, Debug, Hash)]
struct Lease {
    /// The margin for clocks that drift apart; `None` if leases are off.
    drift_ticks: Option<u32>,
    /// When each round began that is not confirmed, oldest first.
    begun: VecDeque<(Round, u64)>,
    /// The tick at which the lease ends.
    until: u64,
}

impl Lease {
    fn new(confirmation: ReadConfirmation) -> Lease {
        let drift_ticks = match confirmation {
            ReadConfirmation::Quorum => None,
            ReadConfirmation::LeaderLease { drift_ticks } => Some(drift_ticks),
        };
        Lease { drift_ticks, begun: VecDeque::new(), until: 0 }
    }

    fn on_round(&mut self, round: Round, now: u64) {
        if self.drift_ticks.is_some() {
            self.begun.push_back((round, now));
        }
    }

    fn on_confirmed(&mut self, confirmed: Round, election_ticks: u32) {
        while let Some((round, began)) = self.begun.front()
            && *round <= confirmed
        {
            if let Some(drift_ticks) = self.drift_ticks {
                self.until = self.until.max(began + u64::from(election_ticks - drift_ticks));
            }
            self.begun.pop_front();
        }
    }

    fn void(&mut self) {
        self.begun.clear();
        self.until = 0;
    }
}
