//! The bytes on the disk, which no later version may write or read otherwise.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use disk::{SECTOR_BYTES, SimDisk};
use raft::{
    Entry, EntryId, HardState, Index, MemberId, Membership, MembershipChange, Payload,
    SnapshotMeta, Term,
};
use wal::{Batch, Start};

use crate::workload::{DIR, Model, SEGMENT_BYTES, disk, open};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/version-2.txt")
}

/// A log that holds each kind of record, in two segments.
fn written() -> SimDisk {
    let disk = disk(1);
    let membership = Membership::from_parts(
        [MemberId(1), MemberId(2)].into(),
        [MemberId(1), MemberId(3)].into(),
        [MemberId(4)].into(),
        [MemberId(3)].into(),
    )
    .unwrap();
    let entry = |index, payload| Entry { index: Index(index), term: Term(2), payload };
    let change = MembershipChange { membership, context: Bytes::from_static(b"context") };
    let entries = [
        entry(5, Payload::Noop),
        entry(6, Payload::Command(Bytes::from_static(b"command"))),
        entry(7, Payload::Membership(change)),
        entry(8, Payload::Command(vec![0xab; 300].into())),
        entry(9, Payload::Command(vec![0xab; 40].into())),
    ];
    let image = SnapshotMeta {
        id: EntryId::new(Index(4), Term(1)),
        membership: Membership::of_voters([MemberId(1)]),
    };
    let mark = SnapshotMeta { id: EntryId::new(Index(6), Term(2)), ..image.clone() };
    let hard_state = HardState { term: Term(2), vote: Some(MemberId(9)), commit: Index(6) };
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(&Batch { installed: Some(&image), ..Batch::default() }).unwrap();
    wal.append(&Batch { entries: &entries, ..Batch::default() }).unwrap();
    wal.append(&Batch { hard_state: Some(hard_state), mark: Some(&mark), ..Batch::default() })
        .unwrap();
    wal.commit().unwrap();
    wal.release(Index(6)).unwrap();
    wal.commit().unwrap();
    drop(wal);
    disk.kill();
    open(&disk).unwrap().0.close().unwrap();
    disk.kill();
    disk
}

/// The files as text: sixteen bytes a line, without lines of zeros.
fn dump(disk: &SimDisk) -> String {
    let mut out = String::new();
    for path in disk.paths() {
        let bytes = disk.contents(&path).unwrap();
        writeln!(out, "{} {}", path.display(), bytes.len()).unwrap();
        for (place, line) in bytes.chunks(16).enumerate() {
            if (place * 16).is_multiple_of(SECTOR_BYTES) && line.iter().any(|byte| *byte != 0) {
                out.push('\n');
            }
            if line.iter().any(|byte| *byte != 0) {
                let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(out, "{:04x}  {}", place * 16, hex.join(" ")).unwrap();
            }
        }
        out.push('\n');
    }
    out
}

/// The reverse.
fn restored(text: &str) -> SimDisk {
    let disk = disk(1);
    disk::Disk::create_dir(&disk, Path::new(DIR)).unwrap();
    let mut file: Option<(PathBuf, Vec<u8>)> = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (first, rest) = line.split_once(' ').unwrap();
        if first.contains('/') {
            if let Some((path, bytes)) =
                file.replace((first.into(), vec![0; rest.parse().unwrap()]))
            {
                disk.put(&path, &bytes);
            }
            continue;
        }
        let offset = usize::from_str_radix(first, 16).unwrap();
        for (place, byte) in rest.split_whitespace().enumerate() {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            file.as_mut().unwrap().1[offset + place] = byte;
        }
    }
    let (path, bytes) = file.unwrap();
    disk.put(&path, &bytes);
    disk
}

#[test]
fn bytes_are_those_of_version_2() {
    let written = dump(&written());
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(golden(), &written).unwrap();
    }
    let golden = std::fs::read_to_string(golden()).unwrap();
    assert!(
        written == golden,
        "the format changed; what is on disks must stay readable:\n{written}"
    );
}

#[test]
fn log_of_version_2_is_read() {
    let golden = std::fs::read_to_string(golden()).unwrap();
    let (_, recovered) = open(&restored(&golden)).unwrap();
    let (_, expected) = open(&written()).unwrap();
    assert_eq!(Model::of(&recovered), Model::of(&expected));
    assert_eq!(recovered.start, Start::Closed);
    assert_eq!(recovered.base, EntryId::new(Index(5), Term(2)));
    assert_eq!(recovered.entries.len(), 4);
    assert_eq!(recovered.hard_state.vote, Some(MemberId(9)));
    assert_eq!(SEGMENT_BYTES, 16384, "the file's header says the same");
}
