//! The hub against a model in which every watcher is a filter over the whole history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use etcd_api::Encode;
use etcd_api::etcdserverpb::WatchResponse;
use etcd_api::mvccpb::{Event, KeyValue};
use mvcc::{KeyRange, Kind, Progress as Compaction, Store, Version};
use prost::Message;

use super::*;

const ORIGIN: Header = Header { cluster_id: 1, member_id: 2, revision: 0, raft_term: 0 };
const INTERVAL: Duration = Duration::from_millis(100);

/// Draws numbers (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// A change, and what was there before.
struct Written {
    version: Version,
    previous: Option<Version>,
}

/// What a client knows of one of its watches.
struct Watch {
    request: WatchCreateRequest,
    /// The first change of the history that it was not told of, if it wants it.
    next: usize,
    /// The watch was told everything up to this revision, if it was ever certain to be.
    certain: Revision,
    is_canceled: bool,
}

/// A client with a stream.
struct Client {
    key: Key<Stream>,
    received: VecDeque<Outgoing>,
    /// What was asked for and not answered, in order.
    asked: VecDeque<(WatchCreateRequest, Result<(), String>)>,
    watches: BTreeMap<i64, Watch>,
    /// The numbers that cannot be given again.
    ids: BTreeSet<i64>,
}

struct World {
    dice: Dice,
    store: Store,
    history: Vec<Written>,
    hub: Hub,
    time: Duration,
    clients: Vec<Client>,
    met: BTreeMap<&'static str, usize>,
}

fn key_value(version: &Version) -> KeyValue {
    KeyValue::decode(version.encoded().bytes()).unwrap()
}

/// Says by etcd's rules whether a watch wants a change.
fn wants(request: &WatchCreateRequest, version: &Version) -> bool {
    let key: &[u8] = if request.key.is_empty() { b"\0" } else { &request.key };
    let unwanted = match version.kind() {
        Kind::Put => 0,
        Kind::Delete => 1,
    };
    KeyRange::of_request(key, &request.range_end).contains(version.key())
        && !request.filters.contains(&unwanted)
        && request.start_revision.cast_unsigned() <= version.mod_revision().0
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let changes = dice.pick(&[1, 3, 256]);
        let limits = Limits {
            divide_at: dice.pick(&[100, 400, 1 << 20]),
            answer_bytes_max: dice.pick(&[0, 500, 1 << 17]),
            queue_bytes_max: dice.pick(&[1, 300, 3_000, 1 << 20]),
            slice: EventLimits {
                events_max: changes,
                bytes_max: dice.pick(&[1, 500, 1 << 17]),
                changes_max: changes,
            },
            turn_steps: dice.pick(&[1, 10, 2_000]),
            convoys_max: dice.pick(&[1, 2, 8]),
            near_revisions: dice.pick(&[0, 5, 1_000]),
        };
        World {
            hub: Hub::new(ORIGIN, limits, seed),
            dice,
            store: Store::new(),
            history: Vec::new(),
            time: Duration::from_secs(7),
            clients: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        match self.dice.below(24) {
            0..6 => self.write(),
            6..10 => {
                self.with_hub(Hub::turn);
            }
            10..13 => self.create(),
            13 => self.cancel(),
            14..18 => {
                if let Some(at) = self.client() {
                    self.take(at);
                }
            }
            18..20 => {
                if let Some(at) = self.client() {
                    let _ = self.read(at) && self.read(at);
                }
            }
            20 => self.ask(),
            21 => {
                self.time += Duration::from_millis(self.dice.below(60));
                let time = self.time;
                self.with_hub(|hub, now| hub.on_time(time, now));
            }
            22 => self.come_and_go(),
            _ => self.compact(),
        }
        let Hub { convoys, stations, parked_len, .. } = &self.hub;
        let [is_split, waits, is_parked] =
            [1 < convoys.len(), !stations.is_empty(), 0 < *parked_len];
        for (what, is_met) in [("convoys", is_split), ("stations", waits), ("parked", is_parked)] {
            if is_met {
                self.meet(what);
            }
        }
    }

    fn with_hub<T>(&mut self, act: impl FnOnce(&mut Hub, &Moment<'_>) -> T) -> T {
        let view = self.store.view();
        act(&mut self.hub, &Moment { view: &view, term: 3 })
    }

    fn write(&mut self) {
        let times = if self.dice.one_in(30) { 40 } else { 1 + self.dice.below(3) };
        for _ in 0..times {
            let mut transaction = self.store.write();
            let mut keys = BTreeSet::new();
            let mut before = BTreeMap::new();
            for _ in 0..=self.dice.below(4) {
                let key = [b'a' + u8::try_from(self.dice.below(8)).unwrap()];
                if !keys.insert(key) {
                    continue;
                }
                before.insert(key.to_vec(), transaction.now().get(&key).cloned());
                if self.dice.one_in(3) {
                    transaction.delete(KeyRange::Single(&key));
                } else {
                    let len = self.dice.pick(&[0, 10, 200]);
                    transaction.put(&key, &vec![b'x'; len], None);
                }
            }
            for version in transaction.commit().events {
                let previous = before[version.key()].clone();
                self.history.push(Written { version, previous });
            }
        }
    }

    fn compact(&mut self) {
        let now = self.store.now().revision().0;
        let revision = Revision(now.saturating_sub(self.dice.below(20)).max(1));
        if self.store.compact(revision).is_ok() && self.dice.one_in(2) {
            while self.store.compact_step(16.try_into().unwrap()) == Compaction::Unfinished {}
        }
    }

    // === What clients do ===

    fn client(&mut self) -> Option<usize> {
        let len = self.clients.len() as u64;
        (len > 0).then(|| usize::try_from(self.dice.below(len)).unwrap())
    }

    fn come_and_go(&mut self) {
        if self.clients.len() < 4 {
            let key = self.hub.open(self.time, INTERVAL);
            self.clients.push(Client {
                key,
                received: VecDeque::new(),
                asked: VecDeque::new(),
                watches: BTreeMap::new(),
                ids: BTreeSet::new(),
            });
        } else if self.dice.one_in(4) {
            let at = self.client().unwrap();
            let client = self.clients.remove(at);
            self.hub.close(client.key);
        }
    }

    fn create(&mut self) {
        let Some(at) = self.client() else { return };
        let dice = &mut self.dice;
        let now = self.store.now().revision().0.cast_signed();
        let near = i64::try_from(dice.below(30)).unwrap();
        let request = WatchCreateRequest {
            key: dice.pick(&["", "a", "b", "c", "e", "g"]).into(),
            range_end: dice.pick(&["", "", "\0", "c", "e", "h"]).into(),
            start_revision: match dice.below(5) {
                0..2 => 0,
                2 => (now - near).max(1),
                3 => now + near,
                _ => dice.pick(&[-1, 1, now + 1, i64::MAX]),
            },
            progress_notify: dice.one_in(2),
            filters: dice.pick(&[&[][..], &[0], &[1], &[0, 1], &[9]]).to_vec(),
            prev_kv: dice.one_in(2),
            watch_id: dice.pick(&[0, 0, 0, 2, 5, -1]),
            fragment: dice.one_in(2),
        };
        let key: &[u8] = if request.key.is_empty() { b"\0" } else { &request.key };
        let end = &*request.range_end;
        let client = &mut self.clients[at];
        let outcome = if request.start_revision < 0 {
            Err("etcdserver: mvcc: required revision has been compacted".to_owned())
        } else if !end.is_empty() && end != b"\0" && end <= key {
            Err("mvcc: watcher range is empty".to_owned())
        } else if request.watch_id != 0 && client.ids.contains(&request.watch_id) {
            Err("mvcc: duplicate watch ID provided on the WatchStream".to_owned())
        } else {
            Ok(())
        };
        client.asked.push_back((request.clone(), outcome.clone()));
        let (stream, time) = (client.key, self.time);
        self.with_hub(|hub, now| hub.create(stream, &request, time, now));
        if outcome.is_ok() {
            let client = &mut self.clients[at];
            let ids = self.hub.streams[client.key].ids();
            client.ids.extend(ids);
        }
    }

    fn cancel(&mut self) {
        let Some(at) = self.client() else { return };
        let id = i64::try_from(self.dice.below(9)).unwrap();
        let client = &mut self.clients[at];
        client.ids.remove(&id);
        let stream = client.key;
        self.with_hub(|hub, now| hub.cancel(stream, id, now));
    }

    fn ask(&mut self) {
        let Some(at) = self.client() else { return };
        let stream = self.clients[at].key;
        self.with_hub(|hub, now| hub.progress(stream, now));
    }

    fn take(&mut self, at: usize) {
        let stream = self.clients[at].key;
        let mut received = std::mem::take(&mut self.clients[at].received);
        if received.is_empty() {
            self.with_hub(|hub, now| hub.take(stream, &mut received, now));
        }
        self.clients[at].received = received;
    }

    fn read_all(&mut self, at: usize) {
        while self.read(at) {}
    }

    /// Reads a message; says whether there was one.
    fn read(&mut self, at: usize) -> bool {
        let Some(outgoing) = self.clients[at].received.pop_front() else { return false };
        let mut bytes = Vec::new();
        outgoing.encode(&mut bytes);
        self.judge(at, &WatchResponse::decode(&*bytes).unwrap());
        true
    }

    // === What is right ===

    fn judge(&mut self, at: usize, response: &WatchResponse) {
        let revision = Revision(response.header.unwrap().revision.cast_unsigned());
        let now = self.store.now().revision();
        assert!(revision <= now, "the future, {revision}, is told at {now}: {response:?}");
        if response.created {
            return self.judge_created(at, response);
        }
        if response.canceled {
            return self.judge_canceled(at, response);
        }
        if response.events.is_empty() {
            self.meet("progress");
            let client = &mut self.clients[at];
            let all = response.watch_id == -1;
            for (id, watch) in &mut client.watches {
                // A client that gives this number itself cannot tell which of both is meant.
                let is_meant = *id == response.watch_id || (all && !client.ids.contains(&-1));
                if is_meant && !watch.is_canceled {
                    assert!(watch.request.start_revision.cast_unsigned() <= revision.0);
                    assert!(all || watch.request.progress_notify);
                    watch.pass(&self.history, revision);
                }
            }
            return;
        }
        let is_part = response.fragment;
        self.meet(if is_part { "fragment" } else { "events" });
        let compacted = self.store.now().compacted();
        let client = &mut self.clients[at];
        let watch = client.watches.get_mut(&response.watch_id).expect("it was created before");
        assert!(!watch.is_canceled, "an event for a watch that has ended: {response:?}");
        assert!(!is_part || watch.request.fragment, "events are divided without permission");
        for event in &response.events {
            watch.receive(&self.history, event, compacted);
        }
        if !is_part {
            watch.pass(&self.history, revision);
        }
    }

    fn judge_created(&mut self, at: usize, response: &WatchResponse) {
        let client = &mut self.clients[at];
        let (request, outcome) = client.asked.pop_front().expect("somebody asked");
        if let Err(reason) = outcome {
            assert_eq!((response.watch_id, response.canceled), (-1, true));
            assert_eq!(response.cancel_reason, reason);
            return self.meet("refused");
        }
        assert!(!response.canceled, "refused without reason: {response:?}");
        let revision = Revision(response.header.unwrap().revision.cast_unsigned());
        let start = match request.start_revision {
            0 => revision.next(),
            start => Revision(start.cast_unsigned()),
        };
        let next = self.history.partition_point(|written| written.version.mod_revision() < start);
        assert!(request.watch_id == 0 || request.watch_id == response.watch_id);
        let certain = Revision(0);
        let watch = Watch { request, next, certain, is_canceled: false };
        client.watches.insert(response.watch_id, watch);
    }

    fn judge_canceled(&mut self, at: usize, response: &WatchResponse) {
        assert_eq!(response.cancel_reason, "");
        let watches = &mut self.clients[at].watches;
        if response.compact_revision == 0 {
            watches.remove(&response.watch_id).expect("it was created before");
            return;
        }
        let watch = watches.get_mut(&response.watch_id).expect("it was created before");
        let compacted = Revision(response.compact_revision.cast_unsigned());
        assert!(watch.certain.next() < compacted, "canceled without need: {response:?}");
        assert_eq!(response.header.unwrap().revision, 0);
        watch.is_canceled = true;
        self.meet("compacted");
    }

    /// Lets everybody catch up, and looks that everybody has.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let work = self.with_hub(Hub::turn);
            let mut is_quiet = self.hub.drain_ready().next().is_none();
            for at in 0..self.clients.len() {
                is_quiet &= self.clients[at].received.is_empty();
                self.read_all(at);
                self.take(at);
                self.read_all(at);
            }
            if work == Work::Done && is_quiet {
                break;
            }
        }
        let now = self.store.now().revision();
        let counts = self.with_hub(|hub, now| hub.counts(now));
        assert_eq!(counts.streams, self.clients.len());
        assert_eq!((counts.slow_watchers, counts.events_pending), (0, 0));
        for client in &mut self.clients {
            assert!(client.asked.is_empty(), "a request was not answered");
            for watch in client.watches.values_mut().filter(|watch| !watch.is_canceled) {
                watch.pass(&self.history, now);
                if watch.request.start_revision.cast_unsigned() <= now.0 {
                    watch.certain = now;
                }
            }
        }
    }
}

impl Watch {
    /// Goes on behind a revision. Nothing that is wanted may be left before.
    fn pass(&mut self, history: &[Written], revision: Revision) {
        while let Some(written) = history.get(self.next)
            && written.version.mod_revision() <= revision
        {
            let is_missed = wants(&self.request, &written.version);
            assert!(!is_missed, "{:?} was missed by {:?}", written.version, self.request);
            self.next += 1;
        }
    }

    fn receive(&mut self, history: &[Written], event: &Event, compacted: Option<Revision>) {
        let rest = &history[self.next..];
        let found = rest.iter().position(|written| wants(&self.request, &written.version));
        let found = found.expect("an event was written") + self.next;
        let Written { version, previous } = &history[found];
        assert_eq!(event.kv.as_ref(), Some(&key_value(version)), "for {:?}", self.request);
        assert_eq!(event.r#type == 1, version.is_tombstone());
        match (&event.prev_kv, previous) {
            (Some(told), Some(previous)) => {
                assert!(self.request.prev_kv, "the version before was not wanted");
                assert_eq!(*told, key_value(previous));
            }
            (Some(told), None) => panic!("{told:?} is said to have been before {version:?}"),
            (None, None) => {}
            (None, Some(previous)) => {
                let is_compacted = compacted >= Some(version.mod_revision());
                let is_new = version.create_revision() == version.mod_revision();
                let may_lack = !self.request.prev_kv || is_compacted || is_new;
                assert!(may_lack, "{previous:?} was before {version:?}, and is not told");
            }
        }
        self.next = found + 1;
    }
}

/// Runs a world from a seed, and adds what it met to `met`.
fn run(seed: u64, steps: u64, met: &mut BTreeMap<&'static str, usize>) {
    let mut world = World::new(seed);
    for step in 0..steps {
        world.step();
        if step % 500 == 499 {
            world.settle();
        }
    }
    world.settle();
    for (what, times) in world.met {
        *met.entry(what).or_default() += times;
    }
}

#[test]
fn every_watcher_is_told_what_a_filter_over_the_history_tells() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    let first = number("WATCH_SEED").unwrap_or(0);
    for seed in first..first + number("WATCH_SEEDS").unwrap_or(60) {
        let outcome = std::panic::catch_unwind(|| {
            let mut met = BTreeMap::new();
            run(seed, 2_000, &mut met);
            met
        });
        let met_now = outcome.unwrap_or_else(|_| panic!("again with WATCH_SEED={seed}"));
        for (what, times) in met_now {
            *met.entry(what).or_default() += times;
        }
    }
    println!("{met:?}");
    let situations = ["events", "fragment", "progress", "refused", "compacted"];
    for what in situations.into_iter().chain(["convoys", "stations", "parked"]) {
        assert!(met.contains_key(what), "no run has met {what}");
    }
}
