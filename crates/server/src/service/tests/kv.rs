//! Reading and writing keys.

use etcd_api::etcdserverpb::request_op::Request as Operation;
use etcd_api::etcdserverpb::response_op::Response as Answer;
use etcd_api::mvccpb::KeyValue;
use prost::Message;

use super::member::{CLUSTER, MEMBER};
use super::*;

fn operation(request: Operation) -> api::RequestOp {
    api::RequestOp { request: Some(request) }
}

fn put(key: &str) -> api::PutRequest {
    api::PutRequest { key: bytes(key), ..Default::default() }
}

fn keys(kvs: &[KeyValue]) -> Vec<&str> {
    kvs.iter().map(|kv| std::str::from_utf8(&kv.key).unwrap()).collect()
}

#[tokio::test]
async fn what_is_put_is_read_at_the_revision_of_the_put() {
    let (_member, mut clients) = Clients::alone().await;
    let header = clients.put("a", "1").await.header.unwrap();
    assert_eq!((header.cluster_id, header.member_id, header.revision), (CLUSTER, MEMBER, 2));
    assert_ne!(header.raft_term, 0);
    let answer = clients.range("a", "").await;
    assert_eq!(answer.header.unwrap(), header);
    let kv = KeyValue {
        key: bytes("a"),
        value: bytes("1"),
        create_revision: 2,
        mod_revision: 2,
        version: 1,
        lease: 0,
    };
    assert_eq!((answer.kvs, answer.count, answer.more), (vec![kv.clone()], 1, false));
    let again = api::PutRequest { prev_kv: true, ..put("a") };
    assert_eq!(clients.kv.put(again).await.unwrap().into_inner().prev_kv, Some(kv));
}

#[tokio::test]
async fn range_at_an_earlier_revision_tells_the_current_one() {
    let (_member, mut clients) = Clients::alone().await;
    for value in ["1", "2", "3"] {
        clients.put("a", value).await;
    }
    let at = |revision| api::RangeRequest { revision, ..range("a", "") };
    for (revision, value) in [(2, "1"), (3, "2"), (4, "3"), (0, "3"), (-1, "3")] {
        let answer = clients.kv.range(at(revision)).await.unwrap().into_inner();
        assert_eq!(answer.kvs[0].value, value, "at {revision}");
        assert_eq!(answer.header.unwrap().revision, 4);
    }
    assert_refused(clients.kv.range(at(5)).await, Refusal::FutureRevision);
    let compact = api::CompactionRequest { revision: 3, physical: true };
    let header = clients.kv.compact(compact).await.unwrap().into_inner().header.unwrap();
    assert_eq!(header.revision, 4);
    assert_refused(clients.kv.range(at(2)).await, Refusal::Compacted);
    assert_refused(clients.kv.compact(compact).await, Refusal::Compacted);
    let future = api::CompactionRequest { revision: 9, ..compact };
    assert_refused(clients.kv.compact(future).await, Refusal::FutureRevision);
}

#[tokio::test]
async fn requests_that_contradict_themselves_are_refused() {
    let (_member, mut clients) = Clients::alone().await;
    assert_refused(clients.kv.range(range("", "")).await, Refusal::EmptyKey);
    assert_refused(clients.kv.put(put("")).await, Refusal::EmptyKey);
    let nothing = api::DeleteRangeRequest::default();
    assert_refused(clients.kv.delete_range(nothing).await, Refusal::EmptyKey);
    let unsorted = api::RangeRequest { sort_order: 3, ..range("k", "") };
    assert_refused(clients.kv.range(unsorted).await, Refusal::InvalidSortOption);
    let value = api::PutRequest { value: bytes("v"), ignore_value: true, ..put("k") };
    assert_refused(clients.kv.put(value).await, Refusal::ValueProvided);
    let lease = api::PutRequest { lease: 3, ignore_lease: true, ..put("k") };
    assert_refused(clients.kv.put(lease).await, Refusal::LeaseProvided);
    let missing = api::PutRequest { ignore_value: true, ..put("k") };
    assert_refused(clients.kv.put(missing).await, Refusal::KeyNotFound);
    let lease = api::PutRequest { lease: 3, ..put("k") };
    assert_refused(clients.kv.put(lease).await, Refusal::LeaseNotFound);
}

#[tokio::test]
async fn transactions_that_contradict_themselves_are_refused() {
    let (_member, mut clients) = Clients::alone().await;
    let mut refuse = async |success: Vec<api::RequestOp>, refusal| {
        let txn = api::TxnRequest { success, ..Default::default() };
        assert_refused(clients.kv.txn(txn).await, refusal);
    };
    let put = |key| operation(Operation::RequestPut(put(key)));
    refuse(["a", "b", "c", "d", "e"].map(put).to_vec(), Refusal::TooManyOperations).await;
    refuse(vec![put("a"), put("a")], Refusal::DuplicateKey).await;
    refuse(vec![put("")], Refusal::EmptyKey).await;
    refuse(vec![api::RequestOp::default()], Refusal::KeyNotFound).await;
    let future = api::RangeRequest { revision: 99, ..range("a", "") };
    refuse(vec![operation(Operation::RequestRange(future))], Refusal::FutureRevision).await;
    let compare = vec![api::Compare::default()];
    let txn = api::TxnRequest { compare, ..Default::default() };
    assert_refused(clients.kv.txn(txn).await, Refusal::EmptyKey);
}

#[tokio::test]
async fn transaction_has_one_revision_and_answers_each_operation() {
    let (_member, mut clients) = Clients::alone().await;
    let delete = api::DeleteRangeRequest { key: bytes("b"), ..Default::default() };
    let success = vec![
        operation(Operation::RequestRange(range("a", ""))),
        operation(Operation::RequestPut(put("a"))),
        operation(Operation::RequestDeleteRange(delete)),
        operation(Operation::RequestRange(range("a", ""))),
    ];
    let txn = api::TxnRequest { success, ..Default::default() };
    let answer = clients.kv.txn(txn).await.unwrap().into_inner();
    assert!(answer.succeeded, "nothing was compared, and it failed");
    assert_eq!(answer.header.unwrap().revision, 2);
    let revision = |header: &Option<api::ResponseHeader>| header.unwrap().revision;
    let answers: Vec<_> = answer.responses.into_iter().filter_map(|of| of.response).collect();
    match answers.as_slice() {
        [
            Answer::ResponseRange(before),
            Answer::ResponsePut(put),
            Answer::ResponseDeleteRange(deleted),
            Answer::ResponseRange(after),
        ] => {
            assert_eq!((before.count, after.count, deleted.deleted), (0, 1, 0));
            let headers = [&before.header, &put.header, &deleted.header, &after.header];
            assert_eq!(headers.map(revision), [1, 2, 2, 2]);
        }
        others => panic!("other answers: {others:?}"),
    }
    let reads = api::TxnRequest {
        success: vec![operation(Operation::RequestRange(range("a", "")))],
        ..Default::default()
    };
    let answer = clients.kv.txn(reads).await.unwrap().into_inner();
    assert_eq!(answer.header.unwrap().revision, 2);
}

#[tokio::test]
async fn request_of_exactly_the_limit_is_served() {
    let (_member, mut clients) = Clients::alone().await;
    // What is around the value: one byte for the key's tag, one for its length, and so on.
    let value = |len| api::PutRequest { value: vec![b'v'; len].into(), ..put("k") };
    let largest = (0..LIMITS.request_bytes_max)
        .rfind(|len| value(*len).encoded_len() + 14 + 3 <= LIMITS.request_bytes_max)
        .unwrap();
    assert!(clients.kv.put(value(largest)).await.is_ok(), "{largest} bytes are refused");
    assert_refused(clients.kv.put(value(largest + 1)).await, Refusal::RequestTooLarge);
    let put = Operation::RequestPut(value(largest + 1));
    let txn = api::TxnRequest { success: vec![operation(put)], ..Default::default() };
    assert_refused(clients.kv.txn(txn).await, Refusal::RequestTooLarge);
}

#[tokio::test]
async fn deletion_tells_how_many_and_which() {
    let (_member, mut clients) = Clients::alone().await;
    for key in ["a", "b", "c"] {
        clients.put(key, "1").await;
    }
    let delete =
        |prev_kv| api::DeleteRangeRequest { key: bytes("a"), range_end: bytes("c"), prev_kv };
    let answer = clients.kv.delete_range(delete(true)).await.unwrap().into_inner();
    assert_eq!((answer.deleted, keys(&answer.prev_kvs)), (2, vec!["a", "b"]));
    assert_eq!(answer.header.unwrap().revision, 5);
    let nothing = clients.kv.delete_range(delete(false)).await.unwrap().into_inner();
    assert_eq!((nothing.deleted, nothing.header.unwrap().revision), (0, 5));
}

async fn parts(clients: &mut Clients, request: api::RangeRequest) -> Vec<api::RangeResponse> {
    let parts = clients.kv.range_stream(request).await.unwrap().into_inner();
    parts.map(|part| part.unwrap().range_response.unwrap()).collect().await
}

#[tokio::test]
async fn parts_of_a_range_are_together_what_the_range_is() {
    let (_member, mut clients) = Clients::alone().await;
    for at in 0..100 {
        clients.put(&format!("k{at:03}"), &"v".repeat(at)).await;
    }
    clients.put("k000", "later").await;
    let all = range("k", "l");
    let limited = |limit| api::RangeRequest { limit, ..all.clone() };
    for request in [
        all.clone(),
        limited(1),
        limited(10),
        limited(11),
        limited(99),
        limited(100),
        limited(101),
        limited(-1),
        api::RangeRequest { revision: 101, ..limited(0) },
        api::RangeRequest { revision: 50, ..limited(20) },
        api::RangeRequest { revision: 102, ..limited(20) },
        api::RangeRequest { keys_only: true, ..limited(50) },
        api::RangeRequest { count_only: true, ..limited(50) },
        api::RangeRequest { count_only: true, revision: 50, ..all.clone() },
        api::RangeRequest { serializable: true, ..range("nothing", "") },
    ] {
        let whole = clients.kv.range(request.clone()).await.unwrap().into_inner();
        let parts = parts(&mut clients, request.clone()).await;
        let mut merged = api::RangeResponse::default();
        for (at, part) in (1..).zip(&parts) {
            merged.merge(part.encode_to_vec().as_slice()).unwrap();
            let is_last = at == parts.len();
            assert_eq!(part.header.is_some(), is_last, "part {at} of {request:?}");
            assert!(is_last || part.count == 0 && !part.more, "part {at} of {request:?}");
        }
        assert_eq!(merged, whole, "{request:?}");
    }
    let lens: Vec<usize> =
        parts(&mut clients, all).await.iter().map(|part| part.kvs.len()).collect();
    assert_eq!(lens, [10, 20, 40, 30]);
}

#[tokio::test]
async fn parts_of_a_range_come_in_the_order_of_keys_only() {
    let (_member, mut clients) = Clients::alone().await;
    let mut refuse = async |request| {
        let status = clients.kv.range_stream(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
    };
    let all = || range("k", "l");
    refuse(api::RangeRequest { sort_order: 2, ..all() }).await;
    refuse(api::RangeRequest { sort_order: 1, sort_target: 1, ..all() }).await;
    refuse(api::RangeRequest { min_mod_revision: 1, ..all() }).await;
    refuse(api::RangeRequest { max_create_revision: -1, ..all() }).await;
    let ascending = api::RangeRequest { sort_order: 1, ..all() };
    assert_eq!(parts(&mut clients, ascending).await.len(), 1);
}

#[tokio::test]
async fn full_member_takes_nothing_that_needs_space() {
    let member = Member::with_quota(2_000).await;
    let mut clients = Clients::of(&member);
    let large = api::PutRequest { value: vec![b'v'; 3_000].into(), ..put("k") };
    // The alarm is raised by what exceeds the quota, or before it.
    let _first = clients.kv.put(large.clone()).await;
    while member.handle.published().alarms.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_refused(clients.kv.put(large).await, Refusal::NoSpace);
    let grant = api::LeaseGrantRequest { ttl: 9, id: 0 };
    assert_refused(clients.lease.lease_grant(grant).await, Refusal::NoSpace);
    let delete = api::DeleteRangeRequest { key: bytes("k"), ..Default::default() };
    assert_eq!(clients.kv.delete_range(delete).await.unwrap().into_inner().deleted, 1);
}
