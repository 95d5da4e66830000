//! What only moves forward: terms, votes within a term, commit and applied indexes.

use raft::{DurableState, Status};

use super::{Step, Verdict, violation};

const NAME: &str = "monotonic";

/// A member has taken a step.
pub(crate) fn step(step: &Step<'_>) -> Verdict {
    let (before, now) = (step.before, step.now);
    let id = now.id;
    if now.term < before.term {
        return violation(NAME, format!("{id} is in term {} after {}", now.term, before.term));
    }
    if now.term == before.term && before.vote.is_some() && now.vote != before.vote {
        return violation(NAME, format!("{id} changes its vote in term {}", now.term));
    }
    for (what, was, is) in [
        ("commit", before.committed, now.committed),
        ("applied", before.applied, now.applied),
        ("base", before.base.index, now.base.index),
    ] {
        if is < was {
            return violation(NAME, format!("{id} has {what} index {is} after {was}"));
        }
    }
    if now.applied > now.committed || now.committed > now.last.index {
        return violation(
            NAME,
            format!(
                "{id} has applied {}, committed {} and last {}",
                now.applied, now.committed, now.last
            ),
        );
    }
    Ok(())
}

/// A member has started: it remembers what its disk holds.
pub(crate) fn restart(durable: &DurableState, now: &Status) -> Verdict {
    let state = durable.hard_state;
    if now.term < state.term || (now.term == state.term && now.vote != state.vote) {
        return violation(
            NAME,
            format!(
                "{} starts in term {} with vote {:?}, and its disk holds {:?}",
                now.id, now.term, now.vote, state
            ),
        );
    }
    if now.committed < durable.snapshot.id.index {
        let image = durable.snapshot.id;
        let text = format!("{} starts with commit {} and image {image}", now.id, now.committed);
        return violation(NAME, text);
    }
    Ok(())
}
