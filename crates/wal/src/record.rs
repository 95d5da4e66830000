//! The logical layer: records, of which the payload of a unit consists.
//!
//! The layout is drawn in the documentation of the crate. Numbers that stand on a disk are never
//! given another meaning.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::{
    Entry, EntryId, HardState, Index, MemberId, Membership, MembershipChange, Payload,
    SnapshotMeta, Term,
};

/// The most bytes of a command that are not written because the command before begins alike: what
/// stands before the body of a command, and a little of it.
const SHARED_BYTES_MAX: usize = 32;
/// Lengths are written in groups of so many bits, the lowest first.
const GROUP_BITS: u32 = 7;
/// Set in every group but the last.
const MORE: u8 = 1 << GROUP_BITS;

/// An entry, with index and term.
const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const MARK: u8 = 3;
const TRIM: u8 = 4;
const RESET: u8 = 5;
const FOOTER: u8 = 6;
/// An entry right behind another: of the next index, and of the same term.
const NEXT: u8 = 7;

/// The kinds of entries.
mod kind {
    pub(super) const NOTHING: u8 = 0;
    pub(super) const COMMAND: u8 = 1;
    pub(super) const MEMBERSHIP: u8 = 2;
    /// A command without the bytes that the command before begins with as well.
    pub(super) const SHORT_COMMAND: u8 = 3;
}

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
    /// `None` if the tag is [`NEXT`].
    id: Option<EntryId>,
    body: &'a [u8],
    /// The rest of the body.
    more: &'a [u8],
}

/// Appends the entries of a batch. Each command is copied once.
pub(crate) fn put_entries(out: &mut Vec<u8>, entries: &[Entry]) {
    let mut before = None;
    for entry in entries {
        put_entry(out, before, entry);
        before = Some(entry);
    }
}

/// Appends an entry; `before` is the one that was appended last, if nothing was since.
fn put_entry(out: &mut Vec<u8>, before: Option<&Entry>, entry: &Entry) {
    let before =
        before.filter(|before| before.term == entry.term && before.index == entry.index.previous());
    let (tag, id) = match before {
        Some(_) => (NEXT, None),
        None => (ENTRY, Some(entry.id())),
    };
    match &entry.payload {
        Payload::Noop => put(out, &Parts { tag, kind: kind::NOTHING, id, body: &[], more: &[] }),
        Payload::Command(command) => {
            // One byte says how many are shared.
            let shared = before.map_or(0, |before| shared_len(before, command));
            if 1 < shared {
                let len = [u8::try_from(shared).expect("it is limited")];
                let more = &command[shared..];
                put(out, &Parts { tag, kind: kind::SHORT_COMMAND, id, body: &len, more });
            } else {
                put(out, &Parts { tag, kind: kind::COMMAND, id, body: command, more: &[] });
            }
        }
        Payload::Membership(change) => {
            let (body, more) = (&membership_bytes(&change.membership)[..], &change.context[..]);
            put(out, &Parts { tag, kind: kind::MEMBERSHIP, id, body, more });
        }
    }
}

/// Returns how many of its first bytes a command need not write out.
fn shared_len(before: &Entry, command: &[u8]) -> usize {
    let before: &[u8] = match &before.payload {
        Payload::Command(before) => before,
        Payload::Noop | Payload::Membership(_) => &[],
    };
    let pairs = before.iter().zip(command).take(SHARED_BYTES_MAX);
    pairs.take_while(|(before, now)| before == now).count()
}

/// Appends term, vote and commit hint.
pub(crate) fn put_hard_state(out: &mut Vec<u8>, state: &HardState) {
    let id = EntryId::new(state.commit, state.term);
    let vote = state.vote.map(|vote| vote.0.to_le_bytes());
    let body: &[u8] = vote.as_ref().map_or(&[], |bytes| bytes);
    put(out, &Parts { tag: HARD_STATE, kind: 0, id: Some(id), body, more: &[] });
}

/// Appends a snapshot mark.
pub(crate) fn put_mark(out: &mut Vec<u8>, mark: &SnapshotMeta) {
    let body = membership_bytes(&mark.membership);
    put(out, &Parts { tag: MARK, kind: 0, id: Some(mark.id), body: &body, more: &[] });
}

/// Appends a trim.
pub(crate) fn put_trim(out: &mut Vec<u8>, id: EntryId) {
    put(out, &Parts { tag: TRIM, kind: 0, id: Some(id), body: &[], more: &[] });
}

/// Appends a reset.
pub(crate) fn put_reset(out: &mut Vec<u8>, id: EntryId) {
    put(out, &Parts { tag: RESET, kind: 0, id: Some(id), body: &[], more: &[] });
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
    put(out, &Parts { tag: FOOTER, kind, id: Some(footer.last), body: &body, more: &[] });
}

fn put(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let len = parts.body.len() + parts.more.len();
    let len = u32::try_from(len).expect("an entry is far below four gigabytes");
    out.push(parts.tag << 4 | parts.kind);
    put_length(out, len);
    if let Some(id) = parts.id {
        out.extend_from_slice(&id.index.0.to_le_bytes());
        out.extend_from_slice(&id.term.0.to_le_bytes());
    }
    out.extend_from_slice(parts.body);
    out.extend_from_slice(parts.more);
}

fn put_length(out: &mut Vec<u8>, length: u32) {
    let mut rest = length;
    while u32::from(MORE) <= rest {
        let group = u8::try_from(rest % u32::from(MORE)).expect("seven bits");
        out.push(MORE | group);
        rest >>= GROUP_BITS;
    }
    out.push(u8::try_from(rest).expect("what is left is below 128"));
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
        let before = match records.last() {
            Some(Record::Entry(entry)) => Some(entry),
            Some(
                Record::HardState(_)
                | Record::Mark(_)
                | Record::Trim(_)
                | Record::Reset(_)
                | Record::Footer(_),
            )
            | None => None,
        };
        let record = reader.record(before)?;
        records.push(record);
    }
    Ok(records)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads one record; `before` is the entry right before it.
    fn record(&mut self, before: Option<&Entry>) -> Result<Record, String> {
        let head = self.byte()?;
        let (tag, kind) = (head >> 4, head & 0xf);
        let len = self.length()?;
        let id = match tag {
            ENTRY..=FOOTER => EntryId::new(Index(self.u64()?), Term(self.u64()?)),
            NEXT => {
                let before = before.ok_or("an entry that should follow another, and does not")?;
                EntryId::new(before.index.next(), before.term)
            }
            _ => return Err(format!("a record of the unknown type {tag}.{kind}")),
        };
        if id.index == Index(u64::MAX) {
            return Err(format!("index {}, behind which there is none", id.index));
        }
        let mut body = Reader { rest: self.take(len)? };
        let record = match (tag, kind) {
            (ENTRY | NEXT, kind::NOTHING) => Record::Entry(entry(id, Payload::Noop)),
            (ENTRY | NEXT, kind::COMMAND) => {
                let command = Bytes::copy_from_slice(body.take_rest());
                Record::Entry(entry(id, Payload::Command(command)))
            }
            (NEXT, kind::SHORT_COMMAND) => {
                let command = body.short_command(before)?;
                Record::Entry(entry(id, Payload::Command(command)))
            }
            (ENTRY | NEXT, kind::MEMBERSHIP) => {
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

    /// Reads a command that begins like that of the entry before.
    fn short_command(&mut self, before: Option<&Entry>) -> Result<Bytes, String> {
        let before: &[u8] = match before.map(|before| &before.payload) {
            Some(Payload::Command(before)) => before,
            Some(Payload::Noop | Payload::Membership(_)) | None => &[],
        };
        let len = usize::from(self.byte()?);
        let shared = before.get(..len).filter(|_| len <= SHARED_BYTES_MAX).ok_or_else(|| {
            format!("a command that begins with {len} bytes of one of {}", before.len())
        })?;
        Ok(Bytes::from([shared, self.take_rest()].concat()))
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

    /// Reads a length, which has no group too many.
    fn length(&mut self) -> Result<usize, String> {
        let mut length = 0;
        for shift in (0..u32::BITS).step_by(GROUP_BITS as usize) {
            let group = self.byte()?;
            length |= u64::from(group & !MORE) << shift;
            if group & MORE == 0 {
                let is_shortest = group != 0 || shift == 0;
                let length = u32::try_from(length).ok().filter(|_| is_shortest);
                let length = length.ok_or("a length that is not written as lengths are")?;
                return usize::try_from(length).map_err(|error| error.to_string());
            }
        }
        Err("a length of more than five bytes".to_owned())
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
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
