//! Messages between members as bytes.
//!
//! ```text
//! frame     0 4  bytes of the body           body      0 1  what it is
//!           4 4  crc32c of the body                    1 …  its fields, in the order of the type
//!           8 …  body
//!
//! numbers are little-endian; bytes, texts and lists stand behind their length (u32)
//! ```
//!
//! Numbers of kinds are spoken between versions, and never change.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    AppendOutcome, Ballot, Body, Campaign, Entry, EntryId, Index, MemberId, Membership,
    MembershipChange, Message, Payload, Round, Snapshot, SnapshotMeta, Term,
};
use replica::{ForwardRefusal, LeaseLife, LeaseQuestionKind, MembershipRefusal, PeerMessage};
use store::{CommandId, MembershipContext};

use super::bytes::{Reader, WireError, put_bytes, put_i64, put_list, put_u8, put_u64};

/// The longest body of a frame: a batch of appended entries, or one entry that is larger.
pub(crate) const BODY_BYTES_MAX: usize = 512 << 20;

/// What stands before a frame's body, in bytes.
pub(crate) const FRAME_HEAD_BYTES: usize = 8;

/// Appends a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let head = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    let start = out.len();
    body(out);
    let len = u32::try_from(out.len() - start).expect("no frame has 4 GiB");
    let checksum = crc32c::crc32c(&out[start..]);
    out[head..head + 4].copy_from_slice(&len.to_le_bytes());
    out[head + 4..start].copy_from_slice(&checksum.to_le_bytes());
}

/// Returns the length and the checksum of the body that a frame's head announces.
pub(crate) fn frame_head(head: [u8; FRAME_HEAD_BYTES]) -> Result<(usize, u32), WireError> {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let found = word(0) as usize;
    if BODY_BYTES_MAX < found {
        return Err(WireError::TooLong { found, max: BODY_BYTES_MAX });
    }
    Ok((found, word(4)))
}

/// Compares a body with the checksum that its head announced.
pub(crate) fn check_body(body: &[u8], found: u32) -> Result<(), WireError> {
    let expected = crc32c::crc32c(body);
    if expected == found { Ok(()) } else { Err(WireError::Checksum { expected, found }) }
}

/// Appends a message, as a frame.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &PeerMessage) {
    put_frame(out, |out| match message {
        PeerMessage::Raft(message) => {
            put_u8(out, 1);
            put_raft(out, message);
        }
        PeerMessage::Forward { term, commands } => {
            put_u8(out, 2);
            put_u64(out, term.0);
            put_list(out, commands.iter(), |out, command| put_bytes(out, command));
        }
        PeerMessage::ForwardChange { term, id, changes, context } => {
            put_u8(out, 3);
            put_u64(out, term.0);
            put_u64(out, id.origin);
            put_u64(out, id.sequence);
            put_list(out, changes.iter(), |out, change| put_change(out, *change));
            put_bytes(out, &context.encode());
        }
        PeerMessage::ForwardRefused { term, sequences, reason } => {
            put_u8(out, 4);
            put_u64(out, term.0);
            put_list(out, sequences.iter(), |out, sequence| put_u64(out, *sequence));
            put_u8(out, refusal_number(*reason));
        }
        PeerMessage::LeaseQuestion { nonce, ids, kind } => {
            put_u8(out, 5);
            put_u64(out, *nonce);
            put_list(out, ids.iter(), |out, id| put_i64(out, *id));
            put_u8(
                out,
                match kind {
                    LeaseQuestionKind::Renew => 1,
                    LeaseQuestionKind::Tell => 2,
                },
            );
        }
        PeerMessage::LeaseAnswer { nonce, leases, applied } => {
            put_u8(out, 6);
            put_u64(out, *nonce);
            put_list(out, leases.iter(), |out, life| {
                put_i64(out, life.id);
                put_u8(out, u8::from(life.granted.is_some()));
                put_i64(out, life.granted.unwrap_or(0));
                put_i64(out, life.remaining);
            });
            put_u64(out, applied.0);
        }
        PeerMessage::LeaseRefused { nonce } => {
            put_u8(out, 7);
            put_u64(out, *nonce);
        }
    });
}

/// Reads the body of a frame.
pub(crate) fn message(body: Bytes) -> Result<PeerMessage, WireError> {
    let mut from = Reader::new(body);
    let message = match from.u8()? {
        1 => PeerMessage::Raft(raft_message(&mut from)?),
        2 => PeerMessage::Forward { term: Term(from.u64()?), commands: from.list(Reader::bytes)? },
        3 => PeerMessage::ForwardChange {
            term: Term(from.u64()?),
            id: CommandId { origin: from.u64()?, sequence: from.u64()? },
            changes: from.list(change)?,
            context: MembershipContext::decode(&from.bytes()?)
                .map_err(|_| WireError::Contradiction)?,
        },
        4 => PeerMessage::ForwardRefused {
            term: Term(from.u64()?),
            sequences: from.list(Reader::u64)?,
            reason: refusal(from.u8()?)?,
        },
        5 => PeerMessage::LeaseQuestion {
            nonce: from.u64()?,
            ids: from.list(Reader::i64)?,
            kind: match from.u8()? {
                1 => LeaseQuestionKind::Renew,
                2 => LeaseQuestionKind::Tell,
                found => return Err(unknown("a kind of question", found)),
            },
        },
        6 => PeerMessage::LeaseAnswer {
            nonce: from.u64()?,
            leases: from.list(|from| {
                let id = from.i64()?;
                let (exists, granted) = (from.u8()? != 0, from.i64()?);
                Ok(LeaseLife { id, granted: exists.then_some(granted), remaining: from.i64()? })
            })?,
            applied: Index(from.u64()?),
        },
        7 => PeerMessage::LeaseRefused { nonce: from.u64()? },
        found => return Err(unknown("a kind of message", found)),
    };
    from.finish()?;
    Ok(message)
}

/// What arrives on a connection for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A message.
    Message(PeerMessage),
    /// "Are you there?" To be answered with the same number.
    Ping(u64),
}

const PING: u8 = 200;
const PONG: u8 = 201;

/// Reads the body of a frame on a connection for messages.
pub(crate) fn arrival(body: Bytes) -> Result<Arrival, WireError> {
    if body.first() == Some(&PING) {
        return numbered(body).map(Arrival::Ping);
    }
    message(body).map(Arrival::Message)
}

/// Appends the question whether the peer is there, as a frame.
pub(crate) fn put_ping(out: &mut Vec<u8>, number: u64) {
    put_frame(out, |out| {
        put_u8(out, PING);
        put_u64(out, number);
    });
}

/// Appends the answer to a ping, as a frame.
pub(crate) fn put_pong(out: &mut Vec<u8>, number: u64) {
    put_frame(out, |out| {
        put_u8(out, PONG);
        put_u64(out, number);
    });
}

/// Reads the answer to a ping.
pub(crate) fn read_pong(body: Bytes) -> Result<u64, WireError> {
    match body.first() {
        Some(&PONG) => numbered(body),
        Some(&found) => Err(unknown("an answer to a ping", found)),
        None => Err(WireError::Short { missing: 1 }),
    }
}

fn numbered(body: Bytes) -> Result<u64, WireError> {
    let mut from = Reader::new(body);
    from.u8()?;
    let number = from.u64()?;
    from.finish()?;
    Ok(number)
}

fn unknown(what: &'static str, found: u8) -> WireError {
    WireError::Unknown { what, found: u64::from(found) }
}

// === What is forwarded ===

const MEMBERSHIP_REFUSALS: [MembershipRefusal; 11] = [
    MembershipRefusal::Exists,
    MembershipRefusal::NotFound,
    MembershipRefusal::Removed,
    MembershipRefusal::NotLearner,
    MembershipRefusal::LearnerNotReady,
    MembershipRefusal::LastVoter,
    MembershipRefusal::Unhealthy,
    MembershipRefusal::Pending,
    MembershipRefusal::TooManyLearners,
    MembershipRefusal::PeerUrlExists,
    MembershipRefusal::Contradictory,
];

fn refusal_number(refusal: ForwardRefusal) -> u8 {
    match refusal {
        ForwardRefusal::NotLeader => 1,
        ForwardRefusal::Busy => 2,
        ForwardRefusal::Membership(refusal) => {
            let at = MEMBERSHIP_REFUSALS.iter().position(|known| *known == refusal);
            let at = at.expect("the table has every refusal");
            16 + u8::try_from(at).expect("the table is short")
        }
    }
}

fn refusal(number: u8) -> Result<ForwardRefusal, WireError> {
    match number {
        1 => Ok(ForwardRefusal::NotLeader),
        2 => Ok(ForwardRefusal::Busy),
        _ => number
            .checked_sub(16)
            .and_then(|at| MEMBERSHIP_REFUSALS.get(usize::from(at)))
            .map(|refusal| ForwardRefusal::Membership(*refusal))
            .ok_or_else(|| unknown("a reason of a refusal", number)),
    }
}

fn put_change(out: &mut Vec<u8>, change: Change) {
    put_u8(
        out,
        match change {
            Change::AddVoter(_) => 1,
            Change::AddLearner(_) => 2,
            Change::Promote(_) => 3,
            Change::Demote(_) => 4,
            Change::Remove(_) => 5,
        },
    );
    put_u64(out, change.member().0);
}

fn change(from: &mut Reader) -> Result<Change, WireError> {
    let (kind, member) = (from.u8()?, MemberId(from.u64()?));
    match kind {
        1 => Ok(Change::AddVoter(member)),
        2 => Ok(Change::AddLearner(member)),
        3 => Ok(Change::Promote(member)),
        4 => Ok(Change::Demote(member)),
        5 => Ok(Change::Remove(member)),
        found => Err(unknown("a change", found)),
    }
}

// === Raft's messages ===

fn put_raft(out: &mut Vec<u8>, message: &Message) {
    put_u64(out, message.from.0);
    put_u64(out, message.to.0);
    put_u64(out, message.term.0);
    match &message.body {
        Body::PreVote { last } => {
            put_u8(out, 1);
            put_id(out, *last);
        }
        Body::PreVoteResponse { ballot } => {
            put_u8(out, 2);
            put_u8(out, ballot_number(*ballot));
        }
        Body::RequestVote { last, campaign } => {
            put_u8(out, 3);
            put_id(out, *last);
            put_u8(
                out,
                match campaign {
                    Campaign::Timeout => 1,
                    Campaign::Transfer => 2,
                },
            );
        }
        Body::VoteResponse { ballot } => {
            put_u8(out, 4);
            put_u8(out, ballot_number(*ballot));
        }
        Body::AppendEntries { prev, entries, commit, round } => {
            put_u8(out, 5);
            put_id(out, *prev);
            put_list(out, entries.iter(), put_entry);
            put_u64(out, commit.0);
            put_u64(out, round.0);
        }
        Body::AppendResponse { round, outcome } => {
            put_u8(out, 6);
            put_u64(out, round.0);
            put_outcome(out, *outcome);
        }
        Body::InstallSnapshot { snapshot } => {
            put_u8(out, 7);
            put_meta(out, &snapshot.meta);
            put_bytes(out, &snapshot.data);
        }
        Body::TimeoutNow => put_u8(out, 8),
        Body::ReadIndex { nonce } => {
            put_u8(out, 9);
            put_u64(out, *nonce);
        }
        Body::ReadIndexResponse { nonce, index } => {
            put_u8(out, 10);
            put_u64(out, *nonce);
            put_u64(out, index.0);
        }
    }
}

fn raft_message(from: &mut Reader) -> Result<Message, WireError> {
    let (sender, to, term) = (MemberId(from.u64()?), MemberId(from.u64()?), Term(from.u64()?));
    let body = match from.u8()? {
        1 => Body::PreVote { last: id(from)? },
        2 => Body::PreVoteResponse { ballot: ballot(from)? },
        3 => Body::RequestVote {
            last: id(from)?,
            campaign: match from.u8()? {
                1 => Campaign::Timeout,
                2 => Campaign::Transfer,
                found => return Err(unknown("a reason to campaign", found)),
            },
        },
        4 => Body::VoteResponse { ballot: ballot(from)? },
        5 => Body::AppendEntries {
            prev: id(from)?,
            entries: from.list(entry)?,
            commit: Index(from.u64()?),
            round: Round(from.u64()?),
        },
        6 => Body::AppendResponse { round: Round(from.u64()?), outcome: outcome(from)? },
        7 => {
            Body::InstallSnapshot { snapshot: Snapshot { meta: meta(from)?, data: from.bytes()? } }
        }
        8 => Body::TimeoutNow,
        9 => Body::ReadIndex { nonce: from.u64()? },
        10 => Body::ReadIndexResponse { nonce: from.u64()?, index: Index(from.u64()?) },
        found => return Err(unknown("a kind of Raft message", found)),
    };
    Ok(Message { from: sender, to, term, body })
}

fn put_id(out: &mut Vec<u8>, id: EntryId) {
    put_u64(out, id.index.0);
    put_u64(out, id.term.0);
}

fn id(from: &mut Reader) -> Result<EntryId, WireError> {
    Ok(EntryId::new(Index(from.u64()?), Term(from.u64()?)))
}

fn ballot_number(ballot: Ballot) -> u8 {
    match ballot {
        Ballot::Granted => 1,
        Ballot::Refused => 2,
    }
}

fn ballot(from: &mut Reader) -> Result<Ballot, WireError> {
    match from.u8()? {
        1 => Ok(Ballot::Granted),
        2 => Ok(Ballot::Refused),
        found => Err(unknown("a ballot", found)),
    }
}

fn put_outcome(out: &mut Vec<u8>, outcome: AppendOutcome) {
    match outcome {
        AppendOutcome::Accepted { matched } => {
            put_u8(out, 1);
            put_u64(out, matched.0);
        }
        AppendOutcome::Rejected { prev, hint } => {
            put_u8(out, 2);
            put_u64(out, prev.0);
            put_id(out, hint);
        }
        AppendOutcome::StaleTerm => put_u8(out, 3),
    }
}

fn outcome(from: &mut Reader) -> Result<AppendOutcome, WireError> {
    Ok(match from.u8()? {
        1 => AppendOutcome::Accepted { matched: Index(from.u64()?) },
        2 => AppendOutcome::Rejected { prev: Index(from.u64()?), hint: id(from)? },
        3 => AppendOutcome::StaleTerm,
        found => return Err(unknown("an outcome", found)),
    })
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_u64(out, entry.index.0);
    put_u64(out, entry.term.0);
    match &entry.payload {
        Payload::Noop => put_u8(out, 0),
        Payload::Command(command) => {
            put_u8(out, 1);
            put_bytes(out, command);
        }
        Payload::Membership(change) => {
            put_u8(out, 2);
            put_membership(out, &change.membership);
            put_bytes(out, &change.context);
        }
    }
}

fn entry(from: &mut Reader) -> Result<Entry, WireError> {
    let (index, term) = (Index(from.u64()?), Term(from.u64()?));
    let payload = match from.u8()? {
        0 => Payload::Noop,
        1 => Payload::Command(from.bytes()?),
        2 => Payload::Membership(MembershipChange {
            membership: membership(from)?,
            context: from.bytes()?,
        }),
        found => return Err(unknown("a kind of entry", found)),
    };
    Ok(Entry { index, term, payload })
}

fn put_meta(out: &mut Vec<u8>, meta: &SnapshotMeta) {
    put_id(out, meta.id);
    put_membership(out, &meta.membership);
}

fn meta(from: &mut Reader) -> Result<SnapshotMeta, WireError> {
    Ok(SnapshotMeta { id: id(from)?, membership: membership(from)? })
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    for set in
        [membership.incoming(), membership.outgoing(), membership.learners(), membership.demoted()]
    {
        put_list(out, set.iter(), |out, member| put_u64(out, member.0));
    }
}

fn membership(from: &mut Reader) -> Result<Membership, WireError> {
    let mut set = || -> Result<BTreeSet<MemberId>, WireError> {
        Ok(from.list(|from| from.u64().map(MemberId))?.into_iter().collect())
    };
    let (incoming, outgoing, learners, demoted) = (set()?, set()?, set()?, set()?);
    Membership::from_parts(incoming, outgoing, learners, demoted).ok_or(WireError::Contradiction)
}

#[cfg(test)]
mod tests;
