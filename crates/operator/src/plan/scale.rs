//! Members that come and go, one at a time.

use super::decide::Turn;
use super::step::Step;
use super::view::View;
use crate::crd::Retention;

/// Makes the learner a voter once it has caught up, or drops it if it is not wanted any more.
pub(super) fn learner(view: &View<'_>) -> Turn {
    let mut wait = Turn::Pass;
    for (ordinal, id, member) in view.seats().filter(|(.., member)| member.is_learner) {
        let is_wanted = ordinal.0 < view.spec.replicas || view.spec.replicas == 0;
        if !is_wanted {
            return Turn::Do(Step::RemoveMember(ordinal, id));
        }
        // Whoever votes can be known by its volume alone, whatever else is lost.
        let is_marked = view
            .volume(ordinal)
            .is_some_and(|volume| volume.mark.member_id == Some(id) && !volume.is_deleting);
        if member.has_started && is_marked && view.is_caught_up(member) {
            return Turn::Do(Step::Promote(ordinal, id));
        }
        wait = Turn::Wait(format!("{} catches up", view.pod_name(ordinal)));
    }
    wait
}

/// Adds the lowest place that is asked for and has no member: its pod waits for that with an empty
/// volume.
pub(super) fn newcomer(view: &View<'_>) -> Turn {
    let Some(told) = view.told() else { return Turn::Pass };
    if view.learners().next().is_some() {
        return Turn::Pass;
    }
    let Some(ordinal) = view.wanted().find(|ordinal| view.seat(*ordinal).is_none()) else {
        return Turn::Pass;
    };
    let wait = || Turn::Wait(format!("pod {} runs", view.pod_name(ordinal)));
    let (Some(pod), Some(volume)) = (view.pod(ordinal), view.volume(ordinal)) else {
        return wait();
    };
    if !pod.admission.is_awaiting() || pod.is_deleting || volume.is_deleting {
        return wait();
    }
    if volume.mark.cluster_id.is_none() {
        return Turn::Do(Step::MarkVolume {
            ordinal,
            uid: volume.uid.clone(),
            cluster_id: Some(told.cluster_id),
            member_id: None,
            is_owned: volume.mark.is_owned,
        });
    }
    Turn::Do(Step::AddLearner(ordinal))
}

/// Removes the highest member that is not asked for. Its pod goes afterwards.
pub(super) fn leaver(view: &View<'_>) -> Turn {
    if view.spec.replicas == 0 {
        return Turn::Pass;
    }
    let last = view.seats().next_back();
    let Some((ordinal, id, _)) = last.filter(|(ordinal, ..)| view.spec.replicas <= ordinal.0)
    else {
        return Turn::Pass;
    };
    let name = view.pod_name(ordinal);
    if !view.can_spare_member(id) {
        return Turn::Wait(format!("a quorum serves without {name}"));
    }
    let leads = view.told().is_some_and(|told| told.leader == id);
    if leads && !view.is_overdue() {
        return match view.heir(id) {
            Some((to, heir)) => Turn::Do(Step::TransferLeadership { from: ordinal, to, heir }),
            None => Turn::Wait(format!("another member can lead instead of {name}")),
        };
    }
    Turn::Do(Step::RemoveMember(ordinal, id))
}

/// Deletes the volume of a place that is asked for no more, if that is wished.
pub(super) fn volume_left(view: &View<'_>) -> Turn {
    let (Some(told), Some(set)) = (view.told(), &view.seen.stateful_set) else {
        return Turn::Pass;
    };
    let is_wished = match view.spec.storage.retention.when_scaled {
        Retention::Retain => false,
        Retention::Delete => view.spec.replicas != 0,
    };
    let pods = set.replicas.max(view.pods_wanted());
    for (ordinal, volume) in view.seen.volumes.iter().rev() {
        let is_beyond = pods <= ordinal.0 && view.pod(*ordinal).is_none();
        let is_needed = volume.mark.member_id.is_some_and(|id| told.members.contains_key(&id));
        if is_wished && is_beyond && !is_needed && !volume.is_deleting {
            return Turn::Do(Step::DeleteVolume(*ordinal, volume.uid.clone()));
        }
    }
    Turn::Pass
}
