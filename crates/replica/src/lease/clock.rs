//! The leader's count of how long each lease lives.
//!
//! Only the leader counts, and only while it leads: a successor gives every lease all of its time
//! anew, or what the log says is left. So a lease may live longer than was granted, but never
//! shorter. That one has run out is told through the log, where a leader that was replaced has no
//! say.

use std::collections::{BTreeMap, BTreeSet};

use raft::Index;
use store::{Lease, LeaseTable};

/// How many leases are given up by one command.
pub(crate) const EXPIRED_MAX: usize = 1000;

/// When each lease runs out, in ticks of this replica.
///
/// Invariant: `order` holds exactly the leases that are running, each under its deadline.
#[derive(Debug)]
pub(crate) struct LeaseClock {
    tick_millis: u64,
    /// At which tick each lease runs out.
    running: BTreeMap<i64, u64>,
    order: BTreeSet<(u64, i64)>,
    /// Leases that have run out, with the index of the entry that gives them up.
    expiring: BTreeMap<i64, Index>,
    /// Until this tick none is given up.
    held_until: u64,
}

impl LeaseClock {
    /// Begins to count, at the beginning of a term.
    pub(crate) fn begin(now: u64, tick_millis: u32, leases: &LeaseTable) -> LeaseClock {
        let mut clock = LeaseClock {
            tick_millis: u64::from(tick_millis),
            running: BTreeMap::new(),
            order: BTreeSet::new(),
            expiring: BTreeMap::new(),
            held_until: 0,
        };
        for lease in leases.iter() {
            clock.start(now, lease.id, lease.seconds_left());
        }
        clock
    }

    /// Starts the time of a lease that was granted.
    pub(crate) fn start(&mut self, now: u64, id: i64, seconds: i64) {
        self.stop(id);
        let deadline = now.saturating_add(self.ticks(seconds));
        self.running.insert(id, deadline);
        self.order.insert((deadline, id));
        self.assert_order();
    }

    /// Forgets a lease that exists no more.
    pub(crate) fn stop(&mut self, id: i64) {
        self.expiring.remove(&id);
        if let Some(deadline) = self.running.remove(&id) {
            self.order.remove(&(deadline, id));
        }
        self.assert_order();
    }

    /// Starts the time of a lease anew, unless it is not there or is being given up, and tells
    /// whether it did.
    pub(crate) fn renew(&mut self, now: u64, lease: Lease) -> bool {
        let is_running = self.running.contains_key(&lease.id);
        if is_running {
            self.start(now, lease.id, lease.ttl);
        }
        is_running
    }

    /// How many seconds a lease has left, rounded down; `None` if it is not there or is being given
    /// up.
    pub(crate) fn seconds_left(&self, now: u64, id: i64) -> Option<i64> {
        let deadline = self.running.get(&id)?;
        let millis = deadline.saturating_sub(now).saturating_mul(self.tick_millis);
        Some(i64::try_from(millis / 1000).unwrap_or(i64::MAX))
    }

    /// Gives up no lease for so many ticks: time has passed in which nobody could be heard who
    /// keeps one alive.
    pub(crate) fn hold(&mut self, now: u64, ticks: u32) {
        self.held_until = now + u64::from(ticks);
    }

    /// Returns leases that have run out, by ascending ID, those first whose time ended first.
    pub(crate) fn expired(&self, now: u64) -> Vec<i64> {
        if now < self.held_until {
            return Vec::new();
        }
        let expired = self.order.iter().take_while(|(deadline, _)| *deadline <= now);
        let mut ids: Vec<i64> = expired.take(EXPIRED_MAX).map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Records that these leases are being given up by the entry at this index.
    pub(crate) fn expire(&mut self, ids: &[i64], at: Index) {
        for id in ids {
            self.stop(*id);
            self.expiring.insert(*id, at);
        }
    }

    /// Records that the entries up to this index were executed, and that what they have revoked was
    /// stopped. What they were to give up and did not, since the command was refused, runs on for a
    /// second.
    pub(crate) fn on_applied(&mut self, now: u64, upto: Index) {
        let refused = self.expiring.iter().filter(|(_, index)| **index <= upto);
        let ids: Vec<i64> = refused.map(|(id, _)| *id).collect();
        for id in ids {
            self.start(now, id, 1);
        }
    }

    /// Returns the IDs of all leases, those first whose time ends first.
    pub(crate) fn by_deadline(&self) -> Vec<i64> {
        let running = self.order.iter().map(|(_, id)| *id);
        self.expiring.keys().copied().chain(running).collect()
    }

    /// How many ticks are certain to be as long as so many seconds. The tick that is under way does
    /// not count.
    fn ticks(&self, seconds: i64) -> u64 {
        let millis = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        millis.div_ceil(self.tick_millis).saturating_add(1)
    }

    fn assert_order(&self) {
        let (order, running) = (self.order.len(), self.running.len());
        assert!(order == running, "{running} leases run, and {order} have a place in the order");
    }
}

#[cfg(test)]
mod tests {
    use store::Machine;

    use super::*;

    fn clock(tick_millis: u32) -> LeaseClock {
        LeaseClock::begin(0, tick_millis, Machine::new().leases())
    }

    #[test]
    fn lease_never_runs_out_early() {
        for tick_millis in [1, 7, 100, 999, 1000, 1500] {
            for seconds in [1, 2, 5, 60] {
                let mut clock = clock(tick_millis);
                // The tick in which it is granted may be almost over.
                clock.start(10, 7, seconds);
                let early = (0..).find(|now| !clock.expired(*now).is_empty()).expect("it ends");
                let whole_ticks = early - 11;
                let lived = whole_ticks * u64::from(tick_millis);
                let granted = u64::try_from(seconds).expect("it is positive") * 1000;
                assert!(granted <= lived, "{seconds} s at {tick_millis} ms lived {lived} ms");
            }
        }
    }

    #[test]
    fn enormous_times_are_counted() {
        let mut clock = clock(100);
        clock.start(10, 7, i64::MAX);
        assert_eq!(clock.expired(1 << 50), Vec::<i64>::new());
        assert!(clock.seconds_left(10, 7).is_some_and(|seconds| 9_000_000_000 < seconds));
    }

    #[test]
    fn those_that_ran_out_first_are_given_up_first() {
        let mut clock = clock(1000);
        for id in 0..3000 {
            clock.start(0, id, 3000 - id);
        }
        let first = clock.expired(10_000);
        assert_eq!(first, (2000..3000).collect::<Vec<i64>>());
        clock.expire(&first, Index(5));
        assert_eq!(clock.expired(10_000), (1000..2000).collect::<Vec<i64>>());
    }

    #[test]
    fn lease_whose_expiry_was_refused_runs_on() {
        let mut clock = clock(1000);
        clock.start(0, 7, 1);
        clock.expire(&[7], Index(5));
        assert_eq!(clock.seconds_left(1, 7), None);
        clock.on_applied(10, Index(4));
        assert_eq!(clock.seconds_left(10, 7), None);
        clock.on_applied(10, Index(5));
        assert_eq!(clock.expired(11), Vec::<i64>::new());
        assert_eq!(clock.expired(12), [7]);
    }
}
