//! How a member is set up, from flags, environment variables, or a file.
//!
//! One table of flags (`table`) drives all of it: the command line, the environment, the
//! configuration file, the help, and the search for the name that somebody meant. [`load`] reads
//! what was given into values, checks that they go together, and returns a [`Config`], in which
//! everything has its type.
//!
//! Names and defaults are etcd's. A flag of etcd that has no meaning here is accepted, and the log
//! says why it does nothing; if to go on without it would do something else than was asked for, it
//! is refused. A flag that nobody knows is passed over with a warning.
//!
//! Precedence is etcd's too: the command line wins over the environment, which wins over the
//! default; a configuration file replaces both. Of the environment, `HOLDFAST_…` wins over
//! `ETCD_…`. Unlike etcd, a variable that the command line overrides is a warning and not the end.

mod arguments;
mod build;
mod checks;
mod duration;
pub(crate) mod environment;
mod error;
mod features;
mod file;
pub(crate) mod flag;
mod help;
mod nearest;
mod notice;
pub(crate) mod settings;
mod table;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;
pub use features::FeatureGates;
pub use help::{ETCD_VERSION, print_help, print_version};
pub use notice::{Notice, Weight};
pub use url::{Scheme, Url, UrlError, joined};

pub(crate) use arguments::parse as parse_arguments;
pub(crate) use help::print_flags;
pub(crate) use table::Group;

use crate::bootstrap::InitialCluster;
use settings::{Settings, Source};

/// The settings of a member.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, for people; not empty.
    pub name: String,
    /// Where its data is kept. It may not exist yet.
    pub data_dir: PathBuf,
    /// Where its log is kept, if not within `data_dir`.
    pub wal_dir: Option<PathBuf>,
    /// Where it listens, and what it tells others.
    pub urls: MemberUrls,
    /// How it finds the other members, and what changes among them are allowed.
    pub cluster: ClusterConfig,
    /// How soon members miss each other.
    pub timing: Timing,
    /// How much it takes.
    pub limits: Limits,
    /// How log and checkpoints are kept.
    pub storage: StorageConfig,
    /// TLS towards clients.
    pub client_tls: TlsConfig,
    /// TLS towards other members.
    pub peer_tls: TlsConfig,
    /// What is allowed in TLS towards both.
    pub tls_policy: TlsPolicy,
    /// What HTTP requests in the clear are answered.
    pub http: HttpPolicy,
    /// Which history is kept.
    pub auto_compaction: AutoCompaction,
    /// How often a quiet watch that asked for it hears of progress.
    pub watch_progress_interval: Duration,
    /// What is so slow that it is logged.
    pub warnings: WarningThresholds,
    /// What is logged, and where.
    pub log: LogConfig,
    /// How much `/metrics` shows.
    pub metrics: MetricsDetail,
    /// Where spans of calls go; `None` if there are none.
    pub spans: Option<SpansConfig>,
    /// etcd's feature gates, which `/metrics` shows.
    pub features: FeatureGates,
}

/// Where a member listens, and what it tells others. Each list is sorted.
#[derive(Clone, Debug)]
pub struct MemberUrls {
    /// Where it listens for other members; never empty.
    pub listen_peer: Vec<Url>,
    /// Where it listens for clients; never empty.
    pub listen_client: Vec<Url>,
    /// Where it listens for HTTP without gRPC; if not empty, `listen_client` serve gRPC alone.
    pub listen_client_http: Vec<Url>,
    /// Where it serves metrics and health as well.
    pub listen_metrics: Vec<Url>,
    /// Where other members reach it; never empty.
    pub advertise_peer: Vec<Url>,
    /// Where clients reach it; never empty.
    pub advertise_client: Vec<Url>,
    /// Options of the listening sockets.
    pub sockets: SocketOptions,
}

/// Options of listening sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `SO_REUSEPORT`: several processes may listen at one port.
    pub reuse_port: bool,
}

/// How a member finds the others, and what changes among them are allowed.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The first members, as flags name them; this member is among them, unless `start` is
    /// [`ClusterStart::Join`]. What a member with data holds is true instead.
    pub initial: InitialCluster,
    /// How a member without data begins.
    pub start: ClusterStart,
    /// Goes into the IDs of first members.
    pub token: String,
    /// Start as the only member of a new cluster with the data of the old one.
    pub force_new: bool,
    /// Refuse changes of the membership that the cluster may not survive.
    pub strict_reconfiguration: bool,
    /// The most learners there may be.
    pub learners_max: usize,
}

/// How a member without data begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterStart {
    /// It founds a cluster, together with the other initial members.
    New,
    /// It was added to a cluster whose other members answer at the addresses of the initial ones.
    Existing,
    /// It asks these peer addresses (`host:port`) until it is admitted.
    Join(Vec<String>),
}

/// How soon members miss each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader, and the length of a tick.
    pub heartbeat: Duration,
    /// Without a leader until an election; at least five heartbeats, at most 50 s.
    pub election: Duration,
    /// Whether a member that starts waits less than an election timeout for a leader.
    pub hurry_first_election: bool,
}

impl Timing {
    /// An election timeout in heartbeats, rounded down as etcd does.
    #[must_use]
    pub fn election_ticks(&self) -> u32 {
        let ticks = self.election.as_millis() / self.heartbeat.as_millis();
        u32::try_from(ticks).expect("at most 50000 milliseconds by the checks")
    }
}

/// How much a member takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of live data.
    pub quota_bytes: u64,
    /// The most operations in a branch of a transaction.
    pub txn_ops: usize,
    /// The largest request in bytes, without what gRPC adds.
    pub request_bytes: usize,
    /// The most streams of a client's connection.
    pub concurrent_streams: u32,
    /// How often an idle client is pinged; `None` for never.
    pub keepalive_interval: Option<Duration>,
    /// How long a client may take to answer a ping; `None` for ever.
    pub keepalive_timeout: Option<Duration>,
}

/// How log and checkpoints are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Whether a write is on the disk before it is acknowledged.
    pub durability: Durability,
    /// A checkpoint is due after this many bytes of log, at the least.
    pub checkpoint_log_bytes_min: u64,
    /// How many entries before the latest checkpoint stay in the log.
    pub catch_up_entries: u64,
}

/// Whether a write is on the disk before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is.
    Synced,
    /// It is not: a crash of the machine loses acknowledged writes.
    Unsafe,
}

/// TLS towards clients, or towards other members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate that is shown, with its key.
    pub identity: Option<CertificateFiles>,
    /// The certificate that is shown when this member calls, if another one.
    pub client_identity: Option<CertificateFiles>,
    /// Who may have signed the other end's certificate.
    pub trusted_ca: Option<PathBuf>,
    /// Revoked certificates.
    pub revoked: Option<PathBuf>,
    /// Whether whoever calls must show a certificate.
    pub require_client_certificate: bool,
    /// Common names of which the other end's certificate must have one; any if empty.
    pub allowed_names: Vec<String>,
    /// Host names of which the other end's certificate must hold one; any if empty.
    pub allowed_hostnames: Vec<String>,
    /// Whether a certificate is made if none is given.
    pub auto: bool,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What is allowed in TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// The TLS 1.2 cipher suites under Go's or the registry's names; the safe ones if empty.
    pub cipher_suites: Vec<String>,
    /// The oldest version.
    pub version_min: TlsVersion,
    /// The newest version.
    pub version_max: TlsVersion,
    /// For how many years a certificate is made; one or more.
    pub self_signed_years: u32,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

/// What HTTP requests in the clear are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPolicy {
    /// Origins from which a browser may call; `None` for all.
    pub origins: Option<Vec<String>>,
    /// Host names under which it may be asked for; `None` for all.
    pub hosts: Option<Vec<String>>,
}

/// Which history a leader removes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None.
    Off,
    /// What is older than this.
    Periodic(Duration),
    /// What is further back than this many revisions.
    Revisions(u64),
}

/// What is so slow that it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarningThresholds {
    /// Applying a command.
    pub apply: Duration,
    /// A call.
    pub unary_request: Duration,
}

/// What is logged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least level.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go; never empty.
    pub outputs: Vec<LogOutput>,
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything but traces.
    Debug,
    /// What tells the story of the process.
    Info,
    /// What somebody may have to look at.
    Warn,
    /// What has failed, and what ends the process.
    Error,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Columns for people.
    Console,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

/// How much `/metrics` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsDetail {
    /// What dashboards and alerts need.
    Basic,
    /// Also histograms of the duration of calls.
    Extensive,
}

/// Where spans of calls go, and of which calls there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpansConfig {
    /// The collector as `host:port`.
    pub address: String,
    /// What the collector shows as the service.
    pub service_name: String,
    /// Which member of the service this is; `None` to say nothing of it.
    pub instance_id: Option<String>,
    /// Of how many of a million calls there are spans, where the caller has not decided it; at
    /// most a million.
    pub sampled_per_million: u32,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Loaded {
    /// The list of flags.
    Help,
    /// The version.
    Version,
    /// A member, with what is to be logged about its settings.
    Member(Box<Config>, Vec<Notice>),
}

/// Reads the settings of a member from the words after the program's name, and from the
/// environment.
///
/// # Errors
///
/// If a value is wrong, if the configuration file cannot be used, or if settings contradict each
/// other.
pub fn load(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    let parsed = arguments::parse(arguments, table::GROUPS)?;
    if parsed.wants_help {
        return Ok(Loaded::Help);
    }
    let mut notices = parsed.notices;
    let mut settings = Settings::new(table::GROUPS);
    for (flag, value) in &parsed.flags {
        settings.set(flag, value, Source::Arguments)?;
    }
    if let Some(word) = parsed.words.into_iter().next() {
        return Err(ConfigError::NotAFlag(word));
    }
    if parsed.wants_version {
        return Ok(Loaded::Version);
    }
    let file_flag = table::find("config-file").expect("the table has it");
    let path = settings.path("config-file").or_else(|| {
        environment::lookup(environment, file_flag).map(|(_, value)| PathBuf::from(value))
    });
    match path {
        Some(path) => {
            settings = Settings::new(table::GROUPS);
            notices.push(Notice::info(format!(
                "settings are those of {}; other flags and the environment are passed over",
                path.display()
            )));
            file::apply(&path, &mut settings, &mut notices)?;
        }
        None => environment::apply(environment, &mut settings, &mut notices)?,
    }
    let config = build::config(&settings, &mut notices)?;
    checks::check(&config, &settings, &mut notices)?;
    Ok(Loaded::Member(Box::new(config), notices))
}

#[cfg(test)]
mod tests;
