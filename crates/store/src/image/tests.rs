//! Images against their bytes, loaded again, damaged, and forged.

use bytes::Bytes;

use super::*;
use crate::command::{AlarmAction, AlarmKind, Command, MembershipContext, Put};
use crate::members::MemberAttributes;

fn put(machine: &mut Machine, key: &str, value: &str, lease: i64) {
    let [key, value] = [key, value].map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let applied = machine.apply_put(&Put { key, value, lease, ..Put::default() });
    assert!(applied.result.is_ok(), "{applied:?}");
}

/// Makes a machine that has some of everything.
fn machine() -> Machine {
    let mut machine = Machine::new();
    for member in [1, 2] {
        let attributes = MemberAttributes {
            name: String::new(),
            peer_urls: vec![format!("http://m{member}:2380")],
            client_urls: Vec::new(),
            becomes_voter: member == 2,
        };
        machine.apply_membership(&MembershipContext::Added { member, attributes });
    }
    machine.apply_membership(&MembershipContext::Removed { member: 1 });
    machine.apply(&Command::LeaseGrant { id: 7, ttl: 60 });
    machine.apply(&Command::LeaseGrant { id: -8, ttl: 90 });
    machine.apply(&Command::LeaseCheckpoint { remaining: vec![(7, 30)] });
    put(&mut machine, "a", "1", 7);
    put(&mut machine, "a", "2", -8);
    put(&mut machine, "b", "3", 0);
    machine.apply(&Command::ClusterVersion { version: "3.7.0".to_owned() });
    let (action, kind) = (AlarmAction::Activate, AlarmKind::NoSpace);
    machine.apply(&Command::Alarm { action, member: 2, kind });
    machine
}

fn load(chunks: &[Vec<u8>]) -> Result<Machine, LoadError> {
    let mut loader = MachineLoader::new();
    for chunk in chunks {
        loader.push(chunk)?;
    }
    loader.finish()
}

fn chunks_of(machine: &Machine) -> Vec<Vec<u8>> {
    machine.image().chunks().collect()
}

#[test]
fn head_and_leases_are_these_bytes() {
    let machine = machine();
    let chunks = chunks_of(&machine);
    assert_eq!(chunks[0][..16], *b"HFIM\x01\0\0\0\x63\0\0\0\0\0\0\0");
    let mut payload = b"\x01\0\0\0\0\0\0\0".to_vec();
    payload.extend_from_slice(&machine.digest().to_le_bytes());
    payload.extend_from_slice(b"\x02\0\0\0");
    // One member, without a name, with one peer URL and no client URL, which becomes a voter.
    payload.extend_from_slice(b"\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0");
    payload.extend_from_slice(b"\x01\0\0\0\x0e\0\0\0http://m2:2380\0\0\0\0\x01");
    // One that was removed; one alarm; a version, and no downgrade.
    payload.extend_from_slice(b"\x01\0\0\0\x01\0\0\0\0\0\0\0");
    payload.extend_from_slice(b"\x01\0\0\0\x02\0\0\0\0\0\0\0\x01");
    payload.extend_from_slice(b"\x01\x05\0\0\x003.7.0\0");
    assert_eq!(chunks[0][24..], payload);
    assert_eq!(chunks[0][16..24], hash(&payload, hash(&chunks[0][..16], 0)).to_le_bytes());
    assert_eq!(chunks[1][..16], *b"HFIM\x02\0\0\0\x30\0\0\0\0\0\0\0");
    let mut leases = (-8_i64).to_le_bytes().to_vec();
    for number in [90_i64, 0, 7, 60, 30] {
        leases.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(chunks[1][24..], leases);
    assert_eq!(chunks[2][..4], CHECKPOINT_MAGIC);
}

#[test]
fn loaded_machine_is_the_same_and_goes_on_as_the_other() {
    let mut first = machine();
    let chunks = chunks_of(&first);
    let mut second = load(&chunks).unwrap();
    assert_eq!(second.take_lease_changes(), []);
    first.take_lease_changes();
    assert_eq!(chunks_of(&second), chunks);
    let image = second.image();
    assert_eq!((image.digest(), image.revision()), (first.digest(), Revision(4)));
    assert_eq!(second.live_bytes(), first.live_bytes());
    assert!(!second.is_compacting());
    let keys: Vec<&[u8]> = second.lease_keys(-8).collect();
    assert_eq!((keys, second.lease_keys(7).count()), (vec![&b"a"[..]], 0));
    for machine in [&mut first, &mut second] {
        machine.apply(&Command::LeaseExpire { ids: vec![-8, 7] });
    }
    assert_eq!(first.take_lease_changes(), second.take_lease_changes());
    assert_eq!(chunks_of(&first), chunks_of(&second));
}

#[test]
fn image_is_of_the_moment_when_it_was_taken() {
    let mut machine = machine();
    let (image, chunks) = (machine.image(), chunks_of(&machine));
    machine.apply(&Command::LeaseRevoke { id: -8 });
    machine.apply(&Command::LeaseGrant { id: 1, ttl: 5 });
    machine.apply_membership(&MembershipContext::Removed { member: 2 });
    assert_eq!(image.chunks().collect::<Vec<_>>(), chunks);
}

#[test]
fn image_can_be_written_on_another_thread() {
    fn is_send<T: Send + Sync>() {}
    is_send::<Image>();
    is_send::<Chunks>();
    is_send::<MachineLoader>();
    is_send::<Machine>();
}

#[test]
fn leases_of_many_chunks_are_all_loaded() {
    let mut machine = Machine::new();
    for id in (1..=25_000).chain([i64::MIN, i64::MAX]) {
        machine.apply(&Command::LeaseGrant { id, ttl: id.saturating_add(1).min(9_000) });
    }
    let chunks = chunks_of(&machine);
    assert_eq!(chunks.iter().filter(|chunk| chunk[4] == 2 && chunk[..4] == MAGIC).count(), 3);
    let loaded = load(&chunks).unwrap();
    assert!(loaded.leases().iter().eq(machine.leases().iter()), "the leases are others");
}

#[test]
fn length_of_a_chunk_is_known_from_its_header() {
    for chunk in chunks_of(&machine()) {
        let header = chunk[..CHUNK_HEADER_BYTES].try_into().unwrap();
        assert_eq!(chunk_bytes(header), Some(chunk.len() as u64));
    }
    assert_eq!(chunk_bytes(&[0; CHUNK_HEADER_BYTES]), None);
    let mut endless = [0xff; CHUNK_HEADER_BYTES];
    endless[..4].copy_from_slice(&MAGIC);
    assert_eq!(chunk_bytes(&endless), None);
}

#[test]
fn every_bit_counts() {
    let chunks = chunks_of(&machine());
    for at in 0..chunks.len() {
        for bit in 0..chunks[at].len() * 8 {
            let mut damaged = chunks.clone();
            damaged[at][bit / 8] ^= 1 << (bit % 8);
            let refused = load(&damaged);
            assert!(refused.is_err(), "bit {bit} of chunk {at} is ignored");
        }
        let len = chunks[at].len();
        for len in [0, 3, 23, 24, len - 1] {
            let mut cut = chunks.clone();
            cut[at].truncate(len);
            assert!(load(&cut).is_err(), "chunk {at} is cut to {len} bytes");
        }
    }
}

#[test]
fn chunks_that_are_missing_doubled_or_swapped_are_found() {
    let chunks = chunks_of(&machine());
    for at in 0..chunks.len() {
        let mut missing = chunks.clone();
        missing.remove(at);
        assert!(load(&missing).is_err(), "chunk {at} is missing");
        let mut doubled = chunks.clone();
        doubled.insert(at, chunks[at].clone());
        assert!(load(&doubled).is_err(), "chunk {at} comes twice");
        assert_eq!(
            load(&chunks[..at]).unwrap_err(),
            match at {
                0..=2 => LoadError::Unfinished(at as u64),
                _ => LoadError::Keys(mvcc::LoadError::Unfinished(at as u64 - 2)),
            }
        );
        for other in 0..at {
            let mut swapped = chunks.clone();
            swapped.swap(at, other);
            assert!(load(&swapped).is_err(), "chunks {at} and {other} are swapped");
        }
    }
}

#[test]
fn parts_of_two_images_are_not_one() {
    let ours = chunks_of(&machine());
    let mut other = machine();
    other.apply(&Command::Compact { revision: 3 });
    let theirs = chunks_of(&other);
    let mixed: Vec<Vec<u8>> = ours[..2].iter().chain(&theirs[2..]).cloned().collect();
    let error = LoadError::Wrong(4, "the parts of the image do not belong together");
    assert_eq!(load(&mixed).unwrap_err(), error);
}

/// Puts the right length and checksum on a changed payload, for a chunk behind one with `before`.
fn seal(kind: u32, payload: &[u8], before: u64) -> Vec<u8> {
    let image = Machine::new().image();
    Chunks { image, stage: Stage::Head, checksum: before }.chunk(kind, payload)
}

#[test]
fn what_cannot_be_is_refused_even_with_the_right_checksum() {
    let chunks = chunks_of(&machine());
    let head = &chunks[0][24..];
    let changed_head = |at: usize, byte: u8| {
        let mut payload = head.to_vec();
        payload[at] = byte;
        load(&[seal(HEAD, &payload, 0)]).unwrap_err()
    };
    assert_eq!(changed_head(0, 2), LoadError::Format(2));
    assert_eq!(changed_head(4, 1), LoadError::Wrong(0, "what is not used is not zero"));
    assert_eq!(changed_head(20, 9), LoadError::Wrong(0, "the head cannot be read"));
    assert_eq!(changed_head(head.len() - 1, 2), LoadError::Wrong(0, "the head cannot be read"));
    let checksum = u64::from_le_bytes(chunks[0][16..24].try_into().unwrap());
    let with_leases = |leases: &[[i64; 3]]| {
        let bytes: Vec<u8> = leases.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
        load(&[chunks[0].clone(), seal(LEASES, &bytes, checksum)]).unwrap_err()
    };
    let wrong = |what| LoadError::Wrong(1, what);
    assert_eq!(with_leases(&[]), wrong("the number of leases is another"));
    assert_eq!(with_leases(&[[1, 1, 0]; 3]), wrong("the number of leases is another"));
    assert_eq!(with_leases(&[[1, 1, 0]; 2]), wrong("leases are out of order"));
    assert_eq!(with_leases(&[[0, 1, 0]]), wrong("a lease says what cannot be"));
    assert_eq!(with_leases(&[[1, 1, -1]]), wrong("a lease says what cannot be"));
    assert_eq!(with_leases(&[[1, 1, 0], [2, 1, 0]]), LoadError::Unfinished(2));
    let mut other: Vec<u8> = (-9_i64).to_le_bytes().to_vec();
    other.extend_from_slice(&chunks[1][32..]);
    let mut strange = chunks.clone();
    strange[1] = seal(LEASES, &other, checksum);
    let error = LoadError::Wrong(4, "a key is attached to a lease that is not there");
    assert_eq!(load(&strange).unwrap_err(), error);
}
