//! What happened on a stage: as lines for people, and as a trace for the picture.

use raft::{
    DropReason, Entry, MemberId, Message, Payload, Persist, ReadFailure, ReadOutcome, RoleKind,
    Status,
};

use super::network::Flying;
use crate::trace::{Trace, What};

/// One step of a stage's clock, in the trace's microseconds.
const STEP: u64 = 1000;

/// A command of more bytes is drawn by its size.
const LONG: usize = 20;

/// The diary of a stage.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) lines: Vec<String>,
    pub(super) trace: Trace,
    now: u64,
}

impl Record {
    /// Lets one step of time pass.
    pub(super) fn step(&mut self) {
        self.now += STEP;
    }

    pub(super) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn event(&mut self, what: What) {
        self.trace.push(self.now, what);
    }

    pub(super) fn sent(&mut self, flying: &Flying) {
        let Message { from, to, term, body } = &flying.message;
        self.line(flying.message.to_string());
        self.event(What::Sent {
            id: flying.number,
            from: from.0,
            to: to.0,
            term: term.0,
            body: body.to_string(),
        });
    }

    pub(super) fn lost(&mut self, flying: &Flying) {
        let Message { from, to, term, body } = &flying.message;
        self.line(format!("{from}@{term} ⇥ {to} {body}"));
        self.event(What::Lost { id: flying.number });
    }

    pub(super) fn lost_at_once(&mut self, flying: &Flying) {
        self.sent(flying);
        self.lines.pop();
        self.lost(flying);
    }

    /// Draws how a member has changed.
    pub(super) fn status(&mut self, before: Option<&Status>, now: &Status, written: &[Entry]) {
        let id = now.id;
        let role = |s: &Status| (s.role, s.term, s.leader);
        if before.map(role) != Some(role(now)) {
            if let Some(before) = before {
                self.line(format!("{id} {} ⇨ {}", draw_role(before), draw_role(now)));
            }
            self.event(What::role(id, now.role, now.term, now.leader));
        }
        let cursors = |s: &Status| (s.base, s.last, [s.durable, s.committed, s.applied]);
        if before.map(cursors) != Some(cursors(now)) {
            let (base, last, cursors) = cursors(now);
            self.event(What::log(id, base, last, cursors));
        }
        if before.map(|s| &s.membership) != Some(&now.membership) {
            let is_written = |entry: &Entry| match &entry.payload {
                Payload::Membership(change) => change.membership == now.membership,
                Payload::Noop | Payload::Command(_) => false,
            };
            if before.is_some() && !written.iter().any(is_written) {
                self.line(format!("{id} uses {}", now.membership));
            }
            let membership = now.membership.to_string();
            self.event(What::Membership { member: id.0, membership });
        }
    }

    /// Draws a write that was handed out.
    pub(super) fn write(&mut self, before: Option<&Status>, id: MemberId, persist: &Persist) {
        if let Some(snapshot) = &persist.snapshot {
            let meta = &snapshot.meta;
            self.line(format!("{id} takes image {} {}", meta.id, meta.membership));
        }
        if let (Some(first), Some(before)) = (persist.entries.first(), before)
            && first.index <= before.last.index
        {
            self.line(format!("{id} replaces its log from {} on", first.index));
        }
        for entry in &persist.entries {
            self.line(format!("{id} appends {}", draw_entry(entry)));
        }
        if let Some(hard_state) = persist.hard_state {
            let saved = before.map(|s| (s.term, s.vote));
            if saved != Some((hard_state.term, hard_state.vote)) {
                let vote = hard_state.vote.map_or("none".to_owned(), |vote| vote.to_string());
                self.line(format!("{id} saves term={} vote={vote}", hard_state.term));
            }
        }
    }

    pub(super) fn read(&mut self, id: MemberId, outcome: &ReadOutcome) {
        let text = match outcome {
            ReadOutcome::Ready { id, index } => format!("read r{} ready at {index}", id.0),
            ReadOutcome::Failed { id, reason } => {
                let reason = match reason {
                    ReadFailure::LeaderChanged => "the leader changed",
                    ReadFailure::Timeout => "no answer in time",
                };
                format!("read r{} failed: {reason}", id.0)
            }
        };
        self.line(format!("{id} {text}"));
        self.event(What::Client { client: 0, member: id.0, text });
    }
}

/// Draws a member's role: `leader@2`, `follower@2 of m1`.
pub(crate) fn draw_role(status: &Status) -> String {
    let leader = match (status.role, status.leader) {
        (RoleKind::Follower, Some(leader)) => format!(" of {leader}"),
        (RoleKind::PreCandidate, Some(leader)) => format!(" after {leader}"),
        (RoleKind::Candidate | RoleKind::Leader, _)
        | (RoleKind::Follower | RoleKind::PreCandidate, None) => String::new(),
    };
    format!("{}@{}{leader}", status.role, status.term)
}

/// Draws an entry: `2@1 a=1`.
pub(crate) fn draw_entry(entry: &Entry) -> String {
    let id = entry.id().to_string();
    let payload = match &entry.payload {
        Payload::Noop => "noop".to_owned(),
        Payload::Command(command) if command.len() > LONG => format!("({} bytes)", command.len()),
        Payload::Command(command) => String::from_utf8_lossy(command).into_owned(),
        Payload::Membership(change) => change.membership.to_string(),
    };
    // The entries that a stage begins with say nothing but their names.
    if payload == id { id } else { format!("{id} {payload}") }
}

/// Says why a message was not acted on.
pub(crate) fn draw_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::StaleTerm => "its term is over",
        DropReason::LeaderAlive => "the leader is alive",
        DropReason::WrongRole => "not for this role",
        DropReason::NotMember => "not a member",
        DropReason::Unexpected => "nobody waits for it",
        DropReason::Misaddressed => "misaddressed",
        DropReason::SecondLeader => "a second leader in this term",
        DropReason::Malformed => "malformed",
        DropReason::ContradictsCommitted => "contradicts what is committed",
        DropReason::ImpossibleAck => "acknowledges what was never sent",
    }
}
