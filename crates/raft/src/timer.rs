//! The election timer and the random numbers behind it.

use std::hash::{Hash, Hasher};

/// A small generator of random numbers (SplitMix64), fed from [`Config::seed`] alone.
///
/// Its state is no part of a member's identity: two members that differ in nothing else behave the
/// same under every sequence of inputs without ticks, which is what an exhaustive search relies on.
///
/// [`Config::seed`]: crate::Config::seed
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Draws any number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Draws a number from zero up to, and without, `end`. The bias is below `end` in 2^64.
    pub(crate) fn draw_below(&mut self, end: u32) -> u32 {
        let wide = u128::from(self.draw()) * u128::from(end);
        u32::try_from(wide >> 64).expect("the upper half is below end, which fits")
    }
}

/// Left out on purpose: see the type.
impl Hash for Random {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

/// Counts the ticks until a member campaigns.
///
/// The timeout is drawn anew at **every** reset, so that two members which once timed out together
/// are unlikely to do so again (paper §5.2).
///
/// Invariant: `election_ticks <= timeout < 2 * election_ticks`.
#[derive(Clone, Debug)]
pub(crate) struct ElectionTimer {
    elapsed: u32,
    timeout: u32,
}

impl ElectionTimer {
    pub(crate) fn new(election_ticks: u32, random: &mut Random) -> ElectionTimer {
        let mut timer = ElectionTimer { elapsed: 0, timeout: 0 };
        timer.reset(election_ticks, random);
        timer
    }

    /// Starts from zero towards a new timeout.
    pub(crate) fn reset(&mut self, election_ticks: u32, random: &mut Random) {
        self.elapsed = 0;
        self.timeout = election_ticks + random.draw_below(election_ticks);
        assert!(
            (election_ticks..2 * election_ticks).contains(&self.timeout),
            "drew an election timeout of {} ticks for a shortest of {election_ticks}",
            self.timeout
        );
    }

    /// Counts a tick and tells whether the timeout has passed.
    pub(crate) fn tick(&mut self) -> bool {
        self.elapsed = self.elapsed.saturating_add(1);
        self.elapsed >= self.timeout
    }

    /// The timeout drawn at the last reset, in ticks.
    pub(crate) fn timeout(&self) -> u32 {
        self.timeout
    }
}

/// Left out on purpose: without ticks a timer has no effect, and with them no two states are equal.
impl Hash for ElectionTimer {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}
