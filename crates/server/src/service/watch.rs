//! Watching: clients are told of changes as they happen, or happened.
//!
//! ```text
//!   requests ─► Answers ─► Shard ─► Hub ─► queue of the stream ─► Answers ─► responses
//!               (one per             ▲
//!                stream)             │ a turn after each publication, and while anybody is behind
//!                                  drive (one task per shard)
//! ```
//!
//! - [`Hub`](hub::Hub) decides who is told what, and when. It is plain data, without time or tasks.
//! - [`Shard`] holds the hub of the connections of one thread, gives it the state of
//!   the store and the time, and wakes the streams that were given something.
//! - [`Answers`] is one stream: it reads requests, and gives what the hub has queued to the
//!   connection as fast as that takes it.
//!
//! # What it costs
//!
//! A change is looked up once per shard, however many watch its key. The events that come of it are
//! encoded once for all watchers that want the same, and only counted for each. A watcher keeps a
//! place in its group and no queue. A stream keeps a queue that is bounded in bytes: watchers that
//! do not fit go on from the revision where they were, by reading the log again.
//!
//! # Where we differ from etcd
//!
//! - The events of several revisions come in one answer if they were executed together, or soon
//!   after a change that hundreds watch.
//! - A question for progress that comes while a watcher is behind is answered when none is any
//!   more. etcd forgets it, and the client has to ask again.
//! - A watch that was compacted away does not keep the others of its stream from hearing of
//!   progress until the client closes it.
//! - The revision in the header of events is one up to which the watcher has been told everything.
//!   In etcd it may be later than that, for a watcher that is behind.
//! - Streams end as soon as the member stops.

mod answers;
mod arena;
mod hub;
mod index;
mod interest;
mod intervals;
mod outgoing;
mod shard;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etcd_api::etcdserverpb::WatchRequest;
use etcd_api::etcdserverpb::watch_server::{Watch, WatchServer};
use tonic::{Request, Response, Status, Streaming};

use super::call::{Counted, Method};
use super::door::{Door, Learner, UntilLeaderLost};
use super::{ANSWER_BYTES_MAX, GRPC_OVERHEAD_BYTES};
use crate::metrics::Metrics;
use answers::Answers;
use shard::Shard;

/// How often progress is told if nothing else is set.
const PROGRESS_INTERVAL_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// Progress is not told more often.
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Tells the clients of one shard of changes.
#[derive(Clone)]
pub struct WatchService {
    door: Door,
    method: Method,
    shard: Arc<Shard>,
}

impl WatchService {
    /// Makes the service. Watches that want to hear of progress do so at this interval, or at that
    /// of etcd if it is zero; answers that may be divided are so if they are longer than a request
    /// can be.
    #[must_use]
    pub fn new(
        door: Door,
        progress_interval: Duration,
        request_bytes_max: usize,
        metrics: &Arc<Metrics>,
    ) -> WatchService {
        let progress_interval = match progress_interval {
            Duration::ZERO => PROGRESS_INTERVAL_DEFAULT,
            interval => interval.max(PROGRESS_INTERVAL_MIN),
        };
        let divide_at = request_bytes_max + GRPC_OVERHEAD_BYTES;
        let handle = door.handle().clone();
        let shard = Shard::new(handle, divide_at, progress_interval, Arc::clone(metrics));
        let method = Method::new(metrics, "etcdserverpb.Watch", "Watch");
        WatchService { door, method, shard: Arc::new(shard) }
    }

    /// Makes what the service is added to routes as.
    pub(super) fn into_server(self, request_bytes_max: usize) -> WatchServer<WatchService> {
        WatchServer::new(self)
            .max_decoding_message_size(request_bytes_max)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    }

    async fn open(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<UntilLeaderLost<Answers>, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let (metadata, _, requests) = request.into_parts();
        let answers = Answers::open(&self.shard, requests, self.method.clone())?;
        Ok(self.door.until_leader_lost(&metadata, answers))
    }
}

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = Counted<UntilLeaderLost<Answers>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.method.stream(self.open(request)).await
    }
}

impl fmt::Debug for WatchService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchService").field("method", &self.method).finish_non_exhaustive()
    }
}
