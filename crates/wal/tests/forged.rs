//! Sectors whose checksums are right, and whose contents nobody wrote.

use std::path::{Path, PathBuf};

use disk::{SECTOR_BYTES, Survivors};
use raft::{EntryId, HardState, Index, MemberId, Membership, SnapshotMeta, Term};
use wal::{Batch, WalError};

use crate::workload::{DIR, ID, Rng, corpus, disk, effort, open};

/// Gives all sectors from this one on the chain and the checksum that they should have.
fn seal(bytes: &mut [u8], from: usize) {
    let salt = crc32c::crc32c(&ID.to_le_bytes());
    let mut chain: Option<[u8; 4]> = None;
    for sector in bytes[from * SECTOR_BYTES..].chunks_mut(SECTOR_BYTES) {
        if sector.iter().all(|byte| *byte == 0) {
            return;
        }
        if let Some(chain) = chain {
            sector[12..16].copy_from_slice(&chain);
        }
        let checksum = crc32c::crc32c_append(salt, &sector[4..]).to_le_bytes();
        sector[..4].copy_from_slice(&checksum);
        chain = Some(checksum);
    }
}

/// Changes a payload a little: a bit, a byte, a number, a piece that is moved.
fn spoil(rng: &mut Rng, payload: &mut [u8]) {
    let len = payload.len() as u64;
    let mut below = |limit| usize::try_from(rng.below(limit)).unwrap();
    for _ in 0..=below(3) {
        let (from, to) = (below(len), below(len));
        match below(4) {
            0 => payload[from] ^= 1 << below(8),
            1 => payload[from] = [0, 1, 0x10, 0x20, 0x40, 0x50, 0x70, 0x73, 0x80, 0xff][below(10)],
            2 => {
                // Where the index of a unit's first record mostly stands, or anywhere.
                let from = [2.min(payload.len() - 1), from][below(2)];
                let number = [0, 1, u64::MAX, u64::MAX - 1][below(4)].to_le_bytes();
                let end = payload.len().min(from + 8);
                payload[from..end].copy_from_slice(&number[..end - from]);
            }
            _ => payload[from.min(to)..=from.max(to)].rotate_left(1),
        }
    }
}

#[test]
fn no_payload_makes_reading_panic() {
    let (mut refused, mut taken) = (0, 0);
    for seed in 1..=4 {
        let (disk, _) = corpus(seed, 60);
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|e| e == "wal");
        let file = disk.paths().into_iter().rfind(is_segment).unwrap();
        let bytes = disk.contents(&file).unwrap();
        let is_blank = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
        let written = bytes.chunks(SECTOR_BYTES).take_while(|sector| !is_blank(sector)).count();
        let mut rng = Rng::new(seed);
        for _ in 0..1000 * effort() {
            let sector = 1 + usize::try_from(rng.below(written as u64 - 1)).unwrap();
            let mut bytes = bytes.clone();
            let start = sector * SECTOR_BYTES;
            let used = u16::from_le_bytes([bytes[start + 22], bytes[start + 23]]);
            spoil(&mut rng, &mut bytes[start + 24..start + 24 + usize::from(used)]);
            seal(&mut bytes, sector);
            let copy = disk.fork();
            copy.put(&file, &bytes);
            match open(&copy) {
                Ok(_) => taken += 1,
                Err(WalError::Corruption(_)) => refused += 1,
                Err(error) => panic!("seed {seed} sector {sector}: {error}"),
            }
        }
    }
    assert!(1000 < refused && 100 < taken, "{refused} were refused, {taken} were taken");
}

#[test]
fn index_behind_which_there_is_none_is_refused() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let membership = Membership::of_voters([MemberId(1)]);
    let image = SnapshotMeta { id: EntryId::new(Index(4), Term(1)), membership };
    let hard_state = HardState { term: Term(1), vote: None, commit: Index(4) };
    wal.append(&Batch { installed: Some(&image), ..Batch::default() }).unwrap();
    wal.commit().unwrap();
    wal.append(&Batch { hard_state: Some(hard_state), ..Batch::default() }).unwrap();
    wal.commit().unwrap();
    drop(wal);
    disk.crash(Survivors::None);
    let file = Path::new(DIR).join("00000001.wal");
    let mut bytes = disk.contents(&file).unwrap();
    let reset = 2 * SECTOR_BYTES + 24;
    assert_eq!(bytes[reset..reset + 3], [0x50, 0, 4], "the reset, and its index");
    bytes[reset + 2..reset + 10].fill(0xff);
    seal(&mut bytes, 2);
    disk.put(&file, &bytes);
    let Err(WalError::Corruption(corruption)) = open(&disk) else { panic!("it is damaged") };
    assert_eq!(corruption.offset, 2 * SECTOR_BYTES as u64);
    assert_eq!(corruption.found, format!("index {}, behind which there is none", u64::MAX));
}
