//! What is known of Kubernetes without asking: of each object that is followed, the little of it
//! that is looked at.
//!
//! ```text
//!  Kubernetes ─► an object ─► its row ─► table, by namespace and cluster
//!                (dropped)       └─► if it is not what it was: a notice that names the cluster
//! ```
//!
//! An object takes 10 KB and more, a row some hundred bytes. Nothing secret is kept. What stands
//! here may be old; whoever destroys something asks again.

mod row;
mod table;

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::warn;

use crate::certificates::Outline;
use crate::crd::RaftCluster;
use crate::names::ours;
use crate::plan::observed::{BudgetSeen, ChildSeen, StatefulSetSeen};

pub use row::{ClaimRow, NodeRow, PodRow, Row, VolumeRow};
use table::Writer;
pub use table::{Stopped, Table};

/// How many objects a list has in one piece: they are in memory together.
pub const PAGE_LEN: u32 = 50;

/// Told which cluster something happened to.
pub type Notices = mpsc::UnboundedSender<ObjectRef<RaftCluster>>;

/// All that is followed.
pub struct Caches {
    /// StatefulSets of clusters.
    pub sets: Arc<Table<StatefulSetSeen>>,
    /// Pods of clusters.
    pub pods: Arc<Table<PodRow>>,
    /// Claims of clusters.
    pub claims: Arc<Table<ClaimRow>>,
    /// Services of clusters.
    pub services: Arc<Table<ChildSeen>>,
    /// Accounts of clusters.
    pub accounts: Arc<Table<ChildSeen>>,
    /// Budgets of clusters.
    pub budgets: Arc<Table<BudgetSeen>>,
    /// Secrets that we or cert-manager made for clusters.
    pub secrets: Arc<Table<Outline>>,
    /// All nodes.
    pub nodes: Arc<Table<NodeRow>>,
    /// All volumes.
    pub volumes: Arc<Table<VolumeRow>>,
}

impl Caches {
    /// Begins to follow, in one namespace or in all.
    #[must_use]
    pub fn start(client: &Client, namespace: Option<&str>, notices: &Notices) -> Caches {
        let scope = Scope { client, namespace, notices };
        Caches {
            sets: scope.follow::<StatefulSet, _>(),
            pods: scope.follow::<Pod, _>(),
            claims: scope.follow::<PersistentVolumeClaim, _>(),
            services: scope.follow::<PartialObjectMeta<Service>, _>(),
            accounts: scope.follow::<PartialObjectMeta<ServiceAccount>, _>(),
            budgets: scope.follow::<PodDisruptionBudget, _>(),
            secrets: scope.follow::<Secret, _>(),
            nodes: follow_all::<PartialObjectMeta<Node>, _>(client),
            volumes: follow_all::<PersistentVolume, _>(client),
        }
    }

    /// Waits until everything of clusters was seen once. Nodes and volumes may be out of bounds.
    ///
    /// # Errors
    ///
    /// If nobody follows any more.
    pub async fn ready(&self) -> Result<(), Stopped> {
        self.sets.ready().await?;
        self.pods.ready().await?;
        self.claims.ready().await?;
        self.services.ready().await?;
        self.accounts.ready().await?;
        self.budgets.ready().await?;
        self.secrets.ready().await
    }
}

struct Scope<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    notices: &'a Notices,
}

impl Scope<'_> {
    fn follow<K, R>(&self) -> Arc<Table<R>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
        R: Row<K>,
    {
        let api: Api<K> = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let config = watcher::Config::default().labels(&ours("cluster"));
        let notices = self.notices.clone();
        follow(api, config, table::key, move |key| {
            if let Some((namespace, cluster)) = table::cluster_of(key) {
                // If nobody listens any more, the process is about to end.
                let _is_heard = notices.send(ObjectRef::new(cluster).within(namespace));
            }
        })
    }
}

fn follow_all<K, R>(client: &Client) -> Arc<Table<R>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    R: Row<K>,
{
    let name = |object: &K| Some(object.name_any().into_boxed_str());
    follow(Api::all(client.clone()), watcher::Config::default(), name, |_| ())
}

/// Follows objects. Tells the keys of those that changed.
fn follow<K, R>(
    api: Api<K>,
    config: watcher::Config,
    key: impl Fn(&K) -> Option<Box<str>> + Send + 'static,
    tell: impl Fn(&str) + Send + 'static,
) -> Arc<Table<R>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    R: Row<K>,
{
    let (table, mut writer) = Writer::new();
    let mut changes = watcher(api, config.page_size(PAGE_LEN)).default_backoff().boxed();
    tokio::spawn(async move {
        while let Some(change) = changes.next().await {
            match change {
                Ok(event) => writer.take(event, &key, &tell),
                Err(error) => warn!(%error, kind = %K::kind(&()), "cannot be followed"),
            }
        }
    });
    table
}
