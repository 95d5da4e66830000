//! A member without data that founds a cluster with others.

use std::collections::BTreeMap;

use store::MemberAttributes;

use super::peer_urls::{Resolve, same_urls};
use super::{BootstrapError, InitialCluster, cluster_id, member_id};
use crate::config::{Config, Url, joined};

/// The cluster that the first members found. It is the same on all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// This member's ID.
    pub member_id: u64,
    /// All members, with their names and peer addresses.
    pub members: BTreeMap<u64, MemberAttributes>,
}

/// Who founds a cluster, as seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founders {
    /// The name of this one.
    pub name: String,
    /// All of them.
    pub initial: InitialCluster,
    /// Where this one says that it is.
    pub advertised: Vec<Url>,
    /// Goes into their IDs.
    pub token: String,
}

/// Computes the cluster that this member founds.
///
/// # Errors
///
/// If the initial cluster does not name this member, names it at other addresses than it
/// advertises, or has an address twice.
pub fn founding(config: &Config, resolve: Resolve<'_>) -> Result<Founding, BootstrapError> {
    let founders = Founders {
        name: config.name.clone(),
        initial: config.cluster.initial.clone(),
        advertised: config.urls.advertise_peer.clone(),
        token: config.cluster.token.clone(),
    };
    founding_of(&founders, resolve)
}

/// Computes the cluster that these found.
///
/// # Errors
///
/// As for [`founding`].
pub fn founding_of(founders: &Founders, resolve: Resolve<'_>) -> Result<Founding, BootstrapError> {
    let Founders { name, initial, advertised, token } = founders;
    let own = own_urls(initial, name)?;
    if !same_urls(own, advertised, resolve) {
        return Err(BootstrapError::AdvertisedElsewhere {
            initial: joined(own),
            advertised: joined(advertised),
        });
    }
    check_duplicates(initial)?;
    Ok(Founding::new(initial, token, member_id(own, token)))
}

impl Founding {
    /// The cluster of these first members, of which `member_id` is one.
    pub(crate) fn new(initial: &InitialCluster, token: &str, member_id: u64) -> Founding {
        let members: BTreeMap<u64, MemberAttributes> = initial
            .members()
            .map(|(name, urls)| {
                let attributes = MemberAttributes {
                    name: name.to_owned(),
                    peer_urls: urls.iter().map(Url::to_string).collect(),
                    ..MemberAttributes::default()
                };
                (super::member_id(urls, token), attributes)
            })
            .collect();
        assert!(members.contains_key(&member_id), "{member_id:x} is not among {initial}");
        Founding { cluster_id: cluster_id(members.keys().copied()), member_id, members }
    }
}

/// The addresses that the initial cluster has for this member.
pub(super) fn own_urls<'a>(
    initial: &'a InitialCluster,
    name: &str,
) -> Result<&'a [Url], BootstrapError> {
    initial.peer_urls(name).ok_or_else(|| BootstrapError::NameMissing {
        name: name.to_owned(),
        initial: initial.to_string(),
    })
}

/// Refuses an address that stands in the initial cluster twice.
pub(super) fn check_duplicates(initial: &InitialCluster) -> Result<(), BootstrapError> {
    match initial.duplicate() {
        Some(url) => {
            Err(BootstrapError::DuplicateUrl { initial: initial.to_string(), url: url.to_string() })
        }
        None => Ok(()),
    }
}
