//! Streams whose checksums are right, and which say what cannot be.

use super::*;
use crate::encoding::KeyValue;
use crate::revision::Revision;
use crate::store::Store;

/// A version as it stands in a chunk.
fn version(sub: u32, fields: KeyValue<'_>) -> Vec<u8> {
    let mut encoded = Vec::new();
    fields.encode(&mut encoded);
    let len = u32::try_from(encoded.len()).unwrap();
    [&sub.to_le_bytes()[..], &len.to_le_bytes(), &encoded].concat()
}

fn put(key: &str, create: u64, modified: u64, version: u64) -> Vec<u8> {
    put_as(0, key, create, modified, version)
}

fn put_as(sub: u32, key: &str, create: u64, modified: u64, version: u64) -> Vec<u8> {
    let fields = KeyValue {
        key: key.as_bytes(),
        create_revision: create,
        mod_revision: modified,
        version,
        ..KeyValue::default()
    };
    self::version(sub, fields)
}

fn delete(key: &str, modified: u64) -> Vec<u8> {
    let fields = KeyValue { key: key.as_bytes(), mod_revision: modified, ..KeyValue::default() };
    version(TOMBSTONE, fields)
}

fn head(format: u32, compacted: Option<u64>, revision: u64) -> Vec<u8> {
    let mut payload = format.to_le_bytes().to_vec();
    payload.extend_from_slice(&u32::from(compacted.is_some()).to_le_bytes());
    for number in [revision, compacted.unwrap_or(0), 0] {
        payload.extend_from_slice(&number.to_le_bytes());
    }
    payload
}

/// Loads a stream of these payloads, with right checksums.
fn load(head: &[u8], versions: &[Vec<u8>], end: [u64; 2]) -> Result<Store, LoadError> {
    let mut writer = Checkpoint::new(View::empty(), 1);
    let end: Vec<u8> = end.iter().flat_map(|number| number.to_le_bytes()).collect();
    let chunks = [
        writer.chunk(ChunkKind::Head, head),
        writer.chunk(ChunkKind::Versions, &versions.concat()),
        writer.chunk(ChunkKind::End, &end),
    ];
    let mut loader = Loader::new();
    for chunk in &chunks {
        loader.push(chunk)?;
    }
    loader.finish()
}

fn wrong(compacted: Option<u64>, versions: &[Vec<u8>]) -> &'static str {
    let keys = versions.len() as u64;
    match load(&head(FORMAT, compacted, 9), versions, [keys, keys]) {
        Err(LoadError::Wrong(1 | 2, what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_be_is_loaded() {
    let versions =
        [put("a", 2, 3, 2), delete("a", 7), put("a", 8, 8, 1), put("b", 2, 4, 3), delete("c", 6)];
    let store = load(&head(FORMAT, Some(6), 9), &versions, [5, 2]).unwrap();
    assert_eq!(store.now().revision(), Revision(9));
    assert_eq!((store.now().live.len(), store.now().past.len(), store.now().log.len()), (2, 3, 3));
    let at = |revision| store.now().version_at(b"a", Revision(revision)).map(Version::mod_revision);
    assert_eq!((at(6), at(7), at(8)), (Some(Revision(3)), None, Some(Revision(8))));
}

#[test]
fn other_format_is_refused_by_its_number() {
    let error = load(&head(FORMAT + 1, None, 9), &[], [0, 0]).err();
    assert_eq!(error, Some(LoadError::Format(2)));
}

#[test]
fn head_that_cannot_be_is_refused() {
    for (compacted, revision) in [(None, 0), (Some(10), 9)] {
        let error = load(&head(FORMAT, compacted, revision), &[], [0, 0]).err();
        assert!(matches!(error, Some(LoadError::Wrong(0, _))), "{error:?}");
    }
    let error = load(&head(FORMAT, None, 9)[..31], &[], [0, 0]).err();
    assert!(matches!(error, Some(LoadError::Wrong(0, _))), "{error:?}");
}

#[test]
fn versions_that_cannot_be_are_refused() {
    let order = "versions are out of order";
    assert_eq!(wrong(None, &[put("b", 2, 2, 1), put("a", 3, 3, 1)]), order);
    assert_eq!(wrong(None, &[put("a", 3, 3, 1), put("a", 2, 2, 1)]), order);
    assert_eq!(wrong(None, &[put("a", 2, 2, 1), put("a", 2, 2, 1)]), order);
    let follows = "a version does not follow from the one before";
    assert_eq!(wrong(None, &[put("a", 2, 2, 1), put("a", 2, 3, 3)]), follows);
    assert_eq!(wrong(None, &[put("a", 2, 2, 1), put("a", 3, 3, 2)]), follows);
    assert_eq!(wrong(None, &[delete("a", 3), put("a", 3, 4, 1)]), follows);
    assert_eq!(wrong(None, &[delete("a", 3), put("a", 4, 4, 2)]), follows);
    assert_eq!(wrong(None, &[delete("a", 3), delete("a", 4)]), follows);
    assert_eq!(wrong(None, &[put("a", 4, 3, 1)]), follows);
    assert_eq!(wrong(None, &[put("a", 3, 3, 0)]), follows);
    let never = "a version without a key, or of a revision that never was";
    assert_eq!(wrong(None, &[put("", 3, 3, 1)]), never);
    assert_eq!(wrong(None, &[put("a", 10, 10, 1)]), never);
    assert_eq!(wrong(None, &[put("a", 1, 1, 1)]), never);
    let gone = "a version that was to be compacted";
    assert_eq!(wrong(Some(5), &[delete("a", 4)]), gone);
    assert_eq!(wrong(Some(5), &[put("a", 2, 2, 1), put("a", 2, 5, 2)]), gone);
}

#[test]
fn versions_are_counted_and_each_has_its_own_change() {
    assert_eq!(
        wrong(None, &[put("a", 2, 2, 1), put("b", 2, 2, 1)]),
        "two versions have one change"
    );
    let two = [put("a", 2, 2, 1), put_as(1, "b", 2, 2, 1)];
    assert!(load(&head(FORMAT, None, 9), &two, [2, 2]).is_ok());
    for end in [[1, 2], [2, 1]] {
        let error = load(&head(FORMAT, None, 9), &two, end).err();
        assert!(matches!(error, Some(LoadError::Wrong(2, _))), "{error:?}");
    }
}

#[test]
fn version_that_is_cut_off_is_refused() {
    let whole = put("a", 2, 2, 1);
    for len in 1..whole.len() {
        let cut = vec![whole[..len].to_vec()];
        let error = load(&head(FORMAT, None, 9), &cut, [1, 1]).err();
        assert!(matches!(error, Some(LoadError::Wrong(1, _))), "{len}: {error:?}");
    }
}
