//! Reading and writing keys.

mod pages;

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_api::Encoded;
use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::kv_server::Kv;
use mvcc::Revision;
use prost::Message;
use replica::Published;
use store::{Command, Range, Response as Executed, Txn};
use tonic::{Request, Response, Status};

use super::Limits;
use super::call::{Counted, Method};
use super::door::{Door, Learner, UntilLeaderLost, unexpected};
use crate::convert::{self, DeleteRangeAnswer, KeyForm, PutAnswer, RangeAnswer, TxnAnswer, wire};
use crate::metrics::{Metrics, Outcome, RequestKind};
use crate::status::{Refusal, refused};
use pages::Pages;

const NAME: &str = "etcdserverpb.KV";

/// What etcd puts around a request before it compares it with the limit: a header with an ID.
const ENVELOPE_BYTES: usize = 14;

/// How often it is looked whether a compaction is carried out.
const COMPACTION_POLL: Duration = Duration::from_millis(20);

/// Reads and writes keys.
#[derive(Clone, Debug)]
pub struct KvService {
    door: Door,
    limits: Limits,
    metrics: Arc<Metrics>,
    methods: Methods,
}

impl KvService {
    /// Makes the service.
    #[must_use]
    pub fn new(door: Door, limits: Limits, metrics: Arc<Metrics>) -> KvService {
        let methods = Methods::new(&metrics);
        KvService { door, limits, metrics, methods }
    }

    // === Reading ===

    /// Returns the state that a read is answered from.
    async fn state(
        &self,
        published: Arc<Published>,
        consistency: Consistency,
    ) -> Result<Arc<Published>, Status> {
        match consistency {
            Consistency::Serializable => Ok(published),
            Consistency::Linearizable => self.door.handle().read_index().await.map_err(refused),
        }
    }

    async fn read(&self, request: Request<api::RangeRequest>) -> Result<Encoded, Status> {
        let (published, request) = self.enter_range(request).await?;
        let consistency = Consistency::of(request.serializable);
        let range = convert::range(request)?;
        let published = self.state(published, consistency).await?;
        let (answer, revision) = self.read_range(&published, &range).map_err(refused)?;
        self.metrics.mvcc.ranges.increment();
        Ok(Encoded::new(RangeAnswer {
            header: Some(self.door.header_without_revision(&published).at(revision)),
            versions: answer.versions,
            form: KeyForm::of(range.keys_only, range.target),
            more: answer.more,
            count: answer.count.cast_unsigned(),
        }))
    }

    async fn enter_range(
        &self,
        request: Request<api::RangeRequest>,
    ) -> Result<(Arc<Published>, api::RangeRequest), Status> {
        let is_served = request.get_ref().serializable;
        let learner = if is_served { Learner::Serves } else { Learner::Refuses };
        let published = self.door.enter(request.metadata(), learner).await?;
        Ok((published, request.into_inner()))
    }

    /// Reads a range, and returns also the revision of the store. A revision of the recent past is
    /// read from a view of that time, in which counting is quick.
    fn read_range(
        &self,
        published: &Published,
        range: &Range,
    ) -> Result<(store::RangeAnswer, Revision), store::Rejection> {
        let view = &published.view;
        let past = u64::try_from(range.revision).ok().map(Revision);
        match past.filter(|past| Revision(0) < *past && *past < view.revision()) {
            None => {
                let answer = store::range(view, None, range)?;
                if answer.more {
                    // The next page will be asked for at this revision.
                    self.door.handle().remember(view);
                }
                Ok((answer, view.revision()))
            }
            Some(past) => {
                let excerpt = self.door.handle().excerpt(view, past);
                Ok((store::range(view, Some(&excerpt), range)?, view.revision()))
            }
        }
    }

    async fn read_pages(&self, request: Request<api::RangeRequest>) -> Result<PageStream, Status> {
        let metadata = request.metadata().clone();
        // A learner serves no stream but that of an image.
        let published = self.door.enter(&metadata, Learner::Refuses).await?;
        let request = request.into_inner();
        let consistency = Consistency::of(request.serializable);
        let range = convert::range(request)?;
        pages::check(&range)?;
        let published = self.state(published, consistency).await?;
        let (first, revision) =
            self.read_range(&published, &pages::first(&range, &published)).map_err(refused)?;
        self.metrics.mvcc.ranges.increment();
        let header = self.door.header_without_revision(&published).at(revision);
        let bytes = self.limits.request_bytes_max;
        let pages = Pages::new(range, &published, first, header, bytes);
        Ok(self.door.until_leader_lost(&metadata, tokio_stream::iter(pages)))
    }

    // === Writing ===

    /// Refuses a request that is larger than the limit, by the size that etcd would compare.
    fn admit(&self, request_len: usize) -> Result<(), Status> {
        if self.limits.request_bytes_max < ENVELOPE_BYTES + wire::field_len(request_len) {
            return Err(Refusal::RequestTooLarge.into());
        }
        Ok(())
    }

    async fn put_key(&self, request: Request<api::PutRequest>) -> Result<Encoded, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let request = request.into_inner();
        let len = request.encoded_len();
        let put = convert::put(request);
        store::check_put(&put).map_err(refused)?;
        self.admit(len)?;
        let done = self.door.handle().propose(Command::Put(put)).await.map_err(refused)?;
        let header = self.door.header_of(&done);
        let Executed::Put(previous) = done.applied.result.map_err(refused)? else { unexpected() };
        Ok(Encoded::new(PutAnswer { header, previous }))
    }

    async fn delete_keys(
        &self,
        request: Request<api::DeleteRangeRequest>,
    ) -> Result<Encoded, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let request = request.into_inner();
        let len = request.encoded_len();
        let delete = convert::delete_range(request);
        store::check_delete_range(&delete).map_err(refused)?;
        self.admit(len)?;
        let done = self.door.handle().propose(Command::DeleteRange(delete)).await;
        let done = done.map_err(refused)?;
        let header = self.door.header_of(&done);
        let Executed::DeleteRange(answer) = done.applied.result.map_err(refused)? else {
            unexpected()
        };
        let (deleted, previous) = (answer.deleted.cast_unsigned(), answer.previous);
        Ok(Encoded::new(DeleteRangeAnswer { header, deleted, previous }))
    }

    async fn transact(&self, request: Request<api::TxnRequest>) -> Result<Encoded, Status> {
        let begun = Instant::now();
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let request = request.into_inner();
        let len = request.encoded_len();
        let consistency = Consistency::of(convert::is_serializable(&request));
        let txn = convert::txn(request)?;
        store::check_txn(&txn, self.limits.txn_operations_max).map_err(refused)?;
        let (kind, result) = if txn.is_read_only() {
            (RequestKind::ReadonlyTxn, self.read_txn(published, consistency, &txn).await)
        } else {
            (RequestKind::Txn, self.write_txn(len, txn).await)
        };
        let outcome = if result.is_ok() { Outcome::Success } else { Outcome::Failure };
        self.metrics.member.on_request(kind, outcome, begun.elapsed());
        result.map(Encoded::new)
    }

    async fn read_txn(
        &self,
        published: Arc<Published>,
        consistency: Consistency,
        txn: &Txn,
    ) -> Result<TxnAnswer, Status> {
        let published = self.state(published, consistency).await?;
        let response = store::read_txn(&published.view, txn).map_err(refused)?;
        Ok(TxnAnswer::new(self.door.header(&published), response))
    }

    async fn write_txn(&self, request_len: usize, txn: Txn) -> Result<TxnAnswer, Status> {
        self.admit(request_len)?;
        let done = self.door.handle().propose(Command::Txn(txn)).await.map_err(refused)?;
        let header = self.door.header_of(&done);
        let Executed::Txn(response) = done.applied.result.map_err(refused)? else { unexpected() };
        Ok(TxnAnswer::new(header, response))
    }

    async fn compact_history(
        &self,
        request: Request<api::CompactionRequest>,
    ) -> Result<Encoded, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let api::CompactionRequest { revision, physical } = request.into_inner();
        let done = self.door.handle().propose(Command::Compact { revision }).await;
        let done = done.map_err(refused)?;
        let header = self.door.header_of(&done);
        done.applied.result.map_err(refused)?;
        if physical {
            self.carried_out(done.at.index).await;
        }
        Ok(Encoded::of(api::CompactionResponse { header: Some(header.message()) }))
    }

    /// Waits until the compaction at `index` is carried out on this member.
    async fn carried_out(&self, index: raft::Index) {
        loop {
            let status = self.door.handle().status();
            if index <= status.applied && !status.compacting {
                return;
            }
            tokio::time::sleep(COMPACTION_POLL).await;
        }
    }
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    /// As fresh as everything that was acknowledged before the question.
    Linearizable,
    /// Whatever this member has.
    Serializable,
}

impl Consistency {
    fn of(serializable: bool) -> Consistency {
        if serializable { Consistency::Serializable } else { Consistency::Linearizable }
    }
}

/// The answers of `RangeStream`.
type PageStream = UntilLeaderLost<tokio_stream::Iter<Pages>>;

#[derive(Clone, Debug)]
struct Methods {
    range_stream: Method,
    delete_range: Method,
    range: Method,
    put: Method,
    txn: Method,
    compact: Method,
}

impl Methods {
    fn new(metrics: &Arc<Metrics>) -> Methods {
        let method = |name| Method::new(metrics, NAME, name);
        Methods {
            range_stream: method("RangeStream"),
            delete_range: method("DeleteRange"),
            range: method("Range"),
            put: method("Put"),
            txn: method("Txn"),
            compact: method("Compact"),
        }
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    type RangeStreamStream = Counted<PageStream>;

    async fn range(
        &self,
        request: Request<api::RangeRequest>,
    ) -> Result<Response<Encoded>, Status> {
        self.methods.range.answer_kind(RequestKind::Range, self.read(request)).await
    }

    async fn range_stream(
        &self,
        request: Request<api::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        self.methods.range_stream.stream(self.read_pages(request)).await
    }

    async fn put(&self, request: Request<api::PutRequest>) -> Result<Response<Encoded>, Status> {
        self.methods.put.answer_kind(RequestKind::Put, self.put_key(request)).await
    }

    async fn delete_range(
        &self,
        request: Request<api::DeleteRangeRequest>,
    ) -> Result<Response<Encoded>, Status> {
        self.methods
            .delete_range
            .answer_kind(RequestKind::DeleteRange, self.delete_keys(request))
            .await
    }

    async fn txn(&self, request: Request<api::TxnRequest>) -> Result<Response<Encoded>, Status> {
        self.methods.txn.answer(self.transact(request)).await
    }

    async fn compact(
        &self,
        request: Request<api::CompactionRequest>,
    ) -> Result<Response<Encoded>, Status> {
        self.methods
            .compact
            .answer_kind(RequestKind::Compaction, self.compact_history(request))
            .await
    }
}
