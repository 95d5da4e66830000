//! One member of the small cluster: the real core, a disk, and a service that only counts.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    Ballot, Body, Config, DurableState, Effects, Entry, Index, Input, MemberId, Membership,
    Message, Persist, Raft, RoleKind,
};

use crate::checker::Violation;
use crate::explore::scope::{Scope, Writes};
use crate::explore::table::Fingerprint;
use crate::run::panicked;

/// The shortest election timeout. A silent quorum is told by this many ticks at once.
const ELECTION_TICKS: u32 = 16;

/// What can happen to one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stimulus {
    /// A message arrives.
    Arrival(Message),
    /// A message arrives after the member has heard nothing from its leader for some time.
    LateArrival(Message),
    /// It campaigns, and these tell it that they would vote for it.
    Campaign(Vec<MemberId>),
    /// It is time for a heartbeat.
    Heartbeat,
    /// Its service proposes a command.
    Proposal,
    /// Its service proposes these changes.
    Change(Vec<Change>),
    /// It is asked to hand leadership to this member.
    Transfer(MemberId),
    /// Its disk finishes a write.
    Written,
    /// It crashes and starts again.
    Crash {
        /// So many of its unfinished writes have reached the disk.
        writes: usize,
        /// So many entries of the one after them have, too.
        entries: usize,
    },
}

/// A write that is not finished, and what may be sent once it is.
#[derive(Clone, Debug, Hash)]
struct Write {
    persist: Persist,
    messages: Vec<Message>,
}

/// One member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    config: Config,
    writes_are: Writes,
    core: Raft,
    disk: DurableState,
    unfinished: VecDeque<Write>,
    /// Up to where the service has been given entries since the last start.
    applied: Index,
}

/// What went wrong, or what was sent.
pub(super) type Sent = Result<Vec<Message>, Violation>;

impl Member {
    /// A member that starts for the first time.
    pub(super) fn new(id: MemberId, membership: Membership, scope: &Scope) -> Member {
        let config = Config {
            election_ticks: ELECTION_TICKS,
            heartbeat_ticks: 1,
            inflight_messages_max: scope.inflight_messages_max,
            ..Config::new(id, id.0)
        };
        let disk = DurableState::bootstrap(membership);
        let core = Raft::restore(config.clone(), disk.clone()).expect("an empty disk is sound");
        let unfinished = VecDeque::new();
        Member { config, writes_are: scope.writes, core, disk, unfinished, applied: Index::ZERO }
    }

    /// Two members with the same fingerprint behave the same.
    pub(super) fn fingerprint(&self) -> u128 {
        Fingerprint::of(self)
    }

    pub(super) fn core(&self) -> &Raft {
        &self.core
    }

    pub(super) fn disk(&self) -> &DurableState {
        &self.disk
    }

    /// How much of what is not finished may reach the disk in a crash: so many writes, and so many
    /// entries of the one after them. More than that is no other outcome.
    pub(super) fn unfinished(&self) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        for (writes, write) in self.unfinished.iter().enumerate() {
            parts.extend((0..=write.persist.entries.len()).map(|entries| (writes, entries)));
        }
        parts.push((self.unfinished.len(), 0));
        parts
    }

    /// Lets something happen, and returns what is sent. `None` if it cannot happen.
    pub(super) fn react(&mut self, stimulus: &Stimulus) -> Option<Sent> {
        // A core that panics is not used any more.
        catch_unwind(AssertUnwindSafe(|| self.do_react(stimulus)))
            .unwrap_or_else(|payload| Some(Err(panicked(payload.as_ref()))))
    }

    fn do_react(&mut self, stimulus: &Stimulus) -> Option<Sent> {
        let mut sent = Vec::new();
        let effects = match stimulus {
            Stimulus::Arrival(message) => self.core.step(Input::Message(message.clone())),
            Stimulus::LateArrival(message) => {
                self.hear_nothing();
                self.core.step(Input::Message(message.clone()))
            }
            Stimulus::Campaign(supporters) => self.campaign(supporters)?,
            Stimulus::Heartbeat => self.core.step(Input::Tick),
            Stimulus::Proposal => {
                // One that no other leader proposes.
                let command = self.core.term().0.to_le_bytes();
                self.core.propose(Bytes::copy_from_slice(&command)).ok()?;
                self.core.flush()
            }
            Stimulus::Change(changes) => {
                self.core.change_membership(changes, Bytes::new()).ok()?;
                self.core.flush()
            }
            Stimulus::Transfer(to) => {
                self.core.transfer(Some(*to)).ok()?;
                self.core.flush()
            }
            Stimulus::Written => {
                let Write { persist, messages } = self.unfinished.pop_front()?;
                self.store(&persist);
                sent.extend(messages);
                self.core.step(Input::Durable(persist.ack))
            }
            Stimulus::Crash { writes, entries } => match self.restart(*writes, *entries)? {
                Ok(effects) => effects,
                Err(violation) => return Some(Err(violation)),
            },
        };
        Some(self.settle(effects, &mut sent).map(|()| sent))
    }

    /// Lets so much time pass that a follower does not look for its leader any more, and a leader
    /// gives up.
    fn hear_nothing(&mut self) {
        match self.core.role() {
            RoleKind::Follower | RoleKind::PreCandidate | RoleKind::Candidate => {
                self.core.feed(Input::ForgetLeader);
            }
            RoleKind::Leader => {
                (0..ELECTION_TICKS).for_each(|_| self.core.feed(Input::Tick));
                let effects = self.core.flush();
                assert!(
                    self.core.role() == RoleKind::Follower && effects.is_empty(),
                    "{effects:?}"
                );
            }
        }
    }

    /// Campaigns. The talk before an election goes on at once: it leaves no trace but its outcome.
    fn campaign(&mut self, supporters: &[MemberId]) -> Option<Effects> {
        self.hear_nothing();
        self.core.feed(Input::Campaign);
        for supporter in supporters {
            self.core.feed(Input::Message(Message {
                from: *supporter,
                to: self.core.id(),
                term: self.core.term().next(),
                body: Body::PreVoteResponse { ballot: Ballot::Granted },
            }));
            if self.core.role() != RoleKind::PreCandidate {
                break;
            }
        }
        let mut effects = self.core.flush();
        let is_question = |message: &Message| matches!(message.body, Body::PreVote { .. });
        effects.send_now.retain(|message| !is_question(message));
        match self.core.role() {
            RoleKind::Candidate | RoleKind::Leader => Some(effects),
            RoleKind::Follower | RoleKind::PreCandidate => None,
        }
    }

    /// Tells whether it would vote for a member that campaigns, after some time without a leader.
    pub(super) fn supports(&self, candidate: &Member) -> bool {
        let mut asking = candidate.clone();
        asking.hear_nothing();
        let questions = asking.core.step(Input::Campaign).send_now;
        let Some(question) = questions.into_iter().find(|message| message.to == self.core.id())
        else {
            return false;
        };
        let mut asked = self.clone();
        asked.hear_nothing();
        asked.core.step(Input::Message(question)).send_now.iter().any(|message| {
            matches!(message.body, Body::PreVoteResponse { ballot: Ballot::Granted })
        })
    }

    /// Does what the core asks for, until it asks for nothing more.
    fn settle(&mut self, effects: Effects, sent: &mut Vec<Message>) -> Result<(), Violation> {
        let mut effects = effects;
        loop {
            self.check(&effects)?;
            self.apply(&effects.apply)?;
            sent.append(&mut effects.send_now);
            let messages = effects.send_when_durable;
            match (effects.persist, self.writes_are) {
                (Some(persist), Writes::AtOnce) => {
                    self.store(&persist);
                    sent.extend(messages);
                    effects = self.core.step(Input::Durable(persist.ack));
                    continue;
                }
                (Some(persist), Writes::Later) => {
                    self.unfinished.push_back(Write { persist, messages });
                }
                (None, Writes::AtOnce | Writes::Later) => match self.unfinished.back_mut() {
                    Some(last) => last.messages.extend(messages),
                    None => sent.extend(messages),
                },
            }
            return Ok(());
        }
    }

    fn check(&self, effects: &Effects) -> Result<(), Violation> {
        assert!(
            effects.snapshot_requests.is_empty() && effects.trim.is_none(),
            "nothing is trimmed in a small scope"
        );
        match effects.dropped.iter().find(|dropped| dropped.reason.is_violation()) {
            None => Ok(()),
            Some(dropped) => Err(Violation {
                oracle: "protocol",
                text: format!(
                    "{} drops what {} sent: {:?}",
                    self.core.id(),
                    dropped.from,
                    dropped.reason
                ),
            }),
        }
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            let is_next = entry.index == self.applied.next();
            if !is_next || !self.core.entries().any(|own| own == entry) {
                let text = format!(
                    "{} applies {} after {}, and its log holds another",
                    self.core.id(),
                    entry.id(),
                    self.applied
                );
                return Err(Violation { oracle: "machine", text });
            }
            self.applied = entry.index;
        }
        Ok(())
    }

    fn store(&mut self, persist: &Persist) {
        self.store_entries(&persist.entries);
        if let Some(hard_state) = persist.hard_state {
            self.disk.hard_state = hard_state;
        }
    }

    fn store_entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            let kept = usize::try_from(entry.index.0 - 1).expect("a small log");
            assert!(kept <= self.disk.entries.len(), "{} leaves a gap on the disk", entry.id());
            self.disk.entries.truncate(kept);
            self.disk.entries.push(entry.clone());
        }
    }

    /// Starts again from what is on the disk.
    fn restart(&mut self, writes: usize, entries: usize) -> Option<Result<Effects, Violation>> {
        if writes > self.unfinished.len() {
            return None;
        }
        let finished: Vec<Write> = self.unfinished.drain(..writes).collect();
        finished.iter().for_each(|write| self.store(&write.persist));
        if entries > 0 {
            // All of a write's entries, without the rest of it, are still less than the write.
            let torn = self.unfinished.pop_front()?.persist;
            let is_whole = entries == torn.entries.len() && torn.hard_state.is_none();
            if entries > torn.entries.len() || is_whole {
                return None;
            }
            self.store_entries(&torn.entries[..entries]);
        }
        self.unfinished.clear();
        self.applied = Index::ZERO;
        Some(match Raft::restore(self.config.clone(), self.disk.clone()) {
            Ok(core) => {
                self.core = core;
                Ok(self.core.flush())
            }
            Err(error) => Err(Violation {
                oracle: "durability",
                text: format!("{} cannot start from its own disk: {error}", self.core.id()),
            }),
        })
    }
}

impl Hash for Member {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The settings are part of the core.
        self.core.hash(state);
        self.disk.hard_state.hash(state);
        self.disk.entries.hash(state);
        self.unfinished.hash(state);
        self.applied.hash(state);
    }
}
