//! Compaction in steps: what it drops, what it keeps, and who sees it in between.

use std::num::NonZeroUsize;

use mvcc::{
    Checkpoint, CompactError, EventFilter, EventLimits, KeyRange, Loader, Previous, Progress,
    RangeRequest, Revision, Store,
};

use crate::contract::{delete, put};
use crate::model::{Row, rows_of};

const ALL: EventFilter<'static> =
    EventFilter { keys: KeyRange::From(b""), kind: None, previous: Previous::Wanted };
const NO_LIMITS: EventLimits =
    EventLimits { events_max: usize::MAX, bytes_max: usize::MAX, changes_max: usize::MAX };

fn step(store: &mut Store) -> Progress {
    store.compact_step(NonZeroUsize::MIN)
}

fn finish(store: &mut Store) {
    while step(store) == Progress::Unfinished {}
}

/// Keys that are written, overwritten, deleted and created again, up to revision 25.
fn history() -> Store {
    let mut store = Store::new();
    for round in 0..6 {
        put(&mut store, "a", &round.to_string());
        put(&mut store, "b", &round.to_string());
        delete(&mut store, if round % 2 == 0 { "a" } else { "b" });
        let mut transaction = store.write();
        transaction.put(b"c", b"", None);
        transaction.delete(KeyRange::Single(b"c"));
        transaction.put(b"d", b"", None);
        let _ = transaction.commit();
    }
    store
}

/// Everything that can be seen from a revision on: ranges at each revision, and the events.
fn all_seen(store: &Store, from: u64) -> (Vec<Vec<Row>>, Vec<Row>) {
    let view = store.now();
    let ranges = (from..=view.revision().0).map(|revision| {
        let revision = Some(Revision(revision));
        let request = RangeRequest { revision, ..RangeRequest::of(KeyRange::all()) };
        rows_of(view.range(&request)).expect("the revision is there").3
    });
    let events = view.events(Revision(from), &ALL, &NO_LIMITS).expect("the revision is there");
    let events = events.events.iter().map(|event| Row::of(event.version));
    (ranges.collect(), events.collect())
}

#[test]
fn compaction_hides_what_is_below_and_nothing_else_at_every_step() {
    let revision = history().now().revision().0;
    for target in 1..=revision {
        let mut store = history();
        let expected = all_seen(&store, target);
        let old = store.view();
        store.compact(Revision(target)).unwrap();
        let (hash, bytes) = (store.now().hash_kv(None), stream(&store));
        loop {
            assert_eq!(all_seen(&store, target), expected, "compacted to {target}");
            assert_eq!(store.now().hash_kv(None), hash, "compacted to {target}");
            assert_eq!(stream(&store), bytes, "compacted to {target}");
            if step(&mut store) == Progress::Finished {
                break;
            }
        }
        assert_eq!(step(&mut store), Progress::Finished);
        // A view of before still shows all.
        assert_eq!(old.events(Revision(1), &ALL, &NO_LIMITS).unwrap().events.len(), 36);
    }
}

#[test]
fn second_compaction_may_overtake_the_first_at_every_step() {
    let revision = history().now().revision().0;
    for first in 1..revision {
        for second in first + 1..=revision {
            let mut once = history();
            once.compact(Revision(second)).unwrap();
            finish(&mut once);
            let mut steps = 0;
            loop {
                let mut store = history();
                store.compact(Revision(first)).unwrap();
                let done = (0..steps).any(|_| step(&mut store) == Progress::Finished);
                store.compact(Revision(second)).unwrap();
                finish(&mut store);
                assert_eq!(store.now().sizes(), once.now().sizes(), "{first}, then {second}");
                assert_eq!(stream(&store), stream(&once), "{first}, then {second}");
                if done {
                    break;
                }
                steps += 1;
            }
        }
    }
}

/// etcd 18089 and 19179: a deletion at the compacted revision was dropped under a watch.
#[test]
fn deletion_at_the_compacted_revision_is_seen_by_a_watch_from_there() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    put(&mut store, "b", "1"); // 3
    delete(&mut store, "a"); // 4
    put(&mut store, "b", "2"); // 5
    store.compact(Revision(4)).unwrap();
    finish(&mut store);
    let events = store.now().events(Revision(4), &ALL, &NO_LIMITS).unwrap().events;
    let first = events[0].version;
    assert!(first.is_tombstone() && first.key() == b"a", "{first:?}");
    store.compact(Revision(5)).unwrap();
    finish(&mut store);
    assert_eq!(store.now().sizes().past_versions, 0);
}

/// etcd 17780: the revision was inferred from the keys that had survived, and went back.
#[test]
fn revision_outlives_everything_that_was_written() {
    let mut store = Store::new();
    put(&mut store, "a", "1"); // 2
    delete(&mut store, "a"); // 3
    put(&mut store, "b", "1"); // 4
    delete(&mut store, "b"); // 5
    store.compact(Revision(5)).unwrap();
    finish(&mut store);
    let mut loader = Loader::new();
    for chunk in Checkpoint::new(store.view(), 1) {
        loader.push(&chunk).unwrap();
    }
    let mut loaded = loader.finish().unwrap();
    assert_eq!(loaded.now().revision(), Revision(5));
    assert_eq!(loaded.now().compacted(), Some(Revision(5)));
    assert_eq!(put(&mut loaded, "c", ""), Revision(6));
}

#[test]
fn compaction_is_refused_below_the_last_and_beyond_the_present() {
    let mut store = Store::new();
    put(&mut store, "a", ""); // 2
    assert_eq!(store.compact(Revision(3)), Err(CompactError::Future(Revision(2))));
    assert_eq!(store.compact(Revision(0)), Ok(()));
    assert_eq!(store.compact(Revision(0)), Err(CompactError::Compacted(Revision(0))));
    assert_eq!(store.compact(Revision(2)), Ok(()));
    assert_eq!(store.compact(Revision(1)), Err(CompactError::Compacted(Revision(2))));
}

#[test]
fn step_does_as_much_as_it_is_told() {
    let mut store = Store::new();
    for _ in 0..100 {
        put(&mut store, "a", "");
    }
    store.compact(Revision(101)).unwrap();
    assert_eq!(store.now().sizes().past_versions, 99);
    assert_eq!(store.compact_step(NonZeroUsize::new(11).unwrap()), Progress::Unfinished);
    assert_eq!(store.now().sizes().past_versions, 89);
}

fn stream(store: &Store) -> Vec<u8> {
    Checkpoint::new(store.view(), 100).flatten().collect()
}
