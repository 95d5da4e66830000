//! Questions about the life of leases, and their answers.

use raft::{MemberId, Term};

use super::Replica;
use super::lead::RemoteAsk;
use crate::clients::Waiting;
use crate::event::{LeaseLife, LeaseQuestionKind, PeerMessage, Ticket};
use crate::lease::Ask;
use crate::output::Reply;

/// How many leases one message asks about.
const ASKS_MAX: usize = 10_000;

impl Replica {
    /// Takes in a client's question.
    pub(super) fn on_lease(&mut self, ticket: Ticket, id: i64, kind: LeaseQuestionKind) {
        self.clients.insert(ticket, Waiting::Lease, self.deadline());
        self.questions.push(Ask { ticket, id, kind });
    }

    /// Takes in a question of another member.
    pub(super) fn on_lease_question(
        &mut self,
        from: MemberId,
        nonce: u64,
        ids: Vec<i64>,
        kind: LeaseQuestionKind,
    ) {
        self.follow_role();
        match &mut self.lead {
            Some(lead) => lead.asks.push(RemoteAsk { from, nonce, ids, kind }),
            None => self.send(from, PeerMessage::LeaseRefused { nonce }),
        }
    }

    pub(super) fn refuse_ask(&mut self, ask: &RemoteAsk) {
        self.send(ask.from, PeerMessage::LeaseRefused { nonce: ask.nonce });
    }

    /// Asks another member, which leads, everything that is due.
    pub(super) fn ask_leader(&mut self, leader: MemberId) {
        if !self.questions.has_queued() {
            return;
        }
        let term = self.core.term();
        let mut asks = self.questions.take_queued();
        asks.retain(|ask| self.clients.contains(ask.ticket));
        let (renew, tell): (Vec<Ask>, Vec<Ask>) =
            asks.into_iter().partition(|ask| ask.kind == LeaseQuestionKind::Renew);
        for (kind, asks) in [(LeaseQuestionKind::Renew, renew), (LeaseQuestionKind::Tell, tell)] {
            for asks in asks.chunks(ASKS_MAX) {
                let (nonce, ids) = self.questions.ask(leader, term, self.now, asks.to_vec());
                self.send(leader, PeerMessage::LeaseQuestion { nonce, ids, kind });
            }
        }
    }

    /// Answers what was asked in a term, now that it is certain that this member led when it was
    /// asked, and that it has executed all that had been committed then.
    pub(super) fn answer_asks(&mut self, term: Term, asks: Vec<Ask>, remote: Vec<RemoteAsk>) {
        self.follow_role();
        if self.lead.as_ref().is_none_or(|lead| lead.term != term) {
            // Somebody else counts the time of leases now.
            for ask in asks {
                self.questions.push(ask);
            }
            for ask in remote {
                self.refuse_ask(&ask);
            }
            return;
        }
        for Ask { ticket, id, kind } in asks {
            let life = self.life_of(id, kind);
            self.answer_lease(ticket, kind, life);
        }
        for RemoteAsk { from, nonce, ids, kind } in remote {
            let leases = ids.into_iter().map(|id| self.life_of(id, kind)).collect();
            let applied = self.applied.index;
            self.send(from, PeerMessage::LeaseAnswer { nonce, leases, applied });
        }
    }

    /// Renews a lease if that is asked, and tells what is left of it.
    fn life_of(&mut self, id: i64, kind: LeaseQuestionKind) -> LeaseLife {
        let gone = LeaseLife { id, granted: None, remaining: 0 };
        let (Some(lead), Some(lease)) = (&mut self.lead, self.machine.lease(id)) else {
            return gone;
        };
        if kind == LeaseQuestionKind::Renew {
            lead.clock.renew(self.now, lease);
        }
        match lead.clock.seconds_left(self.now, id) {
            Some(left) => {
                LeaseLife { id, granted: Some(lease.ttl), remaining: left.min(lease.ttl) }
            }
            None => gone,
        }
    }

    /// Gives out the leader's answers for which this member has executed enough.
    pub(super) fn answer_lease_questions(&mut self) {
        for (ask, life) in self.questions.take_answered(self.applied.index) {
            self.answer_lease(ask.ticket, ask.kind, life);
        }
    }

    fn answer_lease(&mut self, ticket: Ticket, kind: LeaseQuestionKind, life: LeaseLife) {
        self.answer(
            ticket,
            match kind {
                LeaseQuestionKind::Renew => Reply::LeaseRenewed(life),
                LeaseQuestionKind::Tell => Reply::LeaseTimeToLive(life),
            },
        );
    }
}
