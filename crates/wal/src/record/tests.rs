//! Records against their bytes, and bytes that are none.

use super::*;

fn entry_of(index: u64, term: u64, payload: Payload) -> Entry {
    entry(EntryId::new(Index(index), Term(term)), payload)
}

fn command(bytes: &[u8]) -> Payload {
    Payload::Command(Bytes::copy_from_slice(bytes))
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    put_entries(&mut out, entries);
    out
}

/// Numbers that follow from a seed (xorshift).
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// Draws a batch. Commands begin with one byte many times, so that they have much in common.
    fn entries(&mut self) -> Vec<Entry> {
        let (mut index, mut term) = (self.below(1000) as u64, 1 + self.below(3) as u64);
        let entries = (0..=self.below(6)).map(|_| {
            index += 1;
            term += u64::from(self.below(4) == 0);
            let payload = match self.below(8) {
                0 => Payload::Noop,
                1 => {
                    let voters = (0..self.below(4)).map(|id| MemberId(id as u64));
                    let membership = Membership::of_voters(voters);
                    let context = vec![7; self.below(20)].into();
                    Payload::Membership(MembershipChange { membership, context })
                }
                _ => {
                    let mut bytes = vec![b'='; self.below(60)];
                    let end = if self.below(4) == 0 { 300 } else { 3 };
                    bytes.extend((0..=u8::MAX).cycle().take(self.below(end)));
                    command(&bytes)
                }
            };
            entry_of(index, term, payload)
        });
        entries.collect()
    }

    fn records(&mut self) -> (Vec<u8>, Vec<Record>) {
        let (mut payload, mut records) = (Vec::new(), Vec::new());
        for _ in 0..=self.below(4) {
            let entries = self.entries();
            put_entries(&mut payload, &entries);
            records.extend(entries.into_iter().map(Record::Entry));
            let id = EntryId::new(Index(self.below(1000) as u64), Term(self.below(9) as u64));
            match self.below(4) {
                0 => {
                    let vote = (self.below(2) == 0).then_some(MemberId(3));
                    let state = HardState { term: id.term, vote, commit: id.index };
                    put_hard_state(&mut payload, &state);
                    records.push(Record::HardState(state));
                }
                1 => {
                    put_trim(&mut payload, id);
                    records.push(Record::Trim(id));
                }
                2 => {
                    let membership = Membership::of_voters([MemberId(1), MemberId(2)]);
                    let mark = SnapshotMeta { id, membership };
                    put_reset(&mut payload, id);
                    put_mark(&mut payload, &mark);
                    records.extend([Record::Reset(id), Record::Mark(mark)]);
                }
                _ => {}
            }
        }
        (payload, records)
    }
}

#[test]
fn what_is_written_is_read() {
    let mut rng = Rng(1);
    for _ in 0..20_000 {
        let (payload, records) = rng.records();
        assert_eq!(read_all(&payload), Ok(records));
    }
}

#[test]
fn no_bytes_make_reading_panic() {
    let mut rng = Rng(2);
    let mut taken = 0;
    for _ in 0..50_000 {
        let (mut payload, records) = rng.records();
        for _ in 0..=rng.below(3) {
            let (at, to) = (rng.below(payload.len()), rng.below(payload.len()));
            match rng.below(5) {
                0 => payload[at] ^= 1 << rng.below(8),
                1 => payload[at] = [0, 1, 0x11, 0x71, 0x73, 0x7f, 0x80, 0xff][rng.below(8)],
                2 => payload.truncate(at.max(1)),
                3 => drop(payload.drain(at.min(to)..at.max(to))),
                _ => payload.extend_from_within(at.min(to)..at.max(to)),
            }
            if payload.is_empty() {
                payload.push(0);
            }
        }
        let read = read_all(&payload);
        taken += usize::from(read.is_ok_and(|read| read != records));
    }
    assert!(1000 < taken, "{taken} were still records");
}

#[test]
fn records_that_are_cut_are_refused() {
    let mut rng = Rng(3);
    for _ in 0..200 {
        let (payload, records) = rng.records();
        for len in 0..payload.len() {
            // Where a record ends, those before are whole.
            if let Ok(read) = read_all(&payload[..len]) {
                assert_eq!(read, records[..read.len()], "{len} bytes of {payload:x?}");
            }
        }
    }
}

#[test]
fn entry_behind_another_takes_two_bytes_of_head() {
    let long = |last| [vec![b'='; 150], vec![last]].concat();
    let entries = [
        entry_of(5, 2, command(&long(1))),
        entry_of(6, 2, command(&long(2))),
        entry_of(7, 2, command(b"=#")),
        entry_of(8, 2, Payload::Noop),
        entry_of(9, 3, command(b"==")),
        entry_of(10, 3, command(b"==")),
    ];
    let expected = [
        &[0x11, 0x97, 1, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        &long(1)[..],
        // One byte for the 32 that are shared.
        &[0x73, 120, 32],
        &long(2)[32..],
        // One byte is not worth a byte.
        &[0x71, 2, b'=', b'#'],
        &[0x70, 0],
        &[0x11, 2, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, b'=', b'='],
        &[0x73, 1, 2],
    ];
    assert_eq!(written(&entries), expected.concat());
}

#[test]
fn what_is_no_record_is_named() {
    let refused = |bytes: &[u8]| read_all(bytes).unwrap_err();
    assert_eq!(refused(&[0; 20]), "a record of the unknown type 0.0");
    assert_eq!(refused(&[0x80, 0]), "a record of the unknown type 8.0");
    let id = [1; 16];
    assert_eq!(refused(&[&[0x13, 0], &id[..]].concat()), "a record of the unknown type 1.3");
    assert_eq!(
        refused(&[&[0x10, 1], &id[..], &[9]].concat()),
        "1 bytes too many in a record of type 1"
    );
    let missing = "an entry that should follow another, and does not";
    assert_eq!(refused(&[0x70, 0]), missing);
    assert_eq!(refused(&[&[0x40, 0], &id[..], &[0x70, 0]].concat()), missing);
    let first = [&[0x11, 3], &id[..], b"===" as &[u8]].concat();
    let short = |len| refused(&[&first[..], &[0x73, 1, len]].concat());
    assert_eq!(short(4), "a command that begins with 4 bytes of one of 3");
    let none_behind = format!("index {}, behind which there is none", u64::MAX);
    assert_eq!(refused(&[&[0x10, 0], &[0xff; 16][..]].concat()), none_behind);
    let last = [&[0x10, 0, 0xfe], &[0xff; 15][..], &[0x70, 0]].concat();
    assert_eq!(refused(&last), none_behind);
}

#[test]
fn length_has_one_form_and_takes_no_memory() {
    for length in [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX - 1, u32::MAX] {
        let mut out = Vec::new();
        put_length(&mut out, length);
        let read = Reader { rest: &out }.length();
        assert_eq!(read, Ok(usize::try_from(length).unwrap()));
    }
    let refused = |bytes: &[u8]| Reader { rest: bytes }.length().unwrap_err();
    let other = "a length that is not written as lengths are";
    assert_eq!(refused(&[0x80, 0]), other);
    assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff, 0x10]), other);
    assert_eq!(refused(&[0xff; 6]), "a length of more than five bytes");
    let huge = [&[0x11, 0xff, 0xff, 0xff, 0xff, 0x0f], &[1; 20][..]].concat();
    assert_eq!(read_all(&huge), Err("a record that needs 4294967295 bytes of 4".to_owned()));
}
