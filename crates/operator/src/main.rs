//! The operator's process: flags, log, pages, lease, and the controller.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use operator::controller::{self, Settings};
use operator::crd::RaftClusterSpec;
use operator::http;
use operator::lease::Keeper;
use operator::metrics::Metrics;
use operator::trial::Trial;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// The namespace of the lease if the operator does not run in a pod.
const DEFAULT_NAMESPACE: &str = "default";

/// Turns RaftClusters into pods, volumes and members, and keeps them so.
#[derive(Parser, Debug)]
#[command(name = "holdfast-operator", version)]
struct Flags {
    /// Look after clusters in this namespace alone; in all if not given.
    #[arg(long, visible_alias = "watch-namespace", env = "HOLDFAST_NAMESPACE")]
    namespace: Option<String>,
    /// Where to serve /metrics.
    #[arg(long, env = "HOLDFAST_METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    metrics_address: SocketAddr,
    /// Where to serve /healthz and /readyz.
    #[arg(long, env = "HOLDFAST_HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    health_address: SocketAddr,
    /// Whether to agree with other operators on who works, by a Lease.
    #[arg(long, env = "HOLDFAST_LEADER_ELECT", default_value_t = true,
          action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    leader_elect: bool,
    /// The name of that Lease.
    #[arg(long, env = "HOLDFAST_LEASE_NAME", default_value = "holdfast-operator")]
    lease_name: String,
    /// The domain under which services are found; read from /etc/resolv.conf if not given.
    #[arg(long, env = "HOLDFAST_CLUSTER_DOMAIN")]
    cluster_domain: Option<String>,
    /// At how many clusters to look at once.
    #[arg(long, env = "HOLDFAST_WORKERS", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// What to log: a level, or a filter such as `operator=debug,info`.
    #[arg(long, env = "HOLDFAST_LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How to log.
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// The namespace of this pod, where the Lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pod_namespace: String,
    /// The name of this pod.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do instead of looking after clusters.
#[derive(Subcommand, Debug)]
enum Command {
    /// Make a cluster, wait until it is ready, and remove it again.
    Trial(TrialFlags),
}

#[derive(Args, Debug)]
struct TrialFlags {
    /// In which namespace.
    #[arg(long)]
    namespace: String,
    /// What the cluster is called. There may be none of this name.
    #[arg(long)]
    name: String,
    /// How long it may take to come up, and then how long to go.
    #[arg(long, default_value_t = 180)]
    timeout_seconds: u64,
    /// What it is to be like, as JSON.
    #[arg(long, default_value = "{}", value_parser = parse_spec)]
    spec: Box<RaftClusterSpec>,
}

fn parse_spec(text: &str) -> Result<Box<RaftClusterSpec>, serde_json::Error> {
    serde_json::from_str(text)
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Err(error) = start_log(&flags) {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let ended = match flags.command {
        Some(Command::Trial(trial)) => run_trial(trial).await,
        None => run(flags).await,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            error!(error = format!("{error:#}"), "ends");
            ExitCode::FAILURE
        }
    }
}

fn start_log(flags: &Flags) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&flags.log_level).with_context(|| {
        format!("--log-level is {:?}: give a level, or a filter", flags.log_level)
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).init()
        }
        LogFormat::Text => log.init(),
    }
    Ok(())
}

async fn run_trial(flags: TrialFlags) -> Result<ExitCode> {
    let client = Client::try_default().await.context("Kubernetes cannot be reached")?;
    let TrialFlags { namespace, name, timeout_seconds, spec } = flags;
    let limit = Duration::from_secs(timeout_seconds);
    Trial { namespace, name, spec: *spec, limit }.run(client).await?;
    Ok(ExitCode::SUCCESS)
}

async fn run(flags: Flags) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let metrics = Arc::new(Metrics::default());
    let is_ready = Arc::new(AtomicBool::new(false));
    serve_pages(&flags, &metrics, &is_ready).await?;

    let client = Client::try_default().await.context("Kubernetes cannot be reached")?;
    let identity =
        flags.pod_name.clone().unwrap_or_else(|| format!("local-{}", std::process::id()));
    let settings = Settings {
        namespace: flags.namespace.clone(),
        domain: flags.cluster_domain.clone().unwrap_or_else(domain),
        workers: flags.workers,
        identity: identity.clone(),
    };
    info!(version = env!("CARGO_PKG_VERSION"), ?settings, "starts");
    // A second operator that waits for its turn is as ready as it can be.
    is_ready.store(true, Ordering::Relaxed);

    let leases: Api<Lease> = Api::namespaced(client.clone(), &flags.pod_namespace);
    let mut keeper = Keeper::new(leases, flags.lease_name.clone(), identity);
    let work = async {
        if flags.leader_elect {
            keeper.acquire().await;
        }
        metrics.lead(true);
        let hold = async {
            if flags.leader_elect {
                keeper.hold().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = hold => error!("the lease was lost: somebody else may be at work"),
            () = controller::run(client, settings, metrics.clone()) => {
                error!("nothing is followed any more");
            }
        }
    };
    tokio::select! {
        () = work => return Ok(ExitCode::FAILURE),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if flags.leader_elect {
        keeper.release().await;
    }
    info!("ends as it was told");
    Ok(ExitCode::SUCCESS)
}

async fn serve_pages(
    flags: &Flags,
    metrics: &Arc<Metrics>,
    is_ready: &Arc<AtomicBool>,
) -> Result<()> {
    let is_ready = is_ready.clone();
    let health = move |path: &str| match path {
        "/healthz" => Some((200, "ok\n".to_owned())),
        "/readyz" if is_ready.load(Ordering::Relaxed) => Some((200, "ok\n".to_owned())),
        "/readyz" => Some((503, "Kubernetes was not reached yet\n".to_owned())),
        _ => None,
    };
    http::serve(flags.health_address, Arc::new(health)).await?;
    let metrics = metrics.clone();
    let page = move |path: &str| (path == "/metrics").then(|| (200, metrics.text()));
    http::serve(flags.metrics_address, Arc::new(page)).await
}

/// The domain of services, as a pod's resolver knows it.
fn domain() -> String {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut words = text.split_whitespace();
    let found = words.find_map(|word| word.strip_prefix("svc.").map(str::to_owned));
    found.unwrap_or_else(|| "cluster.local".to_owned())
}
