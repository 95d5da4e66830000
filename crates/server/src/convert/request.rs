//! What clients ask for, as commands of the store and questions to a view.
//!
//! A number that stands for nothing is answered here. Everything else that a request may have wrong
//! is checked in one place for all members, by `store::check_txn` and its like.

use bytes::Bytes;
use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::compare::TargetUnion;
use etcd_api::etcdserverpb::request_op::Request;
use store::{
    AlarmKind, Compare, CompareResult, CompareWith, DeleteRange, Operation, Order, Put, Range,
    Target, Txn,
};
use tonic::Status;

use crate::status::{Refusal, unknown};

/// Reads a range.
///
/// # Errors
///
/// The key is empty, or the order is not known.
pub fn range(request: api::RangeRequest) -> Result<Range, Status> {
    if request.key.is_empty() {
        return Err(Refusal::EmptyKey.into());
    }
    let (order, target) = sorting(&request)?;
    Ok(Range {
        key: request.key,
        range_end: request.range_end,
        limit: request.limit,
        revision: request.revision,
        order,
        target,
        keys_only: request.keys_only,
        count_only: request.count_only,
        mod_revision_min: request.min_mod_revision,
        mod_revision_max: request.max_mod_revision,
        create_revision_min: request.min_create_revision,
        create_revision_max: request.max_create_revision,
    })
}

/// Reads a put.
#[must_use]
pub fn put(request: api::PutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        previous: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

/// Reads a deletion.
#[must_use]
pub fn delete_range(request: api::DeleteRangeRequest) -> DeleteRange {
    DeleteRange { key: request.key, range_end: request.range_end, previous: request.prev_kv }
}

/// Reads a transaction.
///
/// # Errors
///
/// An operation is none, or an order or comparison is not known.
pub fn txn(request: api::TxnRequest) -> Result<Txn, Status> {
    Ok(Txn {
        compare: request.compare.into_iter().map(compare).collect::<Result<_, _>>()?,
        success: request.success.into_iter().map(operation).collect::<Result<_, _>>()?,
        failure: request.failure.into_iter().map(operation).collect::<Result<_, _>>()?,
    })
}

/// Tells whether a transaction only reads, and takes what this member has. One that only compares
/// does not say so: etcd answers it from what the member has, we do not.
#[must_use]
pub fn is_serializable(request: &api::TxnRequest) -> bool {
    let mut operations = request.success.iter().chain(&request.failure).peekable();
    operations.peek().is_some()
        && operations.all(|operation| match &operation.request {
            Some(Request::RequestRange(range)) => range.serializable,
            Some(
                Request::RequestPut(_) | Request::RequestDeleteRange(_) | Request::RequestTxn(_),
            )
            | None => false,
        })
}

/// Reads what an alarm is about.
///
/// # Errors
///
/// It is not known.
pub fn alarm_kind(kind: i32) -> Result<AlarmKind, Status> {
    match api::AlarmType::try_from(kind) {
        Ok(api::AlarmType::None) => Ok(AlarmKind::None),
        Ok(api::AlarmType::Nospace) => Ok(AlarmKind::NoSpace),
        Ok(api::AlarmType::Corrupt) => Ok(AlarmKind::Corrupt),
        Err(_) => Err(unknown("alarm", kind, "0 (NONE), 1 (NOSPACE), 2 (CORRUPT)")),
    }
}

fn operation(operation: api::RequestOp) -> Result<Operation, Status> {
    match operation.request {
        Some(Request::RequestRange(request)) => Ok(Operation::Range(range(request)?)),
        Some(Request::RequestPut(request)) => Ok(Operation::Put(put(request))),
        Some(Request::RequestDeleteRange(request)) => {
            Ok(Operation::DeleteRange(delete_range(request)))
        }
        Some(Request::RequestTxn(request)) => Ok(Operation::Txn(txn(request)?)),
        None => Err(Refusal::KeyNotFound.into()),
    }
}

/// Reads a comparison. With something that does not fit the target it is one with zero, or with the
/// empty value.
fn compare(request: api::Compare) -> Result<Compare, Status> {
    use api::compare::{CompareResult as Result, CompareTarget as Target};
    let result = match Result::try_from(request.result) {
        Ok(Result::Equal) => CompareResult::Equal,
        Ok(Result::Greater) => CompareResult::Greater,
        Ok(Result::Less) => CompareResult::Less,
        Ok(Result::NotEqual) => CompareResult::NotEqual,
        Err(_) => {
            let known = "0 (EQUAL), 1 (GREATER), 2 (LESS), 3 (NOT_EQUAL)";
            return Err(unknown("compare.result", request.result, known));
        }
    };
    let union = request.target_union;
    let with = match Target::try_from(request.target) {
        Ok(Target::Version) => CompareWith::Version(match union {
            Some(TargetUnion::Version(version)) => version,
            Some(_) | None => 0,
        }),
        Ok(Target::Create) => CompareWith::CreateRevision(match union {
            Some(TargetUnion::CreateRevision(revision)) => revision,
            Some(_) | None => 0,
        }),
        Ok(Target::Mod) => CompareWith::ModRevision(match union {
            Some(TargetUnion::ModRevision(revision)) => revision,
            Some(_) | None => 0,
        }),
        Ok(Target::Value) => CompareWith::Value(match union {
            Some(TargetUnion::Value(value)) => value,
            Some(_) | None => Bytes::new(),
        }),
        Ok(Target::Lease) => CompareWith::Lease(match union {
            Some(TargetUnion::Lease(lease)) => lease,
            Some(_) | None => 0,
        }),
        Err(_) => {
            let known = "0 (VERSION), 1 (CREATE), 2 (MOD), 3 (VALUE), 4 (LEASE)";
            return Err(unknown("compare.target", request.target, known));
        }
    };
    Ok(Compare { key: request.key, range_end: request.range_end, result, with })
}

fn sorting(request: &api::RangeRequest) -> Result<(Order, Target), Status> {
    use api::range_request::{SortOrder, SortTarget};
    let order = match SortOrder::try_from(request.sort_order) {
        Ok(SortOrder::None) => Order::None,
        Ok(SortOrder::Ascend) => Order::Ascending,
        Ok(SortOrder::Descend) => Order::Descending,
        Err(_) => return Err(Refusal::InvalidSortOption.into()),
    };
    let target = match SortTarget::try_from(request.sort_target) {
        Ok(SortTarget::Key) => Target::Key,
        Ok(SortTarget::Version) => Target::Version,
        Ok(SortTarget::Create) => Target::CreateRevision,
        Ok(SortTarget::Mod) => Target::ModRevision,
        Ok(SortTarget::Value) => Target::Value,
        Err(_) => return Err(Refusal::InvalidSortOption.into()),
    };
    Ok((order, target))
}
