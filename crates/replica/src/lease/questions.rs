//! What this member's clients ask about the life of leases: the leader knows.

use std::collections::{BTreeMap, BTreeSet};

use raft::{Index, MemberId, Term};

use crate::event::{LeaseLife, LeaseQuestionKind, Ticket};

/// A question is asked again if it was not answered for this many ticks.
pub(crate) const PATIENCE_TICKS: u64 = 10;

/// One client's question about one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Who asks.
    pub(crate) ticket: Ticket,
    /// About which lease.
    pub(crate) id: i64,
    /// What is asked.
    pub(crate) kind: LeaseQuestionKind,
}

/// The questions that are not answered, and how far each has come.
///
/// A lease may be renewed twice without harm, so a question that may be lost is asked again.
#[derive(Debug)]
pub(crate) struct Questions {
    /// The number of the next question to a leader.
    next: u64,
    /// Not asked yet.
    queued: Vec<Ask>,
    /// Asked of another member that leads.
    asked: BTreeMap<u64, Asked>,
    /// Answered, but not to be given out before the index is applied here.
    answered: Vec<(Index, Vec<(Ask, LeaseLife)>)>,
}

#[derive(Debug)]
struct Asked {
    to: MemberId,
    term: Term,
    /// The tick at which it was asked.
    at: u64,
    asks: Vec<Ask>,
}

impl Questions {
    /// None. Numbers follow from the seed, so that no answer of an earlier life is taken for one of
    /// this.
    pub(crate) fn new(first: u64) -> Questions {
        let (queued, answered) = (Vec::new(), Vec::new());
        Questions { next: first, queued, asked: BTreeMap::new(), answered }
    }

    /// Takes in a question, or one that must be asked again.
    pub(crate) fn push(&mut self, ask: Ask) {
        self.queued.push(ask);
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Takes all that are not asked yet.
    pub(crate) fn take_queued(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.queued)
    }

    /// Records that these were asked of the leader of a term, and returns the number of the
    /// question and the leases that it is about.
    pub(crate) fn ask(
        &mut self,
        to: MemberId,
        term: Term,
        now: u64,
        asks: Vec<Ask>,
    ) -> (u64, Vec<i64>) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let ids: BTreeSet<i64> = asks.iter().map(|ask| ask.id).collect();
        self.asked.insert(number, Asked { to, term, at: now, asks });
        (number, ids.into_iter().collect())
    }

    /// Queues again what was asked of another leader than this one, or too long ago.
    pub(crate) fn follow(&mut self, leader: Option<MemberId>, term: Term, now: u64) {
        let is_stale = |asked: &Asked| {
            (Some(asked.to), asked.term) != (leader, term) || asked.at + PATIENCE_TICKS <= now
        };
        for (_, asked) in self.asked.extract_if(.., |_, asked| is_stale(asked)) {
            self.queued.extend(asked.asks);
        }
    }

    /// Queues again what was asked of this member.
    pub(crate) fn unreachable(&mut self, member: MemberId) {
        for (_, asked) in self.asked.extract_if(.., |_, asked| asked.to == member) {
            self.queued.extend(asked.asks);
        }
    }

    /// Takes the leader's answer, and tells whether it was waited for.
    pub(crate) fn on_answer(
        &mut self,
        from: MemberId,
        number: u64,
        lives: &[LeaseLife],
        applied: Index,
    ) -> bool {
        let Some(asked) = self.take_asked(from, number) else { return false };
        let lives: BTreeMap<i64, LeaseLife> = lives.iter().map(|life| (life.id, *life)).collect();
        let mut answered = Vec::new();
        for ask in asked.asks {
            match lives.get(&ask.id) {
                Some(life) => answered.push((ask, *life)),
                None => self.queued.push(ask),
            }
        }
        self.answered.push((applied, answered));
        true
    }

    /// Takes the leader's refusal, and returns in which term it was asked, if it was waited for.
    pub(crate) fn on_refusal(&mut self, from: MemberId, number: u64) -> Option<Term> {
        let asked = self.take_asked(from, number)?;
        self.queued.extend(asked.asks);
        Some(asked.term)
    }

    fn take_asked(&mut self, from: MemberId, number: u64) -> Option<Asked> {
        let is_from = self.asked.get(&number).is_some_and(|asked| asked.to == from);
        if is_from { self.asked.remove(&number) } else { None }
    }

    /// Takes the answers that may be given out now that this index is applied.
    pub(crate) fn take_answered(&mut self, applied: Index) -> Vec<(Ask, LeaseLife)> {
        let due = self.answered.extract_if(.., |(index, _)| *index <= applied);
        due.flat_map(|(_, answers)| answers).collect()
    }
}
