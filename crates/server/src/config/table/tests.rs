//! Tests of the table of flags.

use std::collections::BTreeSet;

use super::super::flag::Effect;
use super::super::settings::default;
use super::*;

/// The flags of etcd 3.7.1 with the defaults that its program has for them.
const ETCD: &[(&str, &str)] = &[
    ("advertise-client-urls", "http://localhost:2379"),
    ("auth-token", "simple"),
    ("auth-token-ttl", "300"),
    ("auto-compaction-mode", "periodic"),
    ("auto-compaction-retention", "0"),
    ("auto-tls", "false"),
    ("backend-batch-interval", "0s"),
    ("backend-batch-limit", "0"),
    ("backend-bbolt-freelist-type", ""),
    ("bcrypt-cost", "10"),
    ("bootstrap-defrag-threshold-megabytes", "0"),
    ("cert-file", ""),
    ("cipher-suites", ""),
    ("client-cert-allowed-hostname", ""),
    ("client-cert-auth", "false"),
    ("client-cert-file", ""),
    ("client-crl-file", ""),
    ("client-key-file", ""),
    ("compact-hash-check-time", "1m0s"),
    ("compaction-batch-limit", "0"),
    ("compaction-sleep-interval", "0s"),
    ("config-file", ""),
    ("corrupt-check-time", "0s"),
    ("cors", "*"),
    ("data-dir", ""),
    ("discovery-cacert", ""),
    ("discovery-cert", ""),
    ("discovery-dial-timeout", "2s"),
    ("discovery-endpoints", ""),
    ("discovery-fallback", "exit"),
    ("discovery-insecure-skip-tls-verify", "false"),
    ("discovery-insecure-transport", "true"),
    ("discovery-keepalive-time", "2s"),
    ("discovery-keepalive-timeout", "6s"),
    ("discovery-key", ""),
    ("discovery-password", ""),
    ("discovery-request-timeout", "5s"),
    ("discovery-srv", ""),
    ("discovery-srv-name", ""),
    ("discovery-token", ""),
    ("discovery-user", ""),
    ("distributed-tracing-address", "localhost:4317"),
    ("distributed-tracing-instance-id", ""),
    ("distributed-tracing-sampling-rate", "0"),
    ("distributed-tracing-service-name", "etcd"),
    ("downgrade-check-time", "5s"),
    ("election-timeout", "1000"),
    ("enable-distributed-tracing", "false"),
    ("enable-grpc-gateway", "true"),
    ("enable-log-rotation", "false"),
    ("enable-pprof", "false"),
    ("feature-gates", ""),
    ("force-new-cluster", "false"),
    ("grpc-keepalive-interval", "2h0m0s"),
    ("grpc-keepalive-min-time", "5s"),
    ("grpc-keepalive-timeout", "20s"),
    ("heartbeat-interval", "100"),
    ("host-whitelist", "*"),
    ("initial-advertise-peer-urls", "http://localhost:2380"),
    ("initial-cluster", "default=http://localhost:2380"),
    ("initial-cluster-state", "new"),
    ("initial-cluster-token", "etcd-cluster"),
    ("initial-election-tick-advance", "true"),
    ("key-file", ""),
    ("listen-client-http-urls", ""),
    ("listen-client-urls", "http://localhost:2379"),
    ("listen-metrics-urls", ""),
    ("listen-peer-urls", "http://localhost:2380"),
    ("log-format", "json"),
    ("log-level", "info"),
    ("log-outputs", "default"),
    (
        "log-rotation-config-json",
        r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#,
    ),
    ("logger", "zap"),
    ("max-concurrent-streams", "4294967295"),
    ("max-learners", "1"),
    ("max-request-bytes", "1572864"),
    ("max-snapshots", "5"),
    ("max-txn-ops", "128"),
    ("max-wals", "5"),
    ("memory-mlock", "false"),
    ("metrics", "basic"),
    ("name", "default"),
    ("peer-auto-tls", "false"),
    ("peer-cert-allowed-cn", ""),
    ("peer-cert-allowed-hostname", ""),
    ("peer-cert-file", ""),
    ("peer-client-cert-auth", "false"),
    ("peer-client-cert-file", ""),
    ("peer-client-key-file", ""),
    ("peer-crl-file", ""),
    ("peer-key-file", ""),
    ("peer-skip-client-san-verification", "false"),
    ("peer-trusted-ca-file", ""),
    ("pre-vote", "true"),
    ("quota-backend-bytes", "0"),
    ("raft-read-timeout", "5s"),
    ("raft-write-timeout", "5s"),
    ("self-signed-cert-validity", "1"),
    ("snapshot-catchup-entries", "5000"),
    ("snapshot-count", "10000"),
    ("socket-reuse-address", "false"),
    ("socket-reuse-port", "false"),
    ("strict-reconfig-check", "true"),
    ("tls-max-version", ""),
    ("tls-min-version", "TLS1.2"),
    ("trusted-ca-file", ""),
    ("unsafe-no-fsync", "false"),
    ("v2-deprecation", "write-only"),
    ("wal-dir", ""),
    ("warning-apply-duration", "100ms"),
    ("warning-unary-request-duration", "300ms"),
    ("watch-progress-notify-interval", "0s"),
];

/// Where etcd's program has a zero that stands for something else, which is what our help shows.
const SPELLED_OUT: &[(&str, &str)] = &[
    ("backend-batch-interval", "100ms"),
    ("backend-batch-limit", "10000"),
    ("backend-bbolt-freelist-type", "map"),
    ("compaction-batch-limit", "1000"),
    ("compaction-sleep-interval", "10ms"),
    // The member alone, under its own name and at its own address.
    ("initial-cluster", ""),
    ("watch-progress-notify-interval", "10m"),
];

/// What etcd has no longer, or never had.
const OTHERS: &[&str] = &["discovery", "discovery-proxy", "join"];

#[test]
fn every_flag_of_etcd_is_known_with_its_default() {
    for (name, default_text) in ETCD {
        let flag = find(name).unwrap_or_else(|| panic!("--{name} is missing"));
        let spelled_out = SPELLED_OUT.iter().find(|(other, _)| other == name);
        let expected = spelled_out.map_or(*default_text, |(_, text)| text);
        assert_eq!(Ok(default(flag)), flag.read(expected), "the default of --{name}");
    }
}

#[test]
fn no_flag_is_there_that_is_neither_etcds_nor_listed() {
    let known: BTreeSet<&str> =
        flags().filter(|flag| flag.effect != Effect::Past).map(|flag| flag.name).collect();
    let expected: BTreeSet<&str> =
        ETCD.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()).collect();
    assert_eq!(known, expected);
}

#[test]
fn names_and_places_in_a_file_are_used_once() {
    let names: BTreeSet<&str> = flags().map(|flag| flag.name).collect();
    assert_eq!(names.len(), flags().count());
    let places: Vec<_> = flags().filter_map(|flag| flag.file_key).collect();
    let once: BTreeSet<_> = places.iter().collect();
    assert_eq!(once.len(), places.len());
    for (section, _) in places {
        assert!(find(section).is_none(), "{section} is a section and a flag");
    }
}

#[test]
fn texts_have_the_form_that_the_help_gives_them() {
    for flag in flags().filter(|flag| flag.effect != Effect::Past) {
        assert!(flag.help.ends_with('.'), "--{}: {}", flag.name, flag.help);
        assert!(!flag.help.contains("  "), "--{}: {}", flag.name, flag.help);
        match flag.effect {
            Effect::Used | Effect::Past => {}
            Effect::Nothing(text) | Effect::Refused(text) => {
                assert!(!text.ends_with('.'), "--{}: {text}", flag.name);
                assert!(!text.contains("  "), "--{}: {text}", flag.name);
            }
        }
    }
}
