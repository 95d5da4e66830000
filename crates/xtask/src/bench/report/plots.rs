//! Which pictures there are of a comparison.

use super::both;
use crate::bench::cases::{CASES, Work};
use crate::bench::goals::{GOALS, Must};
use crate::bench::metric;
use crate::bench::samples::Samples;
use crate::bench::svg::{self, Bar, Curve};
use crate::bench::work::LEVELS;

/// All pictures for which there are figures, each with the name of its file.
pub(in crate::bench) fn plots(samples: &Samples) -> Vec<(String, String)> {
    let mut pictures = Vec::new();
    if let Some(sides) = both(samples) {
        for (name, metric, title) in [
            ("rate", metric::RATE, format!("rate: {} / {}", sides[1], sides[0])),
            (
                "cpu",
                metric::SERVER_CPU,
                format!("server CPU for one request: {} / {}", sides[0], sides[1]),
            ),
        ] {
            let bars = ratios(samples, sides, metric);
            if !bars.is_empty() {
                let title = format!("{title} (black: the rounds; red: the goal)");
                pictures.push((format!("{name}.svg"), svg::bars(&title, &bars)));
            }
        }
    }
    for case in CASES {
        if let Work::Sweep { .. } = case.work {
            let curves = latencies(samples, case.name);
            if !curves.is_empty() {
                let picture = svg::curves(case.title, "requests/s", "latency, ms", &curves);
                pictures.push((format!("{}.svg", case.name), picture));
            }
        }
    }
    pictures
}

/// For each case how much better the second side is: more of a rate, or less of a cost.
fn ratios(samples: &Samples, sides: [&str; 2], metric: &str) -> Vec<Bar> {
    let sides = if metric == metric::RATE { sides } else { [sides[1], sides[0]] };
    let bar = |name: &str| {
        let ratio = samples.ratio(name, sides, metric)?;
        let goal = GOALS.iter().find(|goal| goal.case == name && goal.metric == metric);
        let goal = goal.and_then(|goal| match goal.must {
            Must::RatioAtLeast(ratio) => Some(ratio),
            Must::RatioAtMost(ratio) => Some(1.0 / ratio),
            Must::AtMost(_) => None,
        });
        let range = (ratio.min, ratio.max);
        Some(Bar { label: name.to_owned(), value: ratio.median, range, goal })
    };
    CASES.iter().filter_map(|case| bar(case.name)).collect()
}

/// The latency at each level of a sweep, by the rate that was reached.
fn latencies(samples: &Samples, case: &str) -> Vec<Curve> {
    let mut curves = Vec::new();
    for quantile in ["p99", "p50"] {
        for side in samples.sides() {
            let median = |key: String| Some(samples.spread(case, side, &key)?.median);
            let points: Vec<(f64, f64)> = LEVELS
                .iter()
                .filter_map(|level| {
                    let rate = median(format!("at{level}_rate"))?;
                    Some((rate, median(format!("at{level}_{quantile}_ms"))?))
                })
                .collect();
            if !points.is_empty() {
                curves.push(Curve { label: format!("{side}, {quantile}"), points });
            }
        }
    }
    curves
}
