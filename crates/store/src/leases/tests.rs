//! The table of leases against a plain map, and keys that are attached.

use std::collections::BTreeMap;

use super::*;

/// Draws numbers, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

fn compare(table: &LeaseTable, model: &BTreeMap<i64, Lease>) {
    assert_eq!(table.len(), model.len());
    assert_eq!(table.is_empty(), model.is_empty());
    assert!(table.iter().eq(model.values().copied()), "the leases are others");
}

#[test]
fn table_is_a_map_and_its_copies_stay_as_they_were() {
    let mut dice = Dice(1);
    let (mut table, mut model) = (LeaseTable::default(), BTreeMap::new());
    let mut copies: Vec<(LeaseTable, BTreeMap<i64, Lease>)> = Vec::new();
    for step in 0..20_000 {
        // First it grows, then it shrinks, then it grows again.
        let shrinks = (7_000..14_000).contains(&step);
        let id = dice.below(3_000).cast_signed() - 1_000;
        if dice.below(4) == 0 || (shrinks && dice.below(4) != 0) {
            assert_eq!(table.remove(id), model.remove(&id), "at {step}");
        } else {
            let remaining = Some(dice.below(3).cast_signed()).filter(|seconds| *seconds != 0);
            let lease = Lease { id, ttl: dice.below(100).cast_signed(), remaining };
            assert_eq!(table.insert(lease), model.insert(id, lease), "at {step}");
        }
        let sought = dice.below(3_000).cast_signed() - 1_000;
        assert_eq!(table.get(sought), model.get(&sought).copied(), "{sought} at {step}");
        let from: Vec<Lease> = table.iter_from(sought).take(3).collect();
        assert!(from.iter().eq(model.range(sought..).map(|(_, lease)| lease).take(3)));
        if step % 2_000 == 0 {
            copies.push((table.clone(), model.clone()));
        }
    }
    for (table, model) in copies.iter().chain([&(table, model)]) {
        compare(table, model);
    }
}

#[test]
fn digest_is_that_of_the_leases_and_not_of_how_they_came_to_be() {
    let lease = |id| Lease { id, ttl: 10, remaining: None };
    let (mut upwards, mut downwards) = (LeaseTable::default(), LeaseTable::default());
    for id in 1..1_000 {
        upwards.insert(lease(id));
        downwards.insert(lease(1_000 - id));
    }
    assert_eq!(upwards.digest(), downwards.digest());
    let before = upwards.digest();
    upwards.insert(Lease { remaining: Some(1), ..lease(7) });
    assert_ne!(upwards.digest(), before);
    upwards.insert(lease(7));
    upwards.insert(lease(5_000));
    assert_ne!(upwards.digest(), before);
    upwards.remove(5_000);
    assert_eq!(upwards.digest(), before);
    for id in 1..1_000 {
        upwards.remove(id);
    }
    assert_eq!((upwards.digest(), upwards.chunks_len()), (0, 0));
}

#[test]
fn chunks_are_full_if_ids_ascend_and_few_after_removals() {
    let mut table = LeaseTable::default();
    for id in 1..=10_000 {
        table.insert(Lease { id, ttl: 1, remaining: None });
    }
    assert_eq!(table.chunks_len(), 40);
    for id in (1..=10_000).filter(|id| id % 10 != 0) {
        table.remove(id);
    }
    assert_eq!(table.len(), 1_000);
    assert!(table.chunks_len() <= 20, "{} chunks for 1000 leases", table.chunks_len());
}

#[test]
fn keys_of_a_lease_are_its_own_and_in_order() {
    let mut attached = Attached::of(vec![(2, b"b"), (1, b"x"), (2, b"a"), (3, b"")]);
    attached.attach(i64::MAX, b"last");
    attached.attach(i64::MIN, b"first");
    attached.detach(1, b"x");
    let keys = |id| attached.keys(id).collect::<Vec<&[u8]>>();
    assert_eq!(keys(2), [b"a", b"b"]);
    assert_eq!(keys(1), Vec::<&[u8]>::new());
    assert_eq!(keys(i64::MAX), [b"last"]);
    assert_eq!(keys(i64::MIN), [b"first"]);
    assert!(attached.has_keys(3) && !attached.has_keys(4));
}
