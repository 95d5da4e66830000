//! What is known of Kubernetes without asking: objects that are followed.
//!
//! Services, accounts and nodes are followed by their metadata alone. What stands here may be old;
//! whoever destroys something asks again.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::warn;

use crate::crd::RaftCluster;
use crate::names::{Site, ours};

/// Told which cluster something happened to.
pub type Notices = mpsc::UnboundedSender<ObjectRef<RaftCluster>>;

/// All that is followed.
pub struct Caches {
    /// StatefulSets of clusters.
    pub sets: Store<StatefulSet>,
    /// Pods of clusters.
    pub pods: Store<Pod>,
    /// Claims of clusters.
    pub claims: Store<PersistentVolumeClaim>,
    /// Services of clusters.
    pub services: Store<PartialObjectMeta<Service>>,
    /// Accounts of clusters.
    pub accounts: Store<PartialObjectMeta<ServiceAccount>>,
    /// Budgets of clusters.
    pub budgets: Store<PodDisruptionBudget>,
    /// Secrets that we or cert-manager made for clusters.
    pub secrets: Store<Secret>,
    /// All nodes.
    pub nodes: Store<PartialObjectMeta<Node>>,
    /// All volumes.
    pub volumes: Store<PersistentVolume>,
}

impl Caches {
    /// Begins to follow, in one namespace or in all.
    #[must_use]
    pub fn start(client: &Client, namespace: Option<&str>, notices: &Notices) -> Caches {
        let scope = Scope { client, namespace, notices };
        Caches {
            sets: scope.follow(),
            pods: scope.follow(),
            claims: scope.follow(),
            services: scope.follow(),
            accounts: scope.follow(),
            budgets: scope.follow(),
            secrets: scope.follow(),
            nodes: follow_all(Api::all(client.clone())),
            volumes: follow_all(Api::all(client.clone())),
        }
    }

    /// Waits until everything of clusters was seen once. Nodes and volumes may be out of bounds.
    ///
    /// # Errors
    ///
    /// If nobody follows any more.
    pub async fn ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.sets.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.claims.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.budgets.wait_until_ready().await?;
        self.secrets.wait_until_ready().await
    }
}

/// Whether something was seen of objects that may be out of bounds.
#[must_use]
pub fn is_known<K>(store: &Store<K>) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    !store.is_empty()
}

/// One object.
#[must_use]
pub fn get<K>(store: &Store<K>, site: &Site, name: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(&site.namespace))
}

/// All objects of a cluster.
#[must_use]
pub fn of_cluster<K>(store: &Store<K>, site: &Site) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let is_ours = |object: &Arc<K>| {
        object.namespace().as_ref() == Some(&site.namespace)
            && object.labels().get(&ours("cluster")) == Some(&site.name)
    };
    store.state().into_iter().filter(is_ours).collect()
}

struct Scope<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    notices: &'a Notices,
}

impl Scope<'_> {
    fn follow<K>(&self) -> Store<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let api: Api<K> = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let config = watcher::Config::default().labels(&ours("cluster"));
        let (store, writer) = reflector::store();
        let changes = watcher(api, config).default_backoff().modify(slim);
        let notices = self.notices.clone();
        tokio::spawn(async move {
            let mut changes = changes.reflect(writer).touched_objects().boxed();
            while let Some(change) = changes.next().await {
                match change {
                    Ok(object) => notify(&notices, &object),
                    Err(error) => warn!(%error, kind = %K::kind(&()), "cannot be followed"),
                }
            }
        });
        store
    }
}

fn follow_all<K>(api: Api<K>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changes = watcher(api, watcher::Config::default()).default_backoff().modify(slim);
    tokio::spawn(async move {
        let mut changes = changes.reflect(writer).touched_objects().boxed();
        while let Some(change) = changes.next().await {
            if let Err(error) = change {
                warn!(%error, kind = %K::kind(&()), "cannot be followed");
            }
        }
    });
    store
}

/// Drops what only fills memory.
fn slim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn notify<K: Resource>(notices: &Notices, object: &K) {
    let (Some(namespace), Some(cluster)) =
        (object.namespace(), object.labels().get(&ours("cluster")))
    else {
        return;
    };
    // If nobody listens any more, the process is about to end.
    let _is_heard = notices.send(ObjectRef::new(cluster).within(&namespace));
}
