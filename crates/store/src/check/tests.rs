//! Requests that are refused by themselves, one rule after the other.

use bytes::Bytes;

use super::*;
use crate::command::{Compare, CompareResult, CompareWith};

fn put(key: &'static str) -> Operation {
    Operation::Put(Put { key: Bytes::from_static(key.as_bytes()), ..Put::default() })
}

fn delete(key: &'static str, range_end: &'static str) -> Operation {
    let [key, range_end] = [key, range_end].map(|text| Bytes::from_static(text.as_bytes()));
    Operation::DeleteRange(DeleteRange { key, range_end, previous: false })
}

fn range(key: &'static str) -> Operation {
    Operation::Range(Range { key: Bytes::from_static(key.as_bytes()), ..Range::default() })
}

fn nest(success: Vec<Operation>, failure: Vec<Operation>) -> Operation {
    Operation::Txn(Txn { compare: Vec::new(), success, failure })
}

fn compare(key: &'static str) -> Compare {
    Compare {
        key: Bytes::from_static(key.as_bytes()),
        range_end: Bytes::new(),
        result: CompareResult::Equal,
        with: CompareWith::Version(0),
    }
}

/// Checks a transaction with this branch, be it the one for success or the other.
#[track_caller]
fn check(branch: &[Operation], wanted: Result<(), Rejection>) {
    for (success, failure) in [(branch, &[][..]), (&[][..], branch)] {
        let txn = Txn { compare: Vec::new(), success: success.to_vec(), failure: failure.to_vec() };
        assert_eq!(check_txn(&txn, 8), wanted, "{txn:?}");
    }
}

const DUPLICATE: Result<(), Rejection> = Err(Rejection::DuplicateKey);

#[test]
fn request_without_a_key_is_refused() {
    assert_eq!(check_range(&Range::default()), Err(Rejection::EmptyKey));
    assert_eq!(check_delete_range(&DeleteRange::default()), Err(Rejection::EmptyKey));
    check(&[range("")], Err(Rejection::EmptyKey));
    check(&[delete("", "b")], Err(Rejection::EmptyKey));
    check(&[nest(vec![put("")], vec![])], Err(Rejection::EmptyKey));
    let txn = Txn { compare: vec![compare("")], ..Txn::default() };
    assert_eq!(check_txn(&txn, 8), Err(Rejection::EmptyKey));
}

#[test]
fn put_that_keeps_something_does_not_bring_it() {
    let both = Put { value: "v".into(), lease: 1, ..Put::default() };
    let ignore = Put { ignore_value: true, ignore_lease: true, ..both };
    assert_eq!(check_put(&ignore), Err(Rejection::EmptyKey));
    let with_key = Put { key: "k".into(), ..ignore };
    assert_eq!(check_put(&with_key), Err(Rejection::ValueProvided));
    let without_value = Put { value: Bytes::new(), ..with_key };
    assert_eq!(check_put(&without_value), Err(Rejection::LeaseProvided));
    assert_eq!(check_put(&Put { lease: 0, ..without_value }), Ok(()));
}

#[test]
fn operations_are_counted_by_the_longest_list_of_each_level() {
    let many = |len: usize| vec![range("k"); len];
    check(&many(8), Ok(()));
    check(&many(9), Err(Rejection::TooManyOperations));
    let txn = Txn { compare: vec![compare("k"); 9], ..Txn::default() };
    assert_eq!(check_txn(&txn, 8), Err(Rejection::TooManyOperations));
    // One operation outside leaves seven inside, whatever stands beside it there.
    check(&[nest(many(7), many(7))], Ok(()));
    check(&[nest(many(8), vec![])], Err(Rejection::TooManyOperations));
    check(&[nest(vec![], vec![nest(many(6), vec![])])], Ok(()));
    check(&[nest(vec![], vec![nest(many(7), vec![])])], Err(Rejection::TooManyOperations));
}

#[test]
fn count_is_looked_at_before_keys_and_those_before_duplicates() {
    let mut branch = vec![put("a"), put("a"), range("")];
    check(&branch, Err(Rejection::EmptyKey));
    branch.extend(vec![range("k"); 6]);
    check(&branch, Err(Rejection::TooManyOperations));
    let nested = nest(vec![range("k"); 8], vec![]);
    check(&[range(""), nested.clone()], Err(Rejection::EmptyKey));
    check(&[nested, range("")], Err(Rejection::TooManyOperations));
}

#[test]
fn key_is_put_once_and_not_deleted_too() {
    check(&[put("a"), put("b")], Ok(()));
    check(&[put("a"), put("a")], DUPLICATE);
    check(&[put("a"), delete("a", "")], DUPLICATE);
    check(&[delete("a", ""), put("a\0")], Ok(()));
    check(&[delete("a", "c"), put("b")], DUPLICATE);
    check(&[delete("a", "c"), put("c")], Ok(()));
    check(&[delete("a", "c"), delete("b", "d"), put("e")], Ok(()));
    check(&[delete("c", "a"), put("b")], Ok(()));
    check(&[put("a"), range("a"), range("a")], Ok(()));
}

#[test]
fn deletion_of_all_keys_from_one_on_counts_for_none() {
    check(&[delete("a", "\0"), put("b"), put("a")], Ok(()));
}

#[test]
fn the_two_branches_of_a_transaction_may_write_the_same() {
    check(&[nest(vec![put("a")], vec![put("a")])], Ok(()));
    check(&[nest(vec![put("a")], vec![delete("a", "")])], Ok(()));
    let txn = Txn { compare: vec![], success: vec![put("a")], failure: vec![put("a")] };
    assert_eq!(check_txn(&txn, 8), Ok(()));
}

#[test]
fn what_is_nested_is_held_against_what_is_around_it() {
    check(&[nest(vec![put("a")], vec![]), put("a")], DUPLICATE);
    check(&[put("a"), nest(vec![], vec![put("a")])], DUPLICATE);
    check(&[put("a"), nest(vec![delete("a", "b")], vec![])], DUPLICATE);
    check(&[nest(vec![], vec![put("a")]), delete("a", "")], DUPLICATE);
    check(&[nest(vec![nest(vec![put("a")], vec![])], vec![]), put("a")], DUPLICATE);
}

#[test]
fn nested_transaction_is_held_against_those_before_it() {
    let puts = nest(vec![put("a")], vec![]);
    check(&[puts.clone(), puts.clone()], DUPLICATE);
    check(&[nest(vec![], vec![put("a")]), puts.clone()], DUPLICATE);
    let deletes = nest(vec![delete("a", "")], vec![]);
    check(&[deletes.clone(), puts.clone()], DUPLICATE);
    check(&[puts, deletes], Ok(()));
}

#[test]
fn nesting_deeper_than_the_codec_takes_is_refused() {
    let nested = |depth: usize| {
        (1..depth).fold(Txn::default(), |inner, _| Txn {
            success: vec![Operation::Txn(inner)],
            ..Txn::default()
        })
    };
    assert_eq!(check_txn(&nested(TXN_DEPTH_MAX), 1_000), Ok(()));
    let too_deep = nested(TXN_DEPTH_MAX + 1);
    assert_eq!(check_txn(&too_deep, 1_000), Err(Rejection::TooManyOperations));
}
