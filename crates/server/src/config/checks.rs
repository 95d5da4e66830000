//! What settings must have in common.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::error::ConfigError;
use super::notice::Notice;
use super::settings::Settings;
use super::{ClusterStart, Config, Durability, TlsConfig, TlsVersion, Url, joined};

/// The longest election timeout.
const ELECTION_MAX: Duration = Duration::from_secs(50);

/// Above this, a request is so large that it delays heartbeats.
const REQUEST_BYTES_RECOMMENDED: usize = 10 << 20;

/// Permissions of a data directory that keep it from others.
const PRIVATE_MODE: u32 = 0o700;

/// Checks a configuration as a whole.
///
/// # Errors
///
/// The first rule that is broken, with the values that break it.
pub(super) fn check(
    config: &Config,
    settings: &Settings,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    check_listening(config)?;
    check_advertised(config)?;
    check_timing(config)?;
    check_membership(config, settings)?;
    check_tls(config, notices)?;
    check_directory("--data-dir", &config.data_dir, notices)?;
    if let Some(dir) = &config.wal_dir {
        check_directory("--wal-dir", dir, notices)?;
    }
    give_advice(config, settings, notices);
    Ok(())
}

fn wrong(text: String) -> ConfigError {
    ConfigError::Contradiction(text)
}

/// One can listen only at an address of this machine, given as a number, lest a name resolves to
/// somewhere else one day.
fn check_listening(config: &Config) -> Result<(), ConfigError> {
    for (flag, urls) in listening(config) {
        for url in urls {
            let is_address = url.scheme().is_unix() || url.host() == "localhost";
            if !is_address && url.ip().is_none() {
                return Err(wrong(format!(
                    "--{flag} wants addresses with an IP or localhost to listen at, and holds {url}"
                )));
            }
        }
    }
    for (flag, urls) in listening(config).into_iter().take(2) {
        if urls.is_empty() {
            return Err(wrong(format!("--{flag} wants at least one address")));
        }
    }
    Ok(())
}

fn listening(config: &Config) -> [(&'static str, &[Url]); 4] {
    let urls = &config.urls;
    [
        ("listen-peer-urls", &urls.listen_peer),
        ("listen-client-urls", &urls.listen_client),
        ("listen-client-http-urls", &urls.listen_client_http),
        ("listen-metrics-urls", &urls.listen_metrics),
    ]
}

fn check_advertised(config: &Config) -> Result<(), ConfigError> {
    let urls = &config.urls;
    if urls.advertise_client.is_empty() {
        return Err(wrong(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly"
                .to_owned(),
        ));
    }
    if urls.advertise_peer.is_empty() {
        return Err(wrong("--initial-advertise-peer-urls wants at least one address".to_owned()));
    }
    for (flag, urls) in [
        ("initial-advertise-peer-urls", &urls.advertise_peer),
        ("advertise-client-urls", &urls.advertise_client),
    ] {
        if let Some(url) = urls.iter().find(|url| url.host().is_empty()) {
            return Err(wrong(format!(
                "--{flag} wants addresses of the form host:port that others can reach, and holds \
                 {url}"
            )));
        }
    }
    Ok(())
}

fn check_timing(config: &Config) -> Result<(), ConfigError> {
    let heartbeat = config.timing.heartbeat.as_millis();
    let election = config.timing.election.as_millis();
    if election < 5 * heartbeat {
        return Err(wrong(format!(
            "--election-timeout[{election}ms] should be at least 5 times --heartbeat-interval\
             [{heartbeat}ms]"
        )));
    }
    if ELECTION_MAX < config.timing.election {
        return Err(wrong(format!(
            "--election-timeout[{election}ms] is too long, and should be at most {}ms",
            ELECTION_MAX.as_millis()
        )));
    }
    Ok(())
}

/// What can be known of the membership without asking anybody; the rest is checked when a member
/// without data starts.
fn check_membership(config: &Config, settings: &Settings) -> Result<(), ConfigError> {
    if config.name.is_empty() {
        return Err(wrong("--name wants a name, and is empty".to_owned()));
    }
    match config.cluster.start {
        ClusterStart::New | ClusterStart::Existing => Ok(()),
        ClusterStart::Join(_) => {
            for flag in ["initial-cluster", "force-new-cluster"] {
                if settings.is_set(flag) {
                    return Err(wrong(format!(
                        "--join and --{flag} are both given: a member that joins is told by its \
                         peers who they are"
                    )));
                }
            }
            Ok(())
        }
    }
}

fn check_tls(config: &Config, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    let policy = &config.tls_policy;
    if policy.version_max < policy.version_min {
        return Err(wrong(
            "--tls-min-version TLS1.3 is greater than --tls-max-version TLS1.2".to_owned(),
        ));
    }
    if policy.version_min == TlsVersion::V13 && !policy.cipher_suites.is_empty() {
        return Err(wrong(
            "--cipher-suites cannot be given with --tls-min-version TLS1.3: they are TLS 1.2's"
                .to_owned(),
        ));
    }
    let urls = &config.urls;
    check_tls_of("", "listen-client-urls", &urls.listen_client, &config.client_tls, notices)?;
    check_tls_of(
        "",
        "listen-client-http-urls",
        &urls.listen_client_http,
        &config.client_tls,
        notices,
    )?;
    check_tls_of("", "listen-metrics-urls", &urls.listen_metrics, &config.client_tls, notices)?;
    check_tls_of("peer-", "listen-peer-urls", &urls.listen_peer, &config.peer_tls, notices)
}

fn check_tls_of(
    prefix: &str,
    flag: &str,
    urls: &[Url],
    tls: &TlsConfig,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    let has_identity = tls.identity.is_some() || tls.auto;
    for url in urls {
        if url.scheme().is_tls() && !has_identity {
            return Err(wrong(format!(
                "--{flag} holds {url}, for which a certificate is needed: give --{prefix}cert-file \
                 and --{prefix}key-file, or --{prefix}auto-tls"
            )));
        }
        if !url.scheme().is_tls() && has_identity && flag != "listen-metrics-urls" {
            notices.push(Notice::warn(format!(
                "{url} in --{flag} is served in the clear, although a certificate is given"
            )));
        }
    }
    if tls.require_client_certificate && tls.trusted_ca.is_none() && !tls.auto && has_identity {
        return Err(wrong(format!(
            "--{prefix}client-cert-auth wants --{prefix}trusted-ca-file, by which certificates \
             are judged"
        )));
    }
    Ok(())
}

/// A directory may not exist yet; if it does, it must be one, and should be private.
fn check_directory(
    purpose: &'static str,
    dir: &Path,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    let unusable = |source| ConfigError::Directory { purpose, path: dir.to_owned(), source };
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    if !metadata.is_dir() {
        return Err(unusable(std::io::ErrorKind::NotADirectory.into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !PRIVATE_MODE != 0 {
        notices.push(Notice::warn(format!(
            "{purpose} {} may be entered by others (mode {mode:o}); {PRIVATE_MODE:o} keeps the \
             data private",
            dir.display()
        )));
    }
    Ok(())
}

fn give_advice(config: &Config, settings: &Settings, notices: &mut Vec<Notice>) {
    if config.name == "default" {
        notices.push(Notice::warn(
            "--name is not given; members of a cluster want different names".to_owned(),
        ));
    }
    if !settings.is_set("data-dir") {
        notices.push(Notice::warn(format!(
            "--data-dir is not given; data is kept in {}",
            config.data_dir.display()
        )));
    }
    if config.storage.durability == Durability::Unsafe {
        notices.push(Notice::warn(
            "--unsafe-no-fsync is given: a crash of the machine loses acknowledged writes"
                .to_owned(),
        ));
    }
    if REQUEST_BYTES_RECOMMENDED < config.limits.request_bytes {
        notices.push(Notice::warn(format!(
            "--max-request-bytes is {}; more than {REQUEST_BYTES_RECOMMENDED} delays others",
            config.limits.request_bytes
        )));
    }
    let is_everywhere = |url: &Url| url.ip().is_some_and(|ip| ip.is_unspecified());
    for (flag, listen, advertise) in [
        ("advertise-client-urls", &config.urls.listen_client, &config.urls.advertise_client),
        ("initial-advertise-peer-urls", &config.urls.listen_peer, &config.urls.advertise_peer),
    ] {
        if listen.iter().any(is_everywhere) && !settings.is_set(flag) {
            notices.push(Notice::warn(format!(
                "--{flag} is {}, which others cannot reach; give an address of this machine",
                joined(advertise)
            )));
        }
    }
}
