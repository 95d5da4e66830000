//! Who does what to the cluster, and when.

use disk::Chances;
use replica::Event;

use super::Cluster;
use crate::checker::Verdict;
use crate::network::{Mode, Symmetry};
use crate::rng::Random;
use crate::trace::What;
use crate::whole::happening::Happening;
use crate::whole::member::Standing;
use crate::whole::options::{Fault, NemesisOptions};

/// Draws what is done to the cluster.
#[derive(Debug)]
pub(super) struct Nemesis {
    pub(super) random: Random,
    /// How often the network was parted.
    partings: u64,
}

impl Nemesis {
    pub(super) fn new(random: Random) -> Nemesis {
        Nemesis { random, partings: 0 }
    }

    /// How long it takes until the next deed.
    pub(super) fn next_deed(&mut self, options: &NemesisOptions) -> u64 {
        1 + self.random.exponential(options.interval)
    }

    /// How long a fault lasts.
    pub(super) fn lasting(&mut self, options: &NemesisOptions) -> u64 {
        1 + self.random.exponential(options.duration)
    }
}

impl Cluster {
    pub(super) fn on_deed(&mut self) -> Verdict {
        if self.rescue.is_some() {
            return Ok(());
        }
        let at = self.now + self.nemesis.next_deed(&self.options.nemesis);
        self.queue.push(at, Happening::Deed);
        let deeds = &self.options.nemesis.weights;
        if deeds.is_empty() {
            return Ok(());
        }
        let fault = self.nemesis.random.weighted(deeds);
        let victim = self.victim();
        match fault {
            Fault::Reset => self.reset_some(victim),
            Fault::Partition => self.part(),
            Fault::Clog => self.clog(),
            Fault::Crash => self.die(victim),
            Fault::EffectCrash => {
                let effects = u32::try_from(self.nemesis.random.below(30)).expect("a few");
                self.members[victim].doom = Some(effects);
            }
            Fault::CallCrash => {
                let calls = 1 + self.nemesis.random.below(40);
                let disk = &self.members[victim].disk;
                disk.cut_power_at(disk.calls() + calls);
            }
            Fault::Blackout => {
                for at in 0..self.members.len() {
                    if self.members[at].is_up() {
                        self.lose_power(at);
                    }
                }
            }
            Fault::Bounce => return self.bounce(),
            Fault::Pause => self.pause(victim),
            Fault::Overtake => self.overtake(),
            Fault::Stall => self.stall(victim),
            Fault::Full => self.fill(victim),
            Fault::DiskError => self.break_disk(victim),
            Fault::Rot => self.rot(victim),
            Fault::Membership => {
                self.strike(fault);
                return self.change_members();
            }
            Fault::Transfer => {
                self.strike(fault);
                return self.transfer();
            }
            Fault::Nudge => {
                self.strike(fault);
                let gone = self.nemesis.random.chance(600);
                return self.give(victim, if gone { Event::LeaderGone } else { Event::Paused });
            }
            Fault::Loss | Fault::ImageFailure | Fault::Short | Fault::Slow | Fault::Skew => {
                unreachable!("{fault} is no deed")
            }
        }
        self.strike(fault);
        Ok(())
    }

    /// Whom the next deed hits: often the leader, which has most to lose.
    fn victim(&mut self) -> usize {
        let len = self.members.len();
        match self.leader() {
            Some(leader) if self.nemesis.random.chance(self.options.nemesis.leaders) => leader,
            Some(_) | None => self.nemesis.random.place(len),
        }
    }

    // === The network ===

    fn reset_some(&mut self, victim: usize) {
        let id = self.members[victim].id;
        let other = self.nemesis.random.between(1, self.members.len() as u64);
        if other != id {
            self.reset((id, other));
            if self.nemesis.random.chance(500) {
                self.reset((other, id));
            }
        }
    }

    fn part(&mut self) {
        let mut ids = self.ids();
        self.nemesis.random.shuffle(&mut ids);
        let mode = self.nemesis.random.pick(&Mode::ALL).expect("there are six");
        let both = self.nemesis.random.chance(600);
        let symmetry = if both { Symmetry::Both } else { Symmetry::OneWay };
        let broken = self.wire.part(&ids, mode, symmetry, &mut self.nemesis.random);
        for (from, to) in &broken {
            // Some hear of it soon, as others do when nothing is answered any more.
            if self.nemesis.random.chance(500) {
                let at = super::place(*from);
                let life = self.members[at].life;
                let heard = self.now + self.nemesis.random.below(10 * self.options.tick);
                self.queue.push(heard, Happening::Unreachable { at, life, to: *to });
            }
        }
        self.nemesis.partings += 1;
        let parting = self.nemesis.partings;
        self.event(|_| What::Links { broken });
        let lasting = self.nemesis.lasting(&self.options.nemesis);
        self.queue.push(self.now + lasting, Happening::Heal { parting });
    }

    pub(super) fn on_heal(&mut self, parting: u64) {
        if self.rescue.is_none() && parting == self.nemesis.partings {
            self.wire.heal();
            self.event(|_| What::Links { broken: Vec::new() });
        }
    }

    fn clog(&mut self) {
        let ids = self.ids();
        let pair = (self.nemesis.random.pick(&ids), self.nemesis.random.pick(&ids));
        if let (Some(from), Some(to)) = pair
            && from != to
        {
            let until = self.now + self.nemesis.lasting(&self.options.nemesis);
            self.wire.clog((from, to), until);
            self.note(|_| format!("m{from} → m{to} is clogged until {until}"));
        }
    }

    // === Processes ===

    /// The leader stands still, and nobody reaches it, until another has led for so long that
    /// leases may have run out. What its clients ask it meanwhile it finds when it goes on, before
    /// it hears of the other.
    fn overtake(&mut self) {
        let Some(leader) = self.leader().filter(|leader| self.is_running(*leader)) else { return };
        let id = self.members[leader].id;
        let mut ids = self.ids();
        ids.sort_by_key(|other| *other != id);
        let (mode, symmetry) = (Mode::Isolate, Symmetry::Both);
        let broken = self.wire.part(&ids, mode, symmetry, &mut self.nemesis.random);
        self.event(|_| What::Links { broken });
        self.nemesis.partings += 1;
        let parting = self.nemesis.partings;
        let election = self.options.election_timeout_max();
        let leases = self.nemesis.random.below(2 * self.options.workload.ttl_max * 1_000_000);
        let ends = self.now + election + leases;
        self.pause_until(leader, ends);
        self.queue.push(ends + election / 2, Happening::Heal { parting });
    }

    fn bounce(&mut self) -> Verdict {
        self.strike(Fault::Bounce);
        let leader = self.leader();
        for at in 0..self.members.len() {
            if Some(at) != leader && self.members[at].is_up() {
                self.die(at);
                if self.members[at].standing == Standing::Sound {
                    self.start(at)?;
                }
            }
        }
        Ok(())
    }

    // === Disks ===

    fn stall(&mut self, at: usize) {
        let until = self.now + self.nemesis.lasting(&self.options.nemesis);
        let member = &mut self.members[at];
        member.stalled_until = member.stalled_until.max(until);
        let id = member.id;
        self.note(|_| format!("the disk of m{id} stalls until {until}"));
    }

    fn fill(&mut self, at: usize) {
        let disk = self.members[at].disk.clone();
        let used: usize =
            disk.paths().iter().filter_map(|path| disk.contents(path)).map(|file| file.len()).sum();
        let free = self.nemesis.random.weighted(&[(2, 0), (1, 1000), (1, 20_000)]);
        disk.set_capacity(Some(used as u64 + free));
        let id = self.members[at].id;
        self.note(|_| format!("the disk of m{id} is full but for {free} bytes"));
        let lasting = 4 * self.nemesis.lasting(&self.options.nemesis);
        self.queue.push(self.now + lasting, Happening::Freed { at });
    }

    fn break_disk(&mut self, at: usize) {
        let chances = Chances { fail: 50_000, ..Chances::default() };
        let member = &mut self.members[at];
        member.disk.set_chances(chances);
        member.has_errors = true;
        let id = member.id;
        self.note(|_| format!("calls to the disk of m{id} fail"));
        let lasting = self.nemesis.lasting(&self.options.nemesis);
        self.queue.push(self.now + lasting, Happening::Mended { at });
    }

    /// Lets a bit rot, if the others can do without the member.
    fn rot(&mut self, at: usize) {
        let can_break = self.can_do_without(at);
        let member = &mut self.members[at];
        if member.standing != Standing::Sound || !can_break {
            return;
        }
        if let Some((path, bit)) = member.disk.rot() {
            member.is_rotten = true;
            let id = member.id;
            self.note(|_| format!("bit {bit} of {} of m{id} rots", path.display()));
        }
    }
}
