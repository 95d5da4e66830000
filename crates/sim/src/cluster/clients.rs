//! What clients ask of members, and how they are answered.

use raft::{MembershipError, ProposeError, ReadError, ReadId, TransferError};

use super::{Cluster, place};
use crate::checker::Verdict;
use crate::event::Happening;
use crate::member::Inbound;
use crate::probe::{Probe, sometimes};
use crate::trace::What;
use crate::workload::{Ending, Request};

impl Cluster {
    /// A client asks for something, unless the rescue has begun.
    pub(super) fn on_client(&mut self, client: usize) -> Verdict {
        if self.rescue.is_some() {
            return Ok(());
        }
        let members = self.members.len() as u64;
        let (operation, member) = self.workload.ask(client, self.now, members);
        let deadline = self.now + self.workload.timeout();
        self.queue.push(deadline, Happening::Deadline { operation });
        self.trace_client(operation, member, "asks");
        self.request(place(member), operation)
    }

    /// Brings an operation to a member.
    pub(super) fn request(&mut self, at: usize, operation: u64) -> Verdict {
        if !self.members[at].is_up() {
            self.refuse(operation, None);
            return Ok(());
        }
        if self.accepts(at) {
            return self.operate(at, operation);
        }
        self.members[at].process().inbox.push_back(Inbound::Operation(operation));
        Ok(())
    }

    /// A process takes an operation.
    pub(super) fn operate(&mut self, at: usize, operation: u64) -> Verdict {
        let request = self.workload.request(operation);
        let padding = self.workload.padding();
        let committed = self.oracles.completeness.committed_index();
        let process = self.members[at].process();
        match request {
            Request::Read { .. } => match process.core.read(ReadId(operation)) {
                Ok(()) => self.oracles.reads.asked(operation, committed),
                Err(ReadError::NoLeader | ReadError::Busy) => self.refuse(operation, None),
            },
            Request::Write(command) => match process.core.propose(command.encode(padding)) {
                Ok(id) => {
                    process.proposals.entry(id.index).or_default().push((id.term, operation));
                }
                Err(error) => {
                    let transferring = matches!(error, ProposeError::Transferring { .. });
                    sometimes!(
                        self.probes,
                        CommandRefusedInTransfer if transferring,
                        CommandBusy if error == ProposeError::Busy,
                    );
                    let leader = match error {
                        ProposeError::NotLeader { leader } => leader,
                        ProposeError::Transferring { to } => Some(to),
                        ProposeError::Busy => None,
                    };
                    self.refuse(operation, leader.map(|leader| leader.0));
                }
            },
        }
        self.members[at].process().touched = true;
        self.settle(at)
    }

    fn refuse(&mut self, operation: u64, leader: Option<u64>) {
        let members = self.members.len() as u64;
        let known = leader.filter(|leader| *leader <= members);
        self.workload.learn_leader(operation, known, members);
        self.end(operation, Ending::Refused);
    }

    /// An operation has ended; its client asks for the next one after a while.
    pub(super) fn end(&mut self, operation: u64, ending: Ending) {
        if self.trace.is_some() {
            let text = match ending {
                Ending::Applied(applied) => format!("is told {applied:?} for"),
                Ending::Read(value) => format!("reads {value:?} by"),
                Ending::Refused => "is refused".to_owned(),
            };
            self.trace_client(operation, 0, &text);
        }
        if let Some(client) = self.workload.end(operation, self.now, ending) {
            self.next_request(client);
        }
    }

    pub(super) fn on_deadline(&mut self, operation: u64) {
        if let Some(client) = self.workload.give_up(operation) {
            if let Request::Write(_) = self.workload.request(operation) {
                self.probes.hit(Probe::CommandUnknown);
            }
            self.trace_client(operation, 0, "gives up");
            let members = self.members.len() as u64;
            self.workload.learn_leader(operation, None, members);
            self.next_request(client);
        }
    }

    fn next_request(&mut self, client: usize) {
        let at = self.now + self.workload.pause();
        self.queue.push(at, Happening::Client { client });
    }

    fn trace_client(&mut self, operation: u64, member: u64, text: &str) {
        self.event(|cluster| {
            let what = match cluster.workload.request(operation) {
                Request::Read { key } => format!("read k{key}"),
                Request::Write(command) => format!("{:?} k{}", command.action, command.key),
            };
            What::Client { client: operation, member, text: format!("{text} {what}") }
        });
    }

    // === What an operator asks for ===

    /// Counts why a change was refused.
    pub(super) fn see_refused_change(&mut self, error: MembershipError) {
        match error {
            MembershipError::Pending(_) => self.probes.hit(Probe::ChangePending),
            MembershipError::TermTooYoung => self.probes.hit(Probe::ChangeTooYoung),
            MembershipError::Propose(_) | MembershipError::Change(_) => {}
        }
    }

    /// Counts that a transfer was begun.
    pub(super) fn see_transfer(&mut self, answer: Result<raft::MemberId, TransferError>) {
        if answer.is_ok() {
            self.probes.hit(Probe::TransferBegun);
        }
    }
}
