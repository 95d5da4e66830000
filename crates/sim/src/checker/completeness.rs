//! Leader Completeness and the rules of commitment (paper, Figure 3, §5.4.2).
//!
//! Holds the truth: everything that was ever committed, as the leaders committed it.

use std::collections::BTreeSet;

use raft::{
    Entry, EntryId, Index, MemberId, Membership, Payload, RoleKind, SnapshotMeta, Status, Term,
};

use super::ledger::{Mirror, Stamp};
use super::{Learnt, Step, Verdict, violation};
use crate::machine::Command;

const NAME: &str = "leader completeness";
const SAFETY: &str = "state machine safety";

/// A committed entry.
#[derive(Clone, Copy, Debug)]
struct Committed {
    stamp: Stamp,
    /// The term of the leader that committed it.
    by: Term,
}

/// Everything that was committed, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Completeness {
    truth: Vec<Committed>,
    /// The operations of clients that were applied somewhere.
    operations: BTreeSet<u64>,
    /// Up to where the operations were collected.
    collected: Index,
    /// The configurations that were applied somewhere, with their indexes.
    configurations: Vec<(Index, Membership)>,
}

impl Completeness {
    /// The cluster begins with this configuration.
    pub(crate) fn begin(&mut self, membership: &Membership) {
        self.configurations.push((Index::ZERO, membership.clone()));
    }

    /// Up to where entries are committed.
    pub(crate) fn committed_index(&self) -> Index {
        Index(self.truth.len() as u64)
    }

    fn at(&self, index: Index) -> Option<&Committed> {
        self.truth.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// Whether this very entry is committed.
    pub(crate) fn is_committed(&self, id: EntryId) -> bool {
        self.at(id.index).is_some_and(|committed| committed.stamp.term == id.term)
    }

    /// A member begins to lead: it has all that earlier leaders have committed.
    pub(crate) fn begins(&self, mirror: &Mirror, now: &Status) -> Verdict {
        let earlier = self.truth.partition_point(|committed| committed.by < now.term);
        let Some(committed) = earlier.checked_sub(1).map(|at| self.truth[at]) else {
            return Ok(());
        };
        let index = Index(earlier as u64);
        let held = mirror.term_at(index);
        if held == Some(committed.stamp.term) || mirror.base().index > index {
            return Ok(());
        }
        let id = EntryId::new(index, committed.stamp.term);
        let has = held.map_or("nothing there".to_owned(), |term| format!("{index}@{term}"));
        violation(
            NAME,
            format!(
                "{} leads term {} without {id}, committed in term {}: it has {has}",
                now.id, now.term, committed.by
            ),
        )
    }

    /// A member that has started knows no more to be committed than is.
    pub(crate) fn restarted(&self, mirror: &Mirror, now: &Status) -> Verdict {
        if now.committed > self.committed_index() {
            let text = format!(
                "{} starts with commit index {}, and only {} is committed",
                now.id,
                now.committed,
                self.committed_index()
            );
            return violation(NAME, text);
        }
        self.agrees(mirror, now.id, now.committed)
    }

    /// The entry of a member at `index`, which it knows to be committed, is the one that is.
    fn agrees(&self, mirror: &Mirror, member: MemberId, index: Index) -> Verdict {
        let (Some(held), Some(committed)) = (mirror.term_at(index), self.at(index)) else {
            return Ok(());
        };
        if held == committed.stamp.term {
            return Ok(());
        }
        let id = EntryId::new(index, committed.stamp.term);
        violation(NAME, format!("{member} takes {index}@{held} for committed, and {id} is"))
    }

    /// A member's commit index has moved: the entries are the committed ones, or become so.
    pub(crate) fn committed(
        &mut self,
        mirror: &Mirror,
        step: &Step<'_>,
        learnt: &mut Learnt,
    ) -> Verdict {
        let (before, now) = (step.before, step.now);
        if now.committed <= before.committed {
            return Ok(());
        }
        let news = self.committed_index().next().0..=now.committed.0;
        if !news.is_empty() {
            let (term, leads) = leading_term(before, now);
            if !leads {
                return violation(
                    NAME,
                    format!(
                        "{} commits up to {}, and no leader has committed beyond {}",
                        now.id,
                        now.committed,
                        self.committed_index()
                    ),
                );
            }
            if mirror.term_at(now.committed) != Some(term) {
                let held = mirror.term_at(now.committed).unwrap_or_default();
                let text = format!(
                    "{} commits {}@{held} by counting, as the leader of term {term}",
                    now.id, now.committed
                );
                return violation(NAME, text);
            }
            for index in news {
                let Some(stamp) = mirror.at(Index(index)) else {
                    let text = format!("{} commits {index}, which is not in its log", now.id);
                    return violation(NAME, text);
                };
                self.truth.push(Committed { stamp, by: term });
                learnt.committed += 1;
                learnt.committed_earlier_term |= stamp.term < term;
            }
        }
        for index in before.committed.next().0..=now.committed.0 {
            self.agrees(mirror, now.id, Index(index))?;
        }
        Ok(())
    }

    /// What is committed is replaced nowhere.
    pub(crate) fn replaced(&self, member: MemberId, by: &Entry, replaced: &[Stamp]) -> Verdict {
        for (stamp, index) in replaced.iter().zip(by.index.0..) {
            let id = EntryId::new(Index(index), stamp.term);
            if self.at(id.index).is_some_and(|committed| committed.stamp == *stamp) {
                return violation(
                    "durability",
                    format!("{member} replaces {id}, which is committed, writing {}", by.id()),
                );
            }
        }
        Ok(())
    }

    /// An image holds what is committed, with the configuration at that point.
    pub(crate) fn image(&self, member: MemberId, meta: &SnapshotMeta) -> Verdict {
        let SnapshotMeta { id, membership } = meta;
        if id.index > Index::ZERO && !self.is_committed(*id) {
            let text = format!("{member} takes an image at {id}, which is not committed");
            return violation(SAFETY, text);
        }
        let at = self.configurations.partition_point(|(index, _)| *index <= id.index);
        match at.checked_sub(1).map(|at| &self.configurations[at].1) {
            Some(expected) if expected != membership => violation(
                "membership",
                format!("{member} takes an image at {id} with {membership} and not {expected}"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A service applies an entry: it is the committed one, and no command stands in the log twice.
    pub(crate) fn applied(&mut self, member: MemberId, entry: &Entry) -> Verdict {
        let stamp = Stamp::of(entry);
        match self.at(entry.index) {
            None => {
                let text = format!("{member} applies {}, which is not committed", entry.id());
                return violation(SAFETY, text);
            }
            Some(committed) if committed.stamp != stamp => {
                let term = committed.stamp.term;
                let text =
                    format!("{member} applies {}, and another of {term} is committed", entry.id());
                return violation(SAFETY, text);
            }
            Some(_) => {}
        }
        if entry.index <= self.collected {
            return Ok(());
        }
        self.collected = entry.index;
        match &entry.payload {
            Payload::Noop => {}
            Payload::Membership(change) => {
                self.configurations.push((entry.index, change.membership.clone()));
            }
            Payload::Command(bytes) => {
                let command = Command::decode(bytes).expect("only clients' commands are proposed");
                if !self.operations.insert(command.operation) {
                    let text = format!("the command in {} stands in the log twice", entry.id());
                    return violation(SAFETY, text);
                }
            }
        }
        Ok(())
    }

    /// The configuration of the latest committed entry that is known to have been applied.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.configurations.last().map(|(_, membership)| membership)
    }
}

/// The term in which the member led during a step, and whether it led at all. Several inputs may
/// have come together, so that it no longer does, or was elected on the way.
fn leading_term(before: &Status, now: &Status) -> (Term, bool) {
    match (before.role, now.role) {
        (_, RoleKind::Leader) => (now.term, true),
        (RoleKind::Leader | RoleKind::Candidate, _) => (before.term, true),
        (RoleKind::Follower | RoleKind::PreCandidate, _) => (now.term, false),
    }
}
