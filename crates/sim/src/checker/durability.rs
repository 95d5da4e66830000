//! Durability: what a member says is on its disk, and what is committed on a quorum of disks.

use std::collections::BTreeSet;

use raft::{AppendOutcome, Ballot, Body, EntryId, Index, MemberId, Membership, Message};

use super::ledger::Mirror;
use super::{Step, Verdict, violation};
use crate::disk::Disk;

const NAME: &str = "durability";

/// What a member commits is on the disks of a quorum of its configuration, so that every later
/// quorum meets it.
pub(crate) fn committed(step: &Step<'_>) -> Verdict {
    let now = step.now;
    // Log Matching does the rest: the last entry stands for all before it.
    let id = if now.committed == now.last.index { now.last } else { committed_id(step) };
    let secures = |member: MemberId| (step.disks)(member).is_some_and(|disk| disk.secures(id));
    if is_quorum(&now.membership, secures) {
        return Ok(());
    }
    let on: Vec<String> = now
        .membership
        .members()
        .into_iter()
        .filter(|m| secures(*m))
        .map(|m| m.to_string())
        .collect();
    violation(
        NAME,
        format!(
            "{} commits {id} of {}, which is on the disks of {} alone",
            now.id,
            now.membership,
            if on.is_empty() { "nobody".to_owned() } else { on.join(" ") }
        ),
    )
}

/// The last entry that was committed in this step: it is handed out to be applied.
fn committed_id(step: &Step<'_>) -> EntryId {
    let applied = step.effects.apply.last().map(raft::Entry::id);
    applied.filter(|id| id.index == step.now.committed).unwrap_or(step.now.last)
}

/// Tells whether those whom `agrees` names decide for the configuration: by definition, more than
/// half of each of its halves.
pub(crate) fn is_quorum(membership: &Membership, agrees: impl Fn(MemberId) -> bool) -> bool {
    let is_majority = |voters: &BTreeSet<MemberId>| {
        2 * voters.iter().filter(|id| agrees(**id)).count() > voters.len()
    };
    is_majority(membership.incoming())
        && (membership.outgoing().is_empty() || is_majority(membership.outgoing()))
}

/// What a member takes for durable is on its disk.
pub(crate) fn cursor(mirror: &Mirror, step: &Step<'_>) -> Verdict {
    let now = step.now;
    let Some(term) = mirror.term_at(now.durable) else { return Ok(()) };
    let id = EntryId::new(now.durable, term);
    let Some(disk) = (step.disks)(now.id) else { return Ok(()) };
    if disk.secures(id) {
        return Ok(());
    }
    violation(
        NAME,
        format!("{} takes {id} for durable, and its disk ends at {}", now.id, disk.last()),
    )
}

/// A message that promises something leaves only when that is on the disk.
pub(crate) fn sent(message: &Message, disk: &Disk) -> Verdict {
    let state = disk.hard_state();
    let Message { from, to, term, body } = message;
    let kept = match body {
        Body::VoteResponse { ballot: Ballot::Granted } => {
            state.term > *term || (state.term, state.vote) == (*term, Some(*to))
        }
        Body::RequestVote { .. } => {
            state.term > *term || (state.term, state.vote) == (*term, Some(*from))
        }
        // One write may hold what was accepted in this term and what a later leader put in its
        // place. That leader won without the votes of those who had accepted, so that they cannot
        // be a majority: the answer is true of the past, and too late to commit anything.
        Body::AppendResponse { outcome: AppendOutcome::Accepted { matched }, .. } => {
            state.term > *term || (state.term == *term && reaches(disk, *matched))
        }
        Body::AppendResponse { outcome: AppendOutcome::Rejected { .. }, .. }
        | Body::AppendEntries { .. }
        | Body::InstallSnapshot { .. } => state.term >= *term,
        Body::AppendResponse { outcome: AppendOutcome::StaleTerm, .. }
        | Body::VoteResponse { ballot: Ballot::Refused }
        | Body::PreVote { .. }
        | Body::PreVoteResponse { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexResponse { .. } => true,
    };
    if kept {
        return Ok(());
    }
    let vote = state.vote.map_or("nobody".to_owned(), |vote| vote.to_string());
    violation(
        NAME,
        format!(
            "{message} leaves, and the disk of {from} holds term {} with a vote for {vote}, and a \
             log up to {}",
            state.term,
            disk.last()
        ),
    )
}

fn reaches(disk: &Disk, index: Index) -> bool {
    disk.last().index.max(disk.image().meta.id.index) >= index
}
