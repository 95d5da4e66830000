//! How a cluster comes to a leader, and to one only.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use raft::{MemberId, Message, RoleKind};
use sim::stage::{Kind, Stage, from, kind, link};

use super::{LONG, T, between, cluster, make_candidates, under_way};

/// There is at most one leader in a term, however many messages are lost, late, out of order or
/// repeated. Two members may well take themselves for the leader at once: in two terms.
#[test]
fn a_term_has_at_most_one_leader() {
    let (mut elections, mut two_at_once) = (0, 0);
    for seed in 0..200 {
        let mut chance = Chance(seed);
        // The stage's own check is off: this test says aloud what it checks.
        let mut stage = Stage::builder(5).unchecked().configure(|c| c.election_ticks = 3).build();
        let mut leaders: BTreeMap<u64, u64> = BTreeMap::new();
        for _ in 0..1500 {
            disturb(&mut stage, &mut chance);
            let leading = (1..=5).filter(|member| stage.role(*member) == RoleKind::Leader);
            let leading: Vec<u64> = leading.collect();
            for member in &leading {
                let term = stage.term(*member);
                let first = leaders.entry(term).or_insert(*member);
                assert_eq!(first, member, "seed {seed}: two leaders in term {term}");
            }
            two_at_once += usize::from(leading.len() > 1);
        }
        elections += leaders.len();
    }
    assert!(elections > 500, "only {elections} elections: the network was too kind");
    assert!(two_at_once > 0, "never were there two leaders, not even in two terms");
}

/// Lets time pass somewhere, or delivers, loses or repeats any one of the messages under way.
fn disturb(stage: &mut Stage, chance: &mut Chance) {
    let place = chance.below(stage.in_flight().count().max(1));
    match chance.below(100) {
        0..25 => stage.tick(chance.below(5) as u64 + 1),
        25..85 => drop(stage.deliver_one(nth(place))),
        85..95 => drop(stage.discard(nth(place))),
        95.. => drop(stage.duplicate(nth(place))),
    }
}

/// Picks one message by its place among those under way.
fn nth(place: usize) -> impl Fn(&Message) -> bool {
    let seen = Cell::new(0);
    move |_| seen.replace(seen.get() + 1) == place
}

/// Random numbers from a seed.
struct Chance(u64);

impl Chance {
    /// Draws a number from zero up to, and without, `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end
    }
}

/// A member has one vote in a term. It tells its vote only when that is on its disk, so that it
/// knows after a restart whom it voted for, and does not vote for another.
#[test]
fn a_member_has_one_vote_in_a_term_and_remembers_it() {
    let mut stage = cluster(3);
    make_candidates(&mut stage, [1, 3]);
    stage.duplicate(link(1, 2));
    stage.hold_disk(2);
    stage.deliver_one(link(1, 2));
    assert!(under_way(&stage, from(2)).is_empty(), "m2 tells a vote that it may yet forget");
    stage.release_disk(2);
    assert_eq!(under_way(&stage, from(2)), ["m2@1 → m1 VoteResponse granted"]);
    stage.discard(from(2));

    stage.crash(2);
    stage.restart(2);
    assert_eq!(stage.status(2).vote, Some(MemberId(1)), "m2 forgot its vote");
    stage.deliver(link(3, 2));
    assert_eq!(under_way(&stage, from(2)), ["m2@1 → m3 VoteResponse refused"]);
    stage.discard(from(2));
    stage.deliver(link(1, 2));
    assert_eq!(under_way(&stage, from(2)), ["m2@1 → m1 VoteResponse granted"]);
}

/// A candidate votes for itself and asks all others, also those it cannot reach: they are members
/// too, and it cannot know whether they will be there in time.
#[test]
fn a_candidate_votes_for_itself_and_asks_also_the_unreachable() {
    let mut stage = cluster(5);
    stage.crash(4);
    stage.isolate(5);
    stage.campaign(1);
    stage.deliver(kind(Kind::PreVote));
    stage.take_lines();
    stage.deliver(kind(Kind::PreVoteResponse));
    assert_eq!(stage.role(1), RoleKind::Candidate);
    assert_eq!(stage.durable(1).hard_state.vote, Some(MemberId(1)), "its own vote is written");
    let mut asked = stage.take_lines();
    asked.retain(|line| line.contains("RequestVote"));
    assert_eq!(
        asked,
        [
            "m1@1 → m2 RequestVote last=0@0",
            "m1@1 → m3 RequestVote last=0@0",
            "m1@1 ⇥ m4 RequestVote last=0@0",
            "m1@1 ⇥ m5 RequestVote last=0@0",
        ],
        "m4 and m5 are asked in vain, and m1 does not ask itself"
    );

    stage.deliver(kind(Kind::RequestVote));
    stage.deliver_one(link(2, 1));
    assert_eq!(stage.role(1), RoleKind::Candidate, "its own vote and one other are not three");
    stage.deliver_one(link(3, 1));
    assert_eq!(stage.role(1), RoleKind::Leader, "its own vote and two others are three of five");
}

/// The election timeout is drawn anew whenever the timer is reset, uniformly from `T` up to twice
/// `T`: so members seldom run out of patience together, and never do so for long.
#[test]
fn election_timeouts_differ_at_every_reset() {
    const RESETS: usize = 10_000;
    // A fair draw gives each of the T timeouts with probability p = 1/T, so RESETS × p = 1000
    // times, with a standard deviation of √(RESETS × p × (1 − p)) = 30. Two fair draws are equal
    // with probability p too, so that the same holds for these. A count strays by more than five
    // standard deviations once in 1.7 million times, and there are twelve counts here.
    let fair = 1000 - 150..=1000 + 150;

    let mut stage = cluster(3);
    stage.elect(1);
    let mut drawn: BTreeMap<u32, usize> = BTreeMap::new();
    let (mut repeated, mut shared, mut before) = (0, 0, 0);
    for _ in 0..RESETS {
        stage.tick(1);
        stage.stabilize();
        let [one, other] = [2, 3].map(|member| stage.status(member).election_timeout_ticks);
        *drawn.entry(one).or_default() += 1;
        repeated += usize::from(one == before);
        shared += usize::from(one == other);
        before = one;
    }
    assert!(drawn.keys().copied().eq(T..2 * T), "drawn were {drawn:?}");
    assert!(drawn.values().all(|times| fair.contains(times)), "not uniform: {drawn:?}");
    assert!(fair.contains(&repeated), "{repeated} times the timeout was that of the reset before");
    assert!(fair.contains(&shared), "{shared} times two members drew the same timeout");

    stage.crash(1);
    let waited: BTreeSet<u32> = (0..100).map(|_| stage.tick_until_campaign(2)).collect();
    assert!(waited.into_iter().eq(T..2 * T), "it does not campaign when its timeout has passed");
}

/// If the votes are split nobody wins the term, and nobody ever will. The timers run out at
/// different times, and a later term has a leader.
#[test]
fn a_split_vote_resolves_in_a_later_term() {
    let mut stage = cluster(4);
    make_candidates(&mut stage, [1, 2]);
    stage.deliver(link(1, 3));
    stage.deliver(link(2, 4));
    stage.stabilize();
    let votes = [1, 2, 3, 4].map(|member| stage.status(member).vote.map(|candidate| candidate.0));
    assert_eq!(votes, [Some(1), Some(2), Some(1), Some(2)], "the vote is split");
    assert_eq!(stage.leader(), None, "two votes of four made a leader");

    stage.run(LONG);
    let leader = stage.leader().expect("the next attempt succeeds");
    let term = stage.term(leader);
    assert!(term > 1, "m{leader} leads term {term}, in which the vote was split");
    for member in 1..=4 {
        let status = stage.status(member);
        assert_eq!(status.leader, Some(MemberId(leader)), "m{member} follows somebody else");
        assert_eq!(status.term.0, term, "m{member} is in another term");
    }
}

/// An AppendEntries is the leader's sign of life: a candidate that hears it gives up, and a
/// follower that hears it in time never campaigns. Without it, the follower campaigns when its time
/// is up.
#[test]
fn append_entries_resets_the_timer_and_stops_elections() {
    let mut stage = cluster(3);
    make_candidates(&mut stage, [1, 3]);
    stage.deliver(between(1, 2));
    stage.deliver(between(1, 2));
    assert_eq!([1, 3].map(|m| stage.role(m)), [RoleKind::Leader, RoleKind::Candidate]);
    stage.deliver(kind(Kind::Append));
    assert_eq!(stage.role(3), RoleKind::Follower, "m3 goes on although the term has a leader");
    assert_eq!(stage.status(3).leader, Some(MemberId(1)));
    stage.stabilize();

    for _ in 0..20 {
        wait_almost_until_timeout(&mut stage, 2);
        stage.tick(1);
        stage.stabilize();
        assert_eq!(stage.leader(), Some(1), "m1 was disturbed");
        assert_eq!(stage.term(2), 1, "there was another election");
    }
    wait_almost_until_timeout(&mut stage, 2);
    stage.tick(2);
    assert_eq!(stage.role(2), RoleKind::PreCandidate, "m2 waits for a leader that is silent");
}

/// Lets time pass at `member` until one tick is missing.
fn wait_almost_until_timeout(stage: &mut Stage, member: u64) {
    for _ in 1..stage.status(member).election_timeout_ticks {
        stage.tick(member);
    }
    assert_eq!(stage.role(member), RoleKind::Follower, "m{member} campaigns before its time");
}
