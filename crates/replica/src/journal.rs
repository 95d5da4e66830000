//! The log on the disk, and what may be said once it is durable.

use std::collections::VecDeque;

use raft::{Durable, Entry, EntryId, Index, Message, Persist, SnapshotMeta};
use wal::{Batch, BatchNumber, Preparation, Spare, Wal};

use crate::fault::Fault;

/// The log, with what waits for it to be durable.
///
/// Invariant: what waits, waits in the order of its batches.
#[derive(Debug)]
pub(crate) struct Journal {
    wal: Wal,
    waiting: VecDeque<Waiting>,
    /// The last batch that was queued and must not wait for others.
    urgent: BatchNumber,
    /// No batch of entries is made longer than this, in bytes.
    batch_bytes_max: usize,
    space: Space,
}

/// What becomes due when a batch is durable.
#[derive(Debug)]
struct Waiting {
    batch: BatchNumber,
    due: Due,
}

#[derive(Debug)]
enum Due {
    /// The core's acknowledgement, and what it wants to be said then.
    Persisted { ack: Durable, messages: Vec<Message> },
    /// More to be said.
    Said(Vec<Message>),
    /// A checkpoint counts.
    Marked(SnapshotMeta),
}

/// Whether the disk had space when it was last tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Free,
    /// It had none, and is tried again with the next tick.
    Full,
    /// A tick has passed since.
    MaybeFree,
}

/// What has become due by a sync.
#[derive(Debug, Default)]
pub(crate) struct Synced {
    /// What the core is to be told; it stands for all before it.
    pub(crate) ack: Option<Durable>,
    /// What may be said now.
    pub(crate) messages: Vec<Message>,
    /// The newest checkpoint that counts from now on.
    pub(crate) marked: Option<SnapshotMeta>,
}

impl Journal {
    pub(crate) fn new(wal: Wal, segment_bytes: u64) -> Journal {
        // A sector holds 488 bytes, and 16 are kept free for header, beginning and footer.
        let sectors = usize::try_from(segment_bytes / 512).unwrap_or(usize::MAX);
        let segment = sectors.saturating_sub(16).saturating_mul(488);
        Journal {
            wal,
            waiting: VecDeque::new(),
            urgent: BatchNumber(0),
            batch_bytes_max: segment.min(8 << 20),
            space: Space::Free,
        }
    }

    /// Queues what the core wants written, and keeps what it wants to be said then.
    pub(crate) fn write(&mut self, persist: &Persist, messages: Vec<Message>) -> Result<(), Fault> {
        let mut rest = &persist.entries[..];
        let mut installed = persist.snapshot.as_ref().map(|snapshot| &snapshot.meta);
        // A long write goes in several batches, each whole or not at all. The hard state comes with
        // the last, so that the commit hint never points beyond the log.
        loop {
            let (entries, behind) = rest.split_at(self.fitting(rest));
            let hard_state = if behind.is_empty() { persist.hard_state } else { None };
            if installed.is_some() || !entries.is_empty() || hard_state.is_some() {
                let batch = Batch { installed: installed.take(), entries, hard_state, mark: None };
                self.urgent = self.wal.append(&batch)?;
            }
            if behind.is_empty() {
                break;
            }
            rest = behind;
        }
        self.wait(Due::Persisted { ack: persist.ack, messages });
        if let Some(snapshot) = &persist.snapshot {
            self.wait(Due::Marked(snapshot.meta.clone()));
        }
        Ok(())
    }

    /// How many of the entries fit into one batch; one at least.
    fn fitting(&self, entries: &[Entry]) -> usize {
        let mut bytes = 0;
        let fitting = entries.iter().take_while(|entry| {
            bytes += entry.size() + 16;
            bytes <= self.batch_bytes_max
        });
        fitting.count().max(1).min(entries.len())
    }

    /// Keeps messages that may leave only behind what is queued; gives them back if nothing is.
    pub(crate) fn say_behind(&mut self, messages: Vec<Message>) -> Vec<Message> {
        if messages.is_empty() || self.waiting.is_empty() {
            return messages;
        }
        self.wait(Due::Said(messages));
        Vec::new()
    }

    /// Queues the mark of a durable checkpoint.
    pub(crate) fn mark(&mut self, meta: SnapshotMeta) -> Result<(), Fault> {
        self.urgent = self.wal.append(&Batch { mark: Some(&meta), ..Batch::default() })?;
        self.wait(Due::Marked(meta));
        Ok(())
    }

    /// Drops the log up to and including an entry. It costs no sync of its own.
    pub(crate) fn trim(&mut self, through: EntryId) -> Result<(), Fault> {
        Ok(self.wal.release(through.index.next())?)
    }

    fn wait(&mut self, due: Due) {
        let batch = self.urgent;
        let last = self.waiting.back().map_or(BatchNumber(0), |waiting| waiting.batch);
        assert!(last <= batch, "batch {} is queued behind batch {}", batch.0, last.0);
        self.waiting.push_back(Waiting { batch, due });
    }

    /// Tells whether something must be made durable, and may be tried.
    pub(crate) fn needs_sync(&self) -> bool {
        !self.waiting.is_empty() && self.space != Space::Full
    }

    /// Tells whether the log waits for space.
    pub(crate) fn is_full(&self) -> bool {
        self.space != Space::Free
    }

    /// Lets a disk that was full be tried again.
    pub(crate) fn on_tick(&mut self) {
        if self.space == Space::Full {
            self.space = Space::MaybeFree;
        }
    }

    /// Makes all that is queued durable, or as much of it as there is space for.
    pub(crate) fn sync(&mut self) -> Result<Synced, Fault> {
        let committed = match self.wal.commit() {
            Ok(committed) => {
                self.space = Space::Free;
                committed
            }
            Err(error) if error.is_full() => {
                self.space = Space::Full;
                self.wal.committed()
            }
            Err(error) => return Err(error.into()),
        };
        let mut synced = Synced::default();
        while let Some(waiting) = self.waiting.pop_front_if(|first| first.batch <= committed.batch)
        {
            match waiting.due {
                Due::Persisted { ack, mut messages } => {
                    synced.ack = Some(ack);
                    synced.messages.append(&mut messages);
                }
                Due::Said(mut messages) => synced.messages.append(&mut messages),
                Due::Marked(meta) => synced.marked = Some(meta),
            }
        }
        Ok(synced)
    }

    /// Returns the work that makes the next segment ahead, if it is due.
    pub(crate) fn prepare_next(&mut self) -> Option<Preparation> {
        self.wal.prepare_next()
    }

    /// Takes a segment that was made ahead.
    pub(crate) fn adopt(&mut self, spare: Spare) {
        self.wal.adopt(spare);
    }

    /// How many bytes the next sync writes.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.wal.queued_bytes()
    }

    /// Where the durable log ends.
    pub(crate) fn durable(&self) -> Index {
        self.wal.committed().last.index
    }

    /// Makes all durable, and marks the log as closed.
    pub(crate) fn close(self) -> Result<(), Fault> {
        self.wal.close()?;
        Ok(())
    }
}
