//! Histories made by hand, by chance, and held against brute force.

use super::{Op, Operation, Violation, ViolationKind, check, check_within};

mod brute_force;
mod random;

use brute_force::has_order;
use random::{Mix, Random, execute, mutate, scramble};

/// An operation on key 1 by client `client`, from `call` to `ret`.
fn operation(client: u64, call: u64, ret: Option<u64>, op: Op) -> Operation {
    Operation { client, call, ret, key: 1, op }
}

fn write(client: u64, times: (u64, u64), value: u64) -> Operation {
    operation(client, times.0, Some(times.1), Op::Write { value })
}

fn lost_write(client: u64, call: u64, value: u64) -> Operation {
    operation(client, call, None, Op::Write { value })
}

fn read(client: u64, times: (u64, u64), value: Option<u64>) -> Operation {
    operation(client, times.0, Some(times.1), Op::Read { value })
}

fn cas(client: u64, times: (u64, u64), expect: Option<u64>, value: u64, done: bool) -> Operation {
    let op = Op::Cas { expect, value, succeeded: Some(done) };
    operation(client, times.0, Some(times.1), op)
}

fn lost_cas(client: u64, call: u64, expect: Option<u64>, value: u64) -> Operation {
    operation(client, call, None, Op::Cas { expect, value, succeeded: None })
}

#[track_caller]
fn accepts(history: &[Operation]) {
    assert_eq!(check(history), Ok(()));
    assert!(has_order(history), "the brute force does not agree");
}

#[track_caller]
fn refuses(history: &[Operation], expected: ViolationKind) -> Violation {
    let violation = check(history).expect_err("the history has no order");
    assert_eq!(violation.kind, expected, "{violation}");
    assert!(!has_order(history), "the brute force does not agree");
    violation
}

#[test]
fn empty_history_is_accepted() {
    accepts(&[]);
}

#[test]
fn one_after_the_other_is_accepted() {
    accepts(&[
        read(1, (0, 1), None),
        write(1, (2, 3), 10),
        read(2, (4, 5), Some(10)),
        cas(2, (6, 7), Some(10), 20, true),
        cas(1, (8, 9), Some(10), 30, false),
        read(1, (10, 11), Some(20)),
    ]);
}

#[test]
fn concurrent_write_may_be_seen_or_not() {
    accepts(&[write(1, (0, 100), 10), read(2, (10, 20), None), read(2, (30, 40), Some(10))]);
    accepts(&[write(1, (0, 100), 10), read(2, (10, 20), Some(10))]);
}

#[test]
fn operations_that_touch_overlap() {
    accepts(&[write(1, (0, 5), 10), read(2, (5, 9), None)]);
}

#[test]
fn stale_read_is_refused() {
    let history = [write(1, (0, 10), 10), write(1, (20, 30), 20), read(2, (40, 50), Some(10))];
    let violation = refuses(&history, ViolationKind::NoOrder);
    assert_eq!(violation.operations, history, "these three contradict each other");
    assert_eq!(
        violation.to_string(),
        "key 1: no order explains what the clients saw\n  \
         client 1: write 10, from 0 to 10\n  \
         client 1: write 20, from 20 to 30\n  \
         client 2: read 10, from 40 to 50"
    );
}

#[test]
fn value_that_was_seen_does_not_go_away() {
    let flips = [write(1, (0, 100), 10), read(2, (10, 20), Some(10)), read(3, (30, 40), None)];
    refuses(&flips, ViolationKind::NoOrder);
}

#[test]
fn two_readers_agree_on_the_order_of_two_writes() {
    let history = [
        write(1, (0, 100), 10),
        write(2, (0, 100), 20),
        read(3, (10, 20), Some(10)),
        read(3, (30, 40), Some(20)),
        read(4, (50, 60), Some(10)),
    ];
    refuses(&history, ViolationKind::NoOrder);
    accepts(&history[..4]);
}

#[test]
fn lost_update_is_refused() {
    let both_replace_the_same = [
        write(1, (0, 1), 10),
        cas(1, (10, 30), Some(10), 20, true),
        cas(2, (10, 30), Some(10), 30, true),
    ];
    refuses(&both_replace_the_same, ViolationKind::NoOrder);
    let overwritten_by_what_was_there =
        [write(1, (0, 1), 10), cas(1, (10, 20), Some(10), 20, true), read(2, (30, 40), Some(10))];
    refuses(&overwritten_by_what_was_there, ViolationKind::NoOrder);
}

#[test]
fn read_from_the_future_is_refused() {
    let history = [read(2, (0, 10), Some(10)), write(1, (20, 30), 10)];
    let violation = refuses(&history, ViolationKind::NoOrder);
    assert_eq!(violation.operations, history, "the read came before the write");
    let never_answered = [read(2, (0, 10), Some(10)), lost_write(1, 20, 10)];
    let violation = refuses(&never_answered, ViolationKind::NoOrder);
    assert_eq!(violation.operations, never_answered, "the read came before the write");
}

#[test]
fn value_from_nowhere_is_refused() {
    let history = [write(1, (0, 10), 10), read(2, (20, 30), Some(11))];
    let violation = refuses(&history, ViolationKind::FromNowhere);
    assert_eq!(violation.operations, history[1..], "it is the read that shows it");
    refuses(&[cas(1, (0, 1), Some(7), 10, true)], ViolationKind::FromNowhere);
    let swapped_from_nowhere = [lost_cas(1, 0, Some(7), 10), read(2, (20, 30), Some(10))];
    refuses(&swapped_from_nowhere, ViolationKind::FromNowhere);
}

#[test]
fn aborted_read_is_refused() {
    let history =
        [write(1, (0, 1), 10), cas(2, (10, 20), Some(99), 20, false), read(3, (30, 40), Some(20))];
    refuses(&history, ViolationKind::FromNowhere);
}

#[test]
fn cas_is_refused_only_while_another_value_may_be_there() {
    let wrongly = [write(1, (0, 1), 10), cas(2, (10, 20), Some(10), 20, false)];
    let violation = refuses(&wrongly, ViolationKind::NoOrder);
    assert_eq!(violation.operations, wrongly, "the write is why it could not be refused");
    let before_a_write = [
        write(1, (0, 1), 10),
        cas(2, (10, 20), Some(10), 20, false),
        write(3, (15, 30), 30),
        read(4, (40, 50), Some(30)),
    ];
    accepts(&before_a_write);
    let write_must_wait = [
        write(1, (0, 1), 10),
        cas(2, (10, 20), Some(10), 20, false),
        write(3, (15, 30), 30),
        read(4, (21, 24), Some(10)),
    ];
    refuses(&write_must_wait, ViolationKind::NoOrder);
}

#[test]
fn refusal_may_need_a_write_that_was_never_answered() {
    let history =
        [write(1, (0, 1), 10), lost_write(2, 5, 20), cas(3, (10, 20), Some(10), 30, false)];
    accepts(&history);
    let twice_with_one_write = [
        write(1, (0, 1), 10),
        lost_write(2, 5, 20),
        cas(3, (10, 20), Some(10), 30, false),
        write(1, (30, 31), 40),
        cas(3, (40, 50), Some(40), 50, false),
    ];
    refuses(&twice_with_one_write, ViolationKind::NoOrder);
}

#[test]
fn refusal_may_need_a_write_kept_for_later() {
    accepts(&[
        write(1, (0, 60), 10),
        write(2, (5, 10), 20),
        write(3, (20, 30), 30),
        cas(4, (40, 50), Some(30), 40, false),
    ]);
}

#[test]
fn cas_finds_what_was_written_before_it() {
    let history = [
        write(1, (0, 1), 10),
        write(2, (10, 40), 20),
        cas(3, (12, 38), Some(20), 30, true),
        read(4, (20, 25), Some(10)),
        read(4, (30, 35), Some(30)),
    ];
    accepts(&history);
    let another_in_between = [
        write(1, (0, 1), 10),
        cas(3, (12, 38), Some(10), 30, true),
        read(4, (20, 25), Some(20)),
        write(2, (10, 11), 20),
    ];
    refuses(&another_in_between, ViolationKind::NoOrder);
}

#[test]
fn write_that_was_never_answered_may_take_effect_later() {
    let history = [
        lost_write(1, 0, 10),
        write(2, (10, 20), 20),
        read(3, (30, 40), Some(20)),
        read(3, (50, 60), Some(10)),
    ];
    accepts(&history);
    let and_only_once = [
        lost_write(1, 0, 10),
        read(3, (5, 6), Some(10)),
        write(2, (10, 20), 20),
        read(3, (30, 40), Some(20)),
        read(3, (50, 60), Some(10)),
    ];
    refuses(&and_only_once, ViolationKind::NoOrder);
}

#[test]
fn cas_that_was_never_answered_may_take_effect_or_not() {
    let before = [write(1, (0, 1), 10), lost_cas(2, 5, Some(10), 20)];
    accepts(&[before[0], before[1], read(3, (30, 40), Some(10))]);
    accepts(&[before[0], before[1], read(3, (30, 40), Some(20))]);
    accepts(&[before[0], before[1], cas(3, (30, 40), Some(10), 30, false)]);
    let overwritten = [before[0], before[1], write(3, (10, 11), 30), read(3, (30, 40), Some(20))];
    refuses(&overwritten, ViolationKind::NoOrder);
}

#[test]
fn unknown_outcome_does_not_end_with_the_call() {
    let op = Op::Cas { expect: None, value: 10, succeeded: None };
    accepts(&[operation(1, 0, Some(5), op), read(2, (6, 7), None), read(2, (8, 9), Some(10))]);
}

#[test]
fn keys_are_registers_of_their_own() {
    let elsewhere = |operation: Operation| Operation { key: 2, ..operation };
    let good = [write(1, (0, 1), 10), elsewhere(read(2, (5, 6), None))];
    assert_eq!(check(&good), Ok(()));
    let bad = [read(2, (5, 6), None), elsewhere(write(1, (0, 1), 10)), elsewhere(good[1])];
    assert_eq!(check(&bad).expect_err("key 2 was written").key, 2);
}

#[test]
#[should_panic(expected = "a value was written twice: client 2: write 10, from 2 to 3")]
fn value_written_twice_is_the_workloads_fault() {
    let _ = check(&[write(1, (0, 1), 10), write(2, (2, 3), 10)]);
}

#[test]
#[should_panic(expected = "returned before it was called")]
fn return_before_the_call_is_the_workloads_fault() {
    let _ = check(&[write(1, (3, 1), 10)]);
}

#[test]
fn search_that_is_given_up_is_no_success() {
    let history = [write(1, (0, 1), 10), read(2, (5, 6), Some(10)), read(3, (5, 6), Some(10))];
    assert_eq!(check_within(&history, 3), Ok(()));
    let violation = check_within(&history, 2).expect_err("it needs three worlds");
    assert_eq!(violation.kind, ViolationKind::Undecided);
    assert_eq!(violation.operations, history[2..], "this was under way");
}

#[test]
fn histories_of_a_real_register_are_accepted() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let mix = Mix::draw(&mut random, 300);
        let history = execute(&mut random, mix);
        if let Err(violation) = check(&history) {
            panic!("seed {seed}, {mix:?}: {violation}");
        }
    }
}

#[test]
fn long_history_of_many_clients_is_checked_fast() {
    for seed in 0..4 {
        let mut random = Random(seed);
        let mix = Mix { operations: 5000, overlap: 40, lost_percent: 5, cas_percent: 30 };
        let history = execute(&mut random, mix);
        assert_eq!(check(&history), Ok(()), "seed {seed}");
        let mutated = mutate(&mut random, &history);
        if let Err(violation) = check(&mutated) {
            assert_ne!(violation.kind, ViolationKind::Undecided, "seed {seed}: {violation}");
            assert!(violation.operations.len() <= 40, "seed {seed}: too long: {violation}");
        }
    }
}

#[test]
fn small_histories_are_judged_as_by_brute_force() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..30_000 {
        let mut random = Random(seed);
        let mix = Mix::draw(&mut random, 6);
        let mut history = execute(&mut random, mix);
        if seed % 3 == 0 {
            history = scramble(&mut random, &history);
        } else {
            history = mutate(&mut random, &history);
        }
        let verdict = check(&history);
        assert_eq!(verdict.is_ok(), has_order(&history), "seed {seed}: {verdict:?}\n{history:#?}");
        *(if verdict.is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 5000 && bad > 5000, "{good} good and {bad} bad histories are too one-sided");
}
