//! What the service sees of all that: it hands over commands, and gets them back in order.

use std::collections::BTreeMap;

use raft::{EntryId, Index, Payload, Term};
use sim::stage::Stage;

use super::{cluster, lose_patience};

/// `propose` returns index and term at once, and promises nothing. Success is told only by the
/// apply stream: the command has succeeded if an entry of that index and term comes out, and has
/// failed for good if one of another term does.
#[test]
fn propose_returns_at_once_and_success_is_told_through_apply() {
    let mut stage = cluster(3);
    stage.elect(1);
    let kept = stage.propose(1, "kept").expect("m1 leads");
    assert_eq!(kept, EntryId::new(Index(2), Term(1)), "where the command may come back");
    assert!(stage.applied(1).is_empty(), "m1 executed a command that nobody else has heard of");
    stage.stabilize();
    assert_eq!(applied_at(&stage, kept.index), Some(kept), "the command has succeeded");

    stage.isolate(1);
    let lost = stage.propose(1, "lost").expect("m1 takes itself for the leader");
    assert_eq!(lost, EntryId::new(Index(3), Term(1)), "where the command may come back");
    lose_patience(&mut stage, &[2, 3]);
    stage.elect(2);
    assert_eq!(applied_at(&stage, lost.index), None, "at m1 nobody knows what will become of it");
    stage.heal();
    stage.run(1);
    let instead = EntryId::new(lost.index, Term(2));
    assert_eq!(applied_at(&stage, lost.index), Some(instead), "the command has failed for good");
    assert_eq!(stage.applied(1), ["kept"]);
}

/// What came out of the apply stream of m1 at `index`.
fn applied_at(stage: &Stage, index: Index) -> Option<EntryId> {
    stage.applied_entries(1).iter().map(raft::Entry::id).find(|id| id.index == index)
}

/// Raft is a library in the service. The service hands it each command, and answers the client only
/// when that very command comes back through the apply stream; so all services come to hold the
/// same data.
#[test]
fn raft_is_a_library_in_the_service() {
    let mut stage = cluster(3);
    let mut services = [1, 2, 3].map(Service::new);
    stage.elect(1);
    services[0].ask(&mut stage, "ann", "fruit=apple");
    services[1].ask(&mut stage, "bob", "fruit=melon");
    services.iter_mut().for_each(|service| service.catch_up(&stage));
    assert!(services[0].answers.is_empty(), "ann was answered before her command came back");
    assert_eq!(services[1].answers, ["bob: ask elsewhere"], "m2 does not lead");
    stage.stabilize();
    services.iter_mut().for_each(|service| service.catch_up(&stage));
    assert_eq!(services[0].answers, ["ann: done"]);

    stage.isolate(1);
    services[0].ask(&mut stage, "cleo", "fruit=lemon");
    lose_patience(&mut stage, &[2, 3]);
    stage.elect(2);
    services[1].ask(&mut stage, "dora", "drink=tea");
    stage.stabilize();
    services.iter_mut().for_each(|service| service.catch_up(&stage));
    assert_eq!(services[0].answers, ["ann: done"], "nobody can answer cleo yet");
    assert_eq!(services[1].answers, ["bob: ask elsewhere", "dora: done"]);

    stage.heal();
    stage.run(1);
    services.iter_mut().for_each(|service| service.catch_up(&stage));
    assert_eq!(services[0].answers, ["ann: done", "cleo: ask again"], "her entry was replaced");
    let data = BTreeMap::from([("drink", "tea"), ("fruit", "apple")].map(owned));
    assert!(services.iter().all(|service| service.data == data), "the services differ");
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// A service of one member: its data, and the clients that wait for an answer.
struct Service {
    member: u64,
    data: BTreeMap<String, String>,
    /// Who waits for the entry at an index, and in which term it was proposed.
    waiting: BTreeMap<Index, (Term, &'static str)>,
    answers: Vec<String>,
    applied_len: usize,
}

impl Service {
    fn new(member: u64) -> Service {
        let (data, waiting) = (BTreeMap::new(), BTreeMap::new());
        Service { member, data, waiting, answers: Vec::new(), applied_len: 0 }
    }

    /// Hands a client's command to the core, and keeps the client waiting.
    fn ask(&mut self, stage: &mut Stage, client: &'static str, command: &str) {
        match stage.propose(self.member, command) {
            Ok(id) => drop(self.waiting.insert(id.index, (id.term, client))),
            Err(_) => self.answers.push(format!("{client}: ask elsewhere")),
        }
    }

    /// Executes what came through the apply stream, and answers those who waited for it.
    fn catch_up(&mut self, stage: &Stage) {
        let applied = stage.applied_entries(self.member);
        for entry in &applied[self.applied_len..] {
            if let Payload::Command(command) = &entry.payload {
                let command = String::from_utf8_lossy(command);
                let (key, value) = command.split_once('=').expect("clients ask for key=value");
                self.data.insert(key.to_owned(), value.to_owned());
            }
            if let Some((term, client)) = self.waiting.remove(&entry.index) {
                let answer = if term == entry.term { "done" } else { "ask again" };
                self.answers.push(format!("{client}: {answer}"));
            }
        }
        self.applied_len = applied.len();
    }
}
