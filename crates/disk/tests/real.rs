//! The real disk, in a directory of the build.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use disk::{Cause, Disk, OpenMode, RealDisk};

/// A directory of this test's own, without what an earlier run left.
fn fresh(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    RealDisk::new().create_dir(&dir).expect("the directory of the build exists");
    dir
}

#[test]
fn files_are_written_renamed_listed_and_removed() {
    let dir = fresh("files");
    let disk = RealDisk::new();
    let file = disk.open(&dir.join("a"), OpenMode::CreateNew).unwrap();
    file.zero_fill(5000).unwrap();
    file.write_all_at(4998, b"wxyz").unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.size().unwrap(), 5002);
    disk.rename(&dir.join("a"), &dir.join("b")).unwrap();
    disk.sync_dir(&dir).unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["b"]);

    let file = disk.open(&dir.join("b"), OpenMode::Write).unwrap();
    let mut tail = [1; 6];
    file.read_exact_at(4996, &mut tail).unwrap();
    assert_eq!(&tail, b"\0\0wxyz");
    file.set_len(4999).unwrap();
    let error = file.read_exact_at(4996, &mut tail).expect_err("the file was cut");
    assert!(matches!(error.cause(), Cause::EndOfFile), "{error}");
    disk.remove(&dir.join("b")).unwrap();
    assert!(disk.list(&dir).unwrap().is_empty(), "the file is gone");
}

#[test]
fn nobody_else_may_look() {
    let dir = fresh("modes");
    drop(RealDisk::new().open(&dir.join("a"), OpenMode::CreateNew).unwrap());
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(dir.clone()), mode(dir.join("a"))), (0o700, 0o600));
}

#[test]
fn errors_name_the_file_and_the_cause() {
    let dir = fresh("errors");
    let missing = dir.join("missing");
    let error = RealDisk::new().open(&missing, OpenMode::Read).expect_err("there is no file");
    assert!(matches!(error.cause(), Cause::NotFound), "{error}");
    assert_eq!(error.to_string(), format!("cannot open {}: it does not exist", missing.display()));

    drop(RealDisk::new().open(&dir.join("a"), OpenMode::CreateNew).unwrap());
    let error = RealDisk::new().open(&dir.join("a"), OpenMode::CreateNew).expect_err("it exists");
    assert!(matches!(error.cause(), Cause::Exists), "{error}");

    let file = RealDisk::new().open(&dir.join("a"), OpenMode::Read).unwrap();
    let error = file.write_at(0, b"x").expect_err("the file was opened to be read");
    assert_eq!(file.path(), error.path());
    assert!(std::error::Error::source(&error).is_some(), "the kernel's words are the source");
}

#[test]
fn directory_is_locked_until_the_lock_is_dropped() {
    let dir = fresh("lock");
    let lock = RealDisk::new().lock(&dir).unwrap();
    let error = RealDisk::new().lock(&dir).expect_err("the directory is locked");
    assert!(matches!(error.cause(), Cause::Locked), "{error}");
    drop(lock);
    RealDisk::new().lock(&dir).unwrap();
}

#[test]
fn sectors_are_read_back_whichever_way_they_went() {
    let dir = fresh("sectors");
    let path = dir.join("a");
    let created = RealDisk::new().open(&path, OpenMode::CreateNew).unwrap();
    created.zero_fill(1 << 16).unwrap();
    created.sync_all().unwrap();
    let file = RealDisk::new().open(&path, OpenMode::WriteSectors).unwrap();
    let mut expected = vec![0; 1 << 16];
    // Whole sectors at sectors, and what no device takes as it is.
    for (at, len, byte) in [(512, 512, 1), (1024, 9 * 512, 2), (100, 700, 3), (4096, 10, 4)] {
        file.write_all_at(at as u64, &vec![byte; len]).unwrap();
        expected[at..at + len].fill(byte);
        file.sync_data().unwrap();
        let mut found = vec![0; 1 << 16];
        created.read_exact_at(0, &mut found).unwrap();
        assert!(found == expected, "{len} bytes at {at}");
    }
}
