//! Connections that do nothing but watch, to see what they cost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use crate::call::Call;
use crate::connection::{Bodies, Connection};
use crate::message;
use crate::poller::Poller;

/// How many connections, and for how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where the members serve clients, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<SocketAddr>,
    /// How many connections, each with one stream and one watch on a key of its own.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// For how long they are held.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Opens the connections and holds them.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.connections > 0, "--connections wants one or more, and was given 0");
    let mut poller = Poller::new()?;
    let mut connections = Vec::new();
    for at in 0..options.connections {
        let endpoint = options.endpoints[at % options.endpoints.len()];
        let mut connection = Connection::open(endpoint, Bodies::Drop)?;
        let request = message::watch(format!("idle/{at}").as_bytes());
        connection.send(Call::Watch, &request.into_body(), 0)?;
        connection.flush()?;
        poller.add(connection.socket(), at)?;
        connections.push(connection);
    }
    let began = Instant::now();
    let hold = Duration::from_secs_f64(options.seconds);
    let (mut ready, mut completions) = (Vec::new(), Vec::new());
    while began.elapsed() < hold {
        ready.clear();
        poller.wait(hold.saturating_sub(began.elapsed()), &mut ready)?;
        for at in ready.iter().copied() {
            connections[at].receive(&mut completions)?;
            connections[at].flush()?;
        }
        ensure!(completions.is_empty(), "the server has ended a watch");
    }
    Ok(())
}
