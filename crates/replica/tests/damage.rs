//! Disks that fail and files that are not what was written: the member stops and says so, or it has
//! what it has acknowledged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Call, Disk, Fault as DiskFault, SimDisk, Survivors};
use replica::{Fault, Replica};

use crate::crash::{Life, WRITES, create, open, settings};
use crate::draw;
use crate::stage::{DIR, empty_disk, founded};

/// The disk of a member that has run, and was closed.
fn used_disk() -> SimDisk {
    let disk = empty_disk(1);
    let replica = create(&disk, founded(1)).expect("it can be created");
    let mut life = Life::new(disk.clone(), replica);
    life.work(0, 12).expect("the power stays on");
    life.close();
    disk
}

/// The newest checkpoint on a disk, which the log names.
fn newest_checkpoint(disk: &SimDisk) -> PathBuf {
    let is_checkpoint = |path: &PathBuf| path.to_string_lossy().contains("checkpoint-");
    disk.paths().into_iter().rfind(is_checkpoint).expect("there is a checkpoint")
}

/// Opens what is on a fork of the disk after `change`.
fn open_changed(disk: &SimDisk, change: impl FnOnce(&SimDisk)) -> Result<Replica, Fault> {
    let disk = disk.fork();
    change(&disk);
    open(&disk, 9)
}

fn refused(opened: Result<Replica, Fault>, what: &str) -> Fault {
    match opened {
        Err(fault) => fault,
        Ok(_) => panic!("a member starts from {what}"),
    }
}

#[test]
fn every_bit_of_a_checkpoint_that_is_flipped_is_found() {
    let disk = used_disk();
    let path = newest_checkpoint(&disk);
    let contents = disk.contents(&path).expect("it is there");
    assert!(open(&disk.fork(), 9).is_ok(), "without damage it starts");
    // Every bit of the head and of the first frames, and one bit of every byte behind them.
    for bit in (0..contents.len() * 8).filter(|bit| *bit < 4096 || bit % 8 == bit / 8 % 8) {
        let opened = open_changed(&disk, |disk| {
            let mut contents = contents.clone();
            contents[bit / 8] ^= 1 << (bit % 8);
            disk.put(&path, &contents);
        });
        let fault = refused(opened, "a checkpoint with a flipped bit");
        let Fault::Checkpoint(damaged) = fault else { panic!("bit {bit}: {fault}") };
        assert_eq!(damaged.file, path);
    }
}

#[test]
fn checkpoint_that_was_cut_or_lengthened_is_found() {
    let disk = used_disk();
    let path = newest_checkpoint(&disk);
    let contents = disk.contents(&path).expect("it is there");
    for bytes in 0..contents.len() {
        let cut = |disk: &SimDisk| disk.put(&path, &contents[..bytes]);
        let fault = refused(open_changed(&disk, cut), "a checkpoint that was cut");
        assert!(matches!(fault, Fault::Checkpoint(_)), "{bytes} bytes: {fault}");
    }
    let lengthened = |disk: &SimDisk| disk.put(&path, &[&contents[..], &[0]].concat());
    let fault = refused(open_changed(&disk, lengthened), "a checkpoint that was lengthened");
    assert!(matches!(fault, Fault::Checkpoint(_)), "{fault}");
}

#[test]
fn older_checkpoint_is_never_taken_for_the_newest() {
    let disk = used_disk();
    let newest = newest_checkpoint(&disk);
    let is_older =
        |path: &PathBuf| path.to_string_lossy().contains("checkpoint-") && *path != newest;
    let older = disk.paths().into_iter().rfind(is_older).expect("the one before is kept");
    let contents = disk.contents(&older).expect("it is there");
    let swapped = |disk: &SimDisk| disk.put(&newest, &contents);
    let fault = refused(open_changed(&disk, swapped), "an older checkpoint");
    assert!(matches!(fault, Fault::Checkpoint(_)), "{fault}");
    let missing = |disk: &SimDisk| disk.take_away(&newest);
    let fault = refused(open_changed(&disk, missing), "an older checkpoint");
    assert!(matches!(fault, Fault::Incomplete { .. }), "{fault}");
}

#[test]
fn parts_that_are_missing_are_missed() {
    let disk = used_disk();
    let is_log = |path: &PathBuf| path.to_string_lossy().ends_with(".wal");
    let without_log = |disk: &SimDisk| {
        for path in disk.paths().into_iter().filter(is_log) {
            disk.take_away(&path);
        }
    };
    let fault = refused(open_changed(&disk, without_log), "checkpoints alone");
    assert!(matches!(fault, Fault::Incomplete { .. }), "{fault}");
    let without_checkpoints = |disk: &SimDisk| {
        for path in disk.paths().into_iter().filter(|path| !is_log(path)) {
            disk.take_away(&path);
        }
    };
    let fault = refused(open_changed(&disk, without_checkpoints), "a log alone");
    assert!(matches!(fault, Fault::NoMember(_)), "{fault}");
    // Nor is such a log taken for one that was never used.
    let disk = disk.fork();
    without_checkpoints(&disk);
    let fault = refused(create(&disk, founded(1)), "a log alone");
    assert!(matches!(fault, Fault::Incomplete { .. }), "{fault}");
}

#[test]
fn directory_of_another_member_is_refused() {
    let disk = used_disk();
    let options = settings().options(2, 1);
    let fault = refused(Replica::open(Arc::new(disk.clone()), options), "another's directory");
    assert!(matches!(fault, Fault::WrongMember { found: 1, expected: 2, .. }), "{fault}");
    assert!(matches!(create(&disk, founded(1)), Err(Fault::MemberExists(_))));
}

#[test]
fn second_process_is_refused() {
    let disk = used_disk();
    let _first = open(&disk, 8).expect("it can be opened");
    let text = draw::fault(&refused(open(&disk, 9), "a directory that is in use"));
    assert!(text.contains("another process works there"), "{text}");
}

#[test]
fn what_was_left_behind_unfinished_is_removed() {
    let disk = used_disk();
    let dir = Path::new(DIR);
    for name in ["checkpoint-00000000000000ff.tmp", "received-00000000000000ff-0.tmp"] {
        disk.put(&dir.join(name), b"half of something");
    }
    disk.put(&dir.join("checkpoint-00000000000000ff"), b"nothing that the log names");
    disk.put(&dir.join("notes"), b"of somebody else");
    drop(open(&disk, 8).expect("it can be opened"));
    let left = disk.list(dir).expect("the directory can be read");
    assert!(!left.iter().any(|name| name.contains("ff")), "{left:?}");
    assert!(left.contains(&"notes".to_owned()), "{left:?}");
}

/// What each kind of call is given, and how a member that was stopped by it is started again.
const FAULTS: [(Call, DiskFault); 11] = [
    (Call::Open, DiskFault::Fail),
    (Call::List, DiskFault::Fail),
    (Call::Rename, DiskFault::Fail),
    (Call::Remove, DiskFault::Fail),
    (Call::SyncDir, DiskFault::Fail),
    (Call::Read, DiskFault::Fail),
    (Call::Write, DiskFault::Fail),
    (Call::SyncData, DiskFault::Fail),
    (Call::SyncData, DiskFault::FailAndForget),
    (Call::SyncAll, DiskFault::Fail),
    (Call::SyncAll, DiskFault::FailAndForget),
];

/// Works until the `nth` call of a kind fails; `None` if there are not that many.
fn work_until_fault(call: Call, nth: u64, fault: DiskFault) -> Option<Life> {
    let disk = empty_disk(nth);
    let replica = create(&disk, founded(1)).expect("it can be created");
    disk.plan(call, nth, fault);
    let mut life = Life::new(disk, replica);
    life.may_fail = true;
    match life.work(0, WRITES / 2) {
        None => Some(life),
        Some(()) => None,
    }
}

#[test]
fn call_that_fails_stops_the_member_and_loses_nothing() {
    let mut stops = 0;
    for (call, fault) in FAULTS {
        for nth in 1.. {
            let Some(mut life) = work_until_fault(call, nth, fault) else { break };
            stops += 1;
            let again = life.replica.flush();
            assert!(matches!(again, Err(Fault::Stopped)), "{call:?} {nth}: it went on");
            // The process ends; later, after it has run again, the power is lost: the kernel may
            // have shown it what was never written.
            let disk = life.disk.clone();
            disk.kill();
            let replica = open(&disk, 2).unwrap_or_else(|fault| panic!("{}", draw::fault(&fault)));
            let mut next = life.followed_by(replica);
            next.work(WRITES, 2).expect("nothing fails any more");
            next.check_contents();
            disk.crash(Survivors::None);
            let replica = open(&disk, 3).unwrap_or_else(|fault| panic!("{}", draw::fault(&fault)));
            let mut last = next.followed_by(replica);
            last.work(WRITES + 2, 1).expect("nothing fails any more");
            last.check_contents();
        }
    }
    assert!(100 < stops, "only {stops} calls failed");
}

#[test]
fn short_reads_and_writes_change_nothing() {
    for call in [Call::Read, Call::Write] {
        let disk = empty_disk(1);
        let replica = create(&disk, founded(1)).expect("it can be created");
        for nth in 1..200 {
            disk.plan(call, nth, DiskFault::Short);
        }
        let mut life = Life::new(disk.clone(), replica);
        life.work(0, 30).expect("nothing fails");
        disk.crash(Survivors::None);
        let replica = open(&disk, 2).unwrap_or_else(|fault| panic!("{}", draw::fault(&fault)));
        let mut next = life.followed_by(replica);
        next.work(30, 1).expect("nothing fails");
        next.check_contents();
    }
}
