//! How a process drives its replica, as the server's driver does: it takes what has come, flushes,
//! acts, syncs, and flushes again, until nothing is due.

use std::sync::Arc;

use raft::RoleKind;
use replica::{Event, Fault as ReplicaFault, Finished, Job, Output, Published};

use super::Cluster;
use crate::checker::{Verdict, violation};
use crate::trace::What;
use crate::whole::clients::lease_of;
use crate::whole::happening::Happening;
use crate::whole::member::{Running, Standing};
use crate::whole::options::Fault;
use crate::whole::oracle::leases::Leases;
use crate::whole::probe::Probe;

/// More than this does not wait for a process that cannot take it; messages beyond are lost.
const INBOX_MAX: usize = 3000;

impl Cluster {
    /// Gives a process an event, now or as soon as it can take it.
    pub(super) fn give(&mut self, at: usize, event: Event) -> Verdict {
        let Some(process) = &mut self.members[at].process else { return Ok(()) };
        if process.inbox.len() < INBOX_MAX || !matches!(event, Event::Peer { .. }) {
            process.inbox.push(event);
        }
        self.turn(at)
    }

    pub(super) fn on_tick(&mut self, at: usize, life: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        let tick = self.members[at].clock.next_tick(self.now);
        self.queue.push(self.now + tick, Happening::Tick { at, life });
        let accepts = self.members[at].accepts();
        let process = self.members[at].process();
        if !accepts {
            process.missed_ticks = true;
            return Ok(());
        }
        process.inbox.push(Event::Tick);
        let refused = std::mem::take(&mut process.refused);
        process.inbox.extend(refused);
        self.turn(at)?;
        self.look_at(at)
    }

    /// Looks at what a member tells about itself.
    fn look_at(&mut self, at: usize) -> Verdict {
        let Some(process) = &self.members[at].process else { return Ok(()) };
        let status = process.replica.status();
        let id = self.members[at].id;
        if 0 < status.violations {
            let text = format!("m{id} has met {} violations of the protocol", status.violations);
            return violation("protocol", text);
        }
        let leads = status.core.role == RoleKind::Leader;
        self.probes.hit_if(Probe::CommandRetried, 0 < status.retries);
        self.probes.hit_if(Probe::DiskFull, status.disk_full);
        self.probes.hit_if(Probe::LeaderDiskFull, status.disk_full && leads);
        self.probes.hit_if(Probe::LogTrimmed, 1 < status.core.base.index.0);
        Ok(())
    }

    /// Lets a process take what has come.
    pub(super) fn turn(&mut self, at: usize) -> Verdict {
        if !self.members[at].accepts() {
            return Ok(());
        }
        let process = self.members[at].process();
        if std::mem::take(&mut process.missed_ticks) {
            // However many they were: the time that was slept through is gone.
            process.replica.feed(Event::Paused);
            process.replica.feed(Event::Tick);
            let refused = std::mem::take(&mut process.refused);
            process.inbox.extend(refused);
        }
        for event in std::mem::take(&mut process.inbox) {
            process.replica.feed(event);
        }
        self.go_on(at)
    }

    /// Does what is due, up to the next sync.
    fn go_on(&mut self, at: usize) -> Verdict {
        match self.members[at].process().replica.flush() {
            Ok(output) => self.act(at, output)?,
            Err(fault) => return self.on_fault(at, &fault),
        }
        let Some(process) = &mut self.members[at].process else { return Ok(()) };
        if process.replica.needs_sync() {
            self.begin_sync(at);
            return Ok(());
        }
        if process.inbox.is_empty() && !process.missed_ticks { Ok(()) } else { self.turn(at) }
    }

    fn begin_sync(&mut self, at: usize) {
        let mean = self.options.disk.sync_mean;
        let member = &mut self.members[at];
        let latency = 1 + member.random.exponential(mean);
        let ends = self.now.max(member.stalled_until) + latency;
        member.process().is_syncing = true;
        self.queue.push(ends, Happening::Synced { at, life: member.life });
    }

    pub(super) fn on_synced(&mut self, at: usize, life: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        let member = &mut self.members[at];
        if self.now < member.stalled_until {
            self.queue.push(member.stalled_until, Happening::Synced { at, life });
            return Ok(());
        }
        let process = member.process();
        if process.running == Running::Paused {
            process.is_sync_due = true;
            return Ok(());
        }
        let was_full = process.replica.status().disk_full;
        let synced = process.replica.sync();
        let is_full = process.replica.status().disk_full;
        self.probes.hit_if(Probe::DiskFullOver, was_full && !is_full && synced.is_ok());
        if let Err(fault) = synced {
            self.probes.hit_if(Probe::CrashInSync, self.members[at].disk.is_off());
            return self.on_fault(at, &fault);
        }
        let stalled = self.members[at].disk.take_stalled_ticks();
        if 0 < stalled {
            self.strike(Fault::Slow);
            let until = self.now + stalled * self.options.tick;
            self.queue.push(until, Happening::Unblocked { at, life });
            return Ok(());
        }
        self.members[at].process().is_syncing = false;
        self.go_on(at)
    }

    pub(super) fn on_unblocked(&mut self, at: usize, life: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        self.members[at].process().is_syncing = false;
        self.go_on(at)
    }

    // === What is due ===

    /// Does what an output says; the process may die between any two effects.
    fn act(&mut self, at: usize, output: Output) -> Verdict {
        let Output { published, messages, replies, jobs, removed } = output;
        if let Some(published) = published {
            self.on_published(at, published)?;
        }
        for outgoing in messages {
            if self.boundary(at) {
                return Ok(());
            }
            self.send(at, outgoing)?;
        }
        for (ticket, reply) in replies {
            if self.boundary(at) {
                return Ok(());
            }
            self.on_reply(at, ticket, reply)?;
        }
        if !self.members[at].is_up() {
            return Ok(());
        }
        for job in jobs {
            self.begin_job(at, job);
        }
        if removed {
            self.probes.hit(Probe::MemberRemovedAnswered);
            self.retire(at);
        }
        Ok(())
    }

    /// Counts an effect, and tells whether the process died before it.
    fn boundary(&mut self, at: usize) -> bool {
        if !self.members[at].is_up() {
            return true;
        }
        match &mut self.members[at].doom {
            None => false,
            Some(0) => {
                self.probes.hit(Probe::CrashAtEffect);
                self.die(at);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    pub(super) fn on_published(&mut self, at: usize, published: Arc<Published>) -> Verdict {
        let id = self.members[at].id;
        let process = self.members[at].process.as_mut().expect("it publishes");
        let before = std::mem::replace(&mut process.published, published.clone());
        let digest = process.replica.digest();
        let shown = std::mem::replace(&mut process.shown, published.view.revision().0);
        self.ledger.publishes(id, &before, &published)?;
        self.ledger.reached(id, digest)?;
        for (revision, change) in self.history.shows(id, &published.view, shown)? {
            self.shown.entry(revision).or_insert(self.now);
            if change.value.is_none()
                && let Some(lease) = lease_of(&change.key)
            {
                self.probes.hit(Probe::LeaseRanOut);
                Leases::gone(&mut self.leases, lease, self.now)?;
            }
        }
        self.see_published(&before, &published);
        let is_news = (before.role, before.term, before.leader)
            != (published.role, published.term, published.leader);
        if is_news {
            let (role, term, leader) = (published.role, published.term, published.leader);
            self.event(|_| What::role(raft::MemberId(id), role, term, leader));
        }
        if before.membership != published.membership {
            let membership = published.membership.to_string();
            self.event(|_| What::Membership { member: id, membership });
        }
        Ok(())
    }

    fn see_published(&mut self, before: &Published, now: &Published) {
        let became_leader = now.role == RoleKind::Leader && before.role != RoleKind::Leader;
        let has_alarm = |published: &Published| !published.alarms.is_empty();
        self.probes.hit_if(Probe::LeaderElected, became_leader);
        self.probes.hit_if(Probe::LaterTermElected, became_leader && 2 < now.term.0);
        self.probes.hit_if(Probe::SpaceAlarmRaised, has_alarm(now) && !has_alarm(before));
        self.probes.hit_if(Probe::SpaceAlarmLowered, !has_alarm(now) && has_alarm(before));
        self.probes.hit_if(Probe::Compacted, before.view.compacted() < now.view.compacted());
        let (old, new) = (&before.membership, &now.membership);
        self.probes.hit_if(Probe::LearnerAdded, old.learners().len() < new.learners().len());
        let is_promoted = new.incoming().iter().any(|id| old.learners().contains(id));
        self.probes.hit_if(Probe::LearnerPromoted, is_promoted);
        self.probes.hit_if(Probe::MemberRemoved, before.removed.len() < now.removed.len());
    }

    // === Work in the background ===

    fn begin_job(&mut self, at: usize, job: Job) {
        let mean = self.options.disk.job_mean;
        let member = &mut self.members[at];
        let ends = self.now.max(member.stalled_until) + 1 + member.random.exponential(mean);
        let number = self.next_transfer;
        self.next_transfer += 1;
        member.process().jobs.insert(number, job);
        self.queue.push(ends, Happening::Job { at, life: member.life, job: number });
    }

    pub(super) fn on_job(&mut self, at: usize, life: u64, number: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        let process = self.members[at].process();
        let Some(job) = process.jobs.remove(&number) else { return Ok(()) };
        let finished = job.run();
        let _ = self.members[at].disk.take_stalled_ticks();
        if self.members[at].disk.is_off() {
            self.probes.hit(Probe::CrashInJob);
            self.lose_power(at);
            return Ok(());
        }
        if let Finished::Checkpoint(outcome) = &finished {
            let is_made = outcome.bytes().is_some();
            self.probes.hit_if(Probe::CheckpointMade, is_made);
            self.probes.hit_if(Probe::CheckpointFull, !is_made);
        }
        self.give(at, Event::Finished(finished))
    }

    // === Faults of the replica ===

    /// A replica has stopped: because the power is off, because its disk failed, or for no reason.
    pub(super) fn on_fault(&mut self, at: usize, fault: &ReplicaFault) -> Verdict {
        let member = &self.members[at];
        if member.disk.is_off() {
            self.lose_power(at);
            return Ok(());
        }
        let (id, has_errors) = (member.id, member.has_errors);
        if !has_errors {
            return violation("fault", format!("m{id} stops: {}", chain(fault)));
        }
        self.probes.hit(Probe::DiskErrorStopped);
        self.note(|_| format!("m{id} stops: {}", chain(fault)));
        self.die(at);
        Ok(())
    }

    /// A replica does not start.
    pub(super) fn on_stillbirth(&mut self, at: usize, fault: &ReplicaFault) -> Verdict {
        let member = &mut self.members[at];
        let id = member.id;
        let is_damage = matches!(
            fault,
            ReplicaFault::Checkpoint(_)
                | ReplicaFault::Incomplete { .. }
                | ReplicaFault::Wal(wal::WalError::Corruption(_))
        );
        if is_damage && member.is_rotten {
            member.standing = Standing::Broken;
            self.probes.hit(Probe::DamageFound);
            self.note(|_| format!("m{id} is damaged: {}", chain(fault)));
            return Ok(());
        }
        if fault.is_full() || member.has_errors && !is_damage {
            self.note(|_| format!("m{id} cannot start now: {}", chain(fault)));
            self.restart_later(at);
            return Ok(());
        }
        violation("fault", format!("m{id} does not start: {}", chain(fault)))
    }
}

/// The texts of a fault and of what it comes from.
pub(super) fn chain(fault: &ReplicaFault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
