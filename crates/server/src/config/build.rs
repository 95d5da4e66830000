//! From values to a [`Config`].

use std::path::PathBuf;

use super::error::ConfigError;
use super::flag::Effect;
use super::notice::Notice;
use super::settings::{Settings, default};
use super::{
    AutoCompaction, CertificateFiles, ClusterConfig, ClusterStart, Config, Durability,
    FeatureGates, HttpPolicy, Limits, LogConfig, LogFormat, LogLevel, LogOutput, MemberUrls,
    MetricsDetail, SocketOptions, SpansConfig, StorageConfig, Timing, TlsConfig, TlsPolicy,
    TlsVersion, WarningThresholds,
};
use crate::bootstrap::InitialCluster;
use crate::config::duration::parse_duration;
use crate::config::settings::Source;

/// What `--quota-backend-bytes 0` stands for.
const QUOTA_BYTES_DEFAULT: u64 = 2 << 30;

/// What `--snapshot-count` has by default.
const SNAPSHOT_COUNT_DEFAULT: u64 = 10_000;

/// How much log there must be for a checkpoint, at the least.
const CHECKPOINT_LOG_BYTES_MIN: u64 = 64 << 20;

/// What an entry counts for, where a number of entries stands for a size of the log.
const ENTRY_BYTES: u64 = 256;

/// Makes a configuration of what was set.
///
/// # Errors
///
/// If a flag was set that is refused, or one whose value has parts that are wrong.
pub(super) fn config(
    settings: &Settings,
    notices: &mut Vec<Notice>,
) -> Result<Config, ConfigError> {
    note_effects(settings, notices)?;
    let name = settings.text("name");
    let urls = member_urls(settings);
    let cluster = cluster(settings, &name, &urls)?;
    let features = FeatureGates::parse(&settings.text("feature-gates"), notices)
        .map_err(ConfigError::Contradiction)?;
    Ok(Config {
        data_dir: settings
            .path("data-dir")
            .unwrap_or_else(|| PathBuf::from(format!("{name}.etcd"))),
        wal_dir: settings.path("wal-dir"),
        urls,
        cluster,
        timing: Timing {
            heartbeat: millis(settings, "heartbeat-interval"),
            election: millis(settings, "election-timeout"),
            hurry_first_election: settings.switch("initial-election-tick-advance"),
        },
        limits: limits(settings),
        storage: storage(settings),
        client_tls: client_tls(settings)?,
        peer_tls: peer_tls(settings)?,
        tls_policy: tls_policy(settings),
        http: HttpPolicy {
            origins: unless_all(settings.list("cors")),
            hosts: unless_all(settings.list("host-whitelist")),
        },
        auto_compaction: auto_compaction(settings)?,
        watch_progress_interval: settings
            .duration_unless_zero("watch-progress-notify-interval")
            .unwrap_or(std::time::Duration::from_secs(600)),
        warnings: WarningThresholds {
            apply: settings.duration("warning-apply-duration"),
            unary_request: settings.duration("warning-unary-request-duration"),
        },
        log: log(settings)?,
        metrics: match settings.text("metrics").as_str() {
            "extensive" => MetricsDetail::Extensive,
            _ => MetricsDetail::Basic,
        },
        spans: spans(settings)?,
        features,
        name,
    })
}

/// Tells of flags that were set and do nothing, and refuses those that must not be passed over.
fn note_effects(settings: &Settings, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    for (flag, value) in settings.given() {
        match flag.effect {
            Effect::Used | Effect::Past => {}
            Effect::Nothing(reason) => {
                notices.push(Notice::info(format!("--{} has no effect here: {reason}", flag.name)));
            }
            Effect::Refused(advice) => {
                if *value != default(flag) {
                    let place = settings.place(flag.name);
                    return Err(ConfigError::Refused { place, advice });
                }
            }
        }
    }
    Ok(())
}

fn millis(settings: &Settings, name: &str) -> std::time::Duration {
    std::time::Duration::from_millis(settings.number(name))
}

fn member_urls(settings: &Settings) -> MemberUrls {
    let is_from_file = matches!(settings.source("listen-client-urls"), Some(Source::File(_)));
    let must_advertise = settings.is_set("listen-client-urls")
        && !settings.is_set("advertise-client-urls")
        && !is_from_file;
    MemberUrls {
        listen_peer: settings.urls("listen-peer-urls"),
        listen_client: settings.urls("listen-client-urls"),
        listen_client_http: settings.urls("listen-client-http-urls"),
        listen_metrics: settings.urls("listen-metrics-urls"),
        advertise_peer: settings.urls("initial-advertise-peer-urls"),
        // Empty here becomes an error in the checks: the default would send clients to themselves.
        advertise_client: if must_advertise {
            Vec::new()
        } else {
            settings.urls("advertise-client-urls")
        },
        sockets: SocketOptions { reuse_port: settings.switch("socket-reuse-port") },
    }
}

fn cluster(
    settings: &Settings,
    name: &str,
    urls: &MemberUrls,
) -> Result<ClusterConfig, ConfigError> {
    let text = settings.text("initial-cluster");
    let initial = if text.is_empty() {
        InitialCluster::alone(name, &urls.advertise_peer)
    } else {
        InitialCluster::parse(&text).map_err(|error| {
            ConfigError::Contradiction(format!("{}: {error}", settings.place("initial-cluster")))
        })?
    };
    let join = settings.list("join");
    let start = match settings.text("initial-cluster-state").as_str() {
        _ if !join.is_empty() => ClusterStart::Join(join),
        "existing" => ClusterStart::Existing,
        _ => ClusterStart::New,
    };
    Ok(ClusterConfig {
        initial,
        start,
        token: settings.text("initial-cluster-token"),
        force_new: settings.switch("force-new-cluster"),
        strict_reconfiguration: settings.switch("strict-reconfig-check"),
        learners_max: settings.number("max-learners"),
    })
}

fn limits(settings: &Settings) -> Limits {
    let quota: u64 = settings.number("quota-backend-bytes");
    Limits {
        quota_bytes: if quota == 0 { QUOTA_BYTES_DEFAULT } else { quota },
        txn_ops: settings.number("max-txn-ops"),
        request_bytes: settings.number("max-request-bytes"),
        concurrent_streams: settings.number("max-concurrent-streams"),
        keepalive_interval: settings.duration_unless_zero("grpc-keepalive-interval"),
        keepalive_timeout: settings.duration_unless_zero("grpc-keepalive-timeout"),
    }
}

fn storage(settings: &Settings) -> StorageConfig {
    let snapshot_count: u64 = settings.number("snapshot-count");
    StorageConfig {
        durability: if settings.switch("unsafe-no-fsync") {
            Durability::Unsafe
        } else {
            Durability::Synced
        },
        // The default, which many set explicitly, leaves the choice to us.
        checkpoint_log_bytes_min: match snapshot_count {
            1..SNAPSHOT_COUNT_DEFAULT => snapshot_count * ENTRY_BYTES,
            0 | SNAPSHOT_COUNT_DEFAULT.. => CHECKPOINT_LOG_BYTES_MIN,
        },
        catch_up_entries: settings.number("snapshot-catchup-entries"),
    }
}

fn client_tls(settings: &Settings) -> Result<TlsConfig, ConfigError> {
    Ok(TlsConfig {
        identity: certificate(settings, "cert-file", "key-file")?,
        client_identity: certificate(settings, "client-cert-file", "client-key-file")?,
        trusted_ca: settings.path("trusted-ca-file"),
        revoked: settings.path("client-crl-file"),
        require_client_certificate: settings.switch("client-cert-auth"),
        allowed_names: Vec::new(),
        allowed_hostnames: settings.list("client-cert-allowed-hostname"),
        auto: settings.switch("auto-tls"),
    })
}

fn peer_tls(settings: &Settings) -> Result<TlsConfig, ConfigError> {
    Ok(TlsConfig {
        identity: certificate(settings, "peer-cert-file", "peer-key-file")?,
        client_identity: certificate(settings, "peer-client-cert-file", "peer-client-key-file")?,
        trusted_ca: settings.path("peer-trusted-ca-file"),
        revoked: settings.path("peer-crl-file"),
        require_client_certificate: settings.switch("peer-client-cert-auth"),
        allowed_names: settings.list("peer-cert-allowed-cn"),
        allowed_hostnames: settings.list("peer-cert-allowed-hostname"),
        auto: settings.switch("peer-auto-tls"),
    })
}

/// A certificate and its key, both or none.
fn certificate(
    settings: &Settings,
    certificate: &str,
    key: &str,
) -> Result<Option<CertificateFiles>, ConfigError> {
    match (settings.path(certificate), settings.path(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
        (Some(_), None) => Err(alone(certificate, key)),
        (None, Some(_)) => Err(alone(key, certificate)),
    }
}

fn alone(given: &str, missing: &str) -> ConfigError {
    ConfigError::Contradiction(format!("--{given} is given without --{missing}: give both or none"))
}

fn tls_policy(settings: &Settings) -> TlsPolicy {
    let version = |name, or| match settings.text(name).as_str() {
        "TLS1.2" => TlsVersion::V12,
        "TLS1.3" => TlsVersion::V13,
        _ => or,
    };
    let years: u32 = settings.number("self-signed-cert-validity");
    TlsPolicy {
        cipher_suites: settings.list("cipher-suites"),
        version_min: version("tls-min-version", TlsVersion::V12),
        version_max: version("tls-max-version", TlsVersion::V13),
        self_signed_years: years.max(1),
    }
}

/// A list in which `*` stands for everything, as does an empty one.
fn unless_all(items: Vec<String>) -> Option<Vec<String>> {
    (!items.is_empty() && !items.iter().any(|item| item == "*")).then_some(items)
}

/// Reads the retention: a bare number means hours, or revisions.
fn auto_compaction(settings: &Settings) -> Result<AutoCompaction, ConfigError> {
    let text = settings.text("auto-compaction-retention");
    let wants = |expected: &str| ConfigError::Value {
        place: settings.place("auto-compaction-retention"),
        expected: expected.to_owned(),
        given: text.clone(),
    };
    let number: Option<u64> = text.parse().ok();
    if text.is_empty() || number == Some(0) {
        return Ok(AutoCompaction::Off);
    }
    if settings.text("auto-compaction-mode") == "revision" {
        return number
            .map(AutoCompaction::Revisions)
            .ok_or_else(|| wants("a number of revisions with --auto-compaction-mode revision"));
    }
    let duration = match number {
        Some(hours) => hours.checked_mul(3600).map(std::time::Duration::from_secs),
        None => parse_duration(&text),
    };
    match duration {
        Some(duration) if duration.is_zero() => Ok(AutoCompaction::Off),
        Some(duration) => Ok(AutoCompaction::Periodic(duration)),
        None => Err(wants("a number of hours, or a duration such as 5m")),
    }
}

fn spans(settings: &Settings) -> Result<Option<SpansConfig>, ConfigError> {
    if !settings.switch("enable-distributed-tracing") {
        return Ok(None);
    }
    let address = settings.text("distributed-tracing-address");
    let authority: Option<http::uri::Authority> = address.parse().ok();
    let is_address = |authority: http::uri::Authority| {
        authority.port_u16().is_some() && !authority.host().is_empty() && !address.contains('@')
    };
    if !authority.is_some_and(is_address) {
        return Err(ConfigError::Value {
            place: settings.place("distributed-tracing-address"),
            expected: "an address of the form host:port, such as localhost:4317".to_owned(),
            given: address,
        });
    }
    Ok(Some(SpansConfig {
        address,
        service_name: settings.text("distributed-tracing-service-name"),
        instance_id: Some(settings.text("distributed-tracing-instance-id"))
            .filter(|id| !id.is_empty()),
        sampled_per_million: settings.number("distributed-tracing-sampling-rate"),
    }))
}

fn log(settings: &Settings) -> Result<LogConfig, ConfigError> {
    let names = settings.list("log-outputs");
    if 1 < names.len() && names.iter().any(|name| name == "default") {
        return Err(ConfigError::Contradiction(format!(
            "--log-outputs names default together with others: {}; name stderr instead",
            names.join(",")
        )));
    }
    let mut outputs: Vec<LogOutput> = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| match name.as_str() {
            // Whoever runs us under systemd has standard error in the journal.
            "default" | "stderr" | "systemd/journal" => LogOutput::Stderr,
            "stdout" => LogOutput::Stdout,
            _ => LogOutput::File(PathBuf::from(name)),
        })
        .collect();
    outputs.sort();
    outputs.dedup();
    if outputs.is_empty() {
        outputs.push(LogOutput::Stderr);
    }
    Ok(LogConfig {
        level: match settings.text("log-level").as_str() {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" | "panic" | "fatal" => LogLevel::Error,
            _ => LogLevel::Info,
        },
        format: match settings.text("log-format").as_str() {
            "console" => LogFormat::Console,
            _ => LogFormat::Json,
        },
        outputs,
    })
}
