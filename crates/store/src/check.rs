//! What can be refused without looking at the store, in the order in which etcd refuses it. The
//! server asks here before it proposes.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::codec::TXN_DEPTH_MAX;
use crate::command::{DeleteRange, Operation, Put, Range, Txn};
use crate::deleted::Deleted;
use crate::response::Rejection;

/// Checks a read by itself.
///
/// # Errors
///
/// The key is empty.
pub fn check_range(range: &Range) -> Result<(), Rejection> {
    has_key(&range.key)
}

/// Checks a put by itself.
///
/// # Errors
///
/// The key is empty, or something is given that is to be kept.
pub fn check_put(put: &Put) -> Result<(), Rejection> {
    has_key(&put.key)?;
    if put.ignore_value && !put.value.is_empty() {
        return Err(Rejection::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(Rejection::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion by itself.
///
/// # Errors
///
/// The key is empty.
pub fn check_delete_range(delete: &DeleteRange) -> Result<(), Rejection> {
    has_key(&delete.key)
}

/// Checks a transaction by itself: first how many operations it has, each level of nesting leaving
/// fewer to the next, and each operation; then whether keys are written twice.
///
/// A deletion of all keys from one on does not count as a deletion of a key that is put, since to
/// etcd it does not.
///
/// # Errors
///
/// The first thing that etcd would refuse.
pub fn check_txn(txn: &Txn, ops_max: usize) -> Result<(), Rejection> {
    check_operations(txn, ops_max, TXN_DEPTH_MAX)?;
    Written::of(&txn.success)?;
    Written::of(&txn.failure)?;
    Ok(())
}

fn has_key(key: &[u8]) -> Result<(), Rejection> {
    if key.is_empty() { Err(Rejection::EmptyKey) } else { Ok(()) }
}

fn check_operations(txn: &Txn, ops_max: usize, depth_max: usize) -> Result<(), Rejection> {
    let ops = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let ops_left = ops_max.checked_sub(ops).ok_or(Rejection::TooManyOperations)?;
    // The codec takes no more.
    let depth_left = depth_max.checked_sub(1).ok_or(Rejection::TooManyOperations)?;
    for compare in &txn.compare {
        has_key(&compare.key)?;
    }
    for operation in txn.success.iter().chain(&txn.failure) {
        match operation {
            Operation::Range(range) => check_range(range)?,
            Operation::Put(put) => check_put(put)?,
            Operation::DeleteRange(delete) => check_delete_range(delete)?,
            Operation::Txn(txn) => check_operations(txn, ops_left, depth_left)?,
        }
    }
    Ok(())
}

/// What one branch may write, with all that is nested in it.
#[derive(Default)]
struct Written<'t> {
    puts: BTreeSet<&'t [u8]>,
    deleted: Deleted<'t>,
}

impl<'t> Written<'t> {
    /// Collects what a branch may write: its deletions, then what is nested in it, in order, then
    /// its puts. So a put in one nested transaction is held against a deletion in an earlier one,
    /// but not in a later one.
    fn of(branch: &'t [Operation]) -> Result<Written<'t>, Rejection> {
        let mut written = Written::default();
        for operation in branch {
            if let Operation::DeleteRange(delete) = operation {
                written.delete(delete);
            }
        }
        for operation in branch {
            if let Operation::Txn(txn) = operation {
                written.nest(Written::of(&txn.success)?, Written::of(&txn.failure)?)?;
            }
        }
        for operation in branch {
            if let Operation::Put(put) = operation {
                written.refuse(&put.key)?;
                written.puts.insert(&put.key);
            }
        }
        Ok(written)
    }

    fn delete(&mut self, delete: &'t DeleteRange) {
        if delete.range_end.is_empty() {
            self.deleted.insert(&delete.key);
        } else {
            // The end that means "all from here on" is taken as a key here, and is before any.
            self.deleted.insert_between(&delete.key, &delete.range_end);
        }
    }

    /// Takes in a nested transaction. Its two branches may write the same key: one is not done.
    fn nest(&mut self, success: Written<'t>, failure: Written<'t>) -> Result<(), Rejection> {
        for key in success.puts.iter().chain(failure.puts.difference(&success.puts)) {
            self.refuse(key)?;
        }
        self.puts.extend(success.puts);
        self.puts.extend(failure.puts);
        self.deleted.extend(success.deleted);
        self.deleted.extend(failure.deleted);
        Ok(())
    }

    fn refuse(&self, key: &[u8]) -> Result<(), Rejection> {
        if self.puts.contains(key) || self.deleted.contains(key) {
            return Err(Rejection::DuplicateKey);
        }
        Ok(())
    }
}
