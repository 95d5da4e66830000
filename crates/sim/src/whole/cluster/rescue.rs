//! The second phase: a quorum is healed, the rest stays as it is, and progress is demanded.

use std::collections::BTreeSet;

use raft::quorum::VoteResult;
use raft::{Index, MemberId, Membership};

use super::{Cluster, place};
use crate::checker::{Verdict, violation};
use crate::trace::What;
use crate::whole::clients::Question;
use crate::whole::happening::Happening;
use crate::whole::member::{Running, Standing};
use crate::whole::probe::Probe;

/// How many election timeouts a healed quorum has, without getting any further.
const TIMEOUTS: u64 = 20;
/// How often the healed quorum is looked at, in microseconds.
const LOOK_INTERVAL: u64 = 20_000;

/// The rescue that is under way.
#[derive(Debug, Default)]
pub(super) struct Rescue {
    healed: BTreeSet<u64>,
    /// What each healed member must do for a client, one after the other, and since when.
    asked: Vec<(u64, u64, u64)>,
    /// What each has done: a write, a read, and a lease that was renewed.
    done: BTreeSet<(u64, u8)>,
    /// The lease that each was asked for.
    leases: std::collections::BTreeMap<u64, i64>,
    is_over: bool,
}

/// What a healed member must do.
const TASKS: [u8; 4] = [0, 1, 2, 3];

impl Cluster {
    /// Tells whether a member that is down or stands still may return by itself: not when others
    /// are being rescued.
    pub(super) fn may_return(&self, at: usize) -> bool {
        match &self.rescue {
            None => true,
            Some(rescue) => rescue.healed.contains(&self.members[at].id),
        }
    }

    /// The configurations that may be in force somewhere.
    fn memberships(&self) -> Vec<Membership> {
        self.memberships_of(|_| true)
    }

    /// Those of the healed members. Others cannot change theirs any more, and may have stopped
    /// listening long ago: what they think of who is a member does not count.
    fn healed_memberships(&self) -> Vec<Membership> {
        let healed = self.healed();
        self.memberships_of(|id| healed.contains(&id))
    }

    fn memberships_of(&self, is_meant: impl Fn(u64) -> bool) -> Vec<Membership> {
        let mut memberships: Vec<Membership> = Vec::new();
        let meant = self.members.iter().filter(|member| is_meant(member.id));
        for process in meant.filter_map(|member| member.process.as_ref()) {
            let membership = &*process.published.membership;
            if !membership.incoming().is_empty() && !memberships.contains(membership) {
                memberships.push(membership.clone());
            }
        }
        memberships
    }

    /// Tells whether a member may be damaged for good.
    pub(super) fn can_do_without(&self, at: usize) -> bool {
        let is_sound = |id: MemberId| {
            let member = self.members.get(place(id.0));
            let sound = member.is_some_and(|member| {
                place(id.0) != at && member.standing == Standing::Sound && !member.is_rotten
            });
            Some(sound)
        };
        let memberships = self.memberships();
        !memberships.is_empty()
            && memberships
                .iter()
                .all(|membership| membership.quorum().vote_result(is_sound) == VoteResult::Won)
    }

    /// Heals a quorum.
    pub(super) fn begin_rescue(&mut self) -> Verdict {
        self.rescue = Some(Rescue::default());
        self.options.disk.sync_mean = 300;
        self.options.disk.job_mean = 300;
        self.options.disk.stall = 0;
        self.wire.mend(Vec::new());
        // Whoever returns may know of configurations that nobody else knows of, and each must find
        // its quorum.
        loop {
            let healed = self.rescue.as_ref().map_or(0, |rescue| rescue.healed.len());
            if healed == 0 {
                // Somebody must tell which configurations there are.
                self.heal_somebody()?;
            }
            for membership in self.memberships() {
                self.extend_to_quorum(&membership)?;
            }
            let now = self.rescue.as_ref().map_or(0, |rescue| rescue.healed.len());
            if now == healed {
                break;
            }
        }
        let healed = self.healed();
        let names: Vec<String> = healed.iter().map(|id| format!("m{id}")).collect();
        self.note(|_| format!("{} are healed", names.join(" ")));
        self.cut_off_others(&healed);
        self.queue.push(self.now + 1, Happening::Look);
        Ok(())
    }

    fn healed(&self) -> BTreeSet<u64> {
        self.rescue.as_ref().map(|rescue| rescue.healed.clone()).unwrap_or_default()
    }

    fn heal_somebody(&mut self) -> Verdict {
        let sound = self.members.iter().filter(|member| member.standing == Standing::Sound);
        let founders: Vec<u64> =
            sound.map(|member| member.id).filter(|id| *id <= self.options.members).collect();
        for id in founders {
            self.heal_member(id)?;
            if self.members[place(id)].is_up() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Heals members, in any order, until there is a quorum of the configuration.
    fn extend_to_quorum(&mut self, membership: &Membership) -> Verdict {
        let mut voters: Vec<MemberId> = membership.voters().collect();
        self.nemesis.random.shuffle(&mut voters);
        for voter in voters {
            let healed = self.healed();
            let votes = |id: MemberId| Some(healed.contains(&id.0));
            if membership.quorum().vote_result(votes) == VoteResult::Won {
                return Ok(());
            }
            self.heal_member(voter.0)?;
        }
        Ok(())
    }

    /// Brings a member back, with a disk and a clock that work.
    fn heal_member(&mut self, id: u64) -> Verdict {
        let at = place(id);
        if self.members[at].standing != Standing::Sound || self.healed().contains(&id) {
            return Ok(());
        }
        self.members[at].disk.set_capacity(None);
        self.mend_disk(at);
        let member = &mut self.members[at];
        member.stalled_until = 0;
        member.clock.mend();
        member.doom = None;
        // Power that was about to fail does not.
        member.disk.cut_power_at(u64::MAX);
        if let Some(rescue) = &mut self.rescue {
            rescue.healed.insert(id);
        }
        if !self.members[at].is_up() {
            self.start(at)?;
        } else if self.members[at].process().running == Running::Paused {
            let life = self.members[at].life;
            self.on_resume(at, life)?;
        }
        if self.members[at].is_up() && self.members[at].process().is_syncing {
            // A sync that a stall held back ends now.
            let life = self.members[at].life;
            self.queue.push(self.now + 1, Happening::Synced { at, life });
        }
        if self.members[at].standing == Standing::Broken
            && let Some(rescue) = &mut self.rescue
        {
            rescue.healed.remove(&id);
        }
        Ok(())
    }

    /// Cuts off those who are not healed, each in its own way; some of them are down anyway.
    fn cut_off_others(&mut self, healed: &BTreeSet<u64>) {
        let others: Vec<u64> = self.ids().into_iter().filter(|id| !healed.contains(id)).collect();
        self.probes.hit_if(Probe::RescueWithOutsiders, !others.is_empty());
        let mut broken = Vec::new();
        for other in others {
            let way = self.nemesis.random.below(4);
            for id in healed {
                if way != 0 {
                    broken.push((other, *id));
                }
                if way != 1 {
                    broken.push((*id, other));
                }
            }
        }
        broken.sort_unstable();
        self.wire.mend(broken.clone());
        self.event(|_| What::Links { broken });
    }

    // === What is demanded ===

    /// Runs until the demand is met, or nobody gets any further.
    pub(super) fn run_rescue(&mut self) -> Verdict {
        // A command of which a member cannot know what became of it is given up only when its time
        // is over, and then asked for again.
        let request = u64::from(self.options.member.request_ticks_max) * self.options.tick;
        let patience = TIMEOUTS * self.options.election_timeout_max()
            + 2 * self.options.workload.ttl_max * 1_000_000
            + 2 * request;
        let (mut reached, mut since) = (self.reached(), self.now);
        while !self.is_over() {
            if !self.is_possible() {
                // Bits have rotted on too many disks, or members were exchanged until too few are
                // left.
                self.probes.hit(Probe::RescueImpossible);
                return Ok(());
            }
            let end = self.now + LOOK_INTERVAL;
            self.run_until(end)?;
            let now = self.reached();
            if now != reached {
                (reached, since) = (now, self.now);
            }
            if since + patience < self.now {
                let text = format!("the healed members do not get on: {}", self.missing());
                return violation("liveness", text);
            }
        }
        self.check_healed()
    }

    /// Tells whether those who are healed can get on.
    fn is_possible(&self) -> bool {
        let healed = self.healed();
        let votes = |id: MemberId| Some(healed.contains(&id.0));
        let wins = |membership: &Membership| membership.quorum().vote_result(votes);
        !healed.is_empty() && self.healed_memberships().iter().all(|of| wins(of) == VoteResult::Won)
    }

    /// Changes of the members that were under way come into force among those who are healed: who
    /// is removed by one of them need not get on, and who is needed by one is healed as well.
    fn follow_changes(&mut self) -> Verdict {
        let before = self.healed();
        let memberships = self.healed_memberships();
        // One that never heard of its removal waits for somebody who does not come.
        let is_gone = |id: &u64| {
            self.members[place(*id)].standing == Standing::Removed
                || !memberships.iter().any(|membership| membership.contains(MemberId(*id)))
        };
        let gone: Vec<u64> = before.iter().copied().filter(is_gone).collect();
        if let Some(rescue) = &mut self.rescue {
            rescue.healed.retain(|id| !gone.contains(id));
        }
        for membership in memberships {
            self.extend_to_quorum(&membership)?;
        }
        let healed = self.healed();
        if !healed.is_subset(&before) {
            self.note(|_| "others are needed, and healed".to_owned());
            self.cut_off_others(&healed);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.rescue.as_ref().is_some_and(|rescue| rescue.is_over)
    }

    /// How far the healed members have come, all together.
    fn reached(&self) -> (u64, usize) {
        let applied = self.healed().into_iter().map(|id| self.applied(id).0).sum();
        (applied, self.rescue.as_ref().map_or(0, |rescue| rescue.done.len()))
    }

    fn applied(&self, id: u64) -> Index {
        let process = self.members[place(id)].process.as_ref();
        process.map_or(Index::ZERO, |process| process.published.applied.index)
    }

    /// Says what is still missing.
    fn missing(&self) -> String {
        let lines = self.healed().into_iter().map(|id| {
            let Some(process) = &self.members[place(id)].process else {
                return format!("m{id} is down");
            };
            let (published, status) = (&process.published, process.replica.status());
            let rescue = self.rescue.as_ref();
            let done: Vec<u8> = rescue
                .map(|rescue| rescue.done.iter().filter(|(who, _)| *who == id))
                .into_iter()
                .flatten()
                .map(|(_, task)| *task)
                .collect();
            format!(
                "m{id} {}@{} of {:?} at {}, log {}..{}, has done {done:?}, {} leases",
                published.role,
                published.term,
                published.leader,
                published.applied,
                status.core.base,
                status.core.last,
                status.leases_len
            )
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    /// Asks for what is demanded, and sees how far that has come.
    pub(super) fn on_look(&mut self) -> Verdict {
        self.follow_changes()?;
        let Some(rescue) = &mut self.rescue else { return Ok(()) };
        let clients = &self.clients;
        let mut done = Vec::new();
        rescue.asked.retain(|(id, operation, task)| {
            if clients.is_answered(*operation) {
                done.push((*id, u8::try_from(*task).expect("there are few")));
            }
            clients.is_waiting(*operation)
        });
        rescue.done.extend(done);
        for id in self.healed() {
            self.demand(id)?;
        }
        let healed = self.healed();
        let all_done = |rescue: &Rescue| {
            healed.iter().all(|id| TASKS.iter().all(|task| rescue.done.contains(&(*id, *task))))
        };
        let applied: BTreeSet<Index> = healed.iter().map(|id| self.applied(*id)).collect();
        let leases_left = healed.iter().any(|id| {
            let process = self.members[place(*id)].process.as_ref();
            process.is_some_and(|process| !process.replica.leases().is_empty())
        });
        if let Some(rescue) = &mut self.rescue {
            rescue.is_over = all_done(rescue) && applied.len() == 1 && !leases_left;
        }
        self.queue.push(self.now + LOOK_INTERVAL, Happening::Look);
        Ok(())
    }

    /// Asks a healed member for the first thing that it has not done.
    fn demand(&mut self, id: u64) -> Verdict {
        let Some(rescue) = &self.rescue else { return Ok(()) };
        if rescue.asked.iter().any(|(who, ..)| *who == id) {
            return Ok(());
        }
        let task = TASKS.into_iter().find(|task| !rescue.done.contains(&(id, *task)));
        let Some(task) = task else { return Ok(()) };
        let process = self.members[place(id)].process.as_ref();
        let is_alarmed = process.is_some_and(|process| !process.published.alarms.is_empty());
        let lease = rescue.leases.get(&id).copied();
        if 2 <= task && (is_alarmed || task == 3 && lease.is_none()) {
            // No leases are granted while there is no space.
            if let Some(rescue) = &mut self.rescue {
                rescue.done.insert((id, task));
            }
            return Ok(());
        }
        let number = i64::try_from(self.clients.next_number()).expect("operations are few");
        let question = match (task, lease) {
            (0, _) => Question::Nothing,
            (1, _) => Question::Get { key: 0 },
            (2, _) => Question::Grant { id: number + 1, seconds: 1 },
            (_, Some(id)) => Question::Renew { id },
            (_, None) => unreachable!("a lease was granted before"),
        };
        if let (Some(rescue), Question::Grant { id: lease, .. }) = (&mut self.rescue, question) {
            rescue.leases.insert(id, lease);
        }
        let operation = self.clients.begin(0, self.now, question);
        if let Some(rescue) = &mut self.rescue {
            rescue.asked.push((id, operation, u64::from(task)));
        }
        self.request(place(id), operation)
    }

    /// All healed members have the same, and it is what the history says.
    fn check_healed(&mut self) -> Verdict {
        for id in self.healed() {
            let Some(process) = &self.members[place(id)].process else { continue };
            self.history.contains(id, &process.published.view)?;
        }
        Ok(())
    }
}
