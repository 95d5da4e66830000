//! What a client may not do: be silent, be many, ask for too much.

use std::time::Duration;

use bytes::Bytes;
use etcd_api::etcdserverpb::PutRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::harness::{Client, Harness, REQUEST_BYTES_MAX, Setup};
use super::*;

/// Where time leaps, nothing takes longer than this.
const FOREVER: Duration = Duration::from_secs(10_000);

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
        timeout(FOREVER, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
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
    stream.write_all(PREFACE).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    timeout(FOREVER, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
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

/// The preface of HTTP/2, and settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A frame of HTTP/2: three bytes of length, type, flags, four bytes of stream (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).unwrap();
    let mut frame = vec![0, 0, len, kind, flags];
    frame.extend((0..4).rev().map(|byte| u8::try_from(stream >> (8 * byte) & 0xff).unwrap()));
    frame.extend(body);
    frame
}

#[tokio::test]
async fn thousands_of_calls_that_are_cancelled_as_they_come_do_not_close_the_connection() {
    let harness = Harness::plain().await;
    let mut stream = harness.dial().await;
    let mut bytes = PREFACE.to_vec();
    for stream in (1..4000).step_by(2) {
        // GET http /, all of which have numbers of their own; and at once: cancel.
        bytes.extend(frame(1, 4, stream, &[0x82, 0x86, 0x84]));
        bytes.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    bytes.extend(frame(6, 0, 0, b"still on"));
    stream.write_all(&bytes).await.unwrap();
    let pong = frame(6, 1, 0, b"still on");
    let mut answer = Vec::new();
    while !answer.windows(pong.len()).any(|frame| frame == pong) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed: {answer:?}");
    }
}

#[tokio::test]
async fn calls_that_are_cancelled_while_they_wait_are_forgotten() {
    let harness = Harness::plain().await;
    let mut client = Client::connect(harness.dial().await).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let mut client = client.clone();
        calls.spawn(async move { client.range("wait").await.map(|_| ()) });
        harness.stub.entered().await;
    }
    assert_eq!(harness.stub.waiting(), 100);
    calls.shutdown().await;
    while harness.stub.waiting() != 0 {
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
