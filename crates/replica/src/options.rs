//! How a replica is set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use raft::{Config, Membership};
use store::MemberAttributes;

/// The settings of one member.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of this member alone, which must exist: `wal/` and checkpoints are in it.
    pub dir: PathBuf,
    /// The settings of the core, among them the member's ID and the seed of this life.
    pub core: Config,
    /// How long a tick is, in milliseconds, for what counts in seconds: leases.
    pub tick_millis: u32,
    /// The size of a new log segment in bytes.
    pub segment_bytes: u64,
    /// A checkpoint is due when this many bytes were logged since the last one, or half as many as
    /// the state has if that is more.
    pub checkpoint_log_bytes_min: u64,
    /// A client's question is given up after this many ticks.
    pub request_ticks_max: u32,
    /// The largest command in bytes.
    pub command_bytes_max: usize,
    /// The most bytes that live versions may take before the alarm is raised; `None` for no limit.
    pub quota_bytes: Option<u64>,
    /// Refuse changes of the configuration that the cluster may not survive.
    pub strict_reconfiguration: bool,
    /// How many learners there may be.
    pub learners_max: usize,
}

/// Where the state of a member begins that has never run.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, once in the life of a member")]
pub enum Genesis {
    /// It is one of the first members of a new cluster. The same on all of them: it stands for the
    /// log's entry 1@1, so that whoever joins later gets it as an image.
    Founded {
        /// The cluster's ID.
        cluster_id: u64,
        /// The first voters.
        membership: Membership,
        /// Their names and addresses.
        members: BTreeMap<u64, MemberAttributes>,
    },
    /// It is one of the first members of a new cluster that goes on from a backup. Otherwise like
    /// [`Genesis::Founded`].
    Restored {
        /// The cluster's ID.
        cluster_id: u64,
        /// The first voters.
        membership: Membership,
        /// Their names and addresses.
        members: BTreeMap<u64, MemberAttributes>,
        /// What it goes on from, in which there are no members: see `Machine::begin_anew`.
        image: store::Image,
    },
    /// It was added to a cluster that exists, and waits for the leader's image.
    Joining {
        /// The cluster's ID.
        cluster_id: u64,
    },
}
