//! Each oracle is shown something that must not happen, and must say so.

use raft::{
    AppendOutcome, Ballot, Body, Config, DropReason, Dropped, Durable, DurableState, Effects,
    Entry, EntryId, HardState, Index, MemberId, Membership, MembershipChange, Message, Payload,
    Persist, Raft, RoleKind, Round, Status, Term,
};

use super::*;
use crate::options::Options;

/// Three members, as the oracles see them.
struct Bench {
    oracles: Oracles,
    disks: Vec<Disk>,
    seen: Vec<Status>,
}

fn entry(index: u64, term: u64, payload: Payload) -> Entry {
    Entry { index: Index(index), term: Term(term), payload }
}

fn noop(index: u64, term: u64) -> Entry {
    entry(index, term, Payload::Noop)
}

fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().copied().map(MemberId))
}

fn change(index: u64, term: u64, membership: Membership) -> Entry {
    let change = MembershipChange { membership, context: bytes::Bytes::new() };
    entry(index, term, Payload::Membership(change))
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench {
            oracles: Oracles::new(Options::draw(1).core),
            disks: Vec::new(),
            seen: Vec::new(),
        };
        for id in 1..=3 {
            let durable = DurableState::bootstrap(voters(&[1, 2, 3]));
            let core = Raft::restore(Config::new(MemberId(id), 1), durable.clone())
                .expect("an empty disk is in order");
            let status = core.status();
            bench.oracles.started(&durable, &status).expect("nothing has happened");
            bench.seen.push(status);
            bench.disks.push(Disk::new(voters(&[1, 2, 3])));
        }
        bench
    }

    /// Member `id` takes a step in which it writes `entries` and then is as `change` makes it.
    fn step(
        &mut self,
        id: usize,
        entries: &[Entry],
        change: impl FnOnce(&mut Status, &mut Effects),
    ) -> Result<Learnt, Violation> {
        let before = self.seen[id - 1].clone();
        let mut now = before.clone();
        let mut effects = Effects::default();
        if let Some(last) = entries.last() {
            now.last = last.id();
            let ack = Durable { written_in: now.term, last: last.id() };
            let entries = entries.to_vec();
            effects.persist = Some(Persist { snapshot: None, entries, hard_state: None, ack });
        }
        change(&mut now, &mut effects);
        self.seen[id - 1] = now.clone();
        let disks = &self.disks;
        let disk = |id: MemberId| disks.get(usize::try_from(id.0 - 1).expect("small"));
        let step = Step { before: &before, now: &now, effects: &effects, disks: &disk };
        self.oracles.stepped(&step)
    }

    /// Member `id` leads `term` and appends `entries`.
    fn lead(&mut self, id: usize, term: u64, entries: &[Entry]) -> Result<Learnt, Violation> {
        self.step(id, entries, |now, _| {
            now.role = RoleKind::Leader;
            now.term = Term(term);
        })
    }

    fn follow(&mut self, id: usize, term: u64, entries: &[Entry]) -> Result<Learnt, Violation> {
        self.step(id, entries, |now, _| {
            now.role = RoleKind::Follower;
            now.term = Term(term);
        })
    }

    /// Member `id` commits up to `index`.
    fn commit(&mut self, id: usize, index: u64) -> Result<Learnt, Violation> {
        self.step(id, &[], |now, _| now.committed = Index(index))
    }

    /// The disk of member `id` holds these entries.
    fn store(&mut self, id: usize, entries: &[Entry]) {
        let disk = &mut self.disks[id - 1];
        let term = entries.last().map_or(Term::ZERO, |entry| entry.term);
        let ack = Durable { written_in: term, last: EntryId::ZERO };
        let hard_state = Some(HardState { term, ..HardState::default() });
        let entries = entries.to_vec();
        disk.write(Persist { snapshot: None, entries, hard_state, ack }, Vec::new());
        disk.begin_sync(1);
        for _ in 0..disk.end_sync() {
            disk.finish();
        }
    }
}

fn says<T: std::fmt::Debug>(result: Result<T, Violation>, oracle: &str, words: &str) {
    let violation = result.expect_err(words);
    assert_eq!(violation.oracle, oracle, "{violation}");
    assert!(violation.text.contains(words), "{violation}");
}

fn message(from: u64, to: u64, term: u64, body: Body) -> Message {
    Message { from: MemberId(from), to: MemberId(to), term: Term(term), body }
}

#[test]
fn second_leader_of_a_term_is_seen() {
    let mut bench = Bench::new();
    bench.lead(1, 2, &[]).expect("the first");
    bench.lead(2, 3, &[]).expect("the first of another term");
    says(bench.lead(3, 2, &[]), "election safety", "which m1 has led");
}

#[test]
fn second_vote_of_a_term_is_seen() {
    let mut bench = Bench::new();
    let granted = Body::VoteResponse { ballot: Ballot::Granted };
    bench.oracles.election.sent(&message(3, 1, 2, granted.clone())).expect("the first vote");
    bench.oracles.election.sent(&message(3, 1, 2, granted.clone())).expect("the same vote");
    says(
        bench.oracles.election.sent(&message(3, 2, 2, granted)),
        "election safety",
        "votes for m2",
    );
}

#[test]
fn entry_with_another_content_is_seen() {
    let mut bench = Bench::new();
    bench.lead(1, 1, &[noop(1, 1)]).expect("the first");
    let other = entry(1, 1, Payload::Command(bytes::Bytes::from_static(b"x")));
    says(bench.follow(2, 1, &[other]), "log matching", "another content");
}

#[test]
fn entry_behind_another_one_is_seen() {
    let mut bench = Bench::new();
    bench.follow(1, 2, &[noop(1, 1), noop(2, 2)]).expect("the first");
    says(bench.follow(2, 2, &[noop(1, 2), noop(2, 2)]), "log matching", "follows 1@2");
}

#[test]
fn log_that_is_not_what_was_written_is_seen() {
    let mut bench = Bench::new();
    let result = bench.step(1, &[noop(1, 1)], |now, _| now.last = EntryId::ZERO);
    says(result, "log matching", "was given out as");
}

#[test]
fn leader_that_replaces_its_entries_is_seen() {
    let mut bench = Bench::new();
    bench.follow(1, 1, &[noop(1, 1)]).expect("a follower's log");
    bench.lead(1, 2, &[noop(2, 2)]).expect("it appends");
    says(bench.lead(1, 2, &[noop(1, 2)]), "log matching", "leader m1 replaces");
}

#[test]
fn leader_without_what_is_committed_is_seen() {
    let mut bench = Bench::new();
    for id in [1, 2] {
        bench.store(id, &[noop(1, 1)]);
    }
    bench.lead(1, 1, &[noop(1, 1)]).expect("the first term");
    bench.commit(1, 1).expect("two of three hold it");
    says(bench.lead(3, 2, &[]), "leader completeness", "m3 leads term 2 without 1@1");
}

#[test]
fn entry_of_an_earlier_term_committed_by_counting_is_seen() {
    let mut bench = Bench::new();
    bench.lead(1, 2, &[noop(1, 1)]).expect("an entry of term 1");
    says(bench.commit(1, 1), "leader completeness", "by counting");
}

#[test]
fn follower_that_commits_on_its_own_is_seen() {
    let mut bench = Bench::new();
    bench.follow(1, 1, &[noop(1, 1)]).expect("it follows");
    says(bench.commit(1, 1), "leader completeness", "no leader has committed");
}

#[test]
fn commit_without_a_quorum_of_disks_is_seen() {
    let mut bench = Bench::new();
    bench.store(1, &[noop(1, 1)]);
    bench.lead(1, 1, &[noop(1, 1)]).expect("it leads");
    says(bench.commit(1, 1), "durability", "on the disks of m1 alone");
}

#[test]
fn committed_entry_that_is_replaced_is_seen() {
    let mut bench = Bench::new();
    for id in [1, 2] {
        bench.store(id, &[noop(1, 1)]);
    }
    bench.lead(1, 1, &[noop(1, 1)]).expect("it leads");
    bench.follow(2, 1, &[noop(1, 1)]).expect("it follows");
    bench.commit(1, 1).expect("two of three hold it");
    says(bench.follow(2, 2, &[noop(1, 2)]), "durability", "replaces 1@1, which is committed");
}

#[test]
fn cursor_ahead_of_the_disk_is_seen() {
    let mut bench = Bench::new();
    let result = bench.step(1, &[noop(1, 1)], |now, _| now.durable = Index(1));
    says(result, "durability", "takes 1@1 for durable");
}

#[test]
fn promise_that_is_not_on_the_disk_is_seen() {
    let mut bench = Bench::new();
    bench.store(1, &[noop(1, 1)]);
    let accepted = |matched| {
        let outcome = AppendOutcome::Accepted { matched: Index(matched) };
        Body::AppendResponse { round: Round::ZERO, outcome }
    };
    let disk = &bench.disks[0];
    durability::sent(&message(1, 2, 1, accepted(1)), disk).expect("it is on the disk");
    says(durability::sent(&message(1, 2, 1, accepted(2)), disk), "durability", "leaves");
    says(durability::sent(&message(1, 2, 2, accepted(1)), disk), "durability", "leaves");
    let vote = Body::VoteResponse { ballot: Ballot::Granted };
    says(durability::sent(&message(1, 2, 1, vote), disk), "durability", "leaves");
}

#[test]
fn different_states_at_one_index_are_seen() {
    let mut bench = Bench::new();
    bench.oracles.loaded(MemberId(1), Index(4), 7).expect("the first");
    bench.oracles.loaded(MemberId(2), Index(4), 7).expect("the same");
    says(bench.oracles.loaded(MemberId(3), Index(4), 8), "state machine safety", "states differ");
}

#[test]
fn applying_what_is_not_committed_is_seen() {
    let mut bench = Bench::new();
    let result = bench.oracles.applied(MemberId(1), &noop(1, 1), 0);
    says(result, "state machine safety", "which is not committed");
}

#[test]
fn stale_read_is_seen() {
    let mut reads = Reads::default();
    reads.asked(1, Index(5));
    reads.asked(2, Index(5));
    reads.ready(MemberId(1), 1, Index(5)).expect("all that was committed");
    says(reads.ready(MemberId(1), 2, Index(4)), "reads", "5 was committed");
    says(reads.ready(MemberId(1), 1, Index(5)), "reads", "does not wait");
}

#[test]
fn what_goes_back_is_seen() {
    let mut bench = Bench::new();
    bench.follow(1, 3, &[]).expect("a term");
    says(bench.follow(1, 2, &[]), "monotonic", "term 2 after 3");
    let mut bench = Bench::new();
    let vote = |to| move |now: &mut Status, _: &mut Effects| now.vote = Some(MemberId(to));
    bench.step(1, &[], vote(2)).expect("a vote");
    says(bench.step(1, &[], vote(3)), "monotonic", "changes its vote");
}

#[test]
fn configurations_that_change_against_the_rules_are_seen() {
    let next = voters(&[1, 2, 3, 4]);
    let append = |bench: &mut Bench, index: u64, membership: &Membership| {
        bench.step(1, &[change(index, 1, membership.clone())], |now, _| {
            now.membership = membership.clone();
            now.membership_committed = false;
        })
    };
    let mut bench = Bench::new();
    bench.lead(1, 1, &[noop(1, 1)]).expect("it leads");
    says(append(&mut bench, 2, &next), "membership", "before it has committed in term 1");

    let committed = || {
        let mut bench = Bench::new();
        for id in [1, 2] {
            bench.store(id, &[noop(1, 1)]);
        }
        bench.lead(1, 1, &[noop(1, 1)]).expect("it leads");
        bench.commit(1, 1).expect("two of three hold it");
        bench
    };
    let mut bench = committed();
    append(&mut bench, 2, &next).expect("one voter more");
    let last = voters(&[1, 2, 3]);
    says(append(&mut bench, 3, &last), "membership", "is not committed");

    let mut bench = committed();
    says(append(&mut bench, 2, &voters(&[1, 4, 5])), "membership", "in one step");
}

#[test]
fn configuration_that_is_not_in_the_log_is_seen() {
    let mut bench = Bench::new();
    let result = bench.step(1, &[], |now, _| now.membership = voters(&[1]));
    says(result, "membership", "the last in its log is (m1 m2 m3)");
}

#[test]
fn message_that_only_a_broken_member_sends_is_seen() {
    let mut bench = Bench::new();
    let dropped = |reason| {
        move |_: &mut Status, effects: &mut Effects| {
            effects.dropped.push(Dropped { from: MemberId(2), reason });
        }
    };
    bench.step(1, &[], dropped(DropReason::StaleTerm)).expect("everyday life");
    says(bench.step(1, &[], dropped(DropReason::SecondLeader)), "protocol", "second leader");
}

#[test]
fn quorum_without_progress_is_seen() {
    let bench = Bench::new();
    let mut demand = liveness::Demand {
        healed: [MemberId(1), MemberId(2)].into(),
        acknowledged: None,
        read: std::collections::BTreeSet::new(),
    };
    let mut statuses = bench.seen.clone();
    says(demand.verdict(&statuses), "liveness", "there is no leader");
    statuses[0].role = RoleKind::Leader;
    says(demand.verdict(&statuses), "liveness", "no command is acknowledged");
    demand.acknowledged = Some(Index(1));
    statuses[0].applied = Index(1);
    says(demand.verdict(&statuses), "liveness", "m1 answers no read");
    demand.read.extend([MemberId(1), MemberId(2)]);
    says(demand.verdict(&statuses), "liveness", "m2 has applied 0 and not 1");
    statuses[1].applied = Index(1);
    demand.verdict(&statuses).expect("all is there");
}
