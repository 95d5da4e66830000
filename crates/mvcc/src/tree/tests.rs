//! Tests of the tree against a sorted map of the standard library, and of what must hold inside.

use std::collections::BTreeMap;

use super::*;
use crate::encoding::KeyValue;
use crate::revision::Revision;
use crate::version::Kind;

/// A small generator of random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn version(key: &[u8], number: u64) -> Version {
    let change = Change { revision: Revision(number / 3), sub: u32::try_from(number % 3).unwrap() };
    let fields = KeyValue { key, ..KeyValue::default() };
    Version::new(change, Kind::Put, fields, &mut Vec::new())
}

/// A kind of tree under test: how to make an entry of a key and a number, and what sorts it.
trait Subject: Entry {
    fn of(key: &[u8], number: u64) -> Self;
    fn version(&self) -> &Version;
    fn place(&self) -> (Vec<u8>, Change) {
        (self.probe().key.to_vec(), self.probe().change)
    }
}

macro_rules! subject {
    ($type:ident) => {
        impl Subject for $type {
            fn of(key: &[u8], number: u64) -> $type {
                $type(version(key, number))
            }
            fn version(&self) -> &Version {
                &self.0
            }
        }
    };
}
subject!(ByKey);
subject!(ByKeyAndChange);
subject!(ByChange);

type Model = BTreeMap<(Vec<u8>, Change), Version>;

fn check<E: Subject>(tree: &Tree<E>, model: &Model) {
    let mut entries = Vec::new();
    tree.root.check(Spine::Right, &mut entries);
    assert_eq!(tree.len(), model.len(), "length");
    assert!(entries.iter().map(|entry| entry.version()).eq(model.values()), "contents");
}

/// Looks from every side at one place and one range of the tree.
fn look<E: Subject>(tree: &Tree<E>, model: &Model, from: &E, to: &E) {
    let (low, high) = (from.place(), to.place());
    assert_eq!(tree.get(from.probe()).map(Subject::version), model.get(&low));
    let rank = model.range(..&low).count();
    assert_eq!(tree.rank(from.probe()), rank);
    assert_eq!(tree.nth(rank).map(Subject::version), model.values().nth(rank));
    if low <= high {
        let range = || tree.range(tree.rank(from.probe())..tree.rank(to.probe()));
        let expected: Vec<&Version> = model.range(low..high).map(|(_, v)| v).collect();
        assert_eq!(range().map(Subject::version).collect::<Vec<_>>(), expected);
        assert_eq!(range().len(), expected.len());
        let backwards: Vec<&Version> = range().rev().map(Subject::version).collect();
        assert!(backwards.iter().rev().eq(expected.iter()), "backwards");
        let mut both = range();
        let ends = (both.nth(2).map(Subject::version), both.next_back().map(Subject::version));
        let mut expected = expected.into_iter();
        assert_eq!(ends, (expected.nth(2), expected.next_back()));
    }
}

fn key(dice: &mut Dice, keys: u64) -> Vec<u8> {
    let number = dice.below(keys);
    match dice.below(4) {
        0 => format!("{number}").into_bytes(),
        1 => format!("/registry/pods/namespace-{}/pod-{number}", number % 7).into_bytes(),
        2 => [vec![b'x'; 70], number.to_string().into_bytes()].concat(),
        _ => vec![0; 1 + usize::try_from(number % 90).unwrap()],
    }
}

/// Random changes; a view that is taken now and then must stay what it was.
fn random_changes<E: Subject>(seed: u64, rounds: u64, keys: u64) {
    let mut dice = Dice(seed);
    let mut tree: Tree<E> = Tree::new();
    let mut model = Model::new();
    let mut views: Vec<(Tree<E>, Model)> = Vec::new();
    for round in 0..rounds {
        // Phases of growth and of shrinking, so that the tree gets a level and loses it.
        let growing = (round / (rounds / 4)).is_multiple_of(2);
        let entry = E::of(&key(&mut dice, keys), dice.below(keys));
        if dice.below(10) < if growing { 8 } else { 1 } {
            let replaced = tree.insert(entry.clone()).map(|entry| entry.version().clone());
            assert_eq!(replaced, model.insert(entry.place(), entry.version().clone()));
        } else {
            let chosen = model.keys().nth(usize::try_from(dice.below(40)).unwrap()).cloned();
            let (key, change) = chosen.unwrap_or_else(|| entry.place());
            let removed = tree.remove(Probe { key: &key, change });
            let removed = removed.map(|entry| entry.version().clone());
            assert_eq!(removed, model.remove(&(key, change)));
        }
        check(&tree, &model);
        let other = E::of(&key(&mut dice, keys), dice.below(keys));
        look(&tree, &model, &entry, &other);
        if dice.below(rounds / 8) == 0 {
            views.push((tree.clone(), model.clone()));
        }
    }
    for (tree, model) in &views {
        check(tree, model);
    }
}

#[test]
fn tree_does_what_a_sorted_map_does() {
    for seed in 0..4 {
        random_changes::<ByKey>(seed, 600, 60);
        random_changes::<ByKeyAndChange>(seed, 600, 60);
        random_changes::<ByChange>(seed, 600, 300);
    }
}

#[test]
fn tree_of_three_levels_does_what_a_sorted_map_does() {
    random_changes::<ByKey>(11, 2500, 2500);
}

#[test]
fn entries_in_ascending_order_fill_their_nodes() {
    let entries = (0..10_000).map(|number| ByChange::of(b"k", number));
    let tree = Tree::from_sorted(entries);
    let model = (0..10_000).map(|number| version(b"k", number));
    let model: Model = model.map(|version| ((Vec::new(), version.change()), version)).collect();
    check(&tree, &model);
    let mut rank = 0;
    while rank < tree.len() {
        let (leaf, start) = tree.root.leaf_at(rank);
        assert_eq!(start, rank);
        rank += leaf.len();
        assert!(leaf.is_full() || rank == tree.len(), "a leaf is not full");
    }
}

#[test]
fn trees_of_every_size_are_built_and_changed_like_others() {
    for len in (0..=2 * 32 * 32).filter(|len| len % 31 < 3 || len % 32 < 2) {
        let key = |number: u64| format!("key-{:08}-{number}", number * number).into_bytes();
        let entries = (1..=len).map(|number| ByKey::of(&key(number), number));
        let mut tree = Tree::from_sorted(entries);
        let versions = (1..=len).map(|number| version(&key(number), number));
        let mut model: Model = versions.map(|it| ((it.key().to_vec(), Change::MIN), it)).collect();
        check(&tree, &model);
        for number in [len / 2, len, len + 1, 1] {
            if tree.remove(Probe::key(&key(number))).is_some() {
                model.remove(&(key(number), Change::MIN)).expect("both have it");
            } else {
                tree.insert(ByKey::of(&key(number), number));
                model.insert((key(number), Change::MIN), version(&key(number), number));
            }
            check(&tree, &model);
        }
    }
}

#[test]
fn tree_that_loses_its_first_entries_does_what_a_sorted_map_does() {
    let mut tree = Tree::from_sorted((0..3_000).map(|number| ByChange::of(b"k", number)));
    for number in 0..3_000 {
        let change = version(b"k", number).change();
        assert!(tree.remove(Probe::change(change)).is_some(), "entry {number} is there");
        let mut entries = Vec::new();
        tree.root.check(Spine::Right, &mut entries);
        let first = entries.first().map(|entry| entry.0.change());
        assert_eq!(first, (number < 2_999).then(|| version(b"k", number + 1).change()));
    }
    assert_eq!(tree.len(), 0);
}

#[test]
fn change_copies_only_the_way_to_it() {
    let mut tree = Tree::from_sorted((0..5_000).map(|number| ByChange::of(b"k", number)));
    let view = tree.clone();
    tree.insert(ByChange::of(b"other", 2_500));
    let leaves = |tree: &Tree<ByChange>| -> Vec<usize> {
        let mut rank = 0;
        let mut leaves = Vec::new();
        while rank < tree.len() {
            let (leaf, start) = tree.root.leaf_at(rank);
            leaves.push(std::ptr::from_ref(leaf).addr());
            rank = start + leaf.len();
        }
        leaves
    };
    let (before, after) = (leaves(&view), leaves(&tree));
    let different = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!((different, before.len()), (1, after.len()));
}
