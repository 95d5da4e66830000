//! Commands on their way to the leader's log.

use bytes::Bytes;
use raft::{MemberId, ProposeError, Term};
use store::{Applied, Command, CommandId};

use super::Replica;
use super::change::Attempt;
use crate::clients::Waiting;
use crate::event::{ForwardRefusal, PeerMessage, Ticket};
use crate::output::{Reply, Unavailable};
use crate::proposals::What;

/// How many bytes of commands go in one message, unless the first alone has more.
const FORWARD_BYTES_MAX: usize = 1 << 20;

/// Whether a command could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// It was, or it never will be.
    Done,
    /// It is still due.
    Later,
}

impl Replica {
    /// Takes in a command of a client.
    pub(super) fn on_propose(&mut self, ticket: Ticket, command: &Command) {
        let encoded = command.encode(self.proposals.next_id());
        // What is nested too deeply could be written, and by nobody be read.
        let is_readable = !matches!(command, Command::Txn(_)) || Command::decode(&encoded).is_ok();
        if self.options.command_bytes_max < encoded.len() || !is_readable {
            self.out.replies.push((ticket, Reply::Unavailable(Unavailable::TooLarge)));
            return;
        }
        let waiting_bytes = self.proposals.bytes();
        let bytes_max = self.options.core.uncommitted_bytes_max;
        if 0 < waiting_bytes && bytes_max < waiting_bytes + encoded.len() {
            self.out.replies.push((ticket, Reply::Unavailable(Unavailable::Busy)));
            return;
        }
        let sequence = self.proposals.insert(ticket, What::Command(encoded));
        self.clients.insert(ticket, Waiting::Command(sequence), self.deadline());
    }

    // === Sending ===

    /// Gives the leader what is due, if one is known.
    pub(super) fn send_due(&mut self) {
        if !self.proposals.has_due() {
            return;
        }
        match self.leader_to_ask() {
            None => {}
            Some(leader) if leader == self.id => self.propose_due(),
            Some(leader) => self.forward_due(leader),
        }
    }

    fn propose_due(&mut self) {
        let mut later = Vec::new();
        for sequence in self.proposals.take_due() {
            if self.propose_one(sequence) == Sending::Later {
                later.push(sequence);
            }
        }
        self.proposals.put_back(later);
    }

    fn propose_one(&mut self, sequence: u64) -> Sending {
        let Some(what) = self.proposals.due(sequence) else { return Sending::Done };
        match what.clone() {
            What::Command(command) => match self.core.propose(command) {
                Ok(id) => {
                    self.proposals.sent(sequence, id.term, self.id);
                    Sending::Done
                }
                Err(ProposeError::Busy) => {
                    self.answer_busy(sequence);
                    Sending::Done
                }
                Err(ProposeError::NotLeader { .. } | ProposeError::Transferring { .. }) => {
                    Sending::Later
                }
            },
            What::Change { changes, context } => {
                match self.attempt(self.proposals.id(sequence), &changes, &context) {
                    Attempt::Taken(id) => self.proposals.sent(sequence, id.term, self.id),
                    Attempt::Refused(refusal) => {
                        self.answer_proposal(sequence, Reply::Membership(Err(refusal)));
                    }
                    Attempt::Later => return Sending::Later,
                }
                Sending::Done
            }
        }
    }

    /// Sends everything that is due to another member, which leads.
    fn forward_due(&mut self, leader: MemberId) {
        let term = self.core.term();
        let mut commands: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for sequence in self.proposals.take_due() {
            let Some(what) = self.proposals.due(sequence) else { continue };
            match what.clone() {
                What::Command(command) => {
                    if 0 < bytes && FORWARD_BYTES_MAX < bytes + command.len() {
                        let commands = std::mem::take(&mut commands);
                        self.send(leader, PeerMessage::Forward { term, commands });
                        bytes = 0;
                    }
                    bytes += command.len();
                    commands.push(command);
                }
                What::Change { changes, context } => {
                    let id = self.proposals.id(sequence);
                    let message = PeerMessage::ForwardChange { term, id, changes, context };
                    self.send(leader, message);
                }
            }
            self.proposals.sent(sequence, term, leader);
        }
        if !commands.is_empty() {
            self.send(leader, PeerMessage::Forward { term, commands });
        }
    }

    // === For other members ===

    /// Proposes what another member's clients want, if this member leads the term that is meant.
    pub(super) fn on_forward(&mut self, from: MemberId, term: Term, commands: Vec<Bytes>) {
        let mut refused: Vec<u64> = Vec::new();
        let mut busy: Vec<u64> = Vec::new();
        let leads = self.leads(term);
        for command in commands {
            let Some(sequence) = self.check_forwarded(from, &command) else {
                self.violations += 1;
                continue;
            };
            if !leads {
                refused.push(sequence);
                continue;
            }
            match self.core.propose(command) {
                Ok(id) => assert!(id.term == term, "a command of term {term} was proposed in {id}"),
                Err(ProposeError::Busy) => busy.push(sequence),
                Err(ProposeError::NotLeader { .. } | ProposeError::Transferring { .. }) => {
                    refused.push(sequence);
                }
            }
        }
        self.refuse_all(from, term, refused, ForwardRefusal::NotLeader);
        self.refuse_all(from, term, busy, ForwardRefusal::Busy);
    }

    /// Returns the number of a command that a member forwards; `None` if no member that keeps the
    /// protocol can have forwarded it. What nobody can read must not get into the log.
    fn check_forwarded(&self, from: MemberId, command: &Bytes) -> Option<u64> {
        let (id, _) = Command::decode(command).ok()?;
        let fits = command.len() <= self.options.command_bytes_max;
        (id.origin == from.0 && fits).then_some(id.sequence)
    }

    /// Tells whether this member leads, and in this term.
    pub(super) fn leads(&self, term: Term) -> bool {
        self.core.leader() == Some(self.id) && self.core.term() == term
    }

    pub(super) fn refuse(
        &mut self,
        from: MemberId,
        term: Term,
        sequence: u64,
        reason: ForwardRefusal,
    ) {
        self.refuse_all(from, term, vec![sequence], reason);
    }

    fn refuse_all(
        &mut self,
        from: MemberId,
        term: Term,
        sequences: Vec<u64>,
        reason: ForwardRefusal,
    ) {
        if !sequences.is_empty() {
            self.send(from, PeerMessage::ForwardRefused { term, sequences, reason });
        }
    }

    /// Takes note that a member has not proposed what it was given, and never will.
    pub(super) fn on_forward_refused(
        &mut self,
        from: MemberId,
        term: Term,
        sequences: &[u64],
        reason: ForwardRefusal,
    ) {
        for sequence in sequences {
            if !self.proposals.is_refused(*sequence, term, from) {
                self.dropped += 1;
                continue;
            }
            match reason {
                ForwardRefusal::NotLeader => {
                    self.refused_by = Some((term, from));
                    self.proposals.send_again(*sequence);
                }
                ForwardRefusal::Busy => self.answer_busy(*sequence),
                ForwardRefusal::Membership(refusal) => {
                    self.answer_proposal(*sequence, Reply::Membership(Err(refusal)));
                }
            }
        }
    }

    // === Answers ===

    /// Answers the client whose command was executed, if it waits here.
    pub(super) fn on_executed(&mut self, id: CommandId, applied: Applied, at: raft::EntryId) {
        if id.origin == self.id.0 {
            self.answer_proposal(id.sequence, Reply::Applied { applied, at });
        }
    }

    fn answer_busy(&mut self, sequence: u64) {
        self.answer_proposal(sequence, Reply::Unavailable(Unavailable::Busy));
    }

    fn answer_proposal(&mut self, sequence: u64, reply: Reply) {
        if let Some(proposal) = self.proposals.remove(sequence) {
            self.answer(proposal.ticket, reply);
        }
    }
}
