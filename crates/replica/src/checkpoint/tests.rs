//! The format is pinned: what was written once must be read for ever.

use raft::{EntryId, Index, MemberId, Membership, SnapshotMeta, Term};

use super::{Framer, Head, Named, Piece, Scan, name_of};

/// A checkpoint with two small chunks, byte for byte.
const GOLDEN: &str = "\
484f4c4446434b50 01000000 54000000 c100000000000000 0100000000000000 2a00000000000000 \
0700000000000000 02000000 0100000000000000 0200000000000000 00000000 00000000 00000000 \
cc1d4378 \
01000000 05000000 9c47e00d 6669727374 \
01000000 00000000 0441dcfb \
02000000 10000000 bcc857d3 0200000000000000 0500000000000000";

fn head() -> Head {
    let membership = Membership::of_voters([MemberId(1), MemberId(2)]);
    let id = EntryId::new(Index(42), Term(7));
    Head { cluster_id: 0xc1, member_id: 1, meta: SnapshotMeta { id, membership } }
}

fn written(head: &Head) -> Vec<u8> {
    let (mut out, mut framer): (Vec<u8>, Framer) = head.encode();
    framer.put_chunk(&mut out, b"first");
    framer.put_chunk(&mut out, b"");
    framer.put_end(&mut out);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_are_those_of_the_first_version() {
    assert_eq!(hex(&written(&head())), GOLDEN.replace(' ', ""));
}

#[test]
fn pieces_come_whole_however_the_bytes_are_cut() {
    let bytes = written(&head());
    for len in 1..bytes.len() {
        let (mut scan, mut pieces) = (Scan::default(), Vec::new());
        for part in bytes.chunks(len) {
            scan.push(part);
            while let Some(piece) = scan.next().expect("nothing is damaged") {
                pieces.push(piece);
            }
        }
        scan.finish().expect("it is whole");
        let chunks = [Piece::Chunk(b"first".to_vec()), Piece::Chunk(Vec::new())];
        let [first, second] = chunks;
        assert_eq!(pieces, [Piece::Head(head()), first, second, Piece::End]);
    }
}

#[test]
fn frames_are_the_same_whoever_wrote_them() {
    let (own, other) = (written(&head()), written(&Head { member_id: 2, ..head() }));
    let head_bytes = head().encode().0.len();
    assert_ne!(own[..head_bytes], other[..head_bytes]);
    assert_eq!(own[head_bytes..], other[head_bytes..]);
}

#[test]
fn frames_of_another_image_are_found() {
    let (own, mut later) = (written(&head()), head());
    later.meta.id.index = Index(43);
    let (mut bytes, _) = later.encode();
    let head_bytes = bytes.len();
    bytes.extend_from_slice(&own[head_bytes..]);
    let mut scan = Scan::default();
    scan.push(&bytes);
    assert!(matches!(scan.next(), Ok(Some(Piece::Head(_)))));
    assert!(scan.next().is_err(), "a frame of another image passes");
}

#[test]
fn only_names_that_are_written_are_known() {
    let index = Index(0xabc);
    assert_eq!(Named::of(&name_of(index)), Some(Named::Checkpoint(index)));
    assert_eq!(Named::of("checkpoint-0000000000000abc.tmp"), Some(Named::Unfinished));
    assert_eq!(Named::of("received-0000000000000abc-1.tmp"), Some(Named::Unfinished));
    for other in ["checkpoint-abc", "checkpoint-0000000000000ABC", "notes", "wal", "notes.tmp"] {
        assert_eq!(Named::of(other), None, "{other} is ours");
    }
}
