//! How the stage carries out what the cores ask for.

use raft::{Effects, Entry, Input, MemberId, Message, Payload, Persist, Raft, SnapshotRequest};

use super::disk::Write;
use super::{Flying, Kind, Player, Stage, draw_entry, draw_reason};
use crate::trace::What;

/// A core that still wants something after so many turns always will.
const TURNS_MAX: usize = 10_000;

impl Stage {
    pub(super) fn player(&self, member: u64) -> &Player {
        self.players.get(&member).unwrap_or_else(|| panic!("m{member} is not on stage"))
    }

    pub(super) fn player_mut(&mut self, member: u64) -> &mut Player {
        self.players.get_mut(&member).unwrap_or_else(|| panic!("m{member} is not on stage"))
    }

    pub(super) fn core(&mut self, member: u64) -> &mut Raft {
        let player = self.player_mut(member);
        player.core.as_mut().unwrap_or_else(|| panic!("m{member} is down"))
    }

    /// Carries out everything that is due at `member`, and all that follows from it there.
    pub(super) fn settle(&mut self, member: u64) {
        for _ in 0..TURNS_MAX {
            if !self.player(member).disk.held {
                while !self.player(member).disk.writes.is_empty() {
                    self.finish_write(member);
                }
            }
            let effects = self.core(member).flush();
            self.draw(member, &effects);
            let core = self.players[&member].core.as_ref().expect("the member is up");
            self.checks.member(core);
            if effects.is_empty() {
                return;
            }
            self.execute(member, effects);
        }
        panic!("m{member} always wants something more");
    }

    fn draw(&mut self, member: u64, effects: &Effects) {
        let player = self.players.get_mut(&member).expect("the member is on stage");
        let status = player.core.as_ref().expect("the member is up").status();
        let before = player.drawn.as_ref();
        let written = effects.persist.as_ref().map_or(&[][..], |persist| &persist.entries);
        self.record.status(before, &status, written);
        if let Some(persist) = &effects.persist {
            self.record.write(before, status.id, persist);
        }
        player.drawn = Some(status);
    }

    fn execute(&mut self, member: u64, effects: Effects) {
        let Effects {
            persist,
            send_now,
            send_when_durable,
            apply,
            reads,
            snapshot_requests,
            trim,
            dropped,
        } = effects;
        for message in send_now {
            self.send(message);
        }
        self.write(member, persist, send_when_durable);
        self.apply(member, apply);
        let player = self.players.get_mut(&member).expect("the member is on stage");
        player.dropped.extend(&dropped);
        for outcome in reads {
            self.record.read(MemberId(member), &outcome);
            player.reads.push(outcome);
        }
        if let Some(id) = trim {
            self.record.line(format!("m{member} trims its log up to {id}"));
            player.disk.trim(id);
        }
        if player.images_held {
            player.requests.extend(snapshot_requests);
        } else {
            self.answer_image_requests(member, snapshot_requests);
        }
    }

    /// Queues a write, and what waits for it and for all before it.
    fn write(&mut self, member: u64, persist: Option<Persist>, messages: Vec<Message>) {
        if let Some(snapshot) = persist.as_ref().and_then(|persist| persist.snapshot.as_ref()) {
            self.checks.image(MemberId(member), snapshot);
            let service = &mut self.player_mut(member).service;
            service.replace(snapshot.meta.id.index, &snapshot.data);
            let index = service.applied;
            self.core(member).feed(Input::Applied(index));
        }
        let disk = &mut self.player_mut(member).disk;
        match (persist, disk.writes.back_mut()) {
            (Some(persist), _) => disk.writes.push_back(Write { persist, messages }),
            (None, Some(last)) => last.messages.extend(messages),
            (None, None) => {
                for message in messages {
                    self.send(message);
                }
                return;
            }
        }
        if !self.player(member).disk.held {
            self.finish_write(member);
        }
    }

    /// Makes the oldest queued write durable, acknowledges it, and sends what waited for it.
    pub(super) fn finish_write(&mut self, member: u64) {
        let disk = &mut self.player_mut(member).disk;
        let held = disk.held;
        let Some(Write { persist, messages }) = disk.writes.pop_front() else { return };
        disk.store(&persist);
        let ack = persist.ack;
        if held {
            let text = format!("m{member} has written {} in term {}", ack.last, ack.written_in);
            self.record.line(text);
        }
        self.core(member).feed(Input::Durable(ack));
        for message in messages {
            self.send(message);
        }
    }

    /// Lets the service apply entries, or keep them for later.
    pub(super) fn apply(&mut self, member: u64, entries: Vec<Entry>) {
        let id = MemberId(member);
        let player = self.players.get_mut(&member).expect("the member is on stage");
        if player.service.held {
            player.service.waiting.extend(entries);
            return;
        }
        let Some(last) = entries.last().map(|entry| entry.index) else { return };
        for entry in entries {
            self.checks.apply(id, &entry);
            let text = draw_entry(&entry);
            self.record.line(format!("{id} applies {text}"));
            if matches!(entry.payload, Payload::Command(_)) {
                self.record.event(What::Note { text: format!("{id} applies {text}") });
            }
            player.service.apply(entry);
        }
        self.core(member).feed(Input::Applied(last));
    }

    /// Gives the core an image of the service for each request.
    pub(super) fn answer_image_requests(&mut self, member: u64, requests: Vec<SnapshotRequest>) {
        for SnapshotRequest { to, at_least } in requests {
            let snapshot = self.image(member);
            if snapshot.meta.id.index < at_least {
                self.core(member).feed(Input::SnapshotFailed { to });
            } else {
                self.core(member).feed(Input::SnapshotReady { to, snapshot });
            }
        }
    }

    /// Puts a message under way, or loses it at once if its link is broken or nobody is there.
    pub(super) fn send(&mut self, message: Message) {
        let flying = self.network.number(message);
        if matches!(Kind::of(&flying.message), Kind::PreVote | Kind::RequestVote)
            && let Some(player) = self.players.get_mut(&flying.message.from.0)
        {
            player.votes_asked += 1;
        }
        let there = self.players.get(&flying.message.to.0).is_some_and(|p| p.core.is_some());
        if there && !self.network.is_broken_for(&flying.message) {
            self.record.sent(&flying);
            self.network.flying.push(flying);
        } else {
            self.record.lost_at_once(&flying);
        }
    }

    /// Lets a message arrive, or loses it if its link is broken by now or nobody is there.
    pub(super) fn arrive(&mut self, flying: Flying) {
        self.record.step();
        let to = flying.message.to.0;
        let there = self.players.get(&to).is_some_and(|player| player.core.is_some());
        if !there || self.network.is_broken_for(&flying.message) {
            self.record.lost(&flying);
            return;
        }
        self.record.event(What::Received { id: flying.number });
        let drops = self.player(to).dropped.len();
        let (from, kind) = (flying.message.from, Kind::of(&flying.message));
        let message_at = self.record.lines.len();
        self.core(to).feed(Input::Message(flying.message));
        self.settle(to);
        // The reason goes before what the drop leads to.
        let reasons = self.players[&to].dropped[drops..].iter().map(|dropped| dropped.reason);
        let lines = reasons
            .map(|reason| format!("m{to} ignores {kind} of {from}: {}", draw_reason(reason)));
        self.record.lines.splice(message_at..message_at, lines);
    }
}
