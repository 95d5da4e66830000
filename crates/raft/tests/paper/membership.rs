//! Changes of the configuration: §6, and thesis §4.1, §4.2 with the correction of 2015.

use bytes::Bytes;
use raft::membership::{Change, ChangeError};
use raft::{
    Body, Campaign, Entry, EntryId, Index, MemberId, Membership, MembershipChange, MembershipError,
    Payload, RoleKind, Round, Term,
};
use sim::stage::{Kind, Stage, any, from, kind, to};

use super::one::{One, accepted, append, granted, id, request_vote, voters};

/// Replaces m2 and m3 by m4 and m5: two voters at least must agree in each half.
fn replace_two() -> [Change; 4] {
    [
        Change::AddVoter(MemberId(4)),
        Change::AddVoter(MemberId(5)),
        Change::Remove(MemberId(2)),
        Change::Remove(MemberId(3)),
    ]
}

/// m1 leads m2 and m3; m4 and m5 wait to be added.
fn stage_of_three_and_two() -> Stage {
    let mut stage = Stage::new(3);
    stage.add(4);
    stage.add(5);
    stage.elect(1);
    stage
}

fn members(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().copied().map(MemberId))
}

/// A leader of three whose no-op is committed.
fn leader() -> One {
    let mut one = One::leading(1, &[]);
    one.hear(2, 1, accepted(1));
    one
}

// === Joint consensus (§6) ===

/// §6: a change of several voters goes through a joint configuration, and on to the new one as soon
/// as the joint one is committed, without anybody asking.
#[test]
fn change_of_several_voters_goes_through_a_joint_configuration() {
    let mut stage = stage_of_three_and_two();
    stage.change(1, &replace_two()).expect("nothing else is under way");
    assert_eq!(stage.status(1).membership.to_string(), "(m1 m4 m5)&(m1 m2 m3)");
    stage.run(3);
    assert_eq!(stage.status(1).membership, members(&[1, 4, 5]));
    assert_eq!(stage.status(5).membership, members(&[1, 4, 5]));
}

/// §6: while it lasts, an entry is committed only by a majority of both the old and the new.
#[test]
fn joint_configuration_commits_only_with_both_majorities() {
    for silent in [[2, 3], [4, 5]] {
        let mut stage = stage_of_three_and_two();
        stage.change(1, &replace_two()).expect("nothing else is under way");
        stage.isolate(silent[0]);
        stage.isolate(silent[1]);
        stage.run(5);
        assert_eq!(stage.committed(1), 1, "without m{} and m{}", silent[0], silent[1]);
        stage.heal();
        stage.run(3);
        assert_eq!(stage.status(1).membership, members(&[1, 4, 5]));
    }
}

/// §6: the joint configuration is left when it is committed itself, not with an entry before it.
#[test]
fn joint_configuration_is_left_only_when_it_is_committed() {
    let mut one = leader();
    one.raft.propose("a=1".into()).expect("it leads");
    let changes = [Change::AddVoter(MemberId(4)), Change::AddVoter(MemberId(5))];
    let joint = one.raft.change_membership(&changes, Bytes::new()).expect("it may");
    one.settle();
    for (matched, is_left) in [(2, false), (3, true)] {
        one.hear(2, 1, accepted(matched));
        one.hear(4, 1, accepted(matched));
        let status = one.raft.status();
        assert_eq!(status.committed, Index(matched), "three of five, and two of three");
        assert_eq!(!status.membership.is_joint(), is_left, "the joint one is {joint}");
    }
}

/// §6: entries go to the members of both.
#[test]
fn joint_configuration_sends_entries_to_both() {
    let mut stage = stage_of_three_and_two();
    stage.change(1, &replace_two()).expect("nothing else is under way");
    let mut told: Vec<u64> = stage.in_flight().map(|message| message.to.0).collect();
    told.dedup();
    assert_eq!(told, [2, 3, 4, 5]);
}

/// §6: while it lasts, an election needs a majority of both, too.
#[test]
fn joint_configuration_elects_only_with_both_majorities() {
    for (silent, wins) in [(vec![2, 3], false), (vec![4, 5], false), (vec![3, 5], true)] {
        let mut stage = half_way();
        stage.restart(1);
        for member in silent {
            stage.isolate(member);
        }
        stage.tick_all(10);
        stage.discard(any);
        stage.campaign(1);
        stage.stabilize();
        assert_eq!(stage.role(1) == RoleKind::Leader, wins);
    }
}

/// §6, thesis §6.2: a leader in it keeps leading only if a majority of each answers.
#[test]
fn leader_in_a_joint_configuration_needs_answers_of_both_majorities() {
    for (silent, leads) in [([2, 3], false), ([4, 5], false), ([3, 5], true)] {
        let mut one = leader();
        one.raft.change_membership(&replace_two(), Bytes::new()).expect("it may");
        for _ in 0..10 {
            for member in (2..=5).filter(|member| !silent.contains(member)) {
                one.hear(member, 1, accepted(1));
            }
            one.tick(1);
        }
        assert_eq!(one.raft.role() == RoleKind::Leader, leads, "{silent:?} are silent");
    }
}

/// §6: a member of either may lead, also one that will be gone afterwards.
#[test]
fn member_of_either_half_may_lead() {
    for candidate in [2, 4] {
        let mut stage = half_way();
        stage.tick_all(10);
        stage.discard(any);
        stage.campaign(candidate);
        stage.stabilize();
        let line = format!("m{candidate} candidate@2 ⇨ leader@2");
        assert!(stage.take_lines().contains(&line), "m{candidate} may lead");
    }
}

/// All five hold the joint configuration, and nobody knows that it is committed; m1 is down.
fn half_way() -> Stage {
    let mut stage = stage_of_three_and_two();
    stage.change(1, &replace_two()).expect("nothing else is under way");
    stage.block(2, 1);
    stage.block(3, 1);
    stage.run(3);
    for member in 1..=5 {
        assert!(stage.status(member).membership.is_joint(), "m{member} holds it");
    }
    assert_eq!(stage.committed(1), 1, "m1 does not know that they hold it");
    stage.crash(1);
    stage.heal();
    stage
}

/// §6: whoever leads when the joint configuration is committed finishes the change.
#[test]
fn later_leader_finishes_the_change() {
    let mut stage = half_way();
    stage.run(60);
    assert!(stage.leader().is_some(), "somebody is elected by both majorities");
    assert_eq!(stage.status(4).membership, members(&[1, 4, 5]));
}

/// §6: commands are taken and committed all the time.
#[test]
fn commands_are_taken_during_a_change() {
    let mut stage = stage_of_three_and_two();
    stage.change(1, &replace_two()).expect("nothing else is under way");
    stage.propose(1, "a=1").expect("a joint configuration takes commands");
    stage.run(3);
    assert_eq!(stage.applied(1), ["a=1"]);
    assert_eq!(stage.applied(4), ["a=1"]);
}

/// §6: a member uses the latest configuration in its log, committed or not.
#[test]
fn configuration_is_in_force_when_it_is_appended() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.change(1, &[Change::Remove(MemberId(3))]).expect("nothing else is under way");
    stage.deliver(to(2));
    for member in [1, 2] {
        let status = stage.status(member);
        assert_eq!((status.membership, status.membership_committed), (voters(2), false));
    }
}

/// §6: an entry that is removed from the log takes its configuration with it (also thesis §4.1).
#[test]
fn configuration_leaves_with_its_entry() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(1);
    stage.change(1, &[Change::Remove(MemberId(3))]).expect("m1 believes that it leads");
    assert_eq!(stage.status(1).membership, voters(2));
    stage.run(60);
    stage.heal();
    stage.run(20);
    assert_eq!(stage.status(1).membership, voters(3));
}

/// §6: at most one change is under way: the next one waits until the one before is committed.
#[test]
fn second_change_waits_for_the_first() {
    let mut one = leader();
    let remove = [Change::Remove(MemberId(3))];
    let first = one.raft.change_membership(&remove, Bytes::new()).expect("the first");
    let add = [Change::AddLearner(MemberId(4))];
    let refused = one.raft.change_membership(&add, Bytes::new());
    assert_eq!(refused, Err(MembershipError::Pending(first)));
    one.settle();
    one.hear(2, 1, accepted(2));
    assert!(one.raft.change_membership(&add, Bytes::new()).is_ok(), "the first is committed");
}

// === Leaders that go (§6, thesis §4.2.2) ===

/// §6: a leader that is not in the new configuration steps down once that is committed.
#[test]
fn leader_that_is_removed_steps_down_when_that_is_committed() {
    let mut one = leader();
    one.raft.change_membership(&[Change::Remove(MemberId(1))], Bytes::new()).expect("it may");
    one.settle();
    one.hear(2, 1, accepted(2));
    assert_eq!(one.raft.role(), RoleKind::Leader, "m3 must agree too");
    one.hear(3, 1, accepted(2));
    assert_eq!((one.raft.role(), one.committed()), (RoleKind::Follower, 2));
}

/// §6: until then it leads a cluster without belonging to it: it sends entries, and does not count
/// itself.
#[test]
fn leader_that_is_removed_does_not_count_itself() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.change(1, &[Change::Remove(MemberId(1))]).expect("nothing else is under way");
    stage.isolate(3);
    stage.propose(1, "a=1").expect("it still leads");
    stage.run(3);
    assert_eq!(stage.status(2).last, id(3, 1), "entries are sent");
    assert_eq!(stage.committed(1), 1, "m1 and m2 hold them: that is one of two");
}

/// Thesis §4.2.2: the removed leader asks the voter that has come furthest to take over at once.
#[test]
fn removed_leader_hands_over() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.change(1, &[Change::Remove(MemberId(1))]).expect("nothing else is under way");
    stage.stabilize();
    assert_eq!(stage.term(2), 2, "no tick has passed");
    assert!(matches!(stage.leader(), Some(2 | 3)), "{:?}", stage.leader());
}

/// Thesis §4.2.2: a member may have to campaign although the latest configuration in its log leaves
/// it out: perhaps only it can commit its own removal.
#[test]
fn member_may_campaign_for_its_own_removal() {
    let mut stage = Stage::new(2);
    stage.elect(1);
    stage.change(1, &[Change::Remove(MemberId(1))]).expect("nothing else is under way");
    stage.discard(any);
    stage.crash(1);
    stage.restart(1);
    assert_eq!(stage.status(1).membership, members(&[2]));
    stage.run(60);
    let line = "m1 candidate@2 ⇨ leader@2".to_owned();
    assert!(stage.take_lines().contains(&line), "m2 lacks the entry and cannot win");
    assert_eq!(stage.status(2).membership, members(&[2]));
    assert_eq!(stage.leader(), Some(2));
}

/// Thesis §4.2.2: once its removal is committed, it campaigns no more.
#[test]
fn member_whose_removal_is_committed_does_not_campaign() {
    for commit in [1, 2] {
        let mut one = One::new(1, &[1]);
        let change = MembershipChange { membership: members(&[2, 3]), context: Bytes::new() };
        let removal =
            Entry { index: Index(2), term: Term(1), payload: Payload::Membership(change) };
        let body = Body::AppendEntries {
            prev: id(1, 1),
            entries: vec![removal],
            commit: Index(commit),
            round: Round::ZERO,
        };
        one.hear(2, 1, body);
        one.tick(20);
        assert_eq!(one.raft.role() == RoleKind::Follower, commit == 2, "commit index {commit}");
    }
}

// === Disruptive members (§6, thesis §4.2.3) ===

/// §6: a member that hears from a leader ignores requests for votes, and does not take over their
/// term: so does the leader.
#[test]
fn request_for_a_vote_is_ignored_while_the_leader_is_alive() {
    let mut follower = One::new(1, &[]);
    follower.hear(2, 1, append(EntryId::ZERO, &[], 0));
    follower.tick(9);
    for mut one in [follower, One::leading(1, &[])] {
        let role = one.raft.role();
        assert_eq!(one.hear(3, 9, request_vote(id(9, 8))), []);
        assert_eq!((one.raft.role(), one.raft.term()), (role, Term(1)));
        assert_eq!(one.dropped, [raft::DropReason::LeaderAlive]);
    }
}

/// Thesis §4.2.3: after the shortest election timeout without a leader it votes as ever.
#[test]
fn request_for_a_vote_is_answered_once_the_leader_is_silent() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    one.tick(10);
    assert_eq!(one.answer(3, 9, request_vote(EntryId::ZERO)), granted());
}

/// §6: a removed member that has not heard of it disturbs nobody, however often it campaigns.
#[test]
fn removed_member_disturbs_nobody() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.isolate(3);
    stage.change(1, &[Change::Remove(MemberId(3))]).expect("nothing else is under way");
    stage.run(2);
    stage.heal();
    stage.run(200);
    assert_eq!((stage.leader(), stage.term(1), stage.term(2)), (Some(1), 1, 1));
    assert_ne!(stage.role(3), RoleKind::Leader);
}

// === One at a time (thesis §4.1) ===

/// Thesis §4.1: one voter more or less needs no joint configuration: any two majorities share a
/// member.
#[test]
fn change_of_one_voter_is_a_single_step() {
    for change in [Change::AddVoter(MemberId(4)), Change::Remove(MemberId(3))] {
        let mut one = leader();
        one.raft.change_membership(&[change], Bytes::new()).expect("nothing is under way");
        assert!(!one.raft.status().membership.is_joint(), "{change:?}");
        assert_eq!(one.last(), id(2, 1));
    }
}

/// Thesis §4.1, as corrected in 2015: a leader changes the configuration only after it has
/// committed an entry of its own term.
#[test]
fn change_waits_for_the_first_commit_of_the_term() {
    let mut one = One::leading(2, &[1]);
    let add = [Change::AddVoter(MemberId(4))];
    let refused = one.raft.change_membership(&add, Bytes::new());
    assert_eq!(refused, Err(MembershipError::TermTooYoung));
    one.hear(2, 2, accepted(2));
    assert!(one.raft.change_membership(&add, Bytes::new()).is_ok(), "its no-op is committed");
}

/// Thesis §4.1, as corrected in 2015: without that rule two leaders could each change a cluster of
/// four by one, and commit without sharing a member. Here the second one is refused.
#[test]
fn competing_changes_of_two_leaders_cannot_both_be_made() {
    let mut stage = Stage::new(4);
    stage.add(5);
    stage.elect(1);
    stage.partition(&[&[1]]);
    stage.change(1, &[Change::AddVoter(MemberId(5))]).expect("m1 believes that it leads");
    stage.tick_all(9);
    stage.discard(any);
    for member in [2, 3, 4] {
        stage.tick(member);
    }
    stage.campaign(2);
    stage.stabilize_only(|m| !kind(Kind::Append)(m));
    assert_eq!(stage.role(2), RoleKind::Leader);
    let refused = stage.change(2, &[Change::Remove(MemberId(1))]);
    assert_eq!(refused, Err(MembershipError::TermTooYoung));
}

/// Thesis §4.1: a cluster never has no voter.
#[test]
fn last_voter_cannot_be_removed() {
    let mut stage = Stage::new(1);
    stage.elect(1);
    let refused = stage.change(1, &[Change::Remove(MemberId(1))]);
    assert_eq!(refused, Err(MembershipError::Change(ChangeError::NoVoters)));
}

// === Members to come (§6, thesis §4.2.1) ===

/// §6, thesis §4.2.1: a new member first receives the log without a vote, and is not counted.
#[test]
fn learner_receives_the_log_and_is_not_counted() {
    let mut stage = Stage::new(2);
    stage.add(3);
    stage.elect(1);
    stage.change(1, &[Change::AddLearner(MemberId(3))]).expect("nothing else is under way");
    stage.run(3);
    stage.isolate(2);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.run(3);
    assert_eq!(stage.status(3).last, stage.status(1).last);
    assert_eq!(stage.committed(1), stage.status(1).last.index.0 - 1);
}

/// Thesis §4.2.1: it votes from the moment it is promoted, when it has the log already.
#[test]
fn promoted_learner_is_counted_at_once() {
    let mut stage = Stage::builder(2).learners(1).build();
    stage.elect(1);
    stage.change(1, &[Change::Promote(MemberId(3))]).expect("nothing else is under way");
    stage.isolate(2);
    stage.run(3);
    assert_eq!(stage.status(1).membership, voters(3));
    assert_eq!(stage.committed(1), 2, "m1 and m3 are two of three");
}

/// Thesis §4.2.1: a learner does not campaign, however long it hears of nobody.
#[test]
fn learner_does_not_campaign() {
    let mut stage = Stage::builder(2).learners(1).build();
    stage.campaign(3);
    for _ in 0..50 {
        stage.tick(3);
    }
    assert_eq!((stage.role(3), stage.in_flight().count()), (RoleKind::Follower, 0));
}

/// §6: members answer requests whatever their own configuration says. A learner that is asked for
/// its vote gives it: it may be a voter by now without knowing it.
#[test]
fn learner_votes_when_it_is_asked() {
    let mut stage = Stage::builder(2).learners(1).build();
    stage.inject(raft::Message {
        from: MemberId(1),
        to: MemberId(3),
        term: Term(1),
        body: request_vote(EntryId::ZERO),
    });
    stage.deliver(to(3));
    assert!(stage.in_flight().any(|m| from(3)(m) && m.body == granted()), "it votes");
}

/// §6: a member takes appends and votes for members that its own configuration does not know.
#[test]
fn member_answers_leaders_and_candidates_that_it_does_not_know() {
    let mut one = One::new(1, &[]);
    assert_eq!(one.answer(9, 2, append(EntryId::ZERO, &[2], 1)), accepted(1));
    assert_eq!(one.raft.leader(), Some(MemberId(9)));
    let wanted = Body::RequestVote { last: id(1, 2), campaign: Campaign::Transfer };
    assert_eq!(one.answer(8, 3, wanted), granted());
}

/// Thesis §4.2.1: a member that waits to be added starts with an empty configuration, and the log
/// tells it who the others are.
#[test]
fn new_member_learns_the_configuration_from_the_log() {
    let mut stage = stage_of_three_and_two();
    stage.tick_all(100);
    stage.discard(any);
    assert_eq!((stage.role(4), stage.status(4).membership), (RoleKind::Follower, members(&[])));
    stage.run(100);
    let leader = stage.leader().expect("the three elect one");
    stage.change(leader, &[Change::AddVoter(MemberId(4))]).expect("nothing else is under way");
    stage.run(3);
    assert_eq!(stage.status(4).membership, voters(4));
    assert_eq!(stage.raft(4).status().committed, Index(stage.committed(leader)));
}

/// §6: a voter that becomes a learner in a change of several votes until the change is done.
#[test]
fn demoted_voter_votes_until_the_joint_configuration_is_left() {
    let mut stage = stage_of_three_and_two();
    let changes = [Change::Demote(MemberId(3)), Change::AddVoter(MemberId(4))];
    stage.change(1, &changes).expect("nothing else is under way");
    let joint = stage.status(1).membership;
    assert!(joint.is_joint() && joint.is_voter(MemberId(3)), "{joint}");
    stage.run(3);
    assert_eq!(stage.status(1).membership.to_string(), "(m1 m2 m4) learners(m3)");
}
