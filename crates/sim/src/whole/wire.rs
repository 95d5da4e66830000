//! Connections between members: each carries messages in order and at most once, until it breaks.
//!
//! What is under way on a connection when it breaks is lost, but for what the other end had already
//! received and not read: that may still come, also after messages of the next connection.

use std::collections::BTreeMap;

use crate::network::{Mode, Symmetry, cut};
use crate::options::Delay;
use crate::rng::Random;
use crate::whole::options::NetworkOptions;

/// A direction between two members.
pub(crate) type Link = (u64, u64);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives at this time, by this connection, if that holds.
    Arrives { at: u64, connection: u64 },
    /// It is not sent; whether the sender is told.
    NotSent { is_told: bool },
    /// It is lost, and nobody knows.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Wire {
    options: NetworkOptions,
    random: Random,
    /// The directions that carry nothing.
    broken: Vec<Link>,
    /// The directions that hold everything back until some time.
    clogged: BTreeMap<Link, u64>,
    connections: BTreeMap<Link, Connection>,
}

/// The connection in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    number: u64,
    /// When the last message on it arrives.
    latest: u64,
    /// Until when messages of the connection before still arrive.
    late_until: u64,
}

impl Wire {
    pub(crate) fn new(options: NetworkOptions, random: Random) -> Wire {
        Wire {
            options,
            random,
            broken: Vec::new(),
            clogged: BTreeMap::new(),
            connections: BTreeMap::new(),
        }
    }

    /// Decides about a message that leaves at `now`.
    pub(crate) fn send(&mut self, link: Link, now: u64) -> Fate {
        if self.is_broken(link) {
            return Fate::NotSent { is_told: self.random.chance(self.options.told) };
        }
        if self.random.chance(self.options.loss) {
            return Fate::Lost;
        }
        let delay = self.delay();
        let clogged = self.clogged.get(&link).copied().unwrap_or(0);
        let connection = self.connections.entry(link).or_default();
        let at = (now + delay).max(clogged).max(connection.latest + 1);
        connection.latest = at;
        Fate::Arrives { at, connection: connection.number }
    }

    /// Tells whether a message arrives that was sent by this connection.
    pub(crate) fn arrives(&self, link: Link, connection: u64, now: u64) -> bool {
        let current = self.connections.get(&link).copied().unwrap_or_default();
        let is_late = connection + 1 == current.number && now <= current.late_until;
        !self.is_broken(link) && (connection == current.number || is_late)
    }

    /// Tells whether another connection has taken the place of this one.
    pub(crate) fn is_replaced(&self, link: Link, connection: u64) -> bool {
        let current = self.connections.get(&link).map_or(0, |current| current.number);
        connection < current
    }

    /// Breaks the connection of a link; the next message makes another.
    ///
    /// What was received by then and not read still comes, in half of the cases: of a link that
    /// holds everything back, when that is over. The next connection is not held back.
    pub(crate) fn reset(&mut self, link: Link, now: u64) {
        let clogged = self.clogged.remove(&link).unwrap_or(0);
        let late_until =
            if self.random.chance(500) { clogged.max(now + self.delay()) } else { now };
        let connection = self.connections.entry(link).or_default();
        let number = connection.number + 1;
        *connection = Connection { number, latest: now, late_until };
    }

    /// How long a message takes.
    pub(crate) fn delay(&mut self) -> u64 {
        let mean = self.options.delay_mean;
        let delay = match self.options.delay {
            Delay::Exponential => self.random.exponential(mean),
            Delay::Uniform => self.random.between(0, 2 * mean),
        };
        delay.max(1)
    }

    /// Tells whether an image breaks off now.
    pub(crate) fn fails_image(&mut self) -> bool {
        // It has several pieces.
        self.random.chance(self.options.image_failures / 4)
    }

    /// Tells whether a follower hears at once that its leader died.
    pub(crate) fn hears_of_death(&mut self) -> bool {
        self.random.chance(self.options.deaths_heard)
    }

    /// Tells whether a link carries nothing.
    pub(crate) fn is_broken(&self, link: Link) -> bool {
        self.broken.contains(&link)
    }

    // === Faults ===

    /// Falls apart, with the members in this order; returns the directions that carry nothing.
    pub(crate) fn part(
        &mut self,
        members: &[u64],
        mode: Mode,
        symmetry: Symmetry,
        random: &mut Random,
    ) -> Vec<Link> {
        self.broken = cut(members, mode, random);
        if symmetry == Symmetry::Both {
            let back: Vec<_> = self.broken.iter().map(|(from, to)| (*to, *from)).collect();
            self.broken.extend(back);
        }
        self.broken.sort_unstable();
        self.broken.dedup();
        self.broken.clone()
    }

    /// Becomes whole again.
    pub(crate) fn heal(&mut self) {
        self.broken.clear();
    }

    /// Holds everything back on one link until some time.
    pub(crate) fn clog(&mut self, link: Link, until: u64) {
        self.clogged.insert(link, until);
    }

    /// Works as it should from now on, between all but the links given, which carry nothing.
    pub(crate) fn mend(&mut self, broken: Vec<Link>) {
        self.broken = broken;
        self.clogged.clear();
        for connection in self.connections.values_mut() {
            connection.number += 1;
            connection.latest = 0;
            connection.late_until = 0;
        }
        self.options.loss = 0;
        self.options.image_failures = 0;
        self.options.delay_mean = 500;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whole::options::Options;

    fn wire() -> Wire {
        let options = NetworkOptions { loss: 0, told: 0, ..Options::draw(1).network };
        Wire::new(options, Random::new(7))
    }

    fn arrival(fate: Fate) -> (u64, u64) {
        match fate {
            Fate::Arrives { at, connection } => (at, connection),
            Fate::NotSent { .. } | Fate::Lost => panic!("nothing is broken, and nothing lost"),
        }
    }

    #[test]
    fn connection_keeps_the_order() {
        let mut wire = wire();
        let arrivals: Vec<u64> = (0..1000).map(|now| arrival(wire.send((1, 2), now)).0).collect();
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn reset_loses_what_is_under_way_but_for_what_was_received() {
        let (mut lost, mut late) = (0, 0);
        for seed in 0..100 {
            let mut wire = wire();
            wire.random = Random::new(seed);
            let (at, connection) = arrival(wire.send((1, 2), 0));
            wire.reset((1, 2), 0);
            if wire.arrives((1, 2), connection, at) {
                late += 1
            } else {
                lost += 1
            }
            let (at, connection) = arrival(wire.send((1, 2), 0));
            assert!(wire.arrives((1, 2), connection, at), "the next connection carries");
        }
        assert!(20 < lost && 10 < late, "{lost} were lost, and {late} came late");
    }
}
