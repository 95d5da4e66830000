//! TLS and plaintext at one port, and whom a server lets in.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{Client, Harness, Setup, page};
use super::*;
use crate::config::TlsConfig;
use crate::tls::authority::{Authority, Made, server, shown};
use crate::tls::{CallerTls, ServerTls, TlsError};

async fn secure(harness: &Harness, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, harness.dial().await).await.unwrap()
}

/// The same configuration for another protocol above it.
fn speaking(caller: &CallerTls, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&caller.config());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

async fn start(security: Security, tls: Result<ServerTls, TlsError>) -> Harness {
    let tls = Some(Arc::new(tls.unwrap()));
    Harness::start(Setup { security, tls, ..Setup::default() }).await
}

/// An authority, a certificate of a member, and one of a client's.
fn authority() -> (Authority, Made, Made) {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let caller = authority.issue("alice", &[]);
    (authority, member, caller)
}

#[tokio::test]
async fn tls_and_plaintext_share_a_port_if_they_may() {
    let (authority, member, _) = authority();
    let harness = start(Security::Either, server(&shown(&member.files))).await;
    let mut plain = Client::connect(harness.dial().await).await;
    assert_eq!(plain.range("key").await.unwrap().count, 1);
    assert_eq!(page(harness.dial().await, "/livez").await.0, StatusCode::OK);

    let tool = authority.tool(None);
    let mut client = Client::connect(secure(&harness, tool.config()).await).await;
    assert_eq!(client.range("key").await.unwrap().count, 1);
    assert_eq!(client.page("/livez").await.0, StatusCode::OK);
    for protocols in [&[b"http/1.1" as &[u8]][..], &[]] {
        let stream = secure(&harness, speaking(&tool, protocols)).await;
        assert_eq!(page(stream, "/livez").await.0, StatusCode::OK, "{protocols:?}");
    }
    let unannounced = secure(&harness, speaking(&tool, &[])).await;
    let mut client = Client::connect(unannounced).await;
    assert_eq!(client.range("key").await.unwrap().count, 1, "HTTP/2 is seen from its preface");
}

#[tokio::test]
async fn plaintext_is_refused_where_there_must_be_tls_and_told_so() {
    let (_authority, member, _) = authority();
    let harness = start(Security::Tls, server(&shown(&member.files))).await;
    let mut stream = harness.dial().await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // The server ends with what it has not read, which may be seen as a reset.
    let _ = stream.read_to_string(&mut answer).await;
    assert_eq!(
        answer,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
    let mut client = Client::connect(harness.dial().await).await;
    client.range("key").await.unwrap_err();
}

#[tokio::test]
async fn tls_is_refused_where_there_is_none() {
    let (authority, ..) = authority();
    let harness = Harness::plain().await;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(authority.tool(None).config());
    connector.connect(name, harness.dial().await).await.unwrap_err();
}

#[tokio::test]
async fn client_is_known_by_its_certificate() {
    let (authority, member, caller) = authority();
    let tls = TlsConfig { trusted_ca: Some(authority.root()), ..shown(&member.files) };
    let harness = start(Security::Tls, server(&tls)).await;
    let tool = authority.tool(Some(&caller));
    let mut client = Client::connect(secure(&harness, tool.config()).await).await;
    assert_eq!(client.range("who").await.unwrap().kvs[0].value, "CN=alice");
}

#[tokio::test]
async fn client_without_a_certificate_or_with_a_revoked_one_is_refused() {
    let (authority, member, caller) = authority();
    let tls = TlsConfig {
        trusted_ca: Some(authority.root()),
        revoked: Some(authority.revoke(&[caller.serial])),
        ..shown(&member.files)
    };
    let harness = start(Security::Tls, server(&tls)).await;
    for identity in [None, Some(&caller)] {
        let tool = authority.tool(identity);
        // In TLS 1.3 the client hears of it when it reads.
        let stream = secure(&harness, tool.config()).await;
        let mut client = Client::connect(stream).await;
        client.range("key").await.unwrap_err();
    }
}

#[tokio::test]
async fn revocation_holds_from_the_next_connection_on() {
    let (authority, member, caller) = authority();
    let tls = TlsConfig {
        trusted_ca: Some(authority.root()),
        revoked: Some(authority.revoke(&[])),
        ..shown(&member.files)
    };
    let harness = start(Security::Tls, server(&tls)).await;
    let tool = authority.tool(Some(&caller));
    let mut before = Client::connect(secure(&harness, tool.config()).await).await;
    assert_eq!(before.range("key").await.unwrap().count, 1);
    authority.revoke(&[caller.serial]);
    let mut after = Client::connect(secure(&harness, tool.config()).await).await;
    after.range("key").await.unwrap_err();
    assert_eq!(before.range("key").await.unwrap().count, 1, "it was let in when it came");
}
