//! Liveness: a quorum that is healed makes progress within ten election timeouts.

use std::collections::BTreeSet;

use raft::{Index, MemberId, RoleKind, Status};

use super::{Verdict, violation};

/// What a healed quorum must have come to.
#[derive(Debug)]
pub(crate) struct Demand {
    /// The members that were healed.
    pub(crate) healed: BTreeSet<MemberId>,
    /// Up to where the healed members must have applied the log; `None` as long as no command that
    /// was proposed since is acknowledged.
    pub(crate) acknowledged: Option<Index>,
    /// The healed members that have answered a read that was asked for since.
    pub(crate) read: BTreeSet<MemberId>,
}

impl Demand {
    /// What is still missing; `None` if nothing is.
    pub(crate) fn missing(&self, statuses: &[Status]) -> Option<String> {
        let healed = || statuses.iter().filter(|status| self.healed.contains(&status.id));
        let leader = healed()
            .filter(|status| status.role == RoleKind::Leader)
            .max_by_key(|status| status.term);
        let Some(leader) = leader else { return Some("there is no leader".to_owned()) };
        let Some(acknowledged) = self.acknowledged else {
            return Some(format!("{} leads, and no command is acknowledged", leader.id));
        };
        if leader.membership.is_joint() {
            return Some(format!("{} is not left", leader.membership));
        }
        for status in healed().filter(|status| leader.membership.contains(status.id)) {
            if status.applied < acknowledged {
                let (id, applied) = (status.id, status.applied);
                return Some(format!("{id} has applied {applied} and not {acknowledged}"));
            }
            if !self.read.contains(&status.id) {
                return Some(format!("{} answers no read", status.id));
            }
        }
        None
    }

    /// The time is over.
    pub(crate) fn verdict(&self, statuses: &[Status]) -> Verdict {
        match self.missing(statuses) {
            None => Ok(()),
            Some(missing) => {
                let healed: Vec<String> = self.healed.iter().map(MemberId::to_string).collect();
                let healed = healed.join(" ");
                violation("liveness", format!("{healed} are healed for long, and {missing}"))
            }
        }
    }
}
