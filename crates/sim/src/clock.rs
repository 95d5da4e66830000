//! Clocks that go wrong: how long the ticks of one member last.
//!
//! ```text
//!   linear      ────────────────   always a little too fast or too slow
//!   periodic    ╱╲╱╲╱╲╱╲╱╲╱╲╱╲╱╲   now too fast, now too slow
//!   step        ▁▁▁▁▁▁▔▔▔▔▔▔▔▔▔▔   good for a while, then wrong
//!   jitter      ▂▅▁▇▃▁▆▂▇▄▁▅▃▇▂▆   each tick different
//! ```
//!
//! Invariant: no tick is shorter or longer than `skew_max` allows, which is what a leader
//! lease rests on.

use crate::rng::Random;

/// In what way a clock goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// It is always wrong by the same part.
    Linear,
    /// It swings between too fast and too slow.
    Periodic,
    /// It is right, and from some moment on wrong.
    Step,
    /// Each of its ticks is wrong in another way.
    Jitter,
}

/// One member's clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// What a tick should last, in microseconds.
    tick: u64,
    shape: Shape,
    /// By how many thousandths the clock is wrong at most; negative if it is too slow.
    skew: i64,
    /// The largest absolute value that `skew` may have.
    skew_max: i64,
    /// The period of a swing, or the moment of a step, in microseconds.
    moment: u64,
    random: Random,
}

impl Clock {
    /// A clock whose ticks should last `tick` microseconds, and are wrong by at most `skew_max`
    /// thousandths.
    pub(crate) fn new(tick: u64, shape: Shape, skew_max: u32, mut random: Random) -> Clock {
        let skew_max = i64::from(skew_max);
        let drawn = random.below(2 * skew_max.unsigned_abs() + 1);
        let skew = i64::try_from(drawn).expect("thousandths are few") - skew_max;
        let moment = random.between(5_000_000, 60_000_000);
        Clock { tick, shape, skew, skew_max, moment, random }
    }

    /// Makes the clock right from now on.
    pub(crate) fn mend(&mut self) {
        self.skew = 0;
        self.skew_max = 0;
    }

    /// How long the tick that begins at `now` lasts, in microseconds.
    pub(crate) fn next_tick(&mut self, now: u64) -> u64 {
        let skew = match self.shape {
            Shape::Linear => self.skew,
            Shape::Periodic => self.swing(now),
            Shape::Step if now < self.moment => 0,
            Shape::Step => self.skew,
            Shape::Jitter => {
                let drawn = self.random.below(2 * self.skew_max.unsigned_abs() + 1);
                i64::try_from(drawn).expect("thousandths are few") - self.skew_max
            }
        };
        assert!(skew.abs() <= self.skew_max, "a clock is wrong by {skew} thousandths");
        let tick = i64::try_from(self.tick).expect("a tick is short");
        u64::try_from(tick + tick * skew / 1000).expect("a clock does not go backwards")
    }

    /// A wave of straight lines between `-skew` and `skew`.
    fn swing(&self, now: u64) -> i64 {
        let phase = i64::try_from((now % self.moment) * 4000 / self.moment).expect("below 4000");
        let height = match phase {
            ..1000 => phase,
            1000..3000 => 2000 - phase,
            3000.. => phase - 4000,
        };
        self.skew * height / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_within_the_skew_and_differ_unless_it_is_zero() {
        for shape in [Shape::Linear, Shape::Periodic, Shape::Step, Shape::Jitter] {
            let mut clock = Clock::new(100_000, shape, 200, Random::new(3));
            let mut now = 0;
            let mut ticks = Vec::new();
            while now < 120_000_000 {
                let tick = clock.next_tick(now);
                now += tick;
                ticks.push(tick);
            }
            let in_bounds = ticks.iter().all(|tick| (80_000..=120_000).contains(tick));
            assert!(in_bounds, "{shape:?} exceeds its skew");
            assert!(ticks.iter().any(|tick| *tick != 100_000), "{shape:?} is never wrong");
            clock.mend();
            assert_eq!(clock.next_tick(now), 100_000, "{shape:?} was mended");
        }
    }
}
