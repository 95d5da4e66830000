//! Random operations on the log and on its definition.

use std::path::Path;
use std::sync::Arc;

use disk::{Cause, Survivors};
use raft::{HardState, Index, Term};
use wal::{Batch, Start, Wal, WalError, verify};

use crate::workload::{DIR, Model, Rng, Run, disk, effort, open, options};

#[test]
fn log_holds_what_its_definition_holds() {
    for seed in 1..=60 * effort() {
        let disk = disk(seed);
        let mut rng = Rng::new(seed);
        let mut run = Run::of(Model::default());
        let mut closed = false;
        for round in 0..6 {
            let what = format!("HOLDFAST_WAL_EFFORT={} seed {seed} round {round}", effort());
            let (mut wal, recovered) = open(&disk).unwrap_or_else(|e| panic!("{what}: {e}"));
            run.check(&recovered, &what);
            let start = match (round, closed) {
                (0, _) => Start::Created,
                (_, true) => Start::Closed,
                (_, false) => Start::Killed,
            };
            assert_eq!(recovered.start, start, "{what}");
            for _ in 0..rng.below(60) {
                let op = run.newest().draw(&mut rng);
                run.queue(&mut wal, &op).unwrap();
                if rng.below(3) == 0 {
                    run.commit(&mut wal).unwrap();
                }
                if rng.below(10) == 0
                    && let Some(preparation) = wal.prepare_next()
                {
                    wal.adopt(preparation.run().unwrap());
                }
            }
            run.commit(&mut wal).unwrap();
            closed = rng.below(2) == 0;
            if closed {
                wal.close().unwrap();
            }
            disk.crash(Survivors::None);
            let report = verify(&disk, Path::new(DIR)).unwrap();
            assert_eq!(report.verdict.unwrap().last, run.acked.last(), "{what}");
        }
    }
}

#[test]
fn released_segments_are_used_again() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let mut run = Run::of(Model::default());
    let mut rng = Rng::new(3);
    let mut files_max = 0;
    for _ in 0..3000 {
        let op = run.newest().draw(&mut rng);
        run.queue(&mut wal, &op).unwrap();
        run.commit(&mut wal).unwrap();
        files_max = files_max.max(disk.paths().len());
    }
    assert!(files_max < 60, "{files_max} files at once");
    let report = verify(&disk, Path::new(DIR));
    assert!(report.is_err(), "the log is in use");
    disk.kill();
    let report = verify(&disk, Path::new(DIR)).unwrap();
    let stale: u64 = report.segments.iter().map(|segment| segment.stale).sum();
    assert!(0 < stale, "no segment was recycled: {report}");
    report.verdict.unwrap();
    let (_, recovered) = open(&disk).unwrap();
    run.check(&recovered, "after many segments");
}

#[test]
fn commit_is_one_write_and_one_sync() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let state = |term| HardState { term: Term(term), ..HardState::default() };
    for term in 1..=10 {
        wal.append(&Batch { hard_state: Some(state(term)), ..Batch::default() }).unwrap();
    }
    let before = (disk.calls(), disk.calls_of(disk::Call::SyncData));
    let committed = wal.commit().unwrap();
    assert_eq!(committed.batch.0, 10);
    assert_eq!(committed.hard_state, state(10));
    assert_eq!(disk.calls() - before.0, 2);
    assert_eq!(disk.calls_of(disk::Call::SyncData) - before.1, 1);
    wal.commit().unwrap();
    assert_eq!(disk.calls() - before.0, 2, "nothing is written if nothing is queued");
}

#[test]
fn second_process_is_refused() {
    let disk = disk(1);
    let (_wal, _) = open(&disk).unwrap();
    let error = open(&disk).expect_err("the directory is locked");
    let WalError::Disk(error) = error else { panic!("{error}") };
    assert!(matches!(error.cause(), Cause::Locked), "{error}");
    assert!(error.to_string().starts_with("cannot lock the directory data/wal: "), "{error}");
}

#[test]
fn batch_that_fits_into_no_segment_is_refused_whole() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let payload = raft::Payload::Command(vec![1; 16 << 10].into());
    let entries = [raft::Entry { index: Index(1), term: Term(1), payload }];
    let batch = Batch { entries: &entries, ..Batch::default() };
    let error = wal.append(&batch).expect_err("the batch is as long as a segment");
    assert!(matches!(error, WalError::BatchTooLarge { sectors: 34, sectors_max: 22 }), "{error}");
    let committed = wal.commit().unwrap();
    assert_eq!(committed.last, raft::EntryId::ZERO);
}

#[test]
fn segments_of_another_size_are_read_and_then_replaced() {
    let disk = disk(1);
    let mut run = Run::of(Model::default());
    let mut rng = Rng::new(9);
    for segment_bytes in [16 << 10, 32 << 10, 16 << 10, 24 << 10] {
        let options = wal::Options { segment_bytes, ..options() };
        let (mut wal, recovered) = Wal::open(Arc::new(disk.clone()), options).unwrap();
        run.check(&recovered, "after a change of size");
        for _ in 0..200 {
            let op = run.newest().draw(&mut rng);
            run.queue(&mut wal, &op).unwrap();
            run.commit(&mut wal).unwrap();
        }
        drop(wal);
    }
}

#[test]
#[should_panic(expected = "a batch does not follow the log: entry 3@1 in a log from 0@0 to 0@0")]
fn entries_with_a_gap_are_our_own_mistake() {
    let (mut wal, _) = open(&disk(1)).unwrap();
    let entry = raft::Entry { index: Index(3), term: Term(1), payload: raft::Payload::Noop };
    let _ = wal.append(&Batch { entries: &[entry], ..Batch::default() });
}
