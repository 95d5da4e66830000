//! The services of etcd's API, over one [`Handle`].
//!
//! ```text
//!   call ─► Door: learner? leader? ─► check ─► convert ─► Handle ─► answer, encoded ─► Counted
//!                                                 │          ├─ propose      writes
//!                                                 │          ├─ read_index   linearizable reads
//!                                                 │          └─ published    serializable reads
//!                                                 └─► status: the one map to codes and texts
//! ```
//!
//! What is refused, in which order, with which code and text, is etcd's: clients compare it. What
//! only this module decides is listed here.
//!
//! # Where we differ from etcd
//!
//! - A number that stands for nothing (an action, a comparison, an alarm) is `InvalidArgument`.
//!   etcd takes some for another, and some end its process.
//! - `MemberAdd` of a voter never costs the quorum: the member is let in, and gets its vote by
//!   itself when it has caught up. Until then it counts for nothing, though it is shown as a voter.
//!   It serves clients from that moment on; whoever calls it before waits. So one that never
//!   starts, or was given a wrong URL, harms nobody, and can be removed at any time.
//! - `MemberUpdate` checks its URLs, as `MemberAdd` does.
//! - A learner answers questions about its health.
//! - "Not enough started members" and "too many requests" have the codes of etcd's table. etcd's
//!   server sends `Unknown` for both, by mistake.
//! - Everything that concerns the storage's files, such as defragmentation, has nothing to do here.

mod call;
mod cluster;
mod door;
mod health;
mod kv;
mod lease;
mod maintenance;
mod watch;

use std::sync::Arc;

use etcd_api::etcdserverpb::cluster_server::ClusterServer;
use etcd_api::etcdserverpb::kv_server::KvServer;
use etcd_api::etcdserverpb::lease_server::LeaseServer;
use etcd_api::etcdserverpb::maintenance_server::MaintenanceServer;
use etcd_api::health::health_server::HealthServer;

use crate::config::Config;
use crate::member::Handle;
use crate::metrics::Metrics;
use crate::transport::Routes;

pub use call::{Counted, Method};
pub use cluster::ClusterService;
pub use door::{Door, Learner, UntilLeaderLost};
pub use health::HealthService;
pub use kv::KvService;
pub use lease::LeaseService;
pub use maintenance::MaintenanceService;
pub use watch::WatchService;

/// What a request may exceed its limit by in gRPC, so that the service can say it in etcd's words.
const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// The longest answer, as in etcd.
const ANSWER_BYTES_MAX: usize = i32::MAX as usize;

/// What was set that decides what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request in bytes (`--max-request-bytes`).
    pub request_bytes_max: usize,
    /// How many comparisons or operations a transaction may have (`--max-txn-ops`).
    pub txn_operations_max: usize,
    /// Whether members are only added and removed if those that have started are enough without
    /// them (`--strict-reconfig-check`).
    pub strict_reconfiguration: bool,
}

impl Limits {
    fn of(config: &Config) -> Limits {
        Limits {
            request_bytes_max: config.limits.request_bytes,
            txn_operations_max: config.limits.txn_ops,
            strict_reconfiguration: config.cluster.strict_reconfiguration,
        }
    }
}

/// Returns what a shard answers. To be called on a thread that runs tasks.
#[must_use]
pub fn routes(config: &Config, handle: &Handle, metrics: &Arc<Metrics>) -> Routes {
    let limits = Limits::of(config);
    let door = Door::new(handle.clone());
    let leader = door.clone();
    tokio::spawn(async move { leader.watch_leader().await });
    let request_bytes_max = limits.request_bytes_max + GRPC_OVERHEAD_BYTES;
    let progress_interval = config.watch_progress_interval;
    let watch =
        WatchService::new(door.clone(), progress_interval, limits.request_bytes_max, metrics)
            .into_server(request_bytes_max);
    let kv = KvServer::new(KvService::new(door.clone(), limits, Arc::clone(metrics)))
        .max_decoding_message_size(request_bytes_max)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let lease = LeaseServer::new(LeaseService::new(door.clone(), metrics))
        .max_decoding_message_size(request_bytes_max)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let cluster = ClusterServer::new(ClusterService::new(door.clone(), limits, metrics))
        .max_decoding_message_size(request_bytes_max);
    let maintenance = MaintenanceServer::new(MaintenanceService::new(door, Arc::clone(metrics)))
        .max_decoding_message_size(request_bytes_max)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    Routes::new()
        .add_service(kv)
        .add_service(watch)
        .add_service(lease)
        .add_service(cluster)
        .add_service(maintenance)
        .add_service(HealthServer::new(HealthService::new(metrics)))
}

#[cfg(test)]
mod tests;
