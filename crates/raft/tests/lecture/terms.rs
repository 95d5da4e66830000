//! Terms: how members that know little of each other stay safe.

use raft::{MemberId, ProposeError, RoleKind};
use sim::stage::{from, link};

use super::{T, between, cluster, lose_patience, under_way};

/// A network that is slow for long enough starts an election although the leader is healthy. For a
/// moment two members lead, in two terms, and nothing is lost.
#[test]
fn a_slow_network_may_depose_a_healthy_leader_and_nothing_is_lost() {
    let mut stage = cluster(3);
    stage.elect(1);
    stage.propose(1, "a=1").expect("m1 leads");
    stage.stabilize();
    stage.propose(1, "b=2").expect("m1 leads");
    stage.deliver(link(1, 2));

    // From here on the leader's heartbeats are under way and do not arrive.
    stage.tick_all(T - 1);
    stage.campaign(2);
    stage.stabilize_only(between(2, 3));
    assert_eq!(stage.leader(), Some(1), "m3 must not help before an election timeout has passed");
    stage.deliver(link(2, 1));
    assert_eq!(stage.applied(1), ["a=1", "b=2"], "m1 answers the client of the second command");
    stage.tick_all(1);
    stage.campaign(2);
    stage.stabilize_only(between(2, 3));
    let roles = [1, 2].map(|member| (stage.role(member), stage.term(member)));
    assert_eq!(roles, [(RoleKind::Leader, 1), (RoleKind::Leader, 2)], "both lead");

    // Now everything arrives.
    stage.stabilize();
    assert_eq!(stage.role(1), RoleKind::Follower, "m1 leads on although its term is over");
    stage.propose(2, "c=3").expect("m2 leads");
    stage.stabilize();
    for member in [1, 2, 3] {
        assert_eq!(stage.applied(member), ["a=1", "b=2", "c=3"], "m{member}");
    }
}

/// An old leader steps down at the first message that tells of a later term, and not before. The
/// new one is not impressed by messages of the old term.
#[test]
fn an_old_leader_steps_down_when_it_learns_of_the_new_term() {
    let mut stage = cluster(3);
    stage.elect(1);
    stage.isolate(1);
    lose_patience(&mut stage, &[2, 3]);
    stage.elect(2);
    stage.heal();
    assert_eq!(stage.role(1), RoleKind::Leader, "nobody has told m1 yet");
    stage.propose(1, "old").expect("m1 takes itself for the leader");
    stage.deliver(from(1));
    assert_eq!(stage.role(2), RoleKind::Leader, "m2 gave way to an older term");
    assert_eq!(under_way(&stage, link(2, 1)), ["m2@2 → m1 StaleTerm"]);

    stage.deliver_one(link(2, 1));
    assert_eq!((stage.role(1), stage.term(1)), (RoleKind::Follower, 2), "m1 does not step down");
    let answer = stage.propose(1, "older");
    assert_eq!(answer, Err(ProposeError::NotLeader { leader: None }), "m1 still takes commands");
    stage.run(1);
    assert_eq!(stage.status(1).leader, Some(MemberId(2)), "m1 follows the new leader");
    assert!((1..=3).all(|member| stage.applied(member).is_empty()), "an old command was executed");
}

/// Followers need the term to be safe, not the leader's name: one that does not know who leads
/// takes appends of its term from whom they come, and refuses those of an earlier term even from
/// the leader it knew.
#[test]
fn followers_need_the_term_not_the_leaders_name() {
    let mut stage = cluster(3);
    stage.elect(1);
    lose_patience(&mut stage, &[2, 3]);
    stage.campaign(2);
    stage.deliver(link(2, 3));
    stage.deliver(link(3, 2));
    stage.deliver(link(2, 3));
    assert_eq!((stage.term(3), stage.status(3).leader), (2, None), "m3 voted, and heard no more");

    stage.propose(1, "old").expect("m1 takes itself for the leader");
    stage.deliver(link(1, 3));
    assert_eq!(under_way(&stage, link(3, 1)), ["m3@2 → m1 StaleTerm"]);
    assert_eq!(stage.log_terms(3), [1], "m3 took an entry of an earlier term");

    stage.deliver(link(3, 2));
    stage.deliver(link(2, 3));
    assert_eq!(stage.log_terms(3), [1, 2], "m3 refused an entry of its term");

    stage.deliver(link(3, 2));
    stage.crash(3);
    stage.restart(3);
    assert_eq!((stage.term(3), stage.status(3).leader), (2, None), "the disk holds no names");
    let id = stage.propose(2, "new").expect("m2 leads");
    stage.deliver(link(2, 3));
    assert_eq!(stage.log_ids(3).last(), Some(&id), "m3 refused an entry of its term");
    stage.stabilize();
    assert!((1..=3).all(|member| stage.applied(member) == ["new"]), "all executed the same");
}
