//! The question before an election: thesis §9.6. It is always asked, and never by a campaign that
//! the leader wants (thesis §3.10).

use raft::{Ballot, Body, Config, DropReason, EntryId, Input, MemberId, RoleKind, Term};
use sim::stage::{Stage, any};

use super::one::{One, append, disk, granted, id, pre_granted, pre_refused, request_vote, voters};

/// A member of five that has just asked whether it could win.
fn asking() -> One {
    let mut one = One::start(Config::new(MemberId(1), 1), disk(&voters(5), 3, &[1]));
    one.give(Input::Campaign);
    one
}

/// Thesis §9.6: a member that asks does not raise its term, and votes for nobody.
#[test]
fn asking_changes_neither_term_nor_vote() {
    let one = asking();
    let status = one.raft.status();
    assert_eq!((status.role, status.term, status.vote), (RoleKind::PreCandidate, Term(3), None));
    assert_eq!(one.written, [], "so there is nothing to write");
}

/// Thesis §9.6: it asks all voters about the term after its own.
#[test]
fn question_is_about_the_next_term() {
    let mut one = One::new(3, &[1]);
    let said = one.give(Input::Campaign);
    assert_eq!(said.iter().map(|m| (m.to.0, m.term.0)).collect::<Vec<_>>(), [(2, 4), (3, 4)]);
    assert!(said.iter().all(|m| m.body == Body::PreVote { last: id(1, 1) }), "{said:?}");
}

/// Thesis §9.6: only with the promises of a majority does it campaign and raise its term.
#[test]
fn campaign_begins_with_the_promises_of_a_majority() {
    let mut one = asking();
    one.hear(2, 4, pre_granted());
    one.hear(2, 4, pre_granted());
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::PreCandidate, Term(3)));
    one.hear(3, 4, pre_granted());
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Candidate, Term(4)));
}

/// A member to which a majority has said no follows again, until its next timeout.
#[test]
fn member_that_a_majority_refuses_follows_again() {
    let mut one = asking();
    for voter in [2, 3, 4] {
        assert_eq!(one.raft.role(), RoleKind::PreCandidate);
        one.hear(voter, 3, pre_refused());
    }
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Follower, Term(3)));
}

/// A promise for another term than the one that was asked about does not count.
#[test]
fn promise_for_another_term_does_not_count() {
    let mut one = asking();
    for (voter, term) in [(2, 3), (3, 5), (4, 9)] {
        one.hear(voter, term, pre_granted());
    }
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::PreCandidate, Term(3)));
    assert_eq!(one.dropped, [DropReason::StaleTerm; 3]);
}

/// Thesis §9.6: a member promises its vote for a later term to a log that is up-to-date, if it has
/// heard from no leader within the shortest election timeout.
#[test]
fn promise_is_given_once_the_leader_is_silent() {
    let mut one = One::new(3, &[1]);
    one.hear(2, 3, append(id(1, 1), &[], 0));
    let question = || Body::PreVote { last: id(1, 1) };
    one.tick(9);
    assert_eq!(one.answer(3, 4, question()), pre_refused());
    one.raft.feed(Input::Tick);
    let said = one.hear(3, 4, question());
    assert!(said.iter().any(|m| m.body == pre_granted() && m.term == Term(4)), "{said:?}");
}

/// Thesis §9.6: about a term that is not later than its own it promises nothing, and tells its own.
#[test]
fn promise_is_refused_for_a_term_that_is_over() {
    let mut one = One::new(3, &[1]);
    for term in [1, 2, 3] {
        assert_eq!(one.answer(2, term, Body::PreVote { last: id(9, 3) }), pre_refused());
    }
}

/// Thesis §9.6: a promise binds nobody: it changes neither term nor vote, writes nothing, holds off
/// no timeout, and may be given to several.
#[test]
fn promise_binds_nobody() {
    let mut one = One::new(3, &[1]);
    let timeout = one.raft.status().election_timeout_ticks;
    one.tick(timeout - 1);
    for member in [2, 3, 2] {
        let said = one.hear(member, 4, Body::PreVote { last: id(1, 1) });
        assert_eq!((&said[0].body, said[0].term), (&pre_granted(), Term(4)));
    }
    let status = one.raft.status();
    assert_eq!((status.term, status.vote, one.written.len()), (Term(3), None, 0));
    one.tick(1);
    assert_eq!(one.raft.role(), RoleKind::PreCandidate, "its own timeout has passed");
}

/// Thesis §9.6: a leader promises its vote to nobody.
#[test]
fn leader_promises_nothing() {
    let mut one = One::leading(3, &[]);
    assert_eq!(one.answer(2, 9, Body::PreVote { last: id(9, 8) }), pre_refused());
    assert_eq!(one.raft.role(), RoleKind::Leader);
}

/// A refusal tells a member that is behind of the newer term, so that it can ask about a term that
/// is still to come.
#[test]
fn refusal_tells_the_newer_term() {
    let mut one = asking();
    one.hear(2, 7, pre_refused());
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Follower, Term(7)));
}

/// Thesis §9.6: a member that asks and then hears from a leader follows it.
#[test]
fn member_that_asks_follows_a_leader_that_speaks() {
    let mut one = asking();
    one.hear(2, 3, append(EntryId::ZERO, &[], 0));
    assert_eq!((one.raft.role(), one.raft.leader()), (RoleKind::Follower, Some(MemberId(2))));
    one.hear(3, 4, pre_granted());
    one.hear(4, 4, pre_granted());
    assert_eq!(one.raft.role(), RoleKind::Follower, "late promises count no more");
}

/// A member that asks may still vote for another in its own term, and then follows.
#[test]
fn member_that_asks_may_vote_for_another() {
    let mut one = asking();
    assert_eq!(one.answer(2, 3, request_vote(id(1, 1))), granted());
    assert_eq!(one.raft.role(), RoleKind::Follower);
}

/// Thesis §9.6: a member that comes back from a partition disturbs nobody: it has raised no term.
#[test]
fn member_that_was_cut_off_comes_back_in_the_same_term() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(3);
    stage.run(200);
    assert_eq!((stage.role(3), stage.term(3)), (RoleKind::PreCandidate, 1));
    stage.heal();
    stage.run(40);
    assert_eq!((stage.leader(), stage.term(1)), (Some(1), 1));
    assert_eq!(stage.status(3).leader, Some(MemberId(1)));
}

/// Thesis §9.6: nor does one whose log has fallen behind while no leader is there.
#[test]
fn member_with_an_old_log_raises_no_term() {
    let mut stage = Stage::builder(3).log(1, 2, &[1, 2]).log(2, 2, &[1, 2]).log(3, 2, &[1]).build();
    for _ in 0..5 {
        stage.campaign(3);
        stage.stabilize();
    }
    assert_eq!((stage.term(3), stage.term(1)), (2, 2));
    stage.discard(any);
    let refusal = Body::PreVoteResponse { ballot: Ballot::Refused };
    assert!(stage.take_lines().iter().any(|line| line.contains(&refusal.to_string())), "refused");
}

/// A cluster in which all ask at once still elects a leader.
#[test]
fn questions_that_cross_each_other_do_no_harm() {
    let mut stage = Stage::new(3);
    for member in 1..=3 {
        stage.campaign(member);
    }
    stage.run(100);
    assert!(stage.leader().is_some(), "some timeout passes first");
}
