//! The few messages of etcd's API that are sent, and the fewer that are read.
//!
//! They are written by hand because a request is prepared once and sent a million times, with
//! nothing changed in it but the digits of its key.

/// The bytes before a message in the body of a gRPC call: not compressed, and its length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// A message of protobuf that grows.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Adds a field of bytes, unless they are empty.
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        if !value.is_empty() {
            self.0.extend(varint(u64::from(field) << 3 | 2));
            self.0.extend(varint(value.len() as u64));
            self.0.extend_from_slice(value);
        }
        self
    }

    /// Adds a field that is a message.
    pub(crate) fn message(mut self, field: u32, value: Message) -> Message {
        self.0.extend(varint(u64::from(field) << 3 | 2));
        self.0.extend(varint(value.0.len() as u64));
        self.0.extend(value.0);
        self
    }

    /// Adds a field that is a number, an enum or a truth, unless it is zero.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Message {
        if value != 0 {
            self.0.extend(varint(u64::from(field) << 3));
            self.0.extend(varint(value));
        }
        self
    }

    /// The body of a call that carries this message.
    pub(crate) fn into_body(self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("requests are small");
        let mut body = Vec::with_capacity(PREFIX_BYTES + self.0.len());
        body.push(0);
        body.extend_from_slice(&crate::frame::split(length));
        body.extend(self.0);
        body
    }
}

fn varint(mut number: u64) -> impl Iterator<Item = u8> {
    let mut left = true;
    std::iter::from_fn(move || {
        if !left {
            return None;
        }
        let low = u8::try_from(number & 0x7f).expect("it has seven bits");
        number >>= 7;
        left = number != 0;
        Some(if left { low | 0x80 } else { low })
    })
}

/// A `PutRequest`.
pub(crate) fn put(key: &[u8], value: &[u8]) -> Message {
    Message::default().bytes(1, key).bytes(2, value)
}

/// What a range asks for beside its keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RangeOptions {
    /// 0 for no limit.
    pub(crate) limit: u64,
    pub(crate) count_only: bool,
    pub(crate) serializable: bool,
}

/// A `RangeRequest`; without an `end` it asks for one key.
pub(crate) fn range(key: &[u8], end: &[u8], options: RangeOptions) -> Message {
    Message::default()
        .bytes(1, key)
        .bytes(2, end)
        .number(3, options.limit)
        .number(7, u64::from(options.serializable))
        .number(9, u64::from(options.count_only))
}

/// A `TxnRequest` that puts, and compares nothing.
pub(crate) fn txn_put(key: &[u8], value: &[u8]) -> Message {
    let operation = Message::default().message(2, put(key, value));
    Message::default().message(2, operation)
}

/// A `CompactionRequest`.
pub(crate) fn compact(revision: u64) -> Message {
    Message::default().number(1, revision)
}

/// A `WatchRequest` that creates a watch of `key`.
pub(crate) fn watch(key: &[u8]) -> Message {
    Message::default().message(1, Message::default().bytes(1, key))
}

/// What a `StatusResponse` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) member: u64,
    pub(crate) revision: u64,
    pub(crate) leader: u64,
    pub(crate) version: String,
}

/// Reads the body of an answer to a status request.
pub(crate) fn read_status(body: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    for (field, value) in fields(body.get(PREFIX_BYTES..)?) {
        match (field, value) {
            (1, Value::Bytes(header)) => {
                for (field, value) in fields(header) {
                    match (field, value) {
                        (2, Value::Number(member)) => status.member = member,
                        (3, Value::Number(revision)) => status.revision = revision,
                        _ => {}
                    }
                }
            }
            (2, Value::Bytes(version)) => {
                status.version = String::from_utf8_lossy(version).into_owned();
            }
            (4, Value::Number(leader)) => status.leader = leader,
            _ => {}
        }
    }
    Some(status)
}

/// Reads the number of keys from the body of an answer to a range.
pub(crate) fn read_count(body: &[u8]) -> Option<u64> {
    let mut count = 0;
    for (field, value) in fields(body.get(PREFIX_BYTES..)?) {
        if let (4, Value::Number(number)) = (field, value) {
            count = number;
        }
    }
    Some(count)
}

/// A field's value, as far as the wire tells.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, until the end or the first thing that cannot be read.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = take_varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(take_varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_is_two_fields_behind_its_length() {
        let body = put(b"k", b"value").into_body();
        assert_eq!(body, b"\x00\x00\x00\x00\x0a\x0a\x01k\x12\x05value");
    }

    #[test]
    fn range_leaves_out_what_is_not_asked_for() {
        let options = RangeOptions { limit: 300, count_only: true, serializable: true };
        let body = range(b"a", b"b", options).into_body();
        assert_eq!(body[PREFIX_BYTES..], *b"\x0a\x01a\x12\x01b\x18\xac\x02\x38\x01\x48\x01");
        let body = range(b"a", b"", RangeOptions::default()).into_body();
        assert_eq!(body[PREFIX_BYTES..], *b"\x0a\x01a");
    }

    #[test]
    fn count_is_read_behind_the_header() {
        let header = Message::default().number(3, 300);
        let body = Message::default().message(1, header).number(4, 1_000_000).into_body();
        assert_eq!(read_count(&body), Some(1_000_000));
    }

    #[test]
    fn status_is_read_past_fields_that_do_not_matter() {
        let header = Message::default().number(1, 9).number(2, u64::MAX).number(3, 300);
        let body = Message::default()
            .message(1, header)
            .bytes(2, b"3.7.1")
            .number(3, 20)
            .number(4, 7)
            .number(5, 70)
            .into_body();
        let status = read_status(&body).unwrap();
        let expected =
            Status { member: u64::MAX, revision: 300, leader: 7, version: "3.7.1".to_owned() };
        assert_eq!(status, expected);
    }
}
