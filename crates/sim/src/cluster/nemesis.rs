//! Who does what to the cluster, and when.

use raft::MemberId;

use super::Cluster;
use crate::checker::Verdict;
use crate::event::Happening;
use crate::options::{Fault, NemesisOptions};
use crate::rng::Random;

/// Draws what is done to the cluster.
#[derive(Debug)]
pub(super) struct Nemesis {
    pub(super) random: Random,
    /// How often the network was parted.
    pub(super) partings: u64,
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
        if self.options.nemesis.weights.is_empty() {
            return Ok(());
        }
        let fault = self.nemesis.random.weighted(&self.options.nemesis.weights);
        let victim = self.victim();
        match fault {
            Fault::Partition => self.part(),
            Fault::Clog => self.clog(),
            Fault::Crash => {
                self.strike(fault);
                self.crash_for_a_while(victim);
            }
            Fault::EffectCrash => {
                self.strike(fault);
                let effects = u32::try_from(self.nemesis.random.below(30)).expect("a few");
                self.members[victim].doom = Some(effects);
            }
            Fault::PowerCut => {
                self.strike(fault);
                for at in 0..self.members.len() {
                    self.crash_for_a_while(at);
                }
            }
            Fault::Bounce => return self.bounce(),
            Fault::Pause => {
                self.strike(fault);
                self.pause(victim);
            }
            Fault::Stall => self.stall(victim),
            Fault::Membership => return self.change_membership(),
            Fault::Transfer => return self.transfer(),
            Fault::Image => {
                if self.members[victim].is_running() {
                    self.strike(fault);
                    self.make_image(victim);
                }
            }
            Fault::Nudge => return self.nudge(victim),
            Fault::Loss
            | Fault::Duplication
            | Fault::Stragglers
            | Fault::LostWrites
            | Fault::TornWrites
            | Fault::Skew
            | Fault::ImageFailure => unreachable!("{fault} is no deed"),
        }
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

    /// The member that leads the latest term, if one of those that are up leads.
    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| {
            let process = self.members[*at].process.as_ref();
            process.is_some_and(|process| process.seen.role == raft::RoleKind::Leader)
        };
        (0..self.members.len()).filter(leads).max_by_key(|at| {
            let process = self.members[*at].process.as_ref();
            process.map(|process| process.seen.term)
        })
    }

    /// The IDs of all members.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.id.0).collect()
    }

    /// A member other than the one at `at`, if there is one.
    pub(super) fn other(&mut self, at: usize) -> Option<MemberId> {
        let id = self.members[at].id;
        let others: Vec<MemberId> =
            self.members.iter().map(|member| member.id).filter(|other| *other != id).collect();
        self.nemesis.random.pick(&others)
    }
}
