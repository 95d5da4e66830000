//! Messages are well formed, within their limits, and never such that a receiver must suspect its
//! sender.

use raft::{Body, DropReason, Entry, Message, RoleKind};

use super::{Step, Verdict, violation};
use crate::options::CoreOptions;

const NAME: &str = "protocol";

/// A member has dropped messages: none of them for a reason that only a broken member gives.
pub(crate) fn drops(step: &Step<'_>) -> Verdict {
    for dropped in &step.effects.dropped {
        let what = match dropped.reason {
            DropReason::StaleTerm
            | DropReason::LeaderAlive
            | DropReason::WrongRole
            | DropReason::NotMember
            | DropReason::Unexpected => continue,
            DropReason::Misaddressed => "is for somebody else",
            DropReason::SecondLeader => "comes from a second leader of its term",
            DropReason::Malformed => "is malformed",
            DropReason::ContradictsCommitted => "contradicts what is committed",
            DropReason::ImpossibleAck => "acknowledges what was never sent",
        };
        let text = format!("{} drops a message of {}, which {what}", step.id(), dropped.from);
        return violation(NAME, text);
    }
    // Learners get the log, and never ask for votes.
    let campaigns = matches!(step.now.role, RoleKind::PreCandidate | RoleKind::Candidate);
    if campaigns && step.now.membership_committed && !step.now.membership.is_voter(step.id()) {
        let text = format!("{} campaigns, and does not vote in {}", step.id(), step.now.membership);
        return violation(NAME, text);
    }
    Ok(())
}

/// A message leaves.
pub(crate) fn sent(message: &Message, core: &CoreOptions) -> Verdict {
    let Body::AppendEntries { entries, .. } = &message.body else { return Ok(()) };
    let bytes: usize = entries.iter().map(Entry::size).sum();
    let too_large = entries.len() > 1 && bytes > core.append_bytes_max;
    if entries.len() > core.append_entries_max || too_large {
        let text = format!("{message} has {} entries of {bytes} bytes", entries.len());
        return violation(NAME, text);
    }
    Ok(())
}
