//! Majorities: of one set of voters, and of two at once while a change is under way.
//!
//! Knows members and numbers, nothing of Raft. A majority is of **all** voters, not of those that
//! happen to answer (paper §2): a voter that says nothing counts against.

use std::collections::BTreeSet;
use std::fmt;

use crate::types::MemberId;

#[cfg(test)]
mod tests;

/// How a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VoteResult {
    /// A majority has said yes.
    Won,
    /// So many have said no that a majority of yes is out of reach.
    Lost,
    /// It depends on those that have not answered.
    Pending,
}

/// A majority of one set of voters.
#[derive(Clone, Copy, Debug)]
pub struct Majority<'a>(pub &'a BTreeSet<MemberId>);

impl Majority<'_> {
    /// The highest number that a majority of the voters has reached, where `reached` tells each
    /// voter's number and `None` counts as less than any.
    ///
    /// Returns `None` if no majority has reached anything. An empty set of voters has reached
    /// everything: `Some(T::MAX)`, given by `everything`, so that it never restrains a joint
    /// quorum.
    #[must_use]
    pub fn reached<T: Ord + Copy>(
        &self,
        everything: T,
        reached: impl Fn(MemberId) -> Option<T>,
    ) -> Option<T> {
        let voters = self.0.len();
        if voters == 0 {
            return Some(everything);
        }
        // Sets of more than a handful of voters are rare, so that this stays on the stack.
        let mut stack = [None; 9];
        let mut heap = Vec::new();
        let numbers: &mut [Option<T>] = if voters <= stack.len() {
            &mut stack[..voters]
        } else {
            heap.resize(voters, None);
            &mut heap
        };
        for (number, voter) in numbers.iter_mut().zip(self.0) {
            *number = reached(*voter);
        }
        numbers.sort_unstable();
        // Sorted upwards, the voters from this place on are the smallest majority.
        numbers[voters - self.needed()]
    }

    /// Counts a vote, where `ballot` tells each voter's answer and `None` is no answer yet.
    ///
    /// An empty set of voters has won, so that it never restrains a joint quorum.
    #[must_use]
    pub fn vote_result(&self, ballot: impl Fn(MemberId) -> Option<bool>) -> VoteResult {
        let mut yes = 0;
        let mut no = 0;
        for voter in self.0 {
            match ballot(*voter) {
                Some(true) => yes += 1,
                Some(false) => no += 1,
                None => {}
            }
        }
        if yes >= self.needed() {
            VoteResult::Won
        } else if self.0.len() - no < self.needed() {
            VoteResult::Lost
        } else {
            VoteResult::Pending
        }
    }

    /// How many voters make a majority; none of none.
    #[must_use]
    pub fn needed(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.len() / 2 + 1 }
    }
}

/// A majority of each of two sets of voters (paper §6). An empty set asks for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Joint<'a> {
    /// The voters of the configuration that is, or that is to come.
    pub incoming: Majority<'a>,
    /// The voters of the configuration that is to go; empty if no change is under way.
    pub outgoing: Majority<'a>,
}

impl Joint<'_> {
    /// The highest number that a majority of both sets has reached; see [`Majority::reached`].
    #[must_use]
    pub fn reached<T: Ord + Copy>(
        &self,
        everything: T,
        reached: impl Fn(MemberId) -> Option<T>,
    ) -> Option<T> {
        let incoming = self.incoming.reached(everything, &reached);
        let outgoing = self.outgoing.reached(everything, &reached);
        incoming.min(outgoing)
    }

    /// Counts a vote in both sets; see [`Majority::vote_result`].
    #[must_use]
    pub fn vote_result(&self, ballot: impl Fn(MemberId) -> Option<bool>) -> VoteResult {
        match (self.incoming.vote_result(&ballot), self.outgoing.vote_result(&ballot)) {
            (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
            (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
            (VoteResult::Pending, _) | (_, VoteResult::Pending) => VoteResult::Pending,
        }
    }

    /// Draws how far each voter has come, longest bar at the top of the scale, with the number that
    /// a quorum has reached below: for scripts, logs and people.
    #[must_use]
    pub fn describe(&self, reached: impl Fn(MemberId) -> Option<u64>) -> String {
        use fmt::Write;
        let all: BTreeSet<MemberId> =
            self.incoming.0.iter().chain(self.outgoing.0).copied().collect();
        let numbers: BTreeSet<u64> = all.iter().filter_map(|id| reached(*id)).collect();
        let mut text = String::new();
        for id in &all {
            let bar = reached(*id).map_or(0, |n| numbers.range(..=n).count());
            let sets = match (self.incoming.0.contains(id), self.outgoing.0.contains(id)) {
                (true, true) => "both",
                (true, false) => "incoming",
                (false, true) => "outgoing",
                (false, false) => unreachable!("the voter came from one of the two sets"),
            };
            let number = reached(*id).map_or_else(|| "?".to_owned(), |n| n.to_string());
            let sets = if self.outgoing.0.is_empty() { "" } else { sets };
            let line = format!("{}{} {id} {number} {sets}", "=".repeat(bar), ">");
            writeln!(text, "{}", line.trim_end()).expect("a String takes all that is written");
        }
        match self.reached(u64::MAX, reached) {
            Some(u64::MAX) => text.push_str("quorum: everything"),
            Some(number) => {
                write!(text, "quorum: {number}").expect("a String takes all that is written");
            }
            None => text.push_str("quorum: nothing"),
        }
        text
    }
}
