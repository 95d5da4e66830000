//! What clients may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::{Membership, Payload};
use store::{Machine, MemberAttributes, MembershipContext};

use super::Replica;
use super::change::decode_context;
use crate::output::Published;

/// What was published last.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) published: Arc<Published>,
    /// The contents take less memory than what is published, though they are equal.
    pub(super) is_stale: bool,
}

impl Replica {
    /// Publishes the state, if clients could tell it from what was published last.
    pub(super) fn publish(&mut self) {
        if self.machine.removed().contains(&self.id.0) && !self.is_removal_told {
            self.is_removal_told = true;
            self.out.removed = true;
        }
        let last = &self.shown.published;
        let core = &self.core;
        let is_same = last.applied == self.applied
            && last.term == core.term()
            && last.role == core.role()
            && last.leader == core.leader()
            && *last.membership == *core.membership();
        if is_same && !self.shown.is_stale {
            return;
        }
        let published = Arc::new(self.published_now());
        self.shown = Shown { published: published.clone(), is_stale: false };
        self.out.published = Some(published);
    }

    fn published_now(&self) -> Published {
        let (core, machine, last) = (&self.core, &self.machine, &*self.shown.published);
        let membership = if *last.membership == *core.membership() {
            last.membership.clone()
        } else {
            Arc::new(core.membership().clone())
        };
        Published {
            view: machine.view(),
            applied: self.applied,
            term: core.term(),
            role: core.role(),
            leader: core.leader(),
            membership,
            members: self.members_now(),
            removed: machine.removed().clone(),
            alarms: machine.alarms().clone(),
            cluster_version: machine.cluster_version().unwrap_or(&last.cluster_version).clone(),
            downgrade: machine.downgrade().cloned(),
        }
    }

    /// Names and addresses of the members, also of one whose addition is not committed yet: it may
    /// take that member itself to commit it.
    fn members_now(&self) -> Arc<BTreeMap<u64, MemberAttributes>> {
        let mut members = self.machine.members().clone();
        if *self.core.membership() == self.applied_membership {
            return members;
        }
        let entries = self.core.entries().filter(|entry| self.applied.index < entry.index);
        for entry in entries {
            if let Payload::Membership(change) = &entry.payload
                && let Ok((_, context)) = decode_context(&change.context)
                && let MembershipContext::Added { member, attributes } = context
            {
                let members = Arc::make_mut(&mut members);
                members.entry(member).or_insert(attributes);
            }
        }
        members
    }
}

impl Shown {
    /// What a member that starts shows at first.
    pub(super) fn first(core: &raft::Raft, machine: &Machine, membership: Membership) -> Shown {
        let status = core.status();
        let published = Arc::new(Published {
            view: machine.view(),
            applied: raft::EntryId::ZERO,
            term: status.term,
            role: status.role,
            leader: None,
            membership: Arc::new(membership),
            members: machine.members().clone(),
            removed: machine.removed().clone(),
            alarms: machine.alarms().clone(),
            cluster_version: machine.cluster_version().cloned().unwrap_or_else(|| Arc::from("")),
            downgrade: machine.downgrade().cloned(),
        });
        Shown { published, is_stale: true }
    }
}
