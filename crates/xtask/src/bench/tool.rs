//! etcd's `benchmark`: running it, and reading what it prints.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::cluster::Pin;

const RUN_TIME_MAX: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// A line of a progress bar is long, and says little.
const COMPLAINT_CHARACTERS: usize = 200;

/// One summary as the tool prints it, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// Requests, or events, in a second.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// 0 where there were too few requests for the tool to say.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    /// How many requests failed.
    pub(super) failed: u64,
}

impl Summary {
    /// How many requests were answered, or events received.
    pub(super) fn answered(&self) -> f64 {
        self.rate * self.seconds
    }
}

/// Runs the tool against `endpoints` and returns the summaries that it prints, one or more. What it
/// prints goes to files in `directory`.
pub(super) fn run(
    program: &Path,
    pin: Pin,
    endpoints: &str,
    words: &[String],
    directory: &Path,
) -> Result<Vec<Summary>> {
    let shown = format!("benchmark {}", words.join(" "));
    let [out, err] = ["out", "err"].map(|name| directory.join(format!("benchmark.{name}")));
    let file = |path: &Path| {
        File::create(path).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut process = pin
        .client(program)
        .arg(format!("--endpoints={endpoints}"))
        .arg("--precise")
        .args(words)
        .stdin(Stdio::null())
        .stdout(file(&out)?)
        .stderr(file(&err)?)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().context("cannot wait for the benchmark")? {
            break status;
        }
        // A watch that the server ends has the tool turn round for ever.
        if began.elapsed() > RUN_TIME_MAX {
            process.kill().context("cannot kill the benchmark")?;
            process.wait().context("cannot wait for the benchmark")?;
            bail!("`{shown}` did not end within {} s", RUN_TIME_MAX.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    let printed = |path: &Path| std::fs::read(path).unwrap_or_default();
    let complaint = last_line(&printed(&err));
    ensure!(status.success(), "`{shown}` failed with {status}: {complaint}");
    let text = printed(&out);
    let summaries = summaries(&String::from_utf8_lossy(&text));
    ensure!(!summaries.is_empty(), "`{shown}` printed no summary: {complaint}");
    Ok(summaries)
}

/// The last line that is not empty.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(nothing)");
    line.trim().chars().take(COMPLAINT_CHARACTERS).collect()
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
        } else if let Some(total) = line.strip_prefix("Total:") {
            summary.seconds = milliseconds(total) / 1000.0;
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
        for (found, expected) in [(summary.p50, 11.8), (summary.p99, 25.1), (summary.p999, 31.0)] {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        assert!((summary.answered() - 8012.3456 * 1.25).abs() < 1e-6, "{summary:?}");
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
