//! The physical layer: sectors that each prove what they are, and units of them.
//!
//! The layout is drawn in the documentation of the crate.

use disk::SECTOR_BYTES;

/// Bytes of a sector before its payload.
pub(crate) const HEAD_BYTES: usize = 24;
/// Bytes of payload in a full sector.
pub(crate) const PAYLOAD_BYTES: usize = SECTOR_BYTES - HEAD_BYTES;
/// The most sectors that one unit can have, because their number stands in two bytes.
pub(crate) const UNIT_SECTORS_MAX: u32 = u16::MAX as u32;

/// What the log's ID contributes to each checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    pub(crate) fn of(id: u64) -> Salt {
        Salt(crc32c::crc32c(&id.to_le_bytes()))
    }
}

/// Where in which segment the next unit goes, and what it is chained to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The segment's number.
    pub(crate) segment: u32,
    /// The sector's number within the segment.
    pub(crate) sector: u32,
    /// The checksum of the sector before.
    pub(crate) chain: u32,
}

/// The head of a sector whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) checksum: u32,
    pub(crate) segment: u32,
    pub(crate) sector: u32,
    pub(crate) chain: u32,
    /// The number of the first sector of the unit. All before it was durable when this was written.
    pub(crate) unit: u32,
    /// How many sectors the unit has.
    pub(crate) unit_len: u16,
    /// How much of the payload counts.
    pub(crate) used: u16,
}

/// What a sector is, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sector {
    /// Zeros: never written.
    Blank,
    /// Its checksum is right.
    Written(Head),
    /// Its checksum is wrong: no write of ours, whole or torn, leaves this.
    Damaged {
        /// The checksum of what is there.
        computed: u32,
        /// The checksum that is noted there.
        noted: u32,
    },
}

/// Returns how many sectors a unit with so much payload takes.
pub(crate) fn sectors_for(payload_bytes: usize) -> u32 {
    u32::try_from(payload_bytes.div_ceil(PAYLOAD_BYTES)).unwrap_or(u32::MAX)
}

/// Returns where a sector begins in its file, in bytes.
pub(crate) fn offset_of(sector: u32) -> u64 {
    u64::from(sector) * SECTOR_BYTES as u64
}

/// Appends one unit to `out`, and moves `at` behind it.
pub(crate) fn frame(out: &mut Vec<u8>, at: &mut Position, salt: Salt, payload: &[u8]) {
    let sectors = sectors_for(payload.len());
    assert!(0 < sectors, "a unit holds something");
    assert!(sectors <= UNIT_SECTORS_MAX, "a unit of {sectors} sectors is too long");
    let unit = at.sector;
    for chunk in payload.chunks(PAYLOAD_BYTES) {
        let start = out.len();
        let unit_len = u16::try_from(sectors).expect("the limit was checked");
        let used = u16::try_from(chunk.len()).expect("a sector is short");
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&at.segment.to_le_bytes());
        out.extend_from_slice(&at.sector.to_le_bytes());
        out.extend_from_slice(&at.chain.to_le_bytes());
        out.extend_from_slice(&unit.to_le_bytes());
        out.extend_from_slice(&unit_len.to_le_bytes());
        out.extend_from_slice(&used.to_le_bytes());
        out.extend_from_slice(chunk);
        out.resize(start + SECTOR_BYTES, 0);
        let checksum = checksum(salt, &out[start..]);
        out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
        at.chain = checksum;
        at.sector += 1;
    }
    assert!(at.sector == unit + sectors, "a unit has as many sectors as it says");
}

/// Tells what a sector is.
pub(crate) fn read(bytes: &[u8], salt: Salt) -> Sector {
    assert!(bytes.len() == SECTOR_BYTES, "a sector of {} bytes was cut out", bytes.len());
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"));
    if bytes.iter().all(|byte| *byte == 0) {
        return Sector::Blank;
    }
    let (noted, computed) = (u32_at(0), checksum(salt, bytes));
    if noted != computed {
        return Sector::Damaged { computed, noted };
    }
    Sector::Written(Head {
        checksum: noted,
        segment: u32_at(4),
        sector: u32_at(8),
        chain: u32_at(12),
        unit: u32_at(16),
        unit_len: u16_at(20),
        used: u16_at(22),
    })
}

fn checksum(salt: Salt, sector: &[u8]) -> u32 {
    crc32c::crc32c_append(salt.0, &sector[4..])
}
