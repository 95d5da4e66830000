//! The offline check of every checksum.

use std::fmt;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode, SECTOR_BYTES};
use raft::{EntryId, HardState};

use crate::error::WalError;
use crate::recovery::{Start, replay};
use crate::sector::{self, Salt, Sector};
use crate::segment::{Segment, describe, number_of};

/// What was found in a log's directory.
#[derive(Debug)]
pub struct Report {
    /// Each segment, in order.
    pub segments: Vec<SegmentReport>,
    /// What a member would find that started here, or why it would not start.
    pub verdict: Result<Verdict, WalError>,
}

/// What a member would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The entry before the first.
    pub base: EntryId,
    /// The last entry, or `base`.
    pub last: EntryId,
    /// Term, vote and commit hint.
    pub hard_state: HardState,
    /// How the log was left; [`Start::Created`] if there is none.
    pub start: Start,
}

/// What was found in one segment.
#[derive(Debug)]
pub struct SegmentReport {
    /// Which file.
    pub file: PathBuf,
    /// How many sectors belong to the segment and have the right checksum.
    pub sound: u64,
    /// How many are left of the segment that the file was before, or lie at a wrong place.
    pub stale: u64,
    /// How many were never written.
    pub blank: u64,
    /// Those whose checksum is wrong: the offset in bytes, and what is there. One beyond the end of
    /// the log does no harm; the verdict tells.
    pub damaged: Vec<(u64, String)>,
}

/// Reads every sector of a log that no process uses, and changes nothing but the lock file.
///
/// # Errors
///
/// If the files cannot be read. What is wrong with their contents stands in the report.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<Report, WalError> {
    let _lock = disk.lock(dir)?;
    let names = disk.list(dir)?;
    let numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
    // A segment without a readable header is checked with the ID of the others.
    let id =
        numbers.iter().find_map(|number| Some(Segment::open(disk, dir, *number).ok()?.header.id));
    let salt = Salt::of(id.unwrap_or_default());
    let mut segments = Vec::new();
    for number in numbers {
        segments.push(check_segment(disk, &dir.join(crate::segment::name(number)), number, salt)?);
    }
    let verdict = replay(disk, dir, &names).map(|replayed| match replayed {
        Some(replayed) => Verdict {
            base: replayed.outline.base,
            last: replayed.outline.last,
            hard_state: replayed.outline.hard_state,
            start: replayed.start,
        },
        None => Verdict {
            base: EntryId::ZERO,
            last: EntryId::ZERO,
            hard_state: HardState::default(),
            start: Start::Created,
        },
    });
    Ok(Report { segments, verdict })
}

fn check_segment(
    disk: &dyn Disk,
    path: &Path,
    number: u32,
    salt: Salt,
) -> Result<SegmentReport, WalError> {
    let file = disk.open(path, OpenMode::Read)?;
    let sectors = file.size()?.div_ceil(SECTOR_BYTES as u64);
    let mut report =
        SegmentReport { file: path.to_owned(), sound: 0, stale: 0, blank: 0, damaged: Vec::new() };
    for place in 0..sectors {
        let offset = place * SECTOR_BYTES as u64;
        let mut bytes = [0; SECTOR_BYTES];
        let rest = usize::try_from(file.size()? - offset).unwrap_or(SECTOR_BYTES);
        // The last sector of a file that was cut is damaged, unless it is blank.
        file.read_exact_at(offset, &mut bytes[..rest.min(SECTOR_BYTES)])?;
        match sector::read(&bytes, salt) {
            Sector::Blank => report.blank += 1,
            Sector::Written(head) if (head.segment, u64::from(head.sector)) == (number, place) => {
                report.sound += 1;
            }
            Sector::Written(_) => report.stale += 1,
            damaged @ Sector::Damaged { .. } => report.damaged.push((offset, describe(damaged))),
        }
    }
    Ok(report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            let SegmentReport { file, sound, stale, blank, damaged } = segment;
            writeln!(
                f,
                "{}: {sound} sectors sound, {stale} of earlier use, {blank} blank, {} damaged",
                file.display(),
                damaged.len()
            )?;
            for (offset, found) in damaged {
                writeln!(f, "  at offset {offset}: {found}")?;
            }
        }
        match &self.verdict {
            Ok(Verdict { base, last, hard_state, start }) => {
                let how = match start {
                    Start::Created => "there is no log",
                    Start::Closed => "it was closed",
                    Start::Killed => "it was not closed, and its last write is whole",
                    Start::Torn { .. } => {
                        "it was not closed, and its last write is not whole: it was never \
                         acknowledged, and will be cut off"
                    }
                };
                writeln!(
                    f,
                    "the log is sound: entries after {base} up to {last}, term {}; {how}",
                    hard_state.term
                )
            }
            Err(error) => writeln!(f, "{error}"),
        }
    }
}
