//! Addresses: whose they are, and what is said when they cannot be had.

use tempfile::TempDir;
use tokio::net::UnixStream;

use super::harness::{Client, Harness, Setup, loopback, page};
use super::*;

fn listen(place: Place) -> Listen {
    Listen { place, security: Security::Plain, serves: Serves::All, sharing: Sharing::Alone }
}

fn named(host: &str, port: u16) -> Place {
    Place::Tcp { host: host.to_owned(), port }
}

#[tokio::test]
async fn socket_in_the_file_system_is_made_and_removed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("client.sock");
    let place = Place::Unix { path: path.clone() };
    let harness = Harness::start(Setup { place, ..Setup::default() }).await;
    let mut client = Client::connect(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(client.range("who").await.unwrap().kvs[0].value, "unix");
    let (status, _) = page(UnixStream::connect(&path).await.unwrap(), "/version").await;
    assert_eq!(status, StatusCode::OK);
    drop(client);
    harness.server.shutdown(std::time::Duration::from_secs(5)).await;
    assert!(!path.exists(), "nobody listens there any more");
}

#[tokio::test]
async fn socket_that_a_dead_process_has_left_is_replaced_and_a_live_one_is_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("client.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the file outlives its socket");
    let wish = listen(Place::Unix { path: path.clone() });
    let first = bind(std::slice::from_ref(&wish)).await.unwrap();
    let error = bind(&[wish]).await.unwrap_err().to_string();
    assert!(error.contains(": the address is in use; stop the process that uses it"), "{error}");
    drop(first);

    let file = directory.path().join("data");
    std::fs::write(&file, "not ours").unwrap();
    bind(&[listen(Place::Unix { path: file.clone() })]).await.unwrap_err();
    assert_eq!(std::fs::read(&file).unwrap(), b"not ours", "only sockets are replaced");
}

#[tokio::test]
async fn address_that_cannot_be_had_is_refused_with_what_to_do() {
    let held = bind(&[listen(loopback(0))]).await.unwrap();
    let port = held[0].address().unwrap().port();
    let refusal = async |place| bind(&[listen(place)]).await.unwrap_err().to_string();
    assert_eq!(
        refusal(loopback(port)).await,
        format!(
            "cannot listen on 127.0.0.1:{port}: the address is in use; stop the process that uses \
             it, or choose another port"
        )
    );
    let foreign = refusal(named("192.0.2.1", 1)).await;
    assert!(foreign.contains("192.0.2.1:1 is not an address of this machine"), "{foreign}");
    let unknown = refusal(named("no.such.name.invalid", 1)).await;
    assert!(unknown.contains("the name `no.such.name.invalid` has no address"), "{unknown}");
}

#[tokio::test]
async fn names_and_both_families_of_addresses_are_listened_on() {
    for (host, is_v4) in [("localhost", true), ("::1", false), ("0.0.0.0", true), ("", true)] {
        let listeners = bind(&[listen(named(host, 0))]).await.unwrap();
        assert_eq!(listeners[0].address().unwrap().is_ipv4(), is_v4, "{host}");
    }
}

#[tokio::test]
async fn port_is_shared_if_all_want_it() {
    let free = bind(&[listen(loopback(0))]).await.unwrap();
    let port = free[0].address().unwrap().port();
    drop(free);
    let shared = Listen { sharing: Sharing::Shared, ..listen(loopback(port)) };
    let first = bind(std::slice::from_ref(&shared)).await.unwrap();
    let second = bind(&[shared]).await.unwrap();
    assert_eq!(first[0].address(), second[0].address());
}

#[tokio::test]
async fn two_wishes_for_one_place_are_one_listener_or_a_conflict() {
    let free = bind(&[listen(loopback(0))]).await.unwrap();
    let port = free[0].address().unwrap().port();
    drop(free);
    let plain = listen(loopback(port));
    let tls = Listen { security: Security::Tls, ..plain.clone() };
    let listeners = bind(&[plain.clone(), tls]).await.unwrap();
    assert_eq!((listeners.len(), listeners[0].security), (1, Security::Either));
    drop(listeners);

    let pages = Listen { serves: Serves::Pages, ..plain.clone() };
    let error = bind(&[plain.clone(), pages]).await.unwrap_err().to_string();
    assert!(error.contains("wanted for clients and for pages of HTTP only"), "{error}");
    let any = listen(loopback(0));
    assert_eq!(bind(&[any.clone(), any]).await.unwrap().len(), 2, "any port is each time another");
}

#[tokio::test]
async fn address_serves_only_what_it_is_for() {
    let pages = Harness::start(Setup { serves: Serves::Pages, ..Setup::default() }).await;
    let mut client = Client::connect(pages.dial().await).await;
    assert_eq!(client.range("key").await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(client.page("/health").await.0, StatusCode::OK);

    let calls = Harness::start(Setup { serves: Serves::Calls, ..Setup::default() }).await;
    let mut client = Client::connect(calls.dial().await).await;
    assert_eq!(client.range("key").await.unwrap().count, 1);
    assert_eq!(page(calls.dial().await, "/health").await.0, StatusCode::NOT_FOUND);
}
