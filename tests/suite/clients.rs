//! Clients that others wrote, as programs use them: what is served to them is etcd, whatever
//! happens to a member meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tests::process::Process;
use tests::{Cluster, Options, Server};

mod go;
mod mirror;
mod rust;

/// How long a program may take until its first half is done, or the rest.
const HALF_MAX: Duration = Duration::from_secs(120);

/// Runs a program on three members and kills one of them, which `choose` chooses by the leader,
/// when the program says that half is done. It must pass.
async fn passes_without_a_member(program: &Path, choose: fn(usize) -> usize) -> Result<()> {
    let mut cluster = Cluster::start(Options::new(Server::Holdfast, 3))?;
    cluster.leader().await?;
    let killed = cluster.directory().join("killed");
    let words = [cluster.client_urls().join(",").into(), killed.clone().into_os_string()];
    let log = cluster.directory().join("client.log");
    let mut client = Process::start(program, &words, &[], &log)?;
    client.wait_for("half", HALF_MAX)?;
    let chosen = choose(cluster.leader().await?);
    cluster.kill(chosen);
    fs::write(&killed, "").context("the program cannot be told that a member is killed")?;
    client.wait_for("passed", HALF_MAX)?;
    println!("without member {chosen} it said:\n{}", client.said());
    cluster.start_member(chosen)?;
    cluster.leader().await.map(|_| ())
}

/// Runs a program when the leader is killed, and again when a follower is.
async fn passes_without_any_member(program: &Path) -> Result<()> {
    passes_without_a_member(program, |leader| leader).await.context("without the leader")?;
    let follower = passes_without_a_member(program, |leader| (leader + 1) % 3).await;
    follower.context("without a follower")
}
