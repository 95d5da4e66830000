//! Revisions, ranges and transactions: the rules that clients of etcd rely on, one by one.

use std::num::NonZeroUsize;

use mvcc::{
    Answer, Filter, KeyRange, Kind, RangeRequest, ReadError, RecentViews, Revision, SortOrder,
    SortTarget, Store, View,
};

/// Writes one key in a transaction of its own.
pub(crate) fn put(store: &mut Store, key: &str, value: &str) -> Revision {
    let mut transaction = store.write();
    transaction.put(key.as_bytes(), value.as_bytes(), None);
    transaction.commit().revision
}

/// Deletes one key in a transaction of its own.
pub(crate) fn delete(store: &mut Store, key: &str) -> Revision {
    let mut transaction = store.write();
    transaction.delete(KeyRange::Single(key.as_bytes()));
    transaction.commit().revision
}

/// What clients see of a key: create_revision, mod_revision, version, value.
fn seen(view: &View, key: &str, revision: u64) -> Option<(u64, u64, u64, String)> {
    let version = view.get_at(key.as_bytes(), Revision(revision)).expect("the revision is there");
    version.map(|version| {
        let value = String::from_utf8(version.value().bytes().to_vec()).unwrap();
        let created = version.create_revision().0;
        (created, version.mod_revision().0, version.version(), value)
    })
}

fn row(create: u64, modified: u64, version: u64, value: &str) -> Option<(u64, u64, u64, String)> {
    Some((create, modified, version, value.to_owned()))
}

fn keys(request: &RangeRequest<'_>, view: &View) -> (Vec<String>, usize, bool) {
    let result = view.range(request).expect("the revision is there");
    let key = |version: &&mvcc::Version| String::from_utf8(version.key().to_vec()).unwrap();
    (result.versions.iter().map(key).collect(), result.count, result.more)
}

#[test]
fn empty_store_is_at_revision_one_and_the_first_change_makes_two() {
    let mut store = Store::new();
    assert_eq!((store.now().revision(), store.now().compacted()), (Revision(1), None));
    assert_eq!(put(&mut store, "a", "1"), Revision(2));
}

#[test]
fn version_counts_writes_since_the_key_was_created() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "a", "2"); // 3
    put(&mut store, "b", "x"); // 4
    delete(&mut store, "a"); // 5
    put(&mut store, "a", "3"); // 6
    let view = store.view();
    assert_eq!(seen(&view, "a", 1), None);
    assert_eq!(seen(&view, "a", 2), row(2, 2, 1, "1"));
    assert_eq!(seen(&view, "a", 3), row(2, 3, 2, "2"));
    assert_eq!(seen(&view, "a", 4), row(2, 3, 2, "2"));
    assert_eq!(seen(&view, "a", 5), None);
    assert_eq!(seen(&view, "a", 6), row(6, 6, 1, "3"));
}

#[test]
fn changes_of_a_transaction_have_one_revision_and_are_numbered() {
    let mut store = Store::new();
    put(&mut store, "a", "1");
    let mut transaction = store.write();
    assert_eq!(transaction.now().revision(), Revision(2));
    transaction.put(b"b", b"2", Some(7));
    assert_eq!(transaction.now().revision(), Revision(3));
    assert_eq!(transaction.now().get(b"b").and_then(mvcc::Version::lease), Some(7));
    let deleted = transaction.delete(KeyRange::all());
    assert_eq!(deleted.iter().map(|version| version.key()).collect::<Vec<_>>(), [b"a", b"b"]);
    let before = transaction.put(b"a", b"3", None);
    assert_eq!(before, None);
    let commit = transaction.commit();
    assert_eq!(commit.revision, Revision(3));
    let events = commit.events.iter().map(|event| format!("{event:?}"));
    let expected = ["put b@3.0=2", "delete a@3.1", "delete b@3.2", "put a@3.3=3"];
    assert_eq!(events.collect::<Vec<_>>(), expected);
    assert_eq!(seen(&store.view(), "a", 3), row(3, 3, 1, "3"));
    assert_eq!(seen(&store.view(), "a", 2), row(2, 2, 1, "1"));
}

#[test]
fn transaction_without_changes_leaves_the_revision() {
    let mut store = Store::new();
    assert_eq!(delete(&mut store, "nothing"), Revision(1));
    assert_eq!(store.write().commit().revision, Revision(1));
    assert_eq!(put(&mut store, "a", "1"), Revision(2));
}

#[test]
fn put_without_a_lease_takes_the_key_off_its_lease() {
    let mut store = Store::new();
    let mut transaction = store.write();
    transaction.put(b"a", b"1", Some(5));
    let before = transaction.put(b"a", b"2", None);
    assert_eq!(before.and_then(|version| version.lease()), Some(5));
    assert_eq!(store.now().get(b"a").unwrap().lease(), None);
}

#[test]
fn count_is_of_the_whole_range_whatever_the_limit() {
    let mut store = Store::new();
    for key in ["a", "b", "c", "d"] {
        put(&mut store, key, "");
    }
    delete(&mut store, "b"); // 6
    let limit = NonZeroUsize::new(1);
    let request = RangeRequest { limit, ..RangeRequest::of(KeyRange::Between(b"a", b"d")) };
    assert_eq!(keys(&request, store.now()), (vec!["a".into()], 2, true));
    let then = RangeRequest { revision: Some(Revision(5)), ..request };
    assert_eq!(keys(&then, store.now()), (vec!["a".into()], 3, true));
    let filter = Filter { mod_revision_min: Some(Revision(4)), ..Filter::default() };
    let filtered = RangeRequest { filter, ..request };
    assert_eq!(keys(&filtered, store.now()), (vec!["c".into()], 2, false));
    let count = RangeRequest { answer: Answer::Count, ..request };
    assert_eq!(keys(&count, store.now()), (vec![], 2, false));
}

#[test]
fn limit_that_is_just_enough_leaves_no_more() {
    let mut store = Store::new();
    put(&mut store, "a", "");
    put(&mut store, "b", "");
    let limited = |limit| RangeRequest {
        limit: NonZeroUsize::new(limit),
        order: Some(SortOrder::Descending),
        ..RangeRequest::of(KeyRange::all())
    };
    assert_eq!(keys(&limited(1), store.now()), (vec!["b".into()], 2, true));
    assert_eq!(keys(&limited(2), store.now()), (vec!["b".into(), "a".into()], 2, false));
    assert_eq!(keys(&limited(0), store.now()), (vec!["b".into(), "a".into()], 2, false));
}

#[test]
fn without_an_order_the_limit_is_applied_before_the_sort() {
    let mut store = Store::new();
    for (key, value) in [("a", "3"), ("b", "2"), ("c", "1"), ("d", "0")] {
        put(&mut store, key, value);
    }
    let request = RangeRequest {
        limit: NonZeroUsize::new(2),
        target: SortTarget::Value,
        ..RangeRequest::of(KeyRange::all())
    };
    assert_eq!(keys(&request, store.now()), (vec!["c".into(), "b".into()], 4, true));
    let ordered = RangeRequest { order: Some(SortOrder::Ascending), ..request };
    assert_eq!(keys(&ordered, store.now()), (vec!["d".into(), "c".into()], 4, true));
}

#[test]
fn equal_places_stay_in_the_order_of_keys() {
    let mut store = Store::new();
    for at in 0..40 {
        put(&mut store, &format!("k{at:02}"), "same");
    }
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let request = RangeRequest {
            target: SortTarget::Value,
            order: Some(order),
            ..RangeRequest::of(KeyRange::all())
        };
        let (keys, ..) = keys(&request, store.now());
        assert!(keys.is_sorted(), "{order:?}: {keys:?}");
    }
}

#[test]
fn revisions_that_cannot_be_read_are_refused() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "a", "2"); // 3
    store.compact(Revision(3)).unwrap();
    let at = |revision| RangeRequest {
        revision: Some(Revision(revision)),
        ..RangeRequest::of(KeyRange::all())
    };
    assert_eq!(store.now().range(&at(2)), Err(ReadError::Compacted(Revision(3))));
    assert_eq!(store.now().range(&at(3)).unwrap().count, 1);
    assert_eq!(store.now().range(&at(4)), Err(ReadError::Future(Revision(3))));
    assert_eq!(store.now().hash_kv(Some(Revision(2))), Err(ReadError::Compacted(Revision(3))));
}

#[test]
fn header_has_the_current_revision_also_of_a_read_in_the_past() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    let mut recent = RecentViews::new(store.view(), 4);
    put(&mut store, "a", "2"); // 3
    recent.push(store.view());
    let request =
        RangeRequest { revision: Some(Revision(2)), ..RangeRequest::of(KeyRange::Single(b"a")) };
    let result = store.now().range(&request).unwrap();
    assert_eq!((result.revision, result.versions[0].mod_revision()), (Revision(3), Revision(2)));
    assert_eq!(recent.range(&request).unwrap(), result);
    assert_eq!(recent.excerpt(&store.view(), Revision(2)).range(&request).unwrap(), result);
    store.compact(Revision(3)).unwrap();
    recent.push(store.view());
    assert_eq!(recent.range(&request), Err(ReadError::Compacted(Revision(3))));
}

#[test]
fn message_without_its_value_has_no_lease_either() {
    let mut store = Store::new();
    let mut transaction = store.write();
    transaction.put(b"key", b"value", Some(1));
    let event = &transaction.commit().events[0];
    let key_only = [0x0a, 3, b'k', b'e', b'y', 0x10, 2, 0x18, 2, 0x20, 1];
    assert_eq!(event.encoded_key_only(), key_only);
    let rest = [0x2a, 5, b'v', b'a', b'l', b'u', b'e', 0x30, 1];
    assert_eq!(event.encoded().bytes(), [&key_only[..], &rest[..]].concat());
    assert_eq!(event.kind(), Kind::Put);
}

#[test]
fn size_of_what_is_live_does_not_depend_on_history() {
    let mut store = Store::new();
    put(&mut store, "a", "1");
    let once = store.now().sizes();
    for _ in 0..10 {
        put(&mut store, "a", "2");
    }
    put(&mut store, "b", "2");
    delete(&mut store, "b");
    let sizes = store.now().sizes();
    assert_eq!((sizes.keys, sizes.live_bytes), (1, once.live_bytes));
    assert_eq!(sizes.past_versions, 12);
    delete(&mut store, "a");
    assert_eq!((store.now().sizes().keys, store.now().sizes().live_bytes), (0, 0));
}
