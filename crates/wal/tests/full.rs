//! The disk is full. Nothing is lost, and all goes on once there is space.

use disk::Survivors;
use wal::WalError;

use crate::workload::{Model, Rng, Run, SEGMENT_BYTES, disk, open};

#[test]
fn log_goes_on_when_there_is_space_again() {
    let mut filled = 0;
    for capacity in (0..6 * SEGMENT_BYTES).step_by(1000) {
        let disk = disk(capacity);
        let mut run = Run::of(Model::default());
        let mut rng = Rng::new(4);
        disk.set_capacity(Some(capacity));
        let mut wal = match open(&disk) {
            Ok((wal, _)) => wal,
            Err(error) => {
                assert!(error.is_full() && capacity < SEGMENT_BYTES, "{error}");
                disk.set_capacity(None);
                open(&disk).unwrap().0
            }
        };
        for _ in 0..150 {
            let op = run.newest().draw(&mut rng);
            run.queue(&mut wal, &op).unwrap();
            if let Err(error) = run.commit(&mut wal) {
                assert!(error.is_full(), "capacity {capacity}: {error}");
                // It may be tried as often as one likes, and what is durable can be read back.
                assert!(wal.commit().is_err_and(|error| error.is_full()), "it is still full");
                let copy = disk.fork();
                copy.crash(Survivors::None);
                copy.set_capacity(None);
                run.check(&open(&copy).unwrap().1, "on a full disk");
                disk.set_capacity(None);
                run.commit(&mut wal).unwrap();
                filled += 1;
            }
        }
        drop(wal);
        disk.crash(Survivors::None);
        disk.set_capacity(None);
        run.check(&open(&disk).unwrap().1, "after all");
    }
    assert!(20 < filled, "the disk was full {filled} times");
}

#[test]
fn preparation_on_a_full_disk_leaves_nothing_behind() {
    let disk = disk(1);
    let (mut wal, _) = open(&disk).unwrap();
    let files = disk.paths();
    disk.set_capacity(Some(2 * SEGMENT_BYTES - 1));
    let error = wal.prepare_next().unwrap().run().expect_err("it does not fit");
    assert!(matches!(&error, WalError::Disk(error) if error.is_full()), "{error}");
    assert_eq!(disk.paths(), files);
    disk.set_capacity(None);
    let spare = wal.prepare_next().unwrap().run().unwrap();
    wal.adopt(spare);
    assert!(wal.prepare_next().is_none(), "one is enough");
}
