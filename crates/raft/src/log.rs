//! The log in memory, its cursors, and the configurations that stand in it.

use std::collections::VecDeque;

use crate::membership::Membership;
use crate::types::{
    DurableState, Entry, EntryId, Index, MemberId, Payload, Snapshot, SnapshotMeta, Term,
};

#[cfg(test)]
mod tests;

/// The latest entries, and how far each of them has come.
///
/// ```text
///          trimmed           base                                       last
///             │   evicted     │ entries ────────────────────────────────►│
///     gone    │               │ applied ≤ handed_out ≤ committed         │
///             │   on the disk │ durable ≤ written                        │
/// ```
///
/// What is evicted is durable and applied, and nobody needs it here: who lags so far behind gets an
/// image. The disk keeps it until an image covers it, because the next start needs it.
///
/// Invariant: entries have no gaps, and their terms never decrease.
/// Invariant: `trimmed <= base <= committed <= last`, and `committed` never decreases.
/// Invariant: `terms` tells the terms of all entries from `trimmed` to `base`, and no others.
/// Invariant: `applied <= handed_out <= committed`.
/// Invariant: `durable <= written <= last`.
/// Invariant: the first of `configurations` is in force at the service's latest image, and the
/// others stand at rising indexes of this log.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Log {
    /// The entry before the first one.
    base: EntryId,
    entries: VecDeque<Entry>,
    /// What the entries take, in bytes.
    entries_bytes: usize,
    /// Up to where the stored log is trimmed.
    trimmed: Index,
    /// The first index of each term, from the trimmed one to the base.
    terms: VecDeque<(Index, Term)>,
    /// An image that replaced the log and has not been handed out to be written.
    unwritten_snapshot: Option<Snapshot>,
    written: Index,
    durable: Index,
    committed: Index,
    handed_out: Index,
    applied: Index,
    /// Where the service's latest image ends.
    image: Index,
    /// Every configuration that may yet be asked for, with the index from which it is in force.
    configurations: VecDeque<(Index, Membership)>,
}

/// The log does not hold the entry before the new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It holds another one, or none.
    Conflict,
    /// The new entries contradict what is committed.
    Committed,
}

impl Log {
    /// The log of a member that has just started.
    pub(crate) fn restore(durable: DurableState) -> Log {
        let DurableState { hard_state, snapshot, base, entries } = durable;
        let image = snapshot.id;
        let mut log = Log {
            base,
            entries_bytes: entries.iter().map(Entry::size).sum(),
            entries: entries.into(),
            trimmed: base.index,
            terms: VecDeque::from([(base.index, base.term)]),
            unwritten_snapshot: None,
            written: Index::ZERO,
            durable: Index::ZERO,
            committed: image.index.max(hard_state.commit),
            handed_out: image.index,
            applied: image.index,
            image: image.index,
            configurations: VecDeque::from([(image.index, snapshot.membership)]),
        };
        if !log.holds(image) {
            // The member stopped between taking over an image and dropping the log before it.
            log.begin_anew(image);
        }
        for entry in &log.entries {
            if let Payload::Membership(change) = &entry.payload
                && entry.index > image.index
            {
                log.configurations.push_back((entry.index, change.membership.clone()));
            }
        }
        log.written = log.last().index;
        log.durable = log.written;
        log.assert_cursors();
        log
    }

    // === Reading ===

    /// The entry before the first one that is still in memory.
    pub(crate) fn base(&self) -> EntryId {
        self.base
    }

    /// The entry before the first one that is stored.
    pub(crate) fn trimmed(&self) -> EntryId {
        let (_, term) = self.terms.front().expect("the base has a term");
        EntryId { index: self.trimmed, term: *term }
    }

    /// The last entry; the base if there is none.
    pub(crate) fn last(&self) -> EntryId {
        self.entries.back().map_or(self.base, Entry::id)
    }

    /// Up to where entries are on the disk.
    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    /// Tells whether something was handed out to be written and is not acknowledged.
    pub(crate) fn is_being_written(&self) -> bool {
        self.durable < self.written
    }

    /// Up to where entries are known to be committed.
    pub(crate) fn committed(&self) -> Index {
        self.committed
    }

    /// Up to where the service says it has applied.
    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// The entries that are still here.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The term of the entry at `index`; `None` if it is trimmed or not there yet.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.position(index).map(|position| self.entries[position].term)
    }

    /// Tells whether the log holds this very entry. A trimmed one is not held.
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// Copies entries from `from` on: at most `entries_max`, and at most `bytes_max` bytes unless
    /// the first alone is larger.
    pub(crate) fn slice(&self, from: Index, entries_max: usize, bytes_max: usize) -> Vec<Entry> {
        let Some(start) = self.position(from) else { return Vec::new() };
        let mut bytes = 0;
        self.entries
            .range(start..)
            .take(entries_max)
            .enumerate()
            .take_while(|(position, entry)| {
                bytes += entry.size();
                *position == 0 || bytes <= bytes_max
            })
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// The bytes of the entries after `after`, up to and including `through`.
    pub(crate) fn bytes_between(&self, after: Index, through: Index) -> usize {
        match (self.position(after.next()), self.position(through)) {
            (Some(start), Some(end)) => self.entries.range(start..=end).map(Entry::size).sum(),
            (None, _) | (_, None) => 0,
        }
    }

    /// The latest entry at or before `at.index` whose term is not higher than `at.term`: where two
    /// logs that differ at `at` may still agree.
    ///
    /// Whole terms are skipped in this way, not single entries (paper §5.3, last paragraph).
    pub(crate) fn agreement_hint(&self, at: EntryId) -> EntryId {
        if at.index < self.base.index {
            // What is trimmed is committed, and so is the same in all logs that hold it.
            return at;
        }
        // Indexes and terms both rise along the log.
        let agreeing =
            self.entries.partition_point(|entry| entry.index <= at.index && entry.term <= at.term);
        agreeing.checked_sub(1).map_or(self.base, |position| self.entries[position].id())
    }

    /// The configuration in force.
    pub(crate) fn membership(&self) -> &Membership {
        &self.configurations.back().expect("the first configuration always stays").1
    }

    /// From which index the configuration is in force.
    pub(crate) fn membership_index(&self) -> Index {
        self.configurations.back().expect("the first configuration always stays").0
    }

    /// Tells whether the member may campaign: if it votes in the configuration in force or, while
    /// that is not known to be committed, in the one before. It may be the only one that can still
    /// commit its own removal (thesis §4.2.2).
    pub(crate) fn may_campaign(&self, id: MemberId) -> bool {
        let uncommitted =
            self.configurations.iter().rev().take_while(|(from, _)| *from > self.committed);
        let relevant = uncommitted.count() + 1;
        let mut configurations = self.configurations.iter().rev().take(relevant);
        configurations.any(|(_, membership)| membership.is_voter(id))
    }

    /// What an image at `index` must carry; `None` if that is not committed, too long ago, or from
    /// before the first configuration that this member has heard of: one that joined a cluster
    /// knows none until the log tells it.
    pub(crate) fn snapshot_meta(&self, index: Index) -> Option<SnapshotMeta> {
        if index > self.committed {
            return None;
        }
        let term = self.term_at(index)?;
        let (_, membership) = self.configurations.iter().rev().find(|(from, _)| *from <= index)?;
        let is_known = !membership.incoming().is_empty();
        let meta = SnapshotMeta { id: EntryId { index, term }, membership: membership.clone() };
        is_known.then_some(meta)
    }

    // === Growing ===

    /// Appends an entry of this member's own making. Leaders only.
    pub(crate) fn append(&mut self, term: Term, payload: Payload) -> EntryId {
        let entry = Entry { index: self.last().index.next(), term, payload };
        let id = entry.id();
        self.push(entry);
        id
    }

    /// Makes the log equal to the leader's up to the last of `entries`, which follow `prev`, and
    /// returns the index up to which it then is.
    ///
    /// Entries that are there already stay: only a real conflict truncates, because an older append
    /// may arrive after a newer one (paper §5.3).
    pub(crate) fn replicate(
        &mut self,
        prev: EntryId,
        entries: Vec<Entry>,
    ) -> Result<Index, Mismatch> {
        let matched = Index(prev.index.0 + entries.len() as u64);
        // What lies at or before the base is committed, and so is the same in all logs.
        if prev.index >= self.base.index && !self.holds(prev) {
            let contradicts = prev.index <= self.committed;
            return Err(if contradicts { Mismatch::Committed } else { Mismatch::Conflict });
        }
        for entry in entries {
            if entry.index < self.base.index || self.holds(entry.id()) {
                continue;
            }
            if entry.index <= self.last().index {
                if entry.index <= self.committed {
                    return Err(Mismatch::Committed);
                }
                self.truncate(entry.index);
            }
            self.push(entry);
        }
        self.assert_cursors();
        Ok(matched)
    }

    fn push(&mut self, entry: Entry) {
        let last = self.last();
        assert!(
            entry.index == last.index.next(),
            "appending {} after {last} leaves a gap",
            entry.id()
        );
        assert!(entry.term >= last.term, "appending {} after {last} goes back", entry.id());
        if let Payload::Membership(change) = &entry.payload {
            self.configurations.push_back((entry.index, change.membership.clone()));
        }
        self.entries_bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// Removes the entry at `from` and all after it, and with them their configurations.
    fn truncate(&mut self, from: Index) {
        assert!(
            from > self.committed,
            "truncating from {from} would lose entries committed up to {}",
            self.committed
        );
        let keep = self.position(from).expect("only entries that are here are truncated");
        let removed = self.entries.drain(keep..);
        self.entries_bytes -= removed.map(|entry| entry.size()).sum::<usize>();
        while self.membership_index() >= from {
            self.configurations.pop_back();
        }
        assert!(self.last().index == from.previous(), "a truncated log ends before {from}");
        self.written = self.written.min(from.previous());
        self.durable = self.durable.min(from.previous());
    }

    /// Replaces the whole log by an image that the leader sent.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        let id = snapshot.meta.id;
        assert!(
            id.index > self.committed,
            "an image at {id} would take back what is committed up to {}",
            self.committed
        );
        // Until the image is written, the disk holds the old log, of which only the committed part
        // is sure to be the leader's too.
        self.durable = self.durable.min(self.committed);
        self.begin_anew(id);
        self.written = id.index;
        self.committed = id.index;
        self.handed_out = id.index;
        self.applied = id.index;
        self.image = id.index;
        self.configurations = VecDeque::from([(id.index, snapshot.meta.membership.clone())]);
        self.unwritten_snapshot = Some(snapshot);
        self.assert_cursors();
    }

    /// Drops everything, and goes on after an entry that an image ends with.
    fn begin_anew(&mut self, id: EntryId) {
        self.base = id;
        self.entries.clear();
        self.entries_bytes = 0;
        self.trimmed = id.index;
        self.terms = VecDeque::from([(id.index, id.term)]);
    }

    // === Moving the cursors ===

    /// Records that everything up to `index` is committed; less than is known already is no news.
    pub(crate) fn commit_to(&mut self, index: Index) {
        assert!(
            index <= self.last().index,
            "commit index {index} lies beyond the last entry {}",
            self.last()
        );
        self.committed = self.committed.max(index);
    }

    /// Records that the disk holds the log up to `last`, as it was when `last` was its end.
    pub(crate) fn acknowledge(&mut self, last: EntryId) {
        // An entry that was not handed out yet stands where one was that has been overwritten.
        if self.holds(last) && last.index <= self.written && last.index > self.durable {
            self.durable = last.index;
        }
    }

    /// Records what the service has applied.
    pub(crate) fn applied_to(&mut self, index: Index) {
        assert!(
            index <= self.handed_out,
            "the service has applied {index}, and was only given {}",
            self.handed_out
        );
        self.applied = self.applied.max(index);
    }

    /// Records that the service has an image at `index`, after which older configurations are no
    /// longer asked for.
    pub(crate) fn image_at(&mut self, index: Index) {
        assert!(
            index <= self.applied,
            "the service has an image at {index}, and has only applied {}",
            self.applied
        );
        self.image = self.image.max(index);
        while self.configurations.get(1).is_some_and(|(from, _)| *from <= self.image) {
            self.configurations.pop_front();
        }
    }

    /// Where the service's latest image ends.
    pub(crate) fn image(&self) -> Index {
        self.image
    }

    /// Drops everything up to and including `through`, and tells where the stored log is then to
    /// begin; `None` if nothing was there to drop.
    pub(crate) fn trim(&mut self, through: Index) -> Option<EntryId> {
        // Behind `durable` the stored log may be another one still.
        let through = through.min(self.image).min(self.durable);
        if through <= self.trimmed {
            return None;
        }
        if self.base.index < through {
            self.drop_through(through);
        }
        self.trimmed = through;
        while self.terms.get(1).is_some_and(|(from, _)| *from <= through) {
            self.terms.pop_front();
        }
        let (from, term) = self.terms.front_mut().expect("the base has a term");
        *from = through;
        let id = EntryId { index: through, term: *term };
        self.assert_cursors();
        Some(id)
    }

    /// Drops the oldest entries from memory while all take more than `bytes_max`, but none behind
    /// `limit`, and none that somebody may yet ask for here. The disk keeps them.
    pub(crate) fn evict(&mut self, bytes_max: usize, limit: Index) {
        let limit = limit.min(self.applied).min(self.durable);
        let mut bytes = self.entries_bytes;
        let mut through = self.base.index;
        for entry in &self.entries {
            if bytes <= bytes_max || limit < entry.index {
                break;
            }
            bytes -= entry.size();
            through = entry.index;
        }
        if self.base.index < through {
            self.drop_through(through);
            self.assert_cursors();
        }
    }

    /// Drops everything up to and including `through`, which is here, from memory.
    fn drop_through(&mut self, through: Index) {
        assert!(through <= self.durable, "entries to {through} are dropped and not durable");
        let position = self.position(through).expect("what is dropped is here");
        for entry in self.entries.drain(..=position) {
            self.entries_bytes -= entry.size();
            if self.base.term < entry.term {
                self.terms.push_back((entry.index, entry.term));
            }
            self.base = entry.id();
        }
        assert!(
            self.entries.front().is_none_or(|first| first.index == self.base.index.next()),
            "a log begins after its base"
        );
    }

    // === Handing out ===

    /// The image and the entries that have not been handed out to be written.
    pub(crate) fn take_unwritten(&mut self) -> (Option<Snapshot>, Vec<Entry>) {
        let entries = self.slice(self.written.next(), usize::MAX, usize::MAX);
        assert!(
            entries.first().is_none_or(|first| first.index == self.written.next()),
            "entries are written behind a gap after {}",
            self.written
        );
        self.written = self.last().index;
        (self.unwritten_snapshot.take(), entries)
    }

    /// The committed entries that have not been handed out to be applied.
    pub(crate) fn take_committed(&mut self) -> Vec<Entry> {
        let count = self.committed.0 - self.handed_out.0;
        if count == 0 {
            return Vec::new();
        }
        let count = usize::try_from(count).expect("the entries are in memory");
        let entries = self.slice(self.handed_out.next(), count, usize::MAX);
        assert!(entries.len() == count, "committed entries are missing from the log");
        self.handed_out = self.committed;
        entries
    }

    /// Where the entry at `index` stands in `entries`.
    fn position(&self, index: Index) -> Option<usize> {
        let offset = index.0.checked_sub(self.base.index.0 + 1)?;
        let position = usize::try_from(offset).ok()?;
        (position < self.entries.len()).then_some(position)
    }

    fn assert_cursors(&self) {
        let last = self.last().index;
        assert!(self.trimmed <= self.base.index, "more is stored than the base says");
        assert!(self.base.index <= self.committed, "the log was trimmed beyond the commit index");
        assert!(self.committed <= last, "the commit index lies beyond the log");
        assert!(self.handed_out <= self.committed, "entries were applied before their commit");
        assert!(self.applied <= self.handed_out, "the service applied what it was not given");
        assert!(self.durable <= self.written, "the disk holds what it was not given");
        assert!(self.written <= last, "entries were written that are not in the log");
    }
}
