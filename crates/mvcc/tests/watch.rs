//! Watching: never split, never twice, never skipped. Named after the bugs that etcd had.

use mvcc::{EventFilter, EventLimits, KeyRange, Kind, Previous, ReadError, Revision, Store, View};

use crate::contract::{delete, put};

const ALL: EventFilter<'static> =
    EventFilter { keys: KeyRange::From(b""), kind: None, previous: Previous::Wanted };
const NO_LIMITS: EventLimits =
    EventLimits { events_max: usize::MAX, bytes_max: usize::MAX, changes_max: usize::MAX };

fn seen(
    view: &View,
    from: u64,
    filter: &EventFilter<'_>,
    limits: &EventLimits,
) -> (Vec<String>, u64) {
    let events = view.events(Revision(from), filter, limits).expect("the revision is there");
    let text = |event: &mvcc::Event<'_>| match event.previous {
        Some(previous) => format!("{:?} after {previous:?}", event.version),
        None => format!("{:?}", event.version),
    };
    (events.events.iter().map(text).collect(), events.next.0)
}

#[test]
fn event_has_the_version_of_the_revision_before() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "a", "2"); // 3
    delete(&mut store, "a"); // 4
    put(&mut store, "a", "3"); // 5
    let expected = [
        "put a@2.0=1",
        "put a@3.0=2 after put a@2.0=1",
        "delete a@4.0 after put a@3.0=2",
        "put a@5.0=3",
    ];
    assert_eq!(seen(store.now(), 1, &ALL, &NO_LIMITS), (expected.map(String::from).to_vec(), 6));
    let filter = EventFilter { kind: Some(Kind::Delete), previous: Previous::Unwanted, ..ALL };
    assert_eq!(seen(store.now(), 1, &filter, &NO_LIMITS), (vec!["delete a@4.0".into()], 6));
}

#[test]
fn version_before_is_not_told_once_its_revision_is_compacted() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "a", "2"); // 3
    put(&mut store, "a", "3"); // 4
    store.compact(Revision(3)).unwrap();
    let expected = ["put a@3.0=2", "put a@4.0=3 after put a@3.0=2"];
    assert_eq!(seen(store.now(), 3, &ALL, &NO_LIMITS).0, expected);
}

#[test]
fn revision_is_never_split() {
    let mut store = Store::new();
    let mut transaction = store.write();
    for at in 0..10_u8 {
        transaction.put(&[b'a' + at], b"", None);
    }
    let _ = transaction.commit(); // 2
    put(&mut store, "z", ""); // 3
    for limits in [
        EventLimits { events_max: 1, ..NO_LIMITS },
        EventLimits { bytes_max: 1, ..NO_LIMITS },
        EventLimits { changes_max: 1, ..NO_LIMITS },
        EventLimits { events_max: 0, bytes_max: 0, changes_max: 0 },
    ] {
        let (events, next) = seen(store.now(), 1, &ALL, &limits);
        assert_eq!((events.len(), next), (10, 3), "{limits:?}");
        let (events, next) = seen(store.now(), 3, &ALL, &limits);
        assert_eq!((events.len(), next), (1, 4), "{limits:?}");
    }
}

#[test]
fn watcher_that_wants_nothing_of_what_it_looks_at_gets_on() {
    let mut store = Store::new();
    for _ in 0..20 {
        put(&mut store, "other", "");
    }
    let filter = EventFilter { keys: KeyRange::Single(b"mine"), ..ALL };
    let limits = EventLimits { changes_max: 8, ..NO_LIMITS };
    assert_eq!(seen(store.now(), 2, &filter, &limits), (vec![], 10));
    assert_eq!(seen(store.now(), 10, &filter, &limits), (vec![], 18));
    assert_eq!(seen(store.now(), 18, &filter, &limits), (vec![], 22));
}

/// etcd 20221: a watch of a revision to come was told of events before it.
#[test]
fn watch_of_a_future_revision_is_silent_until_then() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    assert_eq!(seen(store.now(), 4, &ALL, &NO_LIMITS), (vec![], 4));
    put(&mut store, "a", "2"); // 3
    assert_eq!(seen(store.now(), 4, &ALL, &NO_LIMITS), (vec![], 4));
    put(&mut store, "a", "3"); // 4
    let expected = vec!["put a@4.0=3 after put a@3.0=2".into()];
    assert_eq!(seen(store.now(), 4, &ALL, &NO_LIMITS), (expected, 5));
}

/// etcd 17529: a slow watcher that compaction overtook went on behind a gap.
#[test]
fn watcher_that_compaction_overtook_is_told_so() {
    let mut store = Store::new();
    for _ in 0..5 {
        put(&mut store, "a", "");
    }
    store.compact(Revision(4)).unwrap();
    let error = Err(ReadError::Compacted(Revision(4)));
    assert_eq!(store.now().events(Revision(3), &ALL, &NO_LIMITS), error);
    assert_eq!(seen(store.now(), 4, &ALL, &NO_LIMITS).1, 7);
}
