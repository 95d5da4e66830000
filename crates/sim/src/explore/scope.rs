//! How much may happen in a search.

use raft::MemberId;
use raft::membership::Change;

/// How much may happen in a search. More of anything means many times more states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// How many members vote at first; from one to three.
    pub voters: u64,
    /// The highest term in which a member campaigns.
    pub terms: u64,
    /// How many commands are proposed.
    pub entries: u8,
    /// How many changes of the configuration are proposed: any of [`Scope::changes`]. One more
    /// member waits to be added if there are any.
    pub changes_len: u8,
    /// How many times a member crashes and starts again.
    pub crashes: u8,
    /// How many times a leader sends heartbeats without another reason.
    pub heartbeats: u8,
    /// How many times a leader is asked to hand leadership over.
    pub transfers: u8,
    /// When writes are finished.
    pub writes: Writes,
    /// How many appends a leader sends without an answer.
    pub inflight_messages_max: usize,
    /// The search is given up after so many states.
    pub states_max: usize,
}

/// When writes are finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// At once, so that a crash loses nothing but what is in memory.
    AtOnce,
    /// At any later moment, so that a crash loses what is not finished.
    Later,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope {
            voters: 3,
            terms: 2,
            entries: 2,
            changes_len: 1,
            crashes: 1,
            heartbeats: 0,
            transfers: 0,
            writes: Writes::AtOnce,
            inflight_messages_max: 8,
            states_max: 100_000_000,
        }
    }
}

impl Scope {
    /// The members that vote at first.
    pub(super) fn first_voters(&self) -> impl Iterator<Item = MemberId> {
        (1..=self.voters).map(MemberId)
    }

    /// All members, also the one that waits to be added.
    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> {
        (1..=self.voters + u64::from(self.changes_len > 0)).map(MemberId)
    }

    /// The changes of which one is proposed: the new member comes, one goes, or both; as a voter in
    /// one step or two, or as a learner.
    #[must_use]
    pub fn changes(&self) -> Vec<Vec<Change>> {
        let new = MemberId(self.voters + 1);
        let mut changes = vec![vec![Change::AddVoter(new)], vec![Change::AddLearner(new)]];
        for old in self.first_voters() {
            changes.push(vec![Change::Remove(old)]);
            changes.push(vec![Change::AddVoter(new), Change::Remove(old)]);
            changes.push(vec![Change::AddVoter(new), Change::Demote(old)]);
        }
        changes.push(vec![Change::Promote(new)]);
        changes
    }
}
