//! What the log says, without the commands: kept beside the files, and rebuilt from them.

use raft::{Entry, EntryId, HardState, Index, SnapshotMeta, Term};

use crate::record::{self, Record};

/// A record without what only the service understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Entry(EntryId),
    HardState(HardState),
    Mark(SnapshotMeta),
    Trim(EntryId),
    Reset(EntryId),
}

/// Where the log begins and ends, of which terms its entries are, and what stands beside it.
///
/// Invariant: `base` is not beyond `last`.
/// Invariant: the terms of entries never decrease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) hard_state: HardState,
    /// The newest durable image of the service; `None` if there is none.
    pub(crate) mark: Option<SnapshotMeta>,
    /// The entry before the first.
    pub(crate) base: EntryId,
    /// The last entry, or `base`.
    pub(crate) last: EntryId,
    /// The first index of each term, in order, after `base`.
    runs: Vec<(Index, Term)>,
    /// Entries up to this index were in segments that are not there any more. They are missed only
    /// if `base` turns out to be before it.
    pub(crate) unseen: Index,
}

impl Outline {
    /// An empty log of a service with this image.
    pub(crate) fn of_mark(mark: &SnapshotMeta) -> Outline {
        Outline { mark: Some(mark.clone()), ..Outline::default() }
    }

    /// What is known where the oldest segment begins: the log went from somewhere to `last`.
    pub(crate) fn before_first_segment(last: EntryId) -> Outline {
        let mut outline = Outline { last, unseen: last.index, ..Outline::default() };
        if Index::ZERO < last.index {
            outline.runs.push((Index(1), last.term));
        }
        outline
    }

    /// Takes over what a segment says of the state at its beginning.
    pub(crate) fn begin(&mut self, records: &[Record]) -> Result<(), String> {
        for record in records {
            match record {
                Record::HardState(state) => self.hard_state = *state,
                Record::Mark(mark) => self.mark = Some(mark.clone()),
                Record::Trim(base) if *base == self.base => {}
                Record::Trim(base) => self.trim(*base)?,
                Record::Entry(_) | Record::Reset(_) | Record::Footer(_) => {
                    return Err("a record that does not belong to a segment's beginning".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Appends what [`Outline::begin`] takes over.
    pub(crate) fn put_beginning(&self, out: &mut Vec<u8>) {
        record::put_hard_state(out, &self.hard_state);
        if let Some(mark) = &self.mark {
            record::put_mark(out, mark);
        }
        record::put_trim(out, self.base);
    }

    /// Follows one step, or says why it cannot follow the steps before.
    pub(crate) fn apply(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Entry(id) => self.append(*id)?,
            Step::HardState(state) => {
                if state.term < self.hard_state.term {
                    let before = self.hard_state.term;
                    return Err(format!("term {} after term {before}", state.term));
                }
                self.hard_state = *state;
            }
            Step::Mark(mark) => self.mark = Some(mark.clone()),
            Step::Trim(id) => self.trim(*id)?,
            Step::Reset(id) => {
                self.base = *id;
                self.last = *id;
                self.runs.clear();
                self.unseen = Index::ZERO;
            }
        }
        assert!(self.base.index <= self.last.index, "the log ends before it begins");
        Ok(())
    }

    fn append(&mut self, id: EntryId) -> Result<(), String> {
        if id.index <= self.base.index || self.last.index.next() < id.index {
            return Err(format!("entry {id} in a log from {} to {}", self.base, self.last));
        }
        self.runs.retain(|(first, _)| *first < id.index);
        self.unseen = self.unseen.min(id.index.previous());
        let before = self.runs.last().map_or(self.base.term, |(_, term)| *term);
        // Of what was not seen no more is known than the term of its end.
        if id.term < before && self.unseen < id.index.previous() {
            return Err(format!("entry {id} after an entry of term {before}"));
        }
        if self.runs.is_empty() || before != id.term {
            self.runs.push((id.index, id.term));
        }
        self.last = id;
        Ok(())
    }

    fn trim(&mut self, id: EntryId) -> Result<(), String> {
        if id.index <= self.base.index || self.last.index < id.index {
            return Err(format!("a trim at {id} of a log from {} to {}", self.base, self.last));
        }
        self.runs.retain_mut(|(first, _)| {
            *first = (*first).max(id.index.next());
            true
        });
        // Of several that now begin at one place, the last is meant.
        let runs = std::mem::take(&mut self.runs);
        for run in runs {
            if self.runs.last().is_some_and(|(first, _)| *first == run.0) {
                self.runs.pop();
            }
            if run.0 <= self.last.index {
                self.runs.push(run);
            }
        }
        self.base = id;
        Ok(())
    }

    /// Returns the name of the entry at `index`; `None` if the log does not hold it.
    pub(crate) fn id_at(&self, index: Index) -> Option<EntryId> {
        if index == self.base.index {
            return Some(self.base);
        }
        if index < self.base.index || self.last.index < index {
            return None;
        }
        let run = self.runs.iter().rev().find(|(first, _)| *first <= index);
        run.map(|(_, term)| EntryId::new(index, *term))
    }
}

impl Step {
    /// The step that a record stands for; `None` for a footer, which says nothing new.
    pub(crate) fn of(record: &Record) -> Option<Step> {
        match record {
            Record::Entry(Entry { index, term, .. }) => {
                Some(Step::Entry(EntryId::new(*index, *term)))
            }
            Record::HardState(state) => Some(Step::HardState(*state)),
            Record::Mark(mark) => Some(Step::Mark(mark.clone())),
            Record::Trim(id) => Some(Step::Trim(*id)),
            Record::Reset(id) => Some(Step::Reset(*id)),
            Record::Footer(_) => None,
        }
    }
}
