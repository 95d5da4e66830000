//! Look, decide, tell, do: for each cluster, again and again.
//!
//! ```text
//!  Kubernetes ─► caches ─┐                       ┌─► status ─► events
//!                        ├─► Observed ─► plan() ─┤
//!  members ──────────────┘                       └─► one step ─► events ─► look again
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::stream;
use kube::api::{Api, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::events::{Event as Published, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Client, Resource as _, ResourceExt as _};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::apply::Hand;
use crate::cache::Caches;
use crate::crd::{RaftCluster, RaftClusterStatus};
use crate::members::{Dialer, TooEarly};
use crate::metrics::Metrics;
use crate::names::{MANAGER, Site};
use crate::observe::observe;
use crate::plan::{Event, Follows, Severity, plan};

/// After a step, Kubernetes tells us within this time what came of it.
const AFTER_STEP: Duration = Duration::from_millis(50);

/// After a refusal that passes by itself.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// After an error.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How an operator works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// In which namespace; in all if not given.
    pub namespace: Option<String>,
    /// The domain of services.
    pub domain: String,
    /// At how many clusters it looks at once.
    pub workers: u16,
    /// What it is called in events.
    pub identity: String,
}

struct Context {
    client: Client,
    caches: Caches,
    dialer: Dialer,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    domain: String,
}

/// Why a cluster could not be looked after this time.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it could not be looked at: {0:#}")]
    Observe(anyhow::Error),
    #[error("its status could not be written: {0}")]
    Status(kube::Error),
    #[error("{0}: {1:#}")]
    Step(String, anyhow::Error),
}

impl Failure {
    /// Whether it is only that somebody else was faster, or that it is too early: what is looked at
    /// next is newer.
    fn passes(&self) -> bool {
        match self {
            Failure::Observe(_) => false,
            Failure::Status(error) => is_conflict(error),
            Failure::Step(_, error) => {
                error.downcast_ref::<kube::Error>().is_some_and(is_conflict)
                    || error.downcast_ref::<TooEarly>().is_some()
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Failure::Observe(_) => "observe",
            Failure::Status(_) => "status",
            Failure::Step(..) => "step",
        }
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Looks after all clusters, until the process is told to end.
pub async fn run(client: Client, settings: Settings, metrics: Arc<Metrics>) {
    let (notices, noticed) = mpsc::unbounded_channel();
    let api: Api<RaftCluster> = match &settings.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let reporter =
        Reporter { controller: MANAGER.to_owned(), instance: Some(settings.identity.clone()) };
    let context = Arc::new(Context {
        caches: Caches::start(&client, settings.namespace.as_deref(), &notices),
        dialer: Dialer::default(),
        recorder: Recorder::new(client.clone(), reporter),
        metrics,
        domain: settings.domain,
        client,
    });
    // Waited for here and once: of several who wait for one cache, only one is woken.
    if context.caches.ready().await.is_err() {
        return;
    }
    let noticed = stream::unfold(noticed, async |mut noticed: mpsc::UnboundedReceiver<_>| {
        noticed.recv().await.map(|notice| (notice, noticed))
    });
    Controller::new(api, watcher::Config::default())
        .with_config(Config::default().concurrency(settings.workers))
        .reconcile_on(noticed.boxed())
        .run(reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn on_error(cluster: Arc<RaftCluster>, failure: &Failure, context: Arc<Context>) -> Action {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    if failure.passes() {
        debug!(namespace, name, error = %failure, "looks again");
        return Action::requeue(AFTER_REFUSAL);
    }
    context.metrics.failed(failure.kind());
    warn!(namespace, name, error = %failure, "could not go on");
    Action::requeue(AFTER_ERROR)
}

async fn reconcile(cluster: Arc<RaftCluster>, context: Arc<Context>) -> Result<Action, Failure> {
    let started = Instant::now();
    let outcome = look_after(&cluster, &context).await;
    context.metrics.reconciled(started.elapsed());
    outcome
}

async fn look_after(cluster: &RaftCluster, context: &Context) -> Result<Action, Failure> {
    let site = Site {
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
        uid: cluster.uid().unwrap_or_default(),
        domain: context.domain.clone(),
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        // Everything goes with its owner; volumes as they are marked.
        context.dialer.forget(&site.namespace, &site.name);
        context.metrics.forget(&site.namespace, &site.name);
        return Ok(Action::await_change());
    }
    let Context { client, caches, dialer, .. } = context;
    let view = observe(client, caches, dialer, cluster, &site).await.map_err(Failure::Observe)?;
    let plan = plan(&cluster.spec, &view.observed);
    context.metrics.show(&site.namespace, &site.name, cluster.spec.replicas, &plan.status);

    if cluster.status.as_ref() != Some(&plan.status) {
        write_status(client, cluster, &site, plan.status.clone()).await?;
    }
    publish(context, cluster, &plan.events, Follows::Status).await;
    let Some(step) = &plan.step else { return Ok(Action::requeue(plan.again)) };

    let hand = Hand { client, caches, cluster, site: &site, view: &view };
    let done = hand.carry_out(step).await;
    done.map_err(|error| Failure::Step(step.to_string(), error))?;
    context.metrics.stepped();
    info!(namespace = site.namespace, name = site.name, %step, "done");
    publish(context, cluster, &plan.events, Follows::Step).await;
    Ok(Action::requeue(plan.again.max(AFTER_STEP)))
}

/// Writes the status over the one that was read, and over no other.
async fn write_status(
    client: &Client,
    cluster: &RaftCluster,
    site: &Site,
    status: RaftClusterStatus,
) -> Result<(), Failure> {
    let api: Api<RaftCluster> = Api::namespaced(client.clone(), &site.namespace);
    let mut changed = cluster.clone();
    changed.metadata.managed_fields = None;
    changed.status = Some(status);
    let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let written = api.replace_status(&site.name, &parameters, &changed).await;
    written.map(drop).map_err(Failure::Status)
}

/// Publishes events. One that is lost is no harm.
async fn publish(context: &Context, cluster: &RaftCluster, events: &[Event], follows: Follows) {
    for event in events.iter().filter(|event| event.follows == follows) {
        let published = Published {
            type_: match event.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: event.reason.to_string(),
            note: Some(event.message.chars().take(1000).collect()),
            action: event.reason.to_string(),
            secondary: None,
        };
        let about = cluster.object_ref(&());
        if let Err(error) = context.recorder.publish(&published, &about).await {
            warn!(%error, reason = %event.reason, "an event was lost");
        }
    }
}
