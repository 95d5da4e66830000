//! The rules by which Raft is taught, one test for each: who only reads the sentence above each
//! test has heard the lecture.
//!
//! Every test moves a whole cluster by hand. Nothing is delivered and no time passes unless the
//! test says so, and the stage itself checks Raft's safety properties after every step.

mod elections;
mod majorities;
mod replication;
mod service;
mod terms;

use raft::{MemberId, Message};
use sim::stage::{Kind, Stage, any, kind};

/// The shortest election timeout, in ticks: each is drawn from `T` up to, and without, twice that.
const T: u32 = 10;

/// So many ticks that members which can elect a leader have one by then, after split votes too.
const LONG: u32 = 10 * T;

/// A cluster whose members are numbered from one, and have nothing in their logs.
fn cluster(members: u64) -> Stage {
    Stage::builder(members).configure(|config| config.election_ticks = T).build()
}

/// The messages under way that `pick` names, as they are drawn.
fn under_way(stage: &Stage, pick: impl Fn(&Message) -> bool) -> Vec<String> {
    stage.in_flight().filter(|message| pick(message)).map(Message::to_string).collect()
}

/// Picks the messages between two members, in both directions.
fn between(one: u64, other: u64) -> impl Fn(&Message) -> bool + Copy {
    let pair = [MemberId(one), MemberId(other)];
    move |message| pair.contains(&message.from) && pair.contains(&message.to)
}

/// Makes two members candidates in the same term. Their requests for votes are under way.
fn make_candidates(stage: &mut Stage, pair: [u64; 2]) {
    for member in pair {
        stage.campaign(member);
    }
    stage.deliver(kind(Kind::PreVote));
    stage.deliver(kind(Kind::PreVoteResponse));
    stage.discard(|message| Kind::of(message) != Kind::RequestVote);
}

/// Lets an election timeout pass at `members`, in which they hear nothing and nobody hears them.
fn lose_patience(stage: &mut Stage, members: &[u64]) {
    for _ in 0..T {
        for member in members {
            stage.tick(*member);
        }
    }
    stage.discard(any);
}
