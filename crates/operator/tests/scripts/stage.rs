//! What is seen, moved by hand.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

use goldenscript::{Argument, Command, Context, Runner};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use operator::crd::{
    ConditionStatus, ConditionType, RaftClusterSpec, RaftClusterStatus, Retention, UpdateStrategy,
};
use operator::plan::certificate::{Audience, Validity};
use operator::plan::id::{ClusterId, MemberId, Ordinal, Uid};
use operator::plan::observed::{
    Admission, BudgetSeen, ChildSeen, ClusterSeen, Health, Home, Mark, MemberSeen, Observed,
    PodSeen, PodState, StatefulSetSeen, Told, VolumeSeen,
};
use operator::plan::plan;
use operator::plan::step::Child;

/// A word of a command: its key, if it has one, and its value.
type Word<'a> = (Option<&'a str>, &'a str);

fn word(argument: &Argument) -> Word<'_> {
    match argument {
        Argument::Positional(value) => (None, value),
        Argument::KeyValue(key, value) => (Some(key), value),
        other => panic!("goldenscript has a new kind of word: {other}"),
    }
}

const CLUSTER: ClusterId = ClusterId(0xc1);

/// What is asked for, and what is seen.
pub(super) struct Stage {
    spec: RaftClusterSpec,
    seen: Observed,
    /// What was told before nobody told anything.
    silenced: Option<Told>,
}

fn id(ordinal: u32) -> MemberId {
    MemberId(0xa0 + u64::from(ordinal))
}

impl Stage {
    pub(super) fn new() -> Stage {
        let cluster = ClusterSeen {
            name: "demo".to_owned(),
            namespace: "default".to_owned(),
            uid: Uid("u".to_owned()),
            generation: 1,
            is_deleting: false,
            status: RaftClusterStatus::default(),
        };
        let seen = Observed {
            now: Timestamp::from_second(100_000).unwrap(),
            cluster,
            wanted: [(Child::PeerService, "p".to_owned())].into(),
            wanted_pods: "v1".to_owned(),
            children: BTreeMap::new(),
            budget: None,
            stateful_set: None,
            pods: BTreeMap::new(),
            volumes: BTreeMap::new(),
            certificates: BTreeMap::new(),
            issued: BTreeMap::new(),
            told: None,
        };
        Stage { spec: RaftClusterSpec::default(), seen, silenced: None }
    }

    /// Makes objects for so many pods, all in order.
    fn objects(&mut self, replicas: u32) {
        self.spec.replicas = replicas;
        let child = ChildSeen { uid: Uid("c".to_owned()), digest: "p".to_owned() };
        self.seen.children.insert(Child::PeerService, child);
        self.seen.budget = (1 < replicas)
            .then(|| BudgetSeen { uid: Uid("b".to_owned()), available_min: replicas / 2 + 1 });
        self.seen.stateful_set = Some(StatefulSetSeen {
            uid: Uid("s".to_owned()),
            digest: "v1".to_owned(),
            replicas,
            revision: Some("v1".to_owned()),
        });
        for ordinal in 0..replicas {
            self.seen.pods.insert(Ordinal(ordinal), self.new_pod(ordinal));
            self.seen.volumes.insert(Ordinal(ordinal), new_volume(ordinal));
        }
    }

    fn new_pod(&self, ordinal: u32) -> PodSeen {
        PodSeen {
            uid: Uid(format!("p{ordinal}")),
            is_deleting: false,
            revision: self.seen.wanted_pods.clone(),
            state: PodState::Running,
            ready_since: None,
            node: None,
            admission: Admission::Awaiting("waits".to_owned()),
        }
    }

    fn healthy(&mut self, replicas: u32) {
        self.objects(replicas);
        let mut members = BTreeMap::new();
        for ordinal in 0..replicas {
            self.serve(ordinal);
            let health = Health::Serving { lag_entries: 0, version: self.spec.version.clone() };
            members.insert(
                id(ordinal),
                MemberSeen {
                    ordinal: Some(Ordinal(ordinal)),
                    has_started: true,
                    is_learner: false,
                    health,
                },
            );
        }
        self.seen.told = Some(Told { cluster_id: CLUSTER, leader: id(0), term: 7, members });
        self.seen.cluster.status = plan(&self.spec, &self.seen).status;
        self.seen.cluster.status = plan(&self.spec, &self.seen).status;
    }

    /// Lets the pod run, with data.
    fn serve(&mut self, ordinal: u32) {
        let pod = self.seen.pods.get_mut(&Ordinal(ordinal)).unwrap();
        pod.ready_since = Some(Timestamp::UNIX_EPOCH);
        pod.admission = Admission::Member { cluster_id: CLUSTER, member_id: id(ordinal) };
        let volume = self.seen.volumes.get_mut(&Ordinal(ordinal)).unwrap();
        volume.mark.cluster_id = Some(CLUSTER);
        volume.mark.member_id = Some(id(ordinal));
    }

    fn spec(&mut self, key: &str, value: &str) {
        match key {
            "replicas" => self.spec.replicas = value.parse().unwrap(),
            "paused" => self.spec.paused = value == "yes",
            "version" => self.spec.version = value.to_owned(),
            "repair" => self.spec.repair.enabled = value == "yes",
            "budget" => self.spec.disruption_budget.enabled = value == "yes",
            "supervised" => self.spec.update.strategy = UpdateStrategy::Supervised,
            "when-scaled" => self.spec.storage.retention.when_scaled = retention(value),
            "when-deleted" => self.spec.storage.retention.when_deleted = retention(value),
            other => panic!("no field {other}"),
        }
    }

    fn pod(&mut self, ordinal: u32, word: &str) {
        let at = Ordinal(ordinal);
        let new = self.new_pod(ordinal);
        match word {
            "absent" => drop(self.seen.pods.remove(&at)),
            "fresh" => drop(self.seen.pods.insert(at, new)),
            word => {
                let now = self.seen.now;
                let pod = self.seen.pods.get_mut(&at).expect("the pod is there");
                match word {
                    "awaiting" => *pod = new,
                    "silent" => pod.admission = Admission::Silent,
                    "unready" => pod.ready_since = None,
                    "just-ready" => pod.ready_since = Some(now),
                    "deleting" => pod.is_deleting = true,
                    "old" => pod.revision = "v0".to_owned(),
                    "serving" => self.serve(ordinal),
                    "broken" => {
                        pod.state = PodState::Waiting("ImagePullBackOff".to_owned());
                        pod.admission = Admission::Silent;
                        pod.ready_since = None;
                    }
                    other => panic!("no such pod: {other}"),
                }
            }
        }
    }

    fn volume(&mut self, ordinal: u32, word: &str) {
        let at = Ordinal(ordinal);
        if word == "absent" {
            self.seen.volumes.remove(&at);
            return;
        }
        let volume = self.seen.volumes.entry(at).or_insert_with(|| new_volume(ordinal));
        match word {
            "fresh" => *volume = new_volume(ordinal),
            "gone" => volume.home = Home::Gone,
            "deleting" => volume.is_deleting = true,
            "unmarked" => volume.mark = Mark::default(),
            "marked" => volume.mark.cluster_id = Some(CLUSTER),
            "member" => volume.mark.member_id = Some(id(ordinal)),
            "stranger" => volume.mark.member_id = Some(MemberId(0xff)),
            "foreign" => volume.mark.cluster_id = Some(ClusterId(0xdead)),
            "owned" => volume.mark.is_owned = true,
            other => panic!("no such volume: {other}"),
        }
    }

    fn member(&mut self, ordinal: u32, (key, value): Word<'_>) {
        let health = Health::Serving { lag_entries: 0, version: self.spec.version.clone() };
        let told = self.seen.told.as_mut().expect("a leader answers");
        if value == "absent" {
            told.members.remove(&id(ordinal));
            return;
        }
        let member = told.members.entry(id(ordinal)).or_insert_with(|| MemberSeen {
            ordinal: Some(Ordinal(ordinal)),
            has_started: true,
            is_learner: false,
            health,
        });
        match (key, value) {
            (None, "silent") => member.health = Health::Silent,
            (None, "learner") => member.is_learner = true,
            (None, "voter") => member.is_learner = false,
            (None, "unstarted") => {
                member.has_started = false;
                member.health = Health::Silent;
            }
            (Some("lag"), lag) => {
                let version = self.spec.version.clone();
                member.health = Health::Serving { lag_entries: lag.parse().unwrap(), version };
            }
            (Some("version"), version) => {
                member.health = Health::Serving { lag_entries: 0, version: version.to_owned() };
            }
            other => panic!("no such member: {other:?}"),
        }
    }

    /// The StatefulSet, and the budget, were changed to so many pods.
    fn set(&mut self, replicas: u32) {
        self.seen.stateful_set.as_mut().unwrap().replicas = replicas;
        self.seen.budget = (1 < replicas)
            .then(|| BudgetSeen { uid: Uid("b".to_owned()), available_min: replicas / 2 + 1 });
    }

    /// cert-manager makes the certificates, and this is what there is: nothing, or one that ends in
    /// so many hours.
    fn issued(&mut self, word: &str) {
        let now = self.seen.now;
        let life = (word != "nothing").then(|| Validity {
            not_before: now,
            not_after: now + SignedDuration::from_hours(word.parse().unwrap()),
        });
        self.seen.issued = [(Audience::Peer, life), (Audience::Client, life)].into();
    }

    /// The budget says that so many pods must stay.
    fn budget(&mut self, available_min: u32) {
        self.seen.budget = Some(BudgetSeen { uid: Uid("b".to_owned()), available_min });
    }

    fn plan(&mut self) -> String {
        let made = plan(&self.spec, &self.seen);
        let mut text = match &made.step {
            Some(step) => format!("step: {step}\n"),
            None => "step: none\n".to_owned(),
        };
        let status = &made.status;
        let leader = status.leader.as_ref().map_or("-", |leader| &leader.name);
        writeln!(text, "ready {} leader {leader}", status.ready).unwrap();
        for found in &status.conditions {
            let is_usual = match found.r#type {
                ConditionType::Ready => false,
                ConditionType::Progressing | ConditionType::Degraded => {
                    found.status == ConditionStatus::False
                }
                ConditionType::Available
                | ConditionType::MembersUpdated
                | ConditionType::ScaleComplete
                | ConditionType::StorageReady
                | ConditionType::TLSReady
                | ConditionType::ClusterIDConsistent => found.status == ConditionStatus::True,
            };
            if !is_usual {
                let (kind, state, reason) = (found.r#type, found.status, found.reason);
                writeln!(text, "{kind:?}={state:?} {reason:?}: {}", found.message).unwrap();
            }
        }
        if let Some(operation) = &status.operation {
            writeln!(text, "operation {:?}: {}", operation.r#type, operation.message).unwrap();
        }
        for event in &made.events {
            writeln!(text, "event {:?} {event}", event.severity).unwrap();
        }
        if *status == self.seen.cluster.status {
            text.push_str("status unchanged\n");
        }
        self.seen.cluster.status = made.status;
        text
    }
}

fn retention(value: &str) -> Retention {
    if value == "delete" { Retention::Delete } else { Retention::Retain }
}

fn new_volume(ordinal: u32) -> VolumeSeen {
    VolumeSeen {
        uid: Uid(format!("v{ordinal}")),
        is_deleting: false,
        mark: Mark::default(),
        home: Home::Present,
        size: None,
    }
}

impl Runner for Stage {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let words: Vec<Word<'_>> = command.args.iter().map(word).collect();
        let first = words.first().map_or("", |(_, value)| value);
        let number = || first.parse::<u32>().expect("a number comes first");
        match command.name.as_str() {
            "healthy" => self.healthy(number()),
            "empty" => self.objects(number()),
            "spec" => words.iter().for_each(|word| self.spec(word.0.unwrap_or(""), word.1)),
            "pod" => words[1..].iter().for_each(|word| self.pod(number(), word.1)),
            "volume" => words[1..].iter().for_each(|word| self.volume(number(), word.1)),
            "member" => words[1..].iter().for_each(|word| self.member(number(), *word)),
            "set" => self.set(number()),
            "budget" => self.budget(number()),
            "told" => match first {
                "none" => self.silenced = self.seen.told.take(),
                _ => self.seen.told = self.silenced.take(),
            },
            "leader" => {
                let told = self.seen.told.as_mut().unwrap();
                told.leader = id(number());
                told.term += 1;
            }
            "wanted" => {
                self.seen.wanted_pods = first.to_owned();
                if let Some(set) = &mut self.seen.stateful_set {
                    set.digest = first.to_owned();
                    set.revision = Some(first.to_owned());
                }
            }
            "change" => self.seen.wanted_pods = first.to_owned(),
            "issued" => self.issued(first),
            "forget" => self.seen.cluster.status = RaftClusterStatus::default(),
            "delete" => self.seen.cluster.is_deleting = true,
            "no-objects" => {
                self.seen.stateful_set = None;
                self.seen.pods.clear();
            }
            "after" => {
                let span = SignedDuration::from_secs(i64::from(number()));
                self.seen.now = self.seen.now.checked_add(span)?;
            }
            "plan" => {
                let times = if first.is_empty() { 1 } else { number() };
                return Ok((0..times).map(|_| self.plan()).last().unwrap_or_default());
            }
            other => return Err(format!("no command {other}").into()),
        }
        Ok(String::new())
    }
}
