//! What was measured: one sample for each run of a case on a side, in a file that grows as they
//! come.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Figures by the key of their metric.
pub(super) type Values = BTreeMap<String, f64>;

/// One run of one case on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) case: String,
    pub(super) side: String,
    /// From one on.
    pub(super) round: u64,
    pub(super) values: Values,
    /// Why there are no figures, if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
}

/// How a metric of a case came out on one side: the median of the rounds, and the extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// The spread of some values, if there are any.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Spread { median, min, max })
    }
}

/// All samples of a comparison.
#[derive(Debug, Default)]
pub(super) struct Samples {
    samples: Vec<Sample>,
}

impl Samples {
    /// Reads samples from where they were recorded.
    pub(super) fn read(path: &Path) -> Result<Samples> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut samples = Samples::default();
        for (at, line) in text.lines().enumerate() {
            samples.add(
                serde_json::from_str(line)
                    .with_context(|| format!("cannot read {}:{}", path.display(), at + 1))?,
            );
        }
        Ok(samples)
    }

    /// Adds a sample. One of the same run that was there before was measured again, and goes.
    pub(super) fn add(&mut self, sample: Sample) {
        self.samples.retain(|old| {
            (&old.case, &old.side, old.round) != (&sample.case, &sample.side, sample.round)
        });
        self.samples.push(sample);
    }

    /// Appends a sample to the file at `path`.
    pub(super) fn record(sample: &Sample, path: &Path) -> Result<()> {
        let mut line = serde_json::to_string(sample).context("cannot write a sample")?;
        line.push('\n');
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The sides in the order in which they were first measured.
    pub(super) fn sides(&self) -> Vec<&str> {
        let mut sides: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !sides.contains(&sample.side.as_str()) {
                sides.push(&sample.side);
            }
        }
        sides
    }

    /// The samples of a case on a side.
    pub(super) fn of<'a>(
        &'a self,
        case: &'a str,
        side: &'a str,
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.case == case && sample.side == side)
    }

    /// The spread of a metric over the rounds.
    pub(super) fn spread(&self, case: &str, side: &str, metric: &str) -> Option<Spread> {
        Spread::of(self.of(case, side).filter_map(|s| s.values.get(metric).copied()).collect())
    }

    /// The second side's median divided by the first's, and the extremes of that in each round.
    pub(super) fn ratio(&self, case: &str, sides: [&str; 2], metric: &str) -> Option<Spread> {
        let [a, b] = sides;
        let divided = |over: f64, under: f64| (under != 0.0).then(|| over / under);
        let value = |sample: &Sample| sample.values.get(metric).copied();
        let rounds = self.of(case, a).filter_map(|of_a| {
            let of_b = self.of(case, b).find(|of_b| of_b.round == of_a.round)?;
            divided(value(of_b)?, value(of_a)?)
        });
        let rounds = Spread::of(rounds.collect())?;
        let medians = (self.spread(case, b, metric)?.median, self.spread(case, a, metric)?.median);
        Some(Spread { median: divided(medians.0, medians.1)?, ..rounds })
    }

    /// What did not work, in words.
    pub(super) fn failures(&self) -> Vec<String> {
        let shown = |sample: &Sample| {
            let failure = sample.failure.as_ref()?;
            Some(format!("{} on {}, round {}: {failure}", sample.case, sample.side, sample.round))
        };
        self.samples.iter().filter_map(shown).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn sample(
        case: &str,
        side: &str,
        round: u64,
        values: &[(&str, f64)],
    ) -> Sample {
        Sample {
            case: case.to_owned(),
            side: side.to_owned(),
            round,
            values: values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
            failure: None,
        }
    }

    fn samples() -> Samples {
        let mut samples = Samples::default();
        for (round, a, b) in [(1, 10.0, 40.0), (2, 20.0, 50.0), (3, 16.0, 48.0)] {
            samples.add(sample("put", "etcd", round, &[("rate", a)]));
            samples.add(sample("put", "ours", round, &[("rate", b)]));
        }
        samples
    }

    #[test]
    fn ratio_is_of_medians_and_its_range_of_rounds() {
        let samples = samples();
        assert_eq!(samples.sides(), ["etcd", "ours"]);
        let ratio = samples.ratio("put", ["etcd", "ours"], "rate").unwrap();
        assert_eq!(ratio, Spread { median: 3.0, min: 2.5, max: 4.0 });
        assert_eq!(samples.ratio("put", ["etcd", "ours"], "p99_ms"), None);
    }

    #[test]
    fn run_that_was_repeated_counts_once() {
        let mut samples = samples();
        samples.add(sample("put", "etcd", 2, &[("rate", 12.0)]));
        let spread = samples.spread("put", "etcd", "rate").unwrap();
        assert_eq!(spread, Spread { median: 12.0, min: 10.0, max: 16.0 });
    }

    #[test]
    fn median_of_two_lies_between_them() {
        assert_eq!(Spread::of(vec![3.0, 1.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn samples_read_as_they_were_recorded() {
        let sample = Sample { failure: Some("no".to_owned()), ..sample("put", "etcd", 1, &[]) };
        let line = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&line).unwrap(), sample);
    }
}
