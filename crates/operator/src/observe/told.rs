//! Asking members who is in the cluster, who leads, and how far each is.

use std::collections::BTreeMap;

use etcd_api::etcdserverpb::{MemberListResponse, StatusResponse};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::members::Member;
use crate::names::Site;
use crate::plan::id::{ClusterId, MemberId, Ordinal};
use crate::plan::observed::{Health, MemberSeen, Told};

/// Asks all at once. The first list that a leader confirmed is taken.
pub(super) async fn ask(
    site: &Site,
    members: &BTreeMap<Ordinal, Member>,
    versions: &BTreeMap<Ordinal, String>,
) -> Option<Told> {
    let lists = async {
        let mut lists: FuturesUnordered<_> = members.values().map(Member::list).collect();
        while let Some(list) = lists.next().await {
            match list {
                Ok(list) => return Some(list),
                Err(error) => tracing::debug!(error = format!("{error:#}"), "no list of members"),
            }
        }
        None
    };
    let statuses = join_all(
        members.iter().map(|(ordinal, member)| async move { (*ordinal, member.status().await) }),
    );
    let (list, statuses) = tokio::join!(lists, statuses);
    let statuses = statuses
        .into_iter()
        .filter_map(|(ordinal, status)| Some((ordinal, status.ok()?)))
        .collect();
    told(site, &list?, &statuses, versions)
}

fn told(
    site: &Site,
    list: &MemberListResponse,
    statuses: &BTreeMap<Ordinal, StatusResponse>,
    versions: &BTreeMap<Ordinal, String>,
) -> Option<Told> {
    let cluster_id = list.header.as_ref()?.cluster_id;
    let id_of = |status: &StatusResponse| status.header.as_ref().map(|header| header.member_id);
    // Who was left behind may believe in an earlier leader.
    let led = statuses.values().filter(|status| status.leader != 0);
    let newest = led.max_by_key(|status| (status.raft_term, status.raft_index))?;
    let (leader, term) = (newest.leader, newest.raft_term);
    let leading = statuses.values().find(|status| id_of(status) == Some(leader));
    let end = leading.unwrap_or(newest).raft_index;
    let members: BTreeMap<MemberId, MemberSeen> = list
        .members
        .iter()
        .map(|member| {
            let ordinal = member.peer_ur_ls.iter().find_map(|url| site.ordinal_of(url));
            let status = statuses.values().find(|status| id_of(status) == Some(member.id));
            let follows = status.filter(|status| status.leader == leader);
            let health = match follows {
                Some(status) => Health::Serving {
                    lag_entries: end.saturating_sub(status.raft_applied_index),
                    version: ordinal
                        .and_then(|ordinal| versions.get(&ordinal).cloned())
                        .unwrap_or_else(|| status.version.clone()),
                },
                None => Health::Silent,
            };
            let seen = MemberSeen {
                ordinal,
                has_started: !member.name.is_empty(),
                is_learner: member.is_learner,
                health,
            };
            (MemberId(member.id), seen)
        })
        .collect();
    let leader = MemberId(leader);
    members.contains_key(&leader).then_some(Told {
        cluster_id: ClusterId(cluster_id),
        leader,
        term,
        members,
    })
}
