//! The member that random messages are thrown at. Its driver keeps the contract, and is slow.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    Body, Config, Durable, DurableState, Effects, HardState, Index, Input, MemberId, Message, Raft,
    ReadConfirmation, ReadId, RoleKind, Snapshot, SnapshotRequest, Status, Term,
};

use super::dice::Dice;
use crate::paper::one::{disk, granted, id, image, message, pre_granted};

/// A member and its driver.
pub(super) struct Target {
    pub(super) raft: Raft,
    /// Writes that are not durable.
    writes: VecDeque<Durable>,
    /// Up to where entries were handed to the service.
    handed_out: Index,
    requests: Vec<SnapshotRequest>,
    reads: u64,
    seen: Status,
}

impl Target {
    pub(super) fn new(raft: Raft) -> Target {
        let seen = raft.status();
        let handed_out = seen.applied;
        Target { raft, writes: VecDeque::new(), handed_out, requests: Vec::new(), reads: 0, seen }
    }

    /// A member with random settings and a random disk.
    pub(super) fn random(dice: &mut Dice, seed: u64) -> Target {
        let mut config = Config::new(MemberId(1), seed);
        config.catch_up_entries = dice.below(3);
        config.append_entries_max = 1 + usize::try_from(dice.below(4)).expect("it is below four");
        config.append_bytes_max = 64;
        config.inflight_messages_max = 1 + usize::try_from(dice.below(3)).expect("below three");
        config.uncommitted_bytes_max = 400;
        config.snapshot_ticks = 3;
        if dice.once_in(2) {
            config.read_confirmation = ReadConfirmation::LeaderLease { drift_ticks: 1 };
        }
        let raft = Raft::restore(config, random_disk(dice)).expect("the disk can be");
        Target::new(raft)
    }

    /// Makes the member campaign, and lets the others say what brings it to `role`.
    pub(super) fn make(&mut self, role: RoleKind) {
        if role == RoleKind::Follower {
            let term = self.raft.term();
            let from_leader = super::append(id(0, 0), &[], 0);
            return self.hear(message(2, term.0, from_leader));
        }
        // With leases a member that has just started does not campaign at once.
        for _ in 0..20 {
            self.give(Input::Tick);
        }
        self.give(Input::Campaign);
        for voter in 2..=5 {
            if role != RoleKind::PreCandidate && self.raft.role() == RoleKind::PreCandidate {
                self.hear(message(voter, self.raft.term().0 + 1, pre_granted()));
            }
        }
        if role == RoleKind::Leader {
            self.finish_writes();
        }
        for voter in 2..=5 {
            if role == RoleKind::Leader && self.raft.role() == RoleKind::Candidate {
                self.hear(message(voter, self.raft.term().0, granted()));
            }
        }
    }

    /// Gives one random input, or a few before the effects are taken.
    pub(super) fn step(&mut self, dice: &mut Dice) {
        if !dice.once_in(4) {
            return self.step_once(dice);
        }
        for _ in 0..=dice.below(4) {
            let input = self.input(dice);
            self.raft.feed(input);
        }
        let effects = self.raft.flush();
        self.carry_out(effects);
    }

    fn step_once(&mut self, dice: &mut Dice) {
        match dice.below(40) {
            0 => ignore(self.raft.propose(Bytes::from_static(b"command"))),
            1 => {
                self.reads += 1;
                ignore(self.raft.read(ReadId(self.reads)));
            }
            2 => {
                let member = MemberId(1 + dice.below(6));
                let changes = [
                    Change::AddVoter(member),
                    Change::AddLearner(member),
                    Change::Promote(member),
                    Change::Demote(member),
                    Change::Remove(member),
                ];
                let other = Change::AddVoter(MemberId(7));
                let changes = [dice.pick(&changes), other];
                let count = if dice.once_in(3) { 2 } else { 1 };
                ignore(self.raft.change_membership(&changes[..count], Bytes::new()));
            }
            3 => {
                let to = dice.pick(&[None, Some(MemberId(2)), Some(MemberId(1))]);
                ignore(self.raft.transfer(to));
            }
            _ => {
                let input = self.input(dice);
                if let Input::Message(message) = input {
                    return self.hear(message);
                }
                self.raft.feed(input);
            }
        }
        let effects = self.raft.flush();
        self.carry_out(effects);
    }

    /// A random input: mostly a message, otherwise one that a driver may give now.
    fn input(&mut self, dice: &mut Dice) -> Input {
        match dice.below(40) {
            0..2 => Input::Tick,
            2..8 if !self.writes.is_empty() => {
                // Acknowledgements may be skipped.
                if self.writes.len() > 1 && dice.once_in(3) {
                    self.writes.pop_front();
                }
                Input::Durable(self.writes.pop_front().expect("one is left"))
            }
            8 | 9 => Input::Applied(self.handed_out),
            10 => Input::Snapshotted(self.raft.status().applied),
            11 => match self.requests.pop() {
                Some(request) => self.answer_request(dice, request),
                None => Input::Paused,
            },
            12 => dice.pick(&[
                Input::Campaign,
                Input::ForgetLeader,
                Input::Paused,
                Input::Unreachable(MemberId(2)),
                Input::Unreachable(MemberId(3)),
                Input::SnapshotFailed { to: MemberId(2) },
            ]),
            _ => Input::Message(dice.message(&self.raft)),
        }
    }

    fn answer_request(&mut self, dice: &mut Dice, request: SnapshotRequest) -> Input {
        let meta = self.raft.snapshot_meta(self.raft.status().applied);
        match meta {
            Some(meta) if !dice.once_in(4) => {
                let snapshot = Snapshot { meta, data: Bytes::from_static(b"image") };
                Input::SnapshotReady { to: request.to, snapshot }
            }
            Some(_) | None => Input::SnapshotFailed { to: request.to },
        }
    }

    /// Gives an input and carries out what is due.
    pub(super) fn give(&mut self, input: Input) {
        let effects = self.raft.step(input);
        self.carry_out(effects);
    }

    /// Makes everything durable.
    pub(super) fn finish_writes(&mut self) {
        while let Some(ack) = self.writes.pop_front() {
            self.give(Input::Durable(ack));
        }
    }

    /// Hands over one message, and checks that it is answered or dropped.
    pub(super) fn hear(&mut self, message: Message) {
        let text = format!("{} in {:?} hears {message:?}", self.raft.role(), self.seen);
        let effects = self.raft.step(Input::Message(message.clone()));
        let answers = effects.send_now.iter().chain(&effects.send_when_durable);
        let answered = answers.filter(|answer| is_answer(answer, &message)).count();
        let dropped = effects.dropped.len();
        match message.body {
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries { .. }
            | Body::InstallSnapshot { .. } => {
                assert_eq!(answered + dropped, 1, "answered or dropped: {text}\n{effects:?}");
            }
            Body::PreVoteResponse { .. }
            | Body::VoteResponse { .. }
            | Body::AppendResponse { .. }
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexResponse { .. } => {
                assert!(dropped <= 1, "dropped more than once: {text}\n{effects:?}");
            }
        }
        for dropped in &effects.dropped {
            assert_eq!(dropped.from, message.from, "the reason names the sender: {text}");
        }
        self.carry_out(effects);
    }

    /// Plays the driver, and checks what one member alone promises.
    fn carry_out(&mut self, effects: Effects) {
        let now = self.raft.status();
        let before = &self.seen;
        assert!(now.term >= before.term, "the term went back: {before:?} {now:?}");
        assert!(now.committed >= before.committed, "the commit index went back");
        assert!(now.committed <= now.last.index, "the commit index lies beyond the log");
        if now.term == before.term && before.vote.is_some() {
            assert_eq!(now.vote, before.vote, "the vote of a term changed");
        }
        for message in effects.send_now.iter().chain(&effects.send_when_durable) {
            assert_eq!(message.from, MemberId(1), "a message claims to come from another");
            assert_ne!(message.to, MemberId(1), "a message goes to its own sender");
        }
        if let Some(persist) = effects.persist {
            if let Some(snapshot) = persist.snapshot {
                self.handed_out = snapshot.meta.id.index;
            }
            if let Some(hard_state) = persist.hard_state {
                let last = persist.ack.last.index;
                assert!(hard_state.commit <= last, "the commit hint points beyond the log");
            }
            self.writes.push_back(persist.ack);
        }
        for entry in effects.apply {
            assert_eq!(entry.index, self.handed_out.next(), "entries are handed out in order");
            self.handed_out = entry.index;
        }
        self.requests.extend(effects.snapshot_requests);
        self.seen = now;
    }
}

/// A request of the service may be refused here: what matters is that nothing breaks.
fn ignore<T, E>(_: Result<T, E>) {}

/// Tells whether a message answers a request.
fn is_answer(answer: &Message, request: &Message) -> bool {
    let is_kind = match request.body {
        Body::PreVote { .. } => matches!(answer.body, Body::PreVoteResponse { .. }),
        Body::RequestVote { .. } => matches!(answer.body, Body::VoteResponse { .. }),
        Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            matches!(answer.body, Body::AppendResponse { .. })
        }
        Body::PreVoteResponse { .. }
        | Body::VoteResponse { .. }
        | Body::AppendResponse { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexResponse { .. } => false,
    };
    is_kind && answer.to == request.from
}

/// A disk that a member of a cluster can have.
fn random_disk(dice: &mut Dice) -> DurableState {
    let count = dice.below(8);
    let terms = dice.terms(count, 1);
    let term = terms.last().copied().unwrap_or(0) + dice.below(2);
    let membership = dice.membership();
    let mut state = disk(&membership, term, &terms);
    // An image somewhere in the log, and a log that begins somewhere before its end.
    let image_at = dice.below(count + 1);
    let base_at = if image_at == 0 { 0 } else { dice.below(image_at + 1) };
    let id_at = |index: u64| match index.checked_sub(1) {
        Some(place) => id(index, terms[usize::try_from(place).expect("a short log")]),
        None => id(0, 0),
    };
    state.snapshot = image(id_at(image_at), &membership).meta;
    state.base = id_at(base_at);
    state.entries.retain(|entry| entry.index.0 > base_at);
    let commit = Index(image_at + dice.below(count - image_at + 1));
    state.hard_state = HardState { term: Term(term), vote: None, commit };
    state
}
