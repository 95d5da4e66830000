//! How fast the core is by itself: no disk, no network, one thread for all three members.
//!
//! `cargo bench -p raft` prints, for each number of commands in flight, how many a cluster of three
//! commits and applies per second, and what one call of `step` costs on average. Each figure is the
//! median of the rounds, with the slowest and the fastest.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft::{
    Config, DurableState, Effects, Index, Input, MemberId, Membership, Message, Raft, RoleKind,
};

const ROUNDS: usize = 7;
const ROUND_TIME: Duration = Duration::from_millis(400);
const COMMAND_BYTES: usize = 256;
/// The service makes an image each time it has applied this many entries, so that the log stays
/// short.
const IMAGE_ENTRIES: u64 = 20_000;

/// A cluster in which every message arrives and every write is durable at once.
struct Cluster {
    members: BTreeMap<MemberId, Raft>,
    network: VecDeque<Message>,
    /// How often a core was called.
    calls: u64,
    /// How far the leader's service has come.
    applied: Index,
    image: Index,
}

impl Cluster {
    fn new(members_len: u64) -> Cluster {
        let ids: Vec<MemberId> = (1..=members_len).map(MemberId).collect();
        let members = ids.iter().map(|id| {
            let first_start = DurableState::bootstrap(Membership::of_voters(ids.iter().copied()));
            let raft = Raft::restore(Config::new(*id, id.0), first_start);
            (*id, raft.expect("an empty log is sound"))
        });
        let mut cluster = Cluster {
            members: members.collect(),
            network: VecDeque::new(),
            calls: 0,
            applied: Index::ZERO,
            image: Index::ZERO,
        };
        cluster.step(MemberId(1), Input::Campaign);
        cluster.deliver();
        assert!(cluster.leader().role() == RoleKind::Leader, "the first member leads");
        cluster
    }

    fn leader(&mut self) -> &mut Raft {
        self.members.get_mut(&MemberId(1)).expect("the first member exists")
    }

    fn step(&mut self, id: MemberId, input: Input) {
        let member = self.members.get_mut(&id).expect("all receivers exist");
        self.calls += 1;
        let effects = member.step(input);
        self.execute(id, effects);
    }

    fn execute(&mut self, id: MemberId, effects: Effects) {
        self.network.extend(effects.send_now);
        self.network.extend(effects.send_when_durable);
        if let Some(last) = effects.apply.last() {
            let index = last.index;
            if id == MemberId(1) {
                self.applied = index;
            }
            let member = self.members.get_mut(&id).expect("all receivers exist");
            member.feed(Input::Applied(index));
            if index.0 >= self.image.0 + IMAGE_ENTRIES {
                member.feed(Input::Snapshotted(index));
                if id == MemberId(1) {
                    self.image = index;
                }
            }
        }
        if let Some(persist) = effects.persist {
            self.step(id, Input::Durable(persist.ack));
        }
    }

    fn deliver(&mut self) {
        while let Some(message) = self.network.pop_front() {
            self.step(message.to, Input::Message(message));
        }
    }

    /// Keeps `in_flight` commands under way for a while, and returns commands per second and
    /// nanoseconds per call.
    fn run(&mut self, in_flight: u64) -> (f64, f64) {
        let command = Bytes::from(vec![7; COMMAND_BYTES]);
        let start = Instant::now();
        let (applied_before, calls_before) = (self.applied, self.calls);
        while start.elapsed() < ROUND_TIME {
            for _ in 0..in_flight {
                self.leader().propose(command.clone()).expect("the leader takes commands");
            }
            let effects = self.leader().flush();
            self.calls += 1;
            self.execute(MemberId(1), effects);
            self.deliver();
        }
        let seconds = start.elapsed().as_secs_f64();
        let applied = self.applied.0 - applied_before.0;
        let calls = self.calls - calls_before;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        (applied as f64 / seconds, seconds * 1e9 / calls as f64)
    }
}

/// The median of the figures, and their range.
fn describe(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let (low, middle, high) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    format!("{middle:>12.0}  ({low:.0} to {high:.0})")
}

fn main() {
    for members_len in [3, 5] {
        println!("{members_len} members, commands of {COMMAND_BYTES} bytes, {ROUNDS} rounds each");
        for in_flight in [1, 100, 10_000] {
            let mut cluster = Cluster::new(members_len);
            cluster.run(in_flight);
            let (rates, costs): (Vec<f64>, Vec<f64>) =
                (0..ROUNDS).map(|_| cluster.run(in_flight)).unzip();
            println!("  {in_flight:>6} in flight: {} commands/s", describe(rates));
            println!("                    {} ns per call", describe(costs));
        }
    }
}
