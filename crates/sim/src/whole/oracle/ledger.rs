//! All who have executed as much have come to the same state; a term has one leader; nobody goes
//! back.

use std::collections::BTreeMap;

use raft::{EntryId, Index, RoleKind, Term};
use replica::Published;

use crate::checker::{Verdict, violation};

/// What members have published so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The digest of the state after each entry up to which somebody has published.
    digests: BTreeMap<Index, (Term, u64)>,
    leaders: BTreeMap<Term, u64>,
    /// The highest index that anybody has executed.
    pub(crate) highest: Index,
}

impl Ledger {
    /// A member has come to a state.
    pub(crate) fn reached(&mut self, id: u64, (at, digest): (EntryId, u64)) -> Verdict {
        self.highest = self.highest.max(at.index);
        match self.digests.insert(at.index, (at.term, digest)) {
            Some((term, other)) if (term, other) != (at.term, digest) => violation(
                "ledger",
                format!(
                    "m{id} has executed {at} and come to {digest:016x}, and another member had \
                     come to {other:016x} in term {term}"
                ),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A member publishes what clients may see, after it had published something else in this life.
    pub(crate) fn publishes(&mut self, id: u64, before: &Published, now: &Published) -> Verdict {
        if now.applied.index < before.applied.index || now.term < before.term {
            return violation(
                "ledger",
                format!(
                    "m{id} goes back from {} in term {} to {} in term {}",
                    before.applied, before.term, now.applied, now.term
                ),
            );
        }
        if now.role == RoleKind::Leader {
            let leader = *self.leaders.entry(now.term).or_insert(id);
            if leader != id {
                return violation(
                    "election safety",
                    format!("m{id} and m{leader} both lead term {}", now.term),
                );
            }
        }
        Ok(())
    }
}
