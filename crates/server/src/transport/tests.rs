//! The layer, asked over real sockets.

mod closing;
mod harness;
mod limits;
mod listening;
mod security;
mod spans;

use etcd_api::etcdserverpb::RangeRequest;
use http::StatusCode;
use tonic::Code;

use super::*;
use harness::{Client, Harness, page};

#[tokio::test]
async fn calls_and_pages_share_a_port() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    assert_eq!(client.range("key").await.unwrap().kvs[0].key, "key");
    let health = (StatusCode::OK, r#"{"health":"true","reason":""}"#.to_owned());
    assert_eq!(page(harness.dial().await, "/health").await, health, "HTTP/1");
    assert_eq!(client.page("/health").await, health, "HTTP/2, beside calls");
    assert_eq!(client.range("again").await.unwrap().kvs[0].key, "again");
}

#[tokio::test]
async fn service_that_is_not_there_is_refused_by_name() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    for (path, message) in [
        ("/etcdserverpb.Auth/AuthStatus", "unknown service etcdserverpb.Auth"),
        ("/nonsense", "malformed method name: \"/nonsense\""),
    ] {
        let status = client.call_path(path).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, message));
    }
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other() {
    let harness = Harness::plain().await;
    let client = Client::connect(harness.dial().await).await;
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.range("wait").await });
    harness.stub.entered().await;
    for _ in 0..100 {
        client.clone().range("key").await.unwrap();
    }
    harness.stub.release();
    assert_eq!(waiting.await.unwrap().unwrap().kvs[0].key, "wait");
}

#[tokio::test]
async fn large_answer_arrives_whole_at_a_client_that_reads_slowly() {
    let harness = Harness::plain().await;
    // The client's end takes a few kilobytes at a time, so that writing has to wait.
    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(harness::copy(harness.dial().await, far));
    let mut client = Client::connect(near).await;
    let request = RangeRequest { key: "large".into(), limit: 8 << 20, ..RangeRequest::default() };
    let answer = client.kv.range(request).await.unwrap().into_inner();
    let value = &answer.kvs[0].value;
    assert_eq!(value.len(), 8 << 20);
    assert!(value.iter().enumerate().all(|(index, byte)| *byte == harness::byte_at(index)));
}

#[tokio::test]
async fn connections_and_what_goes_over_them_are_counted() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    let request = RangeRequest { key: "large".into(), limit: 1 << 20, ..RangeRequest::default() };
    client.kv.range(request).await.unwrap();
    let metrics = &harness.metrics;
    assert_eq!(metrics.client_connections.value(), 1);
    let (received, sent) = (&metrics.client_received_bytes, &metrics.client_sent_bytes);
    assert!(20 < received.value() && received.value() < 10_000, "{} bytes", received.value());
    assert!(1 << 20 < sent.value() && sent.value() < 2 << 20, "{} bytes", sent.value());
}

#[tokio::test]
async fn connections_are_spread_over_shards() {
    let harness = Harness::sharded(3).await;
    let mut shards = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = Client::connect(harness.dial().await).await;
        let answer = client.range("shard").await.unwrap();
        shards.push(String::from_utf8(answer.kvs[0].value.to_vec()).unwrap());
        clients.push(client);
    }
    shards.sort();
    assert_eq!(
        shards,
        [
            "0 on shard-0",
            "0 on shard-0",
            "1 on shard-1",
            "1 on shard-1",
            "2 on shard-2",
            "2 on shard-2"
        ]
    );
}
