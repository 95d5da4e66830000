//! How a process drives its core: what it takes when, and how it carries out what comes of it.

use raft::{Input, Message, Persist, Snapshot};

use super::Cluster;
use crate::checker::{Learnt, Step, Verdict, violation};
use crate::disk::Write;
use crate::event::Happening;
use crate::member::Inbound;
use crate::options::DiskMode;
use crate::probe::sometimes;

/// A core that still wants something after so many turns always will.
const TURNS_MAX: usize = 10_000;
/// More than this does not wait for a process that cannot take it; messages beyond are lost.
const INBOX_MAX: usize = 2000;

impl Cluster {
    /// Tells whether a process can take something now.
    pub(super) fn accepts(&self, at: usize) -> bool {
        let member = &self.members[at];
        let waits = match self.options.disk.mode {
            DiskMode::Asynchronous => false,
            DiskMode::Synchronous => member.disk.is_busy(),
        };
        member.is_running() && !waits
    }

    /// Gives a core an input, or keeps it until the process can take it.
    pub(super) fn feed(&mut self, at: usize, input: Input) {
        let accepts = self.accepts(at);
        let process = self.members[at].process();
        if accepts && process.inbox.is_empty() {
            process.feed(input);
        } else if process.inbox.len() < INBOX_MAX || !matches!(input, Input::Message(_)) {
            process.inbox.push_back(Inbound::Input(input));
        }
    }

    /// Takes what came while the process could not take it.
    pub(super) fn catch_up(&mut self, at: usize) -> Verdict {
        while self.accepts(at) {
            let together = if self.members[at].random.chance(500) { usize::MAX } else { 1 };
            let process = self.members[at].process();
            if std::mem::take(&mut process.missed_ticks) {
                // However many they were: the time that was slept through is gone.
                process.feed(Input::Paused);
                process.feed(Input::Tick);
            } else if let Some(Inbound::Operation(operation)) = process.inbox.front() {
                let operation = *operation;
                process.inbox.pop_front();
                self.operate(at, operation)?;
                continue;
            } else if process.inbox.is_empty() {
                return Ok(());
            }
            for _ in 0..together {
                let process = self.members[at].process();
                match process.inbox.pop_front() {
                    Some(Inbound::Input(input)) => process.feed(input),
                    Some(operation @ Inbound::Operation(_)) => {
                        process.inbox.push_front(operation);
                        break;
                    }
                    None => break,
                }
            }
            self.settle(at)?;
            if !self.members[at].is_up() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn on_tick(&mut self, at: usize, life: u64) -> Verdict {
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        let tick = member.clock.next_tick(self.now);
        self.queue.push(self.now + tick, Happening::Tick { member: at, life });
        if !self.accepts(at) {
            self.members[at].process().missed_ticks = true;
            return Ok(());
        }
        self.input(at, Input::Tick)
    }

    /// Carries out everything that is due at a member, and all that follows from it there.
    pub(super) fn settle(&mut self, at: usize) -> Verdict {
        for _ in 0..TURNS_MAX {
            if !self.accepts(at) {
                return Ok(());
            }
            let member = &mut self.members[at];
            let process = member.process();
            let effects = process.core.flush();
            let quiet = effects.is_empty();
            let changed = (process.core.role(), process.core.term())
                != (process.seen.role, process.seen.term);
            if !quiet || changed || std::mem::take(&mut process.touched) {
                self.observe(at, &effects)?;
            }
            if quiet {
                return Ok(());
            }
            self.execute(at, effects)?;
        }
        violation("liveness", format!("{} always wants something more", self.members[at].id))
    }

    /// Lets the oracles look at a step.
    fn observe(&mut self, at: usize, effects: &raft::Effects) -> Verdict {
        let process = self.members[at].process.as_mut().expect("it took the step");
        let now = process.core.status();
        let before = std::mem::replace(&mut process.seen, now.clone());
        let members = &self.members;
        let disks = |id: raft::MemberId| members.get(super::place(id.0)).map(|m| &m.disk);
        let step = Step { before: &before, now: &now, effects, disks: &disks };
        let result = self.oracles.stepped(&step);
        self.draw(at, Some(&before), &now);
        let learnt: Learnt = result?;
        self.see(at, &before, &now, effects, &learnt);
        Ok(())
    }

    // === The disk ===

    /// Queues a write, and what waits for it.
    pub(super) fn write(
        &mut self,
        at: usize,
        persist: Option<Persist>,
        messages: Vec<Message>,
    ) -> Verdict {
        let disk = &mut self.members[at].disk;
        match persist {
            Some(persist) => disk.write(persist, messages),
            None => {
                let free = disk.wait(messages);
                self.send_all(at, free)?;
            }
        }
        self.begin_sync(at);
        Ok(())
    }

    fn begin_sync(&mut self, at: usize) {
        let options = &self.options.disk;
        let member = &mut self.members[at];
        if member.disk.is_syncing() || !member.disk.begin_sync(options.sync_writes_max) {
            return;
        }
        let latency = 1 + member.random.exponential(options.latency_mean);
        let begins = self.now.max(member.disk.stalled_until);
        let synced = Happening::Synced { member: at, life: member.life };
        self.queue.push(begins + latency, synced);
    }

    pub(super) fn on_synced(&mut self, at: usize, life: u64) -> Verdict {
        let now = self.now;
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        if !member.is_running() {
            member.process().postponed.push(Happening::Synced { member: at, life });
            return Ok(());
        }
        if member.disk.stalled_until > now {
            let until = member.disk.stalled_until;
            self.queue.push(until, Happening::Synced { member: at, life });
            return Ok(());
        }
        let count = member.disk.end_sync();
        for position in 1..=count {
            if self.boundary(at) {
                return Ok(());
            }
            let Some(write) = self.members[at].disk.finish() else { break };
            self.finish_write(at, write, count - position)?;
            if !self.members[at].is_up() {
                return Ok(());
            }
        }
        self.members[at].disk.maybe_trim();
        self.begin_sync(at);
        self.settle(at)?;
        if self.members[at].is_up() { self.catch_up(at) } else { Ok(()) }
    }

    /// Acknowledges a write that is durable, after which `others` of the same sync follow, and
    /// sends what waited for it.
    fn finish_write(&mut self, at: usize, write: Write, others: usize) -> Verdict {
        let member = &mut self.members[at];
        self.oracles.durable(member.id, &member.disk)?;
        let skipped = others > 0 && member.random.chance(self.options.disk.coalesced);
        let term = member.process().core.term();
        sometimes!(
            self.probes,
            AckSkipped if skipped,
            AckOfEarlierTerm if write.persist.ack.written_in < term,
        );
        if !skipped {
            // It must not queue behind what waits for this very write.
            member.process().feed(Input::Durable(write.persist.ack));
        }
        self.send_all(at, write.messages)
    }

    /// Sends messages, one after the other; the process may die between two of them.
    pub(super) fn send_all(&mut self, at: usize, messages: Vec<Message>) -> Verdict {
        for message in messages {
            if self.boundary(at) {
                return Ok(());
            }
            self.send(at, message)?;
        }
        Ok(())
    }

    /// Counts an effect, and tells whether the process died before it.
    pub(super) fn boundary(&mut self, at: usize) -> bool {
        match &mut self.members[at].doom {
            None => false,
            Some(0) => {
                self.probes.hit(crate::probe::Probe::CrashAtEffect);
                self.crash_for_a_while(at);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    /// The service's own image is durable.
    pub(super) fn on_image_made(&mut self, at: usize, life: u64, image: Snapshot) -> Verdict {
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        if !member.is_running() {
            let made = Happening::ImageMade { member: at, life, image };
            member.process().postponed.push(made);
            return Ok(());
        }
        member.process().imaging = false;
        member.disk.store_image(&image);
        self.probes.hit(crate::probe::Probe::ImageMade);
        self.input(at, Input::Snapshotted(image.meta.id.index))
    }
}
