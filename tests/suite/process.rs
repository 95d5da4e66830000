//! Clusters of real processes that are broken while clients write: nothing that was acknowledged is
//! lost, nobody sees the past, and watchers are told everything once and in order.
//!
//! `PROCESS_ROUNDS` says how often each kind of fault is repeated in a test; more is by hand.

use std::env;
use std::future::Future;

use anyhow::{Context, Result, ensure};
use tests::{Cluster, Options, Server};

mod admission;
mod clock;
mod crashes;
mod disk;
mod handover;
mod history;
mod leases;
mod membership;
mod observer;
mod partitions;
mod workload;

use history::{Change, Done};
use observer::Observer;
use workload::Workload;

/// How many clients write.
const CLIENTS: u64 = 8;
/// How many writes are to be acknowledged between two faults.
const WRITES: u64 = 100;

/// Returns how often a fault is repeated.
fn rounds(default: u64) -> u64 {
    env::var("PROCESS_ROUNDS").ok().map_or(default, |rounds| {
        rounds.parse().unwrap_or_else(|_| panic!("PROCESS_ROUNDS is no number: {rounds}"))
    })
}

/// Which server is broken: Holdfast, unless `PROCESS_SERVER=etcd` asks whether etcd passes.
fn server() -> Server {
    let wants_etcd = env::var("PROCESS_SERVER").is_ok_and(|value| value == "etcd");
    if wants_etcd { Server::Etcd } else { Server::Holdfast }
}

/// A cluster, clients that write to it, and a watcher at each member.
struct Scene {
    cluster: Cluster,
    work: Workload,
    observers: Vec<Observer>,
}

impl Scene {
    /// Starts them all, and waits until the clients are at work.
    async fn start(options: Options) -> Result<Scene> {
        let cluster = Cluster::start(options)?;
        cluster.leader().await?;
        let urls = cluster.client_urls();
        let observers =
            (0..urls.len()).map(|at| Observer::start(&urls, at)).collect::<Result<_>>()?;
        let work = Workload::start(&urls, CLIENTS)?;
        work.progress(WRITES).await.context("before anything was broken")?;
        Ok(Scene { cluster, work, observers })
    }

    /// Stops the clients, and checks everything that they and the watchers saw.
    async fn finish(self) -> Result<()> {
        self.history().await.map(|_| ())
    }

    /// As `finish`. Returns what the clients did.
    async fn history(mut self) -> Result<Vec<Done>> {
        self.work.progress(WRITES).await.context("after everything was repaired")?;
        self.cluster.start_all()?;
        let history = self.work.finish().await;
        let leader = self.cluster.leader().await?;
        let last = self.cluster.client(leader)?.put("end", "").await?;
        let urls = self.cluster.client_urls();
        let truth = Observer::start(&urls, leader)?.finish(last).await?;
        history::check(&truth, &history)?;
        observer::check_before(&truth)?;
        for (at, observer) in self.observers.into_iter().enumerate() {
            let told = observer.finish(last).await.with_context(|| format!("watcher {at}"))?;
            same(&told, &truth).with_context(|| format!("watcher {at}"))?;
        }
        for (at, url) in urls.iter().enumerate() {
            let told = Observer::start(std::slice::from_ref(url), 0)?.finish(last).await?;
            same(&told, &truth).with_context(|| format!("what member {at} tells at the end"))?;
        }
        Ok(history)
    }
}

/// Checks that a watcher was told the truth.
fn same(told: &[Change], truth: &[Change]) -> Result<()> {
    let differing = told.iter().zip(truth).find(|(told, truth)| told != truth);
    ensure!(differing.is_none(), "{differing:?}: what was told, and what is true");
    ensure!(told.len() == truth.len(), "{} changes of {} were told", told.len(), truth.len());
    Ok(())
}

/// Runs a test that has clients.
pub(crate) fn run(test: impl Future<Output = Result<()>>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.expect("there are threads").block_on(test);
    result.unwrap_or_else(|error| panic!("{error:?}"));
}
