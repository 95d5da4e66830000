//! What is published: what changed in the status, and what the step does.

use super::event::{Event, EventReason, Follows, Severity};
use super::step::Step;
use super::view::View;
use crate::crd::{ConditionStatus, ConditionType, OperationType, RaftClusterStatus, Reason};

/// Makes the events.
pub(super) fn events(
    view: &View<'_>,
    step: Option<&Step>,
    status: &RaftClusterStatus,
) -> Vec<Event> {
    let mut events = changes(&view.seen.cluster.status, status);
    events.extend(step.and_then(|step| deed(view, step)));
    events
}

fn event(reason: EventReason, severity: Severity, message: String) -> Event {
    Event { reason, severity, message, follows: Follows::Status }
}

/// What a condition was and is.
fn state(
    status: &RaftClusterStatus,
    kind: ConditionType,
) -> Option<(ConditionStatus, Reason, &str)> {
    let found = status.conditions.iter().find(|found| found.r#type == kind)?;
    Some((found.status, found.reason, &found.message))
}

fn changes(before: &RaftClusterStatus, after: &RaftClusterStatus) -> Vec<Event> {
    let mut events = Vec::new();
    if let (None, Some(id)) = (&before.cluster_id, &after.cluster_id) {
        let (reason, text) = match before.operation.as_ref().map(|operation| operation.r#type) {
            Some(OperationType::Bootstrap) => (EventReason::ClusterBootstrapped, "was founded"),
            Some(_) | None => (EventReason::ClusterAdopted, "was found on volumes"),
        };
        events.push(event(reason, Severity::Normal, format!("cluster {id} {text}")));
    }
    if let (Some(old), Some(new)) = (&before.leader, &after.leader)
        && old.member_id != new.member_id
    {
        let text = format!("{} leads in term {}, after {}", new.name, new.term, old.name);
        events.push(event(EventReason::LeaderChanged, Severity::Normal, text));
    }
    let turned = |kind| (state(before, kind), state(after, kind));
    if let (Some(old), Some(new)) = turned(ConditionType::Available) {
        let was_served = old.0 == ConditionStatus::True;
        let is_served = new.0 == ConditionStatus::True;
        let is_meant = new.1 == Reason::Hibernated;
        if was_served && !is_served && !is_meant {
            events.push(event(EventReason::QuorumLost, Severity::Warning, new.2.to_owned()));
        }
        if !was_served && is_served && old.1 != Reason::Bootstrapping {
            events.push(event(EventReason::QuorumRestored, Severity::Normal, new.2.to_owned()));
        }
    }
    let warnings = [
        (ConditionType::Degraded, Reason::LearnerStuck, EventReason::LearnerStuck),
        (ConditionType::TLSReady, Reason::Expiring, EventReason::CertificateExpiring),
        (ConditionType::ClusterIDConsistent, Reason::Mismatch, EventReason::RefusedUnsafeAction),
        (ConditionType::Ready, Reason::UnsupportedVersion, EventReason::RefusedUnsafeAction),
        (ConditionType::Ready, Reason::DowngradeForbidden, EventReason::RefusedUnsafeAction),
        (ConditionType::Ready, Reason::InvalidSpec, EventReason::RefusedUnsafeAction),
        (ConditionType::Ready, Reason::DataLost, EventReason::RefusedUnsafeAction),
    ];
    for (kind, why, reason) in warnings {
        let (old, new) = turned(kind);
        if let Some((_, found, text)) = new
            && found == why
            && old.is_none_or(|(_, was, _)| was != why)
        {
            events.push(event(reason, Severity::Warning, text.to_owned()));
        }
    }
    operations(before, after, &mut events);
    events
}

/// Operations that begin, end, or are stuck.
fn operations(before: &RaftClusterStatus, after: &RaftClusterStatus, events: &mut Vec<Event>) {
    let old = before.operation.as_ref().map(|operation| operation.r#type);
    let new = after.operation.as_ref().map(|operation| operation.r#type);
    if old != new {
        if let Some(reason) = old.and_then(|kind| edge(kind, EventReason::ScaleFinished)) {
            events.push(event(reason, Severity::Normal, format!("ready: {}", after.ready)));
        }
        if let Some(reason) = new.and_then(|kind| edge(kind, EventReason::ScaleStarted)) {
            let text = after.operation.as_ref().map_or("", |operation| &operation.message);
            events.push(event(reason, Severity::Normal, text.to_owned()));
        }
    }
    let is_stuck = |status: &RaftClusterStatus| {
        state(status, ConditionType::Progressing)
            .is_some_and(|(_, reason, _)| reason == Reason::DeadlineExceeded)
    };
    if !is_stuck(before) && is_stuck(after) && new == Some(OperationType::Update) {
        let text = after.operation.as_ref().map_or("", |operation| &operation.message);
        events.push(event(EventReason::UpdateBlocked, Severity::Warning, text.to_owned()));
    }
}

/// What is said when an operation begins or ends, given what is said of scaling.
fn edge(kind: OperationType, scale: EventReason) -> Option<EventReason> {
    match kind {
        OperationType::ScaleOut | OperationType::ScaleIn => Some(scale),
        OperationType::Update if scale == EventReason::ScaleStarted => {
            Some(EventReason::UpdateStarted)
        }
        OperationType::Update => Some(EventReason::UpdateFinished),
        OperationType::Bootstrap
        | OperationType::Replace
        | OperationType::Hibernate
        | OperationType::Resume => None,
    }
}

/// What the step does, once it is done.
fn deed(view: &View<'_>, step: &Step) -> Option<Event> {
    let (reason, text) = match step {
        Step::AddLearner(ordinal) => {
            (EventReason::MemberAdded, format!("{} learns", view.pod_name(*ordinal)))
        }
        Step::Promote(ordinal, id) => {
            let text = format!("{} votes as {id}", view.pod_name(*ordinal));
            (EventReason::MemberPromoted, text)
        }
        Step::RemoveMember(ordinal, id) => {
            let text = format!("{} is no member any more, and was {id}", view.pod_name(*ordinal));
            let is_wanted = ordinal.0 < view.spec.replicas;
            let reason =
                if is_wanted { EventReason::MemberReplaced } else { EventReason::MemberRemoved };
            (reason, text)
        }
        Step::TransferLeadership { from, to, .. } => {
            let (from, to) = (view.pod_name(*from), view.pod_name(*to));
            (EventReason::LeadershipTransferred, format!("{to} is to lead instead of {from}"))
        }
        Step::DeletePod(ordinal, _) => {
            let text = format!("pod {} is made anew", view.pod_name(*ordinal));
            (EventReason::PodRecreated, text)
        }
        Step::DeleteVolume(ordinal, _) => {
            let text = format!("the volume of {} is deleted", view.pod_name(*ordinal));
            (EventReason::VolumeDeleted, text)
        }
        Step::ApplyChild(_)
        | Step::DeleteChild(..)
        | Step::ApplyBudget { .. }
        | Step::DeleteBudget(_)
        | Step::Certificate(_)
        | Step::ApplyStatefulSet { .. }
        | Step::MarkVolume { .. }
        | Step::Form { .. } => return None,
    };
    Some(Event { reason, severity: Severity::Normal, message: text, follows: Follows::Step })
}
