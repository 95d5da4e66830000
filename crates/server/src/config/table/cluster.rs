//! Flags of the cluster: who its members are, and how a new one finds them.

use super::super::flag::{Flag, Kind, flag, path, switch};

/// What to do instead of discovery.
const NO_DISCOVERY: &str = "clusters are not discovered; name the members with \
    --initial-cluster, or let this member be added to a cluster with --join";

/// The group `Clustering`.
pub(super) const CLUSTER: &[Flag] = &[
    flag(
        "initial-advertise-peer-urls",
        Kind::Urls,
        "http://localhost:2380",
        "Where other members reach this one.",
    ),
    flag(
        "initial-cluster",
        Kind::Text,
        "",
        "The first members, as name=peer-url,name=peer-url; this member alone if not given.",
    ),
    flag(
        "initial-cluster-state",
        Kind::Choice(&["new", "existing"]),
        "new",
        "Whether the first members form a new cluster, or this one was added to an existing \
         cluster. Ignored by a member that has data.",
    ),
    flag(
        "initial-cluster-token",
        Kind::Text,
        "etcd-cluster",
        "Goes into the IDs of the first members and of the cluster: two clusters with different \
         tokens never mix.",
    ),
    flag(
        "join",
        Kind::Set,
        "",
        "Peer addresses (host:port) to ask for admission. A member without data then waits, up \
         but not ready, until it is added. Holdfast only.",
    ),
    flag(
        "advertise-client-urls",
        Kind::Urls,
        "http://localhost:2379",
        "Where clients reach this member. Required with --listen-client-urls.",
    ),
    flag(
        "strict-reconfig-check",
        Kind::Switch,
        "true",
        "Refuse changes of the membership that the cluster may not survive.",
    ),
    flag("max-learners", Kind::Number(1, 1000), "1", "The most learners there may be."),
    flag("pre-vote", Kind::Switch, "true", "Ask before an election whether it could be won.")
        .without_effect(
            "pre-vote is always on: without it a returning member deposes a good leader",
        ),
];

/// The group `Discovery`. None of it is served; the flags are known so that their use is refused
/// with a reason instead of starting a cluster of one.
pub(super) const DISCOVERY: &[Flag] = &[
    flag("discovery-token", Kind::Text, "", "The token of the cluster to discover.")
        .refused(NO_DISCOVERY)
        .in_file("discovery-config", "discovery-token"),
    flag("discovery-endpoints", Kind::Set, "", "Where to discover it.")
        .refused(NO_DISCOVERY)
        .in_file("discovery-config", "discovery-endpoints"),
    flag("discovery-srv", Kind::Text, "", "The DNS domain with the SRV records of the members.")
        .refused(NO_DISCOVERY),
    flag("discovery-srv-name", Kind::Text, "", "Part of the name of the SRV records.")
        .refused(NO_DISCOVERY),
    flag("discovery", Kind::Text, "", "The address of etcd 2's discovery.").refused(NO_DISCOVERY),
    flag("discovery-proxy", Kind::Text, "", "A proxy to it.").without_effect(NO_DISCOVERY),
    flag("discovery-fallback", Kind::Choice(&["exit"]), "exit", "What to do if discovery fails.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-dial-timeout", Kind::Duration, "2s", "How long to wait for a connection.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-request-timeout", Kind::Duration, "5s", "How long to wait for an answer.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-keepalive-time", Kind::Duration, "2s", "How often to ping.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-keepalive-timeout", Kind::Duration, "6s", "How long to wait for a pong.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-insecure-transport", Kind::Switch, "true", "Speak in the clear.")
        .without_effect(NO_DISCOVERY),
    switch("discovery-insecure-skip-tls-verify", "Trust any certificate.")
        .without_effect(NO_DISCOVERY),
    path("discovery-cert", "The client's certificate.").without_effect(NO_DISCOVERY),
    path("discovery-key", "The client's key.").without_effect(NO_DISCOVERY),
    path("discovery-cacert", "Who may have signed the server's certificate.")
        .without_effect(NO_DISCOVERY),
    flag("discovery-user", Kind::Text, "", "The user's name.").without_effect(NO_DISCOVERY),
    flag("discovery-password", Kind::Text, "", "The user's password.").without_effect(NO_DISCOVERY),
];
