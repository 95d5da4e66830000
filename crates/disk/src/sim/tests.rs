//! What the simulated disk promises, and what it takes away.

use super::*;

const DIR: &str = "data";
const FILE: &str = "data/file";

/// A disk with a durable directory.
fn disk() -> SimDisk {
    let disk = SimDisk::new(7);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    disk
}

/// A disk with an empty file whose name is durable.
fn disk_with_file() -> (SimDisk, Box<dyn DiskFile>) {
    let disk = disk();
    let file = disk.open(Path::new(FILE), OpenMode::CreateNew).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    (disk, file)
}

fn contents(disk: &SimDisk) -> Option<Vec<u8>> {
    disk.contents(Path::new(FILE))
}

#[test]
fn synced_bytes_survive_and_others_do_not() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, b"kept").unwrap();
    file.sync_data().unwrap();
    file.write_all_at(4, b"lost").unwrap();
    assert_eq!(contents(&disk).unwrap(), b"keptlost", "reads see what is not durable");
    disk.crash(Survivors::None);
    assert_eq!(contents(&disk).unwrap(), b"kept");
}

#[test]
fn name_that_was_not_synced_is_lost_with_its_durable_bytes() {
    let disk = disk();
    let file = disk.open(Path::new(FILE), OpenMode::CreateNew).unwrap();
    file.write_all_at(0, b"bytes").unwrap();
    file.sync_all().unwrap();
    let fork = disk.fork();
    disk.crash(Survivors::None);
    assert_eq!(contents(&disk), None);
    fork.crash(Survivors::All);
    assert_eq!(contents(&fork).unwrap(), b"bytes");
}

#[test]
fn rename_survives_whole_or_not_at_all() {
    for seed in 0..20 {
        let (disk, _file) = disk_with_file();
        disk.state().rng = Rng(seed);
        disk.rename(Path::new(FILE), Path::new("data/other")).unwrap();
        disk.crash(Survivors::Any);
        assert_eq!(disk.paths().len(), 1, "one of the two names: {:?}", disk.paths());
    }
}

#[test]
fn sectors_survive_in_any_combination() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let (disk, file) = disk_with_file();
        file.write_all_at(0, &[0; 3 * 512]).unwrap();
        file.sync_all().unwrap();
        disk.state().rng = Rng(seed);
        file.write_all_at(0, &[1; 3 * 512]).unwrap();
        disk.crash(Survivors::Any);
        let bytes = contents(&disk).unwrap();
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(bytes.chunks(512).all(whole), "a sector is written whole");
        seen.insert([bytes[0], bytes[512], bytes[1024]]);
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn sectors_in_order_survive_as_a_beginning() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let (disk, file) = disk_with_file();
        disk.state().rng = Rng(seed);
        file.write_all_at(0, &[1; 3 * 512]).unwrap();
        disk.crash(Survivors::InOrder);
        seen.insert(contents(&disk).unwrap().len());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 512, 1024, 1536]);
}

#[test]
fn failed_sync_lies_ever_after() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, b"first").unwrap();
    disk.plan(Call::SyncData, 1, Fault::FailAndForget);
    file.sync_data().expect_err("the sync was planned to fail");
    file.sync_data().unwrap();
    assert_eq!(contents(&disk).unwrap(), b"first", "the page cache still shows it");
    disk.crash(Survivors::All);
    assert_eq!(contents(&disk).unwrap(), b"");
}

#[test]
fn lost_and_misdirected_writes_report_success() {
    let (disk, file) = disk_with_file();
    disk.plan(Call::Write, 1, Fault::Lose);
    disk.plan(Call::Write, 2, Fault::Misdirect { sectors: 1 });
    file.write_all_at(0, &[1; 512]).unwrap();
    file.write_all_at(0, &[2; 512]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(contents(&disk).unwrap(), [2; 512]);
    disk.crash(Survivors::None);
    assert_eq!(contents(&disk).unwrap(), [[0; 512], [2; 512]].concat());
}

#[test]
fn every_kind_of_call_fails_when_planned() {
    let dir = Path::new(DIR);
    let path = Path::new(FILE);
    type Attempt = fn(&SimDisk, &dyn DiskFile, &Path, &Path) -> Result<(), DiskError>;
    let attempts: [(Call, Attempt); 13] = [
        (Call::CreateDir, |disk, _, dir, _| disk.create_dir(dir)),
        (Call::Open, |disk, _, _, path| disk.open(path, OpenMode::Read).map(drop)),
        (Call::List, |disk, _, dir, _| disk.list(dir).map(drop)),
        (Call::Rename, |disk, _, _, path| disk.rename(path, path)),
        (Call::Remove, |disk, _, _, path| disk.remove(path)),
        (Call::SyncDir, |disk, _, dir, _| disk.sync_dir(dir)),
        (Call::Lock, |disk, _, dir, _| disk.lock(dir).map(drop)),
        (Call::Read, |_, file, _, _| file.read_at(0, &mut [0]).map(drop)),
        (Call::Write, |_, file, _, _| file.write_all_at(0, b"x")),
        (Call::SyncData, |_, file, _, _| file.sync_data()),
        (Call::SyncAll, |_, file, _, _| file.sync_all()),
        (Call::SetLen, |_, file, _, _| file.set_len(1)),
        (Call::Size, |_, file, _, _| file.size().map(drop)),
    ];
    for (call, attempt) in attempts {
        let (disk, file) = disk_with_file();
        let before = disk.calls_of(call);
        disk.plan(call, 1, Fault::Fail);
        let error = attempt(&disk, &*file, dir, path).expect_err("the call was planned to fail");
        assert!(matches!(error.cause(), Cause::Io(_)), "{call:?}: {error}");
        assert_eq!(disk.calls_of(call), before + 1, "{call:?}");
        attempt(&disk, &*file, dir, path).unwrap();
    }
}

#[test]
fn short_calls_are_continued() {
    let (disk, file) = disk_with_file();
    disk.plan(Call::Write, 1, Fault::Short);
    disk.plan(Call::Read, 1, Fault::Short);
    file.write_all_at(100, &[7; 1000]).unwrap();
    assert_eq!(disk.calls_of(Call::Write), 2);
    let mut read = [0; 1000];
    file.read_exact_at(100, &mut read).unwrap();
    assert_eq!((read, disk.calls_of(Call::Read)), ([7; 1000], 2));
    let error = file.read_exact_at(101, &mut read).expect_err("the file ends");
    assert!(matches!(error.cause(), Cause::EndOfFile), "{error}");
}

#[test]
fn full_disk_takes_what_fits_and_then_nothing() {
    let (disk, file) = disk_with_file();
    disk.set_capacity(Some(1000));
    assert_eq!(file.write_at(0, &[1; 1200]).unwrap(), 1000);
    let error = file.write_at(1000, &[1]).expect_err("the disk is full");
    assert!(error.is_full(), "{error}");
    assert_eq!(file.write_at(0, &[2; 1000]).unwrap(), 1000, "what is there may be overwritten");
    disk.set_capacity(None);
    file.zero_fill(3000).unwrap();
    assert_eq!(contents(&disk).unwrap(), [0; 3000]);
}

#[test]
fn power_fails_during_the_call_that_was_named() {
    let (disk, file) = disk_with_file();
    disk.cut_power_at(disk.calls() + 2);
    file.write_all_at(0, b"first").unwrap();
    let error = file.write_all_at(5, b"second").expect_err("the power is cut here");
    assert!(matches!(error.cause(), Cause::PowerOff), "{error}");
    assert!(disk.is_off() && disk.list(Path::new(DIR)).is_err(), "all that follows fails");
    disk.crash(Survivors::All);
    assert_eq!(contents(&disk).unwrap(), b"firstsecond", "the call was under way");
    file.size().expect_err("what was open before is closed");
}

#[test]
fn stall_is_handed_to_the_driver() {
    let (disk, file) = disk_with_file();
    disk.plan(Call::SyncData, 1, Fault::Stall { ticks: 30 });
    file.sync_data().unwrap();
    assert_eq!((disk.take_stalled_ticks(), disk.take_stalled_ticks()), (30, 0));
}

#[test]
fn rot_flips_one_bit_for_good() {
    let (disk, file) = disk_with_file();
    file.write_all_at(0, &[0; 100]).unwrap();
    file.sync_all().unwrap();
    let (path, bit) = disk.rot().unwrap();
    disk.crash(Survivors::None);
    let bytes = disk.contents(&path).unwrap();
    let ones: Vec<usize> = (0..800).filter(|at| bytes[at / 8] & (1 << (at % 8)) != 0).collect();
    assert_eq!(ones, [usize::try_from(bit).unwrap()]);
}

#[test]
fn lock_is_one_process_at_a_time() {
    let disk = disk();
    let lock = disk.lock(Path::new(DIR)).unwrap();
    let error = disk.lock(Path::new(DIR)).expect_err("the directory is locked");
    assert_eq!(
        error.to_string(),
        "cannot lock the directory data: another process works there, so stop it or give this one \
         its own directory"
    );
    drop(lock);
    let _again = disk.lock(Path::new(DIR)).unwrap();
    disk.crash(Survivors::All);
    disk.lock(Path::new(DIR)).unwrap();
}

#[test]
fn same_seed_gives_the_same_faults() {
    let chances = Chances {
        fail: 50_000,
        short: 50_000,
        lose: 50_000,
        misdirect: 50_000,
        stall: 50_000,
        stall_ticks_max: 9,
    };
    let run = |seed| {
        let disk = SimDisk::new(seed);
        disk.set_chances(chances);
        let mut log = Vec::new();
        for round in 0..300u64 {
            let path = PathBuf::from(format!("file{}", round % 7));
            let file = disk
                .open(&path, OpenMode::CreateNew)
                .or_else(|_| disk.open(&path, OpenMode::Write));
            let Ok(file) = file else { continue };
            let written = file.write_at(round % 5 * 512, &[1; 1500]).ok();
            let synced = file.sync_data().is_ok();
            drop(file);
            if round % 50 == 49 {
                disk.crash(Survivors::Any);
            }
            log.push((written, synced, disk.contents(&path), disk.take_stalled_ticks()));
        }
        log
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert!(first.iter().any(|(_, synced, ..)| !synced), "some sync failed");
    assert!(first.iter().any(|(written, ..)| *written == Some(512)), "some write was short");
    assert!(first.iter().any(|(.., ticks)| 0 < *ticks), "some call stalled");
    assert_ne!(first, run(2));
}
