//! The log and the hard state as bytes that survive a crash.
//!
//! A [`Wal`] makes batches durable, each whole or not at all, by one write and one sync for all
//! that is queued. What it reads back is what it acknowledged, or it refuses and says where it is
//! damaged.
//!
//! ```text
//!    append ─► queue ─► commit ─► one unit of sectors ─► sync ─► durable
//!                                        │
//!    00000001.wal   00000002.wal   00000003.wal   spare-7       00000004.new   spare-8.tmp
//!    sealed         sealed         written        free,         being begun    being filled
//!    └── released, then spare ◄────────────────   all written
//! ```
//!
//! # Files
//!
//! A segment is a file of one size for life, all of it written before it is used, with zeros or in
//! an earlier life, so that writing to it changes no metadata. It consists of sectors of 512 bytes.
//! No sector is written twice in the life of a segment. All numbers are little-endian.
//!
//! ```text
//! sector
//!    0  4  checksum: crc32c of bytes 4..512, begun with the crc32c of the log's ID
//!    4  4  number of the segment, counted from 1; it is also the file's name, in hexadecimal
//!    8  4  number of the sector in the segment
//!   12  4  chain: checksum of the sector before; in sector 0, that of the segment before
//!   16  4  unit: number of the sector in which this write begins
//!   20  2  how many sectors the unit has
//!   22  2  how many bytes of the payload count: 488, but in the unit's last sector
//!   24 488 payload, then zeros
//! ```
//!
//! A *unit* is what one commit writes: the records of one batch or several. It is the whole of its
//! sectors or nothing, and the chain is its cumulative checksum. Of a segment, the first unit is
//! the header, the second the state at which the segment begins (hard state, mark, trim), so that
//! the segments before can be dropped. One sector is kept free for the footer.
//!
//! ```text
//! header, in the payload of sector 0            record, right behind the one before
//!    0  8  "HOLDFWAL"                              0  1  type, the upper 4 bits, and kind
//!    8  4  version: 2                              1  …  bytes of the body: a length
//!   12  4  sectors in this segment                 …  8  index  ┐ not if the type is 7
//!   16  8  ID of the log                           …  8  term   ┘
//!   24  4  number of the segment before, or 0      …  …  body
//!   28  4  sector at which that one ends
//!   32  4  checksum of the sector before that   length, of 1 to 5 bytes
//!   36  4  zero                                    7 bits in each byte, the lowest first; the
//!   40  8  index, 48 8 term of the last entry      highest bit of all but the last is set; no
//!          where this segment begins               byte too many
//!
//! type          kind                index, term       body
//! 1 entry       0 nothing           of the entry      –
//!               1 command                             the command
//!               2 membership                          membership, then context
//! 2 hard state  0                   commit, term      vote, 8; or none
//! 3 mark        0                   of the image      membership
//! 4 trim        0                   new base          –
//! 5 reset       0                   new base          –
//! 6 footer      0 continued         last entry        units 4, entries 4, lowest and highest
//!               1 closed                              index 8 + 8 of this segment
//! 7 next entry  0, 1, 2 as 1        of the record     as 1
//!               3 short command     before, an entry: how many bytes, 1, of the command before
//!                                   index + 1, and    this one begins with, 32 at most; then
//!                                   the same term     the rest of it
//!
//! membership: voters, voters before a change, learners, voters to be learners; each a number of
//! IDs, 8, and the IDs, 8 each
//! ```
//!
//! # Where the log ends
//!
//! The header of a segment says where the segment before ends, and its chain there. What stands at
//! and after that place counts for nothing; what stands before it must be there and right. Only the
//! last segment has no such end: there, reading stops at the first unit that is not whole. Either
//! it was being written when the power failed, and was never acknowledged; or it was acknowledged
//! and is damaged. To cut it off is right in the first case and loses data in the second. These
//! facts tell them apart (the question is that of *Protocol-Aware Recovery*, FAST 2018, which keeps
//! an identifier of each entry apart from it; here each sector is its own identifier):
//!
//! 1. A unit is written only after all before it is durable, and each of its sectors says where it
//!    begins: a *durable watermark*. One sector of a later unit proves that the one that is not
//!    whole had been acknowledged: **damaged**.
//! 2. A disk writes a sector whole or not at all, and no sector is written twice. So a write that
//!    was torn, in whatever order, leaves sectors that verify, and sectors as they were before:
//!    zeros, or sectors that verify with the number of an earlier segment. A sector of this unit
//!    that does not verify at all was never left by a torn write: **damaged**. How far the unit
//!    reaches is known from any of its sectors; if there is none, it is one sector.
//! 3. A sector that verifies and stands at a wrong place was misdirected, and is missed elsewhere:
//!    **damaged**.
//! 4. A footer says that the log was closed here, or that another segment exists. If that one is
//!    missing: **damaged**.
//! 5. What is left is a unit of which some sectors verify, and the others are as they were before:
//!    **torn**, and cut off.
//!
//! Whatever is damaged is left as it is, and nothing is served: [`Corruption`]. Only one fault is
//! taken for a torn write: that the very last write before the power failed was reported durable
//! and then vanished from the disk, in whole sectors, while nothing was written after it. With one
//! sync for each commit nothing on this disk can tell the two apart.
//!
//! Damaged sectors beyond the unit that is not whole do no harm, and are not looked at: to matter,
//! one more fault would be needed, that made the sectors before them look as if they had never been
//! written. [`verify()`] names them.
//!
//! # Invariants
//!
//! - What [`Wal::commit`] has returned is read back after any crash, or the log is refused.
//! - A batch is there whole, or not at all, and batches are there in their order without gaps.
//! - After a failed write or sync nothing is written; a sync is never repeated.
//! - No segment number is written twice to one file: a try that was interrupted leaves a file of
//!   another name, which is removed.
//! - The names of segments that exist have no gap: the oldest goes first, and for good.
//!
//! # Decisions
//!
//! - **The last unit is written again after a restart**, into a new segment, before anything is
//!   answered. If the sync of it had failed, the page cache would show it and the disk would not
//!   have it (*Can Applications Recover from fsync Failures?*, ATC 2020). All before it was synced
//!   before it was written. Therefore every start begins a segment.
//! - **Commits begin at a new sector.** Without that, a write could tear what an earlier one had
//!   made durable, and rule 2 would not hold. It costs 256 bytes a commit on average.
//! - **Entries of a batch lean on each other, those of two batches do not.** They have consecutive
//!   indexes and mostly one term, and the commands of one member begin alike. Two bytes of
//!   head and one are left of what was 24 and 17. A batch is read without another, whatever unit
//!   it comes to stand in.
//! - **Segments are zeroed by writing.** A file that grows, or is only reserved, costs a journal
//!   write with each sync. Of a log that is never trimmed, this writes its bytes and one and a half
//!   segments more. Half the size would save 6 MiB, once in the life of a log, and begin segments
//!   twice as often: at a thousand entries a commit, 6 % fewer of them became durable.
//! - **A full disk is met only when a segment is made**, where nothing of the log is touched yet.
//! - **A footer is written when the next segment is durable**, so that a segment that vanished is
//!   missed. One that vanishes between those two writes is not.
//!
//! # Left out, and what it would cost
//!
//! - *Reading entries by their index.* The latest are in the core's memory, and whoever lags
//!   further behind gets an image. Cost: a table of indexes in each footer, of which now only the
//!   range is there.
//! - *Repairing what peers still have.* Cost: a state "damaged" of the member, in which it must not
//!   vote, and questions to the leader. Until then the member is replaced.
//! - *A second copy of term and vote*, against the fault that is taken for a torn write. Cost: a
//!   second sync with each vote.

mod active;
mod batch;
mod error;
mod log;
mod outline;
mod record;
mod recovery;
mod sector;
mod segment;
mod spare;
mod verify;

pub use batch::{Batch, BatchNumber, Committed, Options};
pub use error::{Corruption, WalError};
pub use log::Wal;
pub use recovery::{Recovered, Start};
pub use spare::{Preparation, Spare};
pub use verify::{Report, SegmentReport, Verdict, verify};
