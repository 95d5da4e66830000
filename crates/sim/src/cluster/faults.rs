//! The deeds that need more than a word: to the network, the disks and the configuration.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::membership::Change;
use raft::{Input, MemberId, Membership};

use super::Cluster;
use crate::checker::Verdict;
use crate::event::Happening;
use crate::network::{Mode, Symmetry};
use crate::options::Fault;
use crate::probe::sometimes;
use crate::trace::What;

/// No cluster has more members than this in a run, those that were removed included.
const MEMBERS_MAX: usize = 12;

impl Cluster {
    // === The network ===

    pub(super) fn part(&mut self) {
        self.strike(Fault::Partition);
        let mut ids = self.ids();
        let leader = self.leader();
        let random = &mut self.nemesis.random;
        random.shuffle(&mut ids);
        // Who is alone, or at the end of a chain, is the first.
        if let Some(leader) = leader
            && random.chance(self.options.nemesis.leaders)
        {
            let id = self.members[leader].id.0;
            ids.retain(|other| *other != id);
            ids.insert(0, id);
        }
        let mode = random.pick(&Mode::ALL).expect("there are some");
        let symmetry = random.weighted(&[(2, Symmetry::Both), (1, Symmetry::OneWay)]);
        let broken = self.network.part(&ids, mode, symmetry, random).to_vec();
        self.event(|_| What::Links { broken });
        self.nemesis.partings += 1;
        let lasting = self.nemesis.lasting(&self.options.nemesis);
        let heal = Happening::Heal { parting: self.nemesis.partings };
        self.queue.push(self.now + lasting, heal);
    }

    pub(super) fn on_heal(&mut self, parting: u64) {
        if self.rescue.is_none() && parting == self.nemesis.partings {
            self.network.heal();
            self.event(|_| What::Links { broken: Vec::new() });
        }
    }

    pub(super) fn clog(&mut self) {
        const CLOG_MAX: u64 = 5_000_000;
        self.strike(Fault::Clog);
        let ids = self.ids();
        let random = &mut self.nemesis.random;
        let (from, to) = (random.pick(&ids), random.pick(&ids));
        let (Some(from), Some(to)) = (from, to) else { return };
        let until = self.now + random.below(CLOG_MAX);
        self.network.clog((from, to), until);
        self.note(|| format!("the link from m{from} to m{to} is clogged"));
    }

    // === The disks ===

    pub(super) fn stall(&mut self, at: usize) {
        self.strike(Fault::Stall);
        let lasting = self.nemesis.lasting(&self.options.nemesis);
        let until = self.now + lasting;
        let member = &mut self.members[at];
        member.disk.stalled_until = member.disk.stalled_until.max(until);
        let id = member.id;
        let leads = member
            .process
            .as_ref()
            .is_some_and(|process| process.seen.role == raft::RoleKind::Leader);
        sometimes!(self.probes, LeaderStalled if leads);
        self.event(|_| What::Stall { member: id.0 });
        self.queue.push(until, Happening::Unstall { member: at });
    }

    // === The configuration ===

    pub(super) fn change_membership(&mut self) -> Verdict {
        let Some(at) = self.leader().filter(|at| self.accepts(*at)) else { return Ok(()) };
        let membership = self.members[at].process().seen.membership.clone();
        let changes = self.draw_changes(&membership);
        if changes.is_empty() {
            return Ok(());
        }
        let answer = self.members[at].process().core.change_membership(&changes, Bytes::new());
        match answer {
            Ok(_) => self.strike(Fault::Membership),
            Err(error) => {
                self.see_refused_change(error);
                return self.input_nothing(at);
            }
        }
        let id = self.members[at].id;
        self.note(|| format!("{id} is asked for {changes:?}"));
        for change in changes {
            let (Change::AddVoter(id) | Change::AddLearner(id)) = change else { continue };
            let new = self.add_member(Membership::default());
            assert!(self.members[new].id == id, "members are numbered as they come");
            self.start(new)?;
        }
        self.input_nothing(at)
    }

    fn input_nothing(&mut self, at: usize) -> Verdict {
        self.members[at].process().touched = true;
        self.settle(at)
    }

    /// Draws changes that fit the configuration: mostly one, sometimes several voters at once.
    fn draw_changes(&mut self, membership: &Membership) -> Vec<Change> {
        let count = self.nemesis.random.weighted(&[(3, 1), (2, 2), (1, 3)]);
        let mut next_id = self.members.len() as u64 + 1;
        let mut named = BTreeSet::new();
        let mut changes = Vec::new();
        for _ in 0..count {
            let random = &mut self.nemesis.random;
            let members: Vec<MemberId> =
                membership.members().into_iter().filter(|id| !named.contains(id)).collect();
            let voters: Vec<MemberId> =
                members.iter().copied().filter(|id| membership.will_vote(*id)).collect();
            let learners: Vec<MemberId> =
                members.iter().copied().filter(|id| membership.learners().contains(id)).collect();
            let room = usize::try_from(next_id).expect("few members") <= MEMBERS_MAX;
            let new = MemberId(next_id);
            let change = match random.weighted(&[(2, 0), (2, 1), (3, 2), (1, 3), (3, 4)]) {
                0 if room => Some(Change::AddVoter(new)),
                1 if room => Some(Change::AddLearner(new)),
                2 => random.pick(&learners).map(Change::Promote),
                3 => random.pick(&voters).map(Change::Demote),
                _ => random.pick(&members).map(Change::Remove),
            };
            let Some(change) = change else { continue };
            if change.member() == new {
                next_id += 1;
            }
            named.insert(change.member());
            changes.push(change);
        }
        // A cluster that shrinks away shows nothing more.
        let left = membership.change(&changes).map(|next| next.incoming().len());
        if left.is_ok_and(|left| left >= 1) { changes } else { Vec::new() }
    }

    pub(super) fn transfer(&mut self) -> Verdict {
        let Some(at) = self.leader().filter(|at| self.accepts(*at)) else { return Ok(()) };
        self.strike(Fault::Transfer);
        let named = self.nemesis.random.chance(700);
        let to = if named { self.other(at) } else { None };
        let answer = self.members[at].process().core.transfer(to);
        self.see_transfer(answer);
        self.input_nothing(at)
    }

    /// All members but the leader die and start again at once, some of them to campaign; the leader
    /// may notice nothing.
    pub(super) fn bounce(&mut self) -> Verdict {
        self.strike(Fault::Bounce);
        if self.nemesis.random.chance(500) {
            self.part();
        }
        let leader = self.leader();
        for at in (0..self.members.len()).filter(|at| Some(*at) != leader) {
            if self.nemesis.random.chance(800) && self.members[at].is_running() {
                self.crash(at);
                self.start(at)?;
            }
        }
        for at in (0..self.members.len()).filter(|at| Some(*at) != leader) {
            if self.nemesis.random.chance(400) {
                self.input(at, Input::Campaign)?;
            }
        }
        Ok(())
    }

    /// Tells a member something that it need not have been told.
    pub(super) fn nudge(&mut self, at: usize) -> Verdict {
        let Some(other) = self.other(at) else { return Ok(()) };
        if !self.members[at].is_up() {
            return Ok(());
        }
        self.strike(Fault::Nudge);
        match self.nemesis.random.below(4) {
            0 => self.input(at, Input::Campaign),
            1 => self.input(at, Input::Unreachable(other)),
            2 => self.input(at, Input::Paused),
            _ => {
                // Several hear at once that the connections to the leader broke, which may be so.
                if self.nemesis.random.chance(300) {
                    self.part();
                }
                for at in 0..self.members.len() {
                    if self.nemesis.random.chance(600) {
                        self.input(at, Input::ForgetLeader)?;
                    }
                }
                self.input(at, Input::Campaign)
            }
        }
    }
}
