//! Power is lost at every single call to the disk, and again while the member recovers from that.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use disk::{SimDisk, Survivors};
use replica::{Event, Finished, Genesis, Job, Replica, Reply, Ticket};
use store::{Command, Put};

use crate::draw;
use crate::stage::{CLUSTER_ID, DIR, Settings, Stage, empty_disk, founded};

/// Settings under which little work meets every kind of call: checkpoints and segments are small.
pub(crate) fn settings() -> Settings {
    Settings {
        checkpoint_log_bytes_min: 2000,
        segment_bytes: 16 << 10,
        catch_up_entries: 3,
        ..Settings::default()
    }
}

/// One member that is written to, alone, until the power fails.
pub(crate) struct Life {
    pub(crate) disk: SimDisk,
    pub(crate) replica: Replica,
    jobs: Vec<Job>,
    /// What clients were told to be written, by key.
    acknowledged: BTreeMap<String, u64>,
    /// What may have been written.
    attempted: BTreeMap<String, u64>,
    next_ticket: u64,
    /// Whether a fault is expected.
    pub(crate) may_fail: bool,
}

impl Life {
    pub(crate) fn new(disk: SimDisk, replica: Replica) -> Life {
        Life {
            disk,
            replica,
            jobs: Vec::new(),
            acknowledged: BTreeMap::new(),
            attempted: BTreeMap::new(),
            next_ticket: 1,
            may_fail: false,
        }
    }

    /// The next life of the member, which must have what this one has acknowledged.
    pub(crate) fn followed_by(&self, replica: Replica) -> Life {
        let mut next = Life::new(self.disk.clone(), replica);
        next.acknowledged.clone_from(&self.acknowledged);
        next.attempted.clone_from(&self.attempted);
        next
    }

    /// Ends the member in good order.
    pub(crate) fn close(self) {
        self.replica.close().expect("the member can be closed");
    }

    /// Turns until nothing is due; `None` if the power failed, or the disk.
    fn turn(&mut self, waiting: &mut BTreeMap<Ticket, (String, u64)>) -> Option<()> {
        loop {
            let output = self.check(|life| life.replica.flush())?;
            self.jobs.extend(output.jobs);
            for (ticket, reply) in output.replies {
                let written = waiting.remove(&ticket).expect("only writes are asked for");
                assert!(matches!(reply, Reply::Applied { .. }), "{}", draw::reply(&reply));
                self.acknowledged.insert(written.0, written.1);
            }
            if let Some(job) = self.jobs.pop() {
                let finished: Finished = job.run();
                self.replica.feed(Event::Finished(finished));
            } else if self.replica.needs_sync() {
                self.check(|life| life.replica.sync())?;
            } else {
                return Some(());
            }
        }
    }

    fn check<T>(&mut self, act: impl FnOnce(&mut Life) -> Result<T, replica::Fault>) -> Option<T> {
        match act(self) {
            Ok(done) => Some(done),
            Err(_) if self.disk.is_off() || self.may_fail => None,
            Err(fault) => panic!("{}", draw::fault(&fault)),
        }
    }

    /// Leads, and writes `writes` values from `first` on; `None` if the power failed on the way, or
    /// the disk.
    pub(crate) fn work(&mut self, first: u64, writes: u64) -> Option<()> {
        let mut waiting = BTreeMap::new();
        self.replica.feed(Event::LeaderGone);
        self.turn(&mut waiting)?;
        for number in first..first + writes {
            let (key, value) = (format!("key{}", number % 7), number);
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            waiting.insert(ticket, (key.clone(), value));
            self.attempted.insert(key.clone(), value);
            let put = Put {
                key: key.into(),
                value: format!("{value}{}", "x".repeat(300)).into(),
                ..Put::default()
            };
            self.replica.feed(Event::Propose { ticket, command: Command::Put(put) });
            self.turn(&mut waiting)?;
            if number % 8 == 7 {
                let revision = i64::try_from(number / 2).expect("numbers are small");
                let command = Command::Compact { revision };
                self.replica.feed(Event::Propose { ticket: Ticket(u64::MAX - number), command });
                waiting.insert(Ticket(u64::MAX - number), (String::new(), 0));
                self.turn(&mut waiting)?;
            }
            self.replica.feed(Event::Tick);
            self.turn(&mut waiting)?;
        }
        Some(())
    }

    /// Makes sure that what was acknowledged is there, or what came after it.
    pub(crate) fn check_contents(&self) {
        let published = self.replica.published();
        for (key, value) in &self.acknowledged {
            let Some(version) = published.view.get(key.as_bytes()) else {
                assert!(key.is_empty(), "{key} was acknowledged, and is gone");
                continue;
            };
            let text = String::from_utf8_lossy(version.value().bytes()).into_owned();
            let found: u64 = text.trim_end_matches('x').parse().expect("values are numbers");
            let last = self.attempted[key];
            let fits = *value <= found && found <= last;
            assert!(fits, "{key} was acknowledged as {value}, last tried as {last}, is {found}");
        }
    }
}

pub(crate) fn open(disk: &SimDisk, life: u64) -> Result<Replica, replica::Fault> {
    Replica::open(Arc::new(disk.clone()), settings().options(1, life))
}

pub(crate) fn create(disk: &SimDisk, genesis: Genesis) -> Result<Replica, replica::Fault> {
    Replica::create(Arc::new(disk.clone()), settings().options(1, 1), genesis)
}

/// Opens a member whose power may fail again at the `nth` call, and after that does not.
fn reopen(disk: &SimDisk, nth: Option<u64>, survivors: Survivors, life: u64) -> Replica {
    if let Some(nth) = nth {
        disk.cut_power_at(disk.calls() + nth);
        match open(disk, life) {
            Err(_) if disk.is_off() => {}
            Err(fault) => panic!("{}", draw::fault(&fault)),
            // It was open before that call.
            Ok(_) => {}
        }
        disk.crash(survivors);
    }
    open(disk, life + 1).unwrap_or_else(|fault| panic!("{}", draw::fault(&fault)))
}

#[test]
fn power_may_fail_at_every_call_of_a_members_creation() {
    for genesis in [founded(1), Genesis::Joining { cluster_id: CLUSTER_ID }] {
        let dry = empty_disk(1);
        let before = dry.calls();
        create(&dry, genesis.clone()).expect("it can be created");
        let calls = dry.calls() - before;
        for (nth, survivors) in
            (1..=calls).flat_map(|nth| Survivors::EACH.map(|survivors| (nth, survivors)))
        {
            let disk = empty_disk(nth);
            disk.cut_power_at(disk.calls() + nth);
            let created = create(&disk, genesis.clone());
            assert!(created.is_err(), "the power failed at call {nth} of {calls}");
            drop(created);
            disk.crash(survivors);
            let dir = Path::new(DIR);
            let replica = if Replica::exists(&disk, dir).expect("the directory can be read") {
                open(&disk, 2)
            } else {
                create(&disk, genesis.clone())
            };
            let replica =
                replica.unwrap_or_else(|fault| panic!("call {nth}: {}", draw::fault(&fault)));
            let whose = Replica::identity(&disk, dir).expect("it has an identity");
            assert_eq!((whose.cluster_id, whose.member_id), (CLUSTER_ID, 1));
            assert_eq!(replica.whose(), whose);
        }
    }
}

#[test]
fn interrupted_creation_may_be_followed_by_another_kind() {
    let dry = empty_disk(1);
    let before = dry.calls();
    create(&dry, founded(1)).expect("it can be created");
    for nth in 1..=dry.calls() - before {
        let disk = empty_disk(nth);
        disk.cut_power_at(disk.calls() + nth);
        drop(create(&disk, founded(1)));
        disk.crash(Survivors::All);
        if !Replica::exists(&disk, Path::new(DIR)).expect("the directory can be read") {
            let joining = create(&disk, Genesis::Joining { cluster_id: 7 });
            let joining = joining.unwrap_or_else(|fault| panic!("{}", draw::fault(&fault)));
            assert_eq!(joining.whose().cluster_id, 7);
        }
    }
}

pub(crate) const WRITES: u64 = 64;

/// Works until the power fails at the `nth` call, if it does, and returns what was going on.
fn work_until(nth: u64) -> Option<Life> {
    let disk = empty_disk(nth);
    let replica = create(&disk, founded(1)).expect("it can be created");
    disk.cut_power_at(disk.calls() + nth);
    let mut life = Life::new(disk, replica);
    match life.work(0, WRITES) {
        None => Some(life),
        Some(()) => None,
    }
}

#[test]
fn power_may_fail_at_every_call_of_a_members_life() {
    let mut calls = 0;
    for nth in 1.. {
        let Some(life) = work_until(nth) else { break };
        calls = nth;
        for survivors in Survivors::EACH {
            let disk = life.disk.fork();
            disk.crash(survivors);
            let replica = reopen(&disk, None, survivors, 2);
            let mut next = life.followed_by(replica);
            next.work(WRITES, 3).expect("the power stays on");
            next.check_contents();
        }
    }
    assert!(200 < calls, "only {calls} calls were made");
}

#[test]
fn power_may_fail_again_at_every_call_of_a_recovery() {
    let mut recoveries = 0;
    // Every seventh call, so that all kinds are met.
    for nth in (1..).step_by(7) {
        let Some(life) = work_until(nth) else { break };
        let survivors = Survivors::EACH[usize::try_from(nth % 4).expect("it is small")];
        let crashed = life.disk.fork();
        crashed.crash(survivors);
        let dry = crashed.fork();
        let before = dry.calls();
        drop(open(&dry, 2).expect("it can be opened"));
        for again in 1..=dry.calls() - before {
            let disk = crashed.fork();
            let replica = reopen(&disk, Some(again), Survivors::Any, 2);
            let mut next = life.followed_by(replica);
            next.work(WRITES, 1).expect("the power stays on");
            next.check_contents();
            recoveries += 1;
        }
    }
    assert!(500 < recoveries, "the power failed only {recoveries} times in a recovery");
}

/// A cluster in which member 3 falls behind, is given an image, and catches up.
fn fall_behind_and_return(nth: Option<u64>) -> (Stage, u64) {
    let mut stage = Stage::new(settings());
    stage.found(3);
    stage.elect(1);
    stage.isolate(3);
    for number in 0..40 {
        stage.propose(1, put(number));
        stage.stabilize();
    }
    stage.heal();
    let disk = stage.disk(3);
    let before = disk.calls();
    if let Some(nth) = nth {
        disk.cut_power_at(before + nth);
    }
    for number in 40..60 {
        stage.propose(1, put(number));
        stage.run(1);
    }
    (stage, disk.calls() - before)
}

fn put(number: u64) -> Command {
    let value = format!("{number}{}", "x".repeat(100));
    Command::Put(Put {
        key: format!("key{}", number % 5).into(),
        value: value.into(),
        ..Put::default()
    })
}

#[test]
fn power_may_fail_at_every_call_of_a_follower_that_takes_over_an_image() {
    let (stage, calls) = fall_behind_and_return(None);
    assert!(stage.status(3).core.base.index.0 > 20, "an image was taken over");
    for nth in 1..=calls {
        let survivors = Survivors::EACH[usize::try_from(nth % 4).expect("it is small")];
        let (mut stage, _) = fall_behind_and_return(Some(nth));
        assert!(stage.disk(3).is_off(), "the power failed at call {nth}");
        stage.crash(3, survivors);
        stage.take_lines();
        stage.restart(3);
        assert!(stage.up().contains(&3), "call {nth}: {:?}", stage.take_lines());
        stage.run(30);
        let digests: Vec<_> = (1..=3).map(|member| stage.replica(member).digest()).collect();
        assert!(digests[0] == digests[2], "call {nth} {survivors:?}: {digests:?}");
    }
}
