//! What is seen, as the questions that a decision asks.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::id::{ClusterId, MemberId, Ordinal};
use super::observed::{Admission, Home, MemberSeen, Observed, PodSeen, Told, VolumeSeen};
use crate::crd::{MemberStatus, RaftClusterSpec};

/// What is seen, with what is asked for.
pub(super) struct View<'a> {
    pub(super) spec: &'a RaftClusterSpec,
    pub(super) seen: &'a Observed,
    pub(super) identity: Identity,
    seats: BTreeMap<Ordinal, (MemberId, &'a MemberSeen)>,
}

/// Which cluster this is, by everything that tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing tells: there has never been any.
    Unborn,
    /// All that tells says the same.
    Known(ClusterId),
    /// Two things tell differently.
    Mixed(BTreeSet<ClusterId>),
}

/// Why a member's data will not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It is gone already.
    Gone,
    /// Its volume is being deleted, and goes with the pod that still uses it.
    Doomed,
}

/// How many of `voters` must agree.
pub(super) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl<'a> View<'a> {
    pub(super) fn new(spec: &'a RaftClusterSpec, seen: &'a Observed) -> View<'a> {
        let members = seen.told.iter().flat_map(|told| &told.members);
        let mut seats = BTreeMap::new();
        for (id, member) in members {
            if let Some(ordinal) = member.ordinal {
                // Whoever votes is more of a member than who learns.
                let is_better = |taken: &(MemberId, &MemberSeen)| taken.1.is_learner;
                if seats.get(&ordinal).is_none_or(is_better) {
                    seats.insert(ordinal, (*id, member));
                }
            }
        }
        View { spec, seen, identity: identity(seen), seats }
    }

    pub(super) fn told(&self) -> Option<&'a Told> {
        self.seen.told.as_ref()
    }

    /// The member at each place.
    pub(super) fn seats(
        &self,
    ) -> impl DoubleEndedIterator<Item = (Ordinal, MemberId, &'a MemberSeen)> {
        self.seats.iter().map(|(ordinal, (id, member))| (*ordinal, *id, *member))
    }

    /// The member at one place.
    pub(super) fn seat(&self, ordinal: Ordinal) -> Option<(MemberId, &'a MemberSeen)> {
        self.seats.get(&ordinal).copied()
    }

    pub(super) fn pod(&self, ordinal: Ordinal) -> Option<&'a PodSeen> {
        self.seen.pods.get(&ordinal)
    }

    pub(super) fn volume(&self, ordinal: Ordinal) -> Option<&'a VolumeSeen> {
        self.seen.volumes.get(&ordinal)
    }

    pub(super) fn pod_name(&self, ordinal: Ordinal) -> String {
        ordinal.pod_name(&self.seen.cluster.name)
    }

    /// The places that are asked for.
    pub(super) fn wanted(&self) -> impl DoubleEndedIterator<Item = Ordinal> + use<> {
        (0..self.spec.replicas).map(Ordinal)
    }

    /// All voters, wherever they are.
    pub(super) fn voters(&self) -> impl Iterator<Item = (MemberId, &'a MemberSeen)> {
        let members = self.seen.told.iter().flat_map(|told| &told.members);
        members.filter(|(_, member)| !member.is_learner).map(|(id, member)| (*id, member))
    }

    pub(super) fn learners(&self) -> impl Iterator<Item = (MemberId, &'a MemberSeen)> {
        let members = self.seen.told.iter().flat_map(|told| &told.members);
        members.filter(|(_, member)| member.is_learner).map(|(id, member)| (*id, member))
    }

    /// Whether a member lacks no more than what counts as nothing.
    pub(super) fn is_caught_up(&self, member: &MemberSeen) -> bool {
        let lag_max = u64::from(self.spec.update.max_learner_lag_entries);
        member.health.lag_entries().is_some_and(|lag| lag <= lag_max)
    }

    /// How many voters serve and have caught up, not counting one.
    pub(super) fn fit_voters_without(&self, victim: MemberId) -> usize {
        let others = self.voters().filter(|(id, _)| *id != victim);
        others.filter(|(_, member)| self.is_caught_up(member)).count()
    }

    /// Whether the cluster goes on if a member is taken out of it for good.
    pub(super) fn can_spare_member(&self, victim: MemberId) -> bool {
        let others = self.voters().filter(|(id, _)| *id != victim).count();
        0 < others && quorum(others) <= self.fit_voters_without(victim)
    }

    /// Whether the cluster goes on while a member is restarted. Where there is one alone, nothing
    /// could be better.
    pub(super) fn can_restart(&self, victim: MemberId) -> bool {
        let voters = self.voters().count();
        voters == 1 || quorum(voters) <= self.fit_voters_without(victim)
    }

    /// Who is to lead instead of `leader`: one that has caught up and stays.
    pub(super) fn heir(&self, leader: MemberId) -> Option<(Ordinal, MemberId)> {
        let mut heirs = self.seats().filter(|(ordinal, id, member)| {
            *id != leader
                && !member.is_learner
                && self.is_caught_up(member)
                && ordinal.0 < self.spec.replicas
        });
        heirs.next().map(|(ordinal, id, _)| (ordinal, id))
    }

    /// What the status said of a pod.
    pub(super) fn before(&self, ordinal: Ordinal) -> Option<&'a MemberStatus> {
        self.seen.cluster.status.members.iter().find(|member| member.ordinal == ordinal.0)
    }

    /// Since when a member has not answered. `None` if that is not known yet.
    pub(super) fn silent_since(&self, ordinal: Ordinal, id: MemberId) -> Option<Timestamp> {
        let before = self.before(ordinal)?;
        let is_same = before.member_id.as_deref() == Some(id.to_string().as_str());
        if is_same { before.last_seen.as_ref().map(|time| time.0) } else { None }
    }

    /// Whether, and how, the data of the member at a place is lost.
    pub(super) fn loss(&self, ordinal: Ordinal) -> Option<Loss> {
        let (_, member) = self.seat(ordinal)?;
        let is_empty = self.pod(ordinal).is_some_and(|pod| pod.admission.is_awaiting());
        if is_empty && member.has_started && !member.health.is_serving() {
            return Some(Loss::Gone);
        }
        let Some(volume) = self.volume(ordinal) else {
            return (!member.health.is_serving()).then_some(Loss::Gone);
        };
        match volume.home {
            Home::Gone if !member.health.is_serving() => Some(Loss::Gone),
            Home::Gone | Home::Unbound | Home::Present => {
                volume.is_deleting.then_some(Loss::Doomed)
            }
        }
    }

    /// Whether a span has passed since a moment.
    pub(super) fn has_passed(&self, since: Timestamp, seconds: u32) -> bool {
        SignedDuration::from_secs(i64::from(seconds)) <= self.seen.now.duration_since(since)
    }

    /// Whether the StatefulSet makes pods as they are wanted, and which revision those have.
    pub(super) fn revision(&self) -> Option<&'a str> {
        let set = self.seen.stateful_set.as_ref()?;
        if set.digest == self.seen.wanted_pods { set.revision.as_deref() } else { None }
    }

    /// The pods that are to be restarted.
    pub(super) fn outdated(&self) -> impl DoubleEndedIterator<Item = (Ordinal, &'a PodSeen)> {
        let revision = self.revision();
        let pods = self.seen.pods.iter().map(|(ordinal, pod)| (*ordinal, pod));
        pods.filter(move |(_, pod)| revision.is_some_and(|wanted| pod.revision != wanted))
    }

    /// The members whose data the volumes hold, so far as it is written on them.
    pub(super) fn highest_marked(&self) -> Option<Ordinal> {
        let mut marked = self.seen.volumes.iter().rev();
        marked.find(|(_, volume)| volume.mark.member_id.is_some()).map(|(ordinal, _)| *ordinal)
    }

    /// The operation of the status has passed its deadline.
    pub(super) fn is_overdue(&self) -> bool {
        let operation = self.seen.cluster.status.operation.as_ref();
        operation.is_some_and(|operation| operation.deadline.0 < self.seen.now)
    }

    /// How many pods there are to be.
    pub(super) fn pods_wanted(&self) -> u32 {
        let asked = self.spec.replicas;
        if asked == 0 || self.identity == Identity::Unborn {
            return asked;
        }
        let up_to = |ordinal: Option<Ordinal>| ordinal.map_or(0, |ordinal| ordinal.0 + 1);
        if self.told().is_some() {
            // Who is a member has a pod until it is none.
            return asked.max(up_to(self.seats().next_back().map(|(ordinal, ..)| ordinal)));
        }
        // Nobody can tell who the members are: whoever may be one comes or stays, and nothing else
        // is touched.
        let kept = up_to(self.highest_marked());
        match self.seen.stateful_set.as_ref().map(|set| set.replicas) {
            None | Some(0) => asked.max(kept),
            Some(replicas) => replicas.max(kept),
        }
    }
}

/// Looks for the cluster's ID wherever it may stand.
fn identity(seen: &Observed) -> Identity {
    let status = seen.cluster.status.cluster_id.as_deref().and_then(ClusterId::parse);
    let marks = seen.volumes.values().filter_map(|volume| volume.mark.cluster_id);
    let pods = seen.pods.values().filter_map(|pod| match &pod.admission {
        Admission::Member { cluster_id, .. } => Some(*cluster_id),
        Admission::Silent | Admission::Awaiting(_) => None,
    });
    let told = seen.told.as_ref().map(|told| told.cluster_id);
    let mut ids: BTreeSet<ClusterId> = status.into_iter().chain(marks).chain(pods).collect();
    ids.extend(told);
    match (ids.len(), ids.first()) {
        (0, _) | (_, None) => Identity::Unborn,
        (1, Some(id)) => Identity::Known(*id),
        _ => Identity::Mixed(ids),
    }
}
