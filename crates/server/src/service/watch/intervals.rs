//! Ranges of keys, asked which of them hold a key.
//!
//! A search tree by where ranges start, in which every node knows how far the ranges below it
//! reach. So a question passes by whatever ends before the key, and costs the logarithm of the
//! number of ranges for each that it finds.
//!
//! The tree is kept in shape by chance (a treap): each node draws a number, and none is below a
//! node that drew less. Clients choose the ranges, so the numbers come from a seed that they do not
//! know.

use super::interest::End;

/// Ranges, and a value for each.
#[derive(Debug)]
pub(super) struct Intervals<V> {
    root: Link<V>,
    seed: u64,
}

type Link<V> = Option<Box<Node<V>>>;

#[derive(Debug)]
struct Node<V> {
    start: Box<[u8]>,
    end: End,
    /// The farthest end here and below.
    farthest: End,
    /// What was drawn: at least that of the node above.
    rank: u64,
    left: Link<V>,
    right: Link<V>,
    value: V,
}

impl<V: Default> Intervals<V> {
    pub(super) fn new(seed: u64) -> Intervals<V> {
        Intervals { root: None, seed }
    }

    /// Returns the value of a range, which is a new one if the range is.
    pub(super) fn value(&mut self, start: &[u8], end: &End) -> &mut V {
        if find(&mut self.root, start, end).is_none() {
            let rank = self.draw();
            let (left, right) = split(self.root.take(), start, end);
            let (start, farthest) = (start.into(), end.clone());
            let (end, value) = (end.clone(), V::default());
            let node = Node { start, end, farthest, rank, left: None, right: None, value };
            self.root = merge(merge(left, Some(Box::new(node))), right);
        }
        let node = find(&mut self.root, start, end).expect("it was put there if it was not there");
        &mut node.value
    }

    /// Takes a range away.
    pub(super) fn remove(&mut self, start: &[u8], end: &End) {
        let is_there = remove(&mut self.root, start, end);
        assert!(is_there, "no range from {start:x?} to {end:x?}");
    }

    /// Calls `each` with the values of all ranges that hold a key.
    pub(super) fn holding(&self, key: &[u8], each: &mut impl FnMut(&V)) {
        holding(&self.root, key, each);
    }

    /// Draws a number (`SplitMix64`).
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.seed;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

impl<V> Node<V> {
    fn update(&mut self) {
        let below = [&self.left, &self.right].into_iter().flatten().map(|node| &node.farthest);
        let farthest = below.fold(&self.end, |farthest, end| farthest.max(end));
        if *farthest != self.farthest {
            self.farthest = farthest.clone();
        }
    }
}

fn find<'t, V>(link: &'t mut Link<V>, start: &[u8], end: &End) -> Option<&'t mut Node<V>> {
    let mut node = link.as_deref_mut()?;
    while (&*node.start, &node.end) != (start, end) {
        let is_left = (start, end) < (&*node.start, &node.end);
        node = if is_left { node.left.as_deref_mut()? } else { node.right.as_deref_mut()? };
    }
    Some(node)
}

/// Divides a tree into what comes before a range and what comes behind it.
fn split<V>(link: Link<V>, start: &[u8], end: &End) -> (Link<V>, Link<V>) {
    let Some(mut node) = link else { return (None, None) };
    if (&*node.start, &node.end) < (start, end) {
        let (before, behind) = split(node.right.take(), start, end);
        node.right = before;
        node.update();
        (Some(node), behind)
    } else {
        let (before, behind) = split(node.left.take(), start, end);
        node.left = behind;
        node.update();
        (before, Some(node))
    }
}

/// Makes one tree of two, all of one coming before all of the other.
fn merge<V>(before: Link<V>, behind: Link<V>) -> Link<V> {
    let (mut before, mut behind) = match (before, behind) {
        (Some(before), Some(behind)) => (before, behind),
        (link, None) | (None, link) => return link,
    };
    if before.rank <= behind.rank {
        before.right = merge(before.right.take(), Some(behind));
        before.update();
        Some(before)
    } else {
        behind.left = merge(Some(before), behind.left.take());
        behind.update();
        Some(behind)
    }
}

fn remove<V>(link: &mut Link<V>, start: &[u8], end: &End) -> bool {
    let Some(node) = link else { return false };
    if (&*node.start, &node.end) == (start, end) {
        *link = merge(node.left.take(), node.right.take());
        return true;
    }
    let is_left = (start, end) < (&*node.start, &node.end);
    let is_there = remove(if is_left { &mut node.left } else { &mut node.right }, start, end);
    node.update();
    is_there
}

fn holding<V>(link: &Link<V>, key: &[u8], each: &mut impl FnMut(&V)) {
    let Some(node) = link else { return };
    if !node.farthest.is_behind(key) {
        return;
    }
    holding(&node.left, key, each);
    if *node.start <= *key {
        if node.end.is_behind(key) {
            each(&node.value);
        }
        holding(&node.right, key, each);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Model = BTreeMap<(Vec<u8>, End), u64>;

    fn range(draw: u64) -> (Vec<u8>, End) {
        let start = u8::try_from(draw % 50).unwrap();
        let len = u8::try_from(draw / 50 % 20).unwrap();
        let end = [start + 1 + len];
        (vec![start], if len == 19 { End::Open } else { End::Before(end[..].into()) })
    }

    fn depth<V>(link: &Link<V>) -> usize {
        link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    #[test]
    fn holding_finds_what_a_list_would() {
        let mut intervals = Intervals::new(7);
        let mut model = Model::new();
        let mut draws = Intervals::<u64>::new(8);
        for step in 0..20_000 {
            let (start, end) = range(draws.draw());
            if draws.draw().is_multiple_of(2) {
                *intervals.value(&start, &end) = step;
                model.insert((start, end), step);
            } else if model.remove(&(start.clone(), end.clone())).is_some() {
                intervals.remove(&start, &end);
            }
            let key = [u8::try_from(draws.draw() % 80).unwrap()];
            let mut found = Vec::new();
            intervals.holding(&key, &mut |value| found.push(*value));
            let holds = |(start, end): &(Vec<u8>, End)| **start <= key[..] && end.is_behind(&key);
            let wanted = model.iter().filter(|(range, _)| holds(range)).map(|(_, value)| *value);
            assert_eq!(found, wanted.collect::<Vec<_>>(), "step {step}");
        }
    }

    #[test]
    fn ranges_in_order_give_a_shallow_tree() {
        let mut intervals = Intervals::<()>::new(1);
        for number in 0..100_000 {
            intervals.value(format!("{number:06}").as_bytes(), &End::Open);
        }
        let depth = depth(&intervals.root);
        assert!(depth < 60, "100,000 ranges are {depth} deep");
    }

    #[test]
    #[should_panic(expected = "no range from")]
    fn what_is_not_there_cannot_be_removed() {
        Intervals::<()>::new(1).remove(b"a", &End::Open);
    }
}
