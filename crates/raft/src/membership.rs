//! Configurations: who votes, who learns, and how one configuration becomes the next.
//!
//! Knows members, nothing of Raft. A change of at most one voter goes in one step: any majority
//! before and any majority after share a member (thesis §4.1). Any other change goes through a
//! joint configuration, in which both sets of voters must agree, and which the leader leaves by
//! itself (paper §6).
//!
//! ```text
//!          change, at most one voter
//!     simple ─────────────────────────────────────► simple
//!        │                                             ▲
//!        └─ change, several voters ─► joint ── leave ──┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::quorum::{Joint, Majority};
use crate::types::MemberId;

#[cfg(test)]
mod tests;

/// A configuration of the cluster.
///
/// Invariant: nobody is both a voter and a learner.
/// Invariant: `demoted` is a part of `outgoing`, and holds none of `incoming`.
/// Invariant: without `outgoing` there is no `demoted`.
/// Invariant: with `outgoing` there is `incoming`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Membership {
    /// The voters; in a joint configuration, those after the change.
    incoming: BTreeSet<MemberId>,
    /// In a joint configuration, the voters before the change; otherwise empty.
    outgoing: BTreeSet<MemberId>,
    /// Those who receive the log and do not vote (thesis §4.2.1).
    learners: BTreeSet<MemberId>,
    /// Voters that become learners when the joint configuration is left. Until then they vote.
    demoted: BTreeSet<MemberId>,
}

/// One step of a change to the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Adds a member that votes from the start.
    AddVoter(MemberId),
    /// Adds a member that receives the log and does not vote.
    AddLearner(MemberId),
    /// Lets a learner vote.
    Promote(MemberId),
    /// Makes a voter a learner.
    Demote(MemberId),
    /// Removes a voter or learner.
    Remove(MemberId),
}

impl Change {
    /// Whom the change is about.
    #[must_use]
    pub fn member(self) -> MemberId {
        match self {
            Change::AddVoter(id)
            | Change::AddLearner(id)
            | Change::Promote(id)
            | Change::Demote(id)
            | Change::Remove(id) => id,
        }
    }
}

/// Why a change to the configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeError {
    /// The list of changes is empty.
    Empty,
    /// A change is under way, which must be left first.
    Joint,
    /// The list names a member twice.
    Twice(MemberId),
    /// The member to add is there already.
    Exists(MemberId),
    /// The member is not in the configuration.
    Unknown(MemberId),
    /// The member to promote votes already.
    Votes(MemberId),
    /// The member to demote is a learner already.
    Learns(MemberId),
    /// Nobody would be left to vote.
    NoVoters,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Empty => write!(f, "no change was named: name at least one"),
            ChangeError::Joint => {
                write!(f, "a change of several voters is under way: wait until it is left")
            }
            ChangeError::Twice(id) => write!(f, "{id} is named twice: name each member once"),
            ChangeError::Exists(id) => write!(f, "{id} is a member already"),
            ChangeError::Unknown(id) => write!(f, "{id} is not a member"),
            ChangeError::Votes(id) => write!(f, "{id} votes already: only a learner is promoted"),
            ChangeError::Learns(id) => write!(f, "{id} is a learner already"),
            ChangeError::NoVoters => {
                write!(f, "nobody would be left to vote: keep at least one voter")
            }
        }
    }
}

impl std::error::Error for ChangeError {}

impl Membership {
    /// A configuration in which all of `voters` vote.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Membership {
        Membership { incoming: voters.into_iter().collect(), ..Membership::default() }
    }

    /// Builds a configuration from what another process wrote down.
    ///
    /// Returns `None` if the parts contradict each other.
    #[must_use]
    pub fn from_parts(
        incoming: BTreeSet<MemberId>,
        outgoing: BTreeSet<MemberId>,
        learners: BTreeSet<MemberId>,
        demoted: BTreeSet<MemberId>,
    ) -> Option<Membership> {
        let membership = Membership { incoming, outgoing, learners, demoted };
        membership.is_consistent().then_some(membership)
    }

    /// The voters; in a joint configuration, those after the change.
    #[must_use]
    pub fn incoming(&self) -> &BTreeSet<MemberId> {
        &self.incoming
    }

    /// In a joint configuration, the voters before the change; otherwise empty.
    #[must_use]
    pub fn outgoing(&self) -> &BTreeSet<MemberId> {
        &self.outgoing
    }

    /// Those who receive the log and do not vote.
    #[must_use]
    pub fn learners(&self) -> &BTreeSet<MemberId> {
        &self.learners
    }

    /// Voters that become learners when the joint configuration is left.
    #[must_use]
    pub fn demoted(&self) -> &BTreeSet<MemberId> {
        &self.demoted
    }

    /// Tells whether a change of several voters is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Tells whether the member votes, in either half of a joint configuration.
    #[must_use]
    pub fn is_voter(&self, id: MemberId) -> bool {
        self.incoming.contains(&id) || self.outgoing.contains(&id)
    }

    /// Tells whether the member votes once a change that may be under way is done.
    #[must_use]
    pub fn will_vote(&self, id: MemberId) -> bool {
        self.incoming.contains(&id)
    }

    /// Tells whether the member is in the configuration at all.
    #[must_use]
    pub fn contains(&self, id: MemberId) -> bool {
        self.is_voter(id) || self.learners.contains(&id)
    }

    /// All who vote, in either half of a joint configuration.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> {
        self.incoming.union(&self.outgoing).copied()
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> BTreeSet<MemberId> {
        self.voters().chain(self.learners.iter().copied()).collect()
    }

    /// Who must agree.
    #[must_use]
    pub fn quorum(&self) -> Joint<'_> {
        Joint { incoming: Majority(&self.incoming), outgoing: Majority(&self.outgoing) }
    }

    /// What the configuration counts for against limits, in bytes.
    pub(crate) fn size(&self) -> usize {
        8 * (self.incoming.len() + self.outgoing.len() + self.learners.len() + self.demoted.len())
    }

    /// The configuration that results from `changes`, which take effect together.
    ///
    /// It is joint if more than one voter comes or goes.
    ///
    /// # Errors
    ///
    /// If the changes do not fit this configuration or each other; nothing is then changed.
    pub fn change(&self, changes: &[Change]) -> Result<Membership, ChangeError> {
        if changes.is_empty() {
            return Err(ChangeError::Empty);
        }
        if self.is_joint() {
            return Err(ChangeError::Joint);
        }
        let mut next = self.clone();
        let mut named = BTreeSet::new();
        for change in changes {
            if !named.insert(change.member()) {
                return Err(ChangeError::Twice(change.member()));
            }
            next.change_one(*change)?;
        }
        if next.incoming.is_empty() {
            return Err(ChangeError::NoVoters);
        }
        if self.incoming.symmetric_difference(&next.incoming).count() > 1 {
            next.outgoing = self.incoming.clone();
            // A voter that is to learn still votes in the outgoing half, and nobody does both.
            next.demoted = next.learners.intersection(&next.outgoing).copied().collect();
            next.learners = next.learners.difference(&next.outgoing).copied().collect();
        }
        next.assert_consistent();
        Ok(next)
    }

    fn change_one(&mut self, change: Change) -> Result<(), ChangeError> {
        match change {
            Change::AddVoter(id) | Change::AddLearner(id) if self.contains(id) => {
                return Err(ChangeError::Exists(id));
            }
            Change::Promote(id) | Change::Demote(id) | Change::Remove(id) if !self.contains(id) => {
                return Err(ChangeError::Unknown(id));
            }
            Change::AddVoter(id) => {
                self.incoming.insert(id);
            }
            Change::AddLearner(id) => {
                self.learners.insert(id);
            }
            Change::Promote(id) => {
                if !self.learners.remove(&id) {
                    return Err(ChangeError::Votes(id));
                }
                self.incoming.insert(id);
            }
            Change::Demote(id) => {
                if !self.incoming.remove(&id) {
                    return Err(ChangeError::Learns(id));
                }
                self.learners.insert(id);
            }
            Change::Remove(id) => {
                self.incoming.remove(&id);
                self.learners.remove(&id);
            }
        }
        Ok(())
    }

    /// The configuration after a joint one; a simple one is its own successor.
    #[must_use]
    pub fn leave(&self) -> Membership {
        let mut next = self.clone();
        next.outgoing.clear();
        next.learners.append(&mut next.demoted);
        next.assert_consistent();
        next
    }

    fn is_consistent(&self) -> bool {
        let votes_and_learns = self.learners.iter().any(|id| self.is_voter(*id));
        let demoted_well = self.demoted.is_subset(&self.outgoing)
            && self.demoted.is_disjoint(&self.incoming)
            && self.demoted.is_disjoint(&self.learners);
        let joint_without_incoming = self.is_joint() && self.incoming.is_empty();
        !votes_and_learns && demoted_well && !joint_without_incoming
    }

    fn assert_consistent(&self) {
        assert!(self.is_consistent(), "a change made an inconsistent configuration: {self:?}");
    }
}

/// Draws the configuration: `(m1 m2 m3)`, joint `(m1 m4)&(m1 m2 m3)`, then `learners(…)` and
/// `demoted(…)` if there are any.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(f: &mut fmt::Formatter<'_>, ids: &BTreeSet<MemberId>) -> fmt::Result {
            f.write_str("(")?;
            for (position, id) in ids.iter().enumerate() {
                if position > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{id}")?;
            }
            f.write_str(")")
        }
        list(f, &self.incoming)?;
        if self.is_joint() {
            f.write_str("&")?;
            list(f, &self.outgoing)?;
        }
        if !self.learners.is_empty() {
            f.write_str(" learners")?;
            list(f, &self.learners)?;
        }
        if !self.demoted.is_empty() {
            f.write_str(" demoted")?;
            list(f, &self.demoted)?;
        }
        Ok(())
    }
}

/// The answers of voters, one each: the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ballots(BTreeMap<MemberId, bool>);

impl Ballots {
    /// Records an answer; a second one of the same voter changes nothing.
    pub(crate) fn record(&mut self, voter: MemberId, granted: bool) {
        self.0.entry(voter).or_insert(granted);
    }

    /// Counts the answers of the configuration's voters.
    pub(crate) fn result(&self, membership: &Membership) -> crate::quorum::VoteResult {
        membership.quorum().vote_result(|id| self.0.get(&id).copied())
    }
}
