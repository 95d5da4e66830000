//! Reports of samples that were made up.

use super::*;
use crate::bench::samples::tests::sample;

fn setting() -> Setting {
    Setting {
        date: "2026-11-25".to_owned(),
        sides: vec![
            ("etcd".to_owned(), "etcd Version: 3.7.1".to_owned()),
            ("Holdfast".to_owned(), "etcd Version: 3.7.0".to_owned()),
        ],
        machine: vec![("kernel".to_owned(), "Linux 6.18".to_owned())],
        flags: vec!["--log-level=error".to_owned()],
        rounds: 2,
        remarks: Vec::new(),
    }
}

fn samples() -> Samples {
    let mut samples = Samples::default();
    for (round, etcd, ours) in [(1, 8_000.0, 30_000.0), (2, 9_000.0, 31_000.0)] {
        samples.add(sample("put-3-100", "etcd", round, &[("rate", etcd), ("server_us", 160.0)]));
        samples.add(sample("put-3-100", "Holdfast", round, &[("rate", ours), ("server_us", 80.0)]));
    }
    samples.add(sample("load-put", "etcd", 1, &[("at25_rate", 2000.0), ("at25_p99_ms", 4.0)]));
    samples
}

#[test]
fn report_has_goals_figures_and_pictures() {
    let samples = samples();
    let pictures = plots(&samples);
    let names: Vec<String> = pictures.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["rate.svg", "cpu.svg", "load-put.svg"]);
    let text = report(&setting(), &samples, &names);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "- Holdfast: etcd Version: 3.7.0",
        "| put, 3 members, 100 clients | 8,500 /s (8,000–9,000) | 30,500 /s (30,000–31,000) \
         | 3.59x (3.44–3.75) | ≥ 3.00x | met |",
        "| server CPU per put, 3 members | 160 µs | 80.0 µs | 0.500x | ≤ 0.250x \
         | **missed**, by a factor of 2.00 |",
        "![rate.svg](rate.svg)",
        "### put-3-100: put, 3 members, 100 clients `benchmark --conns=10 --clients=100 put ",
    ] {
        assert!(words.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn one_side_alone_has_figures_and_no_ratio() {
    let mut samples = Samples::default();
    samples.add(sample("put-3-100", "etcd", 1, &[("rate", 8000.0)]));
    let text = report(&setting(), &samples, &[]);
    assert!(!text.contains("## Goals"), "there is nothing to compare with: {text}");
    assert!(text.contains("|      | etcd     |\n"), "{text}");
    assert!(text.contains("| rate | 8,000 /s |\n"), "{text}");
}

#[test]
fn failure_is_reported() {
    let mut samples = samples();
    let failed = crate::bench::samples::Sample {
        failure: Some("it ended:\nwith a bang".to_owned()),
        ..sample("txn-put-3-100", "etcd", 1, &[])
    };
    samples.add(failed);
    let text = report(&setting(), &samples, &[]);
    assert!(text.contains("- txn-put-3-100 on etcd, round 1: it ended: with a bang\n"), "{text}");
}

#[test]
fn summary_goes_between_the_marks_and_nothing_else_changes() {
    let page = format!("# Title\n\n{BEGIN}\nold\n{END}\nafter\n");
    let expected = format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\nafter\n");
    assert_eq!(between_marks(&page, "new\n"), Some(expected));
    assert_eq!(between_marks("# Title\n", "new\n"), None);
}
