//! Transactions: first it is decided what is done, then whether it can be, and then it is done,
//! which cannot fail.
//!
//! 1. All comparisons, those of nested transactions too, are made against the store as it is before
//!    the transaction. They give a [`Plan`].
//! 2. Whatever could be refused is looked at, against the same store: revisions of reads, leases,
//!    and keys whose value or lease is to be kept. Only branches that are taken are looked at.
//! 3. The operations are done in order. Each sees what those before it have done.

use std::cmp::Ordering;

use mvcc::{Answer, KeyRange, Revision, SortTarget, Version, View};

use crate::codec::PutRef;
use crate::command::{
    Compare, CompareResult, CompareWith, DeleteRange, Operation, Put, Range, Txn,
};
use crate::deleted::Deleted;
use crate::range::range_checked;
use crate::response::{DeletedRange, OperationResponse, Rejection, TxnResponse};

/// Which branches are taken: of a transaction, and of each that is nested in that branch, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    succeeded: bool,
    nested: Vec<Plan>,
}

/// What operations are done to: the store and the leases, or a view if there are only reads.
pub(crate) trait Stage {
    /// Returns the store as it is now.
    fn now(&self) -> &View;
    /// Writes a key.
    fn put(&mut self, put: PutRef<'_>) -> Option<Version>;
    /// Deletes a range.
    fn delete(&mut self, delete: &DeleteRange) -> DeletedRange;
}

/// A view, to which nothing can be done.
struct ReadOnly<'v>(&'v View);

impl Stage for ReadOnly<'_> {
    fn now(&self) -> &View {
        self.0
    }

    fn put(&mut self, _put: PutRef<'_>) -> Option<Version> {
        unreachable!("a transaction that was read-only puts");
    }

    fn delete(&mut self, _delete: &DeleteRange) -> DeletedRange {
        unreachable!("a transaction that was read-only deletes");
    }
}

/// Answers a transaction that only reads ([`Txn::is_read_only`]), from a view.
///
/// # Errors
///
/// The view cannot show a revision that is read at.
pub fn read_txn(view: &View, txn: &Txn) -> Result<TxnResponse, Rejection> {
    assert!(txn.is_read_only(), "a transaction that writes is read from a view");
    let plan = Plan::of(view, txn);
    validate(view, &|_| false, txn, &plan)?;
    Ok(perform(&mut ReadOnly(view), txn, &plan))
}

impl Txn {
    /// Tells whether neither branch writes, however deeply nested.
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|operation| match operation {
            Operation::Range(_) => true,
            Operation::Put(_) | Operation::DeleteRange(_) => false,
            Operation::Txn(txn) => txn.is_read_only(),
        })
    }

    /// Tells whether any branch puts, taken or not, however deeply nested.
    pub fn has_put(&self) -> bool {
        self.success.iter().chain(&self.failure).any(|operation| match operation {
            Operation::Put(_) => true,
            Operation::Range(_) | Operation::DeleteRange(_) => false,
            Operation::Txn(txn) => txn.has_put(),
        })
    }

    fn branch(&self, plan: &Plan) -> &[Operation] {
        if plan.succeeded { &self.success } else { &self.failure }
    }
}

// === Which branches are taken ===

impl Plan {
    pub(crate) fn of(view: &View, txn: &Txn) -> Plan {
        let succeeded = txn.compare.iter().all(|compare| holds(view, compare));
        let mut plan = Plan { succeeded, nested: Vec::new() };
        for operation in txn.branch(&plan) {
            if let Operation::Txn(inner) = operation {
                plan.nested.push(Plan::of(view, inner));
            }
        }
        plan
    }
}

/// Tells whether a comparison holds: for each key in its range, or for a key that does not exist.
fn holds(view: &View, compare: &Compare) -> bool {
    if compare.range_end.is_empty() {
        return holds_for(view.get(&compare.key), compare);
    }
    let request = mvcc::RangeRequest {
        keys: KeyRange::of_request(&compare.key, &compare.range_end),
        revision: None,
        limit: None,
        answer: Answer::Versions,
        target: SortTarget::Key,
        order: None,
        filter: mvcc::Filter::default(),
    };
    let found = view.range(&request).expect("a view shows its own revision").versions;
    if found.is_empty() {
        return holds_for(None, compare);
    }
    found.into_iter().all(|version| holds_for(Some(version), compare))
}

fn holds_for(version: Option<&Version>, compare: &Compare) -> bool {
    let revision = |of: fn(&Version) -> Revision| version.map_or(0, |version| of(version).0);
    let ordering = match &compare.with {
        CompareWith::Version(with) => order(version.map_or(0, Version::version), *with),
        CompareWith::CreateRevision(with) => order(revision(Version::create_revision), *with),
        CompareWith::ModRevision(with) => order(revision(Version::mod_revision), *with),
        CompareWith::Lease(with) => version.and_then(Version::lease).unwrap_or(0).cmp(with),
        CompareWith::Value(with) => match version {
            Some(version) => version.value().bytes().cmp(with),
            None => return false,
        },
    };
    match compare.result {
        CompareResult::Equal => ordering == Ordering::Equal,
        CompareResult::Greater => ordering == Ordering::Greater,
        CompareResult::Less => ordering == Ordering::Less,
        CompareResult::NotEqual => ordering != Ordering::Equal,
    }
}

/// Compares a number of the store with one of a client, which may be negative.
fn order(stored: u64, with: i64) -> Ordering {
    u64::try_from(with).map_or(Ordering::Greater, |with| stored.cmp(&with))
}

// === Whether it can be done ===

/// Looks at all that could be refused in the branches that are taken, in their order.
pub(crate) fn validate(
    view: &View,
    has_lease: &dyn Fn(i64) -> bool,
    txn: &Txn,
    plan: &Plan,
) -> Result<(), Rejection> {
    let mut validation = Validation { view, has_lease, deleted: Deleted::default() };
    validation.branch(txn, plan)
}

struct Validation<'t> {
    view: &'t View,
    has_lease: &'t dyn Fn(i64) -> bool,
    /// What the operations before the one that is looked at delete.
    deleted: Deleted<'t>,
}

impl<'t> Validation<'t> {
    fn branch(&mut self, txn: &'t Txn, plan: &Plan) -> Result<(), Rejection> {
        let mut nested = plan.nested.iter();
        for operation in txn.branch(plan) {
            match operation {
                Operation::Range(range) => self.range(range)?,
                Operation::Put(put) => self.put(put)?,
                Operation::DeleteRange(delete) => self.delete(delete),
                Operation::Txn(inner) => {
                    let plan = nested.next().expect("the plan has each nested transaction");
                    self.branch(inner, plan)?;
                }
            }
        }
        Ok(())
    }

    /// A read can be at any revision up to that before the transaction. A negative one, which
    /// alone would mean now, is compared like the others here, as etcd does; and a store that was
    /// never compacted counts as compacted at -1.
    fn range(&self, range: &Range) -> Result<(), Rejection> {
        let Ok(revision) = u64::try_from(range.revision) else {
            let is_never_compacted = self.view.compacted().is_none();
            let is_readable = is_never_compacted && range.revision == -1;
            return if is_readable { Ok(()) } else { Err(Rejection::Compacted) };
        };
        if revision == 0 {
            return Ok(());
        }
        if self.view.revision() < Revision(revision) {
            return Err(Rejection::FutureRevision);
        }
        if Some(Revision(revision)) < self.view.compacted() {
            return Err(Rejection::Compacted);
        }
        Ok(())
    }

    fn put(&self, put: &Put) -> Result<(), Rejection> {
        validate_put(self.view, self.has_lease, PutRef::from(put))?;
        // Unlike etcd, which stops where it finds nothing to keep: a key that was deleted by an
        // operation before this one does not exist.
        let keeps = put.ignore_value || put.ignore_lease;
        if keeps && self.deleted.contains(&put.key) {
            return Err(Rejection::KeyNotFound);
        }
        Ok(())
    }

    fn delete(&mut self, delete: &'t DeleteRange) {
        match KeyRange::of_request(&delete.key, &delete.range_end) {
            KeyRange::Single(key) => self.deleted.insert(key),
            KeyRange::Between(start, end) => self.deleted.insert_between(start, end),
            KeyRange::From(start) => self.deleted.insert_from(start),
        }
    }
}

/// Looks at what could be refused of a put: first its lease, then the key if something of it is to
/// be kept. A key that is empty should have been refused before; here, too, it must not get on.
pub(crate) fn validate_put(
    view: &View,
    has_lease: &dyn Fn(i64) -> bool,
    put: PutRef<'_>,
) -> Result<(), Rejection> {
    if put.key.is_empty() {
        return Err(Rejection::EmptyKey);
    }
    if put.lease != 0 && !has_lease(put.lease) {
        return Err(Rejection::LeaseNotFound);
    }
    if (put.ignore_value || put.ignore_lease) && view.get(put.key).is_none() {
        return Err(Rejection::KeyNotFound);
    }
    Ok(())
}

// === Doing it ===

/// Does the operations of the branches that are taken, in their order.
pub(crate) fn perform<S: Stage>(stage: &mut S, txn: &Txn, plan: &Plan) -> TxnResponse {
    let mut nested = plan.nested.iter();
    let branch = txn.branch(plan).iter();
    let responses = branch.map(|operation| match operation {
        Operation::Range(range) => OperationResponse::Range(range_checked(stage.now(), range)),
        Operation::Put(put) => {
            let before = stage.put(PutRef::from(put));
            OperationResponse::Put(before.filter(|_| put.previous))
        }
        Operation::DeleteRange(delete) => OperationResponse::DeleteRange(stage.delete(delete)),
        Operation::Txn(inner) => {
            let plan = nested.next().expect("the plan has each nested transaction");
            OperationResponse::Txn(perform(stage, inner, plan))
        }
    });
    TxnResponse { succeeded: plan.succeeded, responses: responses.collect() }
}
