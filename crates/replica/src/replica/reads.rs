//! Questions that the leader can answer only if it still leads: reads, and the life of leases.
//!
//! All that came between two turns go to the core as one read. On the leader that asks a quorum; on
//! another member it asks the leader.

use std::collections::BTreeMap;

use raft::{Index, ReadError, ReadId, ReadOutcome, Term};

use super::Replica;
use super::lead::RemoteAsk;
use crate::clients::Waiting;
use crate::event::Ticket;
use crate::lease::Ask;
use crate::output::Reply;

/// What waits for the core.
#[derive(Debug, Default)]
pub(super) struct Reads {
    next: u64,
    /// Not asked yet.
    queued: Vec<Ticket>,
    asked: BTreeMap<ReadId, Batch>,
    /// Confirmed, and waiting for this index to be executed.
    ready: Vec<(Index, Batch)>,
    /// The core has no room; it is asked again with the next tick.
    is_full: bool,
}

/// What is asked at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The term in which it was asked.
    pub(super) term: Term,
    /// Clients who want to read.
    readers: Vec<Ticket>,
    /// Questions of this leader's clients about leases.
    pub(super) asks: Vec<Ask>,
    /// Those of other members' clients.
    pub(super) remote: Vec<RemoteAsk>,
}

impl Reads {
    pub(super) fn on_tick(&mut self) {
        self.is_full = false;
    }
}

impl Replica {
    /// Takes in a client's wish to read.
    pub(super) fn on_read(&mut self, ticket: Ticket) {
        self.clients.insert(ticket, Waiting::Read, self.deadline());
        self.reads.queued.push(ticket);
    }

    /// Asks everything that is due, if somebody can be asked.
    pub(super) fn ask_due(&mut self) {
        if self.reads.is_full {
            return;
        }
        let mut batch = Batch { term: self.core.term(), ..Batch::default() };
        if let Some(lead) = &mut self.lead {
            batch.remote = std::mem::take(&mut lead.asks);
            batch.asks = self.questions.take_queued();
        } else {
            let Some(leader) = self.leader_to_ask() else { return };
            self.ask_leader(leader);
        }
        let readers = std::mem::take(&mut self.reads.queued);
        batch.readers =
            readers.into_iter().filter(|ticket| self.clients.contains(*ticket)).collect();
        if batch.readers.is_empty() && batch.asks.is_empty() && batch.remote.is_empty() {
            return;
        }
        let id = ReadId(self.reads.next);
        self.reads.next += 1;
        match self.core.read(id) {
            Ok(()) => {
                self.reads.asked.insert(id, batch);
            }
            Err(ReadError::Busy | ReadError::NoLeader) => {
                self.reads.is_full = true;
                self.ask_again(batch);
            }
        }
    }

    /// Queues what was not answered; what others ask is refused, since they can ask elsewhere.
    fn ask_again(&mut self, batch: Batch) {
        self.reads.queued.extend(batch.readers);
        for ask in batch.asks {
            self.questions.push(ask);
        }
        for ask in batch.remote {
            self.refuse_ask(&ask);
        }
    }

    /// Takes what the core says of reads.
    pub(super) fn on_read_outcomes(&mut self, outcomes: Vec<ReadOutcome>) {
        for outcome in outcomes {
            match outcome {
                ReadOutcome::Ready { id, index } => {
                    let batch = self.reads.asked.remove(&id).expect("what is ready was asked");
                    self.reads.ready.push((index, batch));
                }
                ReadOutcome::Failed { id, reason: _ } => {
                    let batch = self.reads.asked.remove(&id).expect("what failed was asked");
                    self.ask_again(batch);
                }
            }
        }
        let applied = self.applied.index;
        let ready: Vec<_> = self.reads.ready.extract_if(.., |(at, _)| *at <= applied).collect();
        for (_, batch) in ready {
            for ticket in batch.readers.iter().copied() {
                self.answer(ticket, Reply::ReadReady);
            }
            self.answer_asks(batch.term, batch.asks, batch.remote);
        }
    }
}
