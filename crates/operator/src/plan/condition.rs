//! What is true and false of a cluster, and why.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

use super::certificate;
use super::decide::Decision;
use super::observed::Home;
use super::refuse::Refusal;
use super::view::{Identity, View, quorum};
use crate::crd::{
    Condition, ConditionStatus, ConditionType, MemberPhase, MemberRole, OperationType,
    RaftClusterStatus, Reason, TlsSource, UpdateStrategy,
};

/// So long before it ends, a certificate is said to expire.
const EXPIRY: SignedDuration = SignedDuration::from_hours(24);

/// What is said of one condition.
struct Verdict(ConditionStatus, Reason, String);

/// Makes all conditions. One that stays as it is keeps its time.
pub(super) fn conditions(
    view: &View<'_>,
    decision: &Decision,
    status: &RaftClusterStatus,
) -> Vec<Condition> {
    let available = available(view);
    let verdict = |kind| match kind {
        ConditionType::Ready => ready(view, decision, status, &available),
        ConditionType::Available => {
            let Verdict(state, reason, text) = &available;
            Verdict(*state, *reason, text.clone())
        }
        ConditionType::Progressing => progressing(view, decision, status),
        ConditionType::Degraded => degraded(view, status),
        ConditionType::MembersUpdated => updated(view, decision),
        ConditionType::ScaleComplete => scaled(view),
        ConditionType::StorageReady => storage(view),
        ConditionType::TLSReady => tls(view),
        ConditionType::ClusterIDConsistent => consistent(decision),
    };
    let before = &view.seen.cluster.status.conditions;
    let make = |kind: &ConditionType| {
        let Verdict(state, reason, message) = verdict(*kind);
        let same = before.iter().find(|found| found.r#type == *kind && found.status == state);
        Condition {
            r#type: *kind,
            status: state,
            observed_generation: view.seen.cluster.generation,
            last_transition_time: same
                .map_or(Time(view.seen.now), |found| found.last_transition_time.clone()),
            reason,
            message,
        }
    };
    ConditionType::ALL.iter().map(make).collect()
}

fn yes(reason: Reason, message: &str) -> Verdict {
    Verdict(ConditionStatus::True, reason, message.to_owned())
}

fn no(reason: Reason, message: &str) -> Verdict {
    Verdict(ConditionStatus::False, reason, message.to_owned())
}

fn ready(
    view: &View<'_>,
    decision: &Decision,
    status: &RaftClusterStatus,
    Verdict(is_available, why, text): &Verdict,
) -> Verdict {
    if let Some(refusal) = &decision.refusal {
        return no(refusal.reason(), refusal.message());
    }
    let is_complete = view.spec.replicas == status.ready_members;
    if view.spec.paused {
        let text = "the operator keeps its hands off, as spec.paused says";
        return if is_complete { yes(Reason::Paused, text) } else { no(Reason::Paused, text) };
    }
    let operation = status.operation.as_ref();
    if view.spec.replicas == 0 {
        let text = "asked for no members; volumes are kept";
        return match operation {
            None => yes(Reason::Hibernated, text),
            Some(_) => no(Reason::Hibernated, "members end; volumes are kept"),
        };
    }
    let resumes = operation.is_some_and(|operation| {
        operation.r#type == OperationType::Resume && view.seen.now <= operation.deadline.0
    });
    if *is_available != ConditionStatus::True {
        if resumes && *why != Reason::DataLost {
            return no(Reason::Bootstrapping, "members come back to their volumes");
        }
        return Verdict(ConditionStatus::False, *why, text.clone());
    }
    let Some(operation) = operation else {
        return if is_complete {
            yes(Reason::Healthy, "all members serve")
        } else {
            no(Reason::Repairing, &missing(status))
        };
    };
    let reason = match operation.r#type {
        OperationType::Bootstrap | OperationType::Resume => Reason::Bootstrapping,
        OperationType::ScaleOut | OperationType::ScaleIn | OperationType::Hibernate => {
            Reason::Scaling
        }
        OperationType::Update => Reason::Updating,
        OperationType::Replace => Reason::Repairing,
    };
    no(reason, &operation.message)
}

/// Who is missing, in a sentence.
fn missing(status: &RaftClusterStatus) -> String {
    let missing = status.members.iter().filter(|member| !member.ready || !is_fit(member.phase));
    let names: Vec<&str> = missing.map(|member| member.name.as_str()).collect();
    format!("not serving: {}", names.join(", "))
}

fn is_fit(phase: MemberPhase) -> bool {
    match phase {
        MemberPhase::Ready => true,
        MemberPhase::Pending
        | MemberPhase::Joining
        | MemberPhase::Syncing
        | MemberPhase::Unhealthy
        | MemberPhase::Replacing
        | MemberPhase::Leaving => false,
    }
}

fn available(view: &View<'_>) -> Verdict {
    if view.told().is_some() {
        return yes(Reason::QuorumHealthy, "a quorum follows the leader");
    }
    if view.spec.replicas == 0 {
        return no(Reason::Hibernated, "asked for no members");
    }
    if view.identity == Identity::Unborn {
        return no(Reason::Bootstrapping, "the cluster is being founded");
    }
    let known = &view.seen.cluster.status.quorum;
    let voters = known.as_ref().map_or(view.spec.replicas, |quorum| quorum.voters);
    let voters = usize::try_from(voters).unwrap_or(usize::MAX).max(1);
    let pods = || view.seen.pods.values();
    let empty = pods().filter(|pod| pod.admission.is_awaiting()).count();
    if voters < empty + quorum(voters) {
        let text = format!(
            "{empty} of {voters} members run on empty volumes, and a quorum needs {}: restore the \
             volumes; nothing is founded anew",
            quorum(voters)
        );
        return no(Reason::DataLost, &text);
    }
    let runs = pods().filter(|pod| pod.state.is_running() && !pod.is_deleting).count();
    if runs < quorum(voters) {
        let text = format!(
            "{runs} of {voters} members run, and a quorum needs {}: nothing is touched until they \
             are back",
            quorum(voters)
        );
        return no(Reason::QuorumLost, &text);
    }
    let serving = pods().filter(|pod| pod.ready_since.is_some() && !pod.is_deleting).count();
    if quorum(voters) <= serving {
        let text = "members are ready, and none answers the operator";
        return Verdict(ConditionStatus::Unknown, Reason::Unreachable, text.to_owned());
    }
    no(Reason::NoLeader, "members run, and none says that it leads")
}

fn progressing(view: &View<'_>, decision: &Decision, status: &RaftClusterStatus) -> Verdict {
    if let Some(refusal) = &decision.refusal {
        return no(refusal.reason(), refusal.message());
    }
    if view.spec.paused {
        return no(Reason::Paused, "spec.paused is set");
    }
    let Some(operation) = &status.operation else {
        return no(Reason::Reconciled, "all is as asked for");
    };
    if operation.deadline.0 < view.seen.now {
        return no(Reason::DeadlineExceeded, &operation.message);
    }
    let reason = match operation.r#type {
        OperationType::Bootstrap | OperationType::Resume => Reason::Bootstrapping,
        OperationType::ScaleOut => Reason::ScalingOut,
        OperationType::ScaleIn | OperationType::Hibernate => Reason::ScalingIn,
        OperationType::Update => Reason::Updating,
        OperationType::Replace => Reason::Repairing,
    };
    yes(reason, &operation.message)
}

fn degraded(view: &View<'_>, status: &RaftClusterStatus) -> Verdict {
    if view.told().is_none() {
        return no(Reason::NoLeader, "clients are not served at all");
    }
    if view.voters().any(|(_, member)| !member.health.is_serving()) {
        return yes(Reason::MemberDown, &missing(status));
    }
    let overdue =
        status.operation.as_ref().is_some_and(|operation| operation.deadline.0 < view.seen.now);
    let learner = status.members.iter().find(|member| member.role == MemberRole::Learner);
    match learner.filter(|_| overdue) {
        Some(learner) => yes(Reason::LearnerStuck, &format!("{} does not catch up", learner.name)),
        None => no(Reason::AllMembersServe, "all voters serve"),
    }
}

fn updated(view: &View<'_>, decision: &Decision) -> Verdict {
    if let Some(Refusal::Version(reason, text)) = &decision.refusal {
        return no(*reason, text);
    }
    let outdated: Vec<String> =
        view.outdated().map(|(ordinal, _)| view.pod_name(ordinal)).collect();
    if outdated.is_empty() && (view.revision().is_some() || view.spec.replicas == 0) {
        return yes(Reason::AllUpdated, "all pods are as asked for");
    }
    let text = match outdated.is_empty() {
        true => "pods are about to be compared".to_owned(),
        false => format!("to be restarted: {}", outdated.join(", ")),
    };
    match view.spec.update.strategy {
        UpdateStrategy::Supervised => no(Reason::WaitingForUser, &text),
        UpdateStrategy::Automatic if decision.step.is_none() => {
            let wait = decision.waits.first().map_or("", String::as_str);
            no(Reason::WaitingForQuorum, &format!("{text}; first: {wait}"))
        }
        UpdateStrategy::Automatic => no(Reason::Updating, &text),
    }
}

fn scaled(view: &View<'_>) -> Verdict {
    let asked = usize::try_from(view.spec.replicas).unwrap_or(usize::MAX);
    if asked == 0 {
        return yes(Reason::Hibernated, "asked for no members; those that there are sleep");
    }
    if view.told().is_none() {
        let text = "nobody tells who votes".to_owned();
        return Verdict(ConditionStatus::Unknown, Reason::NoLeader, text);
    }
    let voters = view.voters().count();
    let text = format!("{voters} voters of {asked}");
    let has_learner = view.learners().next().is_some();
    if voters < asked {
        no(Reason::ScalingOut, &text)
    } else if asked < voters || has_learner {
        no(Reason::ScalingIn, &text)
    } else {
        yes(Reason::AsRequested, &text)
    }
}

fn storage(view: &View<'_>) -> Verdict {
    let seats = view.seats().map(|(ordinal, _, member)| (ordinal, member.has_started));
    let lost = seats.filter(|(ordinal, has_started)| {
        let volume = view.volume(*ordinal);
        *has_started && volume.is_none_or(|volume| volume.is_deleting || volume.home == Home::Gone)
    });
    let lost: Vec<String> = lost.map(|(ordinal, _)| view.pod_name(ordinal)).collect();
    if !lost.is_empty() {
        return no(Reason::VolumeLost, &format!("volumes are gone: {}", lost.join(", ")));
    }
    let is_bound = |volume: Option<&super::observed::VolumeSeen>| {
        volume.is_some_and(|volume| volume.home != Home::Unbound)
    };
    let pending = view.wanted().filter(|ordinal| !is_bound(view.volume(*ordinal)));
    let pending: Vec<String> = pending.map(|ordinal| view.pod_name(ordinal)).collect();
    if pending.is_empty() {
        yes(Reason::Bound, "every member has its volume")
    } else {
        no(Reason::VolumePending, &format!("volumes are to come: {}", pending.join(", ")))
    }
}

fn tls(view: &View<'_>) -> Verdict {
    let is_off = |source: &TlsSource| source.disabled.is_some();
    if is_off(&view.spec.tls.client) && is_off(&view.spec.tls.peer) {
        return yes(Reason::Off, "connections are in the clear, as asked for");
    }
    let certificates = &view.seen.certificates;
    if certificates.values().any(|seen| seen.leaf.is_none()) {
        return no(Reason::Missing, "certificates are to be made");
    }
    let issued = &view.seen.issued;
    if issued.values().any(Option::is_none) {
        let text = "cert-manager has not issued the certificates: its Certificate objects say why";
        return no(Reason::Missing, text);
    }
    let ends = issued.values().flatten().map(|validity| validity.not_after);
    match ends.chain(certificate::first_to_expire(certificates)).min() {
        Some(end) if end.duration_since(view.seen.now) <= EXPIRY => {
            no(Reason::Expiring, "a certificate expires within a day")
        }
        Some(_) | None => yes(Reason::Valid, valid(view)),
    }
}

fn valid(view: &View<'_>) -> &'static str {
    let is_given = |source: &TlsSource| source.secret_ref.is_some();
    if is_given(&view.spec.tls.client) || is_given(&view.spec.tls.peer) {
        "certificates come from Secrets that were given; whoever made those watches their lives"
    } else {
        "certificates are valid"
    }
}

fn consistent(decision: &Decision) -> Verdict {
    match &decision.refusal {
        Some(Refusal::Mismatch(text)) => no(Reason::Mismatch, text),
        Some(Refusal::Contradiction(_) | Refusal::Version(..)) | None => {
            yes(Reason::Consistent, "all members and volumes are of one cluster")
        }
    }
}
