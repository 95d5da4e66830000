//! Members whose data is lost: taken out, and their places made empty for the next.

use super::decide::Turn;
use super::observed::{Admission, Home};
use super::step::Step;
use super::view::{Loss, View};

/// Removes a member whose data is lost, if a quorum goes on without it.
pub(super) fn lost_member(view: &View<'_>) -> Turn {
    let mut wait = Turn::Pass;
    for (ordinal, id, member) in view.seats() {
        let Some(loss) = view.loss(ordinal) else { continue };
        let name = view.pod_name(ordinal);
        if !member.has_started && loss == Loss::Gone {
            // It never had data; what comes to its place takes its ID.
            continue;
        }
        if !view.spec.repair.enabled {
            wait = Turn::Wait(format!("{name} lost its data, and repair is not enabled"));
            continue;
        }
        let is_due = match loss {
            Loss::Doomed => true,
            Loss::Gone => view.silent_since(ordinal, id).is_some_and(|since| {
                view.has_passed(since, view.spec.repair.replace_after_seconds)
            }),
        };
        if !is_due {
            wait = Turn::Wait(format!("{name} lost its data; it is replaced if it stays away"));
            continue;
        }
        if !member.is_learner && !view.can_spare_member(id) {
            wait = Turn::Wait(format!("{name} lost its data, and is needed for a quorum"));
            continue;
        }
        let leads = view.told().is_some_and(|told| told.leader == id);
        if let (true, Some((to, heir)), false) = (leads, view.heir(id), view.is_overdue()) {
            return Turn::Do(Step::TransferLeadership { from: ordinal, to, heir });
        }
        return Turn::Do(Step::RemoveMember(ordinal, id));
    }
    wait
}

/// Empties places that are asked for, have no member, and still hold what one left.
pub(super) fn leftover(view: &View<'_>) -> Turn {
    let Some(told) = view.told() else { return Turn::Pass };
    for ordinal in view.wanted() {
        if view.seat(ordinal).is_some() {
            continue;
        }
        let pod = view.pod(ordinal);
        let held = pod.and_then(|pod| match &pod.admission {
            Admission::Member { member_id, .. } => Some(*member_id),
            Admission::Silent | Admission::Awaiting(_) => None,
        });
        let Some(volume) = view.volume(ordinal) else {
            // Kubernetes makes a volume only together with a pod.
            match pod {
                Some(pod) if !pod.is_deleting && !pod.state.is_running() => {
                    return Turn::Do(Step::DeletePod(ordinal, pod.uid.clone()));
                }
                Some(_) | None => continue,
            }
        };
        let marked = volume.mark.member_id;
        let is_needed = marked.is_some_and(|id| told.members.contains_key(&id))
            || held.is_some_and(|id| told.members.contains_key(&id));
        let is_used = marked.is_some() || held.is_some();
        if is_needed || !(is_used || volume.home == Home::Gone || volume.is_deleting) {
            continue;
        }
        if !volume.is_deleting {
            return Turn::Do(Step::DeleteVolume(ordinal, volume.uid.clone()));
        }
        if let Some(pod) = pod.filter(|pod| !pod.is_deleting) {
            return Turn::Do(Step::DeletePod(ordinal, pod.uid.clone()));
        }
        return Turn::Wait(format!("the volume of {} goes", view.pod_name(ordinal)));
    }
    Turn::Pass
}
