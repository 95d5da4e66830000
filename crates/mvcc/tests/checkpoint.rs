//! Checkpoints: the same bytes for the same contents, and no other bytes are taken for them.

use mvcc::{Checkpoint, KeyRange, LoadError, Loader, Revision, Store};

use crate::contract::{delete, put};

fn example() -> Store {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "a", "2"); // 3
    let mut transaction = store.write();
    transaction.put(b"b", b"3", Some(300));
    transaction.delete(KeyRange::Single(b"a"));
    let _ = transaction.commit(); // 4
    store.compact(Revision(3)).unwrap();
    store
}

fn load(chunks: &[Vec<u8>]) -> Result<Store, LoadError> {
    let mut loader = Loader::new();
    for chunk in chunks {
        loader.push(chunk)?;
    }
    loader.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_are_pinned() {
    let chunks: Vec<Vec<u8>> = Checkpoint::new(example().view(), 1000).collect();
    let [head, versions, end] = chunks.as_slice() else { panic!("{} chunks", chunks.len()) };
    let frames = chunks.iter().map(|chunk| hex(&chunk[..16])).collect::<Vec<_>>();
    assert_eq!(
        frames,
        [
            "4846434b010000002000000000000000",
            "4846434b020000003800000000000000",
            "4846434b030000001000000000000000",
        ]
    );
    // Format 1, compacted; revision 4; compacted 3; digest.
    assert_eq!(hex(&head[24..48]), "010000000100000004000000000000000300000000000000");
    // Each: sub and flag, length, message.
    let expected = [
        "00000000 0c000000 0a0161 1002 1803 2002 2a0132",
        "01000080 05000000 0a0161 1804",
        "00000000 0f000000 0a0162 1004 1804 2001 2a0133 30ac02",
    ];
    assert_eq!(hex(&versions[24..]), expected.concat().replace(' ', ""));
    assert_eq!(hex(&end[24..]), "03000000000000000100000000000000");
    let checksums = chunks.iter().map(|chunk| hex(&chunk[16..24])).collect::<Vec<_>>();
    assert_eq!(checksums, ["94babcfb118dceff", "1347fac6a90fc0da", "535b1e5ea2bdf740"]);
}

#[test]
fn store_that_is_loaded_goes_on_like_the_one_that_was_saved() {
    let mut store = example();
    let chunks: Vec<Vec<u8>> = Checkpoint::new(store.view(), 1).collect();
    let mut loaded = load(&chunks).unwrap();
    for store in [&mut store, &mut loaded] {
        put(store, "a", "again");
        delete(store, "b");
        store.compact(Revision(5)).unwrap();
    }
    assert_eq!(store.now().hash_kv(None), loaded.now().hash_kv(None));
    assert_eq!(store.now().digest(), loaded.now().digest());
    assert!(Checkpoint::new(store.view(), 7).eq(Checkpoint::new(loaded.view(), 7)));
}

#[test]
fn size_of_chunks_has_no_influence_on_what_is_in_them() {
    let store = example();
    for chunk_bytes in 0..60 {
        let chunks: Vec<Vec<u8>> = Checkpoint::new(store.view(), chunk_bytes).collect();
        let loaded = load(&chunks).unwrap();
        assert_eq!(loaded.now().hash_kv(None), store.now().hash_kv(None));
    }
}

#[test]
fn every_bit_that_is_flipped_is_found() {
    let chunks: Vec<Vec<u8>> = Checkpoint::new(example().view(), 20).collect();
    for at in 0..chunks.len() {
        for bit in 0..chunks[at].len() * 8 {
            let mut damaged = chunks.clone();
            damaged[at][bit / 8] ^= 1 << (bit % 8);
            let error = load(&damaged).err();
            assert_eq!(error, Some(LoadError::Damaged(at as u64)), "bit {bit} of chunk {at}");
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let chunks: Vec<Vec<u8>> = Checkpoint::new(example().view(), 20).collect();
    for at in 0..chunks.len() {
        let error = load(&chunks[..at]).err();
        assert_eq!(error, Some(LoadError::Unfinished(at as u64)));
        for len in 0..chunks[at].len() {
            let mut damaged = chunks.clone();
            damaged[at].truncate(len);
            assert_eq!(load(&damaged).err(), Some(LoadError::Damaged(at as u64)));
        }
    }
}

#[test]
fn chunk_that_is_missing_doubled_moved_or_foreign_is_found() {
    let chunks: Vec<Vec<u8>> = Checkpoint::new(example().view(), 1).collect();
    let mut other = example();
    put(&mut other, "z", "");
    let others: Vec<Vec<u8>> = Checkpoint::new(other.view(), 1).collect();
    for at in 0..chunks.len() {
        let mut missing = chunks.clone();
        missing.remove(at);
        assert!(load(&missing).is_err(), "chunk {at} is missing");
        let mut doubled = chunks.clone();
        doubled.insert(at, chunks[at].clone());
        assert!(load(&doubled).is_err(), "chunk {at} is doubled");
        let mut foreign = chunks.clone();
        foreign[at] = others[at].clone();
        assert!(load(&foreign).is_err(), "chunk {at} is foreign");
        for with in 0..at {
            let mut swapped = chunks.clone();
            swapped.swap(at, with);
            assert!(load(&swapped).is_err(), "chunks {at} and {with} are swapped");
        }
    }
    let behind_the_end = [chunks.clone(), vec![chunks[chunks.len() - 1].clone()]].concat();
    assert!(load(&behind_the_end).is_err(), "a chunk behind the end");
}
