//! What operators ask for.

use sha2::{Digest, Sha256};

use super::member::MEMBER;
use super::*;

#[tokio::test]
async fn status_tells_what_clients_choose_by() {
    let (_member, mut clients) = Clients::alone().await;
    clients.put("k", "v").await;
    let status = clients.maintenance.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.version.as_str(), status.leader), ("3.7.1", MEMBER));
    let header = status.header.unwrap();
    assert_eq!((header.revision, header.raft_term), (2, status.raft_term));
    assert!(1 < status.raft_index, "{status:?}");
    assert!(status.raft_applied_index <= status.raft_index, "{status:?}");
    assert_eq!((status.errors.len(), status.is_learner), (0, false));
    assert_eq!(status.db_size_quota, 20_000_000);
    assert_eq!(status.db_size, status.db_size_in_use);
    assert_eq!(status.downgrade_info, Some(api::DowngradeInfo::default()));
}

async fn alarm(
    clients: &mut Clients,
    action: i32,
    alarm: i32,
) -> Result<api::AlarmResponse, Status> {
    let request = api::AlarmRequest { action, member_id: MEMBER, alarm };
    clients.maintenance.alarm(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn alarm_is_raised_listed_and_lowered() {
    let (_member, mut clients) = Clients::alone().await;
    let raised = vec![api::AlarmMember { member_id: MEMBER, alarm: 2 }];
    assert_eq!(alarm(&mut clients, 1, 2).await.unwrap().alarms, raised);
    for (kind, listed) in [(0, raised.clone()), (1, vec![]), (2, raised.clone())] {
        assert_eq!(alarm(&mut clients, 0, kind).await.unwrap().alarms, listed, "kind {kind}");
    }
    let status = clients.maintenance.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.errors, [format!("memberID:{MEMBER} alarm:CORRUPT")]);
    assert_eq!(alarm(&mut clients, 2, 2).await.unwrap().alarms, raised);
    assert_eq!(alarm(&mut clients, 0, 0).await.unwrap().alarms, []);
    assert_eq!(alarm(&mut clients, 1, 0).await.unwrap().alarms, []);
}

#[tokio::test]
async fn numbers_that_stand_for_nothing_are_refused() {
    let (_member, mut clients) = Clients::alone().await;
    for (action, kind) in [(3, 0), (-1, 1), (0, 3), (1, -1)] {
        let status = alarm(&mut clients, action, kind).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let downgrade = api::DowngradeRequest { action: 3, version: "3.6".to_owned() };
    assert_refused(clients.maintenance.downgrade(downgrade).await, Refusal::UnknownMethod);
}

#[tokio::test]
async fn hashes_are_of_what_is_stored() {
    let (_member, mut clients) = Clients::alone().await;
    let at = |revision| api::HashKvRequest { revision };
    clients.put("k", "1").await;
    let first = clients.maintenance.hash_kv(at(0)).await.unwrap().into_inner();
    assert_eq!((first.compact_revision, first.hash_revision), (-1, 2));
    let hash = clients.maintenance.hash(api::HashRequest {}).await.unwrap().into_inner();
    clients.put("k", "2").await;
    let again = clients.maintenance.hash_kv(at(2)).await.unwrap().into_inner();
    assert_eq!((again.hash, again.header.unwrap().revision), (first.hash, 3));
    let second = clients.maintenance.hash_kv(at(0)).await.unwrap().into_inner();
    assert_ne!(second.hash, first.hash);
    let other = clients.maintenance.hash(api::HashRequest {}).await.unwrap().into_inner();
    assert_ne!(other.hash, hash.hash);
    assert_refused(clients.maintenance.hash_kv(at(4)).await, Refusal::FutureRevision);
}

#[tokio::test]
async fn image_is_whole_and_signed() {
    let (member, mut clients) = Clients::alone().await;
    for at in 0..50 {
        clients.put(&format!("k{at}"), &"v".repeat(2_000)).await;
    }
    let parts = clients.maintenance.snapshot(api::SnapshotRequest {}).await.unwrap();
    let parts: Vec<_> = parts.into_inner().map(Result::unwrap).collect().await;
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.blob.to_vec()).collect();
    assert_eq!(bytes.len() % 512, 32);
    let (image, digest) = bytes.split_at(bytes.len() - 32);
    assert_eq!(Sha256::digest(image)[..], *digest);
    let expected: Vec<u8> = member.handle.image().await.unwrap().chunks().flatten().collect();
    assert_eq!(image[..expected.len()], expected);
    let padding = &image[expected.len()..];
    assert!(padding.len() < 512 && padding.iter().all(|byte| *byte == 0), "{padding:?}");
    let remaining: Vec<u64> = parts.iter().map(|part| part.remaining_bytes).collect();
    assert!(remaining.is_sorted_by(|a, b| a >= b), "{remaining:?}");
    assert_eq!(remaining[remaining.len() - 2..], [0, 0]);
}

#[tokio::test]
async fn leadership_goes_only_to_voters() {
    let (_member, mut clients) = Clients::alone().await;
    let to = |target_id| api::MoveLeaderRequest { target_id };
    assert_refused(clients.maintenance.move_leader(to(99)).await, Refusal::BadTransferee);
    assert!(clients.maintenance.move_leader(to(MEMBER)).await.is_ok(), "it leads already");
    let member = Member::without_leader();
    let mut clients = Clients::of(&member);
    assert_refused(clients.maintenance.move_leader(to(2)).await, Refusal::NotLeader);
}

#[tokio::test]
async fn cluster_goes_back_to_the_version_before_and_to_no_other() {
    let (member, mut clients) = Clients::alone().await;
    let mut downgrade = async |action, version: &str| {
        let request = api::DowngradeRequest { action, version: version.to_owned() };
        clients.maintenance.downgrade(request).await.map(|answer| answer.into_inner().version)
    };
    let (validate, enable, cancel) = (0, 1, 2);
    let refused = Refusal::ClusterVersionUnavailable;
    assert_refused(downgrade(validate, "3.6").await, refused);
    let version = store::Command::ClusterVersion { version: "3.7.0".to_owned() };
    member.handle.propose(version).await.unwrap();
    assert_refused(downgrade(validate, "three").await, Refusal::WrongDowngradeVersion);
    assert_refused(downgrade(validate, "3.5").await, Refusal::InvalidDowngradeTarget);
    assert_eq!(downgrade(validate, "3.6").await.unwrap(), "3.7");
    assert_eq!(downgrade(enable, "3.6.0").await.unwrap(), "3.7");
    assert_refused(downgrade(enable, "3.6").await, Refusal::DowngradeInProgress);
    assert_eq!(member.handle.published().downgrade.as_deref(), Some("3.6.0"));
    assert_eq!(downgrade(cancel, "").await.unwrap(), "3.7");
    assert_eq!(downgrade(cancel, "").await.unwrap(), "3.7");
    assert_eq!(member.handle.published().downgrade, None);
}
