//! What the operator acts upon: objects, the controllers that follow them, and members.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use operator::crd::{RaftClusterSpec, Retention};
use operator::plan::id::{ClusterId, MemberId, Ordinal, Uid};
use operator::plan::observed::{
    Admission, BudgetSeen, ChildSeen, ClusterSeen, Health, Home, Mark, MemberSeen, Observed,
    PodSeen, PodState, StatefulSetSeen, Told, VolumeSeen,
};
use operator::plan::step::{Child, Step};

/// So long is a tick.
const TICK: SignedDuration = SignedDuration::from_secs(10);

/// The objects that the API server holds: what a cache may show as it was.
#[derive(Clone, Default)]
pub(super) struct Objects {
    pub(super) cluster: Option<ClusterSeen>,
    pub(super) set: Option<StatefulSetSeen>,
    pub(super) pods: BTreeMap<Ordinal, PodSeen>,
    pub(super) volumes: BTreeMap<Ordinal, VolumeSeen>,
    pub(super) children: BTreeMap<Child, ChildSeen>,
    pub(super) budget: Option<BudgetSeen>,
}

/// A cluster of members, as it really is.
#[derive(Default)]
pub(super) struct Raft {
    pub(super) members: BTreeMap<MemberId, MemberSeen>,
    pub(super) leader: Option<MemberId>,
    pub(super) term: u64,
}

/// Everything.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) spec: RaftClusterSpec,
    pub(super) objects: Objects,
    /// What is on each volume, by its UID.
    pub(super) disks: BTreeMap<Uid, (ClusterId, MemberId)>,
    pub(super) rafts: BTreeMap<ClusterId, Raft>,
    /// Volumes of which somebody else than the operator takes the data.
    pub(super) sacrificed: BTreeSet<Uid>,
    /// Digests of pods that cannot run.
    pub(super) bad: BTreeSet<String>,
    pub(super) digest: String,
    pub(super) writes: usize,
    next: u64,
}

impl World {
    pub(super) fn new(replicas: u32) -> World {
        let mut spec = RaftClusterSpec { replicas, ..RaftClusterSpec::default() };
        spec.repair.replace_after_seconds = 60;
        let mut world = World {
            now: Timestamp::UNIX_EPOCH,
            spec,
            objects: Objects::default(),
            disks: BTreeMap::new(),
            rafts: BTreeMap::new(),
            sacrificed: BTreeSet::new(),
            bad: BTreeSet::new(),
            digest: "v1".to_owned(),
            writes: 0,
            next: 1,
        };
        world.create();
        world
    }

    /// Somebody applies the object.
    pub(super) fn create(&mut self) {
        let uid = self.uid();
        self.objects.cluster = Some(ClusterSeen {
            name: "demo".to_owned(),
            namespace: "default".to_owned(),
            uid,
            generation: 1,
            is_deleting: false,
            status: operator::crd::RaftClusterStatus::default(),
        });
    }

    fn uid(&mut self) -> Uid {
        self.next += 1;
        Uid(format!("u{}", self.next))
    }

    fn quorum_of(raft: &Raft) -> usize {
        raft.members.values().filter(|member| !member.is_learner).count() / 2 + 1
    }

    fn up_voters(&self, raft: &Raft) -> BTreeSet<MemberId> {
        let voters = raft.members.iter().filter(|(_, member)| !member.is_learner);
        voters.filter(|(id, member)| self.is_up(**id, member)).map(|(id, _)| *id).collect()
    }

    /// Whether a member's process runs on its own data.
    fn is_up(&self, id: MemberId, member: &MemberSeen) -> bool {
        let Some(ordinal) = member.ordinal else { return false };
        self.runs(ordinal) && self.disk(ordinal).is_some_and(|(_, held)| held == id)
    }

    fn runs(&self, ordinal: Ordinal) -> bool {
        let has_home = self.objects.volumes.get(&ordinal).is_some_and(|v| v.home != Home::Gone);
        let pod = self.objects.pods.get(&ordinal);
        has_home && pod.is_some_and(|pod| !pod.is_deleting && !self.bad.contains(&pod.revision))
    }

    fn disk(&self, ordinal: Ordinal) -> Option<(ClusterId, MemberId)> {
        self.disks.get(&self.objects.volumes.get(&ordinal)?.uid).copied()
    }

    pub(super) fn told(&self) -> Option<Told> {
        let (id, raft) = self.rafts.iter().find(|(_, raft)| raft.leader.is_some())?;
        let members = raft.members.iter().map(|(id, member)| {
            let mut member = member.clone();
            if !self.is_up(*id, &member) || !member.has_started {
                member.health = Health::Silent;
            }
            (*id, member)
        });
        Some(Told {
            cluster_id: *id,
            leader: raft.leader?,
            term: raft.term,
            members: members.collect(),
        })
    }

    /// What the operator sees: objects as its cache has them, members as they are.
    pub(super) fn observe(&self, cache: &Objects) -> Option<Observed> {
        let mut pods = cache.pods.clone();
        for (ordinal, pod) in &mut pods {
            pod.admission = match (self.runs(*ordinal), self.disk(*ordinal)) {
                (false, _) => Admission::Silent,
                (true, None) => Admission::Awaiting("waits".to_owned()),
                (true, Some((cluster_id, member_id))) => {
                    Admission::Member { cluster_id, member_id }
                }
            };
        }
        Some(Observed {
            now: self.now,
            cluster: cache.cluster.clone()?,
            wanted: [(Child::PeerService, "p".to_owned())].into(),
            wanted_pods: self.digest.clone(),
            children: cache.children.clone(),
            budget: cache.budget.clone(),
            stateful_set: cache.set.clone(),
            pods,
            volumes: cache.volumes.clone(),
            certificates: BTreeMap::new(),
            issued: BTreeMap::new(),
            told: self.told(),
        })
    }

    // === Time ===

    /// Lets the controllers, the members and the clock go on.
    pub(super) fn tick(&mut self) {
        self.now = self.now.checked_add(TICK).unwrap();
        self.collect_garbage();
        self.run_set();
        self.drop_volumes();
        self.run_members();
    }

    fn collect_garbage(&mut self) {
        if self.objects.cluster.as_ref().is_some_and(|cluster| !cluster.is_deleting) {
            return;
        }
        self.objects.cluster = None;
        self.objects.set = None;
        self.objects.children.clear();
        self.objects.budget = None;
        self.objects.pods.clear();
        for volume in self.objects.volumes.values_mut().filter(|volume| volume.mark.is_owned) {
            volume.is_deleting = true;
            self.sacrificed.insert(volume.uid.clone());
        }
    }

    fn run_set(&mut self) {
        self.objects.pods.retain(|_, pod| !pod.is_deleting);
        let Some(set) = &mut self.objects.set else { return };
        set.revision = Some(set.digest.clone());
        let set = set.clone();
        self.objects.pods.retain(|ordinal, _| ordinal.0 < set.replicas);
        for ordinal in (0..set.replicas).map(Ordinal) {
            if self.objects.pods.contains_key(&ordinal)
                || self.objects.volumes.get(&ordinal).is_some_and(|volume| volume.is_deleting)
            {
                continue;
            }
            if !self.objects.volumes.contains_key(&ordinal) {
                let volume = VolumeSeen {
                    uid: self.uid(),
                    is_deleting: false,
                    mark: Mark::default(),
                    home: Home::Present,
                    size: None,
                };
                self.objects.volumes.insert(ordinal, volume);
            }
            let pod = PodSeen {
                uid: self.uid(),
                is_deleting: false,
                revision: set.digest.clone(),
                state: PodState::Running,
                ready_since: None,
                node: None,
                admission: Admission::Silent,
            };
            self.objects.pods.insert(ordinal, pod);
        }
    }

    fn drop_volumes(&mut self) {
        let pods = &self.objects.pods;
        let gone = |(ordinal, volume): &(&Ordinal, &VolumeSeen)| {
            volume.is_deleting && !pods.contains_key(ordinal)
        };
        let gone: Vec<Ordinal> =
            self.objects.volumes.iter().filter(gone).map(|(ordinal, _)| *ordinal).collect();
        for ordinal in gone {
            let volume = self.objects.volumes.remove(&ordinal).unwrap();
            if let Some((cluster, member)) = self.disks.remove(&volume.uid)
                && !self.sacrificed.contains(&volume.uid)
            {
                let members = &self.rafts[&cluster].members;
                let votes = members.get(&member).is_some_and(|member| !member.is_learner);
                assert!(!votes, "the volume of {ordinal} is wiped while {member} votes");
            }
        }
    }

    fn run_members(&mut self) {
        let ordinals: Vec<Ordinal> = self.objects.pods.keys().copied().collect();
        for ordinal in ordinals {
            let runs = self.runs(ordinal);
            if runs && self.disk(ordinal).is_none() {
                self.admit(ordinal);
            }
            let ready = runs
                && self
                    .disk(ordinal)
                    .is_some_and(|(cluster, id)| self.rafts[&cluster].members.contains_key(&id));
            let bad = self.bad.clone();
            let now = self.now;
            let pod = self.objects.pods.get_mut(&ordinal).unwrap();
            pod.ready_since = ready.then(|| pod.ready_since.unwrap_or(now));
            pod.state = match bad.contains(&pod.revision) {
                true => PodState::Waiting("ImagePullBackOff".to_owned()),
                false => PodState::Running,
            };
        }
        let ids: Vec<ClusterId> = self.rafts.keys().copied().collect();
        for id in ids {
            let up = self.up_voters(&self.rafts[&id]);
            let raft = self.rafts.get_mut(&id).unwrap();
            if up.len() < World::quorum_of(raft) {
                raft.leader = None;
            } else if raft.leader.is_none_or(|leader| !up.contains(&leader)) {
                raft.leader = up.first().copied();
                raft.term += 1;
            }
        }
    }

    /// A process with an empty volume takes an ID that nobody has ever held, if one is for it.
    fn admit(&mut self, ordinal: Ordinal) {
        let uid = self.objects.volumes[&ordinal].uid.clone();
        for (cluster, raft) in &mut self.rafts {
            if raft.leader.is_none() {
                continue;
            }
            let free = raft
                .members
                .iter_mut()
                .find(|(_, member)| member.ordinal == Some(ordinal) && !member.has_started);
            if let Some((id, member)) = free {
                member.has_started = true;
                self.disks.insert(uid, (*cluster, *id));
                return;
            }
        }
    }

    // === Steps ===

    /// Does a step, and checks that it takes nothing from anybody. Says whether it was done.
    pub(super) fn apply(&mut self, step: &Step) -> bool {
        self.writes += 1;
        match step {
            Step::ApplyChild(child) => {
                let uid = self.uid();
                let seen = ChildSeen { uid, digest: "p".to_owned() };
                self.objects.children.insert(*child, seen);
            }
            Step::DeleteChild(child, _) => drop(self.objects.children.remove(child)),
            Step::ApplyBudget { available_min } => {
                let uid = self.uid();
                self.objects.budget = Some(BudgetSeen { uid, available_min: *available_min });
            }
            Step::DeleteBudget(_) => self.objects.budget = None,
            Step::Certificate(_) => {}
            Step::ApplyStatefulSet { replicas } => self.apply_set(*replicas),
            Step::MarkVolume { ordinal, uid, cluster_id, member_id, is_owned } => {
                let volume = self.objects.volumes.get_mut(ordinal);
                let Some(volume) = volume.filter(|volume| volume.uid == *uid) else { return false };
                volume.mark =
                    Mark { cluster_id: *cluster_id, member_id: *member_id, is_owned: *is_owned };
            }
            Step::Form { ordinal, pod, token } => return self.form(*ordinal, pod, token),
            Step::DeletePod(ordinal, uid) => return self.delete_pod(*ordinal, uid),
            Step::DeleteVolume(ordinal, uid) => {
                let volume = self.objects.volumes.get_mut(ordinal);
                let Some(volume) = volume.filter(|volume| volume.uid == *uid) else { return false };
                volume.is_deleting = true;
                let held = self.disk(*ordinal);
                let votes = held.is_some_and(|(cluster, id)| {
                    let member = self.rafts[&cluster].members.get(&id);
                    member.is_some_and(|member| !member.is_learner)
                });
                assert!(!votes, "the volume of {ordinal} is deleted while its member votes");
            }
            Step::AddLearner(_)
            | Step::Promote(..)
            | Step::RemoveMember(..)
            | Step::TransferLeadership { .. } => return self.change_members(step),
        }
        true
    }

    fn apply_set(&mut self, replicas: u32) {
        for raft in self.rafts.values() {
            let cut = raft.members.values().any(|member| {
                !member.is_learner && member.ordinal.is_some_and(|at| replicas <= at.0)
            });
            assert!(
                replicas == 0 || raft.leader.is_none() || !cut,
                "the pod of a voter is scaled away"
            );
        }
        let uid = self.uid();
        let digest = self.digest.clone();
        let before = self.objects.set.take();
        let revision =
            before.as_ref().filter(|set| set.digest == digest).and_then(|set| set.revision.clone());
        let uid = before.map_or(uid, |set| set.uid);
        self.objects.set = Some(StatefulSetSeen { uid, digest, replicas, revision });
    }

    fn form(&mut self, ordinal: Ordinal, pod: &Uid, token: &str) -> bool {
        let same = self.objects.pods.get(&ordinal).is_some_and(|seen| seen.uid == *pod);
        if !same || !self.runs(ordinal) || self.disk(ordinal).is_some() {
            return false;
        }
        let id = ClusterId(token.bytes().map(u64::from).fold(7, |a, b| a * 31 % 999_983 + b));
        assert!(self.rafts.is_empty(), "a second cluster is founded");
        let member = MemberId(0xa0 + self.rafts.len() as u64);
        let uid = self.objects.volumes[&ordinal].uid.clone();
        self.disks.insert(uid, (id, member));
        let seen = serving(ordinal, false, true);
        self.rafts
            .insert(id, Raft { members: [(member, seen)].into(), leader: Some(member), term: 1 });
        true
    }

    fn delete_pod(&mut self, ordinal: Ordinal, uid: &Uid) -> bool {
        if self.objects.pods.get(&ordinal).is_none_or(|pod| pod.uid != *uid) {
            return false;
        }
        for raft in self.rafts.values().filter(|raft| raft.leader.is_some()) {
            let mut up = self.up_voters(raft);
            let victims: Vec<MemberId> =
                up.iter().copied().filter(|id| raft.members[id].ordinal == Some(ordinal)).collect();
            let voters = raft.members.values().filter(|member| !member.is_learner).count();
            for victim in victims {
                up.remove(&victim);
                let enough = voters == 1 || World::quorum_of(raft) <= up.len();
                assert!(enough, "no quorum is left by deleting pod {ordinal}");
                let others_up = raft.leader != Some(victim) || voters == 1;
                assert!(others_up, "the leader's pod {ordinal} is deleted before it is moved");
            }
        }
        self.objects.pods.get_mut(&ordinal).unwrap().is_deleting = true;
        true
    }

    fn change_members(&mut self, step: &Step) -> bool {
        let Some(cluster) = self.told().map(|told| told.cluster_id) else { return false };
        let up = self.up_voters(&self.rafts[&cluster]);
        self.next += 1;
        let fresh = MemberId(0xa0 + self.next);
        let raft = self.rafts.get_mut(&cluster).unwrap();
        match step {
            Step::AddLearner(ordinal) => {
                if raft.members.values().any(|member| member.ordinal == Some(*ordinal)) {
                    return false;
                }
                let learners = raft.members.values().filter(|member| member.is_learner).count();
                assert_eq!(learners, 0, "a second learner is added");
                raft.members.insert(fresh, serving(*ordinal, true, false));
            }
            Step::Promote(_, id) => {
                let Some(member) = raft.members.get_mut(id) else { return false };
                assert!(member.has_started, "a learner votes that never ran");
                member.is_learner = false;
            }
            Step::RemoveMember(_, id) => {
                let Some(member) = raft.members.remove(id) else { return false };
                let left = up.iter().filter(|up| *up != id).count();
                assert!(
                    member.is_learner || World::quorum_of(raft) <= left,
                    "no quorum is left by removing {id}"
                );
                assert!(raft.leader != Some(*id), "the leader {id} is removed before it is moved");
            }
            Step::TransferLeadership { heir, .. } => {
                if !up.contains(heir) {
                    return false;
                }
                raft.leader = Some(*heir);
                raft.term += 1;
            }
            Step::ApplyChild(_)
            | Step::DeleteChild(..)
            | Step::ApplyBudget { .. }
            | Step::DeleteBudget(_)
            | Step::Certificate(_)
            | Step::ApplyStatefulSet { .. }
            | Step::MarkVolume { .. }
            | Step::Form { .. }
            | Step::DeletePod(..)
            | Step::DeleteVolume(..) => unreachable!("not about members"),
        }
        true
    }

    /// Whether volumes are to go with the object.
    pub(super) fn delete_volumes_too(&mut self) {
        self.spec.storage.retention.when_deleted = Retention::Delete;
    }
}

fn serving(ordinal: Ordinal, is_learner: bool, has_started: bool) -> MemberSeen {
    let health = Health::Serving { lag_entries: 0, version: operator_version() };
    MemberSeen { ordinal: Some(ordinal), has_started, is_learner, health }
}

fn operator_version() -> String {
    RaftClusterSpec::default().version
}
