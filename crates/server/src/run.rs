//! From settings to a member that serves, and to its end.
//!
//! ```text
//!   peer addresses open ─► who am I? ─► replica opened ─► driver turns ─► clients are served
//!                          (birth)                           │
//!                                    "ready to serve client requests": the cluster knows my name
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result};
use disk::{Disk, RealDisk};
use etcd_api::holdfast::FormResponse;
use etcd_api::holdfast::admission_server::AdmissionServer;
use replica::{Options, Replica};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::addresses::{self, wishes};
use crate::alone;
use crate::config::{ClusterStart, Config, Durability, ETCD_VERSION, Url};
use crate::dice;
use crate::http::Pages;
use crate::layout;
use crate::log;
use crate::member::{
    Admitted, Birth, Driver, Exit, Fitness, Handle, Identity, Shared, admission, birth, chores,
};
use crate::metrics::Metrics;
use crate::peer::{self, Host, Lives, Local};
use crate::service;
use crate::spans::Spans;
use crate::tls::TlsFactory;
use crate::transport::{self, Routes, Shards};

/// How long a member that stops waits for another to take over.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long calls under way have when the member stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the spans of the last calls have to reach their collector.
const SPANS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a probe waits for a read.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a command may have beyond what a client may send: its own framing.
const COMMAND_OVERHEAD_BYTES: usize = 512 << 10;

/// Runs a member until it is told to stop, or cannot go on.
///
/// # Errors
///
/// If it cannot start.
pub async fn run(config: Config) -> Result<ExitCode> {
    let metrics = Arc::new(Metrics::new(&config));
    let tls = TlsFactory::new(&config).context("TLS cannot be set up")?;
    let spans = config.spans.as_ref().map(Spans::start).transpose()?.map(Arc::new);
    let host = Arc::new(Host::default());
    for url in &config.urls.listen_peer {
        let listener = peer::bind(url).await?;
        tokio::spawn(peer::accept(listener, tls.peer_server(), host.clone()));
    }
    let fitness = Arc::new(Fitness::new(metrics.clone()));
    let pages = Arc::new(Pages::new(fitness.clone(), PROBE_TIMEOUT));

    // From here on, because a member may wait for long until it is admitted, and a process that is
    // the first of its container does not end by a signal that nobody handles.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (replica, lives) = tokio::select! {
        opened = open(&config, &tls, &pages, &metrics, &host) => opened?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    let (handle, local, mut driver) = start(&config, replica, lives, &tls, metrics.clone());
    metrics.show(handle.clone());
    fitness.set(handle.clone());
    host.set(local);

    let server = serve(&config, &handle, pages, &tls, &metrics, spans.clone()).await?;
    chores::start(&config, &handle);
    tokio::spawn(announce(config.clone(), handle.clone()));

    let exit = tokio::select! {
        exit = &mut driver => {
            // Whoever was answered last is to hear it.
            handle.close();
            server.shutdown(CLOSE_TIMEOUT).await;
            exit?
        }
        _ = terminate.recv() => stop(&handle, server, driver).await?,
        _ = interrupt.recv() => stop(&handle, server, driver).await?,
    };
    if let Some(spans) = spans {
        spans.close(SPANS_TIMEOUT).await;
    }
    Ok(match exit {
        Exit::Stopped | Exit::Removed => ExitCode::SUCCESS,
        Exit::LivedBefore | Exit::Fault(_) => ExitCode::FAILURE,
    })
}

/// Opens this member's state, or begins it.
async fn open(
    config: &Config,
    tls: &TlsFactory,
    pages: &Arc<Pages>,
    metrics: &Metrics,
    host: &Host,
) -> Result<(Replica, Lives)> {
    let disk: Arc<dyn Disk> = Arc::new(match config.storage.durability {
        Durability::Synced => RealDisk::new(),
        Durability::Unsafe => {
            warn!("--unsafe-no-fsync: a crash of the machine loses acknowledged writes");
            RealDisk::unsynced()
        }
    });
    alone::recover(&layout::member_dir(&config.data_dir))?;
    let dir = layout::prepare(&config.data_dir, config.wal_dir.as_deref())?;
    if Replica::exists(&*disk, &dir)? {
        let identity = Replica::identity(&*disk, &dir)?;
        let options = options(config, &dir, identity.member_id);
        if config.cluster.force_new {
            let peer_urls = config.urls.advertise_peer.iter().map(Url::to_string).collect();
            alone::force(&dir, options.clone(), &config.name, peer_urls)?;
        }
        let identity = Replica::identity(&*disk, &dir)?;
        info!(
            member = format!("{:x}", identity.member_id),
            cluster = format!("{:x}", identity.cluster_id),
            "restarts with the data of an earlier life"
        );
        let lives = Lives::resume(disk.clone(), &dir)?;
        return Ok((Replica::open(disk, options)?, lives));
    }
    host.set_newborn();
    let Birth { member_id, genesis, order } = be_born(config, tls, pages, metrics).await?;
    info!(member = format!("{member_id:x}"), ?genesis, "begins its life");
    let lives = Lives::begin(disk.clone(), &dir)?;
    let replica = Replica::create(disk, options(config, &dir, member_id), genesis)?;
    if let Some(order) = order {
        let cluster_id = replica.status().cluster_id;
        // Whoever has gone does not want it any more.
        drop(order.send(Ok(FormResponse { cluster_id, member_id })));
    }
    Ok((replica, lives))
}

/// Finds out who this member is. While it awaits admission, it can be asked and told at its client
/// addresses.
async fn be_born(
    config: &Config,
    tls: &TlsFactory,
    pages: &Arc<Pages>,
    metrics: &Metrics,
) -> Result<Birth> {
    let peer_tls = tls.peer_client();
    if !matches!(config.cluster.start, ClusterStart::Join(_)) {
        return birth(config, peer_tls.as_ref(), None).await;
    }
    let (awaiting, orders) = admission::awaiting();
    let routes = |_| Routes::new().add_service(AdmissionServer::new(awaiting.clone()));
    let mut server = transport::serve(transport::Plan {
        listeners: transport::bind(&wishes(&config.urls)).await?,
        shards: Arc::new(Shards::here()),
        routes: &routes,
        pages: pages.clone(),
        tls: tls.client_server(),
        metrics: Arc::clone(&metrics.network),
        options: addresses::options(&config.limits),
        spans: None,
    });
    let birth = birth(config, peer_tls.as_ref(), Some(orders)).await?;
    server.close().await;
    // Whoever ordered it waits for the answer until the state is on the disk.
    tokio::spawn(server.shutdown(CLOSE_TIMEOUT));
    Ok(birth)
}

fn options(config: &Config, dir: &Path, member_id: u64) -> Options {
    let mut core = raft::Config::new(raft::MemberId(member_id), dice::random());
    core.election_ticks = config.timing.election_ticks();
    core.heartbeat_ticks = 1;
    core.catch_up_entries = config.storage.catch_up_entries;
    let command_bytes_max = config.limits.request_bytes + COMMAND_OVERHEAD_BYTES;
    let tick_millis = u32::try_from(config.timing.heartbeat.as_millis()).unwrap_or(u32::MAX);
    let seconds_ticks = |seconds: u32| (seconds * 1000).div_ceil(tick_millis);
    Options {
        dir: dir.to_owned(),
        request_ticks_max: seconds_ticks(5) + 2 * core.election_ticks,
        core,
        tick_millis,
        segment_bytes: segment_bytes(command_bytes_max),
        checkpoint_log_bytes_min: config.storage.checkpoint_log_bytes_min,
        command_bytes_max,
        quota_bytes: Some(config.limits.quota_bytes).filter(|bytes| *bytes > 0),
        strict_reconfiguration: config.cluster.strict_reconfiguration,
        learners_max: config.cluster.learners_max,
    }
}

/// The size of a log segment, into which the largest command must fit with room to spare.
fn segment_bytes(command_bytes_max: usize) -> u64 {
    const MEBIBYTE: u64 = 1 << 20;
    let least = 2 * command_bytes_max as u64;
    wal::Options::SEGMENT_BYTES.max(least.next_multiple_of(MEBIBYTE)).min(2048 * MEBIBYTE)
}

/// Sets the member going.
fn start(
    config: &Config,
    replica: Replica,
    lives: Lives,
    tls: &TlsFactory,
    metrics: Arc<Metrics>,
) -> (Handle, Arc<Local>, JoinHandle<Exit>) {
    let status = replica.status();
    log::set_member(status.core.id.0);
    let identity = Identity {
        cluster_id: status.cluster_id,
        member_id: status.core.id.0,
        election_timeout: config.timing.election,
        quota_bytes: config.limits.quota_bytes,
    };
    let shared = Arc::new(Shared::new(identity, replica.published(), status));
    let handle = Handle::new(shared.clone());
    let local =
        Local::new(shared.clone(), replica.images(), lives, tls.peer_client(), metrics.clone());
    let driver = Driver::new(replica, shared, local.clone(), metrics, config.timing);
    (handle, local, tokio::spawn(driver.run()))
}

/// Serves clients.
async fn serve(
    config: &Config,
    handle: &Handle,
    pages: Arc<Pages>,
    tls: &TlsFactory,
    metrics: &Arc<Metrics>,
    spans: Option<Arc<Spans>>,
) -> Result<transport::Server> {
    let listeners = transport::bind(&wishes(&config.urls)).await?;
    let cores = available_parallelism().map_or(1, usize::from);
    // With two processors everything is quickest on one thread: a second one would only wait for
    // the first, or for the clients.
    let shards = if cores <= 2 { Shards::here() } else { Shards::spawn(cores - 1)? };
    let admitted = Admitted { identity: handle.identity().clone() };
    let routes = |_| {
        service::routes(config, handle, metrics).add_service(AdmissionServer::new(admitted.clone()))
    };
    Ok(transport::serve(transport::Plan {
        listeners,
        shards: Arc::new(shards),
        routes: &routes,
        pages,
        tls: tls.client_server(),
        metrics: Arc::clone(&metrics.network),
        options: addresses::options(&config.limits),
        spans,
    }))
}

/// Says that this member serves, when the cluster knows it.
async fn announce(config: Config, handle: Handle) {
    let urls = config.urls.advertise_client.iter().map(Url::to_string).collect();
    chores::publish(handle.clone(), config.name.clone(), urls).await;
    let member = format!("{:x}", handle.identity().member_id);
    info!(name = config.name, member, version = ETCD_VERSION, "published the member");
    info!("ready to serve client requests");
}

/// Ends a member in good order: another leads before this one goes.
async fn stop(
    handle: &Handle,
    server: transport::Server,
    driver: JoinHandle<Exit>,
) -> Result<Exit> {
    info!("was asked to stop");
    let published = handle.published();
    let alone = published.membership.members().len() < 2;
    if published.role == raft::RoleKind::Leader && !alone {
        match timeout(HANDOVER_TIMEOUT, handle.transfer(None)).await {
            Ok(Ok(Ok(()))) => info!("handed leadership over"),
            Ok(Ok(Err(refusal))) => warn!(%refusal, "leadership was not handed over"),
            Ok(Err(why)) => warn!(%why, "leadership was not handed over"),
            Err(_) => warn!("nobody took over leadership in time"),
        }
    }
    handle.close();
    server.shutdown(CLOSE_TIMEOUT).await;
    handle.stop();
    Ok(driver.await?)
}
