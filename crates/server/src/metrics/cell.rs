//! What a number is kept in: counters, gauges and histograms that many threads write at once.
//!
//! A counter and a histogram have several *shards*, each on cache lines of its own. A thread always
//! writes to the same shard, so that threads do not wait for each other; a reader adds them up.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many shards a number has. More threads than these share them, correctly but slower.
const SHARDS: usize = 4;

/// Numbers of one cache line.
const LINE_LEN: usize = 8;

/// One cache line of numbers.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE_LEN]);

/// The shard of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    SHARD.with(Cell::get)
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter {
    shards: [Line; SHARDS],
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.shards[shard()].0[0].fetch_add(count, Ordering::Relaxed);
    }

    /// The sum of everything that was added.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.shards.iter().map(|line| line.0[0].load(Ordering::Relaxed)).sum()
    }
}

/// A number that is set, or goes up and down.
#[derive(Debug, Default)]
pub struct Gauge {
    value: AtomicI64,
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.value.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Sets it to the time, in seconds since 1970.
    pub fn set_to_now(&self) {
        self.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    }

    /// Adds one.
    pub fn increment(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one off.
    pub fn decrement(&self) {
        self.value.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lets one part of what it counts go from one number to another.
    pub fn shift(&self, from: usize, to: usize) {
        let [from, to] = [from, to].map(|part| i64::try_from(part).unwrap_or(i64::MAX));
        self.value.fetch_add(to - from, Ordering::Relaxed);
    }

    /// Its value now; not below zero, which it may be for a moment while two threads write.
    #[must_use]
    pub fn value(&self) -> u64 {
        u64::try_from(self.value.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// In which unit the numbers of a histogram are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Durations, in seconds.
    Seconds,
    /// Durations, in milliseconds.
    Milliseconds,
    /// Anything that is counted.
    Plain,
}

impl Unit {
    /// What is kept for one of what is shown: durations are kept in nanoseconds.
    pub(super) fn scale(self) -> f64 {
        match self {
            Unit::Seconds => 1e9,
            Unit::Milliseconds => 1e6,
            Unit::Plain => 1.0,
        }
    }

    fn kept(self, shown: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounds are constants, positive and far below 2^53"
        )]
        let kept = (shown * self.scale()).round() as u64;
        kept
    }
}

/// How often what was measured fell between which bounds.
#[derive(Debug)]
pub struct Histogram {
    unit: Unit,
    /// The upper bounds, inclusive, ascending, as they are kept.
    bounds: Box<[u64]>,
    /// For each shard the count below each bound and above the last, and then the sum.
    lines: Box<[Line]>,
    lines_per_shard: usize,
}

impl Histogram {
    /// With `len` bounds of which the first is `first` and each other twice the one before it.
    #[must_use]
    pub fn doubling(unit: Unit, first: f64, len: u32) -> Histogram {
        Histogram::new(unit, (0..len).map(|at| unit.kept(first) << at).collect())
    }

    /// With these bounds, ascending.
    #[must_use]
    pub fn with_bounds(unit: Unit, bounds: &[f64]) -> Histogram {
        Histogram::new(unit, bounds.iter().map(|bound| unit.kept(*bound)).collect())
    }

    fn new(unit: Unit, bounds: Box<[u64]>) -> Histogram {
        assert!(bounds.is_sorted(), "bounds must ascend: {bounds:?}");
        let lines_per_shard = (bounds.len() + 2).div_ceil(LINE_LEN);
        let lines = (0..SHARDS * lines_per_shard).map(|_| Line::default()).collect();
        Histogram { unit, bounds, lines, lines_per_shard }
    }

    /// Takes in a duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Takes in a number of what is counted.
    pub fn observe_number(&self, number: u64) {
        let shard = shard();
        let bucket = self.bounds.partition_point(|bound| *bound < number);
        self.slot(shard, bucket).fetch_add(1, Ordering::Relaxed);
        self.slot(shard, self.bounds.len() + 1).fetch_add(number, Ordering::Relaxed);
    }

    fn slot(&self, shard: usize, at: usize) -> &AtomicU64 {
        &self.lines[shard * self.lines_per_shard + at / LINE_LEN].0[at % LINE_LEN]
    }

    fn sum_of(&self, at: usize) -> u64 {
        (0..SHARDS)
            .map(|shard| self.slot(shard, at).load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// The unit in which it is shown.
    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// The bounds as they are kept, each with how much fell at or below it; then the count and the
    /// sum of all.
    pub(super) fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (at, bound) in self.bounds.iter().enumerate() {
            count += self.sum_of(at);
            buckets.push((*bound, count));
        }
        count += self.sum_of(self.bounds.len());
        (buckets, count, self.sum_of(self.bounds.len() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_what_all_threads_add() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| (0..1000).for_each(|_| counter.increment()));
            }
        });
        assert_eq!(counter.value(), 2000 * SHARDS as u64);
    }

    #[test]
    fn bounds_are_inclusive_and_what_exceeds_them_counts_for_all() {
        let histogram = Histogram::doubling(Unit::Plain, 1.0, 3);
        for number in [0, 1, 2, 3, 4, 5, 100] {
            histogram.observe_number(number);
        }
        let (buckets, count, sum) = histogram.read();
        assert_eq!(buckets, [(1, 2), (2, 3), (4, 5)]);
        assert_eq!((count, sum), (7, 115));
    }

    #[test]
    fn durations_are_kept_in_nanoseconds() {
        let histogram = Histogram::with_bounds(Unit::Milliseconds, &[0.5, 1.0]);
        histogram.observe(Duration::from_micros(500));
        histogram.observe(Duration::from_micros(501));
        let (buckets, count, sum) = histogram.read();
        assert_eq!(buckets, [(500_000, 1), (1_000_000, 2)]);
        assert_eq!((count, sum), (2, 1_001_000));
    }

    #[test]
    fn a_gauge_that_was_taken_off_too_soon_shows_zero() {
        let gauge = Gauge::default();
        gauge.decrement();
        assert_eq!(gauge.value(), 0);
        gauge.increment();
        gauge.increment();
        assert_eq!(gauge.value(), 1);
    }
}
