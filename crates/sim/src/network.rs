//! The network: it loses, delays, duplicates and reorders messages, and falls apart.
//!
//! ```text
//!   uniform size    a group of any size, and the rest          ring      1 ─ 2 ─ 3
//!   uniform         each member in one of two groups                      \     /
//!   isolate         one member, and the rest                                5 ─ 4
//!   bridge          two groups that share one member
//!   chained         1 ─ 2 ─ 3 ─ 4 ─ 5: each reaches only the next, as in the outage at Cloudflare
//! ```
//!
//! An asymmetric partition cuts one direction of each link that it cuts.

use std::collections::BTreeMap;

use raft::Message;

use crate::options::{Delay, NetworkOptions, Order};
use crate::rng::Random;

/// In which way the network falls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    UniformSize,
    Uniform,
    Isolate,
    Bridge,
    Ring,
    Chained,
}

impl Mode {
    pub(crate) const ALL: [Mode; 6] =
        [Mode::UniformSize, Mode::Uniform, Mode::Isolate, Mode::Bridge, Mode::Ring, Mode::Chained];
}

/// Which directions of a link are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symmetry {
    Both,
    /// Those from the earlier of two groups, or of two neighbours, to the later.
    OneWay,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost.
    Lost,
    /// It arrives at this time.
    Arrives(u64),
    /// It arrives at both of these times.
    ArrivesTwice(u64, u64),
}

/// The network between the members.
#[derive(Debug)]
pub(crate) struct Network {
    options: NetworkOptions,
    random: Random,
    /// The directions that carry nothing.
    broken: Vec<(u64, u64)>,
    /// The directions that hold everything back until some time.
    clogged: BTreeMap<(u64, u64), u64>,
    /// The time of the latest arrival on each link.
    latest: BTreeMap<(u64, u64), u64>,
}

impl Network {
    pub(crate) fn new(options: NetworkOptions, random: Random) -> Network {
        Network {
            options,
            random,
            broken: Vec::new(),
            clogged: BTreeMap::new(),
            latest: BTreeMap::new(),
        }
    }

    /// Decides about a message that leaves at `now`.
    pub(crate) fn send(&mut self, message: &Message, now: u64) -> Fate {
        let link = (message.from.0, message.to.0);
        if self.is_broken(link) || self.random.chance(self.options.loss) {
            return Fate::Lost;
        }
        let first = self.arrival(link, now);
        if self.random.chance(self.options.duplication) {
            return Fate::ArrivesTwice(first, self.arrival(link, now));
        }
        Fate::Arrives(first)
    }

    /// Tells whether a link carries nothing; what is under way on it is lost, too.
    pub(crate) fn is_broken(&self, link: (u64, u64)) -> bool {
        self.broken.contains(&link)
    }

    /// Tells whether the sender hears of a message that was lost.
    pub(crate) fn is_loss_noticed(&mut self) -> bool {
        self.random.chance(self.options.loss_noticed)
    }

    fn arrival(&mut self, link: (u64, u64), now: u64) -> u64 {
        if self.random.chance(self.options.stragglers) {
            return now + self.random.below(self.options.straggler_max);
        }
        let mean = self.options.delay_mean;
        let delay = match self.options.delay {
            Delay::Exponential => self.random.exponential(mean),
            Delay::Uniform => self.random.between(0, 2 * mean),
        };
        let mut at = now + delay.max(1);
        if let Some(until) = self.clogged.get(&link) {
            at = at.max(*until);
        }
        if self.options.order == Order::Kept {
            let latest = self.latest.entry(link).or_default();
            at = at.max(*latest + 1);
            *latest = at;
        }
        at
    }

    // === Faults ===

    /// Falls apart, with the members in this order; returns the directions that carry nothing from
    /// now on.
    pub(crate) fn part(
        &mut self,
        members: &[u64],
        mode: Mode,
        symmetry: Symmetry,
        random: &mut Random,
    ) -> &[(u64, u64)] {
        self.broken = cut(members, mode, random);
        if symmetry == Symmetry::Both {
            let back: Vec<_> = self.broken.iter().map(|(from, to)| (*to, *from)).collect();
            self.broken.extend(back);
        }
        self.broken.sort_unstable();
        self.broken.dedup();
        &self.broken
    }

    /// Becomes whole again.
    pub(crate) fn heal(&mut self) {
        self.broken.clear();
    }

    /// Holds everything back on one link until some time.
    pub(crate) fn clog(&mut self, link: (u64, u64), until: u64) {
        self.clogged.insert(link, until);
    }

    /// Works as it should from now on, between all but the links given, which carry nothing.
    pub(crate) fn mend(&mut self, broken: Vec<(u64, u64)>) {
        self.broken = broken;
        self.clogged.clear();
        self.latest.clear();
        self.options.loss = 0;
        self.options.duplication = 0;
        self.options.stragglers = 0;
        self.options.delay_mean = 500;
    }
}

/// The links that a partition cuts, each in one direction.
pub(crate) fn cut(members: &[u64], mode: Mode, random: &mut Random) -> Vec<(u64, u64)> {
    let len = members.len();
    if len < 2 {
        return Vec::new();
    }
    let between = |one: &[u64], other: &[u64]| -> Vec<(u64, u64)> {
        one.iter().flat_map(|from| other.iter().map(|to| (*from, *to))).collect()
    };
    match mode {
        Mode::UniformSize => {
            let (one, other) = members.split_at(1 + random.place(len - 1));
            between(one, other)
        }
        Mode::Uniform => {
            let (one, other): (Vec<u64>, Vec<u64>) =
                members.iter().copied().partition(|_| random.chance(500));
            between(&one, &other)
        }
        Mode::Isolate if random.chance(500) => between(&members[..1], &members[1..]),
        Mode::Isolate => between(&members[1..], &members[..1]),
        Mode::Bridge => {
            let middle = len / 2;
            between(&members[..middle], &members[middle + 1..])
        }
        Mode::Ring => far(members, |apart| apart > 1 && apart < len - 1),
        Mode::Chained => far(members, |apart| apart > 1),
    }
}

/// The links between members that stand so far apart in the list.
fn far(members: &[u64], is_cut: impl Fn(usize) -> bool) -> Vec<(u64, u64)> {
    let mut links = Vec::new();
    for (place, from) in members.iter().enumerate() {
        for (apart, to) in members[place..].iter().enumerate() {
            if is_cut(apart) {
                links.push((*from, *to));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use raft::{Body, MemberId, Term};

    use super::*;

    fn options() -> NetworkOptions {
        NetworkOptions {
            loss: 0,
            duplication: 0,
            stragglers: 0,
            straggler_max: 1_000_000,
            delay: Delay::Exponential,
            delay_mean: 10_000,
            order: Order::Lost,
            loss_noticed: 0,
        }
    }

    fn send_many(options: NetworkOptions) -> Vec<Fate> {
        let mut network = Network::new(options, Random::new(5));
        let message =
            Message { from: MemberId(1), to: MemberId(2), term: Term(1), body: Body::TimeoutNow };
        (0..1000).map(|now| network.send(&message, now)).collect()
    }

    #[test]
    fn loss_and_duplication_are_as_frequent_as_asked_for() {
        let fates = send_many(NetworkOptions { loss: 300, duplication: 500, ..options() });
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        let twice = fates.iter().filter(|fate| matches!(fate, Fate::ArrivesTwice(..))).count();
        assert!((250..=350).contains(&lost), "{lost} of 1000 are lost");
        assert!((300..=400).contains(&twice), "{twice} of 1000 arrive twice");
    }

    #[test]
    fn order_is_kept_only_when_asked_for() {
        let arrivals = |order| -> Vec<u64> {
            let arrival = |fate| match fate {
                Fate::Arrives(at) => at,
                Fate::Lost | Fate::ArrivesTwice(..) => unreachable!("none is lost or doubled"),
            };
            send_many(NetworkOptions { order, ..options() }).into_iter().map(arrival).collect()
        };
        assert!(arrivals(Order::Kept).is_sorted());
        assert!(!arrivals(Order::Lost).is_sorted());
    }

    #[test]
    fn partitions_cut_what_they_say() {
        let mut network = Network::new(options(), Random::new(5));
        let mut random = Random::new(9);
        let members = [1, 2, 3, 4, 5];
        let mut count = |mode, symmetry| network.part(&members, mode, symmetry, &mut random).len();
        assert_eq!(count(Mode::Isolate, Symmetry::Both), 8);
        assert_eq!(count(Mode::Isolate, Symmetry::OneWay), 4);
        assert_eq!(count(Mode::Bridge, Symmetry::Both), 8);
        assert_eq!(count(Mode::Ring, Symmetry::Both), 10);
        assert_eq!(count(Mode::Chained, Symmetry::Both), 12);
    }

    #[test]
    fn clogged_link_delivers_later_and_others_at_once() {
        let mut network = Network::new(options(), Random::new(5));
        network.clog((1, 2), 5_000_000);
        assert!(network.arrival((1, 2), 0) >= 5_000_000);
        assert!(network.arrival((2, 1), 0) < 5_000_000);
    }
}
