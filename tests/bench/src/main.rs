//! `load`: load for any server that speaks etcd's API, on a fixed schedule, for little CPU.
//!
//! etcd's own `benchmark` waits for an answer before it sends the next request, and starts its
//! clock when it sends: while a server stalls nothing is sent, and the stall is counted once. Here
//! requests are due at fixed times, and latency counts from the time at which a request *should*
//! have been sent (the method of wrk2). A stall of a second is seen in every request of that
//! second.
//!
//! ```text
//!  schedule ──► Workload ──► Connection ──► server
//!     │        a prepared     HTTP/2: one write for all
//!     │        request and    that is due, one read for
//!     │        a new key      all that has come
//!     └──────────────────── Record ◄──┘
//!               intended          answered: HdrHistogram of the whole, and of each second
//! ```
//!
//! # Why it speaks HTTP/2 itself
//!
//! On a machine of few cores the load takes CPU from what it measures. The usual clients cost 20 to
//! 35 µs a request; this one about 4 µs when the server is busy, nearly all of it the kernel's,
//! because a request is copied from a template and an answer is only counted. Towards the server it
//! behaves as they do: header compression, flow control, pings.
//!
//! # Left out
//!
//! TLS, and reading the status of a call that failed: it is counted, not named. Requests are as
//! large as a stream's first window at most (64 KiB).

mod call;
mod connection;
mod failover;
mod frame;
mod idle;
mod message;
mod poller;
mod record;
mod run;
mod unary;
mod workload;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Load for any server that speaks etcd's API. What was measured is printed as JSON.
#[derive(Parser)]
#[command(name = "load")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send requests on a schedule, or as fast as they are answered.
    Run(run::Options),
    /// Kill or stop a process and time the outage.
    Failover(failover::Options),
    /// Hold connections that watch and do nothing.
    Idle(idle::Options),
    /// Ask members for their status.
    Status {
        /// Where the members serve clients, separated by commas.
        #[arg(long, value_delimiter = ',', required = true)]
        endpoints: Vec<SocketAddr>,
    },
    /// Put one key.
    Put {
        /// Where a member serves clients.
        #[arg(long)]
        endpoint: SocketAddr,
        /// The key.
        #[arg(long)]
        key: String,
        /// How long the value is.
        #[arg(long, default_value_t = 256)]
        value_bytes: usize,
    },
    /// Count all keys.
    Count {
        /// Where a member serves clients.
        #[arg(long)]
        endpoint: SocketAddr,
    },
    /// Have a member tidy its storage.
    Defragment {
        /// Where a member serves clients.
        #[arg(long)]
        endpoint: SocketAddr,
    },
    /// Drop all revisions before one.
    Compact {
        /// Where a member serves clients.
        #[arg(long)]
        endpoint: SocketAddr,
        /// The first revision that stays.
        #[arg(long)]
        revision: u64,
    },
}

fn main() -> ExitCode {
    match dispatch(Line::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Run(options) => print(&run::run(&options)?),
        Command::Failover(options) => print(&failover::run(&options)?),
        Command::Idle(options) => idle::run(&options),
        Command::Status { endpoints } => print(&unary::status(&endpoints)?),
        Command::Put { endpoint, key, value_bytes } => unary::put(endpoint, &key, value_bytes),
        Command::Count { endpoint } => print(&unary::count(endpoint)?),
        Command::Defragment { endpoint } => unary::defragment(endpoint),
        Command::Compact { endpoint, revision } => unary::compact(endpoint, revision),
    }
}

fn print(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    println!("{text}");
    Ok(())
}
