//! Draws answers as text, so that they can be compared and read. Nothing that a client could see is
//! left out, but what must differ between two clusters: who answered, and in which term.

use std::fmt::Write;

use etcd_api::etcdserverpb as pb;
use etcd_api::mvccpb::{Event, KeyValue, event::EventType};
use tonic::{Code, Status};

/// Longer values are drawn as their beginning, length and sum.
const VALUE_DRAWN_MAX: usize = 40;
/// Larger lease numbers are not of our choice.
const LEASE_DRAWN_MAX: i64 = 1_000_000;
/// How much of its life a lease may have lost at most, in seconds.
const LEASE_AGE_MAX: i64 = 120;

/// Draws bytes: readable as far as they are ASCII.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(VALUE_DRAWN_MAX)];
    let mut text = shown.escape_ascii().to_string();
    if bytes.len() > VALUE_DRAWN_MAX {
        let sum = bytes.iter().fold(0u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
        let _ = write!(text, "…({} bytes sum {sum:08x})", bytes.len());
    }
    text
}

/// Draws a key and its value: `a=1 c2 m5 v3 lease 7`, with the revisions of creation and change and
/// the version.
pub(crate) fn kv(kv: &KeyValue) -> String {
    let KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
    let mut text =
        format!("{}={} c{create_revision} m{mod_revision} v{version}", bytes(key), bytes(value));
    if *lease != 0 {
        let _ = write!(text, " lease {lease}");
    }
    text
}

fn kvs(list: &[KeyValue]) -> String {
    list.iter().map(kv).collect::<Vec<_>>().join(", ")
}

fn header(header: Option<&pb::ResponseHeader>) -> String {
    header.map_or("no header".to_owned(), |header| format!("@{}", header.revision))
}

/// Draws what was found in a range.
pub(crate) fn range(response: &pb::RangeResponse) -> String {
    let more = if response.more { " more" } else { "" };
    let header = header(response.header.as_ref());
    format!("{header} count {}{more} [{}]", response.count, kvs(&response.kvs))
}

/// Draws what a write of a key left behind.
pub(crate) fn put(response: &pb::PutResponse) -> String {
    let before = response.prev_kv.as_ref().map(|before| format!(" before {}", kv(before)));
    format!("{} put{}", header(response.header.as_ref()), before.unwrap_or_default())
}

/// Draws what was deleted.
pub(crate) fn delete(response: &pb::DeleteRangeResponse) -> String {
    let header = header(response.header.as_ref());
    format!("{header} deleted {} [{}]", response.deleted, kvs(&response.prev_kvs))
}

/// Draws what a transaction did.
pub(crate) fn txn(response: &pb::TxnResponse) -> String {
    use pb::response_op::Response;
    let parts: Vec<String> = response
        .responses
        .iter()
        .map(|part| match &part.response {
            Some(Response::ResponseRange(part)) => range(part),
            Some(Response::ResponsePut(part)) => put(part),
            Some(Response::ResponseDeleteRange(part)) => delete(part),
            Some(Response::ResponseTxn(part)) => txn(part),
            None => "nothing".to_owned(),
        })
        .collect();
    let branch = if response.succeeded { "then" } else { "else" };
    let parts: Vec<String> = parts
        .chunk_by(|a, b| a == b)
        .map(|same| match same {
            [one] => one.clone(),
            many => format!("{} × {}", many.len(), many[0]),
        })
        .collect();
    format!("{} {branch} {{{}}}", header(response.header.as_ref()), parts.join("; "))
}

/// Draws a response that says no more than its header.
pub(crate) fn only_header(of: Option<&pb::ResponseHeader>) -> String {
    header(of)
}

/// Draws what a watcher is told of one change.
pub(crate) fn event(event: &Event) -> String {
    let what = match EventType::try_from(event.r#type) {
        Ok(EventType::Put) => "put",
        Ok(EventType::Delete) => "delete",
        Err(_) => "unknown",
    };
    let after = event.kv.as_ref().map_or("no kv".to_owned(), kv);
    let before = event.prev_kv.as_ref().map(|before| format!(" before {}", kv(before)));
    format!("{what} {after}{}", before.unwrap_or_default())
}

/// Draws the members, without what tells one cluster from another: names, clients and roles stay.
pub(crate) fn members(list: &[pb::Member]) -> String {
    let one = |member: &pb::Member| {
        let role = if member.is_learner { " learner" } else { "" };
        let urls = (member.peer_ur_ls.len(), member.client_ur_ls.len());
        format!("{}{role} with {} peer and {} client URLs", member.name, urls.0, urls.1)
    };
    let mut drawn: Vec<String> = list.iter().map(one).collect();
    drawn.sort();
    drawn.join(", ")
}

/// Draws a lease that was granted.
pub(crate) fn grant(response: &pb::LeaseGrantResponse) -> String {
    let pb::LeaseGrantResponse { header: head, id, ttl, error } = response;
    let id = if *id > LEASE_DRAWN_MAX { "chosen".to_owned() } else { id.to_string() };
    format!("{} lease {id} ttl {ttl}{error}", header(head.as_ref()))
}

/// Draws the leases.
pub(crate) fn leases(response: &pb::LeaseLeasesResponse) -> String {
    let mut ids: Vec<i64> = response.leases.iter().map(|lease| lease.id).collect();
    ids.sort_unstable();
    format!("{} leases {ids:?}", header(response.header.as_ref()))
}

/// Draws how long a lease lives, and with which keys. What is left of it is good if it is not more
/// than was granted, nor much less.
pub(crate) fn time_to_live(response: &pb::LeaseTimeToLiveResponse) -> String {
    let pb::LeaseTimeToLiveResponse { header: head, id, ttl, granted_ttl, keys } = response;
    let lived = granted_ttl - ttl;
    let left =
        if (0..=LEASE_AGE_MAX).contains(&lived) { "good".to_owned() } else { ttl.to_string() };
    let mut keys: Vec<String> = keys.iter().map(|key| bytes(key)).collect();
    keys.sort();
    format!("{} lease {id} granted {granted_ttl} left {left} keys {keys:?}", header(head.as_ref()))
}

/// Draws how a member is, as far as it says something that two clusters have in common: the version
/// of etcd's storage changes some time after it has started.
pub(crate) fn member_status(status: &pb::StatusResponse) -> String {
    let minor: Vec<&str> = status.version.split('.').take(2).collect();
    let indexes = status.raft_index >= status.raft_applied_index;
    let (led, learner) = (status.leader != 0, status.is_learner);
    format!(
        "{} version {} led {led} learner {learner} in order {indexes} errors {:?} \
         downgrade {:?}",
        header(status.header.as_ref()),
        minor.join("."),
        status.errors,
        status.downgrade_info.as_ref().map(|info| (info.enabled, &info.target_version)),
    )
}

/// Draws an error: its code, and its message, letter by letter.
pub(crate) fn status(status: &Status) -> String {
    format!("{}: {}", code(status.code()), status.message())
}

/// Draws an answer or an error.
pub(crate) fn result<T>(result: &Result<T, Status>, draw: impl FnOnce(&T) -> String) -> String {
    match result {
        Ok(response) => draw(response),
        Err(error) => status(error),
    }
}

fn code(code: Code) -> String {
    format!("{code:?}")
}
