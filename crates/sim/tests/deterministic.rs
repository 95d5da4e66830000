//! One seed is everything: a run that is repeated is the same to the last byte.

use std::fmt::Write;

use sim::options::Options;
use sim::run::{Record, run};

const SEEDS: u64 = 200;
/// A part of the fire is enough: what differs once differs soon.
const DURATION_MAX: u64 = 5_000_000;

/// Everything that happened in a run, as text.
fn text(seed: u64) -> String {
    let mut options = Options::draw(seed);
    options.duration = options.duration.min(DURATION_MAX);
    let outcome = run(&options, Record::Trace);
    let mut text = String::new();
    for event in &outcome.trace.expect("it was asked for").events {
        writeln!(text, "{event}").expect("a string has room");
    }
    write!(text, "{} events, {:?} {:?}", outcome.events, outcome.struck, outcome.probes)
        .expect("a string has room");
    text
}

#[test]
fn repeated_runs_are_equal_to_the_last_byte() {
    for seed in 0..SEEDS {
        let (first, second) = (text(seed), text(seed));
        let differs = first.lines().zip(second.lines()).find(|(one, other)| one != other);
        assert!(first == second, "seed {seed} is not the same twice: {differs:?}");
    }
}

#[test]
fn different_seeds_are_different_runs() {
    assert_ne!(text(1), text(2));
}

#[test]
fn trace_is_the_only_difference_that_recording_makes() {
    for seed in 0..10 {
        let mut options = Options::draw(seed);
        options.duration = options.duration.min(DURATION_MAX);
        let (with, without) = (run(&options, Record::Trace), run(&options, Record::Counts));
        assert_eq!((with.events, with.simulated), (without.events, without.simulated));
        assert_eq!(with.probes, without.probes, "seed {seed}");
    }
}
