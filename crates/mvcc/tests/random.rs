//! Random operations on the store and on the model, side by side, and every answer compared.
//!
//! A failure names its seed: `one_run(seed, operations)` alone repeats it.

use std::num::NonZeroUsize;

use mvcc::{
    Answer, Change, Checkpoint, CompactError, EventFilter, EventLimits, Filter, KeyRange, Kind,
    Loader, Previous, Progress, RangeRequest, ReadError, RecentViews, Revision, SortOrder,
    SortTarget, Store, View,
};

use crate::dice::Dice;
use crate::model::{Model, Row, rows_of};

const KEYS: [&[u8]; 14] = [
    b"a",
    b"a\0",
    b"ab",
    b"abc",
    b"abcdefgh",
    b"abcdefghi",
    b"abcdefgh\0",
    b"b",
    b"\xff",
    b"\xff\xff",
    b"/registry/pods/a",
    b"/registry/pods/b",
    b"/registry/services/a",
    b"\0",
];

struct Run {
    dice: Dice,
    store: Store,
    /// The same, but it compacts at once, and is never loaded from a checkpoint.
    eager: Store,
    model: Model,
    recent: RecentViews,
    /// Views of the past, with the model as it was.
    views: Vec<(View, Model)>,
    /// Where a watcher is that follows all keys, and how many events it has seen.
    cursor: Revision,
}

fn one_run(seed: u64, operations: u64) {
    let store = Store::new();
    let recent = RecentViews::new(store.view(), 20);
    let mut run = Run {
        dice: Dice(seed),
        store,
        eager: Store::new(),
        model: Model::new(),
        recent,
        views: Vec::new(),
        cursor: Revision(1),
    };
    for _ in 0..operations {
        run.operation();
    }
    for (view, model) in std::mem::take(&mut run.views) {
        for _ in 0..5 {
            run.compare_range(&view, &model);
            run.compare_events(&view, &model);
        }
    }
    run.compare_contents();
}

impl Run {
    fn operation(&mut self) {
        match self.dice.below(16) {
            0..7 => self.transaction(),
            7 => self.compact(),
            8 => {
                let changes = NonZeroUsize::new(1 + self.dice.count(4)).unwrap();
                self.store.compact_step(changes);
            }
            9..12 => {
                let (view, model) = (self.store.view(), self.model.clone());
                self.compare_range(&view, &model);
            }
            12 | 13 => {
                let (view, model) = (self.store.view(), self.model.clone());
                self.compare_events(&view, &model);
            }
            14 => self.follow(),
            _ if self.dice.one_in(8) => self.compare_contents(),
            _ => {
                if self.dice.one_in(4) {
                    self.views.push((self.store.view(), self.model.clone()));
                }
            }
        }
    }

    fn key(&mut self) -> &'static [u8] {
        self.dice.pick(&KEYS)
    }

    fn keys(&mut self) -> KeyRange<'static> {
        let (key, end) = (self.key(), self.key());
        match self.dice.below(5) {
            0 => KeyRange::Single(key),
            1 | 2 => KeyRange::of_request(key, end),
            3 => KeyRange::From(key),
            _ => KeyRange::all(),
        }
    }

    /// A revision, mostly one that exists.
    fn revision(&mut self, model: &Model) -> Revision {
        let compacted = model.compacted.unwrap_or_default().0;
        let low = if self.dice.one_in(8) { compacted.saturating_sub(2) } else { compacted };
        Revision(low + self.dice.below(model.revision.0 + 3 - low))
    }

    fn transaction(&mut self) {
        let mut change = Change { revision: self.model.revision.next(), sub: 0 };
        let (mut store, mut eager) = (self.store.write(), self.eager.write());
        for _ in 0..1 + self.dice.below(3) {
            let key = self.dice.pick(&KEYS);
            if self.dice.one_in(3) {
                let end: &[u8] = if self.dice.one_in(4) { self.dice.pick(&KEYS) } else { b"" };
                let keys = KeyRange::of_request(key, end);
                let deleted: Vec<Row> = store.delete(keys).iter().map(Row::of).collect();
                assert_eq!(deleted.len(), eager.delete(keys).len());
                let left = rows_of(store.now().range(&RangeRequest::of(keys))).unwrap();
                assert_eq!(left.1, 0, "what was deleted is there");
                change.sub += self.model.delete(change, keys);
                assert_eq!(self.model.revision, store.now().revision());
            } else {
                let value = vec![b'v'; self.dice.count(5)];
                let lease = Some(self.dice.below(3).cast_signed()).filter(|lease| *lease != 0);
                let before = store.put(key, &value, lease).as_ref().map(Row::of);
                eager.put(key, &value, lease);
                assert_eq!(before.as_ref(), self.model.at(key, change.revision));
                self.model.put(change, key, &value, lease);
                change.sub += 1;
            }
        }
        let commit = store.commit();
        assert_eq!(commit, eager.commit());
        assert_eq!(commit.revision, self.model.revision);
        let events = self.model.events(change.revision, KeyRange::all());
        let events: Vec<Row> = events.into_iter().map(|(row, _)| row).collect();
        assert_eq!(commit.events.iter().map(Row::of).collect::<Vec<_>>(), events);
        self.recent.push(self.store.view());
    }

    fn compact(&mut self) {
        if !self.dice.one_in(3) {
            return;
        }
        let model = self.model.clone();
        let revision = self.revision(&model);
        let expected = match model.compacted {
            Some(compacted) if revision <= compacted => Err(CompactError::Compacted(compacted)),
            _ if model.revision < revision => Err(CompactError::Future(model.revision)),
            _ => Ok(()),
        };
        assert_eq!(self.store.compact(revision), expected);
        assert_eq!(self.eager.compact(revision), expected);
        finish(&mut self.eager);
        if expected.is_ok() {
            self.model.compacted = Some(revision);
        }
        self.recent.push(self.store.view());
    }

    fn request(&mut self, model: &Model) -> RangeRequest<'static> {
        let bound = |run: &mut Run| run.dice.one_in(4).then(|| run.revision(model));
        let orders = [None, Some(SortOrder::Ascending), Some(SortOrder::Descending)];
        let targets = [
            SortTarget::Key,
            SortTarget::Version,
            SortTarget::CreateRevision,
            SortTarget::ModRevision,
            SortTarget::Value,
        ];
        let filter = if self.dice.one_in(2) {
            Filter::default()
        } else {
            Filter {
                mod_revision_min: bound(self),
                mod_revision_max: bound(self),
                create_revision_min: bound(self),
                create_revision_max: bound(self),
            }
        };
        RangeRequest {
            keys: self.keys(),
            revision: self.dice.one_in(2).then(|| self.revision(model)),
            limit: NonZeroUsize::new(self.dice.count(8)),
            answer: self.dice.pick(&[Answer::Versions, Answer::Versions, Answer::Count]),
            target: if self.dice.one_in(2) { SortTarget::Key } else { self.dice.pick(&targets) },
            order: self.dice.pick(&orders),
            filter,
        }
    }

    fn compare_range(&mut self, view: &View, model: &Model) {
        let request = self.request(model);
        assert_eq!(rows_of(view.range(&request)), model.range(&request), "{request:?}");
        let request = self.request(&self.model.clone());
        let rows = self.model.range(&request);
        assert_eq!(rows_of(self.recent.range(&request)), rows, "{request:?}");
        let excerpt =
            self.recent.excerpt(self.store.now(), request.revision.unwrap_or(Revision(0)));
        assert_eq!(rows_of(excerpt.range(&request)), rows, "{request:?}");
        let (key, revision) = (self.key(), self.revision(model));
        let found = view.get_at(key, revision).map(|found| found.map(Row::of));
        let request =
            RangeRequest { revision: Some(revision), ..RangeRequest::of(KeyRange::Single(key)) };
        assert_eq!(found, model.range(&request).map(|answer| answer.3.first().cloned()));
    }

    fn compare_events(&mut self, view: &View, model: &Model) {
        let from = self.revision(model);
        let keys = self.keys();
        let kind = self.dice.pick(&[None, None, Some(Kind::Put), Some(Kind::Delete)]);
        let filter = EventFilter { keys, kind, previous: Previous::Wanted };
        let limits = EventLimits {
            events_max: 1 + self.dice.count(6),
            bytes_max: 1 + self.dice.count(500),
            changes_max: 1 + self.dice.count(20),
        };
        if let Some(compacted) = model.compacted.filter(|compacted| from < *compacted) {
            let refused = view.events(from, &filter, &limits);
            assert_eq!(refused, Err(ReadError::Compacted(compacted)));
            return;
        }
        let mut expected = model.events(from, keys);
        expected.retain(|(row, _)| kind.is_none_or(|kind| row.kind == kind));
        let mut seen = Vec::new();
        let mut cursor = from;
        while cursor <= view.revision() {
            let events = view.events(cursor, &filter, &limits).unwrap();
            assert!(cursor < events.next, "the watcher does not get on");
            for event in events.events {
                let revision = event.version.mod_revision();
                assert!(cursor <= revision && revision < events.next, "a revision is split");
                seen.push((Row::of(event.version), event.previous.map(Row::of)));
            }
            cursor = events.next;
        }
        assert_eq!(seen, expected, "from {from} in {keys:?}");
        assert_eq!(cursor, from.max(view.revision().next()));
    }

    /// Lets the watcher go on a little, so that compaction meets watchers everywhere.
    fn follow(&mut self) {
        let filter =
            EventFilter { keys: KeyRange::all(), kind: None, previous: Previous::Unwanted };
        let limits = EventLimits { events_max: 3, bytes_max: usize::MAX, changes_max: usize::MAX };
        match self.store.now().events(self.cursor, &filter, &limits) {
            Ok(events) => {
                let mut expected = self.model.events(self.cursor, KeyRange::all());
                expected.retain(|(row, _)| row.change.revision < events.next);
                let seen = events.events.iter().map(|event| Row::of(event.version));
                assert!(seen.eq(expected.into_iter().map(|(row, _)| row)), "events differ");
                self.cursor = events.next;
            }
            Err(ReadError::Compacted(compacted)) => {
                assert!(self.cursor < compacted && Some(compacted) == self.model.compacted);
                self.cursor = compacted;
            }
            Err(error) => panic!("watching from {} failed: {error}", self.cursor),
        }
    }

    /// Compares all that members compare, and goes on with a store that was loaded.
    fn compare_contents(&mut self) {
        let revision = self.revision(&self.model.clone());
        assert_eq!(
            self.store.now().hash_kv(Some(revision)),
            self.eager.now().hash_kv(Some(revision))
        );
        assert_eq!(self.store.now().digest(), self.eager.now().digest());
        let chunk_bytes = 1 + self.dice.count(300);
        let chunks: Vec<_> = Checkpoint::new(self.store.view(), chunk_bytes).collect();
        let others: Vec<_> = Checkpoint::new(self.eager.view(), chunk_bytes).collect();
        assert_eq!(chunks, others, "the checkpoint depends on how far compaction has come");
        let mut loader = Loader::new();
        for chunk in &chunks {
            loader.push(chunk).unwrap();
        }
        self.store = loader.finish().unwrap();
        assert_eq!(self.store.now().sizes(), self.eager.now().sizes());
        assert_eq!(self.store.now().digest(), self.eager.now().digest());
        let sizes = self.eager.now().sizes();
        assert_eq!(
            (sizes.keys, sizes.past_versions),
            (self.model.live_len(), self.model.past_len())
        );
    }
}

fn finish(store: &mut Store) {
    while store.compact_step(NonZeroUsize::new(3).unwrap()) == Progress::Unfinished {}
}

#[test]
fn store_does_what_the_model_does() {
    let seeds = if cfg!(debug_assertions) { 40 } else { 4_000 };
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| one_run(seed, 600));
        assert!(run.is_ok(), "seed {seed} failed: one_run({seed}, 600) repeats it");
    }
}
