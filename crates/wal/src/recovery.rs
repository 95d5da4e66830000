//! Reading the log back: what every segment holds, in order, and whether it fits together.

use std::path::{Path, PathBuf};

use disk::Disk;
use raft::{Entry, EntryId, HardState, Index, SnapshotMeta};

use crate::error::WalError;
use crate::outline::{Outline, Step};
use crate::record::{self, Ending, Record};
use crate::sector::Position;
use crate::segment::{End, Flaw, Scan, Segment, Unit, number_of};

/// What a log holds when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Term, vote and commit hint.
    pub hard_state: HardState,
    /// The newest durable image of the service that the log knows of; `None` if there is none.
    pub mark: Option<SnapshotMeta>,
    /// The entry before the first of `entries`.
    pub base: EntryId,
    /// The entries, in order and without gaps.
    pub entries: Vec<Entry>,
    /// How the log was left.
    pub start: Start,
}

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There was none, and one was created. A member that has run before has lost its disk, and
    /// must not vote.
    Created,
    /// It was closed.
    Closed,
    /// It was not closed, and its last write was whole.
    Killed,
    /// The last write was not whole, and therefore never acknowledged. It was cut off.
    Torn {
        /// How many of its sectors had arrived.
        sectors: u32,
    },
}

/// What one segment holds, without the commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// How many units, the header included.
    pub(crate) units: u32,
    pub(crate) entries: u32,
    /// The lowest and the highest index of an entry; zero if there is none.
    pub(crate) indexes: (Index, Index),
}

/// A segment that was read.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) path: PathBuf,
    pub(crate) contents: Contents,
}

/// The whole log, as it was read.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) outline: Outline,
    pub(crate) entries: Vec<Entry>,
    pub(crate) start: Start,
    pub(crate) id: u64,
    /// All segments, the oldest first. The contents of the last are those before `rewrite`.
    pub(crate) segments: Vec<Summary>,
    /// The state before `rewrite`.
    pub(crate) trusted: Outline,
    /// Where the part of the last segment ends that was durable before it was read.
    pub(crate) trusted_end: Position,
    /// The payload of the last unit, of which nobody knows whether it is on the disk, or only in
    /// the page cache; `None` if there is nothing to doubt.
    pub(crate) rewrite: Option<Vec<u8>>,
}

impl Contents {
    /// Counts a unit.
    pub(crate) fn add<'a>(&mut self, steps: impl IntoIterator<Item = &'a Step>) {
        self.units += 1;
        for step in steps {
            let Step::Entry(EntryId { index, .. }) = step else {
                continue;
            };
            let (lowest, highest) = self.indexes;
            self.indexes = match self.entries {
                0 => (*index, *index),
                _ => (lowest.min(*index), highest.max(*index)),
            };
            self.entries += 1;
        }
    }
}

/// Reads the log whose segments are among these names; `None` if there is no segment.
pub(crate) fn replay(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
) -> Result<Option<Replay>, WalError> {
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let segments: Vec<Segment> =
        numbers.iter().map(|number| Segment::open(disk, dir, *number)).collect::<Result<_, _>>()?;
    let Some(last) = segments.last() else {
        return Ok(None);
    };
    let first = &segments[0];
    let mut reader = Reader {
        outline: Outline::before_first_segment(first.header.last),
        entries: Vec::new(),
        before_unit: Outline::default(),
    };
    let mut summaries = Vec::new();
    let mut tail = None;
    let mut buffer = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        check_order(first, segment, segments.get(place + 1))?;
    }
    for (place, segment) in segments.iter().enumerate() {
        let next = segments.get(place + 1);
        let end = next.map_or(End::Open, |next| End::Sealed(next.header.previous));
        let index = reader.outline.last.index.next();
        let scan = segment.scan(end, &mut buffer)?;
        let scan = scan.map_err(|flaw| flaw.into_corruption(&segment.path, index))?;
        let mut contents = Contents { units: 1, ..Contents::default() };
        let mut ending = None;
        for (at, unit) in scan.units.iter().enumerate() {
            let before = contents;
            let is_oldest = if place == 0 { IsOldest::Yes } else { IsOldest::No };
            ending = reader.read(segment, is_oldest, unit, &mut contents)?;
            // The last unit is written again elsewhere, or is a footer, or is the beginning.
            if next.is_none() && at + 1 == scan.units.len() && unit.at.sector != 1 {
                contents = before;
            }
        }
        summaries.push(Summary { path: segment.path.clone(), contents });
        tail = Some((scan, ending));
    }
    let (scan, ending) = tail.expect("the last segment was read");
    reader.finish(last, summaries, scan, ending).map(Some)
}

/// Checks that a segment belongs to the log, and follows the one before.
fn check_order(first: &Segment, segment: &Segment, next: Option<&Segment>) -> Result<(), WalError> {
    if segment.header.id != first.header.id {
        return Err(Flaw {
            sector: 0,
            expected: format!("a segment of the log {:016x}", first.header.id),
            found: format!("one of the log {:016x}", segment.header.id),
        }
        .into_corruption(&segment.path, Index(1))
        .into());
    }
    if let Some(next) = next
        && next.header.previous.segment != segment.number
    {
        return Err(Flaw {
            sector: 0,
            expected: format!("segment {} before this one", next.header.previous.segment),
            found: format!("segment {}", segment.number),
        }
        .into_corruption(&next.path, Index(1))
        .into());
    }
    Ok(())
}

struct Reader {
    outline: Outline,
    entries: Vec<Entry>,
    /// The outline before the unit that was read last.
    before_unit: Outline,
}

impl Reader {
    /// Reads one unit; returns how the segment ends if this is its footer.
    fn read(
        &mut self,
        segment: &Segment,
        is_oldest: IsOldest,
        unit: &Unit,
        contents: &mut Contents,
    ) -> Result<Option<Ending>, WalError> {
        self.before_unit.clone_from(&self.outline);
        let index = self.outline.last.index.next();
        let corruption = |expected: &str, found: String| {
            Flaw { sector: unit.at.sector, expected: expected.to_owned(), found }
                .into_corruption(&segment.path, index)
        };
        let records =
            record::read_all(&unit.payload).map_err(|found| corruption("records", found))?;
        let steps: Vec<Step> = records.iter().filter_map(Step::of).collect();
        if unit.at.sector == 1 {
            let mut beginning = self.outline.clone();
            beginning.begin(&records).map_err(|found| corruption("a beginning", found))?;
            let fits = is_oldest == IsOldest::Yes || beginning == self.outline;
            if !fits || segment.header.last != self.outline.last {
                let expected = "the state in which the segment before ended";
                return Err(corruption(expected, "another".to_owned()).into());
            }
            self.outline = beginning;
            self.drop_trimmed();
            contents.add(&[]);
            return Ok(None);
        }
        for (record, step) in records.iter().zip(&steps) {
            let before = self.outline.last;
            self.outline
                .apply(step)
                .map_err(|found| corruption("what follows from the log before", found))?;
            self.follow(record, before);
        }
        let footer = records.iter().find_map(|record| match record {
            Record::Footer(footer) => Some(*footer),
            Record::Entry(_)
            | Record::HardState(_)
            | Record::Mark(_)
            | Record::Trim(_)
            | Record::Reset(_) => None,
        });
        if let Some(footer) = footer {
            let counted = (contents.units, contents.entries, contents.indexes);
            let noted = (footer.units, footer.entries, footer.indexes);
            if counted != noted || footer.last != self.outline.last {
                let found = format!("{counted:?} up to {}", self.outline.last);
                let expected = format!("{noted:?} up to {}", footer.last);
                return Err(corruption(&expected, found).into());
            }
        }
        contents.add(&steps);
        Ok(footer.map(|footer| footer.ending))
    }

    /// Lets the entries follow the outline, which has followed the record.
    fn follow(&mut self, record: &Record, last_before: EntryId) {
        match record {
            Record::Entry(entry) => {
                let overwritten = last_before.index.0 + 1 - entry.index.0;
                let overwritten = usize::try_from(overwritten).unwrap_or(usize::MAX);
                self.entries.truncate(self.entries.len().saturating_sub(overwritten));
                self.entries.push(entry.clone());
            }
            Record::Trim(_) => self.drop_trimmed(),
            Record::Reset(_) => self.entries.clear(),
            Record::HardState(_) | Record::Mark(_) | Record::Footer(_) => {}
        }
    }

    fn drop_trimmed(&mut self) {
        let base = self.outline.base.index;
        let trimmed = self.entries.partition_point(|entry| entry.index <= base);
        self.entries.drain(..trimmed);
    }

    /// Judges the whole.
    fn finish(
        self,
        last: &Segment,
        segments: Vec<Summary>,
        mut scan: Scan,
        footer: Option<Ending>,
    ) -> Result<Replay, WalError> {
        let Reader { outline, entries, before_unit } = self;
        let index = outline.last.index.next();
        let missing = |sector: u32, expected: &str| -> WalError {
            let (expected, found) = (expected.to_owned(), "none".to_owned());
            Flaw { sector, expected, found }.into_corruption(&last.path, index).into()
        };
        let Some(unit) = scan.units.pop() else {
            return Err(missing(1, "the state at the segment's beginning"));
        };
        if footer == Some(Ending::Continued) {
            return Err(missing(unit.at.sector, "the segment that continues this one"));
        }
        if outline.base.index < outline.unseen {
            let index = outline.base.index.next();
            let expected = format!("the entries from index {index}, in a segment before");
            let found = format!("a log without those to {}", outline.unseen);
            return Err(Flaw { sector: 0, expected, found }
                .into_corruption(&segments[0].path, index)
                .into());
        }
        let len = entries.len() as u64;
        assert!(
            outline.base.index.0 + len == outline.last.index.0,
            "{len} entries between {} and {}",
            outline.base,
            outline.last
        );
        let start = match (footer, scan.torn_sectors) {
            (Some(_), _) => Start::Closed,
            (None, 0) => Start::Killed,
            (None, sectors) => Start::Torn { sectors },
        };
        let (trusted, trusted_end, rewrite) = if unit.at.sector == 1 {
            // The beginning was durable before the segment got its name.
            (outline.clone(), scan.end, None)
        } else {
            // A footer is written when all before it is durable, and says nothing new.
            (before_unit, unit.at, footer.is_none().then_some(unit.payload))
        };
        let id = last.header.id;
        Ok(Replay { outline, entries, start, id, segments, trusted, trusted_end, rewrite })
    }
}

/// Whether a segment is the oldest, of which nothing before is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsOldest {
    Yes,
    No,
}
