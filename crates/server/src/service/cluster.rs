//! Who belongs to the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::cluster_server::Cluster;
use raft::MemberId;
use raft::membership::Change;
use replica::Published;
use sha1::{Digest, Sha1};
use store::{Command, MemberAttributes, MembershipContext};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::Limits;
use super::call::Method;
use super::door::{Door, Learner};
use crate::config::Url;
use crate::metrics::Metrics;
use crate::status::{Refusal, refused};

const NAME: &str = "etcdserverpb.Cluster";

/// Changes who belongs to the cluster.
#[derive(Clone, Debug)]
pub struct ClusterService {
    door: Door,
    limits: Limits,
    methods: Methods,
}

impl ClusterService {
    /// Makes the service.
    #[must_use]
    pub fn new(door: Door, limits: Limits, metrics: &Arc<Metrics>) -> ClusterService {
        ClusterService { door, limits, methods: Methods::new(metrics) }
    }

    async fn add(
        &self,
        request: Request<api::MemberAddRequest>,
    ) -> Result<api::MemberAddResponse, Status> {
        let before = self.enter(request.metadata()).await?;
        let api::MemberAddRequest { peer_ur_ls, is_learner } = request.into_inner();
        let peer_urls = parse_urls(&peer_ur_ls)?;
        if !is_learner && self.limits.strict_reconfiguration {
            has_enough_started(Step::AddVoter, &before)?;
        }
        let member = member_id(&peer_urls, SystemTime::now());
        let attributes = MemberAttributes {
            peer_urls,
            becomes_voter: !is_learner,
            ..MemberAttributes::default()
        };
        let change = Change::AddLearner(MemberId(member));
        let added = MembershipContext::Added { member, attributes: attributes.clone() };
        let after = self.change(change, added).await?;
        Ok(api::MemberAddResponse {
            header: Some(self.door.header_without_revision(&after).message()),
            member: Some(message(member, &attributes, is_learner)),
            members: messages(&after),
        })
    }

    async fn remove(
        &self,
        request: Request<api::MemberRemoveRequest>,
    ) -> Result<api::MemberRemoveResponse, Status> {
        let before = self.enter(request.metadata()).await?;
        let member = request.into_inner().id;
        let id = MemberId(member);
        if !before.membership.learners().contains(&id) && self.limits.strict_reconfiguration {
            has_enough_started(Step::RemoveVoter(member), &before)?;
        }
        let removed = MembershipContext::Removed { member };
        let after = self.change(Change::Remove(id), removed).await?;
        let header = Some(self.door.header_without_revision(&after).message());
        Ok(api::MemberRemoveResponse { header, members: messages(&after) })
    }

    async fn update(
        &self,
        request: Request<api::MemberUpdateRequest>,
    ) -> Result<api::MemberUpdateResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let api::MemberUpdateRequest { id: member, peer_ur_ls } = request.into_inner();
        let peer_urls = parse_urls(&peer_ur_ls)?;
        let command = Command::MemberUpdate { member, peer_urls };
        let done = self.door.handle().propose(command).await.map_err(refused)?;
        done.applied.result.map_err(refused)?;
        let after = self.door.handle().published();
        let header = Some(self.door.header_without_revision(&after).message());
        Ok(api::MemberUpdateResponse { header, members: messages(&after) })
    }

    async fn list(
        &self,
        request: Request<api::MemberListRequest>,
    ) -> Result<api::MemberListResponse, Status> {
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let published = if request.get_ref().linearizable {
            self.door.handle().read_index().await.map_err(refused)?
        } else {
            published
        };
        let header = Some(self.door.header_without_revision(&published).message());
        Ok(api::MemberListResponse { header, members: messages(&published) })
    }

    async fn promote(
        &self,
        request: Request<api::MemberPromoteRequest>,
    ) -> Result<api::MemberPromoteResponse, Status> {
        let before = self.enter(request.metadata()).await?;
        let member = request.into_inner().id;
        let id = MemberId(member);
        if before.becomes_voter(member) {
            return Err(Refusal::MemberNotLearner.into());
        }
        if before.is_learner(member) && self.limits.strict_reconfiguration {
            has_enough_started(Step::Promote, &before)?;
        }
        let promoted = MembershipContext::Promoted { member };
        let after = self.change(Change::Promote(id), promoted).await?;
        let header = Some(self.door.header_without_revision(&after).message());
        Ok(api::MemberPromoteResponse { header, members: messages(&after) })
    }

    /// Lets a change in, and returns the members as of now, everywhere.
    async fn enter(&self, metadata: &MetadataMap) -> Result<Arc<Published>, Status> {
        self.door.enter(metadata, Learner::Refuses).await?;
        self.door.handle().read_index().await.map_err(refused)
    }

    async fn change(
        &self,
        change: Change,
        context: MembershipContext,
    ) -> Result<Arc<Published>, Status> {
        let handle = self.door.handle();
        handle.change_membership(vec![change], context).await.map_err(refused)?.map_err(refused)?;
        Ok(handle.published())
    }
}

/// A change to the voters.
#[derive(Clone, Copy, Debug)]
enum Step {
    AddVoter,
    Promote,
    RemoveVoter(u64),
}

/// Refuses a change after which those voters that have ever started would be no majority. As in
/// etcd, one counts from the moment that it was added as a voter.
fn has_enough_started(step: Step, published: &Published) -> Result<(), Status> {
    let stays = |id: u64| match step {
        Step::AddVoter | Step::Promote => true,
        Step::RemoveVoter(removed) => id != removed,
    };
    let members = published.members.iter();
    let voters: Vec<&MemberAttributes> = members
        .filter(|(id, _)| stays(**id) && !published.is_learner(**id))
        .map(|(_, attributes)| attributes)
        .collect();
    let started_len = voters.iter().filter(|voter| !voter.name.is_empty()).count();
    if would_be_enough(step, started_len, voters.len()) {
        Ok(())
    } else {
        Err(Refusal::NotEnoughStarted.into())
    }
}

/// Tells whether those that have started of the voters that stay would be a majority.
fn would_be_enough(step: Step, started_len: usize, voters_len: usize) -> bool {
    let (started_len, voters_len) = match step {
        // One voter that is alone may have another beside it, who brings the quorum to two.
        Step::AddVoter if started_len == 1 && voters_len == 1 => return true,
        Step::AddVoter => (started_len, voters_len + 1),
        // The learner has caught up, so it has started.
        Step::Promote => (started_len + 1, voters_len + 1),
        Step::RemoveVoter(_) => (started_len, voters_len),
    };
    voters_len / 2 < started_len
}

/// Reads peer URLs, and returns them sorted.
fn parse_urls(texts: &[String]) -> Result<Vec<String>, Status> {
    let urls = texts.iter().map(|text| Url::parse(text)).collect::<Result<Vec<_>, _>>();
    let mut urls: Vec<String> = match urls {
        Ok(urls) => urls.iter().map(|url| url.as_str().to_owned()).collect(),
        Err(_) => return Err(Refusal::BadMemberUrls.into()),
    };
    if urls.is_empty() {
        return Err(Refusal::BadMemberUrls.into());
    }
    urls.sort();
    Ok(urls)
}

/// Returns the ID of a member that is added now: the beginning of the SHA-1 of its sorted URLs and
/// the second.
fn member_id(peer_urls: &[String], now: SystemTime) -> u64 {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut hash = Sha1::new();
    for url in peer_urls {
        hash.update(url);
    }
    hash.update(seconds.to_string());
    let head = hash.finalize().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte));
    // Zero means nobody.
    head.max(1)
}

fn message(id: u64, attributes: &MemberAttributes, is_learner: bool) -> api::Member {
    api::Member {
        id,
        name: attributes.name.clone(),
        peer_ur_ls: attributes.peer_urls.clone(),
        client_ur_ls: attributes.client_urls.clone(),
        is_learner,
    }
}

/// Returns all members, by ID.
fn messages(published: &Published) -> Vec<api::Member> {
    let members: &BTreeMap<u64, MemberAttributes> = &published.members;
    members
        .iter()
        .map(|(id, attributes)| message(*id, attributes, published.is_learner(*id)))
        .collect()
}

#[derive(Clone, Debug)]
struct Methods {
    add: Method,
    remove: Method,
    update: Method,
    list: Method,
    promote: Method,
}

impl Methods {
    fn new(metrics: &Arc<Metrics>) -> Methods {
        let method = |name| Method::new(metrics, NAME, name);
        Methods {
            add: method("MemberAdd"),
            remove: method("MemberRemove"),
            update: method("MemberUpdate"),
            list: method("MemberList"),
            promote: method("MemberPromote"),
        }
    }
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_add(
        &self,
        request: Request<api::MemberAddRequest>,
    ) -> Result<Response<api::MemberAddResponse>, Status> {
        self.methods.add.answer(self.add(request)).await
    }

    async fn member_remove(
        &self,
        request: Request<api::MemberRemoveRequest>,
    ) -> Result<Response<api::MemberRemoveResponse>, Status> {
        self.methods.remove.answer(self.remove(request)).await
    }

    async fn member_update(
        &self,
        request: Request<api::MemberUpdateRequest>,
    ) -> Result<Response<api::MemberUpdateResponse>, Status> {
        self.methods.update.answer(self.update(request)).await
    }

    async fn member_list(
        &self,
        request: Request<api::MemberListRequest>,
    ) -> Result<Response<api::MemberListResponse>, Status> {
        self.methods.list.answer(self.list(request)).await
    }

    async fn member_promote(
        &self,
        request: Request<api::MemberPromoteRequest>,
    ) -> Result<Response<api::MemberPromoteResponse>, Status> {
        self.methods.promote.answer(self.promote(request)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_started_must_be_a_majority_afterwards() {
        let remove = Step::RemoveVoter(9);
        for (step, started_len, voters_len, expected) in [
            (Step::AddVoter, 1, 1, true),
            (Step::AddVoter, 1, 2, false),
            (Step::AddVoter, 2, 2, true),
            (Step::AddVoter, 2, 3, false),
            (Step::AddVoter, 3, 3, true),
            (Step::AddVoter, 3, 4, true),
            (Step::AddVoter, 0, 1, false),
            (Step::Promote, 1, 1, true),
            (Step::Promote, 1, 2, true),
            (Step::Promote, 1, 3, false),
            (Step::Promote, 2, 4, true),
            (remove, 0, 0, false),
            (remove, 1, 1, true),
            (remove, 1, 2, false),
            (remove, 2, 3, true),
        ] {
            let is_enough = would_be_enough(step, started_len, voters_len);
            assert_eq!(is_enough, expected, "{step:?} with {started_len} of {voters_len}");
        }
    }

    #[test]
    fn id_of_a_member_is_that_which_etcd_computes() {
        let now = UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let urls = ["http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned()];
        assert_eq!(member_id(&urls, now), 0x304834c10eb9277d);
    }
}
