//! What is remembered of a run, and how it is summed up.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::connection::Outcome;

/// Latencies are kept between a microsecond and two minutes, in nanoseconds.
const LATENCY_MIN: u64 = 1_000;
const LATENCY_MAX: u64 = 120_000_000_000;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Which part of a run is measured, in nanoseconds from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Counts and latencies of one thread, or of all together.
pub(crate) struct Record {
    window: Window,
    latency: Histogram<u64>,
    /// By the second of the window in which a request should have been sent.
    seconds: Vec<Histogram<u32>>,
    /// Answers that came within the window, to whatever was sent.
    answered_within: u64,
    counts: Counts,
}

/// How requests that should have been sent within the window ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) answered: u64,
    /// With an error of the service.
    pub(crate) refused: u64,
    /// Broken off.
    pub(crate) reset: u64,
    /// Not at all before we stopped to wait; each counts in the latencies for as long as we waited.
    pub(crate) unanswered: u64,
    /// Never sent, because too many were waiting to be.
    pub(crate) dropped: u64,
}

/// A run in numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) op: &'static str,
    /// Requests in a second, as scheduled; `None` if each waited for the one before it.
    pub(crate) rate_wanted: Option<f64>,
    pub(crate) seconds: f64,
    /// Answers in a second.
    pub(crate) rate: f64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) latency_ms: Latencies,
    pub(crate) per_second: Vec<Second>,
}

/// Quantiles in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// One second of a run, latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Second {
    pub(crate) answered: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Record {
    /// An empty record.
    pub(crate) fn new(window: Window) -> Result<Record> {
        assert!(window.from < window.to, "the window {window:?} is empty");
        let seconds_len = (window.to - window.from).div_ceil(NANOSECONDS_PER_SECOND);
        let seconds = (0..seconds_len)
            .map(|_| Histogram::new_with_bounds(LATENCY_MIN, LATENCY_MAX, 2))
            .collect::<Result<Vec<_>, _>>()
            .context("cannot make a histogram")?;
        let latency = Histogram::new_with_bounds(LATENCY_MIN, LATENCY_MAX, 3)
            .context("cannot make a histogram")?;
        let counts = Counts::default();
        Ok(Record { window, latency, seconds, answered_within: 0, counts })
    }

    /// A request that should have been sent at `intended` ended at `now`.
    pub(crate) fn on_end(&mut self, intended: u64, now: u64, outcome: Outcome) {
        if outcome == Outcome::Answered && (self.window.from..self.window.to).contains(&now) {
            self.answered_within += 1;
        }
        if self.is_measured(intended) {
            match outcome {
                Outcome::Answered => {
                    self.counts.answered += 1;
                    self.add_latency(intended, now);
                }
                Outcome::Refused => self.counts.refused += 1,
                Outcome::Reset => self.counts.reset += 1,
            }
        }
    }

    /// A request that should have been sent at `intended` had no answer when we stopped to wait.
    pub(crate) fn on_unanswered(&mut self, intended: u64, now: u64) {
        if self.is_measured(intended) {
            self.counts.unanswered += 1;
            self.add_latency(intended, now);
        }
    }

    /// A request that should have been sent at `intended` was not.
    pub(crate) fn on_dropped(&mut self, intended: u64) {
        if self.is_measured(intended) {
            self.counts.dropped += 1;
        }
    }

    fn is_measured(&self, intended: u64) -> bool {
        (self.window.from..self.window.to).contains(&intended)
    }

    fn add_latency(&mut self, intended: u64, now: u64) {
        let latency = now.saturating_sub(intended);
        self.latency.saturating_record(latency);
        let second = (intended - self.window.from) / NANOSECONDS_PER_SECOND;
        if let Some(second) = usize::try_from(second).ok().and_then(|at| self.seconds.get_mut(at)) {
            second.saturating_record(latency);
        }
    }

    /// Adds what another thread has measured in the same window.
    pub(crate) fn merge(&mut self, other: &Record) -> Result<()> {
        self.latency.add(&other.latency).context("cannot add histograms")?;
        for (own, other) in self.seconds.iter_mut().zip(&other.seconds) {
            own.add(other).context("cannot add histograms")?;
        }
        self.answered_within += other.answered_within;
        self.counts.answered += other.counts.answered;
        self.counts.refused += other.counts.refused;
        self.counts.reset += other.counts.reset;
        self.counts.unanswered += other.counts.unanswered;
        self.counts.dropped += other.counts.dropped;
        Ok(())
    }

    /// Sums up; `ended` is when the last answer came, if that was before the end of the window.
    pub(crate) fn summary(
        &self,
        op: &'static str,
        rate_wanted: Option<f64>,
        ended: u64,
    ) -> Summary {
        let to = self.window.to.min(ended.max(self.window.from + 1));
        let seconds = to.saturating_sub(self.window.from) as f64 / NANOSECONDS_PER_SECOND as f64;
        let quantile = |quantile| milliseconds(self.latency.value_at_quantile(quantile));
        Summary {
            op,
            rate_wanted,
            seconds,
            rate: self.answered_within as f64 / seconds,
            counts: self.counts,
            latency_ms: Latencies {
                mean: self.latency.mean() / 1e6,
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                p999: quantile(0.999),
                max: milliseconds(self.latency.max()),
            },
            per_second: self.seconds.iter().map(Second::of).collect(),
        }
    }
}

impl Second {
    fn of(latency: &Histogram<u32>) -> Second {
        Second {
            answered: latency.len(),
            p50: milliseconds(latency.value_at_quantile(0.5)),
            p99: milliseconds(latency.value_at_quantile(0.99)),
            p999: milliseconds(latency.value_at_quantile(0.999)),
            max: milliseconds(latency.max()),
        }
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NANOSECONDS_PER_SECOND;

    #[test]
    fn latency_counts_from_when_a_request_should_have_been_sent() {
        let mut record = Record::new(Window { from: SECOND, to: 3 * SECOND }).unwrap();
        // One second, in which nothing came back, is seen in all that should have been sent in it.
        for at in 0..10 {
            record.on_end(SECOND + at * SECOND / 10, 2 * SECOND, Outcome::Answered);
        }
        let summary = record.summary("put", Some(10.0), 3 * SECOND);
        assert_eq!(summary.counts.answered, 10);
        assert!((summary.rate - 5.0).abs() < 1e-9, "ten in two seconds: {}", summary.rate);
        assert!((summary.latency_ms.max - 1000.0).abs() < 1.0, "{:?}", summary.latency_ms);
        assert!((summary.latency_ms.p50 - 500.0).abs() < 1.0, "{:?}", summary.latency_ms);
        assert_eq!(summary.per_second.iter().map(|s| s.answered).collect::<Vec<_>>(), [10, 0]);
    }

    #[test]
    fn warm_up_does_not_count() {
        let mut record = Record::new(Window { from: SECOND, to: 2 * SECOND }).unwrap();
        record.on_end(SECOND - 1, SECOND + 1, Outcome::Refused);
        record.on_dropped(SECOND / 2);
        record.on_unanswered(0, 5 * SECOND);
        assert_eq!(record.counts, Counts::default());
    }

    #[test]
    fn what_was_never_answered_counts_for_as_long_as_was_waited() {
        let mut record = Record::new(Window { from: 0, to: SECOND }).unwrap();
        record.on_unanswered(0, 5 * SECOND);
        let summary = record.summary("put", None, SECOND);
        assert_eq!(summary.counts.unanswered, 1);
        assert!(summary.latency_ms.max >= 4990.0, "{:?}", summary.latency_ms);
    }
}
