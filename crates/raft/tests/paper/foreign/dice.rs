//! Random numbers and random messages, from a seed.

use std::collections::BTreeSet;

use raft::{
    AppendOutcome, Ballot, Body, Campaign, Entry, EntryId, Index, MemberId, Membership,
    MembershipChange, Message, Payload, Raft, Round, Snapshot, SnapshotMeta, Status, Term,
};

use crate::paper::one::id;

/// Numbers at the edges of what is taken for possible, and of what can be written at all.
const EDGES: [u64; 5] = [(1 << 62) - 2, (1 << 62) - 1, 1 << 62, u64::MAX - 1, u64::MAX];

/// A source of random numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn draw(&mut self) -> u64 {
        // A linear congruential generator, of which only the upper half is used.
        let mut word = || {
            self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            self.0 >> 32
        };
        word() << 32 | word()
    }

    /// A number from zero up to, and without, `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// One of these.
    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let count = from.len() as u64;
        let place = usize::try_from(self.below(count)).expect("it is below a length");
        from[place].clone()
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Terms that never fall, as in a log.
    pub(super) fn terms(&mut self, count: u64, first: u64) -> Vec<u64> {
        let mut term = first;
        let rise = |dice: &mut Dice| if dice.once_in(3) { dice.below(3) } else { 0 };
        (0..count)
            .map(|_| {
                term = rise(self).saturating_add(term);
                term
            })
            .collect()
    }

    /// A configuration of some of m1 to m5, perhaps joint, perhaps with learners, rarely empty.
    pub(super) fn membership(&mut self) -> Membership {
        if self.once_in(40) {
            return Membership::default();
        }
        let incoming = self.members(1);
        let outgoing = if self.once_in(3) { self.members(1) } else { BTreeSet::new() };
        let learners = if self.once_in(3) { self.members(2) } else { BTreeSet::new() };
        let demoted = if self.once_in(3) { self.members(2) } else { BTreeSet::new() };
        Membership::from_parts(incoming.clone(), outgoing, learners, demoted)
            .unwrap_or_else(|| Membership::of_voters(incoming))
    }

    fn members(&mut self, first: u64) -> BTreeSet<MemberId> {
        let mut members: BTreeSet<MemberId> =
            (1..=5).filter(|_| self.once_in(2)).map(MemberId).collect();
        members.insert(MemberId(first));
        members
    }

    /// A message to m1: often one that could be, as far as one message tells; often next to one;
    /// sometimes absurd.
    pub(super) fn message(&mut self, raft: &Raft) -> Message {
        let status = raft.status();
        let usual = status.leader.filter(|leader| leader.0 != 1).unwrap_or(MemberId(2));
        let from = match self.below(20) {
            0 => MemberId(self.pick(&[0, 1, 9, u64::MAX])),
            1..=9 => usual,
            _ => MemberId(2 + self.below(4)),
        };
        let to = if self.once_in(50) { self.pick(&[0, 2, u64::MAX]) } else { 1 };
        let term = self.term(&status);
        let body = self.body(raft, &status, term);
        Message { from, to: MemberId(to), term, body }
    }

    fn term(&mut self, status: &Status) -> Term {
        let term = status.term.0;
        Term(match self.below(100) {
            0..70 => term,
            70..80 => term.saturating_add(1),
            80..86 => term.saturating_sub(1),
            86..98 => self.below(12),
            98 => self.below(1 << 61),
            _ => self.pick(&EDGES),
        })
    }

    fn index(&mut self, status: &Status) -> Index {
        let last = status.last.index.0;
        Index(match self.below(100) {
            0..40 => last.saturating_sub(self.below(6)),
            40..50 => last.saturating_add(1 + self.below(3)),
            50..60 => status.base.index.0.saturating_add(self.below(3)),
            60..75 => status.committed.0.saturating_add(self.below(3)),
            75..95 => self.below(12),
            95..97 => self.below(1 << 61),
            _ => self.pick(&EDGES),
        })
    }

    /// The name of an entry: half of the time one that is in the log.
    fn id(&mut self, raft: &Raft, status: &Status, term: Term) -> EntryId {
        if self.once_in(2) {
            let count = raft.entries().count() as u64;
            let place = usize::try_from(self.below(count + 1)).expect("it is below a length");
            return raft.entries().nth(place).map_or(status.base, Entry::id);
        }
        let last = status.last.term.0;
        let index = self.index(status).0;
        let around = [last, last, last.saturating_sub(1), last.saturating_add(1), 0, term.0];
        id(index, if self.once_in(30) { self.pick(&EDGES) } else { self.pick(&around) })
    }

    fn entries(&mut self, prev: EntryId, term: Term) -> Vec<Entry> {
        let count = self.below(6);
        let first = if self.once_in(3) { term.0 } else { prev.term.0.min(term.0) };
        let mut index = prev.index.0;
        let mut entries = Vec::new();
        for entry_term in self.terms(count, first) {
            let is_gap = self.once_in(60);
            index = index.wrapping_add(if is_gap { self.below(3) } else { 1 });
            let entry_term = if self.once_in(60) { self.below(12) } else { entry_term.min(term.0) };
            let payload = match self.below(6) {
                0 => Payload::Noop,
                1 => Payload::Membership(MembershipChange {
                    membership: self.membership(),
                    context: "".into(),
                }),
                _ => Payload::Command(self.pick(&["a", "bb", "cccccccc"]).into()),
            };
            entries.push(Entry { index: Index(index), term: Term(entry_term), payload });
        }
        entries
    }

    fn body(&mut self, raft: &Raft, status: &Status, term: Term) -> Body {
        let ballot = self.pick(&[Ballot::Granted, Ballot::Refused]);
        match self.below(16) {
            0 => Body::PreVote { last: self.id(raft, status, term) },
            1 => Body::PreVoteResponse { ballot },
            2 => Body::RequestVote {
                last: self.id(raft, status, term),
                campaign: self.pick(&[Campaign::Timeout, Campaign::Transfer]),
            },
            3 => Body::VoteResponse { ballot },
            4..9 => {
                let prev = self.id(raft, status, term);
                let entries = self.entries(prev, term);
                let (commit, round) = (self.index(status), self.round());
                Body::AppendEntries { prev, entries, commit, round }
            }
            9..12 => {
                let outcome = match self.below(5) {
                    0..3 => AppendOutcome::Accepted { matched: self.index(status) },
                    3 => AppendOutcome::Rejected {
                        prev: self.index(status),
                        hint: self.id(raft, status, term),
                    },
                    _ => AppendOutcome::StaleTerm,
                };
                Body::AppendResponse { round: self.round(), outcome }
            }
            12 => {
                let id = self.id(raft, status, term);
                let meta = SnapshotMeta { id, membership: self.membership() };
                Body::InstallSnapshot { snapshot: Snapshot { meta, data: "image".into() } }
            }
            13 => Body::TimeoutNow,
            14 => Body::ReadIndex { nonce: self.below(4) },
            _ => Body::ReadIndexResponse { nonce: self.draw(), index: self.index(status) },
        }
    }

    fn round(&mut self) -> Round {
        Round(if self.once_in(20) { self.pick(&EDGES) } else { self.below(12) })
    }
}
