//! Doing: one step.
//!
//! What is made is applied by the server, under one name, so that doing it twice changes nothing.
//! What is destroyed is read again first, uncached, and named by UID and version.

use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cache::{Caches, ClaimRow, Row as _};
use crate::certificates::{self, Secrets};
use crate::children;
use crate::crd::RaftCluster;
use crate::members::Member;
use crate::names::{MANAGER, Site, ours, source};
use crate::observe::{View, certificate_api, own_secrets};
use crate::plan::Step;
use crate::plan::certificate::{Audience, CertificateStep};
use crate::plan::id::{MemberId, Ordinal, Uid};
use crate::plan::observed::Mark;
use crate::plan::step::Child;

/// One who does steps for a cluster.
pub struct Hand<'a> {
    /// Talks to Kubernetes.
    pub client: &'a Client,
    /// What is followed.
    pub caches: &'a Caches,
    /// What people ask for.
    pub cluster: &'a RaftCluster,
    /// Where it is.
    pub site: &'a Site,
    /// What was seen.
    pub view: &'a View,
}

impl Hand<'_> {
    /// Does a step.
    ///
    /// # Errors
    ///
    /// If it is refused, or nobody answers. Whether it was done is then seen at the next look.
    pub async fn carry_out(&self, step: &Step) -> Result<()> {
        match step {
            Step::ApplyChild(child) => self.apply_child(*child).await,
            Step::DeleteChild(child, uid) => self.delete_child(*child, uid).await,
            Step::ApplyBudget { available_min } => {
                let budget = children::budget(self.site, *available_min);
                self.apply::<PodDisruptionBudget>(&budget).await
            }
            Step::DeleteBudget(uid) => {
                self.delete::<PodDisruptionBudget>(&self.site.name, uid).await
            }
            Step::Certificate(step) => self.certificate(*step).await,
            Step::ApplyStatefulSet { replicas } => {
                let mut set = self.view.wanted_pods.clone();
                children::sign(&mut set, &self.view.observed.wanted_pods);
                set["spec"]["replicas"] = json!(replicas);
                self.apply::<StatefulSet>(&set).await
            }
            Step::MarkVolume { ordinal, uid, cluster_id, member_id, is_owned } => {
                let mark =
                    Mark { cluster_id: *cluster_id, member_id: *member_id, is_owned: *is_owned };
                self.mark_volume(*ordinal, uid, &mark).await
            }
            Step::Form { ordinal, pod, token } => self.form(*ordinal, pod, token).await,
            Step::AddLearner(ordinal) => self.any()?.add_learner(self.peer_url(*ordinal)).await,
            Step::Promote(_, id) => self.any()?.promote(*id).await,
            Step::RemoveMember(ordinal, id) => self.remove_member(*ordinal, *id).await,
            Step::TransferLeadership { from, heir, .. } => {
                self.member(*from)?.transfer(*heir).await
            }
            Step::DeletePod(ordinal, uid) => {
                self.delete::<Pod>(&ordinal.pod_name(&self.site.name), uid).await
            }
            Step::DeleteVolume(ordinal, uid) => self.delete_volume(*ordinal, uid).await,
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.site.namespace)
    }

    async fn apply<K>(&self, object: &Value) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let parameters = PatchParams::apply(MANAGER).force();
        self.api::<K>().patch(name, &parameters, &Patch::Apply(object)).await?;
        Ok(())
    }

    async fn delete<K>(&self, name: &str, uid: &Uid) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let Some(found) = self.api::<K>().get_metadata_opt(name).await? else { return Ok(()) };
        if found.metadata.uid.as_deref() != Some(&uid.0)
            || found.metadata.deletion_timestamp.is_some()
        {
            return Ok(());
        }
        let parameters = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.0.clone()),
            resource_version: found.metadata.resource_version,
        });
        match self.api::<K>().delete(name, &parameters).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn apply_child(&self, child: Child) -> Result<()> {
        let mut object = self.view.wanted.get(&child).context("nobody wants it")?.clone();
        let digest = self.view.observed.wanted.get(&child).context("nobody wants it")?;
        children::sign(&mut object, digest);
        match child {
            Child::ServiceAccount => self.apply::<ServiceAccount>(&object).await,
            Child::PeerService | Child::ClientService => self.apply::<Service>(&object).await,
            Child::ClientCertificate | Child::PeerCertificate => {
                let name = children::child_name(self.site, child);
                let parameters = PatchParams::apply(MANAGER).force();
                let api = certificate_api(self.client, self.site);
                api.patch(&name, &parameters, &Patch::Apply(&object)).await?;
                Ok(())
            }
        }
    }

    async fn delete_child(&self, child: Child, uid: &Uid) -> Result<()> {
        let name = children::child_name(self.site, child);
        match child {
            Child::ServiceAccount => self.delete::<ServiceAccount>(&name, uid).await,
            Child::PeerService | Child::ClientService => self.delete::<Service>(&name, uid).await,
            Child::ClientCertificate | Child::PeerCertificate => {
                let parameters = DeleteParams::background().preconditions(Preconditions {
                    uid: Some(uid.0.clone()),
                    resource_version: None,
                });
                certificate_api(self.client, self.site).delete(&name, &parameters).await?;
                Ok(())
            }
        }
    }

    async fn certificate(&self, step: CertificateStep) -> Result<()> {
        let (CertificateStep::AddAuthority(audience)
        | CertificateStep::IssueLeaf(audience)
        | CertificateStep::ShareBundle(audience)
        | CertificateStep::RetireAuthorities(audience)) = step;
        // A key that was made just now must not be lost to an old look.
        let read = async |name: String| self.api::<Secret>().get_opt(&name).await;
        let authority = read(self.site.authority_secret(audience)).await?;
        let leaf = read(self.site.leaf_secret(audience)).await?;
        let (known, _) = own_secrets(self.caches, self.site, audience);
        ensure!(
            authority.as_ref().and_then(Secret::resource_version)
                == known.map(|known| known.version),
            "the authority was changed meanwhile: it is looked at again"
        );
        let secrets = Secrets { authority: authority.as_ref(), leaf: leaf.as_ref() };
        let made = certificates::make(self.site, step, secrets, SystemTime::now())?;
        self.apply::<Secret>(&made).await
    }

    async fn mark_volume(&self, ordinal: Ordinal, uid: &Uid, mark: &Mark) -> Result<()> {
        let name = self.site.claim(ordinal);
        let api = self.api::<PersistentVolumeClaim>();
        let Some(found) = api.get_metadata_opt(&name).await? else { return Ok(()) };
        if found.metadata.uid.as_deref() != Some(&uid.0) {
            return Ok(());
        }
        let mut owners: Vec<Value> = found
            .owner_references()
            .iter()
            .filter(|owner| owner.kind != "RaftCluster")
            .map(|owner| json!(owner))
            .collect();
        if mark.is_owned {
            let mut owner = children::owner(self.site);
            owner["controller"] = json!(false);
            owners.push(owner);
        }
        let patch = json!({"metadata": {
            "uid": uid.0,
            "resourceVersion": found.metadata.resource_version,
            "ownerReferences": owners,
            "annotations": {
                ours("cluster-id"): mark.cluster_id.map(|id| id.to_string()),
                ours("member-id"): mark.member_id.map(|id| id.to_string()),
            },
        }});
        let parameters =
            PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        api.patch_metadata(&name, &parameters, &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// The only thing that may never be done twice: everything that would say so is read again.
    async fn form(&self, ordinal: Ordinal, pod: &Uid, token: &str) -> Result<()> {
        let site = self.site;
        let now = self.api::<RaftCluster>().get(&site.name).await?;
        ensure!(now.uid().as_deref() == Some(&site.uid), "the RaftCluster is another one now");
        let latched = now.status.and_then(|status| status.cluster_id);
        ensure!(latched.is_none(), "the status names a cluster already");
        let selector = ListParams::default().labels(&format!("{}={}", ours("cluster"), site.name));
        let claims = self.api::<PersistentVolumeClaim>().list(&selector).await?;
        let is_marked = |claim: &&PersistentVolumeClaim| {
            ClaimRow::of(claim).is_some_and(|row| row.cluster_id.is_some())
        };
        let marked = claims.iter().find(is_marked);
        if let Some(claim) = marked {
            bail!("{} is marked as part of a cluster already", claim.name_any());
        }
        let name = ordinal.pod_name(&site.name);
        let found = self.api::<Pod>().get_metadata(&name).await?;
        ensure!(found.metadata.uid.as_deref() == Some(&pod.0), "pod {name} is another one now");
        let url = self.peer_url(ordinal);
        self.member(ordinal)?.form(token.to_owned(), name, url).await
    }

    async fn remove_member(&self, ordinal: Ordinal, id: MemberId) -> Result<()> {
        let member = self.any()?;
        let list = member.list().await?;
        let Some(found) = list.members.iter().find(|member| member.id == id.0) else {
            return Ok(());
        };
        let is_there =
            found.peer_ur_ls.iter().any(|url| self.site.ordinal_of(url) == Some(ordinal));
        ensure!(is_there, "member {id} is not at {}", ordinal.pod_name(&self.site.name));
        member.remove(id).await
    }

    /// A volume goes only when a leader confirms that whoever it belonged to is no member.
    async fn delete_volume(&self, ordinal: Ordinal, uid: &Uid) -> Result<()> {
        let name = self.site.claim(ordinal);
        let api = self.api::<PersistentVolumeClaim>();
        let Some(found) = api.get_opt(&name).await? else { return Ok(()) };
        let list = self.any()?.list().await?;
        if let Some(id) = ClaimRow::of(&found).and_then(|row| row.member_id)
            && list.members.iter().any(|member| member.id == id.0)
        {
            bail!("{name} belongs to member {id}, which is in the cluster");
        }
        self.delete::<PersistentVolumeClaim>(&name, uid).await
    }

    fn peer_url(&self, ordinal: Ordinal) -> String {
        self.site.peer_url(ordinal, source(self.cluster, Audience::Peer))
    }

    fn member(&self, ordinal: Ordinal) -> Result<&Member> {
        let found = self.view.members.get(&ordinal);
        found.ok_or_else(|| anyhow!("{} does not answer", ordinal.pod_name(&self.site.name)))
    }

    /// The leader, or whoever else can forward.
    fn any(&self) -> Result<&Member> {
        let told = self.view.observed.told.as_ref().context("no leader answers")?;
        let leader = told.members.get(&told.leader).and_then(|member| member.ordinal);
        leader
            .and_then(|leader| self.view.members.get(&leader))
            .or_else(|| {
                let voters = told.members.values().filter(|member| !member.is_learner);
                let mut places = voters.filter_map(|member| member.ordinal);
                places.find_map(|ordinal| self.view.members.get(&ordinal))
            })
            .context("no member answers")
    }
}
