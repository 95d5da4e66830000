//! What is written by hand, against what prost reads; and requests, field by field.

use bytes::Bytes;
use etcd_api::Encode;
use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::compare::TargetUnion;
use etcd_api::etcdserverpb::request_op::Request;
use etcd_api::etcdserverpb::response_op::Response;
use etcd_api::mvccpb::KeyValue;
use mvcc::{KeyRange, Revision, Store, Version};
use prost::Message;
use store::{
    AlarmKind, CompareResult, CompareWith, DeletedRange, Operation, OperationResponse, Order,
    Target, TxnResponse,
};
use tonic::{Code, Status};

use super::*;

const HEADER: Header = Header { cluster_id: u64::MAX, member_id: 300, revision: 5, raft_term: 2 };

/// Two keys, the second with a lease, at revisions 2 to 4.
fn versions() -> Vec<Version> {
    let mut store = Store::new();
    for (key, value, lease) in [("a", "1", None), ("b", "", Some(-7)), ("b", "22", Some(-7))] {
        let mut transaction = store.write();
        transaction.put(key.as_bytes(), value.as_bytes(), lease);
        transaction.commit();
    }
    let view = store.view();
    let all = view.range(&mvcc::RangeRequest::of(KeyRange::all())).unwrap();
    all.versions.into_iter().cloned().collect()
}

fn messages() -> Vec<KeyValue> {
    let decode = |version: &Version| KeyValue::decode(version.encoded().bytes()).unwrap();
    versions().iter().map(decode).collect()
}

fn bytes_of(answer: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    assert_eq!(bytes.len(), answer.encoded_len(), "the length was another before");
    bytes
}

#[track_caller]
fn assert_same(answer: &impl Encode, message: &impl Message) {
    assert_eq!(bytes_of(answer), message.encode_to_vec());
}

// === Answers ===

#[test]
fn numbers_are_written_as_prost_writes_them() {
    let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]).chain([u64::MAX]);
    for value in edges {
        let mut ours = Vec::new();
        wire::put_varint(&mut ours, value);
        let mut theirs = Vec::new();
        prost::encoding::encode_varint(value, &mut theirs);
        assert_eq!(ours, theirs, "{value}");
        assert_eq!(ours.len(), wire::varint_len(value), "{value}");
    }
}

#[test]
fn header_is_written_as_its_message() {
    for header in [HEADER, Header::default(), Header::inside(1 << 40)] {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes, header.message().encode_to_vec());
        assert_eq!(bytes.len(), header.encoded_len());
    }
}

#[test]
fn put_is_answered_with_the_version_before_if_there_was_one() {
    let kvs = messages();
    for (previous, prev_kv) in [(None, None), (versions().pop(), kvs.last().cloned())] {
        let message = api::PutResponse { header: Some(HEADER.message()), prev_kv };
        assert_same(&PutAnswer { header: HEADER, previous }, &message);
    }
}

#[test]
fn range_is_answered_in_the_form_that_is_wanted() {
    let without_value = |kv: KeyValue| KeyValue { value: Bytes::new(), ..kv };
    let key_only = |kv: KeyValue| KeyValue { lease: 0, ..without_value(kv) };
    let forms: [(KeyForm, &dyn Fn(KeyValue) -> KeyValue); 3] = [
        (KeyForm::Whole, &|kv| kv),
        (KeyForm::KeyOnly, &key_only),
        (KeyForm::KeyAndLease, &without_value),
    ];
    for (form, change) in forms {
        for (more, count, header) in [(true, 300, Some(HEADER)), (false, 0, None)] {
            let answer = RangeAnswer { header, versions: versions(), form, more, count };
            let message = api::RangeResponse {
                header: header.map(Header::message),
                kvs: messages().into_iter().map(change).collect(),
                more,
                count: count.cast_signed(),
            };
            assert_same(&answer, &message);
            let part = api::RangeStreamResponse { range_response: Some(message) };
            assert_same(&Part::of(answer), &part);
        }
    }
}

#[test]
fn deletion_is_answered_with_the_versions_before_if_they_were_wanted() {
    for (previous, prev_kvs) in [(vec![], vec![]), (versions(), messages())] {
        let answer = DeleteRangeAnswer { header: HEADER, deleted: 2, previous };
        let header = Some(HEADER.message());
        assert_same(&answer, &api::DeleteRangeResponse { header, deleted: 2, prev_kvs });
    }
}

fn read(keys_only: bool) -> OperationResponse {
    OperationResponse::Range(store::RangeAnswer {
        versions: versions(),
        more: false,
        count: 2,
        keys_only,
        target: store::Target::Key,
    })
}

fn deleted(deleted: i64) -> OperationResponse {
    let previous = versions().into_iter().take(usize::try_from(deleted).unwrap()).collect();
    OperationResponse::DeleteRange(DeletedRange { deleted, previous })
}

/// The revision in the header of each answer inside of a transaction; `None` for an empty one.
fn revisions(response: &api::TxnResponse) -> Vec<i64> {
    let mut revisions = Vec::new();
    for operation in &response.responses {
        let header = match operation.response.as_ref().unwrap() {
            Response::ResponseRange(answer) => answer.header.as_ref(),
            Response::ResponsePut(answer) => answer.header.as_ref(),
            Response::ResponseDeleteRange(answer) => answer.header.as_ref(),
            Response::ResponseTxn(answer) => answer.header.as_ref(),
        };
        revisions.push(header.expect("every answer has a header").revision);
        if let Some(Response::ResponseTxn(inner)) = &operation.response {
            revisions.extend(super::tests::revisions(inner));
        }
    }
    revisions
}

/// Writes a transaction's answer, has prost read it and write it again.
fn written(responses: Vec<OperationResponse>) -> api::TxnResponse {
    let answer = TxnAnswer::new(HEADER, TxnResponse { succeeded: true, responses });
    let bytes = bytes_of(&answer);
    let message = api::TxnResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(message.encode_to_vec(), bytes);
    assert_eq!((message.succeeded, &message.header), (true, &Some(HEADER.message())));
    message
}

#[test]
fn transaction_is_answered_with_everything_that_was_done() {
    let inner = TxnResponse { succeeded: false, responses: vec![read(true), deleted(2)] };
    let message = written(vec![
        read(false),
        OperationResponse::Put(versions().pop()),
        OperationResponse::Txn(inner),
        OperationResponse::Txn(TxnResponse::default()),
    ]);
    let answers: Vec<Response> =
        message.responses.into_iter().map(|operation| operation.response.unwrap()).collect();
    let [
        Response::ResponseRange(read),
        Response::ResponsePut(put),
        Response::ResponseTxn(inner),
        Response::ResponseTxn(empty),
    ] = answers.as_slice()
    else {
        panic!("other kinds of answers: {answers:?}");
    };
    assert_eq!((&read.kvs, read.count, read.more), (&messages(), 2, false));
    assert_eq!(put.prev_kv, messages().pop());
    assert!(!inner.succeeded);
    assert_eq!(inner.responses.len(), 2);
    assert_eq!(*empty, api::TxnResponse { header: Some(Default::default()), ..empty.clone() });
}

#[test]
fn answers_in_a_transaction_have_the_revision_of_their_moment() {
    let put = || OperationResponse::Put(None);
    // Before the first write, the revision is the one before; afterwards, that of the transaction.
    assert_eq!(revisions(&written(vec![read(false), put(), read(false), put()])), [4, 5, 5, 5]);
    // A deletion of nothing changes nothing.
    assert_eq!(revisions(&written(vec![deleted(0), read(false)])), [5, 5]);
    assert_eq!(revisions(&written(vec![deleted(0), deleted(1), deleted(0)])), [4, 5, 5]);
    let inner = TxnResponse { succeeded: true, responses: vec![read(false), put()] };
    let inside = OperationResponse::Txn(inner);
    assert_eq!(revisions(&written(vec![read(false), inside, read(false)])), [4, 0, 4, 5, 5]);
}

// === Requests ===

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, text: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code);
    assert!(status.message().contains(text), "{status}");
}

fn range_of(key: &'static str) -> api::RangeRequest {
    api::RangeRequest { key: key.into(), ..Default::default() }
}

#[test]
fn range_is_read_field_by_field() {
    let request = api::RangeRequest {
        key: "k".into(),
        range_end: "l".into(),
        limit: 1,
        revision: 2,
        sort_order: 2,
        sort_target: 4,
        serializable: true,
        keys_only: true,
        count_only: true,
        min_mod_revision: 3,
        max_mod_revision: 4,
        min_create_revision: 5,
        max_create_revision: 6,
    };
    let expected = store::Range {
        key: "k".into(),
        range_end: "l".into(),
        limit: 1,
        revision: 2,
        order: Order::Descending,
        target: Target::Value,
        keys_only: true,
        count_only: true,
        mod_revision_min: 3,
        mod_revision_max: 4,
        create_revision_min: 5,
        create_revision_max: 6,
    };
    assert_eq!(range(request).unwrap(), expected);
}

#[test]
fn order_that_is_not_known_is_refused() {
    for (sort_order, sort_target) in [(3, 0), (-1, 0), (0, 5), (1, -1)] {
        let request = api::RangeRequest { sort_order, sort_target, ..range_of("k") };
        assert_refused(range(request), Code::InvalidArgument, "etcdserver: invalid sort option");
    }
    let request = api::RangeRequest { sort_order: 9, ..range_of("") };
    assert_refused(range(request), Code::InvalidArgument, "etcdserver: key is not provided");
}

fn compare_of(compare: api::Compare) -> Result<store::Compare, Status> {
    let request = api::TxnRequest { compare: vec![compare], ..Default::default() };
    txn(request).map(|txn| txn.compare.into_iter().next().unwrap())
}

#[test]
fn comparison_is_read_by_its_target() {
    let number = |target, target_union| api::Compare { target, target_union, ..Default::default() };
    for (compare, with) in [
        (number(0, Some(TargetUnion::Version(3))), CompareWith::Version(3)),
        (number(1, Some(TargetUnion::CreateRevision(3))), CompareWith::CreateRevision(3)),
        (number(2, Some(TargetUnion::ModRevision(3))), CompareWith::ModRevision(3)),
        (number(3, Some(TargetUnion::Value("v".into()))), CompareWith::Value("v".into())),
        (number(4, Some(TargetUnion::Lease(3))), CompareWith::Lease(3)),
        // Whatever does not fit is nothing.
        (number(0, Some(TargetUnion::ModRevision(3))), CompareWith::Version(0)),
        (number(1, None), CompareWith::CreateRevision(0)),
        (number(2, None), CompareWith::ModRevision(0)),
        (number(3, Some(TargetUnion::Version(3))), CompareWith::Value(Bytes::new())),
        (number(4, None), CompareWith::Lease(0)),
    ] {
        assert_eq!(compare_of(compare).unwrap().with, with);
    }
    let results = [
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
    ];
    for (result, expected) in (0..).zip(results) {
        let compare = api::Compare { result, ..Default::default() };
        assert_eq!(compare_of(compare).unwrap().result, expected);
    }
}

#[test]
fn comparison_that_is_not_known_is_refused() {
    for value in [-1, 5, i32::MAX] {
        let compare = api::Compare { target: value, ..Default::default() };
        assert_refused(compare_of(compare), Code::InvalidArgument, "compare.target is");
        let compare = api::Compare { result: value, ..Default::default() };
        assert_refused(compare_of(compare), Code::InvalidArgument, "compare.result is");
    }
}

fn operation_of(request: Option<Request>) -> Result<Operation, Status> {
    let success = vec![api::RequestOp { request }];
    txn(api::TxnRequest { success, ..Default::default() })
        .map(|txn| txn.success.into_iter().next().unwrap())
}

#[test]
fn operation_that_is_none_is_refused() {
    assert_refused(operation_of(None), Code::InvalidArgument, "etcdserver: key not found");
    let inner = api::TxnRequest { failure: vec![api::RequestOp::default()], ..Default::default() };
    let nested = operation_of(Some(Request::RequestTxn(inner)));
    assert_refused(nested, Code::InvalidArgument, "etcdserver: key not found");
}

#[test]
fn operations_are_read_by_their_kind() {
    let put = api::PutRequest { key: "k".into(), lease: 3, prev_kv: true, ..Default::default() };
    let expected = store::Put { key: "k".into(), lease: 3, previous: true, ..Default::default() };
    let read = operation_of(Some(Request::RequestPut(put))).unwrap();
    assert_eq!(read, Operation::Put(expected));
    let delete = api::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: true };
    let read = operation_of(Some(Request::RequestDeleteRange(delete))).unwrap();
    let expected = store::DeleteRange { key: "k".into(), range_end: "l".into(), previous: true };
    assert_eq!(read, Operation::DeleteRange(expected));
}

#[test]
fn transaction_is_serializable_if_all_its_operations_are() {
    let read = |serializable| api::RequestOp {
        request: Some(Request::RequestRange(api::RangeRequest { serializable, ..range_of("k") })),
    };
    let txn = |success, failure| api::TxnRequest { success, failure, ..Default::default() };
    assert!(is_serializable(&txn(vec![read(true)], vec![read(true)])));
    assert!(!is_serializable(&txn(vec![], vec![])), "what only compares reads the newest");
    assert!(!is_serializable(&txn(vec![read(true)], vec![read(false)])));
    let nested = Some(Request::RequestTxn(txn(vec![read(true)], vec![])));
    assert!(!is_serializable(&txn(vec![api::RequestOp { request: nested }], vec![])));
}

#[test]
fn alarm_that_is_not_known_is_refused() {
    assert_eq!(alarm_kind(2).unwrap(), AlarmKind::Corrupt);
    assert_refused(alarm_kind(3), Code::InvalidArgument, "alarm is 3");
    assert_eq!(Header::default().at(Revision(3)).revision, 3);
}
