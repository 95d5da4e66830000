//! How long nobody can write after a process was lost.
//!
//! Puts go to the members that survive, one every few milliseconds, each independent of the others:
//! a put that reaches a member without a leader may wait for seconds, and must not hide that the
//! next would have succeeded. The outage ends with the first answer to a put that was sent after
//! the loss.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal};
use serde::Serialize;

use crate::call::Call;
use crate::connection::{Bodies, Connection, Outcome};
use crate::message;
use crate::poller::Poller;

/// For how long puts are sent before the loss.
const QUIET_TIME: Duration = Duration::from_millis(500);
/// After which time the outage counts as endless.
const OUTAGE_TIME_MAX: Duration = Duration::from_secs(60);

/// What is lost, and whom to ask.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where the members that survive serve clients, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<SocketAddr>,
    /// The process that is lost.
    #[arg(long)]
    process: i32,
    /// How it is lost.
    #[arg(long, value_enum, default_value_t = Loss::Kill)]
    signal: Loss,
    /// Milliseconds from one put to the next.
    #[arg(long, default_value_t = 5)]
    interval_ms: u64,
}

/// How a process is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Loss {
    /// SIGKILL: it is gone, and its connections are reset.
    Kill,
    /// SIGSTOP: it is there, and silent.
    Stop,
}

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Outage {
    /// From the loss to the first answer to a put that was sent after it.
    pub(crate) outage_ms: f64,
    /// How long after the loss that put was sent.
    pub(crate) sent_ms: f64,
    /// Puts that failed until then.
    pub(crate) failed: u64,
    /// Puts that were answered before the loss.
    pub(crate) answered_before: u64,
}

/// Sends puts, takes the process away, and waits for the first answer.
pub(crate) fn run(options: &Options) -> Result<Outage> {
    let victim = Pid::from_raw(options.process)
        .with_context(|| format!("--process wants a process, and was given {}", options.process))?;
    let signal = match options.signal {
        Loss::Kill => Signal::KILL,
        Loss::Stop => Signal::STOP,
    };
    let mut poller = Poller::new()?;
    let mut connections = Vec::new();
    for (at, endpoint) in options.endpoints.iter().enumerate() {
        let connection = Connection::open(*endpoint, Bodies::Drop)?;
        poller.add(connection.socket(), at)?;
        connections.push(connection);
    }
    let interval = Duration::from_millis(options.interval_ms.max(1));
    let start = Instant::now();
    let since = |start: Instant| u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut next = start;
    let mut lost_at: Option<u64> = None;
    let (mut sent, mut failed, mut answered_before) = (0_usize, 0, 0);
    let (mut ready, mut completions) = (Vec::new(), Vec::new());
    loop {
        if start.elapsed() >= QUIET_TIME && lost_at.is_none() {
            ensure!(answered_before > 0, "no put was answered before the loss");
            rustix::process::kill_process(victim, signal)
                .with_context(|| format!("cannot signal the process {}", options.process))?;
            lost_at = Some(since(start));
        }
        if start.elapsed() > QUIET_TIME + OUTAGE_TIME_MAX {
            bail!("no put was answered for {} s after the loss", OUTAGE_TIME_MAX.as_secs());
        }
        while next <= Instant::now() {
            let body = message::put(b"failover", sent.to_string().as_bytes()).into_body();
            let at = sent % connections.len();
            if connections[at].has_room(body.len()) {
                connections[at].send(Call::Put, &body, since(start))?;
            }
            sent += 1;
            next += interval;
        }
        for connection in &mut connections {
            connection.flush()?;
        }
        ready.clear();
        poller.wait(next.saturating_duration_since(Instant::now()), &mut ready)?;
        for at in &ready {
            connections[*at].receive(&mut completions)?;
        }
        for completion in completions.drain(..) {
            match (completion.outcome, lost_at) {
                (Outcome::Answered, Some(lost)) if completion.tag > lost => {
                    return Ok(Outage {
                        outage_ms: (since(start) - lost) as f64 / 1e6,
                        sent_ms: (completion.tag - lost) as f64 / 1e6,
                        failed,
                        answered_before,
                    });
                }
                (Outcome::Answered, Some(_)) => {}
                (Outcome::Answered, None) => answered_before += 1,
                (Outcome::Refused | Outcome::Reset, _) => failed += 1,
            }
        }
    }
}
