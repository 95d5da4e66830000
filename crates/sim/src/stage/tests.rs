//! The stage by itself: its faults, its checks and its trace.

use raft::{DurableState, Index, MemberId, Membership, Term};

use super::{Stage, any, from, kind, to};
use crate::stage::Kind;

/// A member that believes to be the only one.
fn alone(member: u64, term: u64) -> DurableState {
    let mut durable = DurableState::bootstrap(Membership::of_voters([MemberId(member)]));
    durable.hard_state.term = Term(term);
    durable
}

#[test]
#[should_panic(expected = "Log Matching")]
fn logs_that_part_before_an_entry_they_share_are_noticed() {
    let _ = Stage::builder(2).log(1, 2, &[1, 2]).log(2, 2, &[2, 2]).build();
}

#[test]
#[should_panic(expected = "State Machine Safety")]
fn two_entries_applied_at_one_index_are_noticed() {
    let commit = |durable: &mut DurableState| durable.hard_state.commit = Index(1);
    let builder = Stage::builder(2).log(1, 2, &[1]).log(2, 2, &[2]);
    let _ = builder.adjust(1, commit).adjust(2, commit).build();
}

#[test]
#[should_panic(expected = "Election Safety")]
fn two_leaders_of_one_term_are_noticed() {
    let mut stage = Stage::builder(2).durable(1, alone(1, 0)).durable(2, alone(2, 0)).build();
    stage.campaign(1);
    stage.campaign(2);
}

#[test]
#[should_panic(expected = "Leader Completeness")]
fn leader_without_a_committed_entry_is_noticed() {
    let mut stage = Stage::builder(2).durable(1, alone(1, 0)).durable(2, alone(2, 5)).build();
    stage.campaign(1);
    stage.campaign(2);
}

#[test]
fn same_steps_give_the_same_trace() {
    let play = || {
        let mut stage = Stage::new(3);
        stage.tick_until_campaign(2);
        stage.stabilize();
        stage.isolate(2);
        stage.propose(2, "a=1").expect("m2 leads");
        stage.run(30);
        stage.heal();
        stage.run(5);
        stage.into_trace()
    };
    let first = play();
    assert!(first.events.len() > 100, "the trace must hold what happened");
    assert_eq!(first, play(), "nothing but the steps may decide what happens");
}

#[test]
fn messages_are_delivered_held_delayed_and_lost_as_asked() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    assert_eq!(stage.in_flight().count(), 2, "an append for each follower");
    assert_eq!(stage.delay(to(2)), 1, "the one for m2 comes last now");
    assert_eq!(stage.in_flight().last().map(|message| message.to), Some(MemberId(2)));
    assert_eq!(stage.hold(to(2)), 1);
    assert_eq!(stage.deliver(kind(Kind::Append)), 1, "the held one is not under way");
    assert_eq!(stage.discard(from(3)), 1);
    assert_eq!(stage.committed(1), 1, "the answer was lost");
    assert_eq!(stage.let_go(), 1);
    assert_eq!(stage.duplicate(any), 1);
    stage.stabilize();
    assert_eq!(stage.applied(1), ["a=1"], "m2 has answered");
}

#[test]
fn crash_keeps_what_is_durable_and_nothing_else() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.hold_disk(2);
    stage.propose(1, "b=2").expect("m1 leads");
    stage.deliver(to(2));
    assert_eq!(stage.log_terms(2), [1, 1, 1]);
    assert_eq!(stage.writes_waiting(2), 1);
    stage.crash(2);
    stage.restart(2);
    assert_eq!(stage.log_terms(2), [1, 1], "the write that waited is lost");
    assert_eq!(stage.role(2), raft::RoleKind::Follower);
}
