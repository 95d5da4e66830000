//! Leases and what is attached to them.

use super::*;

async fn grant(
    clients: &mut Clients,
    id: i64,
    ttl: i64,
) -> Result<api::LeaseGrantResponse, Status> {
    let request = api::LeaseGrantRequest { ttl, id };
    clients.lease.lease_grant(request).await.map(tonic::Response::into_inner)
}

async fn life(clients: &mut Clients, id: i64) -> api::LeaseTimeToLiveResponse {
    let request = api::LeaseTimeToLiveRequest { id, keys: true };
    clients.lease.lease_time_to_live(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn lease_is_given_an_id_and_enough_time() {
    let (_member, mut clients) = Clients::alone().await;
    let drawn = grant(&mut clients, 0, 0).await.unwrap();
    assert!(0 < drawn.id, "lease {} was drawn", drawn.id);
    assert_eq!((drawn.ttl, drawn.error.as_str()), (1, ""));
    assert_eq!(drawn.header.unwrap().revision, 1);
    assert_eq!(grant(&mut clients, -7, 100).await.unwrap().id, -7);
    assert_refused(grant(&mut clients, -7, 100).await, Refusal::LeaseExists);
    assert_refused(grant(&mut clients, 8, 9_000_000_001).await, Refusal::LeaseTtlTooLarge);
    assert_eq!(grant(&mut clients, 8, 9_000_000_000).await.unwrap().ttl, 9_000_000_000);
    let leases = clients.lease.lease_leases(api::LeaseLeasesRequest {}).await.unwrap();
    let mut ids: Vec<i64> = leases.into_inner().leases.iter().map(|lease| lease.id).collect();
    ids.retain(|id| *id != drawn.id);
    assert_eq!(ids, [-7, 8]);
}

#[tokio::test]
async fn lease_tells_how_long_it_lives_and_what_is_attached() {
    let (_member, mut clients) = Clients::alone().await;
    grant(&mut clients, 7, 100).await.unwrap();
    for key in ["b", "a"] {
        let put = api::PutRequest { key: bytes(key), lease: 7, ..Default::default() };
        clients.kv.put(put).await.unwrap();
    }
    let alive = life(&mut clients, 7).await;
    assert_eq!((alive.id, alive.granted_ttl), (7, 100));
    assert!(90 < alive.ttl && alive.ttl <= 100, "{} s are left", alive.ttl);
    assert_eq!(alive.keys, ["a", "b"]);
    assert_eq!(alive.header.unwrap().revision, 3);
    let gone = life(&mut clients, 8).await;
    assert_eq!((gone.id, gone.ttl, gone.granted_ttl, gone.keys.len()), (8, -1, 0, 0));
}

#[tokio::test]
async fn end_of_a_lease_is_the_end_of_its_keys() {
    let (_member, mut clients) = Clients::alone().await;
    grant(&mut clients, 7, 100).await.unwrap();
    let put = api::PutRequest { key: bytes("a"), lease: 7, ..Default::default() };
    clients.kv.put(put).await.unwrap();
    let revoke = api::LeaseRevokeRequest { id: 7 };
    let revoked = clients.lease.lease_revoke(revoke).await.unwrap().into_inner();
    assert_eq!(revoked.header.unwrap().revision, 3);
    assert_eq!(clients.range("a", "").await.count, 0);
    assert_refused(clients.lease.lease_revoke(revoke).await, Refusal::LeaseNotFound);
}

#[tokio::test]
async fn leases_are_kept_alive_in_the_order_of_the_questions() {
    let (_member, mut clients) = Clients::alone().await;
    grant(&mut clients, 7, 100).await.unwrap();
    let questions = [7, 8, 7].map(|id| api::LeaseKeepAliveRequest { id });
    let answers = clients.lease.lease_keep_alive(tokio_stream::iter(questions)).await.unwrap();
    let answers: Vec<(i64, i64)> = answers
        .into_inner()
        .map(|answer| answer.map(|answer| (answer.id, answer.ttl)).unwrap())
        .collect()
        .await;
    assert_eq!(answers, [(7, 100), (8, 0), (7, 100)]);
}
