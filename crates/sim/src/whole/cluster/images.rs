//! Images on their way between members, piece by piece, beside the messages.

use raft::{Body, MemberId, Message};
use replica::{CheckpointReader, Event, Fault as ReplicaFault, SnapshotReceiver};

use super::turn::chain;
use super::{Cluster, place};
use crate::checker::{Verdict, violation};
use crate::whole::happening::Happening;
use crate::whole::options::Fault;
use crate::whole::probe::Probe;

/// An image on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Who sends, and in which life.
    from: (usize, u64),
    /// Who receives, and in which life.
    to: (usize, u64),
    reader: CheckpointReader,
    receiver: SnapshotReceiver,
    /// What was read and is not sent.
    rest: Vec<u8>,
}

impl Cluster {
    /// Begins to carry the image that a message announces.
    pub(super) fn begin_transfer(&mut self, at: usize, message: Message) -> Verdict {
        let Body::InstallSnapshot { snapshot } = &message.body else {
            unreachable!("only images are carried")
        };
        let (from, to) = (self.members[at].id, message.to.0);
        let target = place(to);
        let reaches = !self.wire.is_broken((from, to)) && target < self.members.len();
        if !reaches || !self.members[target].is_up() {
            self.members[at].process().refused.push(Event::SnapshotFailed(message.to));
            return Ok(());
        }
        let reader = match self.members[at].process().replica.read_checkpoint(&snapshot.data) {
            Ok(reader) => reader,
            Err(fault) => {
                // Another has taken its place already.
                self.note(|_| format!("m{from} cannot read an image: {}", chain(&fault)));
                self.members[at].process().refused.push(Event::SnapshotFailed(message.to));
                return if self.members[at].disk.is_off() {
                    self.on_fault(at, &fault)
                } else {
                    Ok(())
                };
            }
        };
        let receiver = match self.members[target].process().replica.receive_snapshot(&message) {
            Ok(receiver) => receiver,
            Err(fault) => {
                self.members[at].process().refused.push(Event::SnapshotFailed(message.to));
                return self.on_image_fault(target, &fault);
            }
        };
        let number = self.next_transfer;
        self.next_transfer += 1;
        let lives = (self.members[at].life, self.members[target].life);
        let (from, to) = ((at, lives.0), (target, lives.1));
        let transfer = Transfer { from, to, reader, receiver, rest: Vec::new() };
        self.transfers.insert(number, transfer);
        let next = self.now + self.wire.delay();
        self.queue.push(next, Happening::Piece { transfer: number });
        Ok(())
    }

    pub(super) fn on_piece(&mut self, number: u64) -> Verdict {
        let Some(mut transfer) = self.transfers.remove(&number) else { return Ok(()) };
        let (from, to) = (transfer.from, transfer.to);
        let link = (self.members[from.0].id, self.members[to.0].id);
        let holds = self.lives(from.0, from.1)
            && self.lives(to.0, to.1)
            && self.is_running(from.0)
            && self.is_running(to.0)
            && !self.wire.is_broken(link);
        if !holds || self.wire.fails_image() {
            if holds {
                self.strike(Fault::ImageFailure);
            }
            return self.break_off(transfer);
        }
        if transfer.rest.is_empty() {
            match transfer.reader.next() {
                None => return self.end_transfer(transfer),
                Some(Ok(bytes)) => transfer.rest = bytes.to_vec(),
                Some(Err(fault)) => return self.on_reader_fault(transfer, &fault),
            }
        }
        let most = transfer.rest.len().div_ceil(3).max(300).min(transfer.rest.len());
        let length = 1 + self.nemesis.random.place(most);
        let piece: Vec<u8> = transfer.rest.drain(..length).collect();
        if let Err(fault) = transfer.receiver.push(&piece) {
            self.break_off(transfer)?;
            return self.on_image_fault(to.0, &fault);
        }
        let next = self.now + 1 + self.wire.delay() / 4;
        self.transfers.insert(number, transfer);
        self.queue.push(next, Happening::Piece { transfer: number });
        Ok(())
    }

    fn end_transfer(&mut self, transfer: Transfer) -> Verdict {
        let Transfer { from, to, receiver, .. } = transfer;
        match receiver.finish() {
            Ok(message) => {
                self.probes.hit(Probe::ImageReceived);
                let before = self.members[to.0].process().published.applied;
                self.give(to.0, Event::SnapshotReceived { message })?;
                let Some(process) = &self.members[to.0].process else { return Ok(()) };
                let is_news = before != process.published.applied;
                let probe = if is_news { Probe::ImageInstalled } else { Probe::ImageNotWanted };
                self.probes.hit(probe);
                Ok(())
            }
            Err(fault) => {
                let peer = MemberId(self.members[to.0].id);
                self.tell_failure(from, peer)?;
                self.on_image_fault(to.0, &fault)
            }
        }
    }

    /// Gives an image up.
    fn break_off(&mut self, transfer: Transfer) -> Verdict {
        self.probes.hit(Probe::ImageBrokeOff);
        let (from, peer) = (transfer.from, MemberId(self.members[transfer.to.0].id));
        drop(transfer);
        self.tell_failure(from, peer)
    }

    /// Gives up the images on their way to a member that dies. It must be now: what is dropped
    /// removes its file, which may bear the name of one of the next life. The senders hear that
    /// their connections broke.
    pub(super) fn break_off_incoming(&mut self, at: usize) {
        let before = self.transfers.len();
        self.transfers.retain(|_, transfer| transfer.to.0 != at);
        self.probes.hit_if(Probe::ImageBrokeOff, self.transfers.len() < before);
    }

    fn tell_failure(&mut self, (at, life): (usize, u64), peer: MemberId) -> Verdict {
        if self.lives(at, life) { self.give(at, Event::SnapshotFailed(peer)) } else { Ok(()) }
    }

    /// The sender cannot read what it sends.
    fn on_reader_fault(&mut self, transfer: Transfer, fault: &ReplicaFault) -> Verdict {
        let at = transfer.from.0;
        self.break_off(transfer)?;
        let member = &self.members[at];
        if member.disk.is_off() && member.is_up() {
            return self.on_fault(at, fault);
        }
        let is_damage = matches!(fault, ReplicaFault::Image(_));
        self.probes.hit_if(Probe::DamagedImage, is_damage);
        let is_explained = member.disk.is_off()
            || is_damage && member.is_rotten
            || !is_damage && member.has_errors;
        if is_explained {
            return Ok(());
        }
        let text = format!("m{} cannot read its own image: {}", member.id, chain(fault));
        violation("fault", text)
    }

    /// The receiver does not take what it gets.
    fn on_image_fault(&mut self, at: usize, fault: &ReplicaFault) -> Verdict {
        let member = &self.members[at];
        if member.disk.is_off() {
            self.probes.hit(Probe::CrashInImage);
            if member.is_up() {
                self.lose_power(at);
            }
            return Ok(());
        }
        if fault.is_full() {
            return Ok(());
        }
        if member.is_up() { self.on_fault(at, fault) } else { Ok(()) }
    }
}
