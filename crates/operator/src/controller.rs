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
use kube::runtime::controller::{Action, Config, Controller, Error};
use kube::runtime::events::{Event as Published, EventType, Recorder, Reporter};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Client, Resource as _, ResourceExt as _};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::apply::Hand;
use crate::cache::{Caches, PAGE_LEN};
use crate::crd::{RaftCluster, RaftClusterStatus};
use crate::members::{Dialer, TooEarly};
use crate::metrics::{Metrics, Refusal};
use crate::names::{MANAGER, Site};
use crate::observe::observe;
use crate::pace::{Paces, Setback};
use crate::plan::{Event, EventReason, Follows, Severity, plan};

/// After a step, Kubernetes tells us within this time what came of it.
const AFTER_STEP: Duration = Duration::from_millis(50);

/// How long what was written may take to come back. Usually it is noticed at once.
const AFTER_WRITE: Duration = Duration::from_secs(1);

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
    paces: Paces,
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
    /// Why it is only that somebody else was faster, or that it is too early, if it is: what is
    /// looked at next is newer.
    fn passes(&self) -> Option<Refusal> {
        let is_conflict =
            |error: &kube::Error| matches!(error, kube::Error::Api(it) if it.code == 409);
        match self {
            Failure::Observe(_) => None,
            Failure::Status(error) => is_conflict(error).then_some(Refusal::StatusConflict),
            Failure::Step(_, error) => {
                let is_early = error.downcast_ref::<TooEarly>().is_some();
                let kube = error.downcast_ref::<kube::Error>();
                match is_early {
                    true => Some(Refusal::TooEarly),
                    false => kube.filter(|it| is_conflict(it)).map(|_| Refusal::StepConflict),
                }
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
        paces: Paces::default(),
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
    let gone = context.clone();
    let (clusters, writer) = reflector::store();
    let config = watcher::Config::default().page_size(PAGE_LEN);
    let changes = watcher(api, config).default_backoff().modify(slim).reflect(writer);
    Controller::for_stream(changes.applied_objects(), clusters)
        .with_config(Config::default().concurrency(settings.workers))
        .reconcile_on(noticed.boxed())
        .run(reconcile, on_error, context)
        .for_each(|outcome| {
            if let Err(Error::ObjectNotFound(cluster)) = outcome {
                gone.forget(cluster.namespace.as_deref().unwrap_or_default(), &cluster.name);
            }
            std::future::ready(())
        })
        .await;
}

/// Drops what nobody looks at: who set which field, and notes for other programs.
fn slim(cluster: &mut RaftCluster) {
    cluster.metadata.managed_fields = None;
    cluster.metadata.annotations = None;
}

impl Context {
    /// Forgets a cluster that is gone. Everything goes with its owner; volumes as they are marked.
    fn forget(&self, namespace: &str, name: &str) {
        self.dialer.forget(namespace, name);
        self.metrics.forget(namespace, name);
        self.paces.forget(namespace, name);
    }
}

fn on_error(cluster: Arc<RaftCluster>, failure: &Failure, context: Arc<Context>) -> Action {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let setback = match failure.passes() {
        Some(refusal) => {
            context.metrics.refused(refusal);
            debug!(namespace, name, error = %failure, "looks again");
            Setback::Refused
        }
        None => {
            context.metrics.failed(failure.kind());
            warn!(namespace, name, error = %failure, "could not go on");
            Setback::Failed
        }
    };
    Action::requeue(context.paces.after_setback(&namespace, &name, setback))
}

async fn reconcile(cluster: Arc<RaftCluster>, context: Arc<Context>) -> Result<Action, Failure> {
    let started = Instant::now();
    let outcome = look_after(&cluster, &context).await;
    context.metrics.reconciled(started.elapsed());
    if let Err(failure) = &outcome
        && failure.passes().is_none()
    {
        // Who edits the cluster sees its events, and not the operator's log.
        publish(&context, &cluster, &[failed(failure)], Follows::Status).await;
    }
    outcome
}

fn failed(failure: &Failure) -> Event {
    Event {
        reason: EventReason::ReconcileFailed,
        severity: Severity::Warning,
        message: format!("{failure}; it is tried again"),
        follows: Follows::Status,
    }
}

async fn look_after(cluster: &RaftCluster, context: &Context) -> Result<Action, Failure> {
    let site = Site {
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
        uid: cluster.uid().unwrap_or_default(),
        domain: context.domain.clone(),
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        context.forget(&site.namespace, &site.name);
        return Ok(Action::await_change());
    }
    let Context { client, caches, dialer, paces, .. } = context;
    let Site { namespace, name, .. } = &site;
    let version = cluster.resource_version();
    if paces.is_replaced(namespace, name, version.as_deref()) {
        return Ok(Action::requeue(AFTER_WRITE));
    }
    let view = observe(client, caches, dialer, cluster, &site).await.map_err(Failure::Observe)?;
    let plan = plan(&cluster.spec, &view.observed);
    context.metrics.show(namespace, name, cluster.spec.replicas, &plan.status);

    if cluster.status.as_ref() != Some(&plan.status) {
        let written = write_status(client, cluster, &site, plan.status.clone()).await?;
        // What comes out the same is not written, and nothing is to be noticed.
        if written != version {
            paces.after_write(namespace, name, version);
        }
    }
    publish(context, cluster, &plan.events, Follows::Status).await;
    let Some(step) = &plan.step else {
        let seen = view.observed.fingerprint();
        return Ok(Action::requeue(paces.after_look(namespace, name, seen, plan.again)));
    };

    let hand = Hand { client, caches, cluster, site: &site, view: &view };
    let done = hand.carry_out(step).await;
    done.map_err(|error| Failure::Step(step.to_string(), error))?;
    context.metrics.stepped();
    paces.after_step(namespace, name);
    info!(namespace, name, %step, "done");
    publish(context, cluster, &plan.events, Follows::Step).await;
    Ok(Action::requeue(AFTER_STEP))
}

/// Writes the status over the one that was read, and over no other. Returns the version that came
/// of it.
async fn write_status(
    client: &Client,
    cluster: &RaftCluster,
    site: &Site,
    status: RaftClusterStatus,
) -> Result<Option<String>, Failure> {
    let api: Api<RaftCluster> = Api::namespaced(client.clone(), &site.namespace);
    let mut changed = cluster.clone();
    changed.metadata.managed_fields = None;
    changed.status = Some(status);
    let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let written = api.replace_status(&site.name, &parameters, &changed).await;
    written.map(|written| written.resource_version()).map_err(Failure::Status)
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
