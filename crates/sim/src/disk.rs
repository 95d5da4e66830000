//! A member's disk: what is on it, what is on its way, and what a crash leaves of that.
//!
//! Writes are queued in the order in which the core hands them out. A sync makes one or several of
//! them durable, later. Images of the service have a place of their own.
//!
//! ```text
//!   core ── Persist ──► queue ── sync ──► log, hard state          a crash keeps, of the queue,
//!                         │                                        some of the first writes, and
//!                         └ messages that wait leave then          of the next one a prefix
//! ```
//!
//! Invariant: what was synced stays, whatever happens.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::{
    DurableState, Entry, EntryId, HardState, Index, Membership, Message, Persist, Snapshot,
    SnapshotMeta,
};

use crate::rng::Random;

/// One write that is not durable, and the messages that wait for it.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) persist: Persist,
    pub(crate) messages: Vec<Message>,
}

/// What a crash did to the writes that were not durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wreck {
    /// Writes that had reached the disk all the same.
    pub(crate) kept: usize,
    /// Writes that are lost, whole or in part.
    pub(crate) lost: usize,
    /// Whether one of them is there in part.
    pub(crate) torn: bool,
    /// Whether a vote was among what is lost.
    pub(crate) vote_lost: bool,
    /// Whether entries were among what is lost.
    pub(crate) entries_lost: bool,
}

/// How a crash treats what is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CrashMode {
    /// All of it is there: the process died, and the machine did not.
    KeepAll,
    /// All of it is lost.
    LoseAll,
    /// Any number of the first writes is there.
    KeepSome,
    /// Any number of the first writes is there, and a part of the next one.
    Tear,
}

/// One member's disk.
#[derive(Debug)]
pub(crate) struct Disk {
    hard_state: HardState,
    base: EntryId,
    entries: Vec<Entry>,
    /// The service's latest image.
    image: Snapshot,
    queue: VecDeque<Write>,
    /// How many of the queued writes the sync that is running covers; zero if none is.
    syncing: usize,
    /// Up to where the log is to be dropped, once it holds that entry.
    trim: Option<EntryId>,
    /// When the disk answers again, if it does not now.
    pub(crate) stalled_until: u64,
}

impl Disk {
    /// The disk of a member that starts for the first time, in a cluster of `membership`.
    pub(crate) fn new(membership: Membership) -> Disk {
        let meta = SnapshotMeta { id: EntryId::ZERO, membership };
        Disk {
            hard_state: HardState::default(),
            base: EntryId::ZERO,
            entries: Vec::new(),
            image: Snapshot { meta, data: Bytes::new() },
            queue: VecDeque::new(),
            syncing: 0,
            trim: None,
            stalled_until: 0,
        }
    }

    // === What is on it ===

    /// Term, vote and commit hint as they are on the disk.
    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The service's latest image.
    pub(crate) fn image(&self) -> &Snapshot {
        &self.image
    }

    /// The last entry that is durable, or the end of the image.
    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, Entry::id)
    }

    /// Tells whether the log on the disk holds this entry. A trimmed one is not held.
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        id == self.base || self.entry(id.index).is_some_and(|entry| entry.term == id.term)
    }

    fn entry(&self, index: Index) -> Option<&Entry> {
        let after = index.0.checked_sub(self.base.index.0)?.checked_sub(1)?;
        self.entries.get(usize::try_from(after).ok()?)
    }

    /// Tells whether the entry would be there after a crash: in the log, or in the image.
    pub(crate) fn secures(&self, id: EntryId) -> bool {
        id.index <= self.image.meta.id.index || self.holds(id)
    }

    /// What a member that starts from this disk finds.
    pub(crate) fn durable_state(&self) -> DurableState {
        DurableState {
            hard_state: self.hard_state,
            snapshot: self.image.meta.clone(),
            base: self.base,
            entries: self.entries.clone(),
        }
    }

    /// Drops a log that does not lead up to the image, which ends at `base`.
    pub(crate) fn drop_log(&mut self, base: EntryId) {
        assert!(base == self.image.meta.id, "the log begins anew at {base}, which is no image");
        self.base = base;
        self.entries.clear();
    }

    // === Writing ===

    /// Queues a write, and what waits for it.
    pub(crate) fn write(&mut self, persist: Persist, messages: Vec<Message>) {
        self.queue.push_back(Write { persist, messages });
    }

    /// Lets messages wait for all that is queued; gives them back if nothing is.
    pub(crate) fn wait(&mut self, messages: Vec<Message>) -> Vec<Message> {
        match self.queue.back_mut() {
            Some(last) => {
                last.messages.extend(messages);
                Vec::new()
            }
            None => messages,
        }
    }

    /// Tells whether something waits to be durable.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Tells whether a sync is running.
    pub(crate) fn is_syncing(&self) -> bool {
        self.syncing > 0
    }

    /// Begins to sync up to `writes_max` of the queued writes, and tells whether there are any.
    pub(crate) fn begin_sync(&mut self, writes_max: usize) -> bool {
        assert!(self.syncing == 0, "a disk syncs one thing after the other");
        self.syncing = self.queue.len().min(writes_max);
        self.syncing > 0
    }

    /// Ends the sync that is running, and returns how many writes it covers: each is to be finished
    /// with [`Disk::finish`], so that what each promises can be looked at by itself.
    pub(crate) fn end_sync(&mut self) -> usize {
        std::mem::take(&mut self.syncing)
    }

    /// Makes the oldest write durable; `None` if there is none.
    pub(crate) fn finish(&mut self) -> Option<Write> {
        let write = self.queue.pop_front()?;
        self.store(&write.persist);
        Some(write)
    }

    /// Makes an image of the service durable.
    pub(crate) fn store_image(&mut self, image: &Snapshot) {
        if image.meta.id.index > self.image.meta.id.index {
            self.image = image.clone();
        }
    }

    fn store(&mut self, persist: &Persist) {
        if let Some(snapshot) = &persist.snapshot {
            self.store_image(snapshot);
            self.base = snapshot.meta.id;
            self.entries.clear();
            self.trim = None;
        }
        for entry in &persist.entries {
            self.store_entry(entry);
        }
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
        }
        self.maybe_trim();
    }

    fn store_entry(&mut self, entry: &Entry) {
        // The log may have been trimmed past a write that was still waiting.
        let Some(after) = entry.index.0.checked_sub(self.base.index.0 + 1) else { return };
        let keep = usize::try_from(after).expect("a log in memory");
        assert!(
            keep <= self.entries.len(),
            "writing entry {} leaves a gap after {}",
            entry.id(),
            self.last()
        );
        self.entries.truncate(keep);
        self.entries.push(entry.clone());
    }

    /// Drops the log up to and including `id`, as soon as that entry is in it: what is queued may
    /// yet replace the one at its place.
    pub(crate) fn trim(&mut self, id: EntryId) {
        self.trim = Some(id);
    }

    /// Carries out a trim that is due.
    pub(crate) fn maybe_trim(&mut self) {
        if let Some(id) = self.trim
            && self.holds(id)
        {
            let dropped = usize::try_from(id.index.0 - self.base.index.0).expect("a log in memory");
            self.entries.drain(..dropped);
            self.base = id;
            self.trim = None;
        }
    }

    // === Crashing ===

    /// Forgets what is not durable, but for what `mode` leaves of it.
    pub(crate) fn crash(&mut self, mode: CrashMode, random: &mut Random) -> Wreck {
        let queue = std::mem::take(&mut self.queue);
        self.syncing = 0;
        self.trim = None;
        let keep = match mode {
            CrashMode::KeepAll => queue.len(),
            CrashMode::LoseAll => 0,
            CrashMode::KeepSome | CrashMode::Tear => random.place(queue.len() + 1),
        };
        let mut wreck = Wreck { kept: keep, lost: queue.len() - keep, ..Wreck::default() };
        for (position, Write { persist, .. }) in queue.into_iter().enumerate() {
            if position < keep {
                self.store(&persist);
                continue;
            }
            wreck.entries_lost |= !persist.entries.is_empty();
            wreck.vote_lost |= persist.hard_state.is_some_and(|state| {
                state.vote.is_some() && (state.term, state.vote) != self.promised()
            });
            if position == keep && mode == CrashMode::Tear {
                self.store_torn(persist, random);
                wreck.torn = true;
            }
        }
        wreck
    }

    fn promised(&self) -> (raft::Term, Option<raft::MemberId>) {
        (self.hard_state.term, self.hard_state.vote)
    }

    /// Stores a part of a write: the image before anything else, some of the entries before the
    /// hard state.
    fn store_torn(&mut self, persist: Persist, random: &mut Random) {
        let Persist { snapshot, mut entries, .. } = persist;
        if let Some(snapshot) = snapshot {
            self.store_image(&snapshot);
            // The log that the image replaces may still be there.
            if random.chance(500) {
                return;
            }
            self.base = snapshot.meta.id;
            self.entries.clear();
        }
        entries.truncate(random.place(entries.len() + 1));
        for entry in &entries {
            self.store_entry(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::{Durable, MemberId, Payload, Term};

    use super::*;

    fn disk() -> Disk {
        Disk::new(Membership::of_voters([MemberId(1)]))
    }

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index: Index(index), term: Term(term), payload: Payload::Noop }
    }

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(Index(index), Term(term))
    }

    fn write(entries: &[Entry], term: u64) -> Persist {
        let vote = Some(MemberId(1));
        let last = entries.last().map_or(EntryId::ZERO, Entry::id);
        Persist {
            snapshot: None,
            entries: entries.to_vec(),
            hard_state: Some(HardState { term: Term(term), vote, commit: Index::ZERO }),
            ack: Durable { written_in: Term(term), last },
        }
    }

    fn written(disk: &mut Disk, persist: Persist) {
        disk.write(persist, Vec::new());
        disk.begin_sync(usize::MAX);
        for _ in 0..disk.end_sync() {
            disk.finish();
        }
    }

    #[test]
    fn only_what_was_synced_survives_a_crash() {
        let mut disk = disk();
        written(&mut disk, write(&[entry(1, 1)], 1));
        disk.write(write(&[entry(2, 1)], 2), Vec::new());
        disk.begin_sync(1);
        let wreck = disk.crash(CrashMode::LoseAll, &mut Random::new(1));
        assert_eq!(disk.last(), id(1, 1));
        assert_eq!(disk.hard_state().term, Term(1));
        assert!(wreck.vote_lost && wreck.entries_lost && wreck.lost == 1, "{wreck:?}");
    }

    #[test]
    fn torn_write_is_a_prefix_of_its_entries_without_the_hard_state() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut disk = disk();
            written(&mut disk, write(&[entry(1, 1), entry(2, 1)], 2));
            disk.write(write(&[entry(2, 2), entry(3, 2), entry(4, 2)], 3), Vec::new());
            let wreck = disk.crash(CrashMode::Tear, &mut Random::new(seed));
            if wreck.torn {
                assert_eq!(disk.hard_state().term, Term(2), "the hard state comes last");
                lengths.insert((disk.last().index, disk.last().term));
            }
        }
        assert_eq!(lengths.len(), 4, "every prefix can be left: {lengths:?}");
    }

    #[test]
    fn sync_covers_what_was_queued_when_it_began() {
        let mut disk = disk();
        disk.write(write(&[entry(1, 1)], 1), Vec::new());
        assert!(disk.begin_sync(8), "something is queued");
        disk.write(write(&[entry(2, 1)], 1), Vec::new());
        assert_eq!(disk.end_sync(), 1);
        disk.finish();
        assert_eq!(disk.last(), id(1, 1));
        assert!(disk.is_busy(), "the second write waits for the next sync");
    }

    #[test]
    fn trim_waits_until_the_log_holds_its_entry() {
        let mut disk = disk();
        written(&mut disk, write(&[entry(1, 1), entry(2, 1), entry(3, 1)], 2));
        disk.trim(id(2, 2));
        disk.maybe_trim();
        assert!(disk.holds(id(1, 1)), "another entry stands at its place");
        written(&mut disk, write(&[entry(2, 2), entry(3, 2)], 2));
        assert!(!disk.holds(id(1, 1)), "the log begins after the trim");
        assert!(disk.holds(id(2, 2)) && disk.holds(id(3, 2)), "and goes on");
    }
}
