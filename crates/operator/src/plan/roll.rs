//! Pods that are to change: restarted one at a time, the leader's last.

use super::decide::Turn;
use super::id::Ordinal;
use super::observed::PodSeen;
use super::step::Step;
use super::view::View;
use crate::crd::UpdateStrategy;

/// Restarts a pod that is not as it is to be, and whose process does not run.
pub(super) fn broken_pod(view: &View<'_>) -> Turn {
    if is_supervised(view) {
        return Turn::Pass;
    }
    let mut broken = view.outdated().rev().filter(|(ordinal, pod)| {
        !pod.is_deleting && !pod.state.is_running() && keeps_volume(view, *ordinal)
    });
    match broken.next() {
        Some((ordinal, pod)) => Turn::Do(Step::DeletePod(ordinal, pod.uid.clone())),
        None => Turn::Pass,
    }
}

/// Restarts the next pod that is not as it is to be.
pub(super) fn next_pod(view: &View<'_>) -> Turn {
    let Some(last) = view.outdated().next_back() else { return Turn::Pass };
    if is_supervised(view) {
        let name = view.pod_name(last.0);
        return Turn::Wait(format!("somebody deletes pod {name}, as updates are supervised"));
    }
    // Who serves nobody is not missed.
    let mut useless =
        view.outdated().rev().filter(|(ordinal, pod)| is_useless(view, *ordinal, pod));
    if let Some((ordinal, pod)) = useless.next() {
        return Turn::Do(Step::DeletePod(ordinal, pod.uid.clone()));
    }
    if let Some(wait) = unsettled(view) {
        return Turn::Wait(wait);
    }
    let leader = view.told().map(|told| told.leader);
    let leads = |ordinal: Ordinal| view.seat(ordinal).is_some_and(|(id, _)| Some(id) == leader);
    let follower = view.outdated().rev().find(|(ordinal, _)| !leads(*ordinal));
    let (ordinal, pod) = follower.unwrap_or(last);
    let name = view.pod_name(ordinal);
    if let Some((id, member)) = view.seat(ordinal)
        && !member.is_learner
    {
        if !view.can_restart(id) {
            return Turn::Wait(format!("a quorum serves without {name}"));
        }
        if leads(ordinal)
            && !view.is_overdue()
            && let Some((to, heir)) = view.heir(id)
        {
            return Turn::Do(Step::TransferLeadership { from: ordinal, to, heir });
        }
    }
    if !keeps_volume(view, ordinal) {
        return Turn::Wait(format!("{name} is replaced, as its volume goes"));
    }
    Turn::Do(Step::DeletePod(ordinal, pod.uid.clone()))
}

fn is_supervised(view: &View<'_>) -> bool {
    match view.spec.update.strategy {
        UpdateStrategy::Automatic => false,
        UpdateStrategy::Supervised => true,
    }
}

/// Whether nobody loses anything if the pod goes: it is not ready, and its member does not serve.
fn is_useless(view: &View<'_>, ordinal: Ordinal, pod: &PodSeen) -> bool {
    let serves = view.seat(ordinal).is_some_and(|(_, member)| member.health.is_serving());
    !pod.is_deleting && pod.ready_since.is_none() && !serves && keeps_volume(view, ordinal)
}

/// Whether the volume stays if the pod goes.
fn keeps_volume(view: &View<'_>, ordinal: Ordinal) -> bool {
    view.seat(ordinal).is_none() || view.volume(ordinal).is_none_or(|volume| !volume.is_deleting)
}

/// What keeps the next pod from being restarted, if anything does.
fn unsettled(view: &View<'_>) -> Option<String> {
    if view.learners().next().is_some() {
        return Some("the learner votes before another pod is restarted".to_owned());
    }
    let replicas = view.seen.stateful_set.as_ref().map_or(0, |set| set.replicas);
    for ordinal in (0..replicas.min(view.spec.replicas)).map(Ordinal) {
        let name = view.pod_name(ordinal);
        let Some(pod) = view.pod(ordinal).filter(|pod| !pod.is_deleting) else {
            return Some(format!("pod {name} comes back"));
        };
        if view.revision().is_some_and(|wanted| wanted != pod.revision) {
            continue;
        }
        let is_stable = pod
            .ready_since
            .is_some_and(|since| view.has_passed(since, view.spec.update.stabilization_seconds));
        let is_fit = view.seat(ordinal).is_none_or(|(_, member)| view.is_caught_up(member));
        if !is_stable || !is_fit {
            return Some(format!("pod {name}, which was changed, serves and is stable"));
        }
    }
    None
}
