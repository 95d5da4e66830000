//! Flags of those who run a member: logs, metrics, maintenance, and what is unsafe.

use super::super::flag::{Flag, Kind, flag, switch};

/// The group `Profiling and Monitoring`.
pub(super) const MONITORING: &[Flag] = &[
    switch("enable-pprof", "Serve profiles of the Go runtime.")
        .without_effect("there is no Go runtime to profile; use perf"),
    flag(
        "metrics",
        Kind::Choice(&["basic", "extensive"]),
        "basic",
        "How much /metrics shows; extensive adds histograms of the duration of calls.",
    ),
    flag(
        "listen-metrics-urls",
        Kind::Urls,
        "",
        "Where to serve /metrics and the health checks as well.",
    ),
];

/// The group `Logging`.
pub(super) const LOGGING: &[Flag] = &[
    flag("logger", Kind::Choice(&["zap"]), "zap", "etcd's logging library.")
        .without_effect("lines have zap's form whatever writes them"),
    flag(
        "log-outputs",
        Kind::Set,
        "default",
        "Where log lines go: default, stderr, stdout, or paths of files.",
    ),
    flag(
        "log-level",
        Kind::Choice(&["debug", "info", "warn", "error", "panic", "fatal"]),
        "info",
        "The least level that is logged: debug, info, warn, error, panic, or fatal.",
    ),
    flag("log-format", Kind::Choice(&["json", "console"]), "json", "json or console."),
    switch("enable-log-rotation", "Begin a new log file when the old one has grown.")
        .without_effect("log files are not rotated; use logrotate with copytruncate"),
    flag(
        "log-rotation-config-json",
        Kind::Text,
        r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#,
        "When to begin a new log file.",
    )
    .without_effect("log files are not rotated; use logrotate with copytruncate"),
    flag(
        "warning-unary-request-duration",
        Kind::Duration,
        "300ms",
        "A call that takes longer is logged.",
    ),
];

/// The group `Distributed tracing`.
pub(super) const TRACING: &[Flag] = &[
    switch("enable-distributed-tracing", "Send spans of calls to a collector, by OTLP over gRPC."),
    flag(
        "distributed-tracing-address",
        Kind::Text,
        "localhost:4317",
        "Where the collector listens, in plaintext.",
    ),
    flag("distributed-tracing-service-name", Kind::Text, "etcd", "The service that spans are of."),
    flag(
        "distributed-tracing-instance-id",
        Kind::Text,
        "",
        "Which member of the service; each wants its own.",
    ),
    flag(
        "distributed-tracing-sampling-rate",
        Kind::Number(0, 1_000_000),
        "0",
        "Of how many of a million calls there are spans, where the caller has not decided it.",
    ),
];

/// The group `Maintenance`.
pub(super) const MAINTENANCE: &[Flag] = &[
    flag(
        "auto-compaction-mode",
        Kind::Choice(&["periodic", "revision"]),
        "periodic",
        "Whether --auto-compaction-retention is a time or a number of revisions.",
    ),
    flag(
        "auto-compaction-retention",
        Kind::Text,
        "0",
        "How much history compaction leaves: hours or a duration such as 5m, or a number of \
         revisions; 0 for no compaction.",
    ),
    flag("corrupt-check-time", Kind::Duration, "0s", "How often members compare their data.")
        .without_effect("members compare their data at every compaction"),
    flag(
        "compact-hash-check-time",
        Kind::Duration,
        "1m",
        "How often compaction's hashes are compared.",
    )
    .without_effect("members compare their data at every compaction"),
    flag(
        "compaction-batch-limit",
        Kind::Number(0, u32::MAX as u64),
        "1000",
        "How many revisions a step of compaction removes.",
    )
    .without_effect("compaction measures its own steps"),
    flag(
        "compaction-sleep-interval",
        Kind::Duration,
        "10ms",
        "How long compaction rests between steps.",
    )
    .without_effect("compaction measures its own steps"),
    flag(
        "watch-progress-notify-interval",
        Kind::Duration,
        "10m",
        "How often a quiet watch that asked for it hears of progress; 0 for ten minutes.",
    ),
    flag(
        "warning-apply-duration",
        Kind::Duration,
        "100ms",
        "A command that takes longer to apply is logged.",
    ),
    flag(
        "bootstrap-defrag-threshold-megabytes",
        Kind::Number(0, u64::MAX),
        "0",
        "Defragment at start if that frees so much.",
    )
    .without_effect("space is reclaimed without defragmentation"),
    flag(
        "downgrade-check-time",
        Kind::Duration,
        "5s",
        "How often the state of a downgrade is looked at.",
    )
    .without_effect("a downgrade changes no data here"),
    flag(
        "v2-deprecation",
        Kind::Choice(&["write-only", "write-only-skip-check", "write-only-drop-data", "gone"]),
        "write-only",
        "What to do with data of etcd 2.",
    )
    .without_effect("there is no data of etcd 2"),
];

/// The group `Unsafe`.
pub(super) const UNSAFE: &[Flag] = &[
    switch(
        "force-new-cluster",
        "Start as the only member of a new cluster with the data of the old one.",
    ),
    switch(
        "unsafe-no-fsync",
        "Do not wait for the disk. A crash of the machine loses acknowledged writes.",
    ),
];
