//! Terms, votes and elections: Figure 2 (State, RequestVote RPC, Rules for Servers), §5.1, §5.2.

use std::collections::BTreeSet;

use raft::{Body, Campaign, Config, EntryId, Index, Input, MemberId, RoleKind, Term};
use sim::stage::{Kind, Stage, any, kind, link, to};

use super::one::{
    One, accepted, append, disk, granted, id, install, message, pre_granted, pre_refused, refused,
    request_vote, stale_term, voters,
};

/// Figure 2, State: on first boot the term is zero, the vote is nobody's and nothing is committed;
/// §5.2: servers start up as followers.
#[test]
fn member_begins_as_follower_in_term_zero() {
    let status = One::new(0, &[]).raft.status();
    assert_eq!((status.role, status.term, status.vote), (RoleKind::Follower, Term::ZERO, None));
    assert_eq!((status.committed, status.applied), (Index::ZERO, Index::ZERO));
    assert_eq!(status.last, EntryId::ZERO);
}

/// Figure 2, State: term and vote reach stable storage before an answer leaves.
#[test]
fn term_and_vote_are_handed_to_the_disk_before_the_answer_may_leave() {
    let mut one = One::new(1, &[]);
    let effects = one.raft.step(Input::Message(message(2, 5, request_vote(EntryId::ZERO))));
    let written = effects.persist.and_then(|persist| persist.hard_state).expect("it is written");
    assert_eq!((written.term, written.vote), (Term(5), Some(MemberId(2))));
    assert!(effects.send_now.is_empty(), "nothing is said before that is durable");
    assert_eq!(effects.send_when_durable.len(), 1, "the vote waits for the disk");
}

/// Figure 2, State: the vote is found again after a crash, so that no second one is given.
#[test]
fn vote_survives_a_restart() {
    let mut stage = Stage::new(3);
    stage.campaign(1);
    stage.stabilize_only(kind(Kind::PreVote));
    stage.stabilize_only(kind(Kind::PreVoteResponse));
    stage.deliver(to(2));
    stage.crash(2);
    stage.restart(2);
    assert_eq!(stage.status(2).vote, Some(MemberId(1)));
    assert_eq!(stage.term(2), 1);
}

/// Figure 2, State: a new leader guesses of everyone that its log ends like the leader's own, and
/// knows of nobody that it matches.
#[test]
fn leader_begins_with_next_after_its_last_entry_and_match_zero() {
    let one = One::leading(3, &[1, 1, 2]);
    for member in one.raft.status().members {
        assert_eq!((member.next, member.matched), (Index(4), Index::ZERO), "{}", member.id);
    }
}

/// Figure 2, RequestVote receiver 1: a request of a past term is refused, with the newer term.
#[test]
fn request_of_a_past_term_is_refused() {
    let mut one = One::new(3, &[]);
    assert_eq!(one.answer(2, 2, request_vote(id(9, 2))), refused());
    assert_eq!(one.raft.status().vote, None);
}

/// Figure 2, RequestVote receiver 2: a free vote goes to a candidate whose log is up-to-date.
#[test]
fn free_vote_is_given_to_an_up_to_date_candidate() {
    let mut one = One::new(1, &[1, 1]);
    assert_eq!(one.answer(2, 2, request_vote(id(2, 1))), granted());
    assert_eq!(one.raft.status().vote, Some(MemberId(2)));
}

/// Figure 2, RequestVote receiver 2, and §5.2: one vote per term, to whoever asks first.
#[test]
fn second_candidate_of_a_term_is_refused() {
    let mut one = One::new(1, &[]);
    assert_eq!(one.answer(2, 2, request_vote(EntryId::ZERO)), granted());
    assert_eq!(one.answer(3, 2, request_vote(id(7, 1))), refused());
    assert_eq!(one.raft.status().vote, Some(MemberId(2)));
}

/// Figure 2, RequestVote receiver 2: the candidate that has the vote is told so again.
#[test]
fn vote_is_repeated_to_the_same_candidate() {
    let mut one = One::new(1, &[]);
    for _ in 0..3 {
        assert_eq!(one.answer(2, 2, request_vote(EntryId::ZERO)), granted());
    }
}

/// Unlike the paper, a member that knows the leader of a term gives no vote in it any more: that
/// election is over, and the paper's vote could change nothing (§5.2).
#[test]
fn member_that_knows_the_leader_of_the_term_gives_no_vote_in_it() {
    let mut one = One::new(1, &[]);
    one.hear(2, 2, append(EntryId::ZERO, &[], 0));
    assert_eq!(one.answer(3, 2, request_vote(id(9, 1))), refused());
}

/// Figure 2, All Servers: a later term in any request or answer is taken over, and whoever
/// campaigned or led becomes a follower (also §5.1).
#[test]
fn later_term_makes_a_follower_of_everybody() {
    let transfer = Body::RequestVote { last: EntryId::ZERO, campaign: Campaign::Transfer };
    let news = [
        transfer,
        refused(),
        append(EntryId::ZERO, &[], 0),
        accepted(0),
        stale_term(),
        install(id(1, 1)),
        Body::TimeoutNow,
        Body::ReadIndex { nonce: 1 },
        Body::ReadIndexResponse { nonce: 1, index: Index(1) },
        pre_refused(),
    ];
    for body in news {
        let mut candidate = One::new(2, &[]);
        candidate.campaign();
        let mut asking = One::new(3, &[]);
        asking.give(Input::Campaign);
        for mut one in [One::new(3, &[]), asking, candidate, One::leading(3, &[])] {
            let role = one.raft.role();
            one.hear(2, 8, body.clone());
            assert_eq!(one.raft.term(), Term(8), "{role} that hears {body}");
            assert_eq!(one.raft.role(), RoleKind::Follower, "{role} that hears {body}");
        }
    }
}

/// §5.1: a request that carries a past term changes nothing, in any role.
#[test]
fn message_of_a_past_term_changes_nothing() {
    let bodies = [
        request_vote(id(9, 2)),
        granted(),
        append(EntryId::ZERO, &[2, 2], 2),
        accepted(3),
        install(id(9, 2)),
        Body::TimeoutNow,
        Body::ReadIndexResponse { nonce: 1, index: Index(1) },
    ];
    for body in bodies {
        let mut candidate = One::new(3, &[1]);
        candidate.campaign();
        for mut one in [One::new(4, &[1]), candidate, One::leading(4, &[1])] {
            let before = one.raft.status();
            one.hear(2, 3, body.clone());
            let after = one.raft.status();
            assert_eq!((after.role, after.term, after.vote), (before.role, Term(4), before.vote));
            assert_eq!((after.last, after.committed), (before.last, before.committed), "{body}");
        }
    }
}

/// Figure 2, Followers, and §5.2: a follower says nothing of its own accord before it times out.
#[test]
fn follower_is_passive() {
    let mut one = One::new(1, &[1]);
    let timeout = one.raft.status().election_timeout_ticks;
    assert_eq!(one.tick(timeout - 1), []);
    assert_ne!(one.tick(1), []);
}

/// Figure 2, Followers: a follower answers candidates and leaders.
#[test]
fn follower_answers_candidates_and_leaders() {
    let mut one = One::new(1, &[]);
    assert_eq!(one.answer(2, 2, request_vote(EntryId::ZERO)), granted());
    assert_eq!(one.answer(2, 2, append(EntryId::ZERO, &[2], 0)), accepted(1));
}

/// Figure 2, Followers: hearing from the current leader starts the timeout anew; so does an image.
#[test]
fn append_of_the_leader_resets_the_timeout() {
    for body in [append(EntryId::ZERO, &[], 0), install(id(2, 1))] {
        let mut one = One::new(1, &[]);
        for _ in 0..10 {
            one.tick(9);
            one.hear(2, 1, body.clone());
        }
        assert_eq!(one.raft.role(), RoleKind::Follower);
    }
}

/// Figure 2, Followers: an append of a leader of the past does not start the timeout anew.
#[test]
fn append_of_a_past_leader_does_not_reset_the_timeout() {
    let mut one = One::new(3, &[]);
    for _ in 0..3 {
        one.tick(9);
        assert_eq!(one.answer(2, 2, append(EntryId::ZERO, &[], 0)), stale_term());
        if one.raft.role() == RoleKind::PreCandidate {
            return;
        }
    }
    panic!("27 ticks are more than any timeout");
}

/// Figure 2, Followers: giving a vote starts the timeout anew, and refusing it does not.
#[test]
fn only_a_vote_that_is_given_resets_the_timeout() {
    let campaigns = |last: EntryId| {
        let mut one = One::new(1, &[1, 1]);
        (2..5).any(|term| {
            one.tick(9);
            let campaigns = one.raft.role() != RoleKind::Follower;
            one.hear(2, term, request_vote(last));
            campaigns
        })
    };
    assert!(!campaigns(id(2, 1)), "each vote holds the timeout off");
    assert!(campaigns(id(1, 1)), "who cannot win cannot hold the timeout off");
}

/// Figure 2, Followers: a follower that hears from no leader for the timeout campaigns. Unlike the
/// paper, it first asks whether it could win (thesis §9.6).
#[test]
fn follower_campaigns_when_its_timeout_has_passed() {
    let mut one = One::new(1, &[1]);
    let said = one.time_out();
    assert_eq!(one.raft.role(), RoleKind::PreCandidate);
    assert!(said.iter().all(|m| m.body == Body::PreVote { last: id(1, 1) }), "{said:?}");
    for asked in said {
        one.hear(asked.to.0, 2, pre_granted());
    }
    assert_eq!(one.raft.role(), RoleKind::Candidate);
}

/// Figure 2, Candidates: a candidate raises its term, votes for itself, draws a new timeout, and
/// asks every other voter.
#[test]
fn candidate_raises_its_term_votes_for_itself_and_asks_everybody() {
    let mut one = One::start(Config::new(MemberId(1), 1), disk(&voters(5), 6, &[1]));
    one.give(Input::Campaign);
    one.tick(9);
    one.hear(2, 7, pre_granted());
    let said = one.hear(3, 7, pre_granted());
    let status = one.raft.status();
    assert_eq!((status.term, status.vote), (Term(7), Some(MemberId(1))));
    assert_eq!(said.iter().map(|m| m.to.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
    for asked in said {
        assert_eq!((asked.term, asked.body), (Term(7), request_vote(id(1, 1))));
    }
    assert_eq!(one.tick(status.election_timeout_ticks - 1), [], "the timeout begins anew");
}

/// Figure 2, Candidates, and §5.2: votes of a majority make a leader, and not one fewer.
#[test]
fn majority_of_votes_makes_a_leader() {
    let mut one = One::start(Config::new(MemberId(1), 1), disk(&voters(5), 1, &[]));
    one.campaign();
    one.hear(2, 2, granted());
    assert_eq!(one.raft.role(), RoleKind::Candidate);
    one.hear(3, 2, granted());
    assert_eq!(one.raft.role(), RoleKind::Leader);
}

/// §5.2: each voter counts once, however often its vote arrives.
#[test]
fn repeated_vote_counts_once() {
    let mut one = One::start(Config::new(MemberId(1), 1), disk(&voters(5), 1, &[]));
    one.campaign();
    for _ in 0..5 {
        one.hear(2, 2, granted());
    }
    assert_eq!(one.raft.role(), RoleKind::Candidate);
}

/// §5.2: the majority is of the votes of one term; a vote of an earlier campaign does not count.
#[test]
fn vote_of_an_earlier_term_does_not_count() {
    let mut one = One::new(1, &[]);
    one.campaign();
    one.campaign();
    assert_eq!(one.raft.term(), Term(3));
    one.hear(2, 2, granted());
    assert_eq!(one.raft.role(), RoleKind::Candidate);
}

/// Figure 2, Candidates: a candidate that hears from the leader of its term follows it.
#[test]
fn candidate_follows_the_leader_of_its_term() {
    let mut one = One::new(1, &[]);
    one.campaign();
    one.hear(2, 2, append(EntryId::ZERO, &[], 0));
    assert_eq!((one.raft.role(), one.raft.leader()), (RoleKind::Follower, Some(MemberId(2))));
    assert_eq!(one.raft.status().vote, Some(MemberId(1)), "the vote of the term stays");
}

/// §5.2: a candidate does not yield to a leader of an earlier term.
#[test]
fn candidate_ignores_a_leader_of_the_past() {
    let mut one = One::new(1, &[]);
    one.campaign();
    assert_eq!(one.answer(2, 1, append(EntryId::ZERO, &[], 0)), stale_term());
    assert_eq!(one.raft.role(), RoleKind::Candidate);
}

/// Figure 2, Candidates: a candidate whose timeout passes campaigns anew, in a later term. Unlike
/// the paper, the term only rises once a majority would vote again (thesis §9.6).
#[test]
fn candidate_whose_timeout_passes_campaigns_again() {
    let mut one = One::new(1, &[]);
    one.campaign();
    let asked = one.time_out();
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::PreCandidate, Term(2)));
    one.hear(2, asked[0].term.0, pre_granted());
    assert_eq!((one.raft.role(), one.raft.term()), (RoleKind::Candidate, Term(3)));
}

/// §5.2: a leader stays one until it fails: its own timeout does not unseat it.
#[test]
fn leader_that_is_answered_keeps_leading() {
    let mut stage = Stage::new(3);
    stage.elect(1);
    stage.run(500);
    assert_eq!((stage.leader(), stage.term(1)), (Some(1), 1));
}

/// Figure 2, Leaders: a leader speaks to everybody as soon as it is elected, and again whenever a
/// heartbeat is due. Unlike the paper, its first message is no empty one: it carries the no-op.
#[test]
fn leader_speaks_at_once_and_again_at_each_heartbeat() {
    let mut one = One::new(1, &[]);
    one.campaign();
    let opening = one.hear(2, 2, granted());
    assert_eq!(opening.iter().map(|m| m.to.0).collect::<Vec<_>>(), [2, 3]);
    for _ in 0..5 {
        assert_eq!(one.tick(1).iter().map(|m| m.to.0).collect::<Vec<_>>(), [2, 3]);
    }
}

/// §5.2: timeouts are spread over a fixed interval and drawn anew for every election.
#[test]
fn timeout_is_drawn_anew_at_each_reset() {
    let mut one = One::new(1, &[]);
    let drawn: BTreeSet<u32> = (0..200)
        .map(|_| {
            one.hear(2, 1, append(EntryId::ZERO, &[], 0));
            one.raft.status().election_timeout_ticks
        })
        .collect();
    assert_eq!(drawn, (10..20).collect(), "every timeout from 10 to 19 ticks is drawn");
}

/// §5.2: votes that are split elect nobody in that term, and some later term has a leader.
#[test]
fn split_vote_elects_nobody_and_a_later_term_has_a_leader() {
    let mut stage = Stage::new(4);
    stage.campaign(1);
    stage.campaign(3);
    stage.stabilize_only(kind(Kind::PreVote));
    stage.stabilize_only(kind(Kind::PreVoteResponse));
    for (candidate, voter) in [(1, 2), (3, 4)] {
        stage.deliver(|m| link(candidate, voter)(m) && kind(Kind::RequestVote)(m));
    }
    stage.stabilize();
    assert_eq!((stage.leader(), stage.term(1), stage.term(3)), (None, 1, 1));
    stage.run(100);
    assert!(stage.leader().is_some(), "the timeouts differ, and so somebody wins");
}

/// §5.5: requests that are not answered are sent again for ever: here a candidate asks anew.
#[test]
fn candidate_that_gets_no_answer_asks_again() {
    let mut stage = Stage::new(3);
    stage.isolate(1);
    for _ in 0..5 {
        stage.tick_until_campaign(1);
    }
    stage.discard(any);
    stage.heal();
    stage.tick_until_campaign(1);
    stage.stabilize();
    assert_eq!(stage.leader(), Some(1));
}

/// §5.6: a leader stays if messages take less time than the timeout, and the heartbeat must come
/// more often than that: settings to the contrary are refused.
#[test]
#[should_panic(expected = "healthy leaders are voted out")]
fn heartbeat_that_is_not_shorter_than_the_timeout_is_refused() {
    let config = Config { heartbeat_ticks: 10, ..Config::new(MemberId(1), 1) };
    One::start(config, disk(&voters(3), 0, &[]));
}

#[test]
#[should_panic(expected = "inflight_bytes_max")]
fn window_without_room_is_refused() {
    One::start(
        Config { inflight_bytes_max: 0, ..Config::new(MemberId(1), 1) },
        disk(&voters(3), 0, &[]),
    );
}

/// A learner whose leader is silent does not name it for ever.
#[test]
fn silent_leader_is_not_named_by_a_learner() {
    let change = raft::membership::Change::Demote(MemberId(1));
    let membership = voters(3).change(&[change]).expect("it fits");
    let mut one = One::start(Config::new(MemberId(1), 1), disk(&membership, 1, &[]));
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    one.tick(1000);
    assert_eq!(one.raft.leader(), None);
}

/// One who claims to lead a term that another leads does not lengthen that one's protection.
#[test]
fn rival_does_not_count_as_contact() {
    let mut one = One::new(1, &[]);
    one.hear(2, 1, append(EntryId::ZERO, &[], 0));
    one.tick(5);
    one.hear(3, 1, append(EntryId::ZERO, &[], 0));
    assert_eq!(one.raft.status().leader_contact_ticks, 5);
}
