//! The services over a real member that keeps its files in memory, by way of the clients that tonic
//! generates.

mod cluster;
mod kv;
mod lease;
mod maintenance;
mod member;

use std::sync::Arc;

use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::cluster_client::ClusterClient;
use etcd_api::etcdserverpb::kv_client::KvClient;
use etcd_api::etcdserverpb::lease_client::LeaseClient;
use etcd_api::etcdserverpb::maintenance_client::MaintenanceClient;
use etcd_api::health::HealthCheckRequest;
use etcd_api::health::health_client::HealthClient;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

use super::*;
use crate::status::Refusal;
use member::Member;

/// The clients of one member.
struct Clients {
    kv: KvClient<KvServer<KvService>>,
    lease: LeaseClient<LeaseServer<LeaseService>>,
    cluster: ClusterClient<ClusterServer<ClusterService>>,
    maintenance: MaintenanceClient<MaintenanceServer<MaintenanceService>>,
    health: HealthClient<HealthServer<HealthService>>,
}

const LIMITS: Limits =
    Limits { request_bytes_max: 4_096, txn_operations_max: 4, strict_reconfiguration: true };

impl Clients {
    fn of(member: &Member) -> Clients {
        let door = Door::new(member.handle.clone());
        let metrics = &member.metrics;
        let kv = KvService::new(door.clone(), LIMITS, Arc::clone(metrics));
        let cluster = ClusterService::new(door.clone(), LIMITS, metrics);
        let lease = LeaseService::new(door.clone(), metrics);
        let maintenance = MaintenanceService::new(door, Arc::clone(metrics));
        Clients {
            kv: KvClient::new(KvServer::new(kv)),
            lease: LeaseClient::new(LeaseServer::new(lease)),
            cluster: ClusterClient::new(ClusterServer::new(cluster)),
            maintenance: MaintenanceClient::new(MaintenanceServer::new(maintenance)),
            health: HealthClient::new(HealthServer::new(HealthService::new(metrics))),
        }
    }

    /// The clients of a member that leads a cluster of itself.
    async fn alone() -> (Member, Clients) {
        let member = Member::alone().await;
        let clients = Clients::of(&member);
        (member, clients)
    }

    async fn put(&mut self, key: &str, value: &str) -> api::PutResponse {
        let put = api::PutRequest { key: bytes(key), value: bytes(value), ..Default::default() };
        self.kv.put(put).await.unwrap().into_inner()
    }

    async fn range(&mut self, key: &str, range_end: &str) -> api::RangeResponse {
        self.kv.range(range(key, range_end)).await.unwrap().into_inner()
    }
}

fn bytes(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

fn range(key: &str, range_end: &str) -> api::RangeRequest {
    api::RangeRequest { key: bytes(key), range_end: bytes(range_end), ..Default::default() }
}

/// A request of a client that wants a leader.
fn with_leader<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    request
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Status>, refusal: Refusal) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (refusal.code(), refusal.text()));
}

#[tokio::test]
async fn client_that_wants_a_leader_is_refused_at_once_where_there_is_none() {
    let member = Member::without_leader();
    let mut clients = Clients::of(&member);
    let put = api::PutRequest { key: bytes("k"), ..Default::default() };
    assert_refused(clients.kv.put(with_leader(put)).await, Refusal::NoLeader);
    let read = api::RangeRequest { serializable: true, ..range("k", "") };
    assert_refused(clients.kv.range(with_leader(read.clone())).await, Refusal::NoLeader);
    assert_eq!(clients.kv.range(read).await.unwrap().into_inner().count, 0);
    let status = clients.maintenance.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.leader, status.errors), (0, vec!["etcdserver: no leader".to_owned()]));
}

#[tokio::test]
async fn stream_of_a_client_that_wants_a_leader_ends_when_there_is_none_for_long() {
    let member = Member::without_leader();
    let door = Door::new(member.handle.clone());
    let wants = with_leader(()).metadata().clone();
    let endless = || tokio_stream::pending::<Result<(), Status>>();
    let mut ends = std::pin::pin!(door.until_leader_lost(&wants, endless()));
    let mut stays = std::pin::pin!(door.until_leader_lost(&Default::default(), endless()));
    tokio::select! {
        next = ends.next() => assert_refused(next.unwrap(), Refusal::NoLeader),
        _ = stays.next() => panic!("the other stream ended"),
        () = door.watch_leader() => {}
    }
    assert!(ends.next().await.is_none(), "a stream goes on behind its end");
}

#[tokio::test]
async fn learner_serves_only_what_needs_no_vote() {
    let member = Member::learner();
    let mut clients = Clients::of(&member);
    let read = api::RangeRequest { serializable: true, ..range("k", "") };
    assert_eq!(clients.kv.range(read.clone()).await.unwrap().into_inner().count, 0);
    let status = clients.maintenance.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.is_learner, "a learner does not say so");
    let image = clients.maintenance.snapshot(api::SnapshotRequest {}).await;
    assert!(image.is_ok(), "no image: {image:?}");
    let refused = Refusal::NotSupportedForLearner;
    assert_refused(clients.kv.range(range("k", "")).await, refused);
    assert_refused(clients.kv.range_stream(read).await, refused);
    let put = api::PutRequest { key: bytes("k"), ..Default::default() };
    assert_refused(clients.kv.put(put).await, refused);
    assert_refused(clients.kv.txn(api::TxnRequest::default()).await, refused);
    assert_refused(clients.kv.compact(api::CompactionRequest::default()).await, refused);
    assert_refused(clients.lease.lease_leases(api::LeaseLeasesRequest {}).await, refused);
    assert_refused(clients.cluster.member_list(api::MemberListRequest::default()).await, refused);
    assert_refused(clients.maintenance.hash_kv(api::HashKvRequest::default()).await, refused);
}

#[tokio::test]
async fn version_of_the_client_must_be_a_text() {
    let (_member, mut clients) = Clients::alone().await;
    let mut headers = http::HeaderMap::new();
    headers.insert("client-api-version", http::HeaderValue::from_bytes(b"3.\xff").unwrap());
    let mut request = Request::new(range("k", ""));
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
    assert_refused(clients.kv.range(request).await, Refusal::InvalidClientVersion);
}

#[tokio::test]
async fn server_is_fit_as_a_whole_and_has_no_service_of_its_own() {
    let (_member, mut clients) = Clients::alone().await;
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let serving = clients.health.check(ask("")).await.unwrap().into_inner();
    assert_eq!(serving.status, 1);
    let unknown = clients.health.check(ask("etcdserverpb.KV")).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "unknown service"));
    for (service, status) in [("", 1), ("etcdserverpb.KV", 3)] {
        let mut changes = clients.health.watch(ask(service)).await.unwrap().into_inner();
        assert_eq!(changes.next().await.unwrap().unwrap().status, status);
    }
}
