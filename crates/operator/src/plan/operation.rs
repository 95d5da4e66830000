//! What is being done, over many steps.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

use super::decide::Decision;
use super::id::Ordinal;
use super::step::Step;
use super::view::{Identity, View};
use crate::crd::{Operation, OperationType};

/// Tells what is being done, if anything is.
pub(super) fn operation(view: &View<'_>, decision: &Decision) -> Option<Operation> {
    let before = view.seen.cluster.status.operation.as_ref();
    if view.spec.paused || matches!(view.identity, Identity::Mixed(_)) {
        return before.cloned();
    }
    let kind = kind(view, decision, before.map(|before| before.r#type))?;
    let doing = decision.step.as_ref().map(Step::to_string);
    let message = doing.or_else(|| decision.waits.first().cloned());
    let same = before.filter(|before| before.r#type == kind);
    let started_at = same.map_or(Time(view.seen.now), |before| before.started_at.clone());
    let span = SignedDuration::from_secs(i64::from(view.spec.progress_deadline_seconds));
    let deadline = started_at.0.checked_add(span).unwrap_or(started_at.0);
    Some(Operation {
        r#type: kind,
        message: message.unwrap_or_else(|| "members answer".to_owned()),
        member: decision.step.as_ref().and_then(of).map(|ordinal| view.pod_name(ordinal)),
        deadline: Time(deadline),
        started_at,
    })
}

fn kind(
    view: &View<'_>,
    decision: &Decision,
    before: Option<OperationType>,
) -> Option<OperationType> {
    let asked = view.spec.replicas;
    if asked == 0 {
        let sleeps = view.seen.stateful_set.as_ref().is_some_and(|set| set.replicas == 0);
        return (!sleeps || !view.seen.pods.is_empty()).then_some(OperationType::Hibernate);
    }
    if view.identity == Identity::Unborn {
        return Some(OperationType::Bootstrap);
    }
    if view.told().is_none() {
        let slept = view.seen.stateful_set.as_ref().is_none_or(|set| set.replicas == 0);
        return if slept { Some(OperationType::Resume) } else { before };
    }
    let is_lost = view.wanted().any(|ordinal| {
        view.loss(ordinal).is_some()
            && view.seat(ordinal).is_some_and(|(_, member)| member.has_started)
    });
    if is_lost {
        return Some(OperationType::Replace);
    }
    let votes = |ordinal: Ordinal| view.seat(ordinal).is_some_and(|(_, member)| !member.is_learner);
    if !view.wanted().all(votes) {
        return Some(match before {
            Some(kind @ (OperationType::Bootstrap | OperationType::Replace)) => kind,
            Some(
                OperationType::ScaleOut
                | OperationType::ScaleIn
                | OperationType::Update
                | OperationType::Hibernate
                | OperationType::Resume,
            )
            | None => {
                // A new cluster of one member grows to what was asked for first.
                if view.seen.cluster.status.cluster_id.is_none() {
                    OperationType::Bootstrap
                } else {
                    OperationType::ScaleOut
                }
            }
        });
    }
    let is_beyond = view.seats().any(|(ordinal, ..)| asked <= ordinal.0)
        || view.seen.pods.keys().any(|ordinal| asked <= ordinal.0);
    if is_beyond {
        return Some(OperationType::ScaleIn);
    }
    if view.outdated().next().is_some() || set_lags(view) {
        return Some(OperationType::Update);
    }
    // What was changed last is still settling.
    match (before, decision.waits.is_empty()) {
        (Some(kind), false) => Some(kind),
        (Some(_), true) | (None, _) => None,
    }
}

/// The StatefulSet is still to be changed.
fn set_lags(view: &View<'_>) -> bool {
    view.seen.stateful_set.as_ref().is_some_and(|set| set.digest != view.seen.wanted_pods)
}

/// Whom a step is about.
fn of(step: &Step) -> Option<Ordinal> {
    match step {
        Step::MarkVolume { ordinal, .. } | Step::Form { ordinal, .. } => Some(*ordinal),
        Step::AddLearner(ordinal)
        | Step::Promote(ordinal, _)
        | Step::RemoveMember(ordinal, _)
        | Step::DeletePod(ordinal, _)
        | Step::DeleteVolume(ordinal, _) => Some(*ordinal),
        Step::TransferLeadership { from, .. } => Some(*from),
        Step::ApplyChild(_)
        | Step::DeleteChild(..)
        | Step::ApplyBudget { .. }
        | Step::DeleteBudget(_)
        | Step::Certificate(_)
        | Step::ApplyStatefulSet { .. } => None,
    }
}
