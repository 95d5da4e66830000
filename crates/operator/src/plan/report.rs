//! What people are told: the status, made anew from what is seen and what was told before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::certificate::Audience;
use super::condition;
use super::decide::Decision;
use super::id::{MemberId, Ordinal};
use super::observed::{Admission, Health, MemberSeen};
use super::operation;
use super::step::Step;
use super::view::{Identity, Loss, View, quorum};
use crate::crd::{
    CertificateTimes, ConditionType, GROUP, LeaderStatus, MemberPhase, MemberRole, MemberStatus,
    QuorumStatus, RaftClusterStatus, VersionStatus, VolumeStatus,
};

/// Makes the status.
pub(super) fn status(view: &View<'_>, decision: &Decision) -> RaftClusterStatus {
    let seen = view.seen;
    let before = &seen.cluster.status;
    let members = members(view, decision);
    let ready = members.iter().filter(|member| is_ready_voter(member)).count();
    let ready_members = count(ready);
    let known = match &view.identity {
        Identity::Known(id) => Some(id.to_string()),
        Identity::Unborn | Identity::Mixed(_) => None,
    };
    let mut status = RaftClusterStatus {
        observed_generation: seen.cluster.generation,
        replicas: count(seen.pods.len()),
        ready_members,
        ready: format!("{ready_members}/{}", view.spec.replicas),
        selector: format!("{GROUP}/cluster={}", seen.cluster.name),
        summary: None,
        cluster_id: before.cluster_id.clone().or(known),
        token: Some(seen.cluster.token()),
        leader: leader(view).or_else(|| before.leader.clone()),
        quorum: quorum_status(view).or_else(|| unheard(before.quorum.as_ref())),
        versions: versions(view),
        operation: operation::operation(view, decision),
        members,
        volumes: volumes(view),
        certificates: certificates(view),
        conditions: Vec::new(),
    };
    if view.spec.replicas == 0 {
        status.leader = None;
    }
    status.conditions = condition::conditions(view, decision, &status);
    let ready = status.conditions.iter().find(|found| found.r#type == ConditionType::Ready);
    status.summary = ready.map(|found| found.reason);
    status
}

fn is_ready_voter(member: &MemberStatus) -> bool {
    match member.role {
        MemberRole::Leader | MemberRole::Follower => {
            member.ready && member.phase == MemberPhase::Ready
        }
        MemberRole::Learner | MemberRole::Unknown => false,
    }
}

/// A count that fits: there are never more than a few.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn leader(view: &View<'_>) -> Option<LeaderStatus> {
    let told = view.told()?;
    let ordinal = told.members.get(&told.leader)?.ordinal?;
    let mut leader = LeaderStatus {
        name: view.pod_name(ordinal),
        member_id: told.leader.to_string(),
        term: told.term.to_string(),
        since: Time(view.seen.now),
    };
    if let Some(before) = &view.seen.cluster.status.leader
        && before.member_id == leader.member_id
        && before.term == leader.term
    {
        leader.since = before.since.clone();
    }
    Some(leader)
}

fn quorum_status(view: &View<'_>) -> Option<QuorumStatus> {
    view.told()?;
    let voters = view.voters().count();
    let healthy = view.voters().filter(|(_, member)| member.health.is_serving()).count();
    let required = quorum(voters);
    Some(QuorumStatus {
        required: count(required),
        healthy_voters: count(healthy),
        voters: count(voters),
        learners: count(view.learners().count()),
        summary: format!("{required}/{healthy}"),
    })
}

/// The quorum of which nothing is heard: as large as it was, and nobody known to serve.
fn unheard(before: Option<&QuorumStatus>) -> Option<QuorumStatus> {
    before.map(|before| QuorumStatus {
        healthy_voters: 0,
        summary: format!("{}/0", before.required),
        ..before.clone()
    })
}

fn versions(view: &View<'_>) -> VersionStatus {
    let before = &view.seen.cluster.status.versions;
    let target = Some(view.spec.version.clone());
    let members = view.told().into_iter().flat_map(|told| told.members.values());
    let mut running: Vec<&str> = members.filter_map(|member| member.health.version()).collect();
    running.sort_by_key(|version| {
        version.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
    });
    let (Some(lowest), Some(highest)) = (running.first(), running.last()) else {
        return VersionStatus { target, ..before.clone() };
    };
    let current =
        if lowest == highest { Some((*lowest).to_owned()) } else { before.current.clone() };
    VersionStatus {
        current: current.or_else(|| Some((*lowest).to_owned())),
        target,
        lowest: Some((*lowest).to_owned()),
    }
}

fn volumes(view: &View<'_>) -> VolumeStatus {
    let seen = view.seen.volumes.iter();
    VolumeStatus {
        desired: Some(view.spec.storage.size.0.clone()),
        actual: seen
            .filter_map(|(ordinal, volume)| Some((view.pod_name(*ordinal), volume.size.clone()?)))
            .collect(),
    }
}

fn certificates(view: &View<'_>) -> CertificateTimes {
    let of = |audience: Audience| view.seen.certificates.get(&audience);
    let leaf = |audience: Audience| {
        let own = || of(audience)?.leaf.as_ref().map(|leaf| leaf.validity);
        let issued = view.seen.issued.get(&audience).copied().flatten();
        Some(Time(issued.or_else(own)?.not_after))
    };
    let newest = view.seen.certificates.values().filter_map(|seen| seen.authorities.last());
    CertificateTimes {
        client_not_after: leaf(Audience::Client),
        peer_not_after: leaf(Audience::Peer),
        ca_not_after: newest.map(|authority| authority.not_after).min().map(Time),
    }
}

// === Members ===

/// The members, the pods that are to become some, and while nobody tells, all who were members.
fn members(view: &View<'_>, decision: &Decision) -> Vec<MemberStatus> {
    let mut ordinals: Vec<Ordinal> = view.seen.pods.keys().copied().chain(view.wanted()).collect();
    ordinals.extend(view.seats().map(|(ordinal, ..)| ordinal));
    if view.told().is_none() {
        let before = view.seen.cluster.status.members.iter();
        let members = before.filter(|member| member.member_id.is_some());
        ordinals.extend(members.map(|member| Ordinal(member.ordinal)));
    }
    ordinals.sort();
    ordinals.dedup();
    ordinals.into_iter().map(|ordinal| member(view, decision, ordinal)).collect()
}

fn member(view: &View<'_>, decision: &Decision, ordinal: Ordinal) -> MemberStatus {
    let pod = view.pod(ordinal);
    let before = view.before(ordinal);
    let mut status = MemberStatus {
        name: view.pod_name(ordinal),
        ordinal: ordinal.0,
        member_id: None,
        role: MemberRole::Unknown,
        phase: match pod.map(|pod| &pod.admission) {
            Some(Admission::Awaiting(_)) => MemberPhase::Joining,
            Some(Admission::Silent | Admission::Member { .. }) | None => MemberPhase::Pending,
        },
        ready: pod.is_some_and(|pod| pod.ready_since.is_some() && !pod.is_deleting),
        version: None,
        term: None,
        lag: None,
        node_name: pod.and_then(|pod| pod.node.clone()),
        last_seen: None,
    };
    match (view.seat(ordinal), before) {
        (Some((id, member)), before) => seated(view, decision, &mut status, (id, member), before),
        (None, Some(before)) if view.told().is_none() && before.member_id.is_some() => {
            // It is still a member, as far as anybody knows; what it was is kept.
            status.member_id.clone_from(&before.member_id);
            status.version.clone_from(&before.version);
            status.term.clone_from(&before.term);
            status.phase = MemberPhase::Unhealthy;
            status.ready = false;
            status.last_seen = before.last_seen.clone().or(Some(Time(view.seen.now)));
        }
        (None, Some(_) | None) => {
            if view.spec.replicas <= ordinal.0 {
                status.phase = MemberPhase::Leaving;
            }
        }
    }
    status
}

/// Fills in what the leader tells of a member.
fn seated(
    view: &View<'_>,
    decision: &Decision,
    status: &mut MemberStatus,
    (id, member): (MemberId, &MemberSeen),
    before: Option<&MemberStatus>,
) {
    let ordinal = Ordinal(status.ordinal);
    let told = view.told();
    let before = before.filter(|before| before.member_id == Some(id.to_string()));
    status.member_id = Some(id.to_string());
    status.role = match told {
        Some(told) if told.leader == id => MemberRole::Leader,
        Some(_) | None if member.is_learner => MemberRole::Learner,
        Some(_) | None => MemberRole::Follower,
    };
    match &member.health {
        Health::Serving { lag_entries, version } => {
            status.version = Some(version.clone());
            status.term = told.map(|told| told.term.to_string());
            status.lag = Some(shown_lag(view, *lag_entries));
            status.phase =
                if member.is_learner { MemberPhase::Syncing } else { MemberPhase::Ready };
        }
        Health::Silent => {
            status.version = before.and_then(|before| before.version.clone());
            status.term = before.and_then(|before| before.term.clone());
            status.phase =
                if member.has_started { MemberPhase::Unhealthy } else { MemberPhase::Joining };
            if member.has_started {
                let last = before.and_then(|before| before.last_seen.clone());
                status.last_seen = last.or(Some(Time(view.seen.now)));
            }
        }
    }
    let goes = matches!(&decision.step, Some(Step::RemoveMember(at, _)) if *at == ordinal);
    if view.spec.replicas <= ordinal.0 && view.spec.replicas != 0 {
        status.phase = MemberPhase::Leaving;
    } else if goes || view.loss(ordinal) == Some(Loss::Gone) && member.has_started {
        status.phase = MemberPhase::Replacing;
    }
}

/// How many entries a member lacks, so that the status does not change with every write: none if
/// it counts as having caught up, else the power of two below.
fn shown_lag(view: &View<'_>, lag_entries: u64) -> u32 {
    if lag_entries <= u64::from(view.spec.update.max_learner_lag_entries) {
        return 0;
    }
    let power = lag_entries.checked_ilog2().unwrap_or(0).min(31);
    1 << power
}
