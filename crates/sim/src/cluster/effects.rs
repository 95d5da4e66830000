//! What a process does with the effects that its core hands out, and what its service makes of it.

use raft::{
    Effects, Entry, Index, Input, MemberId, Payload, ReadFailure, ReadOutcome, Snapshot,
    SnapshotRequest, Term,
};

use super::Cluster;
use crate::checker::Verdict;
use crate::event::Happening;
use crate::machine::{Applied, Command, Machine};
use crate::options::Fault;
use crate::probe::sometimes;
use crate::workload::Ending;

impl Cluster {
    /// Carries out effects, in an order that the contract allows. The process may die between any
    /// two of them.
    pub(super) fn execute(&mut self, at: usize, effects: Effects) -> Verdict {
        let Effects {
            persist,
            send_now,
            send_when_durable,
            apply,
            reads,
            snapshot_requests,
            trim,
            dropped: _,
        } = effects;
        let life = self.members[at].life;
        let is_dead = |cluster: &Cluster| {
            let member = &cluster.members[at];
            member.life != life || !member.is_up()
        };
        let image = persist.as_ref().and_then(|persist| persist.snapshot.clone());
        if self.members[at].random.chance(500) {
            self.send_all(at, send_now)?;
            if is_dead(self) || self.boundary(at) {
                return Ok(());
            }
            self.write(at, persist, send_when_durable)?;
        } else {
            if self.boundary(at) {
                return Ok(());
            }
            self.write(at, persist, send_when_durable)?;
            if is_dead(self) {
                return Ok(());
            }
            self.send_all(at, send_now)?;
        }
        if is_dead(self) || self.boundary(at) {
            return Ok(());
        }
        if let Some(image) = image {
            self.take_over(at, &image)?;
        }
        self.hand_to_service(at, apply)?;
        for outcome in reads {
            self.on_read(at, outcome)?;
        }
        for request in snapshot_requests {
            self.request_image(at, request);
        }
        if let Some(base) = trim {
            self.probes.hit(crate::probe::Probe::LogTrimmed);
            let member = &mut self.members[at];
            member.disk.trim(base);
            // Sometimes it is carried out at once, sometimes with a later write.
            if member.random.chance(500) {
                member.disk.maybe_trim();
            }
        }
        Ok(())
    }

    // === The service ===

    /// The service takes over an image from the leader.
    fn take_over(&mut self, at: usize, image: &Snapshot) -> Verdict {
        let machine = Machine::decode(&image.data).expect("images are made by machines");
        let (index, sum) = (machine.applied(), machine.sum());
        let member = &mut self.members[at];
        let id = member.id;
        let process = member.process();
        process.machine = machine;
        process.unapplied.clear();
        // What was proposed here and is in the image: nobody knows under which term.
        process.proposals.retain(|waiting, _| *waiting > index);
        self.oracles.loaded(id, index, sum)?;
        self.answer_reads(at);
        Ok(())
    }

    fn hand_to_service(&mut self, at: usize, entries: Vec<Entry>) -> Verdict {
        if entries.is_empty() {
            return Ok(());
        }
        let latency = self.options.service.apply_latency;
        let member = &mut self.members[at];
        let life = member.life;
        let process = member.process();
        process.unapplied.extend(entries);
        if latency == 0 {
            return self.apply(at, usize::MAX);
        }
        if !process.applying {
            process.applying = true;
            let delay = 1 + member.random.exponential(latency);
            self.queue.push(self.now + delay, Happening::Apply { member: at, life });
        }
        Ok(())
    }

    pub(super) fn on_apply(&mut self, at: usize, life: u64) -> Verdict {
        let latency = self.options.service.apply_latency;
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        if !member.is_running() {
            member.process().postponed.push(Happening::Apply { member: at, life });
            return Ok(());
        }
        let count = usize::try_from(member.random.between(1, 20)).expect("a few");
        self.apply(at, count)?;
        self.settle(at)?;
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        member.process().applying = !member.process().unapplied.is_empty();
        if member.process().applying {
            let delay = 1 + member.random.exponential(latency);
            self.queue.push(self.now + delay, Happening::Apply { member: at, life });
        }
        Ok(())
    }

    /// The service applies up to `count` of the entries that wait.
    fn apply(&mut self, at: usize, count: usize) -> Verdict {
        for _ in 0..count {
            let member = &mut self.members[at];
            let id = member.id;
            let process = member.process();
            let Some(entry) = process.unapplied.pop_front() else { break };
            let applied = process.machine.apply(&entry);
            let sum = process.machine.sum();
            let waiting = process.take_proposals(entry.index);
            self.oracles.applied(id, &entry, sum)?;
            if let (Payload::Command(bytes), Some(applied)) = (&entry.payload, applied) {
                let command = Command::decode(bytes).expect("it was applied");
                self.workload.applied(command.operation, self.now, applied);
            }
            self.answer_proposals(&entry, applied, waiting);
        }
        let index = self.members[at].process().machine.applied();
        self.feed(at, Input::Applied(index));
        self.answer_reads(at);
        self.maybe_image(at);
        Ok(())
    }

    fn answer_proposals(&mut self, entry: &Entry, applied: Option<Applied>, ops: Vec<(Term, u64)>) {
        for (term, operation) in ops {
            let ending = match applied {
                Some(applied) if term == entry.term => {
                    sometimes!(self.probes, SwapFailed if applied == Applied::Differs);
                    Ending::Applied(applied)
                }
                Some(_) | None => {
                    self.probes.hit(crate::probe::Probe::CommandReplaced);
                    Ending::Refused
                }
            };
            self.end(operation, ending);
        }
    }

    fn answer_reads(&mut self, at: usize) {
        for operation in self.members[at].process().take_reads() {
            let value = match self.workload.request(operation) {
                crate::workload::Request::Read { key } => {
                    self.members[at].process().machine.read(key)
                }
                crate::workload::Request::Write(_) => unreachable!("only reads wait for an index"),
            };
            self.end(operation, Ending::Read(value));
        }
    }

    fn on_read(&mut self, at: usize, outcome: ReadOutcome) -> Verdict {
        let id = self.members[at].id;
        match outcome {
            ReadOutcome::Ready { id: read, index } => {
                self.oracles.reads.ready(id, read.0, index)?;
                let process = self.members[at].process();
                let leads = process.seen.leader == Some(id);
                sometimes!(
                    self.probes,
                    ReadAtLeader if leads,
                    ReadAtFollower if !leads,
                    ReadWaitedForApply if process.machine.applied() < index,
                );
                process.reads.push((index, read.0));
                self.answer_reads(at);
            }
            ReadOutcome::Failed { id: read, reason } => {
                self.oracles.reads.failed(id, read.0)?;
                sometimes!(
                    self.probes,
                    ReadLeaderChanged if reason == ReadFailure::LeaderChanged,
                    ReadTimedOut if reason == ReadFailure::Timeout,
                );
                self.end(read.0, Ending::Refused);
            }
        }
        Ok(())
    }

    // === Images ===

    /// Makes an image of the service if it is time for one.
    fn maybe_image(&mut self, at: usize) {
        let Some(every) = self.options.service.image_every else { return };
        let member = &mut self.members[at];
        let applied = member.process().machine.applied().0;
        if applied >= member.disk.image().meta.id.index.0 + every {
            self.make_image(at);
        }
    }

    /// Begins to make an image of the service as it is now.
    pub(super) fn make_image(&mut self, at: usize) {
        let latency = self.options.service.image_latency;
        let member = &mut self.members[at];
        let life = member.life;
        let newest = member.disk.image().meta.id.index;
        let process = member.process();
        if process.imaging || process.machine.applied() <= newest {
            return;
        }
        let Some(image) = image_of(process) else { return };
        process.imaging = true;
        let delay = 1 + member.random.exponential(latency);
        self.queue.push(self.now + delay, Happening::ImageMade { member: at, life, image });
    }

    fn request_image(&mut self, at: usize, request: SnapshotRequest) {
        self.probes.hit(crate::probe::Probe::ImageRequested);
        let member = &mut self.members[at];
        let delay = 1 + member.random.exponential(self.options.service.image_latency);
        let life = member.life;
        let (id, to) = (member.id, request.to);
        self.queue.push(self.now + delay, Happening::ImageFor { member: at, life, to });
        self.note(|| format!("{id} needs an image for {to}"));
    }

    pub(super) fn on_image_for(&mut self, at: usize, life: u64, to: MemberId) -> Verdict {
        let failures = self.options.service.image_failures;
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        if !member.is_running() {
            member.process().postponed.push(Happening::ImageFor { member: at, life, to });
            return Ok(());
        }
        if member.random.chance(failures) {
            self.strike(Fault::ImageFailure);
            self.probes.hit(crate::probe::Probe::ImageFailed);
            return self.input(at, Input::SnapshotFailed { to });
        }
        // The service's latest image will do, unless the log was replaced since it was made.
        let base = member.process().core.status().evicted.index;
        let stored = member.disk.image().clone();
        let reaches = stored.meta.id.index >= base && stored.meta.id.index > Index::ZERO;
        let snapshot = if reaches && member.random.chance(500) {
            Some(stored)
        } else {
            image_of(member.process())
        };
        match snapshot {
            Some(snapshot) => self.input(at, Input::SnapshotReady { to, snapshot }),
            None => self.input(at, Input::SnapshotFailed { to }),
        }
    }
}

/// What the service can make an image of now; `None` if the member does not know yet who its
/// cluster is.
fn image_of(process: &crate::member::Process) -> Option<Snapshot> {
    let meta = process.core.snapshot_meta(process.machine.applied())?;
    Some(Snapshot { meta, data: process.machine.encode() })
}
