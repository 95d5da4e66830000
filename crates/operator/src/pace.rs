//! When to look at a cluster again: pauses that grow as long as nothing changes.
//!
//! What Kubernetes knows is noticed when it changes. The rest has to be asked for again and again:
//! the more rarely, the longer it has been the same.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::plan::Pause;

/// The first pause after a refusal that passes by itself.
const REFUSED_FIRST: Duration = Duration::from_millis(100);

/// The longest after such a refusal.
const REFUSED_LONGEST: Duration = Duration::from_secs(5);

/// The first pause after an error.
const FAILED_FIRST: Duration = Duration::from_secs(1);

/// The longest after an error.
const FAILED_LONGEST: Duration = Duration::from_secs(30);

/// Why a cluster could not be looked after, as far as it matters for when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Somebody else was faster, or it is too early.
    Refused,
    /// An error.
    Failed,
}

/// When each cluster is looked at again.
#[derive(Debug, Default)]
pub struct Paces {
    clusters: Mutex<BTreeMap<(String, String), Pace>>,
}

#[derive(Debug, Default)]
struct Pace {
    /// What was seen last, as one number.
    seen: u64,
    /// How often in a row it was the same.
    repeats: u32,
    /// How many looks in a row ended in a setback.
    setbacks: u32,
    /// The version of the object over which a status was written.
    replaced: Option<String>,
}

impl Paces {
    /// Returns how long to wait after a look at which there was nothing to do.
    pub fn after_look(&self, namespace: &str, name: &str, seen: u64, pause: Pause) -> Duration {
        self.with(namespace, name, |pace| {
            pace.repeats = if pace.seen == seen { pace.repeats.saturating_add(1) } else { 0 };
            pace.seen = seen;
            pace.setbacks = 0;
            doubled(pause.first, pace.repeats).min(pause.longest.max(pause.first))
        })
    }

    /// A step was done: what is seen next is something else.
    pub fn after_step(&self, namespace: &str, name: &str) {
        self.with(namespace, name, |pace| {
            *pace = Pace { replaced: pace.replaced.take(), ..Pace::default() };
        });
    }

    /// A status was written over this version of the object.
    pub fn after_write(&self, namespace: &str, name: &str, version: Option<String>) {
        self.with(namespace, name, |pace| pace.replaced = version);
    }

    /// Tells whether this version of the object is one over which a status was written: a newer
    /// one is about to be noticed, and nothing could be written over this.
    pub fn is_replaced(&self, namespace: &str, name: &str, version: Option<&str>) -> bool {
        self.with(namespace, name, |pace| version.is_some() && pace.replaced.as_deref() == version)
    }

    /// Returns how long to wait after a setback.
    pub fn after_setback(&self, namespace: &str, name: &str, setback: Setback) -> Duration {
        let (first, longest) = match setback {
            Setback::Refused => (REFUSED_FIRST, REFUSED_LONGEST),
            Setback::Failed => (FAILED_FIRST, FAILED_LONGEST),
        };
        self.with(namespace, name, |pace| {
            let wait = doubled(first, pace.setbacks).min(longest);
            pace.setbacks = pace.setbacks.saturating_add(1);
            wait
        })
    }

    fn with<T>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Pace) -> T) -> T {
        let mut clusters = self.clusters.lock();
        change(clusters.entry((namespace.to_owned(), name.to_owned())).or_default())
    }

    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.clusters.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32 << times.min(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

    fn seconds(paces: &Paces, seen: u64) -> u64 {
        paces.after_look("n", "a", seen, PAUSE).as_secs()
    }

    #[test]
    fn pauses_grow_while_the_same_is_seen_and_begin_anew_after_a_change() {
        let paces = Paces::default();
        let same: Vec<u64> = (0..7).map(|_| seconds(&paces, 1)).collect();
        assert_eq!(same, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([seconds(&paces, 2), seconds(&paces, 2)], [1, 2]);
        paces.after_step("n", "a");
        assert_eq!(seconds(&paces, 2), 1);
        assert_eq!(paces.after_look("n", "b", 2, PAUSE).as_secs(), 1, "each has its own");
    }

    #[test]
    fn what_a_status_was_written_over_is_known_until_the_next_is() {
        let paces = Paces::default();
        assert!(!paces.is_replaced("n", "a", None));
        paces.after_write("n", "a", Some("7".into()));
        paces.after_step("n", "a");
        assert!(paces.is_replaced("n", "a", Some("7")));
        assert!(!paces.is_replaced("n", "a", Some("8")));
        assert!(!paces.is_replaced("n", "b", Some("7")));
    }

    #[test]
    fn refusals_are_tried_more_and_more_rarely_until_one_look_succeeds() {
        let paces = Paces::default();
        let wait = |setback| paces.after_setback("n", "a", setback).as_millis();
        let waits: Vec<u128> = (0..8).map(|_| wait(Setback::Refused)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        seconds(&paces, 1);
        assert_eq!([wait(Setback::Refused), wait(Setback::Failed)], [100, 2000]);
    }
}
