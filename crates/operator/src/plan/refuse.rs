//! What is asked for and not done, because it would harm.

use std::collections::BTreeSet;

use super::id::ClusterId;
use super::view::{Identity, View};
use crate::crd::Reason;

/// Why the specification is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It contradicts itself: nothing is done.
    Contradiction(String),
    /// Members or volumes are of several clusters: nothing is done.
    Mismatch(String),
    /// Its version cannot follow on the one that runs: pods are not changed.
    Version(Reason, String),
}

impl Refusal {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Refusal::Contradiction(_) => Reason::InvalidSpec,
            Refusal::Mismatch(_) => Reason::Mismatch,
            Refusal::Version(reason, _) => *reason,
        }
    }

    pub(super) fn message(&self) -> &str {
        match self {
            Refusal::Contradiction(text) | Refusal::Mismatch(text) | Refusal::Version(_, text) => {
                text
            }
        }
    }
}

/// Returns the most grave reason not to follow the specification.
pub(super) fn refusal(view: &View<'_>) -> Option<Refusal> {
    if let Identity::Mixed(ids) = &view.identity {
        return Some(Refusal::Mismatch(mismatch(ids)));
    }
    let replicas = view.spec.replicas;
    if 9 < replicas || (replicas != 0 && replicas.is_multiple_of(2)) {
        return Some(Refusal::Contradiction(format!(
            "replicas is {replicas}: ask for 1, 3, 5, 7 or 9, or for 0 to hibernate"
        )));
    }
    let Some(wanted) = version(&view.spec.version) else {
        return Some(Refusal::Contradiction(format!(
            "version is {:?}, which is not of the form 0.4.0",
            view.spec.version
        )));
    };
    let told = view.told()?;
    let running = told.members.values().filter_map(|member| member.health.version());
    let running: BTreeSet<[u32; 3]> = running.filter_map(version).collect();
    let (lowest, highest) = (running.first()?, running.last()?);
    let text = |[major, minor, patch]: &[u32; 3]| format!("{major}.{minor}.{patch}");
    if wanted[0] != lowest[0] || lowest[1] + 1 < wanted[1] {
        return Some(Refusal::Version(
            Reason::UnsupportedVersion,
            format!(
                "version {} does not follow on {}, which runs: go up by one minor version, and \
                 wait for it",
                text(&wanted),
                text(lowest)
            ),
        ));
    }
    if wanted[1] + 1 < highest[1] {
        return Some(Refusal::Version(
            Reason::DowngradeForbidden,
            format!(
                "version {} cannot read what {} wrote: go back by one minor version at most",
                text(&wanted),
                text(highest)
            ),
        ));
    }
    None
}

fn mismatch(ids: &BTreeSet<ClusterId>) -> String {
    let ids: Vec<String> = ids.iter().map(ClusterId::to_string).collect();
    format!(
        "members and volumes are of different clusters ({}): nothing is touched until the foreign \
         volumes are taken away",
        ids.join(", ")
    )
}

fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    let is_sane = version.iter().all(|number| *number < 1_000_000);
    (numbers.next().is_none() && is_sane).then_some(version)
}
