//! Tests of who the first members are.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::*;
use crate::config::{Config, Loaded, Url, load};

fn config(words: &[&str]) -> Config {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match load(&words, &BTreeMap::new()).unwrap() {
        Loaded::Member(config, _) => *config,
        Loaded::Help | Loaded::Version => panic!("{words:?} asks for no member"),
    }
}

fn nobody(_: &str) -> io::Result<Vec<IpAddr>> {
    Err(io::ErrorKind::NotFound.into())
}

/// A member of three at the ports 1 to 3 of 10.0.0.1, with this name and these peer addresses.
fn one_of_three(name: &str, advertised: &str) -> Config {
    config(&[
        "--name",
        name,
        "--initial-cluster",
        "a=http://10.0.0.1:1,b=http://10.0.0.1:2,c=http://10.0.0.1:3",
        "--initial-advertise-peer-urls",
        advertised,
    ])
}

fn remote(members: &[(u64, &str)]) -> RemoteCluster {
    RemoteCluster {
        cluster_id: 7,
        members: members
            .iter()
            .map(|(id, urls)| RemoteMember {
                id: *id,
                name: String::new(),
                peer_urls: urls.split(',').map(str::to_owned).collect(),
                is_learner: *id == 9,
            })
            .collect(),
    }
}

/// IDs that etcd 3.7.1 has printed for these flags (`etcdctl member list -w json --hex`).
#[test]
fn ids_are_those_that_etcd_computes() {
    let alone = founding(&config(&[]), &mut nobody).unwrap();
    assert_eq!(alone.member_id, 0x8e9e_05c5_2164_694d);
    assert_eq!(alone.cluster_id, 0xcdf8_1819_4e3a_8c32);

    let three = config(&[
        "--name=c",
        "--initial-cluster-token=tok-1",
        "--initial-advertise-peer-urls=http://127.0.0.1:23032,http://127.0.0.1:23033",
        "--initial-cluster=a=http://127.0.0.1:23012,b=http://localhost:23022,\
         c=http://127.0.0.1:23033,c=http://127.0.0.1:23032",
    ]);
    let three = founding(&three, &mut nobody).unwrap();
    assert_eq!(three.cluster_id, 0xfd58_f82f_39ac_6d8e);
    assert_eq!(three.member_id, 0x81ec_973f_c2f4_ef12);
    let ids: Vec<u64> = three.members.keys().copied().collect();
    assert_eq!(ids, [0x5b25_be73_652a_38a3, 0x7c3a_f94d_a2a5_d830, 0x81ec_973f_c2f4_ef12]);
    let c = &three.members[&three.member_id];
    assert_eq!(c.name, "c");
    assert_eq!(c.peer_urls, ["http://127.0.0.1:23032", "http://127.0.0.1:23033"]);
}

#[test]
fn founding_wants_this_member_among_the_first_at_the_addresses_it_advertises() {
    let error = |config: &Config| founding(config, &mut nobody).unwrap_err().to_string();
    assert_eq!(
        error(&one_of_three("d", "http://10.0.0.1:1")),
        "couldn't find local name \"d\" in the initial cluster configuration, which is \
         a=http://10.0.0.1:1,b=http://10.0.0.1:2,c=http://10.0.0.1:3: give --name one of its \
         names, or add it to --initial-cluster"
    );
    assert_eq!(
        error(&one_of_three("a", "http://10.0.0.1:2")),
        "--initial-cluster has http://10.0.0.1:1 for this member, and \
         --initial-advertise-peer-urls has http://10.0.0.1:2: both must name the same addresses"
    );
    let twice = config(&[
        "--name=a",
        "--initial-advertise-peer-urls=http://h:1",
        "--initial-cluster=a=http://h:1,b=http://h:1",
    ]);
    assert_eq!(
        error(&twice),
        "initial cluster a=http://h:1,b=http://h:1 has duplicate url http://h:1"
    );
}

#[test]
fn names_that_lead_to_the_advertised_address_will_do() {
    let config = config(&[
        "--name=a",
        "--initial-advertise-peer-urls=http://10.0.0.1:1",
        "--initial-cluster=a=http://host:1",
    ]);
    let founding = founding(&config, &mut |_| Ok(vec!["10.0.0.1".parse().unwrap()])).unwrap();
    let urls = Url::parse_list("http://host:1").unwrap();
    assert_eq!(founding.member_id, member_id(&urls, "etcd-cluster"), "the ID is that of the name");
}

#[test]
fn a_member_that_was_added_is_found_by_its_addresses_under_the_id_it_was_given() {
    let config = one_of_three("b", "http://10.0.0.1:2");
    let members = [(3, "http://10.0.0.1:3"), (1, "http://10.0.0.1:1"), (9, "http://10.0.0.1:2")];
    let admitted = admission(&config, &remote(&members), &mut nobody);
    assert_eq!(admitted, Ok(Admission { cluster_id: 7, member_id: 9 }));
    let urls = Url::parse_list("http://10.0.0.1:2").unwrap();
    let cluster = remote(&members);
    assert_eq!(find_by_peer_urls(&cluster, &urls, &mut nobody).unwrap().id, 9);
    let urls = Url::parse_list("http://10.0.0.1:4").unwrap();
    assert_eq!(find_by_peer_urls(&cluster, &urls, &mut nobody), None);
}

#[test]
fn lists_that_differ_from_the_cluster_are_refused() {
    let config = one_of_three("b", "http://10.0.0.1:2");
    let error = |members: &[(u64, &str)]| {
        admission(&config, &remote(members), &mut nobody).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[(1, "http://10.0.0.1:1")]),
        "member count is unequal: --initial-cluster has 3, and the cluster has 1; add this member \
         before it starts, and name all members"
    );
    assert_eq!(
        error(&[(1, "http://10.0.0.1:1"), (2, "http://10.0.0.1:2"), (0xabc, "junk")]),
        "PeerURLs: no match found for existing member abc at junk; --initial-cluster has \
         a=http://10.0.0.1:1,b=http://10.0.0.1:2,c=http://10.0.0.1:3"
    );
    let mut cluster =
        remote(&[(3, "http://10.0.0.1:3"), (1, "http://10.0.0.1:1"), (9, "http://10.0.0.1:2")]);
    cluster.members[0].is_learner = true;
    assert_eq!(
        admission(&config, &cluster, &mut nobody).unwrap_err().to_string(),
        "the cluster has 2 learners, and --max-learners is 1"
    );
}
