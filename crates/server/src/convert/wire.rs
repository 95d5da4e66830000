//! The protobuf encoding, as far as answers need it: numbers, and things with a length.
//!
//! Fields that are zero or empty are left out, so one message has one encoding.

use bytes::BufMut;

/// The tag of a field that is a number.
#[must_use]
pub const fn number_tag(field: u8) -> u8 {
    assert!(0 < field && field < 16, "the tag of a field has one byte");
    field << 3
}

/// The tag of a field that is bytes, text or a message.
#[must_use]
pub const fn length_tag(field: u8) -> u8 {
    number_tag(field) | 2
}

/// Returns how many bytes a number takes: 1 to 10.
#[must_use]
pub fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Appends a number.
pub fn put_varint(buffer: &mut dyn BufMut, value: u64) {
    let mut bytes = [0; 10];
    let mut rest = value;
    let mut len = 0;
    while 0x7f < rest {
        bytes[len] = low_bits(rest) | 0x80;
        rest >>= 7;
        len += 1;
    }
    bytes[len] = low_bits(rest);
    buffer.put_slice(&bytes[..=len]);
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).expect("seven bits fit into eight")
}

/// Returns how many bytes a field takes that is a number.
#[must_use]
pub fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

/// Appends a field that is a number, unless it is zero.
pub fn put_number(buffer: &mut dyn BufMut, tag: u8, value: u64) {
    if value != 0 {
        buffer.put_u8(tag);
        put_varint(buffer, value);
    }
}

/// Appends a field that is yes or no, unless it is no.
pub fn put_flag(buffer: &mut dyn BufMut, tag: u8, value: bool) {
    put_number(buffer, tag, u64::from(value));
}

/// Returns how many bytes a field takes that has `len` bytes, even if these are none: a message
/// that is there and empty is not the same as none.
#[must_use]
pub fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends the head of a field of `len` bytes, which the caller appends next.
pub fn put_field(buffer: &mut dyn BufMut, tag: u8, len: usize) {
    buffer.put_u8(tag);
    put_varint(buffer, len as u64);
}

/// Appends a field of bytes, even if these are none.
pub fn put_bytes(buffer: &mut dyn BufMut, tag: u8, bytes: &[u8]) {
    put_field(buffer, tag, bytes.len());
    buffer.put_slice(bytes);
}
