//! The power fails at every call to the disk, and again at every call of what follows.

use std::path::Path;

use disk::{SimDisk, Survivors};
use wal::{Recovered, WalError, verify};

use crate::workload::{DIR, Model, Rng, Run, corpus, disk, effort, open};

/// Opens the log, writes, and closes it.
fn work(disk: &SimDisk, seed: u64, ops: u64, run: &mut Run) -> Result<Recovered, WalError> {
    let (mut wal, recovered) = open(disk)?;
    let mut rng = Rng::new(seed);
    for _ in 0..ops {
        let op = run.newest().draw(&mut rng);
        run.queue(&mut wal, &op)?;
        if rng.below(3) == 0 {
            run.commit(&mut wal)?;
        }
        if rng.below(8) == 0
            && let Some(preparation) = wal.prepare_next()
        {
            wal.adopt(preparation.run()?);
        }
    }
    run.commit(&mut wal)?;
    wal.close()?;
    Ok(recovered)
}

/// Opens after a crash, checks what is there, and lets the run begin from it.
fn reopen(disk: &SimDisk, run: &mut Run, what: &str) -> Result<(), WalError> {
    let (_, recovered) = match open(disk) {
        Err(error @ WalError::Corruption(_)) => panic!("{what}: {error}"),
        other => other?,
    };
    run.check(&recovered, what);
    *run = Run::of(Model::of(&recovered));
    Ok(())
}

/// Crashes a workload at call `k`; `None` if it needs fewer calls.
fn crashed_at(k: u64, seed: u64, ops: u64, survivors: Survivors) -> Option<(SimDisk, Run)> {
    let disk = disk(seed.wrapping_mul(1000) + k);
    let mut run = Run::of(Model::default());
    disk.cut_power_at(disk.calls() + k);
    let result = work(&disk, seed, ops, &mut run);
    if !disk.is_off() {
        result.expect("nothing else goes wrong");
        return None;
    }
    disk.crash(survivors);
    Some((disk, run))
}

#[test]
fn power_fails_at_every_call() {
    for seed in 1..=6 * effort() {
        for survivors in Survivors::EACH {
            for k in 1.. {
                let Some((disk, mut run)) = crashed_at(k, seed, 60, survivors) else {
                    break;
                };
                let what = format!("seed {seed} call {k} {survivors:?}");
                reopen(&disk, &mut run, &what).unwrap();
                // What was recovered is durable by now, and stays so.
                disk.crash(Survivors::None);
                reopen(&disk, &mut run, &what).unwrap();
                work(&disk, seed + k, 5, &mut run).unwrap();
            }
        }
    }
}

#[test]
fn power_fails_at_every_call_on_recycled_segments() {
    for seed in 1..=2 * effort() {
        let (old, old_run) = corpus(seed, 1500);
        let mut stale = 0;
        for survivors in Survivors::EACH {
            for k in 1.. {
                let disk = old.fork();
                let mut run = old_run.clone();
                disk.cut_power_at(disk.calls() + k);
                let result = work(&disk, seed + k, 40, &mut run);
                if !disk.is_off() {
                    result.expect("nothing else goes wrong");
                    break;
                }
                disk.crash(survivors);
                let report = verify(&disk, Path::new(DIR)).unwrap();
                stale += report.segments.last().map_or(0, |segment| segment.stale);
                let what = format!("seed {seed} call {k} {survivors:?}");
                reopen(&disk, &mut run, &what).unwrap();
            }
        }
        assert!(500 < stale, "{stale} sectors of an earlier life were behind the end");
    }
}

#[test]
fn power_fails_again_during_recovery() {
    let survivors = [Survivors::Any, Survivors::None, Survivors::All];
    for seed in 1..=2 * effort() {
        for k in 1.. {
            let first = survivors[usize::try_from(k % 3).unwrap()];
            let Some((crashed, run)) = crashed_at(k, seed, 40, first) else {
                break;
            };
            for again in Survivors::EACH {
                for l in 1.. {
                    let disk = crashed.fork();
                    let mut run = run.clone();
                    let what = format!("seed {seed} calls {k} {first:?} and {l} {again:?}");
                    disk.cut_power_at(disk.calls() + l);
                    let opened = open(&disk);
                    if !disk.is_off() {
                        run.check(&opened.unwrap().1, &what);
                        break;
                    }
                    drop(opened);
                    disk.crash(again);
                    reopen(&disk, &mut run, &what).unwrap();
                    disk.crash(Survivors::None);
                    reopen(&disk, &mut run, &what).unwrap();
                }
            }
        }
    }
}

#[test]
fn failed_call_stops_the_log_and_loses_nothing() {
    use disk::{Call, Fault};
    let faults = [
        (Call::Write, Fault::Fail),
        (Call::Write, Fault::Short),
        (Call::Read, Fault::Fail),
        (Call::Read, Fault::Short),
        (Call::SyncData, Fault::Fail),
        (Call::SyncData, Fault::FailAndForget),
        (Call::SyncAll, Fault::FailAndForget),
        (Call::SyncDir, Fault::Fail),
        (Call::Rename, Fault::Fail),
        (Call::Open, Fault::Fail),
        (Call::List, Fault::Fail),
        (Call::Lock, Fault::Fail),
        (Call::Size, Fault::Fail),
        (Call::CreateDir, Fault::Fail),
    ];
    for (call, fault) in faults {
        let mut happened = 0;
        for nth in 1..400 {
            let disk = disk(nth);
            let mut run = Run::of(Model::default());
            work(&disk, 5, 20, &mut run).unwrap();
            let calls = disk.calls_of(call);
            disk.plan(call, nth, fault);
            let result = work(&disk, 5, 40, &mut run);
            if disk.calls_of(call) < calls + nth {
                result.expect("nothing went wrong yet");
                break;
            }
            happened += 1;
            let what = format!("{fault:?} of {call:?} {nth}");
            assert_eq!(result.is_ok(), fault == Fault::Short, "{what}");
            // The process ends, the power does not: the page cache shows what is not on the disk.
            disk.kill();
            reopen(&disk, &mut run, &what).unwrap();
            disk.crash(Survivors::None);
            reopen(&disk, &mut run, &what).unwrap();
        }
        assert!(0 < happened, "{call:?} is never called");
    }
}

#[test]
fn poisoned_log_refuses_everything() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let mut run = Run::of(Model::default());
    let mut rng = Rng::new(1);
    let op = run.newest().draw(&mut rng);
    run.queue(&mut wal, &op).unwrap();
    disk.plan(disk::Call::SyncData, 1, disk::Fault::FailAndForget);
    wal.commit().expect_err("the sync fails");
    let calls = disk.calls();
    assert!(matches!(wal.commit(), Err(WalError::Poisoned)), "a sync is not repeated");
    assert!(matches!(run.queue(&mut wal, &op), Err(WalError::Poisoned)), "nothing is taken");
    assert!(matches!(wal.close(), Err(WalError::Poisoned)), "nor is it closed");
    assert_eq!(disk.calls(), calls, "the disk is left alone");
}

/// A job that makes a segment ahead may take as long as it likes. Meanwhile the log may need more
/// than one segment, which it then makes itself.
#[test]
fn power_fails_while_old_segments_wait_to_be_used_again() {
    let mut waited = 0;
    for seed in 0..200 {
        let disk = disk(seed);
        let mut run = Run::of(Model::default());
        let mut rng = Rng::new(seed);
        let mut wal = open(&disk).unwrap().0;
        let mut waiting = None;
        for step in 0..200 {
            let op = run.newest().draw(&mut rng);
            run.queue(&mut wal, &op).unwrap();
            let before = disk.paths();
            run.commit(&mut wal).unwrap();
            waited += u64::from(waiting.is_some() && before != disk.paths());
            if step % 50 == 49 {
                waiting = wal.prepare_next();
            }
        }
        drop(waiting);
        drop(wal);
        disk.crash(Survivors::None);
        run.check(&open(&disk).unwrap().1, "after all");
    }
    assert!(100 < waited, "the log made {waited} segments while others waited");
}
