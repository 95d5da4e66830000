//! Damage of every kind. A log is either read as it was acknowledged, or refused with the place.

use std::path::{Path, PathBuf};

use disk::{Call, Fault, SECTOR_BYTES, SimDisk, Survivors};
use wal::{Corruption, Options, Start, Wal, WalError, verify};

use crate::workload::{DIR, ID, Model, Rng, Run, corpus, disk, effort, open, options};

/// What became of a damaged log.
#[derive(Debug)]
enum Outcome {
    /// It was read as it was acknowledged: the damage lies where nothing is.
    Unharmed,
    /// It was refused.
    Refused(Box<Corruption>),
    /// Its last write was taken for one that was never acknowledged.
    Cut,
}

/// A log of a few segments, closed or not, and what it holds.
struct Corpus {
    disk: SimDisk,
    acked: Model,
    /// What it held before the last commit.
    before_last: Model,
    files: Vec<PathBuf>,
}

impl Corpus {
    fn closed(ops: u64) -> Corpus {
        Corpus::of(ops, |wal| assert!(wal.close().is_ok(), "the disk is sound"))
    }

    fn killed(ops: u64) -> Corpus {
        Corpus::of(ops, drop)
    }

    fn of(ops: u64, end: impl FnOnce(Wal)) -> Corpus {
        let (disk, mut run) = corpus(11, ops);
        let (mut wal, _) = open(&disk).unwrap();
        let mut rng = Rng::new(12);
        for _ in 0..20 {
            let op = run.newest().draw(&mut rng);
            run.queue(&mut wal, &op).unwrap();
            run.commit(&mut wal).unwrap();
        }
        let before_last = run.acked.clone();
        let op = loop {
            let op = run.newest().draw(&mut rng);
            let mut next = before_last.clone();
            next.apply(&op);
            // Something that is missed, and takes several sectors.
            if before_last.entries.len() + 4 < next.entries.len() {
                break op;
            }
        };
        run.queue(&mut wal, &op).unwrap();
        run.commit(&mut wal).unwrap();
        end(wal);
        disk.crash(Survivors::None);
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "wal");
        let files = disk.paths().into_iter().filter(is_segment).collect();
        Corpus { disk, acked: run.acked, before_last, files }
    }

    /// Damages a copy of the log, and opens it.
    fn outcome(&self, what: &str, damage: impl FnOnce(&SimDisk)) -> Outcome {
        let disk = self.disk.fork();
        damage(&disk);
        match open(&disk) {
            Ok((_, recovered)) => {
                let found = Model::of(&recovered);
                if found == self.acked {
                    return Outcome::Unharmed;
                }
                assert_eq!(found, self.before_last, "{what}");
                assert!(matches!(recovered.start, Start::Torn { .. } | Start::Killed), "{what}");
                Outcome::Cut
            }
            Err(WalError::Corruption(corruption)) => Outcome::Refused(corruption),
            Err(error) => panic!("{what}: {error}"),
        }
    }

    fn bytes(&self, file: &Path) -> Vec<u8> {
        self.disk.contents(file).expect("the file was listed")
    }
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    // Coprime to eight, so that every place in a byte has its turn.
    let step = if effort() == 1 { 37 } else { 1 };
    for corpus in [Corpus::closed(30), Corpus::killed(30)] {
        let mut refused = 0;
        let mut unharmed_written = 0;
        for file in &corpus.files {
            let bytes = corpus.bytes(file);
            for bit in (0..bytes.len() * 8).step_by(step) {
                let what = format!("bit {bit} of {}", file.display());
                let outcome = corpus.outcome(&what, |disk| {
                    let mut bytes = bytes.clone();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    disk.put(file, &bytes);
                });
                let sector = bit / 8 / SECTOR_BYTES * SECTOR_BYTES;
                match outcome {
                    Outcome::Unharmed => {
                        let blank = bytes[sector..][..SECTOR_BYTES].iter().all(|byte| *byte == 0);
                        unharmed_written += usize::from(!blank);
                    }
                    Outcome::Refused(corruption) => {
                        assert_eq!((&corruption.file, corruption.offset), (file, sector as u64));
                        refused += 1;
                    }
                    Outcome::Cut => panic!("{what}: what was acknowledged is gone"),
                }
            }
        }
        assert!(unharmed_written < refused / 2, "{unharmed_written} of {refused} do no harm");
    }
}

#[test]
fn every_zeroed_sector_is_found_or_harmless() {
    for (corpus, may_cut) in [(Corpus::closed(60), false), (Corpus::killed(60), true)] {
        let (mut refused, mut cut) = (0, 0);
        for file in &corpus.files {
            let bytes = corpus.bytes(file);
            for sector in 0..bytes.len() / SECTOR_BYTES {
                let what = format!("sector {sector} of {}", file.display());
                let outcome = corpus.outcome(&what, |disk| {
                    let mut bytes = bytes.clone();
                    bytes[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0);
                    disk.put(file, &bytes);
                });
                match outcome {
                    Outcome::Unharmed => {}
                    Outcome::Refused(_) => refused += 1,
                    Outcome::Cut => cut += 1,
                }
            }
        }
        assert!(20 < refused, "{refused} were found");
        // The last write of a log that was not closed may always be one that was torn.
        assert_eq!(0 < cut, may_cut, "{cut} were cut");
        assert!(cut <= 8, "{cut} sectors in one write");
    }
}

#[test]
fn every_truncation_is_found() {
    let corpus = Corpus::closed(60);
    for file in &corpus.files {
        let bytes = corpus.bytes(file);
        let step = if effort() == 1 { 7 } else { 1 };
        for len in (0..bytes.len()).step_by(step).chain([bytes.len() + 1, bytes.len() + 512]) {
            let what = format!("{} cut to {len}", file.display());
            let outcome = corpus.outcome(&what, |disk| {
                let mut bytes = bytes.clone();
                bytes.resize(len, 0);
                disk.put(file, &bytes);
            });
            let Outcome::Refused(corruption) = outcome else { panic!("{what}: {outcome:?}") };
            assert_eq!(&corruption.file, file);
            assert!(corruption.found.contains(&format!("{len} bytes")), "{what}: {corruption}");
        }
    }
}

#[test]
fn missing_swapped_and_doubled_segments_are_found() {
    let corpus = Corpus::closed(200);
    let files = &corpus.files;
    assert!(5 <= files.len(), "{files:?}");
    for file in files {
        let what = format!("without {}", file.display());
        match corpus.outcome(&what, |disk| disk.take_away(file)) {
            // The oldest may hold nothing that is needed any more.
            Outcome::Unharmed => assert_eq!(file, &files[0], "{what}"),
            Outcome::Refused(_) => {}
            Outcome::Cut => panic!("{what}: what was acknowledged is gone"),
        }
        let doubled = Path::new(DIR).join("000000ff.wal");
        let what = format!("{} doubled", file.display());
        let outcome = corpus.outcome(&what, |disk| disk.put(&doubled, &corpus.bytes(file)));
        let Outcome::Refused(corruption) = outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!(corruption.file, doubled);
    }
    for pair in files.windows(2) {
        let what = format!("{pair:?} swapped");
        let outcome = corpus.outcome(&what, |disk| {
            disk.put(&pair[0], &corpus.bytes(&pair[1]));
            disk.put(&pair[1], &corpus.bytes(&pair[0]));
        });
        assert!(matches!(outcome, Outcome::Refused(_)), "{what}: {outcome:?}");
    }
}

#[test]
fn missing_oldest_segment_is_found_by_the_entries_it_held() {
    let corpus = Corpus::closed(12);
    let first = &corpus.files[0];
    assert!(first.ends_with("00000001.wal"), "nothing was released");
    assert_eq!(corpus.acked.base.index.0, 0, "all entries are needed");
    let outcome = corpus.outcome("without the oldest", |disk| disk.take_away(first));
    let Outcome::Refused(corruption) = outcome else { panic!("{outcome:?}") };
    assert_eq!(corruption.expected, "the entries from index 1, in a segment before");
}

#[test]
fn sector_with_a_right_checksum_and_wrong_contents_is_found() {
    let corpus = Corpus::closed(30);
    let file = corpus.files.last().unwrap();
    let bytes = corpus.bytes(file);
    let is_blank = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    let footer = bytes.chunks(SECTOR_BYTES).rposition(|sector| !is_blank(sector)).unwrap();
    // The chain, the length of the unit, and what the footer counts.
    for (at, expected) in [(12, "sector "), (20, "sector "), (42, "("), (46, "("), (50, "(")] {
        let outcome = corpus.outcome("a forged sector", |disk| {
            let mut bytes = bytes.clone();
            let sector = &mut bytes[footer * SECTOR_BYTES..][..SECTOR_BYTES];
            sector[at] ^= 1;
            let salt = crc32c::crc32c(&ID.to_le_bytes());
            let checksum = crc32c::crc32c_append(salt, &sector[4..]);
            sector[..4].copy_from_slice(&checksum.to_le_bytes());
            disk.put(file, &bytes);
        });
        let Outcome::Refused(corruption) = outcome else { panic!("byte {at}: {outcome:?}") };
        assert_eq!(corruption.offset, (footer * SECTOR_BYTES) as u64, "byte {at}");
        assert!(corruption.expected.starts_with(expected), "byte {at}: {corruption}");
    }
}

#[test]
fn sectors_from_elsewhere_are_found() {
    let corpus = Corpus::closed(60);
    let other = other_log();
    let mut donors = vec![other];
    donors.extend(corpus.files.iter().map(|file| corpus.bytes(file)));
    let mut refused = 0;
    for file in &corpus.files {
        let bytes = corpus.bytes(file);
        for sector in 0..bytes.len() / SECTOR_BYTES {
            let here = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            for (place, donor) in donors.iter().enumerate() {
                for from in [sector, sector + 1, 3] {
                    let Some(moved) = donor.get(from * SECTOR_BYTES..(from + 1) * SECTOR_BYTES)
                    else {
                        continue;
                    };
                    let what = format!("sector {sector} of {} from {place}", file.display());
                    let outcome = corpus.outcome(&what, |disk| {
                        let mut bytes = bytes.clone();
                        bytes[here.clone()].copy_from_slice(moved);
                        disk.put(file, &bytes);
                    });
                    match outcome {
                        Outcome::Unharmed => {}
                        Outcome::Refused(_) => refused += 1,
                        Outcome::Cut => panic!("{what}: what was acknowledged is gone"),
                    }
                }
            }
        }
    }
    assert!(500 < refused, "{refused} were found");
}

/// The first segment of a log that differs from the corpus in nothing but its ID.
fn other_log() -> Vec<u8> {
    let disk = disk(11);
    let options = Options { new_id: 99, ..options() };
    let (mut wal, _) = Wal::open(std::sync::Arc::new(disk.clone()), options).unwrap();
    let mut run = Run::of(Model::default());
    let mut rng = Rng::new(11);
    for _ in 0..10 {
        let op = run.newest().draw(&mut rng);
        run.queue(&mut wal, &op).unwrap();
        run.commit(&mut wal).unwrap();
    }
    disk.contents(&Path::new(DIR).join("00000001.wal")).unwrap()
}

#[test]
fn segment_of_another_log_is_refused() {
    let corpus = Corpus::closed(60);
    let file = &corpus.files[0];
    let number = file.file_stem().unwrap().to_string_lossy();
    assert_eq!(number, "00000001", "nothing was released");
    let outcome = corpus.outcome("a segment of another log", |disk| disk.put(file, &other_log()));
    let Outcome::Refused(corruption) = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        corruption.to_string(),
        "the log is damaged in data/wal/00000002.wal at offset 0, from index 1 on: expected a \
         segment of the log 0000000000000063, found one of the log 1122334455667788; keep the \
         directory for inspection, and replace this member by one with a new ID and an empty \
         directory"
    );
}

#[test]
fn write_that_the_disk_loses_or_misdirects_is_found() {
    for fault in [Fault::Lose, Fault::Misdirect { sectors: 1 }, Fault::Misdirect { sectors: 5 }] {
        let mut refused = 0;
        for nth in 1.. {
            let disk = disk(nth);
            let mut run = Run::of(Model::default());
            let mut rng = Rng::new(21);
            let (mut wal, _) = open(&disk).unwrap();
            disk.plan(Call::Write, nth, fault);
            let writes = disk.calls_of(Call::Write);
            for _ in 0..60 {
                let op = run.newest().draw(&mut rng);
                run.queue(&mut wal, &op).unwrap();
                run.commit(&mut wal).unwrap();
            }
            wal.close().unwrap();
            if disk.calls_of(Call::Write) < writes + nth {
                break;
            }
            disk.crash(Survivors::None);
            let what = format!("{fault:?} of write {nth}");
            match open(&disk) {
                Ok((_, recovered)) => assert_eq!(Model::of(&recovered), run.acked, "{what}"),
                Err(WalError::Corruption(_)) => refused += 1,
                Err(error) => panic!("{what}: {error}"),
            }
        }
        assert!(40 < refused, "{fault:?}: {refused} were found");
    }
}

#[test]
fn verify_names_every_damaged_sector() {
    let corpus = Corpus::closed(60);
    let file = &corpus.files[1];
    let mut bytes = corpus.bytes(file);
    for offset in [600, 2000] {
        bytes[offset] ^= 4;
    }
    corpus.disk.put(file, &bytes);
    let report = verify(&corpus.disk, Path::new(DIR)).unwrap();
    let damaged: Vec<u64> = report.segments[1].damaged.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(damaged, [512, 1536]);
    assert!(report.segments.iter().map(|segment| segment.damaged.len()).sum::<usize>() == 2);
    let Err(WalError::Corruption(corruption)) = &report.verdict else { panic!("{report}") };
    assert_eq!((&corruption.file, corruption.offset), (file, 512));
    assert!(report.to_string().contains("2 damaged\n  at offset 512: bytes with"), "{report}");
}
