//! Flags of one member: where its data is, where it listens, how much it takes.

use super::super::flag::{Flag, Kind, flag, path, switch};

/// The group `Member`.
pub(super) const MEMBER: &[Flag] = &[
    flag("name", Kind::Text, "default", "The member's name, for people."),
    flag("data-dir", Kind::Path, "", "Where the member's data is kept; ${name}.etcd if not given."),
    path(
        "wal-dir",
        "A directory for the log alone, on a device of its own; within --data-dir if not given.",
    ),
    path(
        "config-file",
        "A YAML or JSON file with settings under the names of flags. With it, all other flags \
         and all environment variables are ignored.",
    ),
    flag(
        "snapshot-count",
        Kind::Number(0, u64::MAX),
        "10000",
        "How many entries of the log make a checkpoint due, if fewer than 10000, each counted as \
         256 bytes; otherwise it is due after 64 MiB of log.",
    ),
    flag(
        "snapshot-catchup-entries",
        Kind::Number(0, u64::MAX),
        "5000",
        "How many entries before the latest checkpoint stay in the log for members that lag a \
         little.",
    ),
    flag(
        "heartbeat-interval",
        Kind::Number(1, 50_000),
        "100",
        "Milliseconds between two heartbeats of a leader.",
    ),
    flag(
        "election-timeout",
        Kind::Number(1, u64::MAX),
        "1000",
        "Milliseconds without a leader until an election; at least five heartbeat intervals, at \
         most 50000.",
    ),
    flag(
        "initial-election-tick-advance",
        Kind::Switch,
        "true",
        "Whether a member that starts waits less than an election timeout for a leader.",
    ),
    flag(
        "listen-peer-urls",
        Kind::Urls,
        "http://localhost:2380",
        "Where to listen for other members.",
    ),
    flag(
        "listen-client-urls",
        Kind::Urls,
        "http://localhost:2379",
        "Where to listen for clients: gRPC, and HTTP unless --listen-client-http-urls is given.",
    ),
    flag(
        "listen-client-http-urls",
        Kind::Urls,
        "",
        "Where to listen for HTTP alone; --listen-client-urls then serve only gRPC.",
    ),
    flag("max-snapshots", Kind::Number(0, u64::MAX), "5", "How many snapshot files to keep.")
        .without_effect("old checkpoints are removed as soon as a newer one is durable"),
    flag("max-wals", Kind::Number(0, u64::MAX), "5", "How many files of the log to keep.")
        .without_effect("segments of the log are recycled when no member needs them"),
    switch("memory-mlock", "Keep the process's memory from being paged out.")
        .without_effect("data is held in ordinary memory; turn swap off, or limit it by cgroup"),
    flag(
        "quota-backend-bytes",
        Kind::Number(0, i64::MAX as u64),
        "0",
        "How many bytes live data may take before writes are refused; 0 for 2 GiB.",
    ),
    flag(
        "backend-bbolt-freelist-type",
        Kind::Choice(&["map", "array"]),
        "map",
        "How etcd's database manages free pages.",
    )
    .without_effect("there is no bbolt database"),
    flag(
        "backend-batch-interval",
        Kind::Duration,
        "100ms",
        "How long etcd's database gathers writes.",
    )
    .without_effect("there is no backend database; the log alone makes writes durable"),
    flag(
        "backend-batch-limit",
        Kind::Number(0, u64::MAX),
        "10000",
        "How many writes etcd's database gathers.",
    )
    .without_effect("there is no backend database; the log alone makes writes durable"),
    flag(
        "max-txn-ops",
        Kind::Number(0, u32::MAX as u64),
        "128",
        "The most operations in one transaction.",
    ),
    flag(
        "max-request-bytes",
        Kind::Number(1, i32::MAX as u64),
        "1572864",
        "The largest request of a client in bytes.",
    ),
    flag(
        "max-concurrent-streams",
        Kind::Number(0, u32::MAX as u64),
        "4294967295",
        "The most streams that one client connection may have open.",
    ),
    flag(
        "grpc-keepalive-min-time",
        Kind::Duration,
        "5s",
        "A client that pings more often than this is disconnected.",
    )
    .without_effect("pings are answered as often as they come, and cost a client as much as us"),
    flag(
        "grpc-keepalive-interval",
        Kind::Duration,
        "2h",
        "How often an idle client is pinged; 0 for never.",
    ),
    flag(
        "grpc-keepalive-timeout",
        Kind::Duration,
        "20s",
        "How long a client may take to answer a ping; 0 for ever.",
    ),
    switch("socket-reuse-port", "Set SO_REUSEPORT on listening sockets.")
        .in_file("socket-options", "reuse-port"),
    switch("socket-reuse-address", "Set SO_REUSEADDR on listening sockets.")
        .in_file("socket-options", "reuse-address")
        .without_effect("listening sockets always have it"),
    flag("enable-grpc-gateway", Kind::Switch, "true", "Serve the JSON gateway.")
        .without_effect("the JSON gateway is not served yet"),
    flag(
        "raft-read-timeout",
        Kind::Duration,
        "5s",
        "How long a connection between members may be silent.",
    )
    .without_effect("members notice a dead connection by heartbeats"),
    flag("raft-write-timeout", Kind::Duration, "5s", "How long a write between members may take.")
        .without_effect("members notice a dead connection by heartbeats"),
    flag("feature-gates", Kind::Text, "", "Features to turn on or off, as A=true,B=false."),
];
