//! The second phase: a quorum is healed, the rest stays as it is, and progress is demanded.

use std::collections::BTreeSet;

use raft::{Index, MemberId, Membership, Payload, RoleKind, Status};

use super::{Cluster, place};
use crate::checker::Verdict;
use crate::checker::durability::is_quorum;
use crate::checker::liveness::Demand;
use crate::event::Happening;
use crate::machine::{Action, Command};
use crate::member::Running;
use crate::probe::Probe;
use crate::trace::What;
use crate::workload::Request;

/// How many election timeouts a healed quorum has.
const TIMEOUTS: u64 = 10;
/// How often the healed quorum is looked at, in microseconds.
const LOOK_INTERVAL: u64 = 20_000;

/// The rescue that is under way.
#[derive(Debug)]
pub(super) struct Rescue {
    demand: Demand,
    /// The command that must be acknowledged, and since when it waits.
    command: Option<(u64, u64)>,
    /// The read that each healed member must answer, and since when it waits.
    reads: Vec<(MemberId, u64, u64)>,
    done: bool,
}

impl Cluster {
    /// Tells whether a member that is down or stands still may return by itself: not when others
    /// are being rescued.
    pub(super) fn may_return(&self, at: usize) -> bool {
        match &self.rescue {
            None => true,
            Some(rescue) => rescue.demand.healed.contains(&self.members[at].id),
        }
    }

    /// Heals a quorum.
    pub(super) fn begin_rescue(&mut self) -> Verdict {
        let mut healed = BTreeSet::new();
        self.rescue = Some(Rescue {
            demand: Demand { healed: BTreeSet::new(), acknowledged: None, read: BTreeSet::new() },
            command: None,
            reads: Vec::new(),
            done: false,
        });
        self.options.disk.latency_mean = 500;
        self.options.service.image_latency = 500;
        self.options.service.image_failures = 0;
        self.options.service.apply_latency = self.options.service.apply_latency.min(500);
        let mut memberships: Vec<Membership> =
            self.oracles.completeness.membership().cloned().into_iter().collect();
        // Whoever is healed may know of configurations that nobody else knows of yet, and each
        // must find its quorum.
        loop {
            let before = healed.len();
            for membership in memberships.drain(..) {
                self.extend_to_quorum(&mut healed, &membership);
            }
            if healed.len() == before {
                break;
            }
            if let Some(rescue) = &mut self.rescue {
                rescue.demand.healed.clone_from(&healed);
            }
            self.mend(&healed)?;
            for id in &healed {
                memberships.extend(self.memberships_of(*id));
            }
        }
        let names: Vec<String> = healed.iter().map(MemberId::to_string).collect();
        self.note(|| format!("{} are healed", names.join(" ")));
        self.cut_off_others(&healed);
        self.queue.push(self.now + 1, Happening::Look);
        Ok(())
    }

    /// Adds members, in any order, until there is a quorum of the configuration.
    fn extend_to_quorum(&mut self, healed: &mut BTreeSet<MemberId>, membership: &Membership) {
        let mut voters: Vec<MemberId> = membership.voters().collect();
        self.nemesis.random.shuffle(&mut voters);
        for voter in voters {
            if is_quorum(membership, |id| healed.contains(&id)) {
                return;
            }
            healed.insert(voter);
        }
    }

    /// The configurations that may be in force at a member: the latest, and all that may return if
    /// its log is replaced.
    fn memberships_of(&self, id: MemberId) -> Vec<Membership> {
        let process = self.members[place(id.0)].process.as_ref().expect("it was started");
        let committed = process.seen.committed;
        let uncommitted = process.core.entries().filter(|entry| entry.index > committed);
        let mut memberships: Vec<Membership> = uncommitted
            .filter_map(|entry| match &entry.payload {
                Payload::Membership(change) => Some(change.membership.clone()),
                Payload::Noop | Payload::Command(_) => None,
            })
            .collect();
        if process.seen.membership_committed && !process.seen.membership.incoming().is_empty() {
            memberships.push(process.seen.membership.clone());
        }
        memberships
    }

    /// Brings members back, with disks and clocks that work.
    fn mend(&mut self, healed: &BTreeSet<MemberId>) -> Verdict {
        self.network.mend(Vec::new());
        for id in healed {
            let at = place(id.0);
            self.members[at].disk.stalled_until = 0;
            self.members[at].clock.mend();
            self.members[at].doom = None;
            if !self.members[at].is_up() {
                self.start(at)?;
                continue;
            }
            if let Running::Paused { .. } = self.members[at].process().running {
                let life = self.members[at].life;
                self.on_resume(at, life)?;
            }
            // A sync that a stall held back ends now, and not when the stall would have ended.
            let life = self.members[at].life;
            if self.members[at].disk.is_syncing() {
                self.queue.push(self.now + 1, Happening::Synced { member: at, life });
            }
        }
        Ok(())
    }

    /// Cuts off those who are not healed, each in its own way; some of them are down anyway.
    fn cut_off_others(&mut self, healed: &BTreeSet<MemberId>) {
        let others: Vec<u64> =
            self.ids().into_iter().filter(|id| !healed.contains(&MemberId(*id))).collect();
        if !others.is_empty() {
            self.probes.hit(Probe::RescueWithOutsiders);
        }
        let mut broken = Vec::new();
        for other in others {
            let way = self.nemesis.random.below(4);
            for id in healed {
                if way != 0 {
                    broken.push((other, id.0));
                }
                if way != 1 {
                    broken.push((id.0, other));
                }
            }
        }
        broken.sort_unstable();
        self.network.mend(broken.clone());
        self.event(|_| What::Links { broken });
    }

    /// Runs until the demand is met, or the time is over.
    ///
    /// Who lags far behind and is sent little at a time may need longer: it has the time as long as
    /// it gets on with what was there when the time was over.
    pub(super) fn run_rescue(&mut self) -> Verdict {
        let timeout = self.options.election_timeout_max();
        self.run_rescue_until(self.now + TIMEOUTS * timeout)?;
        let last = self.statuses().iter().map(|status| status.last.index).max().unwrap_or_default();
        let mut reached = None;
        while !self.is_rescued() {
            let got_to = Some(self.reached(last));
            if got_to == reached {
                break;
            }
            reached = got_to;
            self.run_rescue_until(self.now + timeout)?;
        }
        let statuses = self.statuses();
        let rescue = self.rescue.as_ref().expect("it has begun");
        rescue.demand.verdict(&statuses)
    }

    fn is_rescued(&self) -> bool {
        self.rescue.as_ref().is_some_and(|rescue| rescue.done)
    }

    fn run_rescue_until(&mut self, end: u64) -> Verdict {
        while self.now < end && !self.is_rescued() {
            self.run_until(end.min(self.now + LOOK_INTERVAL))?;
        }
        Ok(())
    }

    /// How far the healed members have come with the log up to `last`, all together.
    fn reached(&self, last: Index) -> u64 {
        let statuses = self.statuses();
        let healed = statuses.iter().filter(|status| {
            let rescue = self.rescue.as_ref();
            rescue.is_some_and(|rescue| rescue.demand.healed.contains(&status.id))
        });
        healed.map(|status| status.durable.min(last).0 + status.applied.min(last).0).sum()
    }

    fn statuses(&self) -> Vec<Status> {
        let processes = self.members.iter().filter_map(|member| member.process.as_ref());
        processes.map(|process| process.core.status()).collect()
    }

    /// Asks for what is demanded, and sees how far that has come.
    pub(super) fn on_look(&mut self) -> Verdict {
        self.demand_command()?;
        self.demand_reads()?;
        let statuses = self.statuses();
        let rescue = self.rescue.as_mut().expect("it has begun");
        rescue.done = rescue.demand.missing(&statuses).is_none();
        self.queue.push(self.now + LOOK_INTERVAL, Happening::Look);
        Ok(())
    }

    fn demand_command(&mut self) -> Verdict {
        let patience = self.options.election_timeout_max();
        let rescue = self.rescue.as_mut().expect("it has begun");
        if rescue.demand.acknowledged.is_some() {
            return Ok(());
        }
        if let Some((operation, since)) = rescue.command {
            if self.workload.is_answered(operation) {
                let committed = self.oracles.completeness.committed_index();
                rescue.demand.acknowledged = Some(committed);
                return Ok(());
            }
            if self.workload.is_waiting(operation) && self.now < since + patience {
                return Ok(());
            }
        }
        let leader = self.leader().filter(|at| {
            let healed = self.rescue.as_ref().map(|rescue| &rescue.demand.healed);
            healed.is_some_and(|healed| healed.contains(&self.members[*at].id))
        });
        let Some(at) = leader else { return Ok(()) };
        let operation = self.workload.next_number();
        let action = Action::Put { value: operation };
        let request = Request::Write(Command { operation, key: 0, action });
        self.workload.begin(0, self.now, request);
        let now = self.now;
        self.rescue.as_mut().expect("it has begun").command = Some((operation, now));
        self.request(at, operation)
    }

    fn demand_reads(&mut self) -> Verdict {
        let (now, patience) = (self.now, self.options.election_timeout_max());
        let rescue = self.rescue.as_mut().expect("it has begun");
        if rescue.demand.acknowledged.is_none() {
            return Ok(());
        }
        for (id, operation, _) in &rescue.reads {
            if self.workload.is_answered(*operation) {
                rescue.demand.read.insert(*id);
            }
        }
        let workload = &self.workload;
        rescue.reads.retain(|(_, operation, since)| {
            workload.is_waiting(*operation) && now < since + patience
        });
        let waits = |id: &MemberId| rescue.reads.iter().any(|(reader, ..)| reader == id);
        let due: Vec<MemberId> = rescue
            .demand
            .healed
            .iter()
            .copied()
            .filter(|id| !rescue.demand.read.contains(id) && !waits(id))
            .collect();
        for id in due {
            let operation = self.workload.begin(0, now, Request::Read { key: 0 });
            let rescue = self.rescue.as_mut().expect("it has begun");
            rescue.reads.push((id, operation, now));
            self.request(place(id.0), operation)?;
        }
        Ok(())
    }

    /// Tells whether this many members are up that a quorum of the committed configuration is.
    pub(super) fn is_quorum_up(&self) -> bool {
        let Some(membership) = self.oracles.completeness.membership() else { return true };
        is_quorum(membership, |id| self.member(id).is_some_and(|member| member.is_running()))
    }

    /// Tells whether a member leads.
    pub(super) fn leads(status: &Status) -> bool {
        status.role == RoleKind::Leader
    }
}
