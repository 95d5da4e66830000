//! Formats against their bytes, and bytes that are none.

use super::*;
use crate::command::{
    AlarmAction, AlarmKind, Compare, CompareResult, CompareWith, DeleteRange, Operation, Order,
    Put, Range, Target, Txn,
};
use crate::members::MemberAttributes;

const ID: CommandId = CommandId { origin: 0x0102_0304_0506_0708, sequence: 9 };
/// The envelope of kind zero: format, kind, origin, sequence.
const ENVELOPE: [u8; 18] = [2, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 9];

/// Checks that a command is these bytes behind its envelope, and these bytes the command.
#[track_caller]
fn check(command: &Command, kind: u8, body: &str) {
    let mut bytes = ENVELOPE.to_vec();
    bytes[1] = kind;
    bytes.extend_from_slice(&unhex(body));
    let encoded = command.encode(ID);
    assert_eq!(encoded, bytes, "{command:?}");
    assert_eq!(Command::decode(&encoded), Ok((ID, command.clone())));
    assert_eq!(CommandId::of_encoded(&encoded), Ok(ID));
    for len in 0..bytes.len() {
        let cut = encoded.slice(..len);
        let refused = Command::decode(&cut);
        assert!(matches!(refused, Err(DecodeError::Truncated { .. })), "{refused:?} at {len}");
    }
    bytes.push(0);
    let trailing = DecodeError::Trailing { at: encoded.len(), left: 1 };
    assert_eq!(Command::decode(&Bytes::from(bytes)), Err(trailing));
}

/// Reads bytes from hexadecimal digits and from letters in quotes.
fn unhex(text: &str) -> Vec<u8> {
    let words = text.split_whitespace().flat_map(|word| match word.strip_prefix('"') {
        Some(letters) => letters.trim_end_matches('"').as_bytes().to_vec(),
        None => vec![u8::from_str_radix(word, 16).unwrap()],
    });
    words.collect()
}

fn bytes_of(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn puts_and_deletions_are_these_bytes() {
    let put = Put { key: bytes_of("k"), value: bytes_of("vw"), ..Put::default() };
    check(&Command::Put(put.clone()), 1, r#"00  01 "k"  02 "vw""#);
    let full = Put { lease: -2, previous: true, ignore_value: true, ignore_lease: true, ..put };
    let lease = "fe ff ff ff ff ff ff ff";
    let body = format!(r#"0f  {lease}  01 "k"  02 "vw""#);
    check(&Command::Put(full), 1, &body);
    let delete = DeleteRange { key: bytes_of("a"), range_end: bytes_of("b"), previous: false };
    check(&Command::DeleteRange(delete.clone()), 2, r#"00  01 "a"  01 "b""#);
    let delete = DeleteRange { range_end: Bytes::new(), previous: true, ..delete };
    check(&Command::DeleteRange(delete), 2, r#"01  01 "a"  00"#);
}

#[test]
fn transactions_are_these_bytes() {
    let compare = |with| Compare {
        key: bytes_of("c"),
        range_end: Bytes::new(),
        result: CompareResult::NotEqual,
        with,
    };
    let range = Range {
        key: bytes_of("a"),
        range_end: bytes_of("b"),
        revision: 5,
        order: Order::Descending,
        target: Target::Value,
        keys_only: true,
        create_revision_max: 6,
        ..Range::default()
    };
    let put = Put { key: bytes_of("p"), ..Put::default() };
    let txn = Txn {
        compare: vec![
            compare(CompareWith::ModRevision(7)),
            compare(CompareWith::Value(bytes_of("v"))),
        ],
        success: vec![Operation::Range(range), Operation::Txn(Txn::default())],
        failure: vec![
            Operation::Put(put),
            Operation::DeleteRange(DeleteRange { key: bytes_of("d"), ..DeleteRange::default() }),
        ],
    };
    let body = r#"
        02
        03 04  01 "c"  00  07 00 00 00 00 00 00 00
        04 04  01 "c"  00  01 "v"
        02
        01  32 11  05 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00
            01 "a"  01 "b"
        04  00 00 00
        02
        02  00  01 "p"  00
        03  00  01 "d"  00
    "#;
    check(&Command::Txn(txn), 3, body);
}

#[test]
fn leases_and_compactions_are_these_bytes() {
    check(&Command::Compact { revision: 258 }, 4, "02 01 00 00 00 00 00 00");
    let grant = Command::LeaseGrant { id: 1, ttl: 60 };
    check(&grant, 5, "01 00 00 00 00 00 00 00  3c 00 00 00 00 00 00 00");
    check(&Command::LeaseRevoke { id: -1 }, 6, "ff ff ff ff ff ff ff ff");
    let expire = Command::LeaseExpire { ids: vec![2, 3] };
    check(&expire, 7, "02  02 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00");
    let checkpoint = Command::LeaseCheckpoint { remaining: vec![(2, 30)] };
    check(&checkpoint, 8, "01  02 00 00 00 00 00 00 00  1e 00 00 00 00 00 00 00");
}

#[test]
fn what_concerns_the_cluster_is_these_bytes() {
    let (action, kind) = (AlarmAction::Activate, AlarmKind::NoSpace);
    let alarm = Command::Alarm { action, member: 5, kind };
    check(&alarm, 9, "01  01  05 00 00 00 00 00 00 00");
    let (action, kind) = (AlarmAction::Deactivate, AlarmKind::None);
    check(&Command::Alarm { action, member: 0, kind }, 9, "02  00  00 00 00 00 00 00 00 00");
    let publish =
        Command::Publish { member: 5, name: "n".to_owned(), client_urls: vec!["u".to_owned()] };
    let body = r#"05 00 00 00 00 00 00 00  01 00 00 00 "n"  01 00 00 00  01 00 00 00 "u""#;
    check(&publish, 10, body);
    let update = Command::MemberUpdate { member: 5, peer_urls: vec!["u".to_owned()] };
    check(&update, 11, r#"05 00 00 00 00 00 00 00  01 00 00 00  01 00 00 00 "u""#);
    let version = Command::ClusterVersion { version: "3.7.0".to_owned() };
    check(&version, 12, r#"05 00 00 00 "3.7.0""#);
    let downgrade = Command::Downgrade { target: Some("3.6.0".to_owned()) };
    check(&downgrade, 13, r#"01  05 00 00 00 "3.6.0""#);
    check(&Command::Downgrade { target: None }, 13, "00");
    check(&Command::Nothing, 14, "");
}

#[test]
fn contexts_are_these_bytes() {
    let attributes = MemberAttributes {
        name: "n".to_owned(),
        peer_urls: vec!["p".to_owned()],
        client_urls: Vec::new(),
        becomes_voter: true,
    };
    let contexts = [
        (
            MembershipContext::Added { member: 5, attributes },
            r#"01 01  05 00 00 00 00 00 00 00  01 00 00 00 "n"
               01 00 00 00  01 00 00 00 "p"  00 00 00 00  01"#,
        ),
        (MembershipContext::Promoted { member: 5 }, "01 02  05 00 00 00 00 00 00 00"),
        (MembershipContext::Removed { member: 5 }, "01 03  05 00 00 00 00 00 00 00"),
    ];
    for (context, bytes) in contexts {
        let encoded = context.encode();
        assert_eq!(encoded, unhex(bytes));
        assert_eq!(MembershipContext::decode(&encoded), Ok(context));
        for len in 0..encoded.len() {
            let refused = MembershipContext::decode(&encoded.slice(..len));
            assert!(matches!(refused, Err(DecodeError::Truncated { .. })), "{refused:?}");
        }
    }
}

#[test]
fn keys_and_values_share_the_bytes_of_the_entry() {
    let put = Put { key: bytes_of("key"), value: bytes_of("value"), ..Put::default() };
    let encoded = Command::Put(put).encode(ID);
    let within = encoded.as_ptr_range();
    let (_, Command::Put(put)) = Command::decode(&encoded).unwrap() else { panic!("a put") };
    assert!(within.contains(&put.key.as_ptr()) && within.contains(&put.value.as_ptr()));
}

/// Checks why bytes behind an envelope are refused.
#[track_caller]
fn refused(kind: u8, body: &str) -> DecodeError {
    let mut bytes = ENVELOPE.to_vec();
    bytes[1] = kind;
    bytes.extend_from_slice(&unhex(body));
    Command::decode(&Bytes::from(bytes)).unwrap_err()
}

#[test]
fn what_is_not_known_is_refused_and_named() {
    let unknown = |what, found, at| DecodeError::Unknown { what, found, at };
    assert_eq!(
        Command::decode(&Bytes::from_static(&[1])),
        Err(DecodeError::Format { found: 1, expected: 2 })
    );
    assert_eq!(refused(0, ""), unknown("kind of a command", 0, 18));
    assert_eq!(refused(15, ""), unknown("kind of a command", 15, 18));
    assert_eq!(refused(1, "10"), unknown("flags of a put", 16, 19));
    assert_eq!(refused(2, "02"), unknown("flags of a deletion", 2, 19));
    let operation = |bytes: &str| refused(3, &format!("00 01 {bytes} 00 00 00"));
    assert_eq!(operation("05"), unknown("kind of an operation", 5, 21));
    assert_eq!(operation("01 00 20"), unknown("flags of a range", 0x2000, 23));
    assert_eq!(operation("01 03 00"), unknown("order of a range", 3, 23));
    assert_eq!(operation("01 14 00"), unknown("target of a range", 5, 23));
    assert_eq!(refused(9, "03"), unknown("action on an alarm", 3, 19));
    assert_eq!(refused(9, "01 03"), unknown("kind of an alarm", 3, 20));
    assert_eq!(refused(13, "02"), unknown("mark of a downgrade", 2, 19));
    assert_eq!(refused(12, "01 00 00 00 ff"), DecodeError::Text { at: 23 });
    let zero = "08  00 00 00 00 00 00 00 00  01 6b  00";
    assert_eq!(refused(1, zero), DecodeError::Zero { at: 27 });
}

#[test]
fn lists_that_are_too_long_take_no_memory() {
    let wanted = u32::MAX as usize;
    let error = DecodeError::Truncated { at: 23, wanted: wanted * 8, left: 0 };
    assert_eq!(refused(7, "ff ff ff ff 0f"), error);
    let error = DecodeError::Truncated { at: 23, wanted: wanted * 5, left: 0 };
    assert_eq!(refused(3, "ff ff ff ff 0f"), error);
}

#[test]
fn counts_have_one_form() {
    for (value_len, count) in [(0, "00"), (127, "7f"), (128, "80 01"), (300, "ac 02")] {
        let value = Bytes::from(vec![b'v'; value_len]);
        let put = Command::Put(Put { key: bytes_of("k"), value, ..Put::default() });
        let body = format!(r#"00  01 "k"  {count}  "{}""#, "v".repeat(value_len));
        check(&put, 1, &body);
        assert_eq!(put.encode(ID).len(), write::len_hint(&put));
    }
    assert_eq!(refused(1, "00  81 00 6b  00"), DecodeError::Count { at: 21 });
    assert_eq!(refused(7, "ff ff ff ff 10"), DecodeError::Count { at: 23 });
    assert_eq!(refused(7, "ff ff ff ff ff 01"), DecodeError::Count { at: 23 });
}

#[test]
fn transactions_are_nested_only_so_deep() {
    let nest = |depth: usize| {
        (1..depth).fold(Txn::default(), |inner, _| Txn {
            success: vec![Operation::Txn(inner)],
            ..Txn::default()
        })
    };
    let deepest = Command::Txn(nest(TXN_DEPTH_MAX));
    assert_eq!(Command::decode(&deepest.encode(ID)), Ok((ID, deepest)));
    let encoded = Command::Txn(nest(TXN_DEPTH_MAX + 1)).encode(ID);
    assert!(matches!(Command::decode(&encoded), Err(DecodeError::Depth { .. })));
}
