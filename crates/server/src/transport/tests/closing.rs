//! The end of a server.

use std::time::Duration;

use tokio::net::TcpStream;

use super::harness::{Client, Harness};
use super::*;

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn call_under_way_is_finished_and_new_connections_are_refused() {
    let harness = Harness::plain().await;
    let address = harness.server.addresses()[0].address.unwrap();
    let mut client = Client::connect(harness.dial().await).await;
    let waiting = tokio::spawn(async move { client.range("wait").await });
    harness.stub.entered().await;

    let stub = harness.stub.clone();
    let closing = tokio::spawn(harness.server.shutdown(PATIENCE));
    // The address is given back before connections have ended.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished(), "a call is under way");
    stub.release();
    assert_eq!(waiting.await.unwrap().unwrap().count, 1);
    assert_eq!(closing.await.unwrap(), Shutdown::Finished);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    client.range("key").await.unwrap();
    let _silent = harness.dial().await;
    let _page = harness::page(harness.dial().await, "/health").await;
    assert_eq!(harness.server.shutdown(PATIENCE).await, Shutdown::Finished);
    client.range("key").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn call_that_does_not_end_is_dropped_at_the_deadline() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    let waiting = tokio::spawn(async move { client.range("wait").await });
    harness.stub.entered().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(harness.server.shutdown(PATIENCE).await, Shutdown::Dropped);
    assert!(PATIENCE <= begun.elapsed(), "not before the deadline");
    waiting.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn server_on_threads_ends_like_any_other() {
    let harness = Harness::sharded(2).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(harness.dial().await).await;
        client.range("key").await.unwrap();
        clients.push(client);
    }
    assert_eq!(harness.server.shutdown(PATIENCE).await, Shutdown::Finished);
    for mut client in clients {
        client.range("key").await.unwrap_err();
    }
}
