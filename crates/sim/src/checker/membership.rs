//! Configurations change by rule: one at a time, joint if several voters change, never too early.

use raft::{Entry, Payload, RoleKind};

use super::ledger::Mirror;
use super::{Step, Verdict, violation};

const NAME: &str = "membership";

/// An entry is about to be appended to a log; `mirror` is the log before it.
pub(crate) fn appended(mirror: &Mirror, step: &Step<'_>, entry: &Entry) -> Verdict {
    let Payload::Membership(change) = &entry.payload else { return Ok(()) };
    let (index, before) = mirror.membership();
    let next = &change.membership;
    let proposed = step.now.role == RoleKind::Leader && entry.term == step.now.term;
    // A follower may have been sent any two of them at once, and only its leader knew.
    if !proposed || index >= entry.index {
        return Ok(());
    }
    let leader = step.id();
    if index > step.now.committed {
        let text = format!("{leader} proposes {next} while {before} at {index} is not committed");
        return violation(NAME, text);
    }
    if mirror.term_at(step.now.committed) != Some(entry.term) {
        let text =
            format!("{leader} proposes {next} before it has committed in term {}", entry.term);
        return violation(NAME, text);
    }
    let allowed = if before.is_joint() {
        *next == before.leave()
    } else if next.is_joint() {
        next.outgoing() == before.incoming()
    } else {
        before.incoming().symmetric_difference(next.incoming()).count() <= 1
    };
    if allowed {
        return Ok(());
    }
    violation(NAME, format!("{leader} goes from {before} to {next} in one step"))
}

/// A member leads after a step: it votes in the latest configuration that is committed.
pub(crate) fn leader(step: &Step<'_>) -> Verdict {
    let now = step.now;
    if now.membership_committed && !now.membership.is_voter(now.id) {
        let text = format!("{} leads, and {} is committed without it", now.id, now.membership);
        return violation(NAME, text);
    }
    Ok(())
}
