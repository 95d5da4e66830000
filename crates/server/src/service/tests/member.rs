//! A member whose disk is memory and whose ticks are a millisecond.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, SimDisk};
use raft::{MemberId, Membership};
use replica::{Genesis, Options, Replica};
use store::MemberAttributes;

use crate::config::{self, Config, Loaded, Timing};
use crate::member::{Driver, Handle, Identity, Shared};
use crate::metrics::Metrics;
use crate::peer::{Lives, Local};

pub(super) const CLUSTER: u64 = 0xc1;
pub(super) const MEMBER: u64 = 1;

/// A member that runs as long as the runtime of the test.
pub(super) struct Member {
    pub(super) handle: Handle,
    pub(super) metrics: Arc<Metrics>,
}

impl Member {
    /// A member that is its whole cluster, and leads.
    pub(super) async fn alone() -> Member {
        let member = Member::start(Membership::of_voters([MemberId(MEMBER)]), 20_000_000);
        while member.handle.read_index().await.is_err() {}
        member
    }

    /// A member that is its whole cluster, with hardly any space.
    pub(super) async fn with_quota(quota_bytes: u64) -> Member {
        let member = Member::start(Membership::of_voters([MemberId(MEMBER)]), quota_bytes);
        while member.handle.read_index().await.is_err() {}
        member
    }

    /// A member of two, of which the other is never there.
    pub(super) fn without_leader() -> Member {
        Member::start(Membership::of_voters([MemberId(MEMBER), MemberId(2)]), 0)
    }

    /// A member without a vote, whose voter is never there.
    pub(super) fn learner() -> Member {
        let ids = |id| [MemberId(id)].into();
        let membership =
            Membership::from_parts(ids(2), Default::default(), ids(MEMBER), Default::default());
        Member::start(membership.unwrap(), 0)
    }

    fn start(membership: Membership, quota_bytes: u64) -> Member {
        let attributes = |id: u64| MemberAttributes {
            name: format!("m{id}"),
            peer_urls: vec![format!("http://127.0.0.1:{id}")],
            ..MemberAttributes::default()
        };
        let members: BTreeMap<u64, MemberAttributes> =
            membership.members().iter().map(|id| (id.0, attributes(id.0))).collect();
        let genesis = Genesis::Founded { cluster_id: CLUSTER, membership, members };
        let config = default_config();
        let timing = Timing {
            heartbeat: Duration::from_millis(1),
            election: Duration::from_millis(10),
            ..config.timing
        };
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let options = options(quota_bytes);
        disk.create_dir(&options.dir).unwrap();
        let lives = Lives::begin(disk.clone(), &options.dir).unwrap();
        let replica = Replica::create(disk, options, genesis).unwrap();
        let identity = Identity {
            cluster_id: CLUSTER,
            member_id: MEMBER,
            election_timeout: timing.election,
            quota_bytes,
        };
        let metrics = Arc::new(Metrics::new(&config));
        let shared = Arc::new(Shared::new(identity, replica.published(), replica.status()));
        let local = Local::new(shared.clone(), replica.images(), lives, None, metrics.clone());
        let driver = Driver::new(replica, shared.clone(), local, metrics.clone(), timing);
        tokio::spawn(driver.run());
        Member { handle: Handle::new(shared), metrics }
    }
}

fn default_config() -> Config {
    match config::load(&[], &BTreeMap::new()).unwrap() {
        Loaded::Member(config, _) => *config,
        Loaded::Help | Loaded::Version => panic!("nothing was asked"),
    }
}

fn options(quota_bytes: u64) -> Options {
    let mut core = raft::Config::new(MemberId(MEMBER), 7);
    core.election_ticks = 10;
    core.heartbeat_ticks = 1;
    Options {
        dir: PathBuf::from("/member"),
        core,
        tick_millis: 1,
        segment_bytes: 1 << 20,
        checkpoint_log_bytes_min: 1 << 20,
        request_ticks_max: 5_000,
        command_bytes_max: 1 << 20,
        quota_bytes: (quota_bytes != 0).then_some(quota_bytes),
        strict_reconfiguration: true,
        learners_max: 1,
    }
}
