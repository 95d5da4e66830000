//! The protobuf encoding of `mvccpb.KeyValue`, and of nothing else.
//!
//! ```text
//! field   1 key   2 create_revision   3 mod_revision   4 version   5 value   6 lease
//! tag     0a      10                  18               20          2a        30
//! type    bytes   varint              varint           varint      bytes     varint (int64)
//! ```
//!
//! Fields are written in this order, and left out if zero or empty, so that one message has one
//! encoding. Everything before the value is the encoding of the message without value and lease,
//! which is what a range of keys only answers.

const KEY: u8 = 0x0a;
const CREATE_REVISION: u8 = 0x10;
const MOD_REVISION: u8 = 0x18;
const VERSION: u8 = 0x20;
const VALUE: u8 = 0x2a;
const LEASE: u8 = 0x30;

/// The fields of the message. Zero and empty are what they are in protobuf: absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyValue<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) create_revision: u64,
    pub(crate) mod_revision: u64,
    pub(crate) version: u64,
    pub(crate) value: &'a [u8],
    pub(crate) lease: i64,
}

impl<'a> KeyValue<'a> {
    /// Appends the encoding to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, KEY, self.key);
        put_number(out, CREATE_REVISION, self.create_revision);
        put_number(out, MOD_REVISION, self.mod_revision);
        put_number(out, VERSION, self.version);
        put_bytes(out, VALUE, self.value);
        put_number(out, LEASE, self.lease.cast_unsigned());
    }

    /// Returns the message that `bytes` encode, or `None` if [`KeyValue::encode`] would not have
    /// written exactly these bytes.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<KeyValue<'a>> {
        let mut rest = bytes;
        let key = take_bytes(&mut rest, KEY)?;
        let mut message = KeyValue::decode_behind_key(rest)?;
        message.key = key;
        Some(message)
    }

    /// Returns the message without its key, from the bytes behind the key.
    pub(crate) fn decode_behind_key(mut rest: &'a [u8]) -> Option<KeyValue<'a>> {
        let message = KeyValue {
            key: &[],
            create_revision: take_number(&mut rest, CREATE_REVISION)?,
            mod_revision: take_number(&mut rest, MOD_REVISION)?,
            version: take_number(&mut rest, VERSION)?,
            value: take_bytes(&mut rest, VALUE)?,
            lease: take_number(&mut rest, LEASE)?.cast_signed(),
        };
        rest.is_empty().then_some(message)
    }
}

/// Splits the bytes of a version into its key, which is never empty, and what is behind the key.
pub(crate) fn split_key(message: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = message;
    let key = take_bytes(&mut rest, KEY).expect("the bytes of a version are well formed");
    (key, rest)
}

/// Returns the field, from the bytes behind the key.
pub(crate) fn mod_revision(behind_key: &[u8]) -> u64 {
    let mut rest = behind_key;
    take_number(&mut rest, CREATE_REVISION)
        .and_then(|_| take_number(&mut rest, MOD_REVISION))
        .expect("the bytes of a version are well formed")
}

/// Returns where the value's field begins, in bytes behind the key.
pub(crate) fn before_value(behind_key: &[u8]) -> usize {
    let mut rest = behind_key;
    for tag in [CREATE_REVISION, MOD_REVISION, VERSION] {
        take_number(&mut rest, tag).expect("the bytes of a version are well formed");
    }
    behind_key.len() - rest.len()
}

fn put_number(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        out.push(tag);
        put_varint(out, number);
    }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(tag);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a field that may be absent; `None` means that the bytes are wrong.
fn take_number(rest: &mut &[u8], tag: u8) -> Option<u64> {
    if rest.first() != Some(&tag) {
        return Some(0);
    }
    *rest = &rest[1..];
    take_varint(rest).filter(|number| *number != 0)
}

fn take_bytes<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    if rest.first() != Some(&tag) {
        return Some(&[]);
    }
    *rest = &rest[1..];
    let len = usize::try_from(take_varint(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    (len != 0).then_some(bytes)
}

/// Takes a number in its shortest form.
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in rest.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * at);
        if byte & 0x80 == 0 {
            if at > 0 && *byte == 0 {
                return None;
            }
            *rest = &rest[at + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &KeyValue<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn bytes_are_those_of_protobuf() {
        let message = KeyValue {
            key: b"foo",
            create_revision: 2,
            mod_revision: 300,
            version: 3,
            value: b"bar",
            lease: -1,
        };
        let golden = [
            0x0a, 3, b'f', b'o', b'o', // key
            0x10, 2, // create_revision
            0x18, 0xac, 0x02, // mod_revision
            0x20, 3, // version
            0x2a, 3, b'b', b'a', b'r', // value
            0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, // lease
        ];
        assert_eq!(encoded(&message), golden);
        assert_eq!(KeyValue::decode(&golden), Some(message));
    }

    #[test]
    fn zero_and_empty_fields_are_absent() {
        let tombstone = KeyValue { key: b"k", mod_revision: 5, ..KeyValue::default() };
        assert_eq!(encoded(&tombstone), [0x0a, 1, b'k', 0x18, 5]);
        assert_eq!(encoded(&KeyValue::default()), []);
        assert_eq!(KeyValue::decode(&[]), Some(KeyValue::default()));
    }

    #[test]
    fn lengths_and_numbers_of_every_size_come_back() {
        for bits in 0..64 {
            for number in [1_u64 << bits, (1 << bits) - 1, (1 << bits) + 1] {
                let message = KeyValue { key: b"k", mod_revision: number, ..KeyValue::default() };
                assert_eq!(KeyValue::decode(&encoded(&message)), Some(message));
            }
        }
        for len in [0, 1, 127, 128, 16_383, 16_384] {
            let key = vec![b'x'; len];
            let message = KeyValue { key: &key, mod_revision: 300, ..KeyValue::default() };
            let bytes = encoded(&message);
            assert_eq!(KeyValue::decode(&bytes), Some(message));
            assert_eq!(split_key(&bytes), (&key[..], &[0x18, 0xac, 2][..]), "{len} bytes");
            assert_eq!(mod_revision(split_key(&bytes).1), 300);
        }
    }

    #[test]
    fn what_is_not_the_one_encoding_is_refused() {
        let wrong: [&[u8]; 8] = [
            &[0x0a, 2, b'k'],    // shorter than it says
            &[0x0a, 0],          // an empty field that is present
            &[0x18, 0],          // a zero that is present
            &[0x18, 0x85, 0x00], // a number that is longer than need be
            &[0x18, 5, 0x10, 5], // fields out of order
            &[0x18, 0x80],       // a number without an end
            &[0x38, 1],          // an unknown field
            &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], // over 64 bits
        ];
        for bytes in wrong {
            assert_eq!(KeyValue::decode(bytes), None, "{bytes:x?}");
        }
    }
}
