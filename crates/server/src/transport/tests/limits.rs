//! What a client may not do: be silent, be many, ask for too much.

use std::time::Duration;

use bytes::Bytes;
use etcd_api::etcdserverpb::PutRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::harness::{Client, Harness, REQUEST_BYTES_MAX, Setup};
use super::*;

/// Time stands still in these tests until nobody has anything else to do, and then leaps.
#[tokio::test(start_paused = true)]
async fn client_that_does_not_finish_its_opening_is_disconnected() {
    let opening_timeout = Duration::from_secs(7);
    let options = Options { opening_timeout, ..Options::default() };
    let harness = Harness::start(Setup { options, ..Setup::default() }).await;
    for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n", b"GET /health HTTP/1.1\r\nHost: "] {
        let mut stream = harness.dial().await;
        stream.write_all(beginning).await.unwrap();
        let begun = tokio::time::Instant::now();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        let waited = begun.elapsed();
        let expected = opening_timeout..opening_timeout * 2;
        assert!(expected.contains(&waited), "{beginning:?} after {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_answer_pings_is_disconnected() {
    let options = Options {
        keepalive_interval: Some(Duration::from_secs(60)),
        keepalive_timeout: Duration::from_secs(5),
        ..Options::default()
    };
    let harness = Harness::start(Setup { options, ..Setup::default() }).await;
    let mut stream = harness.dial().await;
    // The preface, an empty frame of settings, and then nothing.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let waited = begun.elapsed();
    assert!((65..70).contains(&waited.as_secs()), "{waited:?}");
    let ping = b"\0\0\x08\x06\0\0\0\0\0";
    assert!(answer.windows(ping.len()).any(|frame| frame == ping), "{answer:?}");
}

#[tokio::test]
async fn request_at_the_limit_is_taken_and_one_more_byte_is_refused_in_etcds_words() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    // A tag and three bytes of length before the value.
    let value_len = REQUEST_BYTES_MAX - 4;
    let put = |len| PutRequest { value: Bytes::from(vec![0; len]), ..PutRequest::default() };
    client.kv.put(put(value_len)).await.unwrap();
    let status = client.kv.put(put(value_len + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "grpc: received message larger than max (65537 vs. 65536)");
}

#[tokio::test]
async fn connection_beyond_the_limit_is_closed_and_makes_room_by_leaving() {
    let options = Options { connections_max: Some(2), ..Options::default() };
    let harness = Harness::start(Setup { options, ..Setup::default() }).await;
    let mut first = Client::connect(harness.dial().await).await;
    let mut second = Client::connect(harness.dial().await).await;
    first.range("key").await.unwrap();
    second.range("key").await.unwrap();
    let mut third = harness.dial().await;
    assert_eq!(third.read(&mut [0]).await.unwrap(), 0, "it is closed at once");
    drop(second);
    loop {
        // The server notices in its own time that somebody has left.
        if let Ok(mut client) = Client::try_connect(harness.dial().await).await
            && client.range("key").await.is_ok()
        {
            break;
        }
    }
}

#[tokio::test]
async fn thousands_of_cancelled_calls_do_not_close_the_connection() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    client.range("key").await.unwrap();
    for _ in 0..10 {
        let mut calls = JoinSet::new();
        for _ in 0..500 {
            let mut client = client.clone();
            calls.spawn(async move { client.range("wait").await.map(|_| ()) });
        }
        // Some have arrived, some have not.
        harness.stub.entered().await;
        calls.shutdown().await;
        client.range("key").await.unwrap();
    }
}

#[tokio::test]
async fn client_that_breaks_the_protocol_is_sent_away_and_others_are_not() {
    let harness = Harness::plain().await;
    let mut good = Client::connect(harness.dial().await).await;
    for nonsense in
        [&b"\0\0\0\0\0\0\0\0"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff"]
    {
        let mut stream = harness.dial().await;
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        // It may end with a reset, which is an end too.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        good.range("key").await.unwrap();
    }
}
