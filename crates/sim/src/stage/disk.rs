//! A member's disk: what is durable, and the writes that are on their way there.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::{DurableState, Entry, EntryId, Index, Message, Persist, Snapshot};

/// One write, and what may be sent once it is durable.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) persist: Persist,
    pub(super) messages: Vec<Message>,
}

/// One member's disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// What a restart finds.
    pub(super) durable: DurableState,
    /// The service's image that [`DurableState::snapshot`] describes.
    pub(super) image: Bytes,
    /// The writes that were handed out and are not durable, in order.
    pub(super) writes: VecDeque<Write>,
    /// Whether writes wait until they are released one by one.
    pub(super) held: bool,
}

impl Disk {
    pub(super) fn new(durable: DurableState) -> Disk {
        Disk { durable, image: Bytes::new(), writes: VecDeque::new(), held: false }
    }

    /// Makes a write durable, after all before it.
    pub(super) fn store(&mut self, persist: &Persist) {
        if let Some(Snapshot { meta, data }) = &persist.snapshot {
            self.durable.snapshot = meta.clone();
            self.durable.base = meta.id;
            self.durable.entries.clear();
            self.image = data.clone();
        }
        for entry in &persist.entries {
            self.store_entry(entry);
        }
        if let Some(hard_state) = persist.hard_state {
            self.durable.hard_state = hard_state;
        }
    }

    fn store_entry(&mut self, entry: &Entry) {
        let base = self.durable.base.index;
        // The log may have been trimmed past a write that was still waiting.
        if entry.index <= base {
            return;
        }
        let kept = entries_after(base, entry.index.previous());
        assert!(
            kept <= self.durable.entries.len(),
            "entry {} would leave a gap in a log that ends at {}",
            entry.id(),
            self.last(),
        );
        self.durable.entries.truncate(kept);
        self.durable.entries.push(entry.clone());
    }

    /// Drops the log up to and including `id`.
    pub(super) fn trim(&mut self, id: EntryId) {
        let base = self.durable.base.index;
        if id.index <= base {
            return;
        }
        let dropped = entries_after(base, id.index).min(self.durable.entries.len());
        self.durable.entries.drain(..dropped);
        self.durable.base = id;
    }

    /// Records the service's own image.
    pub(super) fn store_image(&mut self, snapshot: Snapshot) {
        self.durable.snapshot = snapshot.meta;
        self.image = snapshot.data;
    }

    fn last(&self) -> EntryId {
        self.durable.entries.last().map_or(self.durable.base, Entry::id)
    }
}

/// How many entries lie after `base` and up to `index`.
fn entries_after(base: Index, index: Index) -> usize {
    usize::try_from(index.0 - base.0).expect("a stage's log is short")
}
