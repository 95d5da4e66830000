//! The run of one seed: members, network, clients and faults, on one queue of events.
//!
//! Everything that happens is an event with a time. The cluster takes one event after the other,
//! gives it to whom it concerns, carries out what the core then asks for, and has the oracles look.

mod clients;
mod drive;
mod effects;
mod faults;
mod life;
mod nemesis;
mod rescue;
mod sightings;

use std::collections::BTreeMap;

use raft::{Body, Input, MemberId, Membership, Message};

use self::nemesis::Nemesis;
use self::rescue::Rescue;
use self::sightings::Sightings;
use crate::checker::{Oracles, Verdict, Violation, violation};
use crate::event::{Happening, Queue};
use crate::member::Member;
use crate::network::{Fate, Network};
use crate::options::{Fault, Options};
use crate::probe::Probes;
use crate::rng::Random;
use crate::trace::{Trace, What};
use crate::workload::Workload;

/// A run of so many events is one in which members keep each other busy for nothing.
const EVENTS_MAX: u64 = 4_000_000;

/// So much of a contradiction in a history is told: the head, and what is around it.
const LINES_MAX: usize = 12;

/// Whether a run writes down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It keeps a [`Trace`].
    Trace,
    /// It keeps counts only, and is faster.
    Counts,
}

/// A cluster under fire.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) options: Options,
    pub(crate) now: u64,
    queue: Queue<Happening>,
    members: Vec<Member>,
    network: Network,
    oracles: Oracles,
    workload: Workload,
    nemesis: Nemesis,
    rescue: Option<Rescue>,
    sightings: Sightings,
    pub(crate) probes: Probes,
    /// How often each class of faults has struck.
    pub(crate) struck: BTreeMap<Fault, u64>,
    pub(crate) trace: Option<Trace>,
    /// The number of the next message in the trace.
    messages: u64,
    pub(crate) events: u64,
}

impl Cluster {
    pub(crate) fn new(options: Options, record: Record) -> Cluster {
        let random = |name| Random::of(options.seed, name);
        let trace = match record {
            Record::Counts => None,
            Record::Trace => {
                Some(Trace { title: format!("seed {}", options.seed), ..Trace::default() })
            }
        };
        Cluster {
            now: 0,
            queue: Queue::default(),
            members: Vec::new(),
            network: Network::new(options.network.clone(), random("network")),
            oracles: Oracles::new(options.core.clone()),
            workload: Workload::new(options.workload.clone(), options.voters, random("workload")),
            nemesis: Nemesis::new(random("nemesis")),
            rescue: None,
            sightings: Sightings::default(),
            probes: Probes::default(),
            struck: BTreeMap::new(),
            trace,
            messages: 0,
            events: 0,
            options,
        }
    }

    /// Runs both phases: under fire, then the rescue.
    pub(crate) fn run(&mut self) -> Verdict {
        self.bootstrap()?;
        self.run_until(self.options.duration)?;
        self.begin_rescue()?;
        self.run_rescue()?;
        self.check_history()
    }

    fn bootstrap(&mut self) -> Verdict {
        let Options { voters, learners, .. } = self.options;
        let learner = |id| raft::membership::Change::AddLearner(MemberId(id));
        let changes: Vec<_> = (voters + 1..=voters + learners).map(learner).collect();
        let mut membership = Membership::of_voters((1..=voters).map(MemberId));
        if !changes.is_empty() {
            membership = membership.change(&changes).expect("the learners are new");
        }
        self.oracles.completeness.begin(&membership);
        for _ in 0..voters + learners {
            let id = self.add_member(membership.clone());
            self.start(id)?;
        }
        for client in 0..self.workload.clients() {
            let at = self.workload.pause();
            self.queue.push(at, Happening::Client { client });
        }
        let at = self.nemesis.next_deed(&self.options.nemesis);
        self.queue.push(at, Happening::Deed);
        Ok(())
    }

    fn run_until(&mut self, end: u64) -> Verdict {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            let (at, happening) = self.queue.pop().expect("there is a next one");
            self.now = at;
            self.events += 1;
            if self.events > EVENTS_MAX {
                return violation("liveness", format!("there is no end of messages: {EVENTS_MAX}"));
            }
            self.happen(happening)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Verdict {
        match happening {
            Happening::Tick { member, life } => self.on_tick(member, life),
            Happening::Arrival { number, message } => self.on_arrival(number, message),
            Happening::Synced { member, life } => self.on_synced(member, life),
            Happening::Apply { member, life } => self.on_apply(member, life),
            Happening::ImageMade { member, life, image } => self.on_image_made(member, life, image),
            Happening::ImageFor { member, life, to } => self.on_image_for(member, life, to),
            Happening::Unreachable { member, life, to } => {
                if self.members[member].life == life && self.members[member].is_up() {
                    return self.input(member, Input::Unreachable(to));
                }
                Ok(())
            }
            Happening::Client { client } => self.on_client(client),
            Happening::Deadline { operation } => {
                self.on_deadline(operation);
                Ok(())
            }
            Happening::Deed => self.on_deed(),
            Happening::Restart { member, life } => {
                let waits = self.members[member].life == life && !self.members[member].is_up();
                if waits && self.may_return(member) { self.start(member) } else { Ok(()) }
            }
            Happening::Resume { member, life } => {
                if self.may_return(member) {
                    self.on_resume(member, life)
                } else {
                    Ok(())
                }
            }
            Happening::Unstall { member } => {
                self.event(|cluster| What::Unstall { member: cluster.members[member].id.0 });
                Ok(())
            }
            Happening::Heal { parting } => {
                self.on_heal(parting);
                Ok(())
            }
            Happening::Look => self.on_look(),
        }
    }

    // === Messages ===

    /// Puts a message of `member` under way.
    fn send(&mut self, member: usize, message: Message) -> Verdict {
        self.oracles.sent(&message, &self.members[member].disk)?;
        self.sightings.sent(&message, &mut self.probes);
        self.messages += 1;
        let number = self.messages;
        self.trace_sent(number, &message);
        let (from, to) = (message.from.0, message.to.0);
        if place(to) >= self.members.len() {
            self.lose(number, from, to);
            return Ok(());
        }
        match self.network.send(&message, self.now) {
            Fate::Lost => self.lose(number, from, to),
            Fate::Arrives(at) => self.queue.push(at, Happening::Arrival { number, message }),
            Fate::ArrivesTwice(at, again) => {
                self.strike(Fault::Duplication);
                self.messages += 1;
                let copy = self.messages;
                self.trace_sent(copy, &message);
                let message_again = message.clone();
                self.queue.push(at, Happening::Arrival { number, message });
                self.queue.push(again, Happening::Arrival { number: copy, message: message_again });
            }
        }
        Ok(())
    }

    fn trace_sent(&mut self, number: u64, message: &Message) {
        self.event(|_| What::Sent {
            id: number,
            from: message.from.0,
            to: message.to.0,
            term: message.term.0,
            body: message.body.to_string(),
        });
    }

    fn lose(&mut self, number: u64, from: u64, to: u64) {
        if !self.network.is_broken((from, to)) {
            self.strike(Fault::Loss);
        }
        self.event(|_| What::Lost { id: number });
        if self.network.is_loss_noticed() {
            let member = place(from);
            let life = self.members[member].life;
            let at = self.now + self.options.network.delay_mean;
            self.queue.push(at, Happening::Unreachable { member, life, to: MemberId(to) });
        }
    }

    fn on_arrival(&mut self, number: u64, message: Message) -> Verdict {
        let to = place(message.to.0);
        let broken = self.network.is_broken((message.from.0, message.to.0));
        if broken || !self.members[to].is_up() {
            self.event(|_| What::Lost { id: number });
            if let Body::InstallSnapshot { .. } = &message.body
                && self.network.is_loss_noticed()
            {
                return self.input(place(message.from.0), Input::SnapshotFailed { to: message.to });
            }
            return Ok(());
        }
        self.event(|_| What::Received { id: number });
        self.sightings.arrived(&message, &self.members[to], &mut self.probes);
        self.input(to, Input::Message(message))
    }

    // === Writing down ===

    fn event(&mut self, what: impl FnOnce(&Cluster) -> What) {
        if self.trace.is_some() {
            let what = what(self);
            let now = self.now;
            if let Some(trace) = &mut self.trace {
                trace.push(now, what);
            }
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        self.event(|_| What::Note { text: text() });
    }

    /// Counts a fault.
    fn strike(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// The history of the clients can be put in one order.
    fn check_history(&self) -> Verdict {
        let say = |text| Violation { oracle: "linearizability", text };
        let history = self.workload.history().map_err(say)?;
        crate::linearizability::check(&history).map_err(|violation| {
            let text = violation.to_string();
            say(text.lines().take(LINES_MAX).map(str::trim).collect::<Vec<_>>().join("; "))
        })
    }
}

/// Where the member with this number stands among the members.
fn place(member: u64) -> usize {
    usize::try_from(member - 1).expect("members are few")
}
