//! A member without data that was added to a cluster.

use super::BootstrapError;
use super::founding::{check_duplicates, own_urls};
use super::peer_urls::{Resolve, same_urls};
use crate::config::{Config, Url};

/// A cluster as one of its members tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCluster {
    /// Its ID.
    pub cluster_id: u64,
    /// Its members.
    pub members: Vec<RemoteMember>,
}

/// One member of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMember {
    /// Its ID.
    pub id: u64,
    /// Its name; empty if it has never started.
    pub name: String,
    /// Where others reach it, as texts: somebody else's member may have been given anything.
    pub peer_urls: Vec<String>,
    /// Whether it is a learner.
    pub is_learner: bool,
}

/// Under which IDs a member joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// This member's ID, which the cluster has given it.
    pub member_id: u64,
}

/// Finds this member in the cluster, which must have exactly the members that the initial cluster
/// names: otherwise one of the two lists is of another time or another cluster.
///
/// # Errors
///
/// If the lists differ, or either is wrong in itself.
pub fn admission(
    config: &Config,
    remote: &RemoteCluster,
    resolve: Resolve<'_>,
) -> Result<Admission, BootstrapError> {
    let initial = &config.cluster.initial;
    own_urls(initial, &config.name)?;
    check_duplicates(initial)?;
    let (local, members) = (initial.members_len(), remote.members.len());
    if local != members {
        return Err(BootstrapError::CountUnequal { local, remote: members });
    }
    let mut own = None;
    let mut unmatched: Vec<(&str, &[Url])> = initial.members().collect();
    for member in &remote.members {
        let urls = parsed(&member.peer_urls);
        let at = urls
            .and_then(|urls| {
                unmatched.iter().position(|(_, others)| same_urls(&urls, others, resolve))
            })
            .ok_or_else(|| BootstrapError::MemberUnmatched {
                member: member.id,
                urls: member.peer_urls.join(","),
                initial: initial.to_string(),
            })?;
        let (name, _) = unmatched.swap_remove(at);
        if name == config.name {
            own = Some(member.id);
        }
    }
    let learners = remote.members.iter().filter(|member| member.is_learner).count();
    let learners_max = config.cluster.learners_max;
    if learners_max < learners {
        return Err(BootstrapError::TooManyLearners { learners, learners_max });
    }
    let member_id = own.expect("as many members were matched as the initial cluster has");
    Ok(Admission { cluster_id: remote.cluster_id, member_id })
}

/// Finds the member of the cluster that is at these addresses: how one that joins learns whether it
/// has been added, and as whom.
pub fn find_by_peer_urls<'a>(
    remote: &'a RemoteCluster,
    peer_urls: &[Url],
    resolve: Resolve<'_>,
) -> Option<&'a RemoteMember> {
    remote.members.iter().find(|member| {
        parsed(&member.peer_urls).is_some_and(|urls| same_urls(&urls, peer_urls, resolve))
    })
}

/// The texts as addresses; `None` if one is none.
fn parsed(urls: &[String]) -> Option<Vec<Url>> {
    urls.iter().map(|url| Url::parse(url).ok()).collect()
}
