//! Answers without the store's types, so that those of the machine and of the model compare.

use mvcc::Version;
use store::{
    AlarmKind, Applied, DeletedRange, OperationResponse, RangeAnswer, Rejection, Response,
    TxnResponse,
};

/// One version of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) create_revision: i64,
    pub(crate) mod_revision: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Range { rows: Vec<Row>, more: bool, count: i64, keys_only: bool },
    Put(Option<Row>),
    Delete { deleted: i64, previous: Vec<Row> },
    Txn { succeeded: bool, said: Vec<Said> },
    Compact,
    Granted(i64),
    Done,
    Alarms(Vec<(u64, AlarmKind)>),
}

impl From<&Version> for Row {
    fn from(version: &Version) -> Row {
        Row {
            key: version.key().to_vec(),
            value: version.value().bytes().to_vec(),
            create_revision: version.create_revision().0.try_into().unwrap(),
            mod_revision: version.mod_revision().0.try_into().unwrap(),
            version: version.version().try_into().unwrap(),
            lease: version.lease().unwrap_or(0),
        }
    }
}

fn rows(versions: &[Version]) -> Vec<Row> {
    versions.iter().map(Row::from).collect()
}

/// Returns the revision and what was said.
pub(crate) fn said(applied: &Applied) -> (i64, Result<Said, Rejection>) {
    let said = applied.result.as_ref().map(of_response).map_err(|rejection| *rejection);
    (applied.revision.0.try_into().unwrap(), said)
}

fn of_response(response: &Response) -> Said {
    match response {
        Response::Put(before) => Said::Put(before.as_ref().map(Row::from)),
        Response::DeleteRange(deleted) => of_deleted(deleted),
        Response::Txn(txn) => of_txn(txn),
        Response::Compact => Said::Compact,
        Response::LeaseGrant { ttl } => Said::Granted(*ttl),
        Response::Done => Said::Done,
        Response::Alarm(alarms) => Said::Alarms(alarms.clone()),
    }
}

pub(crate) fn of_range(answer: &RangeAnswer) -> Said {
    let RangeAnswer { versions, more, count, keys_only, target: _ } = answer;
    Said::Range { rows: rows(versions), more: *more, count: *count, keys_only: *keys_only }
}

fn of_deleted(range: &DeletedRange) -> Said {
    Said::Delete { deleted: range.deleted, previous: rows(&range.previous) }
}

pub(crate) fn of_txn(txn: &TxnResponse) -> Said {
    let said = txn.responses.iter().map(|response| match response {
        OperationResponse::Range(answer) => of_range(answer),
        OperationResponse::Put(before) => Said::Put(before.as_ref().map(Row::from)),
        OperationResponse::DeleteRange(deleted) => of_deleted(deleted),
        OperationResponse::Txn(txn) => of_txn(txn),
    });
    Said::Txn { succeeded: txn.succeeded, said: said.collect() }
}
