//! Who belongs to the cluster, and who may.

use super::member::MEMBER;
use super::*;

fn urls(ports: &[u16]) -> Vec<String> {
    ports.iter().map(|port| format!("http://10.0.0.1:{port}")).collect()
}

fn add(ports: &[u16], is_learner: bool) -> api::MemberAddRequest {
    api::MemberAddRequest { peer_ur_ls: urls(ports), is_learner }
}

async fn list(clients: &mut Clients) -> Vec<api::Member> {
    let request = api::MemberListRequest { linearizable: true };
    let answer = clients.cluster.member_list(request).await.unwrap().into_inner();
    assert_eq!(answer.header.unwrap().revision, 0, "a list of members has a revision");
    answer.members
}

#[tokio::test]
async fn learner_is_added_and_removed_for_ever() {
    let (_member, mut clients) = Clients::alone().await;
    let answer = clients.cluster.member_add(add(&[2, 1], true)).await.unwrap().into_inner();
    let added = answer.member.unwrap();
    assert_eq!((&added.peer_ur_ls, added.is_learner), (&urls(&[1, 2]), true));
    assert_eq!((added.name.as_str(), added.client_ur_ls.len()), ("", 0));
    assert_eq!(answer.members, list(&mut clients).await);
    assert_eq!(answer.members.len(), 2);
    assert!(answer.members.contains(&added), "it is not listed");

    let again = clients.cluster.member_add(add(&[2, 3], true)).await;
    assert_refused(again, Refusal::PeerUrlExists);
    let second = clients.cluster.member_add(add(&[3], true)).await;
    assert_refused(second, Refusal::TooManyLearners);
    let promote = api::MemberPromoteRequest { id: added.id };
    let promoted = clients.cluster.member_promote(promote).await;
    assert_refused(promoted, Refusal::LearnerNotReady);

    let remove = api::MemberRemoveRequest { id: added.id };
    let left = clients.cluster.member_remove(remove).await.unwrap().into_inner();
    assert_eq!(left.members, list(&mut clients).await);
    assert_eq!(left.members.len(), 1);
    assert_refused(clients.cluster.member_remove(remove).await, Refusal::MemberNotFound);
}

#[tokio::test]
async fn voter_that_never_starts_harms_nobody() {
    let (_member, mut clients) = Clients::alone().await;
    let answer = clients.cluster.member_add(add(&[2], false)).await.unwrap().into_inner();
    let added = answer.member.unwrap();
    assert_eq!((added.name.as_str(), added.is_learner), ("", false));
    assert!(list(&mut clients).await.contains(&added), "it is listed as another");
    let put = api::PutRequest { key: b"a".to_vec().into(), ..Default::default() };
    clients.kv.put(put).await.unwrap();

    // It counts as a voter that has not started, and does not count as a learner.
    let third = clients.cluster.member_add(add(&[3], false)).await;
    assert_refused(third, Refusal::NotEnoughStarted);
    let promote = api::MemberPromoteRequest { id: added.id };
    assert_refused(clients.cluster.member_promote(promote).await, Refusal::MemberNotLearner);
    let learner = clients.cluster.member_add(add(&[4], true)).await.unwrap().into_inner();
    let listed = list(&mut clients).await;
    assert_eq!(listed.iter().filter(|member| member.is_learner).count(), 1);

    for id in [added.id, learner.member.unwrap().id] {
        clients.cluster.member_remove(api::MemberRemoveRequest { id }).await.unwrap();
    }
    assert_eq!(list(&mut clients).await.len(), 1);
}

#[tokio::test]
async fn last_voter_stays_and_votes_already() {
    let (_member, mut clients) = Clients::alone().await;
    let remove = api::MemberRemoveRequest { id: MEMBER };
    assert_refused(clients.cluster.member_remove(remove).await, Refusal::NotEnoughStarted);
    let promote = api::MemberPromoteRequest { id: MEMBER };
    assert_refused(clients.cluster.member_promote(promote).await, Refusal::MemberNotLearner);
    let unknown = api::MemberPromoteRequest { id: 99 };
    assert_refused(clients.cluster.member_promote(unknown).await, Refusal::MemberNotFound);
}

#[tokio::test]
async fn addresses_of_members_must_be_some() {
    let (_member, mut clients) = Clients::alone().await;
    for urls in [vec![], vec!["host:1"], vec!["http://host"], vec!["http://h:1", "ftp://h:1"]] {
        let peer_ur_ls: Vec<String> = urls.into_iter().map(str::to_owned).collect();
        let add = api::MemberAddRequest { peer_ur_ls: peer_ur_ls.clone(), is_learner: true };
        assert_refused(clients.cluster.member_add(add).await, Refusal::BadMemberUrls);
        let update = api::MemberUpdateRequest { id: MEMBER, peer_ur_ls };
        assert_refused(clients.cluster.member_update(update).await, Refusal::BadMemberUrls);
    }
}

#[tokio::test]
async fn member_gets_other_addresses_and_stays_what_it_is() {
    let (_member, mut clients) = Clients::alone().await;
    let update = |id| api::MemberUpdateRequest { id, peer_ur_ls: urls(&[9]) };
    let answer = clients.cluster.member_update(update(MEMBER)).await.unwrap().into_inner();
    assert_eq!(answer.members, list(&mut clients).await);
    assert_eq!(
        (answer.members[0].name.as_str(), &answer.members[0].peer_ur_ls),
        ("m1", &urls(&[9]))
    );
    assert_refused(clients.cluster.member_update(update(99)).await, Refusal::MemberNotFound);
}
