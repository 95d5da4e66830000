//! Tables that give small numbers to large things, and find them again.
//!
//! Nothing here depends on the order of a hash, so that a search goes the same way every time.

use std::hash::{Hash, Hasher};

/// Where nothing is.
const EMPTY: u32 = u32::MAX;

/// Hashes to 128 bits: so many that two different things with the same fingerprint need not be
/// reckoned with.
#[derive(Clone, Debug)]
pub(super) struct Fingerprint {
    low: u64,
    high: u64,
}

impl Fingerprint {
    /// The fingerprint of a thing.
    pub(super) fn of(thing: &impl Hash) -> u128 {
        let mut hasher = Fingerprint { low: 0x243F_6A88_85A3_08D3, high: 0x1319_8A2E_0370_7344 };
        thing.hash(&mut hasher);
        hasher.write_u64(0xA409_3822_299F_31D0);
        u128::from(hasher.high) << 64 | u128::from(hasher.low)
    }

    /// A shorter fingerprint, for few things.
    pub(super) fn short(thing: &impl Hash) -> u64 {
        low_half(Fingerprint::of(thing))
    }
}

/// Multiplies to 128 bits, and puts the halves together.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    low_half(product) ^ low_half(product >> 64)
}

fn low_half(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).expect("the mask leaves 64 bits")
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.low = fold(self.low ^ word, 0x9E37_79B9_7F4A_7C15);
        self.high = fold(self.high.rotate_left(29) ^ word, 0xD1B5_4A32_D192_ED03) ^ self.low;
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.low
    }
}

/// The places of things in a list that is kept elsewhere, found by their hashes.
#[derive(Debug)]
pub(super) struct Places {
    /// A power of two of them, at most two thirds of which are taken.
    slots: Vec<u32>,
    taken: usize,
}

impl Places {
    pub(super) fn new() -> Places {
        Places { slots: vec![EMPTY; 1 << 10], taken: 0 }
    }

    /// Finds the place of a thing with this hash for which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let place = self.slots[self.slot(hash, is_it)];
        (place != EMPTY).then_some(place)
    }

    /// Adds the place of a thing that is not here; `hash_of` tells the hash of those that are.
    pub(super) fn add(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if 3 * (self.taken + 1) > 2 * self.slots.len() {
            let larger = vec![EMPTY; 2 * self.slots.len()];
            for old in std::mem::replace(&mut self.slots, larger) {
                if old != EMPTY {
                    let slot = self.slot(hash_of(old), |_| false);
                    self.slots[slot] = old;
                }
            }
        }
        let slot = self.slot(hash, |_| false);
        self.slots[slot] = place;
        self.taken += 1;
    }

    /// Puts another place where one is; its thing must have the same hash.
    pub(super) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let slot = self.slot(hash, |place| place == old);
        assert!(self.slots[slot] == old, "only a place that is here can be replaced");
        self.slots[slot] = new;
    }

    /// The slot where such a thing is, or the empty one where it would be.
    fn slot(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = usize::try_from(hash & mask as u64).expect("the mask is a length");
        while self.slots[slot] != EMPTY && !is_it(self.slots[slot]) {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Gives each different thing a number, from zero on.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    things: Vec<T>,
    prints: Vec<u128>,
    places: Places,
}

impl<T> Numbered<T> {
    pub(super) fn new() -> Numbered<T> {
        Numbered { things: Vec::new(), prints: Vec::new(), places: Places::new() }
    }

    /// The number of a thing with this fingerprint, which is made if it is new.
    pub(super) fn number(&mut self, print: u128, make: impl FnOnce() -> T) -> u32 {
        let hash = low_half(print);
        let prints = &self.prints;
        if let Some(number) = self.places.find(hash, |place| prints[place as usize] == print) {
            return number;
        }
        let number = u32::try_from(self.things.len()).expect("fewer than 2^32 different things");
        self.places.add(hash, number, |place| low_half(prints[place as usize]));
        self.things.push(make());
        self.prints.push(print);
        number
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }
}

/// Remembers one number for each pair of numbers.
#[derive(Debug)]
pub(super) struct Memo {
    entries: Vec<((u32, u32), u32)>,
    places: Places,
}

impl Memo {
    pub(super) fn new() -> Memo {
        Memo { entries: Vec::new(), places: Places::new() }
    }

    pub(super) fn get(&self, key: (u32, u32)) -> Option<u32> {
        let place = self.places.find(hash(key), |place| self.entries[place as usize].0 == key)?;
        Some(self.entries[place as usize].1)
    }

    /// Remembers what was not known.
    pub(super) fn add(&mut self, key: (u32, u32), value: u32) {
        let place = u32::try_from(self.entries.len()).expect("fewer than 2^32 pairs");
        let entries = &self.entries;
        self.places.add(hash(key), place, |place| hash(entries[place as usize].0));
        self.entries.push((key, value));
    }
}

fn hash((a, b): (u32, u32)) -> u64 {
    let word = u64::from(a) << 32 | u64::from(b);
    fold(word ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB)
}
