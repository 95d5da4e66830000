//! One member by itself. The test speaks for all others, and is its disk and its clock.

use bytes::Bytes;
use raft::{
    AppendOutcome, Ballot, Body, Campaign, Config, DropReason, DurableState, Effects, Entry,
    EntryId, Index, Input, MemberId, Membership, Message, Payload, Persist, Raft, ReadOutcome,
    RoleKind, Round, Snapshot, SnapshotMeta, SnapshotRequest, Term,
};

/// The member m1, and what it has done so far.
pub(super) struct One {
    pub(super) raft: Raft,
    /// What it handed to its service.
    pub(super) applied: Vec<Entry>,
    /// What it handed to its disk.
    pub(super) written: Vec<Persist>,
    /// What became of its reads.
    pub(super) reads: Vec<ReadOutcome>,
    /// Why it did not act on messages.
    pub(super) dropped: Vec<DropReason>,
    /// Which images it asked for.
    pub(super) requests: Vec<SnapshotRequest>,
}

impl One {
    /// A follower, one of three voters, in `term`, with entries of these terms in its log.
    pub(super) fn new(term: u64, log: &[u64]) -> One {
        One::start(Config::new(MemberId(1), 1), disk(&voters(3), term, log))
    }

    /// A follower with these settings that finds this on its disk.
    pub(super) fn start(config: Config, disk: DurableState) -> One {
        One {
            raft: Raft::restore(config, disk).expect("the test made a disk that can be"),
            applied: Vec::new(),
            written: Vec::new(),
            reads: Vec::new(),
            dropped: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// The leader of `term`, one of three voters; its no-op follows `log` and is durable.
    pub(super) fn leading(term: u64, log: &[u64]) -> One {
        One::new(term - 1, log).lead()
    }

    /// Gives an input, makes every write durable at once, and returns what is said.
    pub(super) fn give(&mut self, input: Input) -> Vec<Message> {
        self.raft.feed(input);
        self.settle()
    }

    /// Carries out everything that is due, with a disk that writes at once, and returns what is
    /// said.
    pub(super) fn settle(&mut self) -> Vec<Message> {
        let mut said = Vec::new();
        loop {
            let effects = self.raft.flush();
            if effects.is_empty() {
                return said;
            }
            let Effects { persist, send_now, send_when_durable, apply, reads, .. } = effects;
            said.extend(send_now);
            said.extend(send_when_durable);
            self.reads.extend(reads);
            self.dropped.extend(effects.dropped.iter().map(|dropped| dropped.reason));
            self.requests.extend(effects.snapshot_requests);
            if let Some(last) = apply.last() {
                self.raft.feed(Input::Applied(last.index));
            }
            self.applied.extend(apply);
            if let Some(persist) = persist {
                self.raft.feed(Input::Durable(persist.ack));
                self.written.push(persist);
            }
        }
    }

    /// Hands over a message of another member, and returns what is said.
    pub(super) fn hear(&mut self, from: u64, term: u64, body: Body) -> Vec<Message> {
        self.give(Input::Message(message(from, term, body)))
    }

    /// Hands over a message that has one answer, and returns what that says.
    pub(super) fn answer(&mut self, from: u64, term: u64, body: Body) -> Body {
        let mut said = self.hear(from, term, body);
        let answer = said.pop().expect("the message is answered");
        assert!(said.is_empty(), "one answer was expected beside {said:?}");
        assert_eq!(answer.to, MemberId(from), "the answer goes to the one who asked");
        assert_eq!(answer.term, self.raft.term(), "the answer carries the term");
        answer.body
    }

    /// Lets ticks pass, and returns what is said.
    pub(super) fn tick(&mut self, ticks: u32) -> Vec<Message> {
        (0..ticks).flat_map(|_| self.give(Input::Tick)).collect()
    }

    /// Ticks until the election timeout has passed, and returns what is said at that moment.
    pub(super) fn time_out(&mut self) -> Vec<Message> {
        (0..1000)
            .map(|_| self.give(Input::Tick))
            .find(|said| !said.is_empty())
            .expect("the member campaigns in the end")
    }

    /// Campaigns, with all others in favour of it, and returns what the candidate asks.
    pub(super) fn campaign(&mut self) -> Vec<Message> {
        let mut said = self.give(Input::Campaign);
        for asked in said.clone() {
            if self.raft.role() == RoleKind::PreCandidate {
                said = self.hear(asked.to.0, asked.term.0, pre_granted());
            }
        }
        said
    }

    /// Wins an election.
    pub(super) fn lead(mut self) -> One {
        for asked in self.campaign() {
            if self.raft.role() == RoleKind::Candidate {
                self.hear(asked.to.0, asked.term.0, granted());
            }
        }
        assert_eq!(self.raft.role(), RoleKind::Leader, "everybody voted for it");
        self
    }

    /// The terms of the entries in its log.
    pub(super) fn log(&self) -> Vec<u64> {
        self.raft.entries().map(|entry| entry.term.0).collect()
    }

    /// Its commit index.
    pub(super) fn committed(&self) -> u64 {
        self.raft.status().committed.0
    }

    /// Where its log ends.
    pub(super) fn last(&self) -> EntryId {
        self.raft.status().last
    }
}

/// `count` voters, numbered from one.
pub(super) fn voters(count: u64) -> Membership {
    Membership::of_voters((1..=count).map(MemberId))
}

/// The disk of a member that has seen `term`, voted for nobody in it, and holds entries of these
/// terms.
pub(super) fn disk(membership: &Membership, term: u64, log: &[u64]) -> DurableState {
    let mut disk = DurableState::bootstrap(membership.clone());
    disk.hard_state.term = Term(term);
    disk.entries = entries(0, log);
    disk
}

/// Names an entry.
pub(super) fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(Index(index), Term(term))
}

/// Entries of these terms that follow index `after`; each is a command that says its own name.
pub(super) fn entries(after: u64, terms: &[u64]) -> Vec<Entry> {
    let named = (1..).zip(terms).map(|(place, term)| id(after.wrapping_add(place), *term));
    let command = |id: EntryId| Payload::Command(Bytes::from(id.to_string()));
    named.map(|id| Entry { index: id.index, term: id.term, payload: command(id) }).collect()
}

// === Messages ===

/// A message to m1.
pub(super) fn message(from: u64, term: u64, body: Body) -> Message {
    Message { from: MemberId(from), to: MemberId(1), term: Term(term), body }
}

/// An AppendEntries with entries of these terms after `prev`.
pub(super) fn append(prev: EntryId, terms: &[u64], commit: u64) -> Body {
    let entries = entries(prev.index.0, terms);
    Body::AppendEntries { prev, entries, commit: Index(commit), round: Round::ZERO }
}

/// An answer that agrees up to `matched`.
pub(super) fn accepted(matched: u64) -> Body {
    accepted_in(0, matched)
}

/// An answer to a round that agrees up to `matched`.
pub(super) fn accepted_in(round: u64, matched: u64) -> Body {
    let outcome = AppendOutcome::Accepted { matched: Index(matched) };
    Body::AppendResponse { round: Round(round), outcome }
}

/// An answer that does not agree at `prev`, and may at `hint`.
pub(super) fn rejected(prev: u64, hint: EntryId) -> Body {
    let outcome = AppendOutcome::Rejected { prev: Index(prev), hint };
    Body::AppendResponse { round: Round::ZERO, outcome }
}

/// The answer to a leader of the past.
pub(super) fn stale_term() -> Body {
    Body::AppendResponse { round: Round::ZERO, outcome: AppendOutcome::StaleTerm }
}

/// A candidate's request.
pub(super) fn request_vote(last: EntryId) -> Body {
    Body::RequestVote { last, campaign: Campaign::Timeout }
}

/// A vote.
pub(super) fn granted() -> Body {
    Body::VoteResponse { ballot: Ballot::Granted }
}

/// A vote refused.
pub(super) fn refused() -> Body {
    Body::VoteResponse { ballot: Ballot::Refused }
}

/// The promise of a vote.
pub(super) fn pre_granted() -> Body {
    Body::PreVoteResponse { ballot: Ballot::Granted }
}

/// The refusal to promise a vote.
pub(super) fn pre_refused() -> Body {
    Body::PreVoteResponse { ballot: Ballot::Refused }
}

/// An image of the service, of a cluster with this configuration.
pub(super) fn image(id: EntryId, membership: &Membership) -> Snapshot {
    let meta = SnapshotMeta { id, membership: membership.clone() };
    Snapshot { meta, data: Bytes::from_static(b"image") }
}

/// An InstallSnapshot in a cluster of three voters.
pub(super) fn install(id: EntryId) -> Body {
    Body::InstallSnapshot { snapshot: image(id, &voters(3)) }
}
