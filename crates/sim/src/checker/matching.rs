//! Log Matching and Leader Append-Only (paper, Figure 3).
//!
//! If every entry is always the same, and always follows the same entry, then two logs that share
//! an entry are equal up to it. So it is enough to look at each entry once in each log.

use raft::{Entry, EntryId, Index, MemberId, RoleKind, Term};

use super::ledger::Stamp;
use super::{Step, Verdict, violation};

const NAME: &str = "log matching";

#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: Stamp,
    previous: Term,
}

/// All entries that ever stood in a log.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    /// By index; for each, the entries that stood there, in the order in which they were seen.
    known: Vec<Vec<Known>>,
}

impl Matching {
    /// An entry has been appended after `previous`.
    pub(crate) fn appended(
        &mut self,
        member: MemberId,
        previous: EntryId,
        entry: &Entry,
        stamp: Stamp,
    ) -> Verdict {
        let at = place(entry.index);
        if at >= self.known.len() {
            self.known.resize(at + 1, Vec::new());
        }
        let here = &mut self.known[at];
        let Some(known) = here.iter().find(|known| known.stamp.term == entry.term) else {
            here.push(Known { stamp, previous: previous.term });
            return Ok(());
        };
        if known.stamp != stamp {
            let text = format!("entry {} of {member} has another content elsewhere", entry.id());
            return violation(NAME, text);
        }
        if known.previous != previous.term {
            return violation(
                NAME,
                format!(
                    "entry {} follows {previous} in the log of {member}, and an entry of term {} \
                     elsewhere",
                    entry.id(),
                    known.previous
                ),
            );
        }
        Ok(())
    }
}

fn place(index: Index) -> usize {
    usize::try_from(index.0).expect("logs are short")
}

/// A leader replaces nothing in its own log.
pub(crate) fn append_only(step: &Step<'_>, entry: &Entry, replaced: &Stamp) -> Verdict {
    let leads = step.before.role == RoleKind::Leader
        && step.now.role == RoleKind::Leader
        && step.before.term == step.now.term;
    if !leads {
        return Ok(());
    }
    let (id, term) = (step.id(), replaced.term);
    violation(NAME, format!("leader {id} replaces {}@{term} by {}", entry.index, entry.id()))
}
