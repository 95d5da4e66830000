//! Who may decide: majorities, and what becomes of those who are fewer.

use raft::{ReadOutcome, RoleKind};
use sim::stage::Stage;

use super::{LONG, T, cluster};

/// A majority is of all members, not of those that happen to be online: in a cluster of five, two
/// can neither commit nor elect, even if both agree and nobody else is there.
#[test]
fn a_majority_is_of_all_members_not_of_those_online() {
    let mut stage = cluster(5);
    stage.elect(1);
    for member in [3, 4, 5] {
        stage.crash(member);
    }
    let id = stage.propose(1, "a=1").expect("m1 leads");
    stage.run(1);
    for member in [1, 2] {
        assert_eq!(stage.log_ids(member).last(), Some(&id), "everybody online holds the entry");
        assert!(stage.applied(member).is_empty(), "two of five committed an entry");
    }

    stage.run(LONG);
    let lines = stage.take_lines();
    let agreed = lines.iter().any(|line| line.ends_with("PreVoteResponse granted"));
    assert!(agreed, "everybody online would vote for the same member");
    assert_eq!(stage.leader(), None, "two of five have a leader");

    stage.restart(3);
    stage.run(LONG);
    assert!(stage.leader().is_some(), "three of five elect nobody");
    assert_eq!(stage.applied(1), ["a=1"], "three of five commit nothing");
}

/// A cluster of 2f+1 members goes on when any f of them fail, the leader among them, and stops when
/// one more fails. It has not forgotten anything when that one comes back.
#[test]
fn two_f_plus_one_members_survive_f_and_stop_at_f_plus_one() {
    for f in 1..=3 {
        let mut stage = cluster(2 * f + 1);
        stage.elect(1);
        for member in 1..=f {
            stage.crash(member);
        }
        stage.run(LONG);
        let leader = stage.leader().expect("f + 1 members elect a leader");
        stage.propose(leader, "a=1").expect("the leader takes commands");
        stage.run(1);
        assert_eq!(stage.applied(leader), ["a=1"], "f = {f}: f + 1 members commit nothing");

        let follower = stage.up().into_iter().find(|member| *member != leader);
        let follower = follower.expect("f + 1 members are up, which is two or more");
        stage.crash(follower);
        stage.propose(leader, "b=2").expect("the leader cannot know yet");
        stage.run(LONG);
        for member in stage.up() {
            assert_eq!(stage.applied(member), ["a=1"], "f = {f}: f members committed an entry");
        }
        assert_eq!(stage.leader(), None, "f = {f}: f members have a leader");

        stage.restart(follower);
        stage.run(LONG);
        for member in stage.up() {
            assert_eq!(stage.applied(member), ["a=1", "b=2"], "f = {f}: m{member} lost an entry");
        }
    }
}

/// A leader that is with the minority takes commands and never commits one, nor confirms a read.
/// When it returns, its entries are replaced by those of the majority.
#[test]
fn a_minority_leader_never_commits_and_its_entries_are_replaced() {
    let mut stage = cluster(3);
    stage.elect(1);
    stage.isolate(1);
    stage.read(1, 7).expect("m1 takes itself for the leader");
    let mut taken = Vec::new();
    for _ in 0..LONG {
        taken.extend(stage.propose(1, "lost"));
        stage.run(1);
    }
    assert!(taken.len() > 1, "m1 takes commands as long as it takes itself for the leader");
    assert_ne!(stage.role(1), RoleKind::Leader, "m1 leads for ever without a majority");
    assert_eq!(stage.committed(1), 1, "a leader without a majority committed");
    let read = stage.read_outcome(1, 7);
    assert!(matches!(read, Some(ReadOutcome::Failed { .. })), "it answered a read: {read:?}");

    let leader = stage.leader().expect("two of three elect a leader");
    stage.propose(leader, "kept").expect("the leader takes commands");
    stage.run(1);
    stage.heal();
    stage.run(2);
    for id in taken {
        assert!(!stage.log_ids(1).contains(&id), "{id} is still in the log");
    }
    for member in [1, 2, 3] {
        assert_eq!(stage.applied(member), ["kept"], "m{member} executed what nobody committed");
    }
}

/// Five members are parted, and the old leader is among the two: the three elect a leader and go
/// on, the two stand still. When they meet again the two catch up, and disturb nobody.
#[test]
fn five_are_parted_and_the_old_leader_is_among_the_two() {
    let mut stage = cluster(5);
    stage.elect(1);
    stage.propose(1, "before").expect("m1 leads");
    stage.stabilize();

    stage.partition(&[&[1, 2], &[3, 4, 5]]);
    stage.propose(1, "lost").expect("m1 cannot know yet");
    stage.run(LONG);
    let leader = stage.leader().expect("the three elect a leader");
    assert!(leader >= 3, "m{leader} leads, which is with the two");
    let term = stage.term(leader);
    stage.propose(leader, "after").expect("the new leader takes commands");
    stage.run(1);
    for member in [1, 2] {
        assert_eq!(stage.applied(member), ["before"], "m{member} is with the two");
        assert_eq!(stage.log_terms(member), [1, 1, 1], "m{member} holds the lost entry");
    }
    for member in [3, 4, 5] {
        assert_eq!(stage.applied(member), ["before", "after"], "m{member} is with the three");
    }

    stage.heal();
    stage.run(LONG);
    assert_eq!((stage.leader(), stage.term(leader)), (Some(leader), term), "it was disturbed");
    for member in 1..=5 {
        assert_eq!(stage.applied(member), ["before", "after"], "m{member} after the reunion");
        assert_eq!(stage.log_ids(member), stage.log_ids(leader), "m{member} has another log");
    }
}

/// There is no split brain: however five members are parted in two, the larger side goes on, the
/// smaller executes nothing, and afterwards all five agree on what the larger side has done.
#[test]
fn no_cut_makes_two_clusters_of_one() {
    for mask in 0..16 {
        let (ours, others): (Vec<u64>, Vec<u64>) =
            (1..=5).partition(|member| *member == 1 || mask >> (member - 2) & 1 == 1);
        let (larger, smaller) = if ours.len() > 2 { (ours, others) } else { (others, ours) };
        let mut stage = cluster(5);
        stage.elect(1);
        stage.partition(&[&larger, &smaller]);
        for _ in 0..10 {
            propose_everywhere(&mut stage);
            stage.run(T);
        }
        let done = stage.applied(larger[0]).to_vec();
        assert!(!done.is_empty(), "{larger:?} are the majority and stand still");
        for member in &smaller {
            assert!(stage.applied(*member).is_empty(), "{smaller:?} are few and went on");
        }

        stage.heal();
        stage.run(LONG);
        let leader = stage.leader().expect("all five are together");
        for member in 1..=5 {
            let agreed = stage.applied(member);
            assert_eq!(agreed, stage.applied(leader), "m{member} and m{leader} disagree");
            assert!(agreed.starts_with(&done), "m{member} lost what {larger:?} have done");
        }
    }
}

/// Every member that takes itself for a leader is given a command of its own.
fn propose_everywhere(stage: &mut Stage) {
    for member in stage.up() {
        if stage.role(member) == RoleKind::Leader {
            let command = format!("m{member}@{}", stage.term(member));
            stage.propose(member, &command).expect("a leader takes commands");
        }
    }
}
