//! One side of a comparison: executes operations on a cluster, and draws what a client sees.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use etcd_api::etcdserverpb as pb;
use tests::{Client, Cluster};
use tokio::time::timeout;
use tonic::Status;

use super::op::{Op, Stream};
use super::watchers::{SENTINEL_KEY, Watchers};
use crate::draw;

/// An operation that takes longer is drawn as unanswered.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How much of its life a lease may have lost at most, in seconds.
const LEASE_AGE_MAX: i64 = 120;

/// A cluster, and what its client knows.
pub(crate) struct Side {
    clients: Vec<Client>,
    /// The newest revision that was seen.
    revision: i64,
    streams: BTreeMap<Stream, Watchers>,
    /// How many operations were executed.
    count: usize,
}

impl Side {
    /// A client of the whole cluster: with more than one member, each operation goes to the next.
    pub(crate) fn new(cluster: &Cluster) -> Result<Side> {
        let clients =
            (0..cluster.members_len()).map(|at| cluster.client(at)).collect::<Result<_>>()?;
        Ok(Side { clients, revision: 1, streams: BTreeMap::new(), count: 0 })
    }

    /// Executes an operation, and draws what came of it.
    pub(crate) async fn execute(&mut self, op: &Op) -> String {
        self.count += 1;
        match timeout(ANSWER_MAX, self.dispatch(op)).await {
            Ok(drawn) => drawn,
            Err(_) => format!("no answer within {ANSWER_MAX:?}"),
        }
    }

    /// Waits until all watchers have caught up, and draws what they were told.
    pub(crate) async fn finish(&mut self) -> String {
        match timeout(ANSWER_MAX, self.sync_all()).await {
            Ok(drawn) => drawn,
            Err(_) => format!("not all watchers caught up within {ANSWER_MAX:?}"),
        }
    }

    fn client(&self) -> &Client {
        &self.clients[self.count % self.clients.len()]
    }

    async fn dispatch(&mut self, op: &Op) -> String {
        let op = op.resolved(self.revision);
        match op {
            Op::Range(request) => self.range(request).await,
            Op::RangeStream(request) => self.range_stream(request).await,
            Op::Put(request) => {
                let result = self.client().kv().put(request).await.map(tonic::Response::into_inner);
                self.saw(&result, |response| response.header.as_ref());
                draw::result(&result, draw::put)
            }
            Op::Delete(request) => {
                let result =
                    self.client().kv().delete_range(request).await.map(tonic::Response::into_inner);
                self.saw(&result, |response| response.header.as_ref());
                draw::result(&result, draw::delete)
            }
            Op::Txn(request) => {
                let request = self.linearizable_txn(request);
                let result = self.client().kv().txn(request).await.map(tonic::Response::into_inner);
                self.saw(&result, |response| response.header.as_ref());
                draw::result(&result, draw::txn)
            }
            Op::Compact(request) => {
                let told = self.sync_all().await;
                let result = self.client().kv().compact(request).await;
                let drawn = draw::result(&result, |response| {
                    draw::only_header(response.get_ref().header.as_ref())
                });
                format!("{drawn}{told}")
            }
            Op::Grant(_) | Op::Revoke(_) | Op::KeepAlive(_) | Op::TimeToLive(_) | Op::Leases => {
                self.lease(op).await
            }
            Op::Watch(stream, request) => match self.watchers(stream).await {
                Ok(watchers) => watchers.create(request).await,
                Err(status) => draw::status(&status),
            },
            Op::Cancel(stream, id) => {
                let told = self.sync(stream).await;
                match self.streams.get_mut(&stream) {
                    Some(watchers) => format!("{}{told}", watchers.cancel(id).await),
                    None => "no stream".to_owned(),
                }
            }
            Op::Sync(stream) => self.sync(stream).await,
            Op::Close(stream) => {
                let told = self.sync(stream).await;
                self.streams.remove(&stream);
                told
            }
            Op::Members | Op::Status | Op::Alarms => self.ask(&op).await,
        }
    }

    fn saw<'a, T>(
        &mut self,
        result: &'a Result<T, Status>,
        header: impl FnOnce(&'a T) -> Option<&'a pb::ResponseHeader>,
    ) {
        let seen = result.as_ref().ok().and_then(header).map_or(0, |header| header.revision);
        self.revision = self.revision.max(seen);
    }

    /// With more than one member, only what a quorum knows is the same at each.
    fn linearizable(&self, mut request: pb::RangeRequest) -> pb::RangeRequest {
        if self.clients.len() > 1 {
            request.serializable = false;
        }
        request
    }

    /// A transaction that only reads, and only serializably, is answered by the member alone.
    fn linearizable_txn(&self, mut request: pb::TxnRequest) -> pb::TxnRequest {
        if self.clients.len() > 1 {
            for part in request.success.iter_mut().chain(&mut request.failure) {
                use pb::request_op::Request;
                part.request = match part.request.take() {
                    Some(Request::RequestRange(range)) => {
                        Some(Request::RequestRange(self.linearizable(range)))
                    }
                    Some(Request::RequestTxn(txn)) => {
                        Some(Request::RequestTxn(self.linearizable_txn(txn)))
                    }
                    Some(other) => Some(other),
                    None => None,
                };
            }
        }
        request
    }

    async fn range(&mut self, request: pb::RangeRequest) -> String {
        let request = self.linearizable(request);
        let result = self.client().kv().range(request).await.map(tonic::Response::into_inner);
        self.saw(&result, |response| response.header.as_ref());
        draw::result(&result, draw::range)
    }

    async fn range_stream(&mut self, request: pb::RangeRequest) -> String {
        let request = self.linearizable(request);
        let mut stream = match self.client().kv().range_stream(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return draw::status(&status),
        };
        let mut whole = pb::RangeResponse::default();
        loop {
            match stream.message().await {
                Ok(Some(part)) => {
                    if whole.header.is_some() {
                        return "a part came after the one with the header".to_owned();
                    }
                    let part = part.range_response.unwrap_or_default();
                    if part.header.is_none() && (part.more || part.count != 0) {
                        return "count or more came before the last part".to_owned();
                    }
                    whole.kvs.extend(part.kvs);
                    whole.header = part.header;
                    whole.more = part.more;
                    whole.count = part.count;
                }
                Ok(None) => return draw::range(&whole),
                Err(status) => return draw::status(&status),
            }
        }
    }

    async fn lease(&mut self, op: Op) -> String {
        let mut client = self.client().lease();
        match op {
            Op::Grant(request) => draw::result(&client.lease_grant(request).await, |response| {
                let pb::LeaseGrantResponse { header, id, ttl, error } = response.get_ref();
                format!("{} lease {id} ttl {ttl} {error}", draw::only_header(header.as_ref()))
            }),
            Op::Revoke(request) => {
                let result = client.lease_revoke(request).await.map(tonic::Response::into_inner);
                self.saw(&result, |response| response.header.as_ref());
                draw::result(&result, |response| draw::only_header(response.header.as_ref()))
            }
            Op::KeepAlive(request) => keep_alive(client, request).await,
            Op::TimeToLive(request) => {
                draw::result(&client.lease_time_to_live(request).await, |response| {
                    time_to_live(response.get_ref())
                })
            }
            _ => draw::result(&client.lease_leases(pb::LeaseLeasesRequest {}).await, |response| {
                let pb::LeaseLeasesResponse { header, leases } = response.get_ref();
                let mut ids: Vec<i64> = leases.iter().map(|lease| lease.id).collect();
                ids.sort_unstable();
                format!("{} leases {ids:?}", draw::only_header(header.as_ref()))
            }),
        }
    }

    async fn ask(&mut self, op: &Op) -> String {
        let client = self.client();
        match op {
            Op::Members => draw::result(&client.members().await, |members| draw::members(members)),
            Op::Status => draw::result(&client.status().await, |status| {
                let headed = draw::only_header(status.header.as_ref());
                let minor: Vec<&str> = status.version.split('.').take(2).collect();
                let indexes = status.raft_index >= status.raft_applied_index;
                let (led, learner) = (status.leader != 0, status.is_learner);
                format!(
                    "{headed} {} led {led} learner {learner} in order {indexes} errors {:?} {:?}",
                    minor.join("."),
                    status.errors,
                    status.downgrade_info,
                )
            }),
            _ => {
                let result = client.maintenance().alarm(pb::AlarmRequest::default()).await;
                draw::result(&result, |response| format!("{:?}", response.get_ref().alarms))
            }
        }
    }

    async fn watchers(&mut self, stream: Stream) -> Result<&mut Watchers, Status> {
        if !self.streams.contains_key(&stream) {
            let at = match stream {
                Stream::Past(at) => at,
                Stream::Future => 2,
            };
            let client = &self.clients[at % self.clients.len()];
            let watchers = Watchers::open(client).await?;
            self.streams.insert(stream, watchers);
        }
        Ok(self.streams.get_mut(&stream).expect("it was made if it was not there"))
    }

    async fn sync(&mut self, stream: Stream) -> String {
        if !self.streams.contains_key(&stream) {
            return String::new();
        }
        let synced = match stream {
            Stream::Past(_) => {
                let revision = self.revision;
                match self.streams.get_mut(&stream) {
                    Some(watchers) => watchers.sync_by_progress(revision).await,
                    None => Ok(()),
                }
            }
            Stream::Future => self.sync_by_write().await,
        };
        let told = self.streams.get_mut(&stream).map(Watchers::take_told).unwrap_or_default();
        match synced {
            Ok(()) => told,
            Err(error) => format!("{told}\n  {error}"),
        }
    }

    /// Whoever watches what is to come has been told all that was before a write, when the sentinel
    /// has been told of the write.
    async fn sync_by_write(&mut self) -> Result<(), String> {
        let wrote = self.client().put(SENTINEL_KEY, "").await;
        self.revision = wrote.map_err(|status| draw::status(&status))?;
        match self.streams.get_mut(&Stream::Future) {
            Some(watchers) => watchers.sync_by_sentinel(self.revision).await,
            None => Ok(()),
        }
    }

    async fn sync_all(&mut self) -> String {
        let streams: Vec<Stream> = self.streams.keys().copied().collect();
        let mut told = String::new();
        for stream in streams.into_iter().rev() {
            told.push_str(&self.sync(stream).await);
        }
        told
    }
}

async fn keep_alive(
    mut client: pb::lease_client::LeaseClient<tonic::transport::Channel>,
    request: pb::LeaseKeepAliveRequest,
) -> String {
    let answer = async {
        let mut answers = client.lease_keep_alive(tokio_stream::once(request)).await?.into_inner();
        answers.message().await
    };
    draw::result(&answer.await, |response| match response {
        Some(pb::LeaseKeepAliveResponse { header, id, ttl }) => {
            format!("{} lease {id} ttl {ttl}", draw::only_header(header.as_ref()))
        }
        None => "no answer".to_owned(),
    })
}

fn time_to_live(response: &pb::LeaseTimeToLiveResponse) -> String {
    let pb::LeaseTimeToLiveResponse { header, id, ttl, granted_ttl, keys } = response;
    let lived = granted_ttl - ttl;
    let left =
        if (0..=LEASE_AGE_MAX).contains(&lived) { "good".to_owned() } else { ttl.to_string() };
    let mut keys: Vec<String> = keys.iter().map(|key| draw::bytes(key)).collect();
    keys.sort();
    format!(
        "{} lease {id} granted {granted_ttl} left {left} keys {keys:?}",
        draw::only_header(header.as_ref())
    )
}
