//! What is known of the cluster beside its keys: who the members are, alarms, and versions.
//!
//! Who votes is not here: that is in the configuration, which the core has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec::{DecodeError, Reader, alarm_kind, attributes, bytes, length};
use crate::command::{AlarmAction, AlarmKind, MembershipContext};
use crate::members::MemberAttributes;
use crate::response::Rejection;

/// A copy shares everything until one of the two is changed.
///
/// Invariant: who was removed is not among the members, and has no alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) members: Arc<BTreeMap<u64, MemberAttributes>>,
    pub(crate) removed: Arc<BTreeSet<u64>>,
    pub(crate) alarms: Arc<BTreeSet<(u64, AlarmKind)>>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) downgrade: Option<Arc<str>>,
}

impl Cluster {
    pub(crate) fn has_alarm(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|(_, raised)| *raised == kind)
    }

    // === Members ===

    /// Tells whether a change of the configuration is possible.
    pub(crate) fn check(&self, context: &MembershipContext) -> Result<(), Rejection> {
        match context {
            MembershipContext::Added { member, attributes } => {
                if self.removed.contains(member) {
                    return Err(Rejection::MemberNotFound);
                }
                if self.members.contains_key(member) {
                    return Err(Rejection::MemberExists);
                }
                self.check_peer_urls(*member, &attributes.peer_urls)
            }
            MembershipContext::Promoted { member } | MembershipContext::Removed { member } => {
                self.member(*member).map(|_| ())
            }
        }
    }

    /// Follows a change of the configuration. A member that was removed stays so, and one that is
    /// there keeps what it has published.
    pub(crate) fn follow(&mut self, context: &MembershipContext) {
        match context {
            MembershipContext::Added { member, attributes } => {
                if !self.removed.contains(member) {
                    let members = Arc::make_mut(&mut self.members);
                    members.entry(*member).or_insert_with(|| attributes.clone());
                }
            }
            MembershipContext::Promoted { member } => {
                if self.members.get(member).is_some_and(|known| known.becomes_voter) {
                    let members = Arc::make_mut(&mut self.members);
                    members.entry(*member).or_default().becomes_voter = false;
                }
            }
            MembershipContext::Removed { member } => {
                Arc::make_mut(&mut self.members).remove(member);
                Arc::make_mut(&mut self.removed).insert(*member);
                Arc::make_mut(&mut self.alarms).retain(|(other, _)| other != member);
            }
        }
        let member = context.member();
        let (is_removed, is_member) =
            (self.removed.contains(&member), self.members.contains_key(&member));
        assert!(!(is_removed && is_member), "member {member} was removed, and is a member");
    }

    pub(crate) fn publish(
        &mut self,
        member: u64,
        name: &str,
        client_urls: &[String],
    ) -> Result<(), Rejection> {
        self.member(member)?;
        let attributes = Arc::make_mut(&mut self.members).entry(member).or_default();
        name.clone_into(&mut attributes.name);
        client_urls.clone_into(&mut attributes.client_urls);
        Ok(())
    }

    pub(crate) fn update(&mut self, member: u64, peer_urls: &[String]) -> Result<(), Rejection> {
        self.member(member)?;
        self.check_peer_urls(member, peer_urls)?;
        let attributes = Arc::make_mut(&mut self.members).entry(member).or_default();
        peer_urls.clone_into(&mut attributes.peer_urls);
        Ok(())
    }

    fn member(&self, member: u64) -> Result<&MemberAttributes, Rejection> {
        self.members.get(&member).ok_or(Rejection::MemberNotFound)
    }

    fn check_peer_urls(&self, member: u64, peer_urls: &[String]) -> Result<(), Rejection> {
        let mut others = self.members.iter().filter(|(other, _)| **other != member);
        let is_taken =
            others.any(|(_, other)| other.peer_urls.iter().any(|url| peer_urls.contains(url)));
        if is_taken { Err(Rejection::PeerUrlExists) } else { Ok(()) }
    }

    // === Alarms and versions ===

    /// Raises or lowers alarms and returns those that are meant: one that is raised already is, one
    /// that is not there to be lowered is not.
    pub(crate) fn alarm(
        &mut self,
        action: AlarmAction,
        member: u64,
        kind: AlarmKind,
    ) -> Vec<(u64, AlarmKind)> {
        match (action, kind) {
            (AlarmAction::Activate, AlarmKind::None) => Vec::new(),
            (AlarmAction::Activate, AlarmKind::NoSpace | AlarmKind::Corrupt) => {
                Arc::make_mut(&mut self.alarms).insert((member, kind));
                vec![(member, kind)]
            }
            (AlarmAction::Deactivate, _) => {
                let is_meant = |alarm: &(u64, AlarmKind)| {
                    (member == 0 || member == alarm.0)
                        && (kind == AlarmKind::None || kind == alarm.1)
                };
                let lowered: Vec<_> = self.alarms.iter().copied().filter(is_meant).collect();
                if !lowered.is_empty() {
                    Arc::make_mut(&mut self.alarms).retain(|alarm| !is_meant(alarm));
                }
                lowered
            }
        }
    }

    pub(crate) fn downgrade(&mut self, target: Option<&str>) -> Result<(), Rejection> {
        match (&self.downgrade, target) {
            (Some(_), Some(_)) => return Err(Rejection::DowngradeInProgress),
            (None, None) => return Err(Rejection::NoDowngrade),
            (Some(_), None) | (None, Some(_)) => self.downgrade = target.map(Arc::from),
        }
        Ok(())
    }

    // === As bytes, in images ===

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        length(out, self.members.len());
        for (member, known) in &*self.members {
            out.extend_from_slice(&member.to_le_bytes());
            attributes(out, known);
        }
        length(out, self.removed.len());
        for member in &*self.removed {
            out.extend_from_slice(&member.to_le_bytes());
        }
        length(out, self.alarms.len());
        for (member, kind) in &*self.alarms {
            out.extend_from_slice(&member.to_le_bytes());
            out.push(alarm_kind(*kind));
        }
        for text in [&self.version, &self.downgrade] {
            out.push(u8::from(text.is_some()));
            if let Some(text) = text {
                bytes(out, text.as_bytes());
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Cluster, DecodeError> {
        let members = reader.list(21, |reader| Ok((reader.unsigned()?, reader.attributes()?)))?;
        let removed = reader.list(8, Reader::unsigned)?;
        let alarms = reader.list(9, |reader| Ok((reader.unsigned()?, reader.alarm_kind()?)))?;
        let mut text = || match reader.byte()? {
            0 => Ok(None),
            1 => Ok(Some(Arc::from(reader.text()?))),
            other => Err(reader.unknown("mark of a version", other)),
        };
        Ok(Cluster {
            version: text()?,
            downgrade: text()?,
            members: Arc::new(members.into_iter().collect()),
            removed: Arc::new(removed.into_iter().collect()),
            alarms: Arc::new(alarms.into_iter().collect()),
        })
    }
}
