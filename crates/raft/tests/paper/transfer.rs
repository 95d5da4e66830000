//! Leadership handed over: thesis §3.10.

use raft::membership::Change;
use raft::{
    Body, Campaign, DropReason, MemberId, MembershipError, ProposeError, RoleKind, Term,
    TransferError,
};
use sim::stage::{Kind, Stage, any, kind, to};

use super::one::{One, accepted, append, granted, id};

/// A leader of three whose followers hold everything.
fn leader() -> One {
    let mut one = One::leading(1, &[]);
    for member in [2, 3] {
        one.hear(member, 1, accepted(1));
    }
    one
}

/// Begins to hand over to m2, and returns to whom TimeoutNow is said.
fn hand_over(one: &mut One, to: Option<u64>) -> Vec<u64> {
    one.raft.transfer(to.map(MemberId)).expect("there is somebody");
    told(&one.settle())
}

fn told(said: &[raft::Message]) -> Vec<u64> {
    said.iter().filter(|m| m.body == Body::TimeoutNow).map(|m| m.to.0).collect()
}

/// Thesis §3.10, step 1: the old leader takes no commands any more, and no changes either.
#[test]
fn leader_that_hands_over_takes_no_commands() {
    let mut one = leader();
    hand_over(&mut one, Some(2));
    let refusal = ProposeError::Transferring { to: MemberId(2) };
    assert_eq!(one.raft.propose("a=1".into()), Err(refusal));
    let change = one.raft.change_membership(&[Change::Remove(MemberId(3))], "".into());
    assert_eq!(change, Err(MembershipError::Propose(refusal)));
    assert_eq!(one.raft.status().transferring_to, Some(MemberId(2)));
}

/// Thesis §3.10, step 2: the target's log is first made equal, and only then is it told.
#[test]
fn target_is_brought_up_to_date_before_it_is_told() {
    let mut one = leader();
    one.raft.propose("a=1".into()).expect("it leads");
    one.settle();
    one.hear(3, 1, accepted(2));
    assert_eq!(hand_over(&mut one, Some(2)), [0; 0], "m2 lacks an entry");
    assert_eq!(told(&one.hear(2, 1, accepted(2))), [2]);
}

/// Thesis §3.10, step 3: the target is told once, and at once if its log is equal.
#[test]
fn target_is_told_once() {
    let mut one = leader();
    assert_eq!(hand_over(&mut one, Some(2)), [2]);
    assert_eq!(hand_over(&mut one, Some(2)), [0; 0], "asking again changes nothing");
    assert_eq!(told(&one.tick(5)), [0; 0]);
}

/// Thesis §3.10, step 3: the target campaigns at once, in a new term, as if it had timed out. It
/// asks nobody first, since the leader wants it.
#[test]
fn target_campaigns_at_once() {
    let mut one = One::new(1, &[1]);
    one.hear(2, 1, append(id(1, 1), &[], 1));
    let said = one.hear(2, 1, Body::TimeoutNow);
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Candidate, Term(2)));
    let body = Body::RequestVote { last: id(1, 1), campaign: Campaign::Transfer };
    assert!(said.len() == 2 && said.iter().all(|m| m.body == body), "{said:?}");
}

/// Thesis §4.2.3: such a campaign is allowed by the leader, so voters answer it although they hear
/// from that leader.
#[test]
fn voters_answer_a_campaign_that_the_leader_wants() {
    let mut one = One::new(1, &[1]);
    one.hear(2, 1, append(id(1, 1), &[], 1));
    let body = Body::RequestVote { last: id(1, 1), campaign: Campaign::Transfer };
    assert_eq!(one.answer(3, 2, body), granted());
}

/// Thesis §3.10: when the target leads, its first message makes the old leader step down; no client
/// has waited for an election timeout.
#[test]
fn leadership_changes_without_a_tick() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.transfer(1, Some(3)).expect("m3 votes");
    stage.stabilize();
    assert_eq!((stage.leader(), stage.term(3)), (Some(3), 2));
    assert_eq!((stage.role(1), stage.status(1).leader), (RoleKind::Follower, Some(MemberId(3))));
}

/// Thesis §3.10: if it does not happen within an election timeout, the old leader gives up and
/// takes commands again.
#[test]
fn transfer_is_given_up_after_an_election_timeout() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.crash(3);
    stage.transfer(1, Some(3)).expect("m3 votes");
    stage.run(9);
    assert!(stage.propose(1, "a=1").is_err(), "it is still handing over");
    stage.run(1);
    assert_eq!(stage.status(1).transferring_to, None);
    stage.propose(1, "a=1").expect("it takes commands again");
    stage.run(1);
    assert_eq!((stage.leader(), stage.applied(2)), (Some(1), &["a=1".to_owned()][..]));
}

/// Thesis §3.10: a target that lags so far behind that it needs an image gets one first.
#[test]
fn target_that_needs_an_image_gets_it_first() {
    let mut stage = Stage::builder(3).configure(|config| config.catch_up_entries = 0).build();
    stage.elect(1);
    stage.isolate(3);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.snapshot(1);
    stage.heal();
    stage.transfer(1, Some(3)).expect("m3 votes");
    stage.run(4);
    assert_eq!((stage.leader(), stage.applied(3)), (Some(3), &["a=1".to_owned()][..]));
}

/// Thesis §3.10: only a voter can take over.
#[test]
fn learner_or_stranger_cannot_take_over() {
    let mut stage = Stage::builder(3).learners(1).build();
    stage.elect(1);
    for member in [4, 9] {
        let refused = stage.transfer(1, Some(member));
        assert_eq!(refused, Err(TransferError::NotVoter(MemberId(member))));
    }
}

/// Thesis §3.10: without a target the leader chooses the voter whose log has come furthest.
#[test]
fn leader_chooses_the_voter_that_has_come_furthest() {
    let mut one = leader();
    one.raft.propose("a=1".into()).expect("it leads");
    one.settle();
    one.hear(3, 1, accepted(2));
    assert_eq!(hand_over(&mut one, None), [3]);
}

/// Thesis §3.10: a leader that hears of nobody has nobody to hand over to.
#[test]
fn leader_that_is_alone_cannot_hand_over() {
    let mut stage = Stage::new(1);
    stage.elect(1);
    assert_eq!(stage.transfer(1, None), Err(TransferError::NoCandidate));
}

/// Only a leader hands over.
#[test]
fn follower_cannot_hand_over() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    let refused = stage.transfer(2, Some(3));
    assert_eq!(refused, Err(TransferError::NotLeader { leader: Some(MemberId(1)) }));
}

/// Handing over to the leader itself takes the request back.
#[test]
fn transfer_to_the_leader_itself_takes_it_back() {
    let mut one = leader();
    one.raft.propose("a=1".into()).expect("it leads");
    one.settle();
    hand_over(&mut one, Some(2));
    assert_eq!(one.raft.transfer(Some(MemberId(1))), Ok(MemberId(1)));
    assert!(one.raft.propose("b=2".into()).is_ok(), "commands are taken again");
    assert_eq!(told(&one.hear(2, 1, accepted(3))), [0; 0]);
}

/// A request to campaign counts only from the leader of the term: everybody else's is ignored.
#[test]
fn only_the_leader_can_make_a_member_campaign() {
    let mut one = One::new(3, &[]);
    one.hear(2, 3, append(raft::EntryId::ZERO, &[], 0));
    one.hear(3, 3, Body::TimeoutNow);
    one.hear(2, 2, Body::TimeoutNow);
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Follower, Term(3)));
    assert_eq!(one.dropped, [DropReason::WrongRole, DropReason::StaleTerm]);
}

/// Thesis §3.10: if the target's campaign fails, the old leader's followers come back to it or to
/// another, and nothing is lost.
#[test]
fn failed_transfer_loses_nothing() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.run(1);
    stage.transfer(1, Some(3)).expect("m3 votes");
    stage.deliver(|m| to(3)(m) && kind(Kind::TimeoutNow)(m));
    stage.discard(any);
    stage.crash(3);
    stage.run(60);
    let leader = stage.leader().expect("two of three elect one");
    stage.propose(leader, "b=2").expect("it leads");
    stage.run(2);
    assert_eq!(stage.applied(3 - leader), ["a=1", "b=2"]);
}
