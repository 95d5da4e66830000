//! Certificates that the operator makes: when they are made, and when the next ones are.
//!
//! ```text
//!  authority   ├──────────── A ────────────┤
//!                              ├──────────── B ──────────── …   added to the bundle beside A, and
//!                                                               shared with clients at once
//!  certificates  ├─ by A ─┤├─ by A ─┤  ├─ by B ─┤              once everybody has read the bundle
//!                                         A leaves the bundle   once everybody has read those
//! ```
//!
//! Whoever connects at any moment finds the authority of the other side in its own bundle. Members
//! read changed files by themselves; nothing is restarted.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Within this time, every node has shown every pod a changed Secret, and every pod has read it.
pub const SETTLE: SignedDuration = SignedDuration::from_mins(5);

/// A certificate is renewed when less than this part of its life is left: one in three.
const RENEWAL_PART: i32 = 3;

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Members show it to members.
    Peer,
    /// Members show it to clients, and clients to members.
    Client,
}

/// Certificates that exist. Only audiences whose certificates the operator makes have an entry.
pub type CertificatesSeen = BTreeMap<Audience, AudienceSeen>;

/// What there is for one audience.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AudienceSeen {
    /// The authorities in the bundle, from oldest to newest. The newest signs.
    pub authorities: Vec<Validity>,
    /// When the bundle last changed. `None` if there is none.
    pub bundle_since: Option<Timestamp>,
    /// The certificate, if there is one.
    pub leaf: Option<LeafSeen>,
}

/// A certificate that exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeafSeen {
    /// Its life.
    pub validity: Validity,
    /// Whether the newest authority signed it.
    pub is_by_newest: bool,
    /// Whether it names all that it should.
    pub is_complete: bool,
    /// Whether clients find in its Secret the bundle that members have.
    pub is_bundle_shared: bool,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// What is done about certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStep {
    /// Make an authority, and add it to the bundle.
    AddAuthority(Audience),
    /// Let the newest authority sign a certificate.
    IssueLeaf(Audience),
    /// Copy the bundle to where clients find it, and leave the certificate as it is.
    ShareBundle(Audience),
    /// Take all authorities but the newest out of the bundle.
    RetireAuthorities(Audience),
}

/// Returns what is to be done first, if anything.
pub(super) fn step(seen: &CertificatesSeen, now: Timestamp) -> Option<CertificateStep> {
    seen.iter().find_map(|(audience, seen)| step_for(*audience, seen, now))
}

fn step_for(audience: Audience, seen: &AudienceSeen, now: Timestamp) -> Option<CertificateStep> {
    let Some(newest) = seen.authorities.last() else {
        return Some(CertificateStep::AddAuthority(audience));
    };
    let Some(leaf) = &seen.leaf else {
        return Some(CertificateStep::IssueLeaf(audience));
    };
    if newest.is_due(now) {
        return Some(CertificateStep::AddAuthority(audience));
    }
    // At once: clients have to know the next authority before it signs.
    if !leaf.is_bundle_shared {
        return Some(CertificateStep::ShareBundle(audience));
    }
    let is_bundle_read = seen.bundle_since.is_none_or(|since| SETTLE <= now.duration_since(since));
    if leaf.is_by_newest {
        let is_leaf_read = SETTLE <= now.duration_since(leaf.validity.not_before);
        if 1 < seen.authorities.len() && is_bundle_read && is_leaf_read && leaf.is_complete {
            return Some(CertificateStep::RetireAuthorities(audience));
        }
        let is_renewed = leaf.validity.is_due(now) || !leaf.is_complete;
        return is_renewed.then_some(CertificateStep::IssueLeaf(audience));
    }
    // Its authority is on the way out, and the next one may not be known everywhere yet. Only a
    // certificate that is valid no more is no loss.
    let is_lost = leaf.validity.not_after <= now;
    (is_bundle_read || is_lost).then_some(CertificateStep::IssueLeaf(audience))
}

/// Returns when the first certificate of all expires.
pub(super) fn first_to_expire(seen: &CertificatesSeen) -> Option<Timestamp> {
    let lives = seen.values().flat_map(|seen| {
        seen.authorities.last().into_iter().chain(seen.leaf.as_ref().map(|leaf| &leaf.validity))
    });
    lives.map(|life| life.not_after).min()
}

impl Validity {
    /// Whether so little is left that the next one is to be made.
    fn is_due(self, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        self.not_after.duration_since(now) <= life / RENEWAL_PART
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Audience::Peer => "peer",
            Audience::Client => "client",
        })
    }
}

impl fmt::Display for CertificateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateStep::AddAuthority(audience) => write!(f, "add authority {audience}"),
            CertificateStep::IssueLeaf(audience) => write!(f, "issue certificate {audience}"),
            CertificateStep::ShareBundle(audience) => write!(f, "share bundle {audience}"),
            CertificateStep::RetireAuthorities(audience) => {
                write!(f, "retire authorities {audience}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
