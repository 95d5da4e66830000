//! How a stage begins.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::membership::Change;
use raft::{Config, DurableState, Entry, EntryId, Index, MemberId, Membership, Payload, Term};

use super::Stage;

/// What a [`Stage`] begins with. Made by [`Stage::builder`].
pub struct Builder {
    voters: u64,
    learners: u64,
    configure: Box<dyn Fn(&mut Config)>,
    durable: BTreeMap<u64, DurableState>,
    unchecked: bool,
}

impl Builder {
    pub(super) fn new(voters: u64) -> Builder {
        Builder {
            voters,
            learners: 0,
            configure: Box::new(|_| {}),
            durable: BTreeMap::new(),
            unchecked: false,
        }
    }

    /// Adds learners; they are numbered after the voters.
    #[must_use]
    pub fn learners(mut self, learners: u64) -> Builder {
        self.learners = learners;
        self
    }

    /// Changes the settings of every member at every start. The seed is set afterwards.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(&mut Config) + 'static) -> Builder {
        self.configure = Box::new(configure);
        self
    }

    /// Gives `member` a log: the terms of its entries from index one on, drawn as in the paper's
    /// Figures 7 and 8. Each entry is a command that says its own `index@term`. The member has seen
    /// `term` and voted for nobody in it.
    #[must_use]
    pub fn log(self, member: u64, term: u64, entries: &[u64]) -> Builder {
        let mut durable = DurableState::bootstrap(self.membership());
        durable.hard_state.term = Term(term);
        for (index, term) in (1..).zip(entries) {
            let id = EntryId::new(Index(index), Term(*term));
            let payload = Payload::Command(Bytes::from(id.to_string()));
            durable.entries.push(Entry { index: id.index, term: id.term, payload });
        }
        self.durable(member, durable)
    }

    /// Gives `member` what its disk holds, in place of a first start.
    #[must_use]
    pub fn durable(mut self, member: u64, durable: DurableState) -> Builder {
        self.durable.insert(member, durable);
        self
    }

    /// Changes what the disk of `member` holds, to which a first start or an earlier call has led.
    #[must_use]
    pub fn adjust(mut self, member: u64, adjust: impl FnOnce(&mut DurableState)) -> Builder {
        let bootstrap = DurableState::bootstrap(self.membership());
        adjust(self.durable.entry(member).or_insert(bootstrap));
        self
    }

    /// Turns off the checks after every step: for logs and messages that no Raft could have made.
    #[must_use]
    pub fn unchecked(mut self) -> Builder {
        self.unchecked = true;
        self
    }

    /// The first configuration, of the voters and learners named so far.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let voters = Membership::of_voters((1..=self.voters).map(MemberId));
        let learners: Vec<Change> = (self.voters + 1..=self.voters + self.learners)
            .map(|number| Change::AddLearner(MemberId(number)))
            .collect();
        if learners.is_empty() {
            return voters;
        }
        voters.change(&learners).expect("the learners are numbered after the voters")
    }

    /// Starts all members.
    #[must_use]
    pub fn build(mut self) -> Stage {
        let membership = self.membership();
        let mut stage = Stage::empty(self.configure);
        stage.checks.off = self.unchecked;
        for member in 1..=self.voters + self.learners {
            let bootstrap = || DurableState::bootstrap(membership.clone());
            let durable = self.durable.remove(&member).unwrap_or_else(bootstrap);
            stage.add_with(member, durable);
        }
        stage
    }
}
