//! What a member has in every role: its log, its term and vote, its timer, its outboxes.

use crate::config::{Config, ReadConfirmation};
use crate::effects::{
    DropReason, Dropped, Durable, Effects, Persist, ReadFailure, ReadId, ReadOutcome,
};
use crate::log::Log;
use crate::message::{Body, Message};
use crate::timer::{ElectionTimer, Random};
use crate::types::{DurableState, Entry, HardState, MemberId, Term};

/// The part of a member that does not depend on its role.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) timer: ElectionTimer,
    pub(crate) random: Random,
    /// The latest term this member has seen.
    term: Term,
    /// Whom it voted for in `term`.
    vote: Option<MemberId>,
    /// What was last handed out to be written.
    written: HardState,
    /// Whether `term` is on the disk.
    term_durable: bool,
    /// Ticks since the disk was last seen to make progress with what it was given; zero while it
    /// has nothing to do.
    disk_ticks: u32,
    /// Ticks for which this member still refuses its vote, in whatever term, because it has heard
    /// from a leader, or may have before it was started. Only with leader leases, which rest on
    /// that promise.
    guard_ticks: u32,
    /// What has been said and decided since the last flush.
    pub(crate) outbox: Effects,
}

impl Core {
    pub(crate) fn new(config: Config, durable: DurableState) -> Core {
        let mut random = Random::new(config.seed);
        let hard_state = durable.hard_state;
        // Entries, or the service's image, may have reached the disk just before the term in which
        // they came. Nothing was promised in that term, so this member has not voted in it.
        let last = durable.entries.last().map_or(durable.base, Entry::id);
        let term = hard_state.term.max(last.term).max(durable.snapshot.id.term);
        let is_term_durable = term == hard_state.term;
        let guard_ticks = match config.read_confirmation {
            ReadConfirmation::Quorum => 0,
            ReadConfirmation::LeaderLease { .. } => config.election_ticks,
        };
        Core {
            log: Log::restore(durable),
            timer: ElectionTimer::new(config.election_ticks, &mut random),
            random,
            term,
            vote: hard_state.vote.filter(|_| is_term_durable),
            written: hard_state,
            term_durable: is_term_durable,
            disk_ticks: 0,
            guard_ticks,
            outbox: Effects::default(),
            config,
        }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.config.id
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    pub(crate) fn vote(&self) -> Option<MemberId> {
        self.vote
    }

    /// Tells whether the current term is on the disk.
    pub(crate) fn is_term_durable(&self) -> bool {
        self.term_durable
    }

    /// Tells whether leader leases are on.
    pub(crate) fn has_leases(&self) -> bool {
        match self.config.read_confirmation {
            ReadConfirmation::Quorum => false,
            ReadConfirmation::LeaderLease { .. } => true,
        }
    }

    /// Enters a later term, in which this member has not voted.
    pub(crate) fn enter_term(&mut self, term: Term) {
        assert!(term > self.term, "terms never decrease: {term} after {}", self.term);
        self.term = term;
        self.vote = None;
        self.term_durable = false;
    }

    /// Gives the vote of this term to `candidate`, for good.
    pub(crate) fn vote_for(&mut self, candidate: MemberId) {
        assert!(
            self.vote.is_none() || self.vote == Some(candidate),
            "a second vote in term {}: for {candidate} after {:?}",
            self.term,
            self.vote
        );
        self.vote = Some(candidate);
        assert!(self.term > Term::ZERO, "nobody votes before the first term");
    }

    /// Promises not to help to replace a leader that was just heard of, if leases rest on that. The
    /// promise outlives the term: the leader may not have heard that its term is over.
    pub(crate) fn promise(&mut self) {
        if self.has_leases() {
            self.guard_ticks = self.config.election_ticks;
        }
    }

    /// Tells whether a promise is still to be kept.
    pub(crate) fn has_promised(&self) -> bool {
        self.guard_ticks > 0
    }

    /// Starts the election timer from zero, towards a new timeout.
    pub(crate) fn reset_timer(&mut self) {
        self.timer.reset(self.config.election_ticks, &mut self.random);
    }

    // === Speaking ===

    /// Sends a message that promises nothing about this member's disk.
    pub(crate) fn send_now(&mut self, to: MemberId, body: Body) {
        self.send_now_in_term(to, self.term, body);
    }

    /// Sends a message that speaks of a term other than the own one.
    pub(crate) fn send_now_in_term(&mut self, to: MemberId, term: Term, body: Body) {
        self.outbox.send_now.push(Message { from: self.id(), to, term, body });
    }

    /// Sends a message as soon as everything that is now in memory is on the disk.
    pub(crate) fn send_when_durable(&mut self, to: MemberId, body: Body) {
        let message = Message { from: self.id(), to, term: self.term, body };
        self.outbox.send_when_durable.push(message);
    }

    /// Reports a message that was not acted on.
    pub(crate) fn drop_message(&mut self, from: MemberId, reason: DropReason) {
        self.outbox.dropped.push(Dropped { from, reason });
    }

    /// Reports a read that cannot be served.
    pub(crate) fn fail_read(&mut self, id: ReadId, reason: ReadFailure) {
        self.outbox.reads.push(ReadOutcome::Failed { id, reason });
    }

    // === The disk ===

    /// Takes an acknowledgement, and tells whether it concerns this term.
    ///
    /// One of an earlier term is of no use: the log may have been rewritten since. Nothing is lost,
    /// for the new term was itself written, and that write acknowledges all before it.
    pub(crate) fn on_durable(&mut self, durable: Durable) -> bool {
        self.disk_ticks = 0;
        if durable.written_in != self.term {
            return false;
        }
        self.term_durable = true;
        self.log.acknowledge(durable.last);
        true
    }

    /// Counts a tick.
    pub(crate) fn tick(&mut self) {
        self.guard_ticks = self.guard_ticks.saturating_sub(1);
        if self.log.is_being_written() || !self.term_durable {
            self.disk_ticks = self.disk_ticks.saturating_add(1);
        } else {
            self.disk_ticks = 0;
        }
    }

    /// Tells whether the disk has been silent for an election timeout. Such a member can promise
    /// nothing to anybody: it must neither lead nor campaign.
    pub(crate) fn is_disk_stalled(&self) -> bool {
        self.disk_ticks >= self.config.election_ticks
    }

    /// Collects everything that is due.
    pub(crate) fn take_effects(&mut self) -> Effects {
        let mut effects = std::mem::take(&mut self.outbox);
        effects.persist = self.take_persist();
        effects.apply = self.log.take_committed();
        effects
    }

    fn take_persist(&mut self) -> Option<Persist> {
        let (snapshot, entries) = self.log.take_unwritten();
        let commit = self.log.committed();
        let now = HardState { term: self.term, vote: self.vote, commit };
        let promised = (now.term, now.vote) != (self.written.term, self.written.vote);
        if snapshot.is_none() && entries.is_empty() && !promised {
            return None;
        }
        assert!(commit >= self.written.commit, "the commit index went backwards");
        assert!(commit <= self.log.last().index, "the commit hint points beyond the log");
        let hard_state = (now != self.written).then_some(now);
        self.written = now;
        let ack = Durable { written_in: self.term, last: self.log.last() };
        Some(Persist { snapshot, entries, hard_state, ack })
    }
}
