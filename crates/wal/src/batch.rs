//! What is handed to the log, and waits to be written.

use std::path::PathBuf;

use raft::{Entry, EntryId, HardState, Persist, SnapshotMeta};

use crate::outline::Step;
use crate::record;
use crate::sector::{UNIT_SECTORS_MAX, offset_of, sectors_for};
use crate::segment::{RESERVED_SECTORS, SECTORS_MIN};

/// How a log is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory, of which the log uses nothing but its own files. Its parent must exist.
    pub dir: PathBuf,
    /// The size of a new segment in bytes: a multiple of 512, from 8 KiB to 2 GiB. A batch must fit
    /// into it, less 5 KiB.
    pub segment_bytes: u64,
    /// The log's ID if it must be created: random, and different for each log.
    pub new_id: u64,
}

impl Options {
    /// The size of a segment where nobody says otherwise: 8 MiB. Zeros are written before a segment
    /// is used for the first time, one segment ahead: a large one costs a short-lived log more than
    /// the log itself, and its start the time to write it. A small one costs a few syncs more
    /// often.
    pub const SEGMENT_BYTES: u64 = 8 << 20;

    /// A log in `dir` with segments of the usual size.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, new_id: u64) -> Options {
        Options { dir: dir.into(), segment_bytes: Options::SEGMENT_BYTES, new_id }
    }
}

/// What is to be written in one piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// An image from the leader, which is durable: it replaces the whole log.
    pub installed: Option<&'a SnapshotMeta>,
    /// Entries to append. Those at and after the index of the first one are overwritten.
    pub entries: &'a [Entry],
    /// Term, vote and commit hint, if one of them changed.
    pub hard_state: Option<HardState>,
    /// An image of the service's own, which is durable.
    pub mark: Option<&'a SnapshotMeta>,
}

impl<'a> Batch<'a> {
    /// The batch that makes a [`Persist`] durable, but for the data of its snapshot: they must be
    /// durable before.
    #[must_use]
    pub fn of(persist: &'a Persist) -> Batch<'a> {
        Batch {
            installed: persist.snapshot.as_ref().map(|snapshot| &snapshot.meta),
            entries: &persist.entries,
            hard_state: persist.hard_state,
            mark: None,
        }
    }
}

/// Numbers the batches of one [`crate::Wal`] value, from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNumber(pub u64);

/// What is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The last durable batch; zero if there is none since the log was opened.
    pub batch: BatchNumber,
    /// The last durable entry, or the base of an empty log.
    pub last: EntryId,
    /// The durable term, vote and commit hint.
    pub hard_state: HardState,
}

/// Batches that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) payload: Vec<u8>,
    pub(crate) steps: Vec<Step>,
    /// Where each batch ends, in `payload` and in `steps`.
    pub(crate) ends: Vec<(usize, usize)>,
}

impl Options {
    pub(crate) fn sectors(&self) -> u32 {
        let sectors = u32::try_from(self.segment_bytes / offset_of(1)).unwrap_or(u32::MAX);
        assert!(
            self.segment_bytes.is_multiple_of(offset_of(1))
                && SECTORS_MIN <= sectors
                && self.segment_bytes <= 2 << 30,
            "a segment of {} bytes, which is no multiple of 512 from 8 KiB to 2 GiB",
            self.segment_bytes
        );
        sectors
    }

    /// The longest unit that fits into any new segment.
    pub(crate) fn unit_sectors_max(&self) -> u32 {
        (self.sectors() - RESERVED_SECTORS).min(UNIT_SECTORS_MAX)
    }
}

impl Queue {
    pub(crate) fn put(&mut self, batch: &Batch<'_>) {
        let Queue { payload, steps, .. } = self;
        if let Some(image) = batch.installed {
            record::put_reset(payload, image.id);
            record::put_mark(payload, image);
            steps.push(Step::Reset(image.id));
            steps.push(Step::Mark(image.clone()));
        }
        record::put_entries(payload, batch.entries);
        steps.extend(batch.entries.iter().map(|entry| Step::Entry(entry.id())));
        if let Some(state) = &batch.hard_state {
            record::put_hard_state(payload, state);
            steps.push(Step::HardState(*state));
        }
        if let Some(mark) = batch.mark {
            record::put_mark(payload, mark);
            steps.push(Step::Mark(mark.clone()));
        }
    }

    /// How many batches fit into so many sectors.
    pub(crate) fn fitting(&self, sectors: u32) -> usize {
        self.ends.partition_point(|(end, _)| sectors_for(*end) <= sectors)
    }

    pub(crate) fn remove(&mut self, batches_len: usize) {
        let (payload_len, steps_len) = self.ends[batches_len - 1];
        self.payload.drain(..payload_len);
        self.steps.drain(..steps_len);
        self.ends.drain(..batches_len);
        for (payload, steps) in &mut self.ends {
            *payload -= payload_len;
            *steps -= steps_len;
        }
    }
}
