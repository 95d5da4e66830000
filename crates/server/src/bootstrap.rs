//! Who the first members are, and who this member is among them.
//!
//! IDs are computed as etcd computes them, so that the same flags give the same IDs: that of a
//! first member from its peer addresses and the cluster's token, that of the cluster from its first
//! members. Nothing here opens a connection: the members of a cluster that exists are handed in,
//! and names are looked up through a function.

mod existing;
mod founding;
mod ids;
mod initial_cluster;
mod peer_urls;

pub use existing::{Admission, RemoteCluster, RemoteMember, admission, find_by_peer_urls};
pub use founding::{Founders, Founding, founding, founding_of};
pub use ids::{added_member_id, cluster_id, member_id, restored_cluster_id};
pub use initial_cluster::{InitialCluster, InitialClusterError};
pub use peer_urls::{Resolve, resolve, same_urls};

/// Why a member without data cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The initial cluster does not name this member.
    #[error(
        "couldn't find local name {name:?} in the initial cluster configuration, which is \
         {initial}: give --name one of its names, or add it to --initial-cluster"
    )]
    NameMissing {
        /// The member's name.
        name: String,
        /// The initial cluster.
        initial: String,
    },
    /// The initial cluster names addresses for this member that it does not advertise, or the other
    /// way round.
    #[error(
        "--initial-cluster has {initial} for this member, and --initial-advertise-peer-urls has \
         {advertised}: both must name the same addresses"
    )]
    AdvertisedElsewhere {
        /// What the initial cluster has.
        initial: String,
        /// What is advertised.
        advertised: String,
    },
    /// Two members, or one of them twice, have the same address.
    #[error("initial cluster {initial} has duplicate url {url}")]
    DuplicateUrl {
        /// The initial cluster.
        initial: String,
        /// The address.
        url: String,
    },
    /// The cluster that exists has more or fewer members.
    #[error(
        "member count is unequal: --initial-cluster has {local}, and the cluster has {remote}; \
         add this member before it starts, and name all members"
    )]
    CountUnequal {
        /// How many the flag names.
        local: usize,
        /// How many the cluster has.
        remote: usize,
    },
    /// A member of the cluster that exists is at none of the addresses given.
    #[error(
        "PeerURLs: no match found for existing member {member:x} at {urls}; --initial-cluster has \
         {initial}"
    )]
    MemberUnmatched {
        /// The member.
        member: u64,
        /// Its addresses.
        urls: String,
        /// The initial cluster.
        initial: String,
    },
    /// There are more learners than this member allows.
    #[error("the cluster has {learners} learners, and --max-learners is {learners_max}")]
    TooManyLearners {
        /// How many there are.
        learners: usize,
        /// How many there may be.
        learners_max: usize,
    },
}

#[cfg(test)]
mod tests;
