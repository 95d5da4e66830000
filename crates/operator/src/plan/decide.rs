//! The order in which things are done: the first that is to be done is the step.

use super::certificate;
use super::id::Ordinal;
use super::observed::{Admission, VolumeSeen};
use super::refuse::{self, Refusal};
use super::repair;
use super::roll;
use super::scale;
use super::step::Step;
use super::view::{Identity, View, quorum};
use crate::crd::Retention;

/// What a look at one subject came to.
pub(super) enum Turn {
    /// This is to be done.
    Do(Step),
    /// This is waited for, and people are told so. What comes later may go on.
    Wait(String),
    /// There is nothing to be done.
    Pass,
}

/// What all looks came to.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// What is to be done.
    pub(super) step: Option<Step>,
    /// What is waited for, from the most to the least urgent.
    pub(super) waits: Vec<String>,
    /// Why the specification is not followed.
    pub(super) refusal: Option<Refusal>,
}

type Subject = fn(&View<'_>) -> Turn;

/// What is looked at while a leader answers, in this order.
const SERVING: &[Subject] = &[
    latch,
    marks,
    repair::lost_member,
    scale::learner,
    children,
    certificates,
    budget,
    stateful_set,
    repair::leftover,
    scale::newcomer,
    roll::next_pod,
    scale::leaver,
    scale::volume_left,
];

/// The same while none does.
///
/// Nothing is done about members or their volumes. A pod whose process does not run may be renewed:
/// no vote is lost by that, and a change that is the cause can be taken back.
const SILENT: &[Subject] =
    &[latch, marks, children, certificates, budget, stateful_set, roll::broken_pod];

/// The same while the cluster has never been.
const UNBORN: &[Subject] =
    &[marks, children, certificates, budget, stateful_set, roll::broken_pod, form];

/// Decides what is to be done.
pub(super) fn decide(view: &View<'_>) -> Decision {
    let mut decision = Decision { refusal: refuse::refusal(view), ..Decision::default() };
    if view.seen.cluster.is_deleting || view.spec.paused {
        return decision;
    }
    match decision.refusal {
        Some(Refusal::Contradiction(_) | Refusal::Mismatch(_)) => return decision,
        Some(Refusal::Version(..)) | None => {}
    }
    let subjects = match (&view.identity, view.told()) {
        (Identity::Mixed(_), _) => return decision,
        (Identity::Unborn, _) => UNBORN,
        // Who is to sleep is not changed first.
        (Identity::Known(_), Some(_)) if view.spec.replicas == 0 => SILENT,
        (Identity::Known(_), Some(_)) => SERVING,
        (Identity::Known(_), None) => SILENT,
    };
    for subject in subjects {
        match subject(view) {
            Turn::Do(step) => {
                decision.step = Some(step);
                return decision;
            }
            Turn::Wait(reason) => decision.waits.push(reason),
            Turn::Pass => {}
        }
        // Nothing may follow before the ID stands in the status.
        if view.identity != Identity::Unborn && view.seen.cluster.status.cluster_id.is_none() {
            return decision;
        }
    }
    decision
}

/// The cluster's ID must be read from the status before there is a second member.
fn latch(view: &View<'_>) -> Turn {
    match view.seen.cluster.status.cluster_id {
        Some(_) => Turn::Pass,
        None => Turn::Wait("the cluster's ID is written down".to_owned()),
    }
}

/// Volumes bear what they hold.
fn marks(view: &View<'_>) -> Turn {
    let is_owned = match view.spec.storage.retention.when_deleted {
        Retention::Retain => false,
        Retention::Delete => true,
    };
    for (ordinal, volume) in &view.seen.volumes {
        let mut mark = volume.mark.clone();
        mark.is_owned = is_owned;
        let holds = view.pod(*ordinal).map(|pod| &pod.admission);
        if let (Some(Admission::Member { cluster_id, member_id }), Some((seated, _))) =
            (holds, view.seat(*ordinal))
            && *member_id == seated
        {
            mark.cluster_id = Some(*cluster_id);
            mark.member_id = Some(seated);
        }
        if mark != volume.mark && !volume.is_deleting {
            return Turn::Do(Step::MarkVolume {
                ordinal: *ordinal,
                uid: volume.uid.clone(),
                cluster_id: mark.cluster_id,
                member_id: mark.member_id,
                is_owned,
            });
        }
    }
    Turn::Pass
}

/// Objects that have nothing to be decided about.
fn children(view: &View<'_>) -> Turn {
    for (child, digest) in &view.seen.wanted {
        if view.seen.children.get(child).is_none_or(|seen| seen.digest != *digest) {
            return Turn::Do(Step::ApplyChild(*child));
        }
    }
    let unwanted =
        view.seen.children.iter().find(|(child, _)| !view.seen.wanted.contains_key(child));
    match unwanted {
        Some((child, seen)) => Turn::Do(Step::DeleteChild(*child, seen.uid.clone())),
        None => Turn::Pass,
    }
}

fn certificates(view: &View<'_>) -> Turn {
    match certificate::step(&view.seen.certificates, view.seen.now) {
        Some(step) => Turn::Do(Step::Certificate(step)),
        None => Turn::Pass,
    }
}

/// The budget leaves a quorum of the voters that there are, and of those that there will be. A
/// learner's pod is counted by Kubernetes like the others and is no help: as many more must stay.
fn budget(view: &View<'_>) -> Turn {
    let known = view.seen.cluster.status.quorum.as_ref().map_or(0, |quorum| quorum.voters);
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    let voters = if view.told().is_some() { view.voters().count() } else { known };
    let asked = usize::try_from(view.spec.replicas).unwrap_or(usize::MAX);
    let size = if asked == 0 { 0 } else { voters.max(asked) };
    // One alone could never be moved: the budget would only block who drains its node.
    let is_wanted = view.spec.disruption_budget.enabled && 1 < size;
    let learners = view.learners().count();
    let available_min = quorum(size).max(quorum(voters) + learners);
    let available_min = u32::try_from(available_min).unwrap_or(u32::MAX);
    match &view.seen.budget {
        Some(budget) if !is_wanted => Turn::Do(Step::DeleteBudget(budget.uid.clone())),
        Some(budget) if budget.available_min == available_min => Turn::Pass,
        None if !is_wanted => Turn::Pass,
        Some(_) | None => Turn::Do(Step::ApplyBudget { available_min }),
    }
}

/// What pods are made from, and how many there are to be.
fn stateful_set(view: &View<'_>) -> Turn {
    let replicas = view.pods_wanted();
    let set = view.seen.stateful_set.as_ref();
    let is_same = set.is_some_and(|set| set.digest == view.seen.wanted_pods);
    if is_same && set.is_some_and(|set| set.replicas == replicas) {
        return Turn::Pass;
    }
    match refuse::refusal(view) {
        Some(Refusal::Version(_, why)) if !is_same => Turn::Wait(why),
        Some(Refusal::Version(..) | Refusal::Contradiction(_) | Refusal::Mismatch(_)) | None => {
            Turn::Do(Step::ApplyStatefulSet { replicas })
        }
    }
}

/// Founds the cluster, once it is certain that there has never been one: every pod and volume is
/// there to be seen, and none holds anything.
fn form(view: &View<'_>) -> Turn {
    let Some(set) = &view.seen.stateful_set else { return Turn::Pass };
    let founder = Ordinal(0);
    if view.spec.replicas == 0 {
        return Turn::Pass;
    }
    let is_fit = |volume: &VolumeSeen| !volume.is_deleting;
    for ordinal in (0..set.replicas.max(1)).map(Ordinal) {
        if view.pod(ordinal).is_none() || !view.volume(ordinal).is_some_and(is_fit) {
            return Turn::Wait(format!("pod {} and its volume are made", view.pod_name(ordinal)));
        }
    }
    match view.pod(founder) {
        Some(pod) if pod.admission.is_awaiting() && !pod.is_deleting => Turn::Do(Step::Form {
            ordinal: founder,
            pod: pod.uid.clone(),
            token: view.seen.cluster.token(),
        }),
        Some(_) | None => Turn::Wait(format!("pod {} runs", view.pod_name(founder))),
    }
}
