//! Commands into bytes.

use super::{
    COMMAND_FORMAT, CONTEXT_FORMAT, GROUP_BITS, MORE, change, kind, operation, put_flag, range_flag,
};
use crate::command::{
    AlarmAction, AlarmKind, Command, CommandId, Compare, CompareResult, CompareWith, DeleteRange,
    MembershipContext, Operation, Order, Put, Range, Target, Txn,
};
use crate::members::MemberAttributes;

/// Returns how long a put will be, and a guess for the others.
pub(super) fn len_hint(command: &Command) -> usize {
    let body = match command {
        Command::Put(put) => {
            let lease = if put.lease == 0 { 0 } else { 8 };
            1 + lease + counted_len(&put.key) + counted_len(&put.value)
        }
        Command::DeleteRange(delete) => {
            1 + counted_len(&delete.key) + counted_len(&delete.range_end)
        }
        Command::Txn(_) => 256,
        Command::LeaseExpire { ids } => count_len(ids.len()) + 8 * ids.len(),
        Command::LeaseCheckpoint { remaining } => count_len(remaining.len()) + 16 * remaining.len(),
        Command::Compact { .. }
        | Command::LeaseGrant { .. }
        | Command::LeaseRevoke { .. }
        | Command::Alarm { .. }
        | Command::Publish { .. }
        | Command::MemberUpdate { .. }
        | Command::ClusterVersion { .. }
        | Command::Downgrade { .. }
        | Command::Nothing => 16,
    };
    18 + body
}

pub(super) fn command(command: &Command, id: CommandId, out: &mut Vec<u8>) {
    out.push(COMMAND_FORMAT);
    out.push(kind_of(command));
    unsigned(out, id.origin);
    sequence(out, id.sequence);
    match command {
        Command::Put(body) => put(out, body),
        Command::DeleteRange(body) => delete_range(out, body),
        Command::Txn(body) => txn(out, body),
        Command::Compact { revision } => signed(out, *revision),
        Command::LeaseGrant { id, ttl } => {
            signed(out, *id);
            signed(out, *ttl);
        }
        Command::LeaseRevoke { id } => signed(out, *id),
        Command::LeaseExpire { ids } => list(out, ids, |out, id| signed(out, *id)),
        Command::LeaseCheckpoint { remaining } => list(out, remaining, |out, (id, seconds)| {
            signed(out, *id);
            signed(out, *seconds);
        }),
        Command::Alarm { action, member, kind } => {
            out.push(match action {
                AlarmAction::Activate => 1,
                AlarmAction::Deactivate => 2,
            });
            out.push(alarm_kind(*kind));
            unsigned(out, *member);
        }
        Command::Publish { member, name, client_urls } => {
            unsigned(out, *member);
            bytes(out, name.as_bytes());
            texts(out, client_urls);
        }
        Command::MemberUpdate { member, peer_urls } => {
            unsigned(out, *member);
            texts(out, peer_urls);
        }
        Command::ClusterVersion { version } => bytes(out, version.as_bytes()),
        Command::Downgrade { target } => {
            out.push(u8::from(target.is_some()));
            if let Some(version) = target {
                bytes(out, version.as_bytes());
            }
        }
        Command::Nothing => {}
    }
}

fn kind_of(command: &Command) -> u8 {
    match command {
        Command::Put(_) => kind::PUT,
        Command::DeleteRange(_) => kind::DELETE_RANGE,
        Command::Txn(_) => kind::TXN,
        Command::Compact { .. } => kind::COMPACT,
        Command::LeaseGrant { .. } => kind::LEASE_GRANT,
        Command::LeaseRevoke { .. } => kind::LEASE_REVOKE,
        Command::LeaseExpire { .. } => kind::LEASE_EXPIRE,
        Command::LeaseCheckpoint { .. } => kind::LEASE_CHECKPOINT,
        Command::Alarm { .. } => kind::ALARM,
        Command::Publish { .. } => kind::PUBLISH,
        Command::MemberUpdate { .. } => kind::MEMBER_UPDATE,
        Command::ClusterVersion { .. } => kind::CLUSTER_VERSION,
        Command::Downgrade { .. } => kind::DOWNGRADE,
        Command::Nothing => kind::NOTHING,
    }
}

pub(super) fn membership(context: &MembershipContext, out: &mut Vec<u8>) {
    out.push(CONTEXT_FORMAT);
    out.push(match context {
        MembershipContext::Added { .. } => change::ADDED,
        MembershipContext::Promoted { .. } => change::PROMOTED,
        MembershipContext::Removed { .. } => change::REMOVED,
    });
    unsigned(out, context.member());
    match context {
        MembershipContext::Added { attributes: added, .. } => attributes(out, added),
        MembershipContext::Promoted { .. } | MembershipContext::Removed { .. } => {}
    }
}

fn put(out: &mut Vec<u8>, put: &Put) {
    let mut flags = 0;
    let asked = [
        (put.previous, put_flag::PREVIOUS),
        (put.ignore_value, put_flag::IGNORE_VALUE),
        (put.ignore_lease, put_flag::IGNORE_LEASE),
        (put.lease != 0, put_flag::LEASE),
    ];
    for (is_set, flag) in asked {
        flags |= if is_set { flag } else { 0 };
    }
    out.push(flags);
    if put.lease != 0 {
        signed(out, put.lease);
    }
    counted(out, &put.key);
    counted(out, &put.value);
}

fn delete_range(out: &mut Vec<u8>, delete: &DeleteRange) {
    out.push(if delete.previous { put_flag::PREVIOUS } else { 0 });
    counted(out, &delete.key);
    counted(out, &delete.range_end);
}

fn range(out: &mut Vec<u8>, range: &Range) {
    let order: u16 = match range.order {
        Order::None => 0,
        Order::Ascending => 1,
        Order::Descending => 2,
    };
    let target: u16 = match range.target {
        Target::Key => 0,
        Target::Version => 1,
        Target::CreateRevision => 2,
        Target::ModRevision => 3,
        Target::Value => 4,
    };
    let mut flags = order | (target << range_flag::TARGET_SHIFT);
    flags |= if range.keys_only { range_flag::KEYS_ONLY } else { 0 };
    flags |= if range.count_only { range_flag::COUNT_ONLY } else { 0 };
    let numbers = numbers_of(range);
    for (number, place) in numbers.iter().zip(range_flag::FIRST_NUMBER..) {
        flags |= u16::from(*number != 0) << place;
    }
    out.extend_from_slice(&flags.to_le_bytes());
    for number in numbers.into_iter().filter(|number| *number != 0) {
        signed(out, number);
    }
    counted(out, &range.key);
    counted(out, &range.range_end);
}

/// Returns the numbers of a range in the order in which they are written.
fn numbers_of(range: &Range) -> [i64; 6] {
    [
        range.limit,
        range.revision,
        range.mod_revision_min,
        range.mod_revision_max,
        range.create_revision_min,
        range.create_revision_max,
    ]
}

fn compare(out: &mut Vec<u8>, compare: &Compare) {
    out.push(match compare.with {
        CompareWith::Version(_) => 1,
        CompareWith::CreateRevision(_) => 2,
        CompareWith::ModRevision(_) => 3,
        CompareWith::Value(_) => 4,
        CompareWith::Lease(_) => 5,
    });
    out.push(match compare.result {
        CompareResult::Equal => 1,
        CompareResult::Greater => 2,
        CompareResult::Less => 3,
        CompareResult::NotEqual => 4,
    });
    counted(out, &compare.key);
    counted(out, &compare.range_end);
    match &compare.with {
        CompareWith::Version(number)
        | CompareWith::CreateRevision(number)
        | CompareWith::ModRevision(number)
        | CompareWith::Lease(number) => signed(out, *number),
        CompareWith::Value(value) => counted(out, value),
    }
}

fn txn(out: &mut Vec<u8>, txn: &Txn) {
    list(out, &txn.compare, compare);
    list(out, &txn.success, operation);
    list(out, &txn.failure, operation);
}

fn operation(out: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Range(body) => {
            out.push(operation::RANGE);
            range(out, body);
        }
        Operation::Put(body) => {
            out.push(operation::PUT);
            put(out, body);
        }
        Operation::DeleteRange(body) => {
            out.push(operation::DELETE_RANGE);
            delete_range(out, body);
        }
        Operation::Txn(body) => {
            out.push(operation::TXN);
            txn(out, body);
        }
    }
}

/// Writes what is known of a member, here and in images.
pub(crate) fn attributes(out: &mut Vec<u8>, attributes: &MemberAttributes) {
    bytes(out, attributes.name.as_bytes());
    texts(out, &attributes.peer_urls);
    texts(out, &attributes.client_urls);
    out.push(u8::from(attributes.becomes_voter));
}

/// Returns the number of a kind of alarm, here and in images.
pub(crate) fn alarm_kind(kind: AlarmKind) -> u8 {
    match kind {
        AlarmKind::None => 0,
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    }
}

#[expect(clippy::big_endian_bytes, reason = "so that commands in a row begin alike")]
fn sequence(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn signed(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn unsigned(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes a length as texts have it, here and in images.
pub(crate) fn length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("a command is shorter than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
}

/// Writes bytes behind such a length.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn texts(out: &mut Vec<u8>, texts: &[String]) {
    length(out, texts.len());
    for text in texts {
        bytes(out, text.as_bytes());
    }
}

/// Writes a number of bytes or of items in as few bytes as it takes.
fn count(out: &mut Vec<u8>, count: usize) {
    let mut rest = u32::try_from(count).expect("a command is shorter than 4 GiB");
    while u32::from(MORE) <= rest {
        let group = u8::try_from(rest % u32::from(MORE)).expect("seven bits");
        out.push(MORE | group);
        rest >>= GROUP_BITS;
    }
    out.push(u8::try_from(rest).expect("what is left is below 128"));
}

/// Returns how many bytes [`count`] writes.
fn count_len(count: usize) -> usize {
    let bits = usize::BITS - (count | 1).leading_zeros();
    bits.div_ceil(GROUP_BITS) as usize
}

/// Writes a key or a value.
fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Returns how many bytes [`counted`] writes.
fn counted_len(bytes: &[u8]) -> usize {
    count_len(bytes.len()) + bytes.len()
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    count(out, items.len());
    for item in items {
        write(out, item);
    }
}
