//! Why nothing that was committed is lost: §5.4, and the properties of Figure 3.

use raft::{Body, EntryId, MemberId, ProposeError, RoleKind};
use sim::stage::{Kind, Stage, any, from, kind, to};

use super::one::{
    One, accepted, append, granted, id, pre_granted, pre_refused, refused, request_vote,
};

/// §5.4.1: a voter refuses a candidate whose log is less up-to-date than its own: the later last
/// term wins, and among equal terms the longer log.
#[test]
fn voter_compares_last_terms_and_then_lengths() {
    let candidates = [
        (id(3, 2), true),
        (id(4, 2), true),
        (id(2, 2), false),
        (id(9, 1), false),
        (id(1, 3), true),
        (EntryId::ZERO, false),
    ];
    for (last, votes) in candidates {
        let mut one = One::new(3, &[1, 2, 2]);
        let expected = if votes { granted() } else { refused() };
        assert_eq!(one.answer(2, 4, request_vote(last)), expected, "log that ends at {last}");
        let mut one = One::new(3, &[1, 2, 2]);
        let expected = if votes { pre_granted() } else { pre_refused() };
        let said = one.hear(2, 4, Body::PreVote { last });
        assert_eq!(said[0].body, expected, "log that ends at {last}");
    }
}

/// §5.4.1: who lacks a committed entry cannot be elected, since a majority holds it.
#[test]
fn member_that_lacks_a_committed_entry_is_not_elected() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(3);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.run(2);
    assert_eq!(stage.applied(2), ["a=1"]);
    stage.crash(1);
    stage.heal();
    stage.tick_all(9);
    for _ in 0..5 {
        stage.campaign(3);
        stage.stabilize();
        assert_ne!(stage.role(3), RoleKind::Leader, "m2 holds an entry that m3 lacks");
    }
    stage.run(60);
    assert_eq!(stage.leader(), Some(2));
}

/// §5.4.2: entries of earlier terms are not committed by counting them.
#[test]
fn entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut one = One::leading(4, &[1, 2]);
    one.hear(2, 4, accepted(2));
    one.hear(3, 4, accepted(2));
    assert_eq!(one.committed(), 0, "all hold entry 2, which is of an earlier term");
}

/// §5.4.2: they are committed with the first entry of the leader's own term.
#[test]
fn entry_of_the_own_term_commits_all_before_it() {
    let mut one = One::leading(4, &[1, 2]);
    one.hear(2, 4, accepted(3));
    assert_eq!(one.committed(), 3);
}

/// §5.4.2, Figure 8: m1 replicates its old entry to a majority and crashes; m5, which holds a later
/// one in its place, may then win and replace it. Nothing of it was committed.
#[test]
fn entry_on_a_majority_may_be_replaced_while_it_is_not_committed() {
    let mut stage = figure_8();
    stage.crash(1);
    stage.tick_all(20);
    stage.discard(any);
    stage.elect(5);
    stage.run(2);
    assert_eq!(stage.log_terms(2), [1, 3, 5]);
    assert_eq!(stage.log_terms(3), [1, 3, 5]);
    assert_eq!(stage.applied(2), ["1@1", "2@3"]);
}

/// §5.4.2, Figure 8: but once an entry of m1's own term is on a majority, m5 cannot win.
#[test]
fn entry_of_the_own_term_on_a_majority_keeps_rivals_out() {
    let mut stage = figure_8();
    stage.stabilize_only(|m| m.to.0 <= 3 && m.from.0 <= 3);
    assert_eq!(stage.committed(1), 3);
    stage.crash(1);
    stage.run(20);
    assert_ne!(stage.leader(), Some(5));
    stage.campaign(5);
    stage.stabilize();
    assert_ne!(stage.leader(), Some(5));
    assert_eq!(stage.log_terms(5)[..3], [1, 2, 4]);
}

/// Part (c) of Figure 8: m1 leads term 4 and has brought its entry of term 2 to m2 and m3.
fn figure_8() -> Stage {
    let mut stage = Stage::builder(5)
        .log(1, 3, &[1, 2])
        .log(2, 3, &[1, 2])
        .log(3, 3, &[1])
        .log(4, 3, &[1])
        .log(5, 3, &[1, 3])
        .configure(|config| config.append_entries_max = 1)
        .build();
    stage.campaign(1);
    let election =
        [Kind::PreVote, Kind::PreVoteResponse, Kind::RequestVote, Kind::VoteResponse].map(kind);
    stage.stabilize_only(|m| election.iter().any(|is| is(m)));
    assert_eq!((stage.leader(), stage.term(1)), (Some(1), 4), "m1 leads term 4");
    stage.discard(|m| m.to.0 > 3);
    // The probe at the end of m3's log is refused, and what is missing is sent alone.
    while stage.log_terms(3) != [1, 2] {
        stage.deliver_one(|m| to(3)(m) || from(3)(m)).expect("m3 is brought up to date");
    }
    stage.discard(any);
    assert_eq!((stage.committed(1), stage.log_terms(2)), (0, vec![1, 2]), "part (c)");
    stage.tick(1);
    stage
}

/// Figure 3, Election Safety: a leader that is cut off and its successor lead different terms.
#[test]
fn two_leaders_lead_different_terms() {
    let mut stage = Stage::new(5);
    stage.elect(1);
    stage.partition(&[&[1, 2]]);
    stage.tick_all(9);
    stage.discard(any);
    stage.tick(3);
    stage.tick(4);
    stage.tick(5);
    stage.elect(3);
    assert_eq!((stage.role(1), stage.term(1)), (RoleKind::Leader, 1));
    assert_eq!((stage.role(3), stage.term(3)), (RoleKind::Leader, 2));
}

/// Figure 3, State Machine Safety: what the old leader alone holds is replaced, never applied, and
/// its clients learn nothing false.
#[test]
fn entry_of_a_leader_that_is_cut_off_is_never_applied() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(1);
    let lost = stage.propose(1, "a=1").expect("m1 believes that it leads");
    stage.run(60);
    let leader = stage.leader().expect("the others elect one");
    let kept = stage.propose(leader, "b=2").expect("it leads");
    assert!(kept.index >= lost.index, "the no-op or the new command stands where a=1 stood");
    stage.heal();
    stage.run(20);
    for member in 1..=3 {
        assert_eq!(stage.applied(member), ["b=2"], "m{member}");
    }
}

/// Figure 3, Log Matching: an append is taken only where the logs already agree, so that equal
/// entries have equal histories.
#[test]
fn append_is_never_taken_across_a_gap_or_a_difference() {
    for prev in [id(2, 2), id(3, 1), id(3, 3), id(5, 3)] {
        let mut one = One::new(3, &[1, 1, 2]);
        one.hear(2, 3, append(prev, &[3], 9));
        assert_eq!((one.log(), one.committed()), (vec![1, 1, 2], 0), "append after {prev}");
    }
}

/// Figure 3, Leader Append-Only, seen from the client: a member that does not lead appends nothing.
#[test]
fn only_a_leader_appends_commands() {
    let mut one = One::new(1, &[1]);
    one.hear(2, 1, append(id(1, 1), &[], 1));
    let refused = one.raft.propose("a=1".into());
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(MemberId(2)) }));
    assert_eq!(one.log(), [1]);
}
