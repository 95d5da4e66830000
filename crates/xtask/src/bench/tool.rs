//! etcd's `benchmark`: running it, and reading what it prints.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::cluster::Pin;

/// One summary as the tool prints it, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// Requests, or events, in a second.
    pub(super) rate: f64,
    /// 0 where there were too few requests for the tool to say.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) slowest: f64,
    /// How many requests failed.
    pub(super) failed: u64,
}

/// Runs the tool against `endpoints` and returns the last summary that it prints: those before it
/// tell of the preparation.
pub(super) fn run(program: &Path, pin: Pin, endpoints: &str, words: &[String]) -> Result<Summary> {
    let mut command: Command = pin.client(program);
    command.arg(format!("--endpoints={endpoints}")).arg("--precise").args(words);
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "`benchmark {}` failed with {}: {}",
        words.join(" "),
        output.status,
        last_line(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    summaries(&text).pop().with_context(|| {
        format!("`benchmark {}` printed no summary: {}", words.join(" "), last_line(&output.stderr))
    })
}

/// The last line that is not empty.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(nothing)").trim().to_owned()
}

/// All summaries in what the tool printed. A run in which everything failed has errors alone.
fn summaries(text: &str) -> Vec<Summary> {
    let mut summaries: Vec<Summary> = Vec::new();
    let mut in_errors = false;
    for line in text.lines().map(str::trim) {
        match line {
            "Summary:" => {
                summaries.push(Summary::default());
                in_errors = false;
            }
            "Error distribution:" => {
                in_errors = true;
                if summaries.is_empty() {
                    summaries.push(Summary::default());
                }
            }
            _ => {}
        }
        let Some(summary) = summaries.last_mut() else { continue };
        if let Some(rate) = line.strip_prefix("Requests/sec:") {
            summary.rate = rate.trim().parse().unwrap_or_default();
        } else if let Some(slowest) = line.strip_prefix("Slowest:") {
            summary.slowest = milliseconds(slowest);
        } else if let Some((quantile, time)) = line.split_once("% in ") {
            match quantile {
                "50" => summary.p50 = milliseconds(time),
                "99" => summary.p99 = milliseconds(time),
                "99.9" => summary.p999 = milliseconds(time),
                _ => {}
            }
        } else if in_errors && let Some((count, _)) = line.split_once(']') {
            summary.failed += count.trim_start_matches('[').parse::<u64>().unwrap_or_default();
        }
    }
    summaries
}

/// The milliseconds of a text such as `0.0123 secs.`.
fn milliseconds(text: &str) -> f64 {
    let seconds = text.trim().trim_end_matches('.').trim_end_matches("secs").trim();
    seconds.parse::<f64>().unwrap_or_default() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &str = "
Summary:
  Total:\t1.25 secs.
  Slowest:\t0.0321 secs.
  Fastest:\t0.0011 secs.
  Average:\t0.0123 secs.
  Stddev:\t0.0045 secs.
  Requests/sec:\t8012.3456

Response time histogram:
  0.0011 [1]\t|
  0.0042 [99]\t|∎∎∎

Latency distribution:
  10% in 0.002 secs.
  50% in 0.0118 secs.
  99% in 0.0251 secs.
  99.9% in 3.1e-02 secs.
";

    #[test]
    fn summary_of_puts_is_read() {
        let summaries = summaries(PUT);
        assert_eq!(summaries.len(), 1);
        let summary = &summaries[0];
        assert!((summary.rate - 8012.3456).abs() < 1e-9, "{summary:?}");
        for (found, expected) in [
            (summary.p50, 11.8),
            (summary.p99, 25.1),
            (summary.p999, 31.0),
            (summary.slowest, 32.1),
        ] {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        assert_eq!(summary.failed, 0);
    }

    #[test]
    fn summary_of_events_comes_after_that_of_their_watches() {
        let text = format!(
            "Watch creation summary:\n{PUT}Watch events received summary:\n{}",
            PUT.replace("8012.3456", "844000")
        );
        let summaries = summaries(&text);
        assert_eq!(summaries.len(), 2);
        assert!((summaries[1].rate - 844_000.0).abs() < 1e-9, "{:?}", summaries[1]);
    }

    #[test]
    fn failures_are_counted_also_if_nothing_succeeded() {
        let errors = "\nError distribution:\n  [7]\tetcdserver: request timed out\n  [2]\tother\n";
        assert_eq!(summaries(&format!("{PUT}{errors}"))[0].failed, 9);
        assert_eq!(summaries(errors)[0], Summary { failed: 9, ..Summary::default() });
        assert!(summaries("nothing\n").is_empty());
    }
}
