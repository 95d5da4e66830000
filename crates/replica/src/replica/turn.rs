//! One turn: what happened goes to the core, what the core wants is done.

use std::num::NonZeroUsize;

use mvcc::Progress;
use raft::{Body, DropReason, Effects, Input, MemberId, Message, RoleKind};

use super::Replica;
use crate::clients::Waiting;
use crate::event::{PeerMessage, Ticket};
use crate::fault::Fault;
use crate::output::{MembershipRefusal, Reply, TransferRefusal, Unavailable};

/// How many changes of the history a compaction looks at in a turn, and at a tick.
const COMPACTED_IN_A_TURN: NonZeroUsize = NonZeroUsize::new(100).expect("more than none");
const COMPACTED_AT_A_TICK: NonZeroUsize = NonZeroUsize::new(5000).expect("more than none");

/// Whether the replica goes on, and whether there is anything to do.
#[derive(Debug, Default)]
pub(super) struct Health {
    is_stopped: bool,
    is_stirred: bool,
    /// A fault that was met where none can be returned.
    fault: Option<Fault>,
}

impl Health {
    /// Remembers that something happened.
    pub(super) fn stir(&mut self) {
        self.is_stirred = true;
    }

    /// Tells whether something happened since this was last asked.
    pub(super) fn take_stirred(&mut self) -> Result<bool, Fault> {
        self.check()?;
        Ok(std::mem::take(&mut self.is_stirred))
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.is_stopped { Err(Fault::Stopped) } else { Ok(()) }
    }

    /// Stops for good, because of a fault.
    pub(super) fn stop(&mut self, fault: Fault) -> Fault {
        self.is_stopped = true;
        fault
    }

    /// Keeps a fault for the next flush.
    pub(super) fn keep(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn take_fault(&mut self) -> Result<(), Fault> {
        self.fault.take().map_or(Ok(()), Err)
    }
}

/// When this member may campaign, because the leader is known to be gone, in its own ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Campaign {
    /// At first.
    from: u64,
    /// At last.
    until: u64,
    /// From one turn to the next.
    period: u64,
}

impl Replica {
    /// Does everything that is due.
    pub(super) fn turn(&mut self) -> Result<(), Fault> {
        self.health.take_fault()?;
        loop {
            self.follow_role();
            self.send_due();
            self.ask_due();
            self.try_changes();
            let effects = self.core.flush();
            self.follow_role();
            if effects.is_empty() {
                break;
            }
            self.carry_out(effects)?;
        }
        self.discard_incoming()?;
        self.answer_lease_questions();
        self.follow_transfers();
        self.watch_space();
        self.compact(COMPACTED_IN_A_TURN);
        self.start_jobs();
        self.health.take_fault()?;
        self.publish();
        Ok(())
    }

    /// Does what the core wants. What is to be written is only queued here.
    fn carry_out(&mut self, effects: Effects) -> Result<(), Fault> {
        for dropped in effects.dropped {
            self.count_dropped(dropped.reason);
        }
        self.send_all(effects.send_now);
        match effects.persist {
            Some(persist) => {
                if let Some(snapshot) = &persist.snapshot {
                    self.install(snapshot)?;
                }
                self.journal.write(&persist, effects.send_when_durable)?;
            }
            None => {
                let at_once = self.journal.say_behind(effects.send_when_durable);
                self.send_all(at_once);
            }
        }
        self.apply_all(&effects.apply)?;
        self.on_read_outcomes(effects.reads);
        self.on_snapshot_requests(effects.snapshot_requests);
        if let Some(base) = effects.trim {
            self.journal.trim(base)?;
        }
        Ok(())
    }

    /// Makes what is queued durable, and lets follow what waited for it.
    pub(super) fn on_synced(&mut self) -> Result<(), Fault> {
        let synced = self.journal.sync()?;
        if let Some(ack) = synced.ack {
            self.core.feed(Input::Durable(ack));
        }
        self.send_all(synced.messages);
        if let Some(meta) = synced.marked {
            self.on_marked(&meta)?;
        }
        Ok(())
    }

    // === Time ===

    pub(super) fn on_tick(&mut self) {
        self.now += 1;
        self.refused_by = None;
        self.journal.on_tick();
        self.reads.on_tick();
        self.core.feed(Input::Tick);
        self.follow_role();
        self.maybe_campaign();
        for (ticket, waiting) in self.clients.expire(self.now) {
            let reply = self.give_up(waiting);
            self.out.replies.push((ticket, reply));
        }
        let (leader, term) = (self.core.leader(), self.core.term());
        self.questions.follow(leader, term, self.now);
        self.expire_leases();
        self.promote_ready();
        self.compact(COMPACTED_AT_A_TICK);
    }

    pub(super) fn on_paused(&mut self) {
        self.core.feed(Input::Paused);
        if let Some(lead) = &mut self.lead {
            lead.clock.hold(self.now, self.options.core.election_ticks);
        }
    }

    /// Says why a client gets no answer.
    fn give_up(&mut self, waiting: Waiting) -> Reply {
        let (term, leader) = (self.core.term(), self.core.leader());
        match waiting {
            Waiting::Command(sequence) | Waiting::Change(sequence) => {
                let Some(proposal) = self.proposals.remove(sequence) else {
                    // A change that is committed, and whose joint configuration is not left yet.
                    return Reply::Unavailable(Unavailable::Timeout);
                };
                let is_change = matches!(waiting, Waiting::Change(_));
                if is_change && proposal.is_certain() && leader.is_some() {
                    return Reply::Membership(Err(MembershipRefusal::Pending));
                }
                Reply::Unavailable(proposal.reason(term, leader))
            }
            Waiting::Read | Waiting::Lease => Reply::Unavailable(match leader {
                None => Unavailable::NoLeader,
                Some(_) => Unavailable::Timeout,
            }),
            Waiting::Transfer => Reply::Transferred(Err(TransferRefusal::Timeout)),
        }
    }

    /// Lets a client go that does not want its answer any more.
    pub(super) fn on_forget(&mut self, ticket: Ticket) {
        match self.clients.remove(ticket) {
            Some(Waiting::Command(sequence) | Waiting::Change(sequence)) => {
                self.proposals.remove(sequence);
            }
            Some(Waiting::Read | Waiting::Lease | Waiting::Transfer) | None => {}
        }
    }

    /// Drops a part of the history that is compacted. It is done little by little, so that nobody
    /// feels it.
    fn compact(&mut self, changes_max: NonZeroUsize) {
        if self.machine.is_compacting()
            && self.machine.compact_step(changes_max) == Progress::Finished
        {
            self.shown.is_stale = true;
        }
    }

    // === Peers ===

    pub(super) fn on_peer(&mut self, from: MemberId, message: PeerMessage) {
        self.unreachable.remove(&from);
        match message {
            PeerMessage::Raft(message) => self.on_raft(from, message),
            PeerMessage::Forward { term, commands } => self.on_forward(from, term, commands),
            PeerMessage::ForwardChange { term, id, changes, context } => {
                self.on_forward_change(from, term, id, changes, context);
            }
            PeerMessage::ForwardRefused { term, sequences, reason } => {
                self.on_forward_refused(from, term, &sequences, reason);
            }
            PeerMessage::LeaseQuestion { nonce, ids, kind } => {
                self.on_lease_question(from, nonce, ids, kind);
            }
            PeerMessage::LeaseAnswer { nonce, leases, applied } => {
                if !self.questions.on_answer(from, nonce, &leases, applied) {
                    self.dropped += 1;
                }
            }
            PeerMessage::LeaseRefused { nonce } => match self.questions.on_refusal(from, nonce) {
                Some(term) => self.refused_by = Some((term, from)),
                None => self.dropped += 1,
            },
        }
    }

    fn on_raft(&mut self, from: MemberId, message: Message) {
        if message.from != from {
            self.violations += 1;
            return;
        }
        if let Body::InstallSnapshot { snapshot } = &message.body
            && self.core.committed() < snapshot.meta.id.index
        {
            // The image itself is missing. When it has come, so will the message.
            self.dropped += 1;
            return;
        }
        self.core.feed(Input::Message(message));
    }

    pub(super) fn on_unreachable(&mut self, member: MemberId) {
        self.core.feed(Input::Unreachable(member));
        self.unreachable.insert(member);
        // An image that had arrived may be lost as well, if the member died before it could say so.
        self.core.feed(Input::SnapshotFailed { to: member });
        self.proposals.unreachable(member);
        self.questions.unreachable(member);
    }

    fn count_dropped(&mut self, reason: DropReason) {
        if reason.is_violation() {
            self.violations += 1;
        } else {
            self.dropped += 1;
        }
    }

    // === Elections ===

    /// Prepares to campaign, since the leader is known to be gone.
    ///
    /// All members hear of it at about the same time. If all campaigned at once, their votes would
    /// split: they do so one after the other, in the order of their IDs.
    pub(super) fn on_leader_gone(&mut self) {
        if self.core.role() != RoleKind::Follower {
            return;
        }
        let gone = self.core.leader();
        self.core.feed(Input::ForgetLeader);
        let voters = self.core.membership().voters().filter(|voter| Some(*voter) != gone);
        let voters: Vec<MemberId> = voters.collect();
        let Some(rank) = voters.iter().position(|voter| *voter == self.id) else { return };
        let from = self.now + 2 * rank as u64;
        let until = self.now + 2 * u64::from(self.options.core.election_ticks);
        let period = 2 * voters.len() as u64;
        self.campaign = Some(Campaign { from, until, period });
        self.maybe_campaign();
    }

    /// Campaigns if it is this member's turn. It has two ticks, in case the others have not heard
    /// at the first that the leader is gone.
    fn maybe_campaign(&mut self) {
        let Some(Campaign { from, until, period }) = self.campaign else { return };
        if self.core.leader().is_some() || until < self.now {
            self.campaign = None;
            return;
        }
        let is_turn = from <= self.now && (self.now - from) % period < 2;
        if is_turn && self.core.role() == RoleKind::Follower {
            self.core.feed(Input::Campaign);
        }
    }
}
