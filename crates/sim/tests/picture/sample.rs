//! Runs to draw: a short story on a stage, and a long run made up at random.

use raft::membership::Change;
use raft::{MemberId, RoleKind, Term};
use sim::stage::{Kind, Stage, any, from, kind, link, to};
use sim::trace::{Trace, What};

/// Three members live through nearly everything that a picture can show.
pub(crate) fn story() -> Trace {
    let mut stage = Stage::builder(3).configure(|config| config.catch_up_entries = 2).build();
    split_vote(&mut stage);
    replication(&mut stage);
    crash_of_the_leader(&mut stage);
    partition(&mut stage);
    stalled_disk(&mut stage);
    image_and_new_member(&mut stage);
    let mut trace = stage.into_trace();
    trace.title = "Three members and a fourth: a story".to_owned();
    trace
}

/// Two members campaign at the same time and neither wins; then one does.
fn split_vote(stage: &mut Stage) {
    stage.tick_until_campaign(1);
    stage.deliver(kind(Kind::PreVote));
    stage.deliver(link(3, 1));
    // Now the other one, before it hears of the first one's candidacy.
    stage.campaign(2);
    stage.deliver(kind(Kind::PreVote));
    stage.deliver(link(3, 2));
    stage.discard(to(3));
    stage.stabilize();
    new_leader(stage, 0);
}

/// Commands are proposed; some messages are lost, doubled or late, and a read is asked for.
fn replication(stage: &mut Stage) {
    let leader = stage.leader().expect("one was elected");
    let follower = leader % 3 + 1;
    for command in ["a=1", "b=2", "c=3"] {
        stage.propose(leader, command).expect("it leads");
        stage.deliver(to(follower));
        stage.duplicate(link(follower, leader));
    }
    stage.discard(from(follower));
    stage.stabilize();
    stage.read(leader, 1).expect("it leads");
    stage.read(follower, 2).expect("it follows");
    stage.stabilize();
    stage.run(6);
}

/// The leader dies with an entry that nobody has seen, and comes back behind a new leader.
fn crash_of_the_leader(stage: &mut Stage) {
    let leader = stage.leader().expect("one was elected");
    stage.propose(leader, "lost=1").expect("it leads");
    stage.discard(any);
    let term = stage.term(leader);
    stage.crash(leader);
    let next = new_leader(stage, term);
    stage.propose(next, "d=4").expect("it leads");
    stage.stabilize();
    stage.restart(leader);
    stage.run(4);
}

/// The leader is cut off with an entry of its own; the others go on; the wound heals.
fn partition(stage: &mut Stage) {
    let leader = stage.leader().expect("one was elected");
    let term = stage.term(leader);
    stage.isolate(leader);
    stage.propose(leader, "minority=1").expect("it does not know yet");
    let next = new_leader(stage, term);
    stage.propose(next, "e=5").expect("it leads");
    stage.run(3);
    stage.heal();
    stage.block(leader, next);
    stage.run(4);
    stage.heal();
    stage.run(4);
}

/// The leader's own disk stands still, and the others are durable before it.
fn stalled_disk(stage: &mut Stage) {
    let leader = stage.leader().expect("one was elected");
    stage.hold_disk(leader);
    for command in ["f=6", "g=7"] {
        stage.propose(leader, command).expect("it leads");
        stage.stabilize();
    }
    stage.run(2);
    stage.release_disk(leader);
    stage.stabilize();
}

/// A fourth member joins, takes an image, is promoted, and is handed the leadership.
fn image_and_new_member(stage: &mut Stage) {
    let leader = stage.leader().expect("one was elected");
    stage.snapshot(leader);
    stage.run(1);
    stage.add(4);
    stage.change(leader, &[Change::AddLearner(MemberId(4))]).expect("it leads");
    stage.run(4);
    stage.change(leader, &[Change::Promote(MemberId(4))]).expect("m4 has caught up");
    stage.run(2);
    stage.transfer(leader, Some(4)).expect("m4 votes");
    stage.run(4);
    stage.tick(4);
}

/// Lets time pass until a member leads in a later term, and returns which.
fn new_leader(stage: &mut Stage, term: u64) -> u64 {
    for _ in 0..100 {
        stage.run(1);
        if let Some(leader) = stage.leader().filter(|leader| stage.term(*leader) > term) {
            return leader;
        }
    }
    panic!("nobody leads after term {term}");
}

/// Five members serve clients for a long time, now and then without one of them.
pub(crate) fn long() -> Trace {
    let mut stage = Stage::builder(5).unchecked().build();
    new_leader(&mut stage, 0);
    for round in 0..500 {
        let away = round / 20 % 5 + 1;
        match round % 20 {
            5 => stage.isolate(away),
            10 => stage.heal(),
            15 => stage.crash(away),
            19 => stage.members().into_iter().for_each(|member| {
                if !stage.up().contains(&member) {
                    stage.restart(member);
                }
            }),
            _ => {}
        }
        for member in stage.up() {
            let _ = stage.propose(member, &format!("round={round}"));
        }
        stage.run(4);
    }
    stage.into_trace()
}

/// Two members: one message from the first to the second, and one back that is lost on the way. The
/// second member is down at the end.
pub(crate) fn two_messages() -> Trace {
    let mut trace = Trace { title: "Two messages".to_owned(), events: Vec::new() };
    let role = |id, role| What::role(MemberId(id), role, Term(1), Some(MemberId(1)));
    let sent =
        |id, from, to, body: &str| What::Sent { id, from, to, term: 1, body: body.to_owned() };
    trace.push(0, What::Start { member: 1 });
    trace.push(0, What::Start { member: 2 });
    trace.push(0, role(1, RoleKind::Leader));
    trace.push(0, role(2, RoleKind::Follower));
    trace.push(2000, sent(1, 1, 2, "Append prev=0@0 [1@1] commit=0"));
    trace.push(2000, sent(2, 2, 1, "RequestVote last=0@0"));
    let text = "asks something".to_owned();
    trace.push(4000, What::Client { client: 7, member: 1, text });
    let text = "is told nothing, and not by whom".to_owned();
    trace.push(5000, What::Client { client: 7, member: 0, text });
    trace.push(6000, What::Received { id: 1 });
    trace.push(6000, What::Lost { id: 2 });
    trace.push(8000, What::Crash { member: 2 });
    trace.push(10_000, What::Note { text: "the end".to_owned() });
    trace
}

/// Texts that want to get out of the place where they stand.
pub(crate) fn hostile() -> Trace {
    let text = "</script><script>window.escaped = 1</script><!-- <b>&amp; \"'\\ \u{2028} ]]>";
    let mut trace = Trace { title: text.to_owned(), events: Vec::new() };
    trace.push(0, What::Start { member: 1 });
    trace.push(0, What::Start { member: 2 });
    trace.push(500, What::Note { text: text.to_owned() });
    trace.push(700, What::Client { client: 1, member: 1, text: text.to_owned() });
    trace.push(800, What::Membership { member: 1, membership: text.to_owned() });
    trace.push(1000, What::Sent { id: 1, from: 1, to: 2, term: 1, body: text.to_owned() });
    trace.push(2000, What::Received { id: 1 });
    trace
}
