//! States of the small cluster, and what may follow each.
//!
//! A state is a handful of numbers. Members, messages, sets of messages and histories are kept once
//! each, however many states they are part of: there are far fewer conditions that a member can be
//! in than ways to put them together. For the same reason what a member does is found out once for
//! each condition and stimulus, and looked up from then on.
//!
//! Everything that was ever sent may arrive at any time, any number of times, or never. So the
//! network only grows, and of two states that differ in nothing else the one with more messages can
//! do all that the other can.

mod judge;

use std::rc::Rc;

use raft::{AppendOutcome, Body, Membership, Message, RoleKind};

use crate::checker::Violation;
use crate::explore::check::{self, Facts, History};
use crate::explore::inbox::Inbox;
use crate::explore::member::{Member, Stimulus};
use crate::explore::scope::{Scope, Writes};
use crate::explore::table::{Fingerprint, Memo, Numbered};

/// What is done with each state that may follow, and with each violation.
type Visit<'a> = dyn FnMut(&Cast, Action, Result<State, Violation>) + 'a;

/// At most so many members.
pub(super) const MEMBERS_MAX: usize = 4;

/// One state of the cluster and its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) core: StateCore,
    /// All messages that were ever sent to each member, but those that can never matter again.
    pub(super) inboxes: [u32; MEMBERS_MAX],
}

/// A state without its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StateCore {
    /// The condition of each member.
    members: [u32; MEMBERS_MAX],
    /// What has ever been decided.
    history: u32,
    left: Left,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Left {
    entries: u8,
    changes: u8,
    crashes: u8,
    heartbeats: u8,
    transfers: u8,
}

/// One thing that happens to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// To which member, counted from zero.
    pub(super) slot: usize,
    /// The number of the stimulus.
    stimulus: u32,
}

/// What follows a stimulus: the member's condition then, and what is sent, to whom.
type Reaction = Result<(u32, Rc<[(usize, u32)]>), Violation>;

/// A message that was sent, and the stimuli by which it arrives.
#[derive(Debug)]
struct Letter {
    message: Message,
    arrivals: Vec<u32>,
}

/// A condition of a member.
#[derive(Debug)]
struct Condition {
    member: Member,
    facts: Facts,
}

/// Everything that states consist of.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) scope: Scope,
    pub(super) len: usize,
    conditions: Numbered<Condition>,
    /// Messages, by the slot of their receiver.
    letters: Vec<Numbered<Letter>>,
    inboxes: Numbered<Inbox>,
    histories: Numbered<History>,
    stimuli: Numbered<Stimulus>,
    changes: Vec<u32>,
    reactions: Vec<Reaction>,
    /// The reaction of a condition to a stimulus.
    reacted: Memo,
    /// For a condition and an inbox, the arrivals that change something, and the reactions.
    arrivals: Vec<Rc<[(u32, u32)]>>,
    arrived: Memo,
    /// Whether one condition supports another as a candidate.
    supported: Memo,
    /// An inbox with one more message.
    grown: Memo,
    /// An inbox without what cannot matter to a condition.
    cleaned: Memo,
    /// A history, having heard of a condition.
    heard: Memo,
    /// Conditions whose logs match.
    matched: Memo,
}

/// No reaction: the stimulus changes nothing, or is not possible.
const NOTHING: u32 = u32::MAX;

fn number(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 of anything fit in memory")
}

impl Cast {
    pub(super) fn new(scope: Scope) -> Cast {
        let len = scope.members().count();
        assert!(len <= MEMBERS_MAX, "a small scope has at most {MEMBERS_MAX} members");
        let mut cast = Cast {
            len,
            conditions: Numbered::new(),
            letters: (0..len).map(|_| Numbered::new()).collect(),
            inboxes: Numbered::new(),
            histories: Numbered::new(),
            stimuli: Numbered::new(),
            changes: Vec::new(),
            reactions: Vec::new(),
            reacted: Memo::new(),
            arrivals: Vec::new(),
            arrived: Memo::new(),
            supported: Memo::new(),
            grown: Memo::new(),
            cleaned: Memo::new(),
            heard: Memo::new(),
            matched: Memo::new(),
            scope,
        };
        let changes = cast.scope.changes();
        cast.changes =
            changes.into_iter().map(|change| cast.stimulus(&Stimulus::Change(change))).collect();
        cast
    }

    /// The state in which nothing has happened.
    pub(super) fn first(&mut self) -> State {
        let membership = Membership::of_voters(self.scope.first_voters());
        let mut members = [NOTHING; MEMBERS_MAX];
        for (slot, id) in self.scope.members().enumerate().collect::<Vec<_>>() {
            let is_voter = membership.is_voter(id);
            let known = if is_voter { membership.clone() } else { Membership::default() };
            members[slot] = self.condition(Member::new(id, known, &self.scope));
        }
        let empty = Inbox::default();
        let inboxes = [self.inboxes.number(Fingerprint::of(&empty), || empty); MEMBERS_MAX];
        let history = History::default();
        let history = self.histories.number(Fingerprint::of(&history), || history);
        let left = Left {
            entries: self.scope.entries,
            changes: self.scope.changes_len,
            crashes: self.scope.crashes,
            heartbeats: self.scope.heartbeats,
            transfers: self.scope.transfers,
        };
        State { core: StateCore { members, history, left }, inboxes }
    }

    /// How many conditions of members, and messages, there were.
    pub(super) fn counts(&self) -> [usize; 2] {
        [self.conditions.len(), self.letters.iter().map(Numbered::len).sum()]
    }

    /// How far a state has come: rarely less than those that it follows.
    pub(super) fn rank(&self, state: &State) -> usize {
        let StateCore { members, left, .. } = &state.core;
        let ranks = members[..self.len].iter().map(|member| self.facts(*member).rank);
        let crashes = usize::from(self.scope.crashes - left.crashes);
        ranks.sum::<usize>() + crashes * check::RANK_MAX
    }

    /// Tells whether the second of two states, which differ in their networks alone, can do all
    /// that the first can.
    pub(super) fn is_covered(&self, one: &State, by: &State) -> bool {
        one.inboxes
            .iter()
            .zip(&by.inboxes)
            .all(|(one, by)| one == by || self.inboxes.get(*one).is_within(self.inboxes.get(*by)))
    }

    pub(super) fn member(&self, state: &State, slot: usize) -> &Member {
        &self.conditions.get(state.core.members[slot]).member
    }

    /// What happens to the member in an action.
    pub(super) fn stimulus_of(&self, action: Action) -> &Stimulus {
        self.stimuli.get(action.stimulus)
    }

    // === Numbers for things ===

    fn condition(&mut self, member: Member) -> u32 {
        self.conditions.number(member.fingerprint(), || {
            let facts = Facts::of(&member);
            Condition { member, facts }
        })
    }

    fn facts(&self, condition: u32) -> &Facts {
        &self.conditions.get(condition).facts
    }

    fn stimulus(&mut self, stimulus: &Stimulus) -> u32 {
        self.stimuli.number(Fingerprint::of(stimulus), || stimulus.clone())
    }

    /// The receiver's slot and the number of a message; `None` if nobody is there to receive it.
    fn letter(&mut self, message: Message) -> Option<(usize, u32)> {
        let slot = self.scope.members().position(|id| id == message.to)?;
        let mut arrivals = vec![self.stimulus(&Stimulus::Arrival(message.clone()))];
        if let Body::RequestVote { .. } = message.body {
            arrivals.push(self.stimulus(&Stimulus::LateArrival(message.clone())));
        }
        let print = Fingerprint::of(&message);
        Some((slot, self.letters[slot].number(print, || Letter { message, arrivals })))
    }

    // === What may happen ===

    /// Tells `visit` of everything that may happen in a state, and of the state that follows.
    pub(super) fn follow(&mut self, state: &State, visit: &mut Visit<'_>) {
        for slot in 0..self.len {
            let left = state.core.left;
            let arrivals = self.arrivals(state.core.members[slot], state.inboxes[slot]);
            for (stimulus, reaction) in arrivals.iter() {
                let next = self.after(state, slot, *reaction, left);
                if next.as_ref() != Ok(state) {
                    visit(self, Action { slot, stimulus: *stimulus }, next);
                }
            }
            for (stimulus, left) in self.possible(state, slot) {
                let reaction = self.reaction(state.core.members[slot], stimulus);
                if reaction != NOTHING {
                    let next = self.after(state, slot, reaction, left);
                    visit(self, Action { slot, stimulus }, next);
                }
            }
        }
    }

    /// The arrivals of messages that change something for a member in this condition.
    fn arrivals(&mut self, condition: u32, inbox: u32) -> Rc<[(u32, u32)]> {
        if let Some(known) = self.arrived.get((condition, inbox)) {
            return Rc::clone(&self.arrivals[known as usize]);
        }
        let facts = self.facts(condition);
        let (slot, may_campaign) = (facts.slot, facts.term.0 < self.scope.terms);
        let mut arrivals = Vec::new();
        for letter in self.inboxes.get(inbox).messages() {
            let letter = self.letters[slot].get(letter);
            // To obey it is to campaign in the next term.
            if letter.message.body == Body::TimeoutNow && !may_campaign {
                continue;
            }
            for stimulus in letter.arrivals.clone() {
                let reaction = self.reaction(condition, stimulus);
                if reaction != NOTHING {
                    arrivals.push((stimulus, reaction));
                }
            }
        }
        let arrivals: Rc<[(u32, u32)]> = arrivals.into();
        self.arrived.add((condition, inbox), number(self.arrivals.len()));
        self.arrivals.push(Rc::clone(&arrivals));
        arrivals
    }

    /// The stimuli that one member may get but by messages, and what may still happen after each.
    fn possible(&mut self, state: &State, slot: usize) -> Vec<(u32, Left)> {
        let left = state.core.left;
        let mut possible = Vec::new();
        let facts = self.facts(state.core.members[slot]);
        let is_leader = facts.role == RoleKind::Leader;
        if facts.term.0 < self.scope.terms {
            possible.push((self.campaign(state, slot), left));
        }
        if is_leader {
            self.add_leading(left, &mut possible);
        }
        if self.scope.writes == Writes::Later {
            possible.push((self.stimulus(&Stimulus::Written), left));
        }
        if left.crashes > 0 {
            let left = Left { crashes: left.crashes - 1, ..left };
            for (writes, entries) in self.member(state, slot).unfinished() {
                possible.push((self.stimulus(&Stimulus::Crash { writes, entries }), left));
            }
        }
        possible
    }

    /// Adds what only a leader's own service and clock do.
    fn add_leading(&mut self, left: Left, possible: &mut Vec<(u32, Left)>) {
        if left.heartbeats > 0 {
            let left = Left { heartbeats: left.heartbeats - 1, ..left };
            possible.push((self.stimulus(&Stimulus::Heartbeat), left));
        }
        if left.entries > 0 {
            let left = Left { entries: left.entries - 1, ..left };
            possible.push((self.stimulus(&Stimulus::Proposal), left));
        }
        if left.changes > 0 {
            let left = Left { changes: left.changes - 1, ..left };
            possible.extend(self.changes.iter().map(|change| (*change, left)));
        }
        if left.transfers > 0 {
            let left = Left { transfers: left.transfers - 1, ..left };
            for to in self.scope.members().collect::<Vec<_>>() {
                possible.push((self.stimulus(&Stimulus::Transfer(to)), left));
            }
        }
    }

    /// The campaign of a member, with all that would vote for it.
    fn campaign(&mut self, state: &State, slot: usize) -> u32 {
        let candidate = state.core.members[slot];
        let mut supporters = Vec::new();
        for (other, id) in self.scope.members().enumerate().collect::<Vec<_>>() {
            let key = (state.core.members[other], candidate);
            let supports = self.supported.get(key).unwrap_or_else(|| {
                let [asked, asking] = [key.0, key.1].map(|n| &self.conditions.get(n).member);
                let supports = u32::from(other != slot && asked.supports(asking));
                self.supported.add(key, supports);
                supports
            });
            if supports == 1 {
                supporters.push(id);
            }
        }
        self.stimulus(&Stimulus::Campaign(supporters))
    }

    // === What follows ===

    fn reaction(&mut self, condition: u32, stimulus: u32) -> u32 {
        if let Some(reaction) = self.reacted.get((condition, stimulus)) {
            return reaction;
        }
        let mut member = self.conditions.get(condition).member.clone();
        let result = member.react(self.stimuli.get(stimulus)).and_then(|sent| match sent {
            Ok(sent) => {
                let sent = sent.into_iter().filter_map(|message| self.letter(message)).collect();
                let sent: Rc<[(usize, u32)]> = sent;
                let after = self.condition(member);
                (after != condition || !sent.is_empty()).then_some(Ok((after, sent)))
            }
            Err(violation) => Some(Err(violation)),
        });
        let reaction = result.map_or(NOTHING, |result| {
            self.reactions.push(result);
            number(self.reactions.len() - 1)
        });
        self.reacted.add((condition, stimulus), reaction);
        reaction
    }

    /// The state after a member has reacted.
    fn after(
        &mut self,
        state: &State,
        slot: usize,
        reaction: u32,
        left: Left,
    ) -> Result<State, Violation> {
        let (condition, sent) = self.reactions[reaction as usize].clone()?;
        let mut next = *state;
        next.core.left = left;
        next.core.members[slot] = condition;
        let mut changed = [false; MEMBERS_MAX];
        changed[slot] = true;
        next.inboxes[slot] = self.clean(condition, next.inboxes[slot]);
        self.send(&mut next, &sent, &mut changed);
        self.echo(&mut next, changed, &mut |_| {});
        self.check(state, &mut next, slot)?;
        Ok(next)
    }

    /// Puts messages into inboxes, and marks those that have changed.
    fn send(&mut self, state: &mut State, sent: &[(usize, u32)], changed: &mut [bool]) {
        for (to, letter) in sent {
            let grown = self.with(state.inboxes[*to], *letter);
            let cleaned = self.clean(state.core.members[*to], grown);
            changed[*to] |= cleaned != state.inboxes[*to];
            state.inboxes[*to] = cleaned;
        }
    }

    /// Lets all messages arrive that change nothing at their receivers but are answered: the
    /// answers may then arrive too. Only in the members marked is there any news.
    pub(super) fn echo(
        &mut self,
        state: &mut State,
        news: [bool; MEMBERS_MAX],
        watch: &mut dyn FnMut(Action),
    ) {
        let mut news = news;
        while let Some(slot) = news.iter().position(|is_news| *is_news) {
            news[slot] = false;
            let condition = state.core.members[slot];
            let arrivals = self.arrivals(condition, state.inboxes[slot]);
            for (stimulus, reaction) in arrivals.iter() {
                if let Ok((after, sent)) = &self.reactions[*reaction as usize]
                    && *after == condition
                {
                    watch(Action { slot, stimulus: *stimulus });
                    let sent = Rc::clone(sent);
                    self.send(state, &sent, &mut news);
                }
            }
        }
    }

    fn with(&mut self, inbox: u32, letter: u32) -> u32 {
        if let Some(grown) = self.grown.get((inbox, letter)) {
            return grown;
        }
        let more = self.inboxes.get(inbox).with(letter);
        let grown = self.inboxes.number(Fingerprint::of(&more), || more);
        self.grown.add((inbox, letter), grown);
        grown
    }

    /// Drops messages that can never have an effect again, so that states which differ in nothing
    /// else are one.
    fn clean(&mut self, condition: u32, inbox: u32) -> u32 {
        if let Some(cleaned) = self.cleaned.get((condition, inbox)) {
            return cleaned;
        }
        let facts = self.facts(condition);
        let letters = &self.letters[facts.slot];
        let less =
            self.inboxes.get(inbox).filter(|letter| !is_inert(&letters.get(letter).message, facts));
        let cleaned = self.inboxes.number(Fingerprint::of(&less), || less);
        self.cleaned.add((condition, inbox), cleaned);
        cleaned
    }
}

/// Tells whether a message can never have an effect on a member in this condition, or in any that
/// may follow, even after a crash.
fn is_inert(message: &Message, to: &Facts) -> bool {
    // Only what is on the disk is sure to stay.
    if message.term > to.durable_term {
        return false;
    }
    let is_over = message.term < to.durable_term;
    match &message.body {
        // Nobody is a candidate twice in a term, or leads again a term in which it follows.
        Body::VoteResponse { .. } => is_over || to.role != RoleKind::Candidate,
        Body::AppendResponse { outcome: AppendOutcome::StaleTerm, .. } => true,
        Body::AppendResponse { .. } => is_over || to.role == RoleKind::Follower,
        Body::PreVoteResponse { .. } | Body::ReadIndex { .. } | Body::ReadIndexResponse { .. } => {
            true
        }
        Body::TimeoutNow => is_over,
        Body::PreVote { .. }
        | Body::RequestVote { .. }
        | Body::AppendEntries { .. }
        | Body::InstallSnapshot { .. } => false,
    }
}
