//! Random numbers where no seed is wanted: IDs that must be new, and times that should differ.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A random number; not one to keep secrets with.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A time between half of `around` and one and a half times it.
pub(crate) fn jitter(around: Duration) -> Duration {
    const PARTS: u64 = 1024;
    let part = u32::try_from(random() % PARTS).expect("a part is small");
    around / 2 + around * part / u32::try_from(PARTS).expect("so are all parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_around_what_is_asked_for() {
        let around = Duration::from_millis(100);
        for _ in 0..1000 {
            let time = jitter(around);
            assert!(around / 2 <= time && time < around * 3 / 2, "{time:?} around {around:?}");
        }
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
