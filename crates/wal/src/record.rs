//! The logical layer: records, of which the payload of a unit consists.
//!
//! The layout is drawn in the documentation of the crate. Numbers that stand on a disk are never
//! given another meaning.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::{
    Entry, EntryId, HardState, Index, MemberId, Membership, MembershipChange, Payload,
    SnapshotMeta, Term,
};

/// Bytes of a record before its body.
const HEAD_BYTES: usize = 24;
/// Records begin at multiples of this many bytes.
const ALIGNMENT: usize = 8;

const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const MARK: u8 = 3;
const TRIM: u8 = 4;
const RESET: u8 = 5;
const FOOTER: u8 = 6;

/// One fact of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry. Those at its index and after it are overwritten.
    Entry(Entry),
    /// Term, vote and commit hint, in place of those before.
    HardState(HardState),
    /// There is a durable image of the service.
    Mark(SnapshotMeta),
    /// The entries up to this one are not needed any more.
    Trim(EntryId),
    /// The log is empty and begins after this entry.
    Reset(EntryId),
    /// The segment ends here.
    Footer(Footer),
}

/// The last record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) ending: Ending,
    /// The last entry of the log here.
    pub(crate) last: EntryId,
    /// How many units the segment holds before this one, its header included.
    pub(crate) units: u32,
    /// How many entries the segment holds.
    pub(crate) entries: u32,
    /// The lowest and the highest index that an entry of this segment has; zero if there is none.
    pub(crate) indexes: (Index, Index),
}

/// Why a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The next segment exists.
    Continued,
    /// The log was closed.
    Closed,
}

/// The parts of a record before they are bytes.
struct Parts<'a> {
    tag: u8,
    kind: u8,
    id: EntryId,
    body: &'a [u8],
    /// The rest of the body.
    more: &'a [u8],
}

/// Appends an entry. The command is copied once.
pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let id = entry.id();
    match &entry.payload {
        Payload::Noop => put(out, &Parts { tag: ENTRY, kind: 0, id, body: &[], more: &[] }),
        Payload::Command(command) => {
            put(out, &Parts { tag: ENTRY, kind: 1, id, body: command, more: &[] });
        }
        Payload::Membership(change) => {
            let body = membership_bytes(&change.membership);
            put(out, &Parts { tag: ENTRY, kind: 2, id, body: &body, more: &change.context });
        }
    }
}

/// Appends term, vote and commit hint.
pub(crate) fn put_hard_state(out: &mut Vec<u8>, state: &HardState) {
    let id = EntryId::new(state.commit, state.term);
    let vote = state.vote.map(|vote| vote.0.to_le_bytes());
    let body: &[u8] = vote.as_ref().map_or(&[], |bytes| bytes);
    put(out, &Parts { tag: HARD_STATE, kind: 0, id, body, more: &[] });
}

/// Appends a snapshot mark.
pub(crate) fn put_mark(out: &mut Vec<u8>, mark: &SnapshotMeta) {
    let body = membership_bytes(&mark.membership);
    put(out, &Parts { tag: MARK, kind: 0, id: mark.id, body: &body, more: &[] });
}

/// Appends a trim.
pub(crate) fn put_trim(out: &mut Vec<u8>, id: EntryId) {
    put(out, &Parts { tag: TRIM, kind: 0, id, body: &[], more: &[] });
}

/// Appends a reset.
pub(crate) fn put_reset(out: &mut Vec<u8>, id: EntryId) {
    put(out, &Parts { tag: RESET, kind: 0, id, body: &[], more: &[] });
}

/// Appends a segment's footer.
pub(crate) fn put_footer(out: &mut Vec<u8>, footer: &Footer) {
    let kind = match footer.ending {
        Ending::Continued => 0,
        Ending::Closed => 1,
    };
    let mut body = Vec::with_capacity(24);
    body.extend_from_slice(&footer.units.to_le_bytes());
    body.extend_from_slice(&footer.entries.to_le_bytes());
    body.extend_from_slice(&footer.indexes.0.0.to_le_bytes());
    body.extend_from_slice(&footer.indexes.1.0.to_le_bytes());
    put(out, &Parts { tag: FOOTER, kind, id: footer.last, body: &body, more: &[] });
}

fn put(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let len = parts.body.len() + parts.more.len();
    let len = u32::try_from(len).expect("an entry is far below four gigabytes");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[parts.tag, parts.kind, 0, 0]);
    out.extend_from_slice(&parts.id.index.0.to_le_bytes());
    out.extend_from_slice(&parts.id.term.0.to_le_bytes());
    out.extend_from_slice(parts.body);
    out.extend_from_slice(parts.more);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn membership_bytes(membership: &Membership) -> Vec<u8> {
    let mut out = Vec::new();
    let sets =
        [membership.incoming(), membership.outgoing(), membership.learners(), membership.demoted()];
    for set in sets {
        out.extend_from_slice(&(set.len() as u64).to_le_bytes());
        for id in set {
            out.extend_from_slice(&id.0.to_le_bytes());
        }
    }
    out
}

/// Reads all records of a unit.
///
/// # Errors
///
/// What is there instead of a record. The checksums were right, so either they missed something, or
/// a program wrote this that knows more than this one.
pub(crate) fn read_all(payload: &[u8]) -> Result<Vec<Record>, String> {
    let mut reader = Reader { rest: payload };
    let mut records = Vec::new();
    while !reader.rest.is_empty() {
        records.push(reader.record()?);
    }
    Ok(records)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn record(&mut self) -> Result<Record, String> {
        let len = usize::try_from(self.u32()?).map_err(|error| error.to_string())?;
        let head = self.take(4)?;
        let (tag, kind) = (head[0], head[1]);
        let id = EntryId::new(Index(self.u64()?), Term(self.u64()?));
        let body = self.take(len)?;
        self.take((HEAD_BYTES + len).next_multiple_of(ALIGNMENT) - HEAD_BYTES - len)?;
        let mut body = Reader { rest: body };
        let record = match (tag, kind) {
            (ENTRY, 0) => Record::Entry(entry(id, Payload::Noop)),
            (ENTRY, 1) => {
                let command = Bytes::copy_from_slice(body.take_rest());
                Record::Entry(entry(id, Payload::Command(command)))
            }
            (ENTRY, 2) => {
                let membership = body.membership()?;
                let context = Bytes::copy_from_slice(body.take_rest());
                let change = MembershipChange { membership, context };
                Record::Entry(entry(id, Payload::Membership(change)))
            }
            (HARD_STATE, 0) => {
                let vote = if len == 0 { None } else { Some(MemberId(body.u64()?)) };
                Record::HardState(HardState { term: id.term, vote, commit: id.index })
            }
            (MARK, 0) => Record::Mark(SnapshotMeta { id, membership: body.membership()? }),
            (TRIM, 0) => Record::Trim(id),
            (RESET, 0) => Record::Reset(id),
            (FOOTER, 0 | 1) => Record::Footer(Footer {
                ending: if kind == 0 { Ending::Continued } else { Ending::Closed },
                last: id,
                units: body.u32()?,
                entries: body.u32()?,
                indexes: (Index(body.u64()?), Index(body.u64()?)),
            }),
            (tag, kind) => return Err(format!("a record of the unknown type {tag}.{kind}")),
        };
        if !body.rest.is_empty() {
            return Err(format!("{} bytes too many in a record of type {tag}", body.rest.len()));
        }
        Ok(record)
    }

    fn membership(&mut self) -> Result<Membership, String> {
        let mut sets: [BTreeSet<MemberId>; 4] = Default::default();
        for set in &mut sets {
            for _ in 0..self.u64()? {
                set.insert(MemberId(self.u64()?));
            }
        }
        let [incoming, outgoing, learners, demoted] = sets;
        Membership::from_parts(incoming, outgoing, learners, demoted)
            .ok_or_else(|| "a membership that contradicts itself".to_owned())
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or_else(|| format!("a record that needs {bytes} bytes of {}", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }
}

fn entry(id: EntryId, payload: Payload) -> Entry {
    Entry { index: id.index, term: id.term, payload }
}
