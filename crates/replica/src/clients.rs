//! Who waits for an answer, and until when.

use std::collections::{BTreeMap, VecDeque};

use crate::event::Ticket;

/// The clients' questions that are not answered.
///
/// Every question waits here under its ticket, whatever else is known of it elsewhere: an answer is
/// given exactly if its ticket is still here. So one that was forgotten, or given up, may lie about
/// in any batch without harm.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    waiting: BTreeMap<Ticket, Waiting>,
    /// When each is given up, the earliest first; also those that do not wait any more.
    deadlines: VecDeque<(u64, Ticket)>,
}

/// For what a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// For a command, which has this number.
    Command(u64),
    /// For a change of the configuration, which has this number.
    Change(u64),
    /// For the moment from which it may read.
    Read,
    /// For what the leader says of a lease.
    Lease,
    /// For another leader.
    Transfer,
}

impl Clients {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a client wait until the tick `deadline`.
    ///
    /// # Panics
    ///
    /// If the ticket waits already, or an earlier question waits longer.
    pub(crate) fn insert(&mut self, ticket: Ticket, waiting: Waiting, deadline: u64) {
        let before = self.waiting.insert(ticket, waiting);
        assert!(before.is_none(), "{ticket:?} was given to a second question");
        let last = self.deadlines.back().map_or(0, |(last, _)| *last);
        assert!(last <= deadline, "a question of tick {deadline} behind one of {last}");
        self.deadlines.push_back((deadline, ticket));
    }

    /// Tells whether the client still waits.
    pub(crate) fn contains(&self, ticket: Ticket) -> bool {
        self.waiting.contains_key(&ticket)
    }

    /// Lets the client go; `None` if it does not wait any more.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        self.waiting.remove(&ticket)
    }

    /// Lets those go whose deadline has come, and returns them.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<(Ticket, Waiting)> {
        let mut expired = Vec::new();
        while let Some((deadline, ticket)) = self.deadlines.front().copied()
            && deadline <= now
        {
            self.deadlines.pop_front();
            if let Some(waiting) = self.waiting.remove(&ticket) {
                expired.push((ticket, waiting));
            }
        }
        expired
    }
}
