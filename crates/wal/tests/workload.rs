//! What the tests write, and what they expect to find.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use disk::{Disk, SimDisk};
use raft::{
    Entry, EntryId, HardState, Index, MemberId, Membership, MembershipChange, Payload,
    SnapshotMeta, Term,
};
use wal::{Batch, Options, Recovered, Start, Wal, WalError};

pub(crate) const DIR: &str = "data/wal";
pub(crate) const SEGMENT_BYTES: u64 = 16 << 10;
pub(crate) const ID: u64 = 0x1122_3344_5566_7788;

/// A disk on which the log may be created.
pub(crate) fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir(Path::new("data")).unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    disk
}

pub(crate) fn options() -> Options {
    Options { dir: PathBuf::from(DIR), segment_bytes: SEGMENT_BYTES, new_id: ID }
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Wal, Recovered), WalError> {
    Wal::open(Arc::new(disk.clone()), options())
}

/// Numbers that follow from a seed (xorshift).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

/// A batch that is owned.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Op {
    Write {
        installed: Option<SnapshotMeta>,
        entries: Vec<Entry>,
        hard_state: Option<HardState>,
        mark: Option<SnapshotMeta>,
    },
    Release(Index),
}

/// What a log holds: the definition that the log is held against.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Model {
    pub(crate) hard_state: HardState,
    pub(crate) mark: Option<SnapshotMeta>,
    pub(crate) base: EntryId,
    pub(crate) entries: Vec<Entry>,
}

impl Model {
    pub(crate) fn of(recovered: &Recovered) -> Model {
        Model {
            hard_state: recovered.hard_state,
            mark: recovered.mark.clone(),
            base: recovered.base,
            entries: recovered.entries.clone(),
        }
    }

    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, Entry::id)
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Write { installed, entries, hard_state, mark } => {
                if let Some(image) = installed {
                    self.base = image.id;
                    self.entries.clear();
                    self.mark = Some(image.clone());
                }
                if let Some(first) = entries.first() {
                    self.entries.retain(|entry| entry.index < first.index);
                    self.entries.extend(entries.iter().cloned());
                }
                self.hard_state = hard_state.unwrap_or(self.hard_state);
                self.mark = mark.clone().or(self.mark.take());
            }
            Op::Release(before) => {
                let base = self.entries.iter().find(|entry| entry.index.next() == *before);
                self.base = base.map_or(self.base, Entry::id);
                self.entries.retain(|entry| *before <= entry.index);
            }
        }
    }

    /// Draws what might come next.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Op {
        let mut op = (None, Vec::new(), None, None);
        let term = self.hard_state.term;
        match rng.below(20) {
            0..12 => op.1 = self.draw_entries(rng, self.last().index.next(), term.max(Term(1))),
            12..14 if !self.entries.is_empty() => {
                // What an image includes is committed, and is not overwritten.
                let image = self.mark.as_ref().map_or(Index::ZERO, |mark| mark.id.index);
                let free = self.last().index.0 - image.max(self.base.index).0;
                let overwritten = rng.below(free + 1);
                let from = Index(self.last().index.0 + 1 - overwritten);
                op.1 = self.draw_entries(rng, from, Term(term.0 + 1));
                op.2 = Some(self.draw_hard_state(rng, Term(term.0 + 1)));
            }
            14..16 => {
                let term = Term(term.0 + rng.below(2));
                op.2 = Some(self.draw_hard_state(rng, term));
            }
            16..18 if !self.entries.is_empty() => {
                let at = rng.below(self.entries.len() as u64);
                let id = self.entries[usize::try_from(at).unwrap()].id();
                if self.mark.as_ref().is_some_and(|mark| id.index < mark.id.index) {
                    return self.draw(rng);
                }
                op.3 = Some(SnapshotMeta { id, membership: membership(rng) });
            }
            18 => {
                if let Some(mark) = self.mark.as_ref().filter(|mark| self.base != mark.id) {
                    let span = (mark.id.index.0 + 1).saturating_sub(self.base.index.0).max(1);
                    let before = mark.id.index.0 + 1 - rng.below(span);
                    return Op::Release(Index(before));
                }
                op.2 = Some(self.draw_hard_state(rng, term));
            }
            19 if rng.below(4) == 0 => {
                let index = Index(self.last().index.0 + rng.below(5) + 1);
                let id = EntryId::new(index, Term(self.last().term.0.max(term.0).max(1)));
                op.0 = Some(SnapshotMeta { id, membership: membership(rng) });
                op.2 = Some(HardState { term: id.term, vote: None, commit: index });
            }
            _ => op.2 = Some(self.draw_hard_state(rng, term)),
        }
        let (installed, entries, hard_state, mark) = op;
        Op::Write { installed, entries, hard_state, mark }
    }

    fn draw_entries(&self, rng: &mut Rng, from: Index, term: Term) -> Vec<Entry> {
        let term = term.max(self.last().term);
        let entry = |index: u64, rng: &mut Rng| Entry {
            index: Index(index),
            term,
            payload: match rng.below(8) {
                0 => Payload::Noop,
                1 => Payload::Membership(MembershipChange {
                    membership: membership(rng),
                    context: bytes(7, rng.below(20)),
                }),
                _ => {
                    let len = rng.below(3) * rng.below(400);
                    Payload::Command(bytes(rng.below(256), len))
                }
            },
        };
        (0..=rng.below(5)).map(|place| entry(from.0 + place, rng)).collect()
    }

    fn draw_hard_state(&self, rng: &mut Rng, term: Term) -> HardState {
        let term = term.max(self.hard_state.term);
        let vote = (rng.below(2) == 0).then(|| MemberId(1 + rng.below(3)));
        HardState { term, vote, commit: self.last().index }
    }
}

fn bytes(byte: u64, len: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(byte).unwrap(); usize::try_from(len).unwrap()])
}

fn membership(rng: &mut Rng) -> Membership {
    Membership::of_voters((1..=1 + rng.below(5)).map(MemberId))
}

/// A log under test, and all states that it might be found in.
#[derive(Clone)]
pub(crate) struct Run {
    /// What is acknowledged.
    pub(crate) acked: Model,
    /// What the log might hold instead, one state for each batch under way, in order.
    pub(crate) under_way: Vec<Model>,
}

impl Run {
    pub(crate) fn of(acked: Model) -> Run {
        Run { acked, under_way: Vec::new() }
    }

    pub(crate) fn newest(&self) -> &Model {
        self.under_way.last().unwrap_or(&self.acked)
    }

    /// Hands the log one operation.
    pub(crate) fn queue(&mut self, wal: &mut Wal, op: &Op) -> Result<(), WalError> {
        let mut next = self.newest().clone();
        next.apply(op);
        match op {
            Op::Write { installed, entries, hard_state, mark } => {
                wal.append(&Batch {
                    installed: installed.as_ref(),
                    entries,
                    hard_state: *hard_state,
                    mark: mark.as_ref(),
                })?;
            }
            Op::Release(before) => wal.release(*before)?,
        }
        self.under_way.push(next);
        Ok(())
    }

    /// Lets the log commit, and takes note of it.
    pub(crate) fn commit(&mut self, wal: &mut Wal) -> Result<(), WalError> {
        let committed = wal.commit()?;
        self.acked = self.newest().clone();
        self.under_way.clear();
        assert_eq!(committed.last, self.acked.last());
        assert_eq!(committed.hard_state, self.acked.hard_state);
        Ok(())
    }

    /// Checks what was found after a crash: all that was acknowledged, and of the rest whole
    /// batches, the first ones.
    pub(crate) fn check(&self, recovered: &Recovered, what: &str) {
        let found = Model::of(recovered);
        let allowed = found == self.acked || self.under_way.contains(&found);
        assert!(
            allowed,
            "{what}: found {found:?}\nacknowledged {:?}\nunder way {:?}",
            self.acked, self.under_way
        );
    }
}

/// Writes a log that has all there is: several segments, released and recycled ones, every kind of
/// record. The log is left as it is, without being closed.
pub(crate) fn corpus(seed: u64, ops: u64) -> (SimDisk, Run) {
    let disk = disk(seed);
    let (mut wal, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.start, Start::Created);
    let mut run = Run::of(Model::of(&recovered));
    let mut rng = Rng::new(seed);
    for place in 0..ops {
        let op = run.newest().draw(&mut rng);
        run.queue(&mut wal, &op).unwrap();
        if place + 1 == ops || rng.below(3) == 0 {
            run.commit(&mut wal).unwrap();
        }
    }
    drop(wal);
    disk.crash(disk::Survivors::None);
    (disk, run)
}

/// How much longer the tests run than they must, from `HOLDFAST_WAL_EFFORT`; one if it is not set.
pub(crate) fn effort() -> u64 {
    std::env::var("HOLDFAST_WAL_EFFORT").map_or(1, |effort| {
        effort.parse().expect("HOLDFAST_WAL_EFFORT wants a number of one or more")
    })
}
