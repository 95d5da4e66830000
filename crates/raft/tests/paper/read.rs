//! Reads that write nothing: thesis §6.2 (CheckQuorum), §6.4 (ReadIndex), §6.4.1 (leases).

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    AppendOutcome, Body, Config, DropReason, EntryId, Index, Input, MemberId, Message,
    ReadConfirmation, ReadFailure, ReadId, ReadOutcome, RoleKind, Round, Term,
};
use sim::stage::{Kind, Stage, any, kind, link, to};

use super::one::{
    One, accepted, accepted_in, append, disk, granted, id, pre_granted, pre_refused, request_vote,
    voters,
};

/// A leader of three whose no-op is committed.
fn leader() -> One {
    let mut one = One::leading(1, &[]);
    one.hear(2, 1, accepted(1));
    one.hear(3, 1, accepted(1));
    one
}

/// Such a leader that relies on a lease of ten ticks less two.
fn leader_with_leases() -> One {
    let mut one = One::start(config_with_leases(), disk(&voters(3), 0, &[]));
    one.tick(10);
    let mut one = one.lead();
    one.hear(2, 1, accepted(1));
    one.hear(3, 1, accepted(1));
    one
}

fn config_with_leases() -> Config {
    let read_confirmation = ReadConfirmation::LeaderLease { drift_ticks: 2 };
    Config { read_confirmation, ..Config::new(MemberId(1), 1) }
}

/// Asks a member to read, and returns what is said.
fn read(one: &mut One, read: u64) -> Vec<Message> {
    one.raft.read(ReadId(read)).expect("a leader is known");
    one.settle()
}

fn ready(read: u64, index: u64) -> ReadOutcome {
    ReadOutcome::Ready { id: ReadId(read), index: Index(index) }
}

/// The rounds that messages ask about.
fn rounds(said: &[Message]) -> Vec<u64> {
    said.iter()
        .filter_map(|message| match &message.body {
            Body::AppendEntries { round, .. } => Some(round.0),
            Body::PreVote { .. }
            | Body::PreVoteResponse { .. }
            | Body::RequestVote { .. }
            | Body::VoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::InstallSnapshot { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => None,
        })
        .collect()
}

// === CheckQuorum (thesis §6.2) ===

/// Thesis §6.2: a leader that no majority has answered for an election timeout steps down, so that
/// its clients look for another.
#[test]
fn leader_without_a_majority_steps_down_after_an_election_timeout() {
    let mut one = leader();
    one.tick(9);
    assert_eq!(one.raft.role(), RoleKind::Leader);
    one.tick(1);
    assert_eq!((one.raft.role(), one.raft.leader()), (RoleKind::Follower, None));
    assert_eq!(one.raft.term().0, 1, "it steps down in its own term");
}

/// Thesis §6.2: answers of a majority keep it, whatever they say.
#[test]
fn leader_with_a_majority_keeps_leading() {
    let mut one = leader();
    for _ in 0..20 {
        one.tick(5);
        one.hear(3, 1, accepted(0));
    }
    assert_eq!(one.raft.role(), RoleKind::Leader);
}

/// Thesis §6.2: what learners answer does not keep it.
#[test]
fn answers_of_learners_do_not_keep_a_leader() {
    let mut stage = Stage::builder(3).learners(2).build();
    stage.elect(1);
    stage.partition(&[&[1, 4, 5]]);
    stage.run(10);
    assert_eq!(stage.role(1), RoleKind::Follower);
}

// === ReadIndex (thesis §6.4) ===

/// Thesis §6.4, step 1: a leader that has committed nothing in its term lets reads wait.
#[test]
fn read_waits_for_the_first_commit_of_the_term() {
    let mut one = One::leading(2, &[1]);
    read(&mut one, 7);
    one.hear(2, 2, accepted(1));
    one.hear(3, 2, accepted(1));
    assert_eq!(one.reads, [], "its no-op is not committed");
    one.hear(2, 2, accepted(2));
    one.hear(2, 2, accepted_in(1, 2));
    assert_eq!(one.reads, [ready(7, 2)]);
}

/// Thesis §6.4, step 2: the read index is the commit index at the time the read arrived.
#[test]
fn read_index_is_the_commit_index_when_the_read_arrived() {
    let mut one = leader();
    read(&mut one, 7);
    one.raft.propose(Bytes::from_static(b"a=1")).expect("it leads");
    one.settle();
    one.hear(2, 1, accepted(2));
    assert_eq!(one.committed(), 2);
    one.hear(2, 1, accepted_in(1, 2));
    assert_eq!(one.reads, [ready(7, 1)]);
}

/// Thesis §6.4, step 3: a majority must answer a heartbeat that was sent after the read arrived.
/// The leader numbers its rounds, and answers to earlier ones prove nothing.
#[test]
fn answer_to_an_earlier_round_does_not_release_a_read() {
    let mut one = leader();
    assert_eq!(rounds(&read(&mut one, 7)), [1, 1]);
    one.hear(2, 1, accepted_in(0, 1));
    assert_eq!(one.reads, []);
    one.hear(2, 1, accepted_in(1, 1));
    assert_eq!(one.reads, [ready(7, 1)]);
    assert_eq!(rounds(&read(&mut one, 8)), [2, 2]);
    one.hear(3, 1, accepted_in(1, 1));
    assert_eq!(one.reads.len(), 1, "that answer may be older than the second read");
}

/// Thesis §6.4, step 3: with five members, two must answer.
#[test]
fn read_is_released_by_a_majority_and_no_fewer() {
    let mut stage = Stage::new(5);
    stage.elect(1);
    stage.read(1, 7).expect("there is room");
    stage.deliver(to(2));
    stage.stabilize_only(to(1));
    assert_eq!(stage.read_outcome(1, 7), None);
    stage.deliver(to(3));
    stage.stabilize_only(to(1));
    assert_eq!(stage.read_outcome(1, 7), Some(ready(7, 1)));
}

/// Thesis §6.4, step 4: the service reads once it has applied that far; the index tells it.
#[test]
fn read_tells_how_far_the_service_must_have_applied() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.hold_service(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.read(1, 7).expect("there is room");
    stage.stabilize();
    assert_eq!(stage.read_outcome(1, 7), Some(ready(7, 2)));
    assert_eq!(stage.status(1).applied, Index(1), "it is released, and must wait for index 2");
}

/// Thesis §6.4: reads that arrive while a round is under way share the next one.
#[test]
fn reads_share_rounds() {
    let mut one = leader();
    assert_eq!(rounds(&read(&mut one, 1)), [1, 1]);
    for late in 2..10 {
        assert_eq!(rounds(&read(&mut one, late)), [0; 0], "a round is under way");
    }
    let said = one.hear(2, 1, accepted_in(1, 1));
    assert_eq!((one.reads.len(), rounds(&said)), (1, vec![2, 2]));
    one.hear(3, 1, accepted_in(2, 1));
    assert_eq!(one.reads.len(), 9);
}

/// Thesis §6.4: if the answers are lost, the next heartbeat asks anew, with a number of its own.
#[test]
fn each_repetition_is_a_round_of_its_own() {
    let mut one = leader();
    assert_eq!(rounds(&read(&mut one, 7)), [1, 1]);
    assert_eq!(rounds(&one.tick(1)), [2, 2]);
    assert_eq!(rounds(&one.tick(1)), [3, 3]);
    one.hear(2, 1, accepted_in(1, 1));
    assert_eq!(one.reads, [ready(7, 1)], "the first round began after the read, too");
}

/// Thesis §6.4: answers said to the leader of another term prove nothing.
#[test]
fn answer_of_another_term_does_not_release_a_read() {
    let mut one = One::leading(3, &[1]);
    one.hear(2, 3, accepted(2));
    read(&mut one, 7);
    one.hear(2, 2, accepted_in(1, 2));
    assert_eq!((one.reads.len(), one.dropped.as_slice()), (0, &[DropReason::StaleTerm][..]));
    one.hear(2, 4, accepted_in(1, 2));
    let reason = ReadFailure::LeaderChanged;
    assert_eq!(one.reads, [ReadOutcome::Failed { id: ReadId(7), reason }]);
}

/// A leader that stops leading fails its reads at once: nobody waits for a timeout.
#[test]
fn reads_fail_at_once_when_leadership_ends() {
    let mut one = One::leading(2, &[1]);
    read(&mut one, 1);
    let mut late = leader();
    read(&mut late, 1);
    for mut one in [one, late] {
        one.hear(3, 9, append(EntryId::ZERO, &[], 0));
        let reason = ReadFailure::LeaderChanged;
        assert_eq!(one.reads, [ReadOutcome::Failed { id: ReadId(1), reason }]);
    }
}

/// Thesis §6.4: a cluster of one needs nobody's answer.
#[test]
fn single_voter_reads_at_once() {
    let mut stage = Stage::new(1);
    stage.elect(1);
    stage.read(1, 7).expect("it leads");
    assert_eq!(stage.read_outcome(1, 7), Some(ready(7, 1)));
}

/// Thesis §6.4: a follower asks the leader for the read index, and then reads by itself.
#[test]
fn follower_asks_the_leader_and_reads_by_itself() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.read(3, 7).expect("the leader is known");
    assert!(stage.in_flight().all(kind(Kind::ReadIndex)), "it asks");
    stage.stabilize();
    assert_eq!(stage.read_outcome(3, 7), Some(ready(7, 2)));
}

/// Thesis §6.4: the leader confirms its leadership for the follower's read, too.
#[test]
fn leader_confirms_its_leadership_for_the_reads_of_others() {
    let mut one = leader();
    let said = one.hear(3, 1, Body::ReadIndex { nonce: 5 });
    assert_eq!(rounds(&said), [1, 1]);
    let said = one.hear(2, 1, accepted_in(1, 1));
    let body = Body::ReadIndexResponse { nonce: 5, index: Index(1) };
    assert_eq!(said.iter().map(|m| (m.to.0, &m.body)).collect::<Vec<_>>(), [(3, &body)]);
}

/// A follower's read fails when its leader changes, and when an election timeout passes without an
/// answer.
#[test]
fn read_of_a_follower_fails_if_the_leader_changes_or_says_nothing() {
    let follower = || {
        let mut one = One::new(1, &[]);
        one.hear(2, 1, append(EntryId::ZERO, &[], 0));
        read(&mut one, 7);
        one
    };
    let failed = |reason| [ReadOutcome::Failed { id: ReadId(7), reason }];
    let mut one = follower();
    one.hear(3, 2, append(EntryId::ZERO, &[], 0));
    assert_eq!(one.reads, failed(ReadFailure::LeaderChanged));
    let mut one = follower();
    for _ in 0..10 {
        assert_eq!(one.reads, []);
        one.hear(2, 1, append(EntryId::ZERO, &[], 0));
        one.tick(1);
    }
    assert_eq!(one.reads, failed(ReadFailure::Timeout));
}

/// An answer to a question that nobody has asked, or that was given up, is dropped.
#[test]
fn answer_that_nobody_waits_for_is_dropped() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    one.hear(2, 1, Body::ReadIndexResponse { nonce: 1, index: Index(9) });
    assert_eq!((one.reads.len(), one.dropped.as_slice()), (0, &[DropReason::Unexpected][..]));
}

// === Leases (thesis §6.4.1) ===

/// Thesis §6.4.1: within the lease a read is answered at once, without a message.
#[test]
fn read_within_the_lease_is_answered_at_once() {
    let mut one = leader_with_leases();
    one.tick(1);
    one.hear(2, 1, accepted_in(1, 1));
    assert_eq!(read(&mut one, 7), []);
    assert_eq!(one.reads, [ready(7, 1)]);
}

/// Thesis §6.4.1: the lease begins when the round was sent, not when it was answered, and lasts an
/// election timeout less the margin for drift.
#[test]
fn lease_lasts_an_election_timeout_less_the_drift_from_the_sending_of_the_round() {
    for (answered_after, holds_for) in [(0, 7), (5, 2)] {
        let mut one = leader_with_leases();
        one.tick(1);
        one.tick(answered_after);
        one.hear(2, 1, accepted_in(1, 1));
        one.tick(holds_for);
        read(&mut one, 1);
        assert_eq!(one.reads, [ready(1, 1)], "answered after {answered_after} ticks");
        one.tick(1);
        read(&mut one, 2);
        assert_eq!(one.reads.len(), 1, "answered after {answered_after} ticks");
    }
}

/// Thesis §6.4.1: every heartbeat that a majority answers extends the lease.
#[test]
fn heartbeats_extend_the_lease() {
    let configure = |config: &mut Config| {
        config.read_confirmation = ReadConfirmation::LeaderLease { drift_ticks: 2 };
    };
    let mut stage = Stage::builder(3).configure(configure).build();
    stage.tick_all(9);
    stage.discard(any);
    stage.run(60);
    let leader = stage.leader().expect("somebody wins");
    for round in 0..50 {
        stage.run(1);
        stage.read(leader, round).expect("it leads");
        assert!(stage.read_outcome(leader, round).is_some(), "read {round} is answered at once");
    }
}

/// Thesis §6.4.1: without leases, which is the default, no read is answered without a round.
#[test]
fn leases_are_off_unless_asked_for() {
    let mut one = leader();
    assert_eq!(Config::new(MemberId(1), 1).read_confirmation, ReadConfirmation::Quorum);
    one.tick(1);
    one.hear(2, 1, accepted_in(0, 1));
    assert_eq!(rounds(&read(&mut one, 7)), [1, 1]);
}

/// Thesis §6.4.1: a process that was paused has missed ticks: its lease is void.
#[test]
fn pause_voids_the_lease() {
    let mut one = leader_with_leases();
    one.tick(2);
    one.hear(2, 1, accepted_in(1, 1));
    one.give(Input::Paused);
    read(&mut one, 7);
    one.hear(2, 1, accepted_in(2, 1));
    assert_eq!(one.reads, [], "round 2 was sent before the pause");
    read(&mut one, 8);
    assert_eq!(one.reads, [], "so it gives no lease either");
}

/// Thesis §6.4.1: a transfer ends the lease for good, since the others vote despite it.
#[test]
fn transfer_ends_the_lease_for_the_term() {
    let mut one = leader_with_leases();
    one.tick(1);
    one.hear(2, 1, accepted_in(1, 1));
    one.raft.transfer(Some(MemberId(2))).expect("m2 votes");
    one.settle();
    one.raft.transfer(Some(MemberId(1))).expect("it takes that back");
    read(&mut one, 7);
    assert_eq!(one.reads, [], "m2 may be campaigning");
    one.hear(2, 1, accepted_in(2, 1));
    assert_eq!(one.reads, [ready(7, 1)]);
    one.tick(1);
    one.hear(2, 1, accepted_in(3, 1));
    read(&mut one, 8);
    assert_eq!(one.reads.len(), 1);
}

/// Thesis §6.4.1: a lease rests on a majority of one configuration; a new one voids it.
#[test]
fn change_of_the_configuration_voids_the_lease() {
    let mut one = leader_with_leases();
    one.tick(1);
    one.hear(2, 1, accepted_in(1, 1));
    one.raft.change_membership(&[Change::AddVoter(MemberId(4))], Bytes::new()).expect("it may");
    one.settle();
    read(&mut one, 7);
    assert_eq!(one.reads, []);
}

/// Thesis §6.4.1: a member that restarts may have promised something, and gives no vote before an
/// election timeout has passed.
#[test]
fn member_that_restarts_gives_no_vote_while_a_lease_may_hold() {
    let mut one = One::start(config_with_leases(), disk(&voters(3), 1, &[]));
    one.tick(9);
    assert_eq!(one.hear(2, 2, request_vote(EntryId::ZERO)), []);
    assert_ne!(one.answer(2, 2, Body::PreVote { last: EntryId::ZERO }), pre_granted());
    one.raft.feed(Input::Tick);
    assert_eq!(
        one.hear(2, 2, request_vote(EntryId::ZERO)).last().map(|m| &m.body),
        Some(&granted())
    );
}

/// Thesis §6.4.1: with leases, a member that hears from a leader neither campaigns nor forgets that
/// leader on demand; without them, it does.
#[test]
fn follower_keeps_the_promise_that_a_lease_rests_on() {
    for (config, keeps) in [(config_with_leases(), true), (Config::new(MemberId(1), 1), false)] {
        let mut one = One::start(config, disk(&voters(3), 1, &[1]));
        one.tick(10);
        one.hear(2, 1, append(id(1, 1), &[], 0));
        one.give(Input::ForgetLeader);
        assert_eq!(one.raft.leader() == Some(MemberId(2)), keeps);
        one.hear(2, 1, append(id(1, 1), &[], 0));
        one.give(Input::Campaign);
        assert_eq!(one.raft.role() == RoleKind::Follower, keeps);
    }
}

/// A round is answered with its own number also when the append is refused: a follower that follows
/// confirms the leader all the same.
#[test]
fn refusal_answers_the_round() {
    let mut one = One::new(1, &[]);
    let body = Body::AppendEntries {
        prev: id(4, 1),
        entries: Vec::new(),
        commit: Index::ZERO,
        round: Round(3),
    };
    let outcome = AppendOutcome::Rejected { prev: Index(4), hint: EntryId::ZERO };
    assert_eq!(one.answer(2, 1, body), Body::AppendResponse { round: Round(3), outcome });
}

/// Thesis §6.4.1: the promise that a lease rests on outlives the term in which it was made, however
/// the member hears of the later one.
#[test]
fn promise_of_a_lease_outlives_the_term() {
    let mut one = One::start(config_with_leases(), disk(&voters(3), 1, &[]));
    one.tick(10);
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    one.hear(3, 2, pre_refused());
    assert_eq!(one.raft.term(), Term(2));
    let answer = one.hear(3, 2, request_vote(EntryId::ZERO));
    assert!(answer.iter().all(|message| message.body != granted()), "{answer:?}");
    one.tick(10);
    one.hear(3, 2, request_vote(EntryId::ZERO));
    assert_eq!(one.raft.status().vote, Some(MemberId(3)), "the promise has run out");
}

/// The same, with five members: m3 has asked for votes before m1, which was cut off for a moment,
/// has its lease confirmed by m2 and m5. m2 must not elect m3 while m1 reads without asking.
#[test]
fn campaign_from_before_the_lease_elects_nobody_while_it_holds() {
    let lease = ReadConfirmation::LeaderLease { drift_ticks: 2 };
    let mut stage = Stage::builder(5).configure(move |c| c.read_confirmation = lease).build();
    stage.run(30);
    let first = stage.leader().expect("somebody leads");
    stage.transfer(first, Some(1)).expect("m1 votes");
    stage.stabilize();
    stage.run(2);
    let term = stage.term(1);
    assert_eq!(stage.role(1), RoleKind::Leader);
    stage.partition(&[&[1], &[2, 3, 4, 5]]);
    // The last answers were two ticks under way: what is eight ticks for m1 is ten for the others.
    (0..8).for_each(|_| stage.tick(1));
    (2..=5).for_each(|member| (0..10).for_each(|_| stage.tick(member)));
    stage.discard(any);
    stage.campaign(3);
    stage.deliver(|m| kind(Kind::PreVote)(m) && !to(2)(m));
    stage.deliver(kind(Kind::PreVoteResponse));
    stage.deliver(|m| kind(Kind::RequestVote)(m) && to(4)(m));
    assert_eq!((stage.role(3), stage.term(4)), (RoleKind::Candidate, term + 1));
    stage.campaign(2);
    stage.deliver(|m| link(2, 4)(m));
    // Still under way: to m2, what m3 asks, and the later term that m4 answers with.
    stage.heal();
    stage.tick(1);
    stage.deliver(|m| link(1, 2)(m) || link(1, 5)(m));
    stage.deliver(to(1));
    assert_eq!(stage.role(1), RoleKind::Leader, "m2 and m5 follow it");
    stage.partition(&[&[1], &[2, 3, 4, 5]]);
    stage.deliver(link(4, 2));
    stage.stabilize();
    if stage.role(3) == RoleKind::Leader {
        stage.propose(3, "a=1").expect("m3 leads");
        stage.stabilize();
    }
    stage.read(1, 7).expect("m1 leads");
    let outcome = stage.read_outcome(1, 7);
    let elsewhere = stage.committed(3);
    assert!(
        !matches!(outcome, Some(ReadOutcome::Ready { index, .. }) if index.0 < elsewhere),
        "{outcome:?}, and m3 has committed {elsewhere}"
    );
}

/// A round that meets a command on its way is asked about by itself too: the answer to the command
/// waits for a disk.
#[test]
fn round_does_not_wait_for_the_disks_of_followers() {
    let mut one = leader();
    one.raft.propose("a=1".into()).expect("it leads");
    let said = read(&mut one, 7);
    let asked = said.iter().filter(|m| kind(Kind::Heartbeat)(m));
    assert_eq!(asked.count(), 2, "{said:?}");
}

/// A follower lets only so many reads wait, like a leader.
#[test]
fn reads_that_wait_at_a_follower_are_limited() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    let refused = (0..100_000).find(|read| one.raft.read(ReadId(*read)).is_err());
    assert!(refused.is_some());
}
