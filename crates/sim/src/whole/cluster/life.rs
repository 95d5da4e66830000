//! How members come to life, stand still and die.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Chances, Disk, SimDisk, Survivors};
use raft::{Index, RoleKind};
use replica::Replica;

use super::Cluster;
use crate::checker::Verdict;
use crate::trace::What;
use crate::whole::DIR;
use crate::whole::happening::Happening;
use crate::whole::member::{Process, Running, Standing};
use crate::whole::probe::Probe;

impl Cluster {
    /// An empty disk with the directory of a member.
    pub(super) fn new_disk(&self, seed: u64) -> SimDisk {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new(DIR)).expect("an empty disk takes a directory");
        disk.sync_dir(Path::new("/")).expect("nothing is broken yet");
        disk.set_chances(self.usual_chances());
        disk
    }

    /// What may go wrong at any time.
    fn usual_chances(&self) -> Chances {
        let options = &self.options.disk;
        let stall_ticks_max = u64::from(self.options.member.core.election_ticks);
        Chances {
            short: options.short,
            stall: options.stall,
            stall_ticks_max,
            ..Chances::default()
        }
    }

    /// Starts a member from what its disk holds, or creates it.
    pub(super) fn start(&mut self, at: usize) -> Verdict {
        let tick = self.options.tick;
        let member = &mut self.members[at];
        assert!(member.process.is_none(), "m{} runs already", member.id);
        member.life += 1;
        member.doom = None;
        member.since = self.now;
        let seed = member.random.draw();
        let options = self.options.member.options(member.id, seed, tick);
        let (disk, genesis) = (member.disk.clone(), member.genesis.clone());
        let dir = Path::new(DIR);
        let newest = newest_checkpoint(&disk);
        let exists = Replica::exists(&disk, dir);
        let is_new = matches!(exists, Ok(false));
        let replica = exists.and_then(|exists| {
            let disk = Arc::new(disk.clone());
            if exists {
                Replica::open(disk, options)
            } else {
                Replica::create(disk, options, genesis)
            }
        });
        let _ = disk.take_stalled_ticks();
        if disk.is_off() {
            let probe = if is_new { Probe::CrashInCreation } else { Probe::CrashInRecovery };
            self.probes.hit(probe);
            drop(replica);
            self.lose_power(at);
            return Ok(());
        }
        match replica {
            Ok(replica) => {
                let is_unnamed = newest.is_some_and(|newest| replica.status().checkpoint < newest);
                self.probes.hit_if(Probe::RestartBetweenCheckpointAndMark, is_unnamed);
                self.begin_life(at, replica)
            }
            Err(fault) => self.on_stillbirth(at, &fault),
        }
    }

    fn begin_life(&mut self, at: usize, replica: Replica) -> Verdict {
        let (id, life) = (self.members[at].id, self.members[at].life);
        let status = replica.status();
        let digest = replica.digest();
        self.members[at].process = Some(Process::new(replica));
        self.event(|_| What::Start { member: id });
        self.probes.hit_if(Probe::RestartFromCheckpoint, 1 < status.checkpoint.0);
        self.promises.started(id, &status)?;
        self.ledger.reached(id, digest)?;
        let tick = self.members[at].clock.next_tick(self.now);
        let first = 1 + self.members[at].random.below(tick);
        self.queue.push(self.now + first, Happening::Tick { at, life });
        self.turn(at)
    }

    pub(super) fn on_restart(&mut self, at: usize, life: u64) -> Verdict {
        let member = &self.members[at];
        let waits = member.life == life && !member.is_up() && member.standing == Standing::Sound;
        if waits && self.may_return(at) { self.start(at) } else { Ok(()) }
    }

    /// Lets a member that is down start again later.
    pub(super) fn restart_later(&mut self, at: usize) {
        let down = self.nemesis.lasting(&self.options.nemesis);
        let life = self.members[at].life;
        self.queue.push(self.now + down, Happening::Restart { at, life });
    }

    // === Death ===

    /// A member's process dies, or its machine loses power, and it starts again later.
    pub(super) fn die(&mut self, at: usize) {
        if !self.members[at].is_up() {
            return;
        }
        let power = self.options.disk.power;
        if self.members[at].random.chance(power) {
            return self.lose_power(at);
        }
        self.end_process(at);
        self.members[at].disk.kill();
        self.restart_later(at);
    }

    /// A member's machine loses power, and it starts again later.
    pub(super) fn lose_power(&mut self, at: usize) {
        self.end_process(at);
        let member = &mut self.members[at];
        let survivors = member.random.pick(&Survivors::EACH).expect("there are four");
        member.disk.crash(survivors);
        let id = member.id;
        self.note(|_| format!("m{id} loses power; what survives: {survivors:?}"));
        self.restart_later(at);
    }

    /// Ends a process, and all connections to and from it.
    fn end_process(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.doom = None;
        member.since = self.now;
        let id = member.id;
        if let Some(process) = member.process.take() {
            let leads = process.published.role == RoleKind::Leader;
            self.probes.hit_if(Probe::LeaderCrashed, leads);
            self.event(|_| What::Crash { member: id });
            self.break_off_incoming(at);
            self.lose_connections(at);
        }
        let all_down = self.members.iter().all(|member| !member.is_up());
        self.probes.hit_if(Probe::AllDown, all_down);
    }

    /// A member that was removed ends for good.
    pub(super) fn retire(&mut self, at: usize) {
        self.end_process(at);
        self.members[at].disk.kill();
        self.members[at].standing = Standing::Removed;
        let id = self.members[at].id;
        self.note(|_| format!("m{id} was removed, and ends"));
    }

    /// Tells the others that the connections to a process broke.
    fn lose_connections(&mut self, at: usize) {
        let id = self.members[at].id;
        for other in 0..self.members.len() {
            if other == at {
                continue;
            }
            let peer = self.members[other].id;
            self.wire.reset((peer, id), self.now);
            self.wire.reset((id, peer), self.now);
            let Some(process) = &self.members[other].process else { continue };
            let (life, follows) =
                (self.members[other].life, process.published.leader == Some(raft::MemberId(id)));
            let heard = self.now + self.wire.delay();
            self.queue.push(heard, Happening::Unreachable { at: other, life, to: id });
            if follows && self.wire.hears_of_death() {
                self.queue.push(heard + 1, Happening::LeaderGone { at: other, life, leader: id });
            }
        }
    }

    // === Standing still ===

    /// Stops a member's process where it stands.
    pub(super) fn pause(&mut self, at: usize) {
        if self.is_running(at) {
            let lasting = self.nemesis.lasting(&self.options.nemesis);
            self.pause_until(at, self.now + lasting);
        }
    }

    /// Stops the process of a member that is running, until some time.
    pub(super) fn pause_until(&mut self, at: usize, until: u64) {
        self.members[at].process().running = Running::Paused;
        let (id, life) = (self.members[at].id, self.members[at].life);
        self.event(|_| What::Pause { member: id });
        self.queue.push(until, Happening::Resume { at, life });
    }

    /// Lets a member's process go on.
    pub(super) fn on_resume(&mut self, at: usize, life: u64) -> Verdict {
        if !self.lives(at, life) || !self.may_return(at) {
            return Ok(());
        }
        let process = self.members[at].process();
        if process.running == Running::Yes {
            return Ok(());
        }
        process.running = Running::Yes;
        let is_sync_due = std::mem::take(&mut process.is_sync_due);
        self.probes.hit(Probe::Paused);
        let id = self.members[at].id;
        self.event(|_| What::Resume { member: id });
        if is_sync_due { self.on_synced(at, life) } else { self.turn(at) }
    }

    /// Lets a disk do what it is told again.
    pub(super) fn mend_disk(&mut self, at: usize) {
        let chances = self.usual_chances();
        self.members[at].disk.set_chances(chances);
    }
}

/// The newest checkpoint whose file bears its name, whether the log names it or not.
fn newest_checkpoint(disk: &SimDisk) -> Option<Index> {
    let index_of = |path: &PathBuf| {
        let digits = path.file_name()?.to_str()?.strip_prefix("checkpoint-")?;
        u64::from_str_radix(digits, 16).ok().map(Index)
    };
    disk.paths().iter().filter_map(index_of).max()
}
