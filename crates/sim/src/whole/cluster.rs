//! The run of one seed: whole members, connections, clients and faults, on one queue of events.

mod ask;
mod deeds;
mod images;
mod life;
mod messages;
mod rescue;
mod turn;

use std::collections::BTreeMap;

use raft::{MemberId, Membership};
use replica::Genesis;
use store::MemberAttributes;

use self::ask::Operator;
use self::deeds::Nemesis;
use self::images::Transfer;
use self::rescue::Rescue;
use super::clients::Clients;
use super::happening::Happening;
use super::member::{Member, Running, Standing};
use super::options::{Fault, Options};
use super::oracle::history::History;
use super::oracle::leases::Leases;
use super::oracle::ledger::Ledger;
use super::oracle::promises::Promises;
use super::probe::{Probe, Probes};
use super::wire::Wire;
use crate::checker::{Verdict, Violation, violation};
use crate::clock::Clock;
use crate::event::Queue;
use crate::rng::Random;
use crate::run::Record;
use crate::trace::{Trace, What};

/// A run of so many events is one in which members keep each other busy for nothing.
const EVENTS_MAX: u64 = 2_000_000;
/// So much of a contradiction in a history is told.
const LINES_MAX: usize = 12;
/// About so many calls to its disk a member makes while it is created.
const CREATION_CALLS: u64 = 60;
/// The cluster's ID.
const CLUSTER_ID: u64 = 0xc1;

/// A cluster of whole members under fire.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) options: Options,
    pub(crate) now: u64,
    queue: Queue<Happening>,
    members: Vec<Member>,
    wire: Wire,
    clients: Clients,
    operator: Operator,
    transfers: BTreeMap<u64, Transfer>,
    next_transfer: u64,
    history: History,
    /// When each revision was first shown.
    shown: BTreeMap<u64, u64>,
    ledger: Ledger,
    promises: Promises,
    leases: Leases,
    nemesis: Nemesis,
    rescue: Option<Rescue>,
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
                let title = format!("whole members, seed {}", options.seed);
                Some(Trace { title, ..Trace::default() })
            }
        };
        Cluster {
            now: 0,
            queue: Queue::default(),
            members: Vec::new(),
            wire: Wire::new(options.network.clone(), random("wire")),
            clients: Clients::new(options.workload.clone(), options.members, random("clients")),
            operator: Operator::default(),
            transfers: BTreeMap::new(),
            next_transfer: 0,
            history: History::default(),
            shown: BTreeMap::new(),
            ledger: Ledger::default(),
            promises: Promises::default(),
            leases: Leases::new(options.skew_max),
            nemesis: Nemesis::new(random("nemesis")),
            rescue: None,
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
        let count = self.options.members;
        let genesis = Genesis::Founded {
            cluster_id: CLUSTER_ID,
            membership: Membership::of_voters((1..=count).map(MemberId)),
            members: (1..=count).map(|id| (id, attributes(id))).collect(),
        };
        for _ in 0..count {
            let at = self.add_member(genesis.clone());
            self.start(at)?;
        }
        for client in 0..self.clients.len() {
            let at = self.clients.pause();
            self.queue.push(at, Happening::Client { client });
        }
        let at = self.nemesis.next_deed(&self.options.nemesis);
        self.queue.push(at, Happening::Deed);
        Ok(())
    }

    /// Adds a member with an empty disk; returns its place.
    fn add_member(&mut self, genesis: Genesis) -> usize {
        let at = self.members.len();
        let id = at as u64 + 1;
        let random = |name: &str| Random::of(self.options.seed, &format!("{name} of whole m{id}"));
        let disk = self.new_disk(random("disk").draw());
        let mut fate = random("creation");
        if self.options.faults().contains(&Fault::CallCrash) && fate.chance(300) {
            disk.cut_power_at(disk.calls() + 1 + fate.below(CREATION_CALLS));
        }
        let (tick, shape, skew) = (self.options.tick, self.options.clock, self.options.skew_max);
        self.members.push(Member {
            id,
            genesis,
            life: 0,
            disk,
            process: None,
            standing: Standing::Sound,
            clock: Clock::new(tick, shape, skew, random("clock")),
            random: random("member"),
            doom: None,
            stalled_until: 0,
            has_errors: false,
            is_rotten: false,
            since: 0,
        });
        at
    }

    fn run_until(&mut self, end: u64) -> Verdict {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            let (at, happening) = self.queue.pop().expect("there is a next one");
            self.now = at;
            self.events += 1;
            if EVENTS_MAX < self.events {
                return violation("liveness", format!("there is no end of events: {EVENTS_MAX}"));
            }
            self.happen(happening)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Verdict {
        match happening {
            Happening::Tick { at, life } => self.on_tick(at, life),
            Happening::Arrival { number, from, to, connection, message } => {
                self.on_arrival(number, (from, to), connection, message)
            }
            Happening::Unreachable { at, life, to } => self.on_unreachable(at, life, to),
            Happening::LeaderGone { at, life, leader } => self.on_leader_gone(at, life, leader),
            Happening::Synced { at, life } => self.on_synced(at, life),
            Happening::Unblocked { at, life } => self.on_unblocked(at, life),
            Happening::Job { at, life, job } => self.on_job(at, life, job),
            Happening::Piece { transfer } => self.on_piece(transfer),
            Happening::Client { client } => self.on_client(client),
            Happening::Deadline { operation } => self.on_deadline(operation),
            Happening::Deed => self.on_deed(),
            Happening::Restart { at, life } => self.on_restart(at, life),
            Happening::Resume { at, life } => self.on_resume(at, life),
            Happening::Freed { at } => {
                self.members[at].disk.set_capacity(None);
                self.note(|cluster| format!("the disk of m{} has space", cluster.members[at].id));
                Ok(())
            }
            Happening::Mended { at } => {
                self.mend_disk(at);
                Ok(())
            }
            Happening::Heal { parting } => {
                self.on_heal(parting);
                Ok(())
            }
            Happening::Look => self.on_look(),
        }
    }

    // === Looking around ===

    /// Tells whether a member still lives the life that something belongs to.
    fn lives(&self, at: usize, life: u64) -> bool {
        self.members[at].life == life && self.members[at].is_up()
    }

    /// The member that leads the latest term, of those that are up.
    fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| {
            let process = self.members[*at].process.as_ref();
            process.is_some_and(|process| process.published.role == raft::RoleKind::Leader)
        };
        (0..self.members.len()).filter(leads).max_by_key(|at| {
            self.members[*at].process.as_ref().map(|process| process.published.term)
        })
    }

    /// The IDs of all members that there ever were.
    fn ids(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.id).collect()
    }

    fn is_running(&self, at: usize) -> bool {
        let process = self.members[at].process.as_ref();
        process.is_some_and(|process| process.running == Running::Yes)
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

    fn note(&mut self, text: impl FnOnce(&Cluster) -> String) {
        self.event(|cluster| What::Note { text: text(cluster) });
    }

    /// Counts a fault.
    fn strike(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// The history of the clients can be put in one order, and nobody was lied to.
    fn check_history(&mut self) -> Verdict {
        let say = |text| Violation { oracle: "answers", text };
        let history = self.clients.history(&self.history, &self.shown).map_err(say)?;
        let unknown = self.clients.has_unknown_written(&self.history);
        self.probes.hit_if(Probe::UnknownCommandWritten, unknown);
        crate::linearizability::check(&history).map_err(|violation| {
            let text = violation.to_string();
            let text = text.lines().take(LINES_MAX).map(str::trim).collect::<Vec<_>>().join("; ");
            Violation { oracle: "linearizability", text }
        })
    }
}

/// Where the member with this ID stands among the members.
fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("members are few")
}

/// Names and addresses of a member.
fn attributes(id: u64) -> MemberAttributes {
    let peer_urls = vec![format!("http://m{id}:2380")];
    MemberAttributes { peer_urls, ..MemberAttributes::default() }
}
