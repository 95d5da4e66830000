//! Messages between members.

use raft::{Body, MemberId};
use replica::{Event, ForwardRefusal, Outgoing, PeerMessage};
use store::CommandId;

use super::{Cluster, place};
use crate::checker::Verdict;
use crate::trace::What;
use crate::whole::happening::Happening;
use crate::whole::options::Fault;
use crate::whole::probe::Probe;
use crate::whole::wire::{Fate, Link};

impl Cluster {
    /// Puts a message of a member under way.
    pub(super) fn send(&mut self, at: usize, outgoing: Outgoing) -> Verdict {
        let Outgoing { to, message } = outgoing;
        let link = (self.members[at].id, to.0);
        if let PeerMessage::Raft(message) = &message {
            self.promises.says(message)?;
            if let Body::InstallSnapshot { .. } = &message.body {
                self.probes.hit(Probe::ImageSent);
                return self.begin_transfer(at, message.clone());
            }
        }
        self.see_sent(&message);
        let number = self.trace_sent(link, &message);
        if self.members.len() < place(to.0) + 1 {
            self.event(|_| What::Lost { id: number });
            return Ok(());
        }
        match self.wire.send(link, self.now) {
            Fate::Arrives { at, connection } => {
                let (from, to) = link;
                let arrival = Happening::Arrival { number, from, to, connection, message };
                self.queue.push(at, arrival);
            }
            Fate::NotSent { is_told } => {
                self.event(|_| What::Lost { id: number });
                if is_told && let Some(event) = refusal_of(to, &message) {
                    self.members[at].process().refused.push(event);
                }
            }
            Fate::Lost => {
                self.strike(Fault::Loss);
                self.event(|_| What::Lost { id: number });
            }
        }
        Ok(())
    }

    fn see_sent(&mut self, message: &PeerMessage) {
        match message {
            PeerMessage::Forward { .. } => self.probes.hit(Probe::CommandForwarded),
            PeerMessage::ForwardChange { .. } => self.probes.hit(Probe::ChangeForwarded),
            PeerMessage::ForwardRefused { .. } => self.probes.hit(Probe::CommandRefused),
            PeerMessage::LeaseRefused { .. } => self.probes.hit(Probe::LeaseRefused),
            PeerMessage::Raft(_)
            | PeerMessage::LeaseQuestion { .. }
            | PeerMessage::LeaseAnswer { .. } => {}
        }
    }

    fn trace_sent(&mut self, (from, to): Link, message: &PeerMessage) -> u64 {
        self.messages += 1;
        let number = self.messages;
        self.event(|_| {
            let (term, body) = if let PeerMessage::Raft(message) = message {
                (message.term.0, message.body.to_string())
            } else {
                (0, format!("{message:?}"))
            };
            What::Sent { id: number, from, to, term, body }
        });
        number
    }

    pub(super) fn on_arrival(
        &mut self,
        number: u64,
        link: Link,
        connection: u64,
        message: PeerMessage,
    ) -> Verdict {
        let (from, to) = link;
        let at = place(to);
        if !self.members[at].is_up() || !self.wire.arrives(link, connection, self.now) {
            self.event(|_| What::Lost { id: number });
            return Ok(());
        }
        let published = &self.members[at].process().published;
        if published.removed.contains(&from) {
            // It is told so when it calls.
            self.event(|_| What::Lost { id: number });
            if self.members[place(from)].is_up() {
                self.probes.hit(Probe::MemberRemovedAnswered);
                self.retire(place(from));
            }
            return Ok(());
        }
        self.probes.hit_if(Probe::LateMessage, self.wire.is_replaced(link, connection));
        self.event(|_| What::Received { id: number });
        self.give(at, Event::Peer { from: MemberId(from), message })
    }

    pub(super) fn on_unreachable(&mut self, at: usize, life: u64, to: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        self.give(at, Event::Unreachable(MemberId(to)))
    }

    pub(super) fn on_leader_gone(&mut self, at: usize, life: u64, leader: u64) -> Verdict {
        if !self.lives(at, life) {
            return Ok(());
        }
        let follows = self.members[at].process().published.leader == Some(MemberId(leader));
        if follows { self.give(at, Event::LeaderGone) } else { Ok(()) }
    }

    /// Breaks the connection of a link; the sender hears of it.
    pub(super) fn reset(&mut self, (from, to): Link) {
        self.wire.reset((from, to), self.now);
        let at = place(from);
        let life = self.members[at].life;
        let heard = self.now + self.wire.delay();
        self.queue.push(heard, Happening::Unreachable { at, life, to });
    }
}

/// What a sender is told of a message that was certainly not sent; `None` if nothing.
fn refusal_of(to: MemberId, message: &PeerMessage) -> Option<Event> {
    let refused = |term, sequences| {
        let reason = ForwardRefusal::NotLeader;
        Some(PeerMessage::ForwardRefused { term, sequences, reason })
    };
    let message = match message {
        PeerMessage::Forward { term, commands } => {
            let ids = commands.iter().filter_map(|command| CommandId::of_encoded(command).ok());
            refused(*term, ids.map(|id| id.sequence).collect())
        }
        PeerMessage::ForwardChange { term, id, .. } => refused(*term, vec![id.sequence]),
        PeerMessage::LeaseQuestion { nonce, .. } => {
            Some(PeerMessage::LeaseRefused { nonce: *nonce })
        }
        PeerMessage::Raft(_)
        | PeerMessage::ForwardRefused { .. }
        | PeerMessage::LeaseAnswer { .. }
        | PeerMessage::LeaseRefused { .. } => None,
    };
    message.map(|message| Event::Peer { from: to, message })
}
