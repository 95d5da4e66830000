//! The follower: it answers others, and copies the leader's log (paper §5.2, §5.3).

use std::collections::BTreeMap;

use crate::core::Core;
use crate::effects::{DropReason, ReadFailure, ReadId, ReadOutcome};
use crate::log::Mismatch;
use crate::message::{AppendOutcome, Body, Round};
use crate::read::READS_MAX;
use crate::types::{Entry, EntryId, Index, MemberId, Snapshot};

/// A member that neither leads nor campaigns.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Follower {
    /// The leader of this term, once it was heard of.
    leader: Option<MemberId>,
    /// Ticks since the leader was last heard of.
    contact_ticks: u32,
    /// Reads whose index the leader was asked for, by the number of the question.
    asked: BTreeMap<u64, Asked>,
}

/// A read whose index the leader was asked for.
#[derive(Clone, Copy, Debug, Hash)]
struct Asked {
    id: ReadId,
    /// Ticks since.
    ticks: u32,
}

impl Follower {
    /// A follower of `leader`, which was heard of just now.
    pub(crate) fn of(leader: MemberId) -> Follower {
        Follower { leader: Some(leader), ..Follower::default() }
    }

    pub(crate) fn leader(&self) -> Option<MemberId> {
        self.leader
    }

    pub(crate) fn contact_ticks(&self) -> u32 {
        self.contact_ticks
    }

    /// Tells whether a leader was heard of within the shortest election timeout. Until then votes
    /// are refused to those who have merely lost touch with it (thesis §4.2.3).
    pub(crate) fn protects_leader(&self, election_ticks: u32) -> bool {
        self.leader.is_some() && self.contact_ticks < election_ticks
    }

    /// Stops protecting the leader.
    pub(crate) fn forget_leader(&mut self) {
        self.leader = None;
    }

    /// Records that the leader of this term was heard of, and tells whether it is the one known.
    pub(crate) fn hear_from(&mut self, leader: MemberId) -> bool {
        let is_known = *self.leader.get_or_insert(leader) == leader;
        if is_known {
            self.contact_ticks = 0;
        }
        is_known
    }

    /// Counts a tick.
    pub(crate) fn tick(&mut self, core: &mut Core) {
        self.contact_ticks = self.contact_ticks.saturating_add(1);
        let ticks_max = core.config.election_ticks;
        self.asked.retain(|_, asked| {
            asked.ticks += 1;
            if asked.ticks >= ticks_max {
                core.fail_read(asked.id, ReadFailure::Timeout);
            }
            asked.ticks < ticks_max
        });
    }

    // === The log ===

    /// Takes over what the leader sent (paper, Figure 2: AppendEntries).
    pub(crate) fn on_append(
        &mut self,
        core: &mut Core,
        from: MemberId,
        prev: EntryId,
        entries: Vec<Entry>,
        commit: Index,
        round: Round,
    ) {
        if !is_well_formed(core, prev, &entries) {
            return core.drop_message(from, DropReason::Malformed);
        }
        let is_heartbeat = entries.is_empty();
        match core.log.replicate(prev, entries) {
            Ok(matched) => {
                // Beyond `matched` our log may still differ from the leader's.
                core.log.commit_to(commit.min(matched).min(core.log.last().index));
                assert!(matched <= core.log.last().index, "accepted what is not in the log");
                accept(core, from, matched, round, is_heartbeat);
            }
            Err(Mismatch::Conflict) => {
                let hint = core.log.agreement_hint(prev);
                let outcome = AppendOutcome::Rejected { prev: prev.index, hint };
                answer(core, from, round, outcome);
            }
            Err(Mismatch::Committed) => {
                core.drop_message(from, DropReason::ContradictsCommitted);
            }
        }
    }

    /// Takes over an image of the service, unless the log already holds all that it includes
    /// (paper, Figure 13).
    pub(crate) fn on_snapshot(&mut self, core: &mut Core, from: MemberId, snapshot: Snapshot) {
        let id = snapshot.meta.id;
        if core.log.holds(id) {
            core.log.commit_to(id.index);
        }
        if id.index > core.log.committed() {
            core.log.install(snapshot);
            let outcome = AppendOutcome::Accepted { matched: id.index };
            return core
                .send_when_durable(from, Body::AppendResponse { round: Round::ZERO, outcome });
        }
        // All that is committed is equal to the leader's log, also where that now begins.
        accept(core, from, core.log.committed(), Round::ZERO, false);
    }

    // === Reads ===

    /// Tells whether no further read finds room.
    pub(crate) fn is_full(&self) -> bool {
        self.asked.len() >= READS_MAX
    }

    /// Asks the leader for the index of a read, and tells whether one is known.
    ///
    /// The question gets a number that was never used before, also not before a restart, so that no
    /// late answer to another question can be taken for its own.
    pub(crate) fn read(&mut self, core: &mut Core, id: ReadId) -> bool {
        let Some(leader) = self.leader else { return false };
        let nonce = core.random.draw();
        self.asked.insert(nonce, Asked { id, ticks: 0 });
        core.send_now(leader, Body::ReadIndex { nonce });
        true
    }

    /// Takes the leader's answer.
    pub(crate) fn on_read_index(
        &mut self,
        core: &mut Core,
        from: MemberId,
        nonce: u64,
        index: Index,
    ) {
        match self.asked.remove(&nonce) {
            Some(asked) => core.outbox.reads.push(ReadOutcome::Ready { id: asked.id, index }),
            None => core.drop_message(from, DropReason::Unexpected),
        }
    }

    /// Gives up all reads that the leader was asked for, because it is no longer followed.
    pub(crate) fn abandon(self, core: &mut Core) {
        for asked in self.asked.into_values() {
            core.fail_read(asked.id, ReadFailure::LeaderChanged);
        }
    }
}

/// Tells whether the entries follow `prev` in order, without gaps, and from no later term than now.
fn is_well_formed(core: &Core, prev: EntryId, entries: &[Entry]) -> bool {
    let mut before = prev;
    for entry in entries {
        let follows = before.index.0.checked_add(1) == Some(entry.index.0);
        if !follows || entry.term < before.term || entry.term > core.term() {
            return false;
        }
        before = entry.id();
    }
    prev.term <= core.term()
}

/// Tells the leader that the logs are equal up to `matched`.
///
/// What is on the disk already may be said at once, and a heartbeat is always answered at once, for
/// what is on the disk: it must not wait for a slow one. New entries are acknowledged when they are
/// durable.
fn accept(core: &mut Core, from: MemberId, matched: Index, round: Round, is_heartbeat: bool) {
    let durable = core.log.durable().min(matched);
    if durable == matched || is_heartbeat {
        answer(core, from, round, AppendOutcome::Accepted { matched: durable });
    } else {
        let outcome = AppendOutcome::Accepted { matched };
        core.send_when_durable(from, Body::AppendResponse { round, outcome });
    }
}

/// Answers a leader with something that is on the disk, but for the term that it is said in.
fn answer(core: &mut Core, to: MemberId, round: Round, outcome: AppendOutcome) {
    let body = Body::AppendResponse { round, outcome };
    if core.is_term_durable() {
        core.send_now(to, body);
    } else {
        core.send_when_durable(to, body);
    }
}
