//! The random numbers of a run: all of them come from its seed.

/// A generator of random numbers (xoshiro256++, seeded by SplitMix64).
///
/// Each part of a run has a generator of its own, so that a fault which is switched off changes
/// nothing in what the other parts draw.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator that is determined by `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        let mut mixed = seed;
        let mut next = || {
            mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = mixed;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Random { state: [next(), next(), next(), next()] }
    }

    /// The generator of the part that is called `name`, of the run with this seed.
    pub(crate) fn of(seed: u64, name: &str) -> Random {
        let salt = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Random::new(seed ^ salt)
    }

    /// Draws any number.
    pub(crate) fn draw(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// Draws a number from zero up to, and without, `end`, which is one or more.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below zero");
        let wide = u128::from(self.draw()) * u128::from(end);
        u64::try_from(wide >> 64).expect("the upper half is below end")
    }

    /// Draws a number from `low` up to and including `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "there is no number between {low} and {high}");
        low + self.below(high - low + 1)
    }

    /// Draws a place in a list of `len` elements, one or more.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        let drawn = self.below(len as u64);
        usize::try_from(drawn).expect("a place in a list in memory")
    }

    /// Tells whether something happens that happens `permille` times in a thousand.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1000) < u64::from(permille)
    }

    /// Draws one of `items`; `None` if there are none.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.place(items.len())]) }
    }

    /// Draws one of `choices`, each as often as the weight beside it says.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let sum: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(sum);
        for (weight, choice) in choices {
            if left < u64::from(*weight) {
                return *choice;
            }
            left -= u64::from(*weight);
        }
        unreachable!("what is drawn lies below the sum of the weights")
    }

    /// Draws a waiting time: exponential with this mean, and at most ten times the mean.
    ///
    /// Whole numbers only, so that every machine draws the same: the logarithm is taken between two
    /// powers of two as a straight line.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        const ONE: u64 = 1 << 16;
        const LN_2: u64 = 45_426;
        let drawn = self.draw() | 1;
        let whole = u64::from(drawn.leading_zeros());
        let mantissa = (drawn << whole) >> 47;
        let fraction = (2 * ONE).saturating_sub(mantissa);
        let log_2 = whole * ONE + fraction;
        let nats = log_2 * LN_2 / ONE;
        (mean * nats / ONE).min(mean * 10)
    }

    /// Puts `items` in any order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.place(end + 1);
            items.swap(end, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_has_its_mean() {
        let mut random = Random::new(7);
        let drawn: Vec<u64> = (0..100_000).map(|_| random.exponential(1000)).collect();
        let mean = drawn.iter().sum::<u64>() / 100_000;
        assert!((950..=1050).contains(&mean), "the mean of many draws is {mean}");
        let above = drawn.iter().filter(|drawn| **drawn > 1000).count();
        assert!((34_000..=40_000).contains(&above), "1/e lie above the mean, and not {above}");
    }

    #[test]
    fn weights_are_kept() {
        let mut random = Random::new(7);
        let choices = [(1, 'a'), (0, 'b'), (3, 'c')];
        let drawn: Vec<char> = (0..10_000).map(|_| random.weighted(&choices)).collect();
        let count = |letter| drawn.iter().filter(|drawn| **drawn == letter).count();
        assert_eq!(count('b'), 0);
        assert!((2300..=2700).contains(&count('a')), "a quarter, and not {}", count('a'));
    }

    #[test]
    fn parts_of_one_seed_draw_different_numbers() {
        let drawn = |name| Random::of(1, name).draw();
        assert_ne!(drawn("disk"), drawn("network"));
        assert_eq!(drawn("disk"), drawn("disk"));
    }
}
