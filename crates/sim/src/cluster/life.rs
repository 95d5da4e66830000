//! How members come to life, stand still and die.

use raft::{Input, MemberId, Membership, Raft, RoleKind};

use super::{Cluster, place};
use crate::checker::{Verdict, Violation};
use crate::clock::Clock;
use crate::disk::{CrashMode, Disk};
use crate::event::Happening;
use crate::machine::Machine;
use crate::member::{Member, Process, Running};
use crate::options::Fault;
use crate::probe::sometimes;
use crate::rng::Random;
use crate::trace::What;

impl Cluster {
    /// Adds a member with an empty disk, which knows this configuration; returns its place.
    pub(super) fn add_member(&mut self, membership: Membership) -> usize {
        let at = self.members.len();
        let id = MemberId(at as u64 + 1);
        let random = |name: &str| Random::of(self.options.seed, &format!("{name} of {id}"));
        let clock = &self.options.clock;
        self.members.push(Member {
            id,
            life: 0,
            process: None,
            disk: Disk::new(membership),
            clock: Clock::new(clock.tick, clock.shape, clock.skew_max, random("clock")),
            random: random("member"),
            doom: None,
            since: 0,
        });
        at
    }

    /// Starts a member from what its disk holds.
    pub(super) fn start(&mut self, at: usize) -> Verdict {
        let member = &mut self.members[at];
        assert!(member.process.is_none(), "{} runs already", member.id);
        member.life += 1;
        member.doom = None;
        member.since = self.now;
        let durable = member.disk.durable_state();
        let id = member.id;
        let config = self.options.core.config(id, member.random.draw());
        let core = Raft::restore(config, durable.clone()).map_err(|error| Violation {
            oracle: "restart",
            text: format!("{id} does not start: {error}"),
        })?;
        let image = member.disk.image();
        let machine = Machine::decode(&image.data).expect("images are made by machines");
        let index = image.meta.id.index;
        assert!(machine.applied() == index, "the image at {index} is one of {id}'s machine");
        let process = Process::new(core, machine);
        let status = process.seen.clone();
        sometimes!(
            self.probes,
            RestartedFromImage if index.0 > 0,
            RestartedBehindImage if durable.base.index < index && status.base == durable.base,
            RestartedWithoutLog if status.base != durable.base,
        );
        if status.base != durable.base {
            member.disk.drop_log(status.base);
        }
        let sum = process.machine.sum();
        member.process = Some(process);
        self.event(|_| What::Start { member: id.0 });
        self.oracles.started(&durable, &status)?;
        self.oracles.loaded(id, index, sum)?;
        self.draw(at, None, &status);
        let life = self.members[at].life;
        let tick = self.members[at].clock.next_tick(self.now);
        let first = 1 + self.members[at].random.below(tick);
        self.queue.push(self.now + first, Happening::Tick { member: at, life });
        self.settle(at)
    }

    /// Kills a member's process.
    pub(super) fn crash(&mut self, at: usize) {
        let options = &self.options.disk;
        let member = &mut self.members[at];
        let Some(process) = member.process.take() else { return };
        let lost = member.random.chance(options.lost);
        let torn = member.random.chance(options.torn);
        let mode = match (lost, torn) {
            (_, true) => CrashMode::Tear,
            (true, false) if member.random.chance(500) => CrashMode::LoseAll,
            (true, false) => CrashMode::KeepSome,
            (false, false) => CrashMode::KeepAll,
        };
        let wreck = member.disk.crash(mode, &mut member.random);
        let id = member.id;
        let age = self.now - member.since;
        member.since = self.now;
        member.doom = None;
        let status = &process.seen;
        let leads = status.role == RoleKind::Leader;
        sometimes!(
            self.probes,
            LeaderCrashed if leads,
            LeaderCrashedInTransfer if leads && status.transferring_to.is_some(),
            LeaderCrashedInJoint if leads && status.membership.is_joint(),
            VoteLost if wreck.vote_lost,
            EntriesLost if wreck.entries_lost,
            WriteTorn if wreck.torn,
            WriteKept if wreck.kept > 0,
            CrashInRecovery if age < self.options.election_timeout_max() / 2,
            AllDown if self.members.iter().all(|member| !member.is_up()),
        );
        if wreck.torn {
            self.strike(Fault::TornWrites);
        } else if wreck.lost > 0 {
            self.strike(Fault::LostWrites);
        }
        self.event(|_| What::Crash { member: id.0 });
        if wreck.lost > 0 {
            self.note(|| format!("{id} loses {} of its writes", wreck.lost));
        }
    }

    /// Kills a member's process, and lets it start again later.
    pub(super) fn crash_for_a_while(&mut self, at: usize) {
        if !self.members[at].is_up() {
            return;
        }
        self.crash(at);
        let down = self.nemesis.lasting(&self.options.nemesis);
        let life = self.members[at].life;
        self.queue.push(self.now + down, Happening::Restart { member: at, life });
    }

    /// Stops a member's process where it stands.
    pub(super) fn pause(&mut self, at: usize) {
        let (now, id) = (self.now, self.members[at].id);
        if !self.members[at].is_running() {
            return;
        }
        self.members[at].process().running = Running::Paused { since: now };
        self.event(|_| What::Pause { member: id.0 });
        let lasting = self.nemesis.lasting(&self.options.nemesis);
        let life = self.members[at].life;
        self.queue.push(now + lasting, Happening::Resume { member: at, life });
    }

    /// Lets a member's process go on.
    pub(super) fn on_resume(&mut self, at: usize, life: u64) -> Verdict {
        let member = &mut self.members[at];
        if member.life != life || !member.is_up() {
            return Ok(());
        }
        let (id, now) = (member.id, self.now);
        let process = member.process();
        let Running::Paused { since } = process.running else { return Ok(()) };
        process.running = Running::Yes;
        process.missed_ticks = true;
        let postponed = std::mem::take(&mut process.postponed);
        let leads = process.seen.role == RoleKind::Leader;
        if leads && now - since > self.options.election_timeout_max() {
            self.sightings.long_paused.insert(id);
        }
        self.event(|_| What::Resume { member: id.0 });
        self.catch_up(at)?;
        for happening in postponed {
            self.queue.push(now, happening);
        }
        Ok(())
    }

    /// Gives a member an input, now or as soon as it can take it.
    pub(super) fn input(&mut self, at: usize, input: Input) -> Verdict {
        if !self.members[at].is_up() {
            return Ok(());
        }
        self.feed(at, input);
        self.settle(at)
    }

    /// The member with this ID, if there is one.
    pub(super) fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(place(id.0))
    }
}
