//! What only a leader has, and when it begins and ends.

use raft::{Index, MemberId, RoleKind, Term};
use store::{AlarmAction, AlarmKind, Command, CommandId, SpaceVerdict};

use super::Replica;
use super::change::RemoteChange;
use crate::event::{ForwardRefusal, LeaseQuestionKind, PeerMessage};
use crate::lease::LeaseClock;

/// What only a leader has. It is gone with the term.
#[derive(Debug)]
pub(super) struct Lead {
    /// The term in which this member leads.
    pub(super) term: Term,
    /// The time of all leases.
    pub(super) clock: LeaseClock,
    /// What others ask about leases, and was not put to the quorum yet.
    pub(super) asks: Vec<RemoteAsk>,
    /// Changes of the configuration that others want, and that could not be made yet.
    pub(super) changes: Vec<RemoteChange>,
    /// The entry by which an alarm is being raised or lowered.
    alarm: Option<Index>,
    /// Whether there was too little space when it was last looked at, or there may have been before
    /// this member led. An alarm that somebody raised while there is space is not lowered.
    is_space_short: bool,
}

/// A question of another member about leases.
#[derive(Clone, Debug)]
pub(super) struct RemoteAsk {
    /// Who asks.
    pub(super) from: MemberId,
    /// Its number there.
    pub(super) nonce: u64,
    /// About which leases.
    pub(super) ids: Vec<i64>,
    /// What is asked.
    pub(super) kind: LeaseQuestionKind,
}

/// The ID of commands for which nobody waits.
pub(super) const NOBODY: CommandId = CommandId { origin: 0, sequence: 0 };

impl Replica {
    /// Takes up what a leader has to do if this member leads, and lays it down if it does not.
    pub(super) fn follow_role(&mut self) {
        let term = self.core.term();
        let leads = self.core.role() == RoleKind::Leader;
        if let Some(lead) = self.lead.take_if(|lead| !leads || lead.term != term) {
            for change in lead.changes {
                self.refuse(change.from, lead.term, change.id.sequence, ForwardRefusal::NotLeader);
            }
            for ask in lead.asks {
                self.send(ask.from, PeerMessage::LeaseRefused { nonce: ask.nonce });
            }
        }
        if leads && self.lead.is_none() {
            let tick_millis = self.options.tick_millis;
            self.lead = Some(Lead {
                term,
                clock: LeaseClock::begin(self.now, tick_millis, self.machine.leases()),
                asks: Vec::new(),
                changes: Vec::new(),
                alarm: None,
                is_space_short: self.is_space_alarm_raised(),
            });
        }
    }

    fn is_space_alarm_raised(&self) -> bool {
        self.machine.alarms().iter().any(|(_, kind)| *kind == AlarmKind::NoSpace)
    }

    /// Proposes a command for which nobody waits, and returns where it stands.
    pub(super) fn propose_for_nobody(&mut self, command: &Command) -> Option<Index> {
        self.core.propose(command.encode(NOBODY)).ok().map(|id| id.index)
    }

    /// Raises the alarm if the contents have outgrown the quota, and lowers it when there is space
    /// again. The leader does so for all: what it looks at is the same on every member.
    pub(super) fn watch_space(&mut self) {
        let Some(lead) = &self.lead else { return };
        if lead.alarm.is_some_and(|at| self.applied.index < at) {
            return;
        }
        let quota = self.options.quota_bytes;
        let mut raised =
            self.machine.alarms().iter().filter(|(_, kind)| *kind == AlarmKind::NoSpace);
        let (member, is_raised) = match raised.next() {
            Some((member, _)) => (*member, true),
            None => (self.id.0, false),
        };
        let verdict = self.machine.space_verdict(member, quota);
        let (action, member) = match verdict {
            SpaceVerdict::Raise => (AlarmAction::Activate, member),
            SpaceVerdict::Lower if lead.is_space_short => (AlarmAction::Deactivate, 0),
            SpaceVerdict::Lower | SpaceVerdict::Fine => {
                if let Some(lead) = &mut self.lead {
                    lead.is_space_short = is_raised && verdict == SpaceVerdict::Fine;
                }
                return;
            }
        };
        let kind = AlarmKind::NoSpace;
        let at = self.propose_for_nobody(&Command::Alarm { action, member, kind });
        if let Some(lead) = &mut self.lead {
            lead.alarm = at;
            lead.is_space_short = true;
        }
    }

    /// Gives up the leases whose time has come.
    pub(super) fn expire_leases(&mut self) {
        let Some(lead) = &self.lead else { return };
        let ids = lead.clock.expired(self.now);
        if ids.is_empty() {
            return;
        }
        let command = Command::LeaseExpire { ids };
        let at = self.propose_for_nobody(&command);
        if let (Some(lead), Some(at), Command::LeaseExpire { ids }) = (&mut self.lead, at, command)
        {
            lead.clock.expire(&ids, at);
        }
    }
}
