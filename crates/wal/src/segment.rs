//! One segment: its name, its header, and how its units are told from what is not there.

use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, SECTOR_BYTES};
use raft::{EntryId, Index, Term};

use crate::error::{Corruption, WalError};
use crate::sector::{self, HEAD_BYTES, Head, PAYLOAD_BYTES, Position, Salt, Sector, offset_of};

/// The fewest sectors of a segment.
pub(crate) const SECTORS_MIN: u32 = 16;
/// How many sectors the state at a segment's beginning may take.
pub(crate) const BEGINNING_SECTORS_MAX: u32 = 8;
/// What a segment cannot offer to batches: its header, its beginning, and its footer.
pub(crate) const RESERVED_SECTORS: u32 = 1 + BEGINNING_SECTORS_MAX + 1;

const MAGIC: &[u8; 8] = b"HOLDFWAL";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 56;

/// What the first sector of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The log's ID, which keeps other logs' sectors out.
    pub(crate) id: u64,
    /// How many sectors the segment has.
    pub(crate) sectors: u32,
    /// Where the segment before ends: what stands at and after this place of it counts for nothing.
    /// Number zero in the log's very first segment.
    pub(crate) previous: Position,
    /// The last entry of the log where the segment begins.
    pub(crate) last: EntryId,
}

/// A file that bears the name of a segment, with its header.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) number: u32,
    pub(crate) header: Header,
    pub(crate) file: Box<dyn DiskFile>,
}

/// One write, as it was read back.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Where it begins, and the checksum before it.
    pub(crate) at: Position,
    pub(crate) payload: Vec<u8>,
}

/// Where a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Here, as the next segment says.
    Sealed(Position),
    /// Where the units end: it is the last segment.
    Open,
}

/// What was found of a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The whole units, without the header.
    pub(crate) units: Vec<Unit>,
    /// Where they end.
    pub(crate) end: Position,
    /// How many sectors of an unfinished last write there are.
    pub(crate) torn_sectors: u32,
}

/// Something that is not as it should be, at a sector.
#[derive(Clone, Debug)]
pub(crate) struct Flaw {
    pub(crate) sector: u32,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Header {
    pub(crate) fn to_payload(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.sectors.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.previous.segment.to_le_bytes());
        out.extend_from_slice(&self.previous.sector.to_le_bytes());
        out.extend_from_slice(&self.previous.chain.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.last.index.0.to_le_bytes());
        out.extend_from_slice(&self.last.term.0.to_le_bytes());
        assert!(out.len() == HEADER_BYTES, "the header has {} bytes", out.len());
        out
    }

    /// Reads the header in the first sector of segment `number`.
    fn read(bytes: &[u8], number: u32) -> Result<Header, Flaw> {
        let u32_at =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let body = HEAD_BYTES;
        let flaw = |expected: String, found: String| Flaw { sector: 0, expected, found };
        let expected = || format!("the header of segment {number}");
        // The checksum is salted with the ID that it covers.
        let id = u64_at(body + 16);
        let head = match sector::read(bytes, Salt::of(id)) {
            Sector::Written(head) => head,
            other @ (Sector::Blank | Sector::Damaged { .. }) => {
                return Err(flaw(expected(), describe(other)));
            }
        };
        if &bytes[body..body + 8] != MAGIC {
            return Err(flaw(expected(), "a sector of something else".to_owned()));
        }
        if u32_at(body + 8) != VERSION {
            let found = format!("version {}, of another program", u32_at(body + 8));
            return Err(flaw(format!("format version {VERSION}"), found));
        }
        let previous = Position {
            segment: u32_at(body + 24),
            sector: u32_at(body + 28),
            chain: u32_at(body + 32),
        };
        let last = EntryId::new(Index(u64_at(body + 40)), Term(u64_at(body + 48)));
        let fits = (head.segment, head.sector, head.unit, head.unit_len) == (number, 0, 0, 1)
            && usize::from(head.used) == HEADER_BYTES
            && head.chain == previous.chain;
        if !fits {
            return Err(flaw(expected(), format!("that of segment {}", head.segment)));
        }
        if last.index == Index(u64::MAX) {
            let found = format!("one behind index {}, where nothing can be", last.index);
            return Err(flaw(expected(), found));
        }
        Ok(Header { id, sectors: u32_at(body + 12), previous, last })
    }
}

/// Returns the name of a segment's file.
pub(crate) fn name(number: u32) -> String {
    format!("{number:08x}.wal")
}

/// Returns the number in the name of a segment's file; `None` if it is not one.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok()
}

impl Segment {
    /// Opens a segment, reads its header, and checks that the file has the size it should have.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Segment, WalError> {
        let path = dir.join(name(number));
        let file = disk.open(&path, OpenMode::Write)?;
        let corruption = |flaw: Flaw| flaw.into_corruption(&path, Index(1));
        let size = file.size()?;
        if size < SECTOR_BYTES as u64 {
            let found = format!("a file of {size} bytes");
            let expected = format!("the header of segment {number}");
            return Err(corruption(Flaw { sector: 0, expected, found }).into());
        }
        let mut bytes = vec![0; SECTOR_BYTES];
        file.read_exact_at(0, &mut bytes)?;
        let header = Header::read(&bytes, number).map_err(corruption)?;
        if size != offset_of(header.sectors) {
            let expected = format!("a file of {} bytes", offset_of(header.sectors));
            let sector = u32::try_from(size / SECTOR_BYTES as u64).unwrap_or(u32::MAX);
            let found = format!("one of {size} bytes");
            let sector = sector.min(header.sectors);
            return Err(corruption(Flaw { sector, expected, found }).into());
        }
        Ok(Segment { path, number, header, file })
    }

    /// Reads all units, and judges what is behind the last. `buffer` is one to reuse: fresh memory
    /// takes longer than what is read into it.
    pub(crate) fn scan(
        &self,
        end: End,
        buffer: &mut Vec<u8>,
    ) -> Result<Result<Scan, Flaw>, WalError> {
        let sectors = match end {
            End::Sealed(end) => end.sector.min(self.header.sectors),
            End::Open => self.header.sectors,
        };
        let len = usize::try_from(offset_of(sectors)).expect("a segment fits into memory");
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let bytes = &mut buffer[..len];
        self.file.read_exact_at(0, bytes)?;
        Ok(Scanner { bytes, number: self.number, salt: Salt::of(self.header.id) }.scan(end))
    }
}

impl Flaw {
    pub(crate) fn into_corruption(self, file: &Path, index: Index) -> Corruption {
        let Flaw { sector, expected, found } = self;
        Corruption { file: file.to_owned(), offset: offset_of(sector), index, expected, found }
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    number: u32,
    salt: Salt,
}

impl Scanner<'_> {
    fn scan(&self, end: End) -> Result<Scan, Flaw> {
        // The header was read.
        let header = match self.sector(0) {
            Sector::Written(head) => head,
            other @ (Sector::Blank | Sector::Damaged { .. }) => {
                return Err(self.flaw(0, "the header read before", describe(other)));
            }
        };
        let mut at = Position { segment: self.number, sector: 1, chain: header.checksum };
        let mut units = Vec::new();
        loop {
            if let End::Sealed(end) = end
                && end.sector <= at.sector
            {
                if end != at {
                    let found = format!("one that ends at sector {}, {:08x}", at.sector, at.chain);
                    let expected = format!("a chain to sector {}, {:08x}", end.sector, end.chain);
                    return Err(self.flaw(at.sector, &expected, found));
                }
                return Ok(Scan { units, end: at, torn_sectors: 0 });
            }
            match self.unit(at) {
                Ok((unit, behind)) => {
                    units.push(unit);
                    at = behind;
                }
                Err(flaw) => {
                    if let End::Sealed(_) = end {
                        return Err(flaw);
                    }
                    let torn_sectors = self.judge_tail(at.sector, flaw)?;
                    return Ok(Scan { units, end: at, torn_sectors });
                }
            }
        }
    }

    /// Reads the unit that begins here, if all of it is there.
    fn unit(&self, at: Position) -> Result<(Unit, Position), Flaw> {
        let mut payload = Vec::new();
        let mut behind = at;
        loop {
            let expected = format!("sector {} of segment {}", behind.sector, self.number);
            let head = match self.sector(behind.sector) {
                Sector::Written(head) => head,
                other @ (Sector::Blank | Sector::Damaged { .. }) => {
                    return Err(self.flaw(behind.sector, &expected, describe(other)));
                }
            };
            let place = behind.sector - at.sector;
            let is_last = place + 1 == u32::from(head.unit_len);
            let used = usize::from(head.used);
            let fits = (head.segment, head.sector, head.unit, head.chain)
                == (self.number, behind.sector, at.sector, behind.chain)
                && place < u32::from(head.unit_len)
                && (used == PAYLOAD_BYTES || is_last && 0 < used && used < PAYLOAD_BYTES);
            if !fits {
                let expected = format!("{expected} behind {:08x}", behind.chain);
                return Err(self.flaw(behind.sector, &expected, describe(Sector::Written(head))));
            }
            let from = self.start(behind.sector) + HEAD_BYTES;
            payload.extend_from_slice(&self.bytes[from..from + used]);
            behind.sector += 1;
            behind.chain = head.checksum;
            if is_last {
                return Ok((Unit { at, payload }, behind));
            }
        }
    }

    /// Decides whether what begins at sector `unit`, and is not whole because of `flaw`, is a write
    /// that was never acknowledged. The rule and its reasons are in the crate's documentation.
    ///
    /// Returns how many sectors of that write there are.
    fn judge_tail(&self, unit: u32, flaw: Flaw) -> Result<u32, Flaw> {
        let sectors = u32::try_from(self.bytes.len() / SECTOR_BYTES).expect("it was a u32");
        if let Sector::Written(head) = self.sector(flaw.sector)
            && head.segment >= self.number
        {
            return Err(flaw);
        }
        let mut extent = unit + 1;
        let mut torn_sectors = 0;
        let mut damaged = Vec::new();
        for number in unit..sectors {
            match self.sector(number) {
                Sector::Blank => {}
                Sector::Damaged { .. } => damaged.push(number),
                Sector::Written(head) if head.segment < self.number => {}
                Sector::Written(head) => {
                    let is_part =
                        (head.segment, head.sector, head.unit) == (self.number, number, unit);
                    if !is_part {
                        // A later unit, which proves that this one was durable, or one that was
                        // written to a wrong place.
                        let found = format!(
                            "{}, and at sector {number} {}",
                            flaw.found,
                            describe(Sector::Written(head))
                        );
                        return Err(Flaw { found, ..flaw });
                    }
                    extent = extent.max(unit + u32::from(head.unit_len));
                    torn_sectors += 1;
                }
            }
        }
        match damaged.into_iter().find(|number| *number < extent) {
            Some(number) => {
                let expected = format!("sector {number} of segment {}, or none", self.number);
                Err(self.flaw(number, &expected, describe(self.sector(number))))
            }
            None => Ok(torn_sectors),
        }
    }

    /// What a sector is; one behind the end of the file is blank.
    fn sector(&self, number: u32) -> Sector {
        let start = self.start(number);
        match self.bytes.get(start..start + SECTOR_BYTES) {
            Some(bytes) => sector::read(bytes, self.salt),
            None => Sector::Blank,
        }
    }

    fn start(&self, sector: u32) -> usize {
        usize::try_from(offset_of(sector)).expect("a segment fits into memory")
    }

    fn flaw(&self, sector: u32, expected: &str, found: String) -> Flaw {
        Flaw { sector, expected: expected.to_owned(), found }
    }
}

/// Says what a sector is.
pub(crate) fn describe(sector: Sector) -> String {
    match sector {
        Sector::Blank => "zeros".to_owned(),
        Sector::Damaged { computed, noted } => {
            format!("bytes with the checksum {computed:08x}, which note {noted:08x}")
        }
        Sector::Written(Head { segment, sector, chain, unit, .. }) => {
            format!(
                "sector {sector} of segment {segment}, of the unit at {unit}, behind {chain:08x}"
            )
        }
    }
}
