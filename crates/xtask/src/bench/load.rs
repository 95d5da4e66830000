//! Our own generator of load, the package `load`: running it, and reading what it prints.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bench::cases::Loss;
use crate::bench::cluster::Pin;

const LEADER_TIME_MAX: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The program.
pub(super) struct Load {
    pub(super) program: PathBuf,
    pub(super) pin: Pin,
}

/// What `load run` measured.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) seconds: f64,
    pub(super) rate: f64,
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) reset: u64,
    pub(super) unanswered: u64,
    pub(super) dropped: u64,
    pub(super) latency_ms: Latencies,
    pub(super) per_second: Vec<Second>,
}

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// One second of the run, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Second {
    pub(super) p999: f64,
}

/// What `load failover` saw.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Outage {
    pub(super) outage_ms: f64,
}

/// What a member says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MemberStatus {
    pub(super) is_leader: bool,
    pub(super) revision: u64,
}

#[derive(Deserialize)]
struct Count {
    keys: u64,
}

impl Summary {
    /// How many requests got no good answer.
    pub(super) fn failed(&self) -> u64 {
        self.refused + self.reset + self.unanswered + self.dropped
    }
}

impl Load {
    /// Runs `load run` with these words.
    pub(super) fn run(&self, endpoints: &[SocketAddr], words: &[&str]) -> Result<Summary> {
        self.json(self.command("run", endpoints).args(words))
    }

    /// Starts `load run` with these words, and does not wait.
    pub(super) fn spawn(&self, endpoints: &[SocketAddr], words: &[&str]) -> Result<Running> {
        let mut command = self.command("run", endpoints);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Running { process: command.spawn().context("cannot run `load run`")? })
    }

    /// Holds connections that watch, until the time is over; does not wait.
    pub(super) fn spawn_idle(&self, endpoints: &[SocketAddr], words: &[&str]) -> Result<Child> {
        let mut command = self.command("idle", endpoints);
        command.args(words).stdin(Stdio::null()).spawn().context("cannot run `load idle`")
    }

    /// Kills or stops a process, and tells for how long nobody could write.
    pub(super) fn failover(
        &self,
        survivors: &[SocketAddr],
        process: u32,
        loss: Loss,
    ) -> Result<Outage> {
        let signal = match loss {
            Loss::Kill => "kill",
            Loss::Stop => "stop",
        };
        let words = ["--process", &process.to_string(), "--signal", signal];
        self.json(self.command("failover", survivors).args(words))
    }

    /// What each member says of itself.
    pub(super) fn status(&self, endpoints: &[SocketAddr]) -> Result<Vec<MemberStatus>> {
        self.json(&mut self.command("status", endpoints))
    }

    /// Waits until one of the members leads, and returns its place among `endpoints`.
    pub(super) fn leader(&self, endpoints: &[SocketAddr]) -> Result<usize> {
        let began = Instant::now();
        loop {
            let members = self.status(endpoints)?;
            if let Some(leader) = members.iter().position(|member| member.is_leader) {
                return Ok(leader);
            }
            ensure!(
                began.elapsed() < LEADER_TIME_MAX,
                "no member was leader for {} s",
                LEADER_TIME_MAX.as_secs()
            );
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// How many keys there are.
    pub(super) fn count(&self, endpoint: SocketAddr) -> Result<u64> {
        let count: Count = self.json(&mut self.at("count", endpoint))?;
        Ok(count.keys)
    }

    /// Puts a value of 256 bytes under `key`.
    pub(super) fn put(&self, endpoint: SocketAddr, key: &str) -> Result<()> {
        output(self.at("put", endpoint).args(["--key", key])).map(drop)
    }

    /// Drops all revisions before `revision`.
    pub(super) fn compact(&self, endpoint: SocketAddr, revision: u64) -> Result<()> {
        output(self.at("compact", endpoint).args(["--revision", &revision.to_string()])).map(drop)
    }

    /// Has a member tidy its storage.
    pub(super) fn defragment(&self, endpoint: SocketAddr) -> Result<()> {
        output(&mut self.at("defragment", endpoint)).map(drop)
    }

    fn command(&self, subcommand: &str, endpoints: &[SocketAddr]) -> Command {
        let mut command = self.pin.client(&self.program);
        command.args([subcommand, "--endpoints", &joined(endpoints)]);
        command
    }

    fn at(&self, subcommand: &str, endpoint: SocketAddr) -> Command {
        let mut command = self.pin.client(&self.program);
        command.args([subcommand, "--endpoint", &endpoint.to_string()]);
        command
    }

    fn json<T: DeserializeOwned>(&self, command: &mut Command) -> Result<T> {
        parse(&self.program, &output(command)?)
    }
}

/// A run that was started.
pub(super) struct Running {
    process: Child,
}

impl Running {
    /// Waits for the end of the run.
    pub(super) fn finish(self) -> Result<Summary> {
        let output = self.process.wait_with_output().context("cannot wait for `load run`")?;
        ensure!(
            output.status.success(),
            "`load run` failed with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        parse(Path::new("load run"), &output.stdout)
    }
}

/// Addresses as both generators want them.
pub(super) fn joined(endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
    endpoints.join(",")
}

fn parse<T: DeserializeOwned>(program: &Path, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .with_context(|| format!("cannot read what {} printed", program.display()))
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_is_read_past_what_is_not_needed() {
        let text = r#"{"op": "put", "rate_wanted": null, "seconds": 2.0, "rate": 12.5,
            "answered": 25, "refused": 1, "reset": 2, "unanswered": 3, "dropped": 4,
            "latency_ms": {"mean": 1.0, "p50": 1.0, "p90": 1.0, "p99": 2.0, "p999": 3.0,
            "max": 4.0}, "per_second": [{"answered": 25, "p50": 1.0, "p99": 2.0, "p999": 3.0,
            "max": 4.0}]}"#;
        let summary: Summary = parse(Path::new("load"), text.as_bytes()).unwrap();
        assert_eq!((summary.answered, summary.failed()), (25, 10));
        assert!((summary.per_second[0].p999 - 3.0).abs() < 1e-9, "{summary:?}");
    }
}
