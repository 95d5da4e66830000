//! One side of a comparison: executes operations on a cluster, and draws what a client sees.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use etcd_api::etcdserverpb as pb;
use tests::{Client, Cluster};
use tokio::time::timeout;
use tonic::Status;

use super::op::{Op, Stream};
use crate::watchers::{SENTINEL_KEY, Watchers};
use crate::{calls, draw};

/// An operation that takes longer is drawn as unanswered.
const ANSWER_MAX: Duration = Duration::from_secs(20);

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
        let caught_up_and_done = async {
            match self.catch_up(op).await {
                Ok(()) => self.dispatch(op).await,
                Err(status) => draw::status(&status),
            }
        };
        match timeout(ANSWER_MAX, caught_up_and_done).await {
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

    /// Waits until the member that is asked knows what the others have done, if it would answer
    /// from what it knows.
    async fn catch_up(&self, op: &Op) -> Result<(), tonic::Status> {
        let is_local = matches!(
            op,
            Op::KeepAlive(_) | Op::TimeToLive(_) | Op::Leases | Op::Status | Op::Alarms
        );
        let asked = if let Op::Watch(stream, _) = op {
            Some(self.home(*stream))
        } else {
            is_local.then(|| self.client())
        };
        if let Some(client) = asked.filter(|_| self.clients.len() > 1) {
            client.range("any").await?;
        }
        Ok(())
    }

    /// The member that a stream of watches is with.
    fn home(&self, stream: Stream) -> &Client {
        let at = match stream {
            Stream::Past(at) => at,
            Stream::Future => 2,
        };
        &self.clients[at % self.clients.len()]
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
        calls::range_stream(self.client(), request).await
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what is about leases comes here")]
    async fn lease(&mut self, op: Op) -> String {
        let mut client = self.client().lease();
        match op {
            Op::Grant(request) => {
                draw::result(&client.lease_grant(request).await, |r| draw::grant(r.get_ref()))
            }
            Op::Revoke(request) => {
                let result = client.lease_revoke(request).await.map(tonic::Response::into_inner);
                self.saw(&result, |response| response.header.as_ref());
                draw::result(&result, |response| draw::only_header(response.header.as_ref()))
            }
            Op::KeepAlive(request) => calls::keep_alive(self.client(), request.id).await,
            Op::TimeToLive(request) => {
                let result = client.lease_time_to_live(request).await;
                draw::result(&result, |r| draw::time_to_live(r.get_ref()))
            }
            _ => {
                let result = client.lease_leases(pb::LeaseLeasesRequest {}).await;
                draw::result(&result, |r| draw::leases(r.get_ref()))
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only questions about members come here")]
    async fn ask(&mut self, op: &Op) -> String {
        let client = self.client();
        match op {
            Op::Members => draw::result(&client.members().await, |members| draw::members(members)),
            Op::Status => draw::result(&client.status().await, draw::member_status),
            _ => {
                let result = client.maintenance().alarm(pb::AlarmRequest::default()).await;
                draw::result(&result, |response| format!("{:?}", response.get_ref().alarms))
            }
        }
    }

    async fn watchers(&mut self, stream: Stream) -> Result<&mut Watchers, Status> {
        if !self.streams.contains_key(&stream) {
            let watchers = Watchers::open(self.home(stream)).await?;
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
