//! Tests of how settings are read.

use super::*;

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn load_with(words: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&strings(words), &environment)
}

fn member_with(words: &[&str], environment: &[(&str, &str)]) -> (Config, Vec<String>) {
    match load_with(words, environment).unwrap() {
        Loaded::Member(config, notices) => {
            (*config, notices.into_iter().map(|notice| notice.text).collect())
        }
        Loaded::Help | Loaded::Version => panic!("{words:?} asks for no member"),
    }
}

fn member(words: &[&str]) -> Config {
    member_with(words, &[]).0
}

fn notices(words: &[&str]) -> Vec<String> {
    member_with(words, &[]).1
}

fn error(words: &[&str]) -> String {
    load_with(words, &[]).unwrap_err().to_string()
}

fn file(name: &str, text: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("holdfast-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn member_of_file(name: &str, text: &str) -> (Config, Vec<String>) {
    let path = file(name, text);
    let member = member_with(&["--config-file", path.to_str().unwrap()], &[]);
    std::fs::remove_file(path).unwrap();
    member
}

#[test]
fn nothing_given_is_a_member_alone_with_the_defaults_of_etcd() {
    let config = member(&[]);
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir, PathBuf::from("default.etcd"));
    assert_eq!(config.wal_dir, None);
    assert_eq!(joined(&config.urls.listen_client), "http://localhost:2379");
    assert_eq!(joined(&config.urls.listen_peer), "http://localhost:2380");
    assert_eq!(config.cluster.initial.to_string(), "default=http://localhost:2380");
    assert_eq!(config.cluster.start, ClusterStart::New);
    assert_eq!(config.cluster.token, "etcd-cluster");
    assert_eq!(config.timing.heartbeat, Duration::from_millis(100));
    assert_eq!(config.timing.election_ticks(), 10);
    assert_eq!(config.limits.quota_bytes, 2 << 30);
    assert_eq!(config.limits.request_bytes, 1_572_864);
    assert_eq!(config.limits.txn_ops, 128);
    assert_eq!(config.limits.keepalive_interval, Some(Duration::from_secs(7200)));
    assert_eq!(config.storage.durability, Durability::Synced);
    assert_eq!(config.storage.checkpoint_log_bytes_min, 64 << 20);
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
    assert_eq!(config.watch_progress_interval, Duration::from_secs(600));
    assert_eq!(config.log.outputs, [LogOutput::Stderr]);
    assert_eq!(config.http, HttpPolicy { origins: None, hosts: None });
    assert_eq!(config.client_tls, TlsConfig::default());
}

#[test]
fn flags_are_read_in_every_form_of_go() {
    let config = member(&["--name", "a", "-data-dir=/d", "-wal-dir", "/w", "--auto-tls=false"]);
    assert_eq!((config.name.as_str(), config.data_dir.to_str()), ("a", Some("/d")));
    assert_eq!(config.wal_dir, Some(PathBuf::from("/w")));
    assert!(member(&["--force-new-cluster"]).cluster.force_new);
    assert!(!member(&["--force-new-cluster=f"]).cluster.force_new);
    assert_eq!(member(&["--name", "-x"]).name, "-x", "a value may begin with a dash");
    assert_eq!(member(&["--name=a=b"]).name, "a=b");
}

#[test]
fn a_flag_given_twice_has_its_last_value() {
    assert_eq!(member(&["--name", "a", "--name", "b"]).name, "b");
}

#[test]
fn the_name_goes_into_the_data_directory_and_the_initial_cluster() {
    let config = member(&["--name", "m0", "--initial-advertise-peer-urls", "http://10.0.0.1:2380"]);
    assert_eq!(config.data_dir, PathBuf::from("m0.etcd"));
    assert_eq!(config.cluster.initial.to_string(), "m0=http://10.0.0.1:2380");
}

#[test]
fn unknown_flags_are_passed_over_with_the_nearest_known() {
    let words = ["--data-dri", "/x", "--nonsense-of-old", "--name", "a", "--also-unknown=1"];
    let (config, notices) = member_with(&words, &[]);
    assert_eq!(config.name, "a", "what follows with a dash is a flag, and no value");
    assert_eq!(
        notices[..3],
        [
            "--data-dri is not known and is passed over; is --data-dir meant?",
            "--nonsense-of-old is not known and is passed over; see --help for what is",
            "--also-unknown is not known and is passed over; see --help for what is",
        ]
    );
}

#[test]
fn wrong_values_are_refused_with_flag_value_and_expectation() {
    for (words, text) in [
        (
            &["--heartbeat-interval", "fast"][..],
            "--heartbeat-interval wants a whole number from 1 to 50000, and was given `fast`",
        ),
        (&["--auto-tls=maybe"], "--auto-tls wants true or false, and was given `maybe`"),
        (
            &["--initial-cluster-state=old"],
            "--initial-cluster-state wants one of new, existing, and was given `old`",
        ),
        (
            &["--grpc-keepalive-min-time", "5"],
            "--grpc-keepalive-min-time wants a duration with its unit, such as 5s, 300ms or 1h30m, \
             and was given `5`",
        ),
        (
            &["--listen-peer-urls", "127.0.0.1:2380"],
            "--listen-peer-urls wants an URL whose scheme is http, https, unix, or unixs, and was \
             given `127.0.0.1:2380`",
        ),
        (
            &["--auto-compaction-retention", "soon"],
            "--auto-compaction-retention wants a number of hours, or a duration such as 5m, and \
             was given `soon`",
        ),
        (&["--name"], "--name wants a value after it"),
        (&["serve"], "`serve` is not a flag; flags begin with `--`, and their values follow them"),
        (
            &["---name"],
            "`---name` is not a flag; flags begin with `--`, and their values follow them",
        ),
    ] {
        let error = load_with(words, &[]).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.exit_status(), 2);
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (words, text) in [
        (
            &["--listen-client-urls", "http://127.0.0.1:1"][..],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            &["--election-timeout", "499"],
            "--election-timeout[499ms] should be at least 5 times --heartbeat-interval[100ms]",
        ),
        (
            &["--election-timeout", "50001"],
            "--election-timeout[50001ms] is too long, and should be at most 50000ms",
        ),
        (
            &["--listen-peer-urls", "http://example.com:1"],
            "--listen-peer-urls wants addresses with an IP or localhost to listen at, and holds \
             http://example.com:1",
        ),
        (
            &["--initial-advertise-peer-urls", "http://:1"],
            "--initial-advertise-peer-urls wants addresses of the form host:port that others can \
             reach, and holds http://:1",
        ),
        (&["--cert-file", "c"], "--cert-file is given without --key-file: give both or none"),
        (
            &["--listen-peer-urls", "https://127.0.0.1:1"],
            "--listen-peer-urls holds https://127.0.0.1:1, for which a certificate is needed: give \
             --peer-cert-file and --peer-key-file, or --peer-auto-tls",
        ),
        (
            &["--tls-min-version", "TLS1.3", "--tls-max-version", "TLS1.2"],
            "--tls-min-version TLS1.3 is greater than --tls-max-version TLS1.2",
        ),
        (
            &["--log-outputs", "default,stdout"],
            "--log-outputs names default together with others: default,stdout; name stderr instead",
        ),
        (
            &["--join", "10.0.0.1:2380", "--initial-cluster", "a=http://a:1"],
            "--join and --initial-cluster are both given: a member that joins is told by its peers \
             who they are",
        ),
        (
            &["--discovery-srv", "example.com"],
            "--discovery-srv cannot be used: clusters are not discovered; name the members with \
             --initial-cluster, or let this member be added to a cluster with --join",
        ),
        (
            &["--initial-cluster", "a"],
            "--initial-cluster: wants name=peer-url for each member, separated by commas, and \
             holds `a`",
        ),
    ] {
        let error = load_with(words, &[]).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.exit_status(), 1);
    }
}

#[test]
fn command_line_wins_over_environment_and_holdfast_over_etcd() {
    let environment = [
        ("ETCD_NAME", "etcd"),
        ("HOLDFAST_NAME", "holdfast"),
        ("ETCD_DATA_DIR", "/etcd"),
        ("HOLDFAST_WAL_DIR", ""),
        ("ETCD_WAL_DIR", "/wal"),
    ];
    let (config, notices) = member_with(&["--data-dir", "/flag"], &environment);
    assert_eq!(config.name, "holdfast");
    assert_eq!(config.data_dir, PathBuf::from("/flag"));
    assert_eq!(config.wal_dir, Some(PathBuf::from("/wal")), "an empty variable does not count");
    assert!(notices.contains(&"HOLDFAST_NAME is used for --name".to_owned()));
    assert!(
        notices.contains(&"ETCD_DATA_DIR is passed over, because --data-dir is given".to_owned())
    );
}

#[test]
fn wrong_values_of_the_environment_name_the_variable() {
    let error = load_with(&[], &[("ETCD_PRE_VOTE", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "ETCD_PRE_VOTE wants true or false, and was given `x`");
}

#[test]
fn unknown_variables_are_named_unless_they_are_known_to_be_foreign() {
    let environment = [
        ("ETCD_DATA_DRI", "/x"),
        ("ETCDCTL_API", "3"),
        ("ETCD_UNSUPPORTED_ARCH", "arm"),
        ("ETCD_SERVICE_HOST", "10.0.0.1"),
        ("HOLDFAST_PORT_2379_TCP", "tcp://10.0.0.1:2379"),
        ("HOME", "/elsewhere"),
    ];
    let (_, notices) = member_with(&["--name", "a", "--data-dir", "/d"], &environment);
    assert_eq!(notices, ["ETCD_DATA_DRI is not known and is passed over; is ETCD_DATA_DIR meant?"]);
}

#[test]
fn a_file_replaces_flags_and_environment() {
    let path = file("replaces.yaml", "name: from-file\n");
    let words = ["--config-file", path.to_str().unwrap(), "--data-dir", "/flag"];
    let (config, _) = member_with(&words, &[("ETCD_WAL_DIR", "/wal")]);
    assert_eq!(config.name, "from-file");
    assert_eq!(config.data_dir, PathBuf::from("from-file.etcd"));
    assert_eq!(config.wal_dir, None);
    let variable = [("ETCD_CONFIG_FILE", path.to_str().unwrap())];
    assert_eq!(member_with(&[], &variable).0.name, "from-file");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_has_the_keys_and_sections_of_etcd() {
    let text = "
name: 17
data-dir: /d
heartbeat-interval: 200
election-timeout: 2000
watch-progress-notify-interval: 5000000000
warning-apply-duration: 50ms
listen-client-urls: https://127.0.0.1:1,http://127.0.0.1:2
log-outputs: [stdout]
log-format: console
pre-vote: true
wal-dir:
listen-metrics-urls: ''
client-transport-security:
  cert-file: c.crt
  key-file: c.key
  client-cert-auth: true
  trusted-ca-file: ca.crt
  allowed-hostname: [a, b]
peer-transport-security:
  allowed-cn: [m0]
  auto-tls: true
socket-options:
  reuse-port: true
";
    let (config, _) = member_of_file("keys.yaml", text);
    assert_eq!((config.name.as_str(), config.data_dir.to_str()), ("17", Some("/d")));
    assert_eq!(config.timing.election, Duration::from_secs(2));
    assert_eq!(config.watch_progress_interval, Duration::from_secs(5));
    assert_eq!(config.warnings.apply, Duration::from_millis(50));
    assert_eq!(joined(&config.urls.listen_client), "http://127.0.0.1:2,https://127.0.0.1:1");
    assert_eq!(
        joined(&config.urls.advertise_client),
        "http://localhost:2379",
        "in a file, etcd lets the default stand"
    );
    assert_eq!(config.log.outputs, [LogOutput::Stdout]);
    assert_eq!(config.log.format, LogFormat::Console);
    assert!(config.client_tls.require_client_certificate);
    assert_eq!(config.client_tls.allowed_hostnames, ["a", "b"]);
    assert_eq!(config.client_tls.identity.unwrap().key, PathBuf::from("c.key"));
    assert_eq!(config.peer_tls.allowed_names, ["m0"]);
    assert!(config.peer_tls.auto && config.urls.sockets.reuse_port);
}

#[test]
fn what_a_file_holds_that_is_not_known_is_named() {
    let text = "{\"nmae\": \"a\", \"peer-transport-security\": {\"certfile\": \"x\"}}";
    let (config, notices) = member_of_file("unknown.json", text);
    assert_eq!(config.name, "default");
    assert!(notices.iter().any(|text| text.ends_with("is `name` meant?")), "{notices:?}");
    assert!(
        notices.iter().any(|text| text.starts_with("`peer-transport-security.certfile`")
            && text.ends_with("is `cert-file` meant?")),
        "{notices:?}"
    );
}

#[test]
fn files_that_cannot_be_used_are_refused_by_name() {
    assert_eq!(
        error(&["--config-file", "/no/such/file"]),
        "the configuration file /no/such/file cannot be read"
    );
    for (text, expected) in [
        ("[1]", "wants a map from names of flags to their values"),
        ("peer-transport-security: 1", "wants a map"),
        ("name: {a: b}", "wants a value or a list"),
        ("heartbeat-interval: x", "`heartbeat-interval` in the configuration file wants a whole"),
        ("a: [", "is neither YAML nor JSON"),
    ] {
        let path = file("unusable.yaml", text);
        let error = error(&["--config-file", path.to_str().unwrap()]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn flags_without_effect_say_why_and_those_of_the_past_say_nothing() {
    let words = ["--name=a", "--data-dir=/d", "--backend-batch-limit=1", "--snapshot=x"];
    assert_eq!(
        notices(&words),
        ["--backend-batch-limit has no effect here: there is no backend database; the log alone \
          makes writes durable"]
    );
}

#[test]
fn retention_is_hours_a_duration_or_revisions() {
    let retention = |mode: &str, text: &str| {
        let mode = format!("--auto-compaction-mode={mode}");
        let text = format!("--auto-compaction-retention={text}");
        member(&[&mode, &text]).auto_compaction
    };
    assert_eq!(retention("periodic", "2"), AutoCompaction::Periodic(Duration::from_secs(7200)));
    assert_eq!(retention("periodic", "5m"), AutoCompaction::Periodic(Duration::from_secs(300)));
    assert_eq!(retention("revision", "1000"), AutoCompaction::Revisions(1000));
    assert_eq!(retention("revision", "0"), AutoCompaction::Off);
}

#[test]
fn few_entries_between_snapshots_make_checkpoints_due_sooner() {
    for (count, bytes) in [("10", 2560), ("10000", 64 << 20), ("100000", 64 << 20), ("0", 64 << 20)]
    {
        let config = member(&["--snapshot-count", count]);
        assert_eq!(config.storage.checkpoint_log_bytes_min, bytes, "{count}");
    }
}

#[test]
fn spans_are_sent_only_if_the_switch_is_on() {
    let words = ["--distributed-tracing-sampling-rate=7", "--distributed-tracing-address=c:1"];
    assert_eq!(member(&words).spans, None);
    let on = "--enable-distributed-tracing";
    let spans = member(&[on]).spans.unwrap();
    assert_eq!((spans.address.as_str(), spans.service_name.as_str()), ("localhost:4317", "etcd"));
    assert_eq!((spans.instance_id, spans.sampled_per_million), (None, 0));
    let id = "--distributed-tracing-instance-id=m0";
    let spans = member(&[&[on, id][..], &words].concat()).spans.unwrap();
    assert_eq!((spans.address.as_str(), spans.sampled_per_million), ("c:1", 7));
    assert_eq!(spans.instance_id.as_deref(), Some("m0"));
    for address in ["", "c", "http://c:1", "c:x", ":1", "a@c:1"] {
        assert_eq!(
            error(&[on, "--distributed-tracing-address", address]),
            format!(
                "--distributed-tracing-address wants an address of the form host:port, such as \
                 localhost:4317, and was given `{address}`"
            )
        );
    }
}

#[test]
fn the_flags_of_kubeadm_are_taken() {
    let config = member(&[
        "--advertise-client-urls=https://10.0.0.1:2379",
        "--cert-file=/pki/server.crt",
        "--client-cert-auth=true",
        "--data-dir=/var/lib/etcd",
        "--feature-gates=InitialCorruptCheck=true",
        "--initial-advertise-peer-urls=https://10.0.0.1:2380",
        "--initial-cluster=cp=https://10.0.0.1:2380",
        "--key-file=/pki/server.key",
        "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        "--listen-peer-urls=https://10.0.0.1:2380",
        "--name=cp",
        "--peer-cert-file=/pki/peer.crt",
        "--peer-client-cert-auth=true",
        "--peer-key-file=/pki/peer.key",
        "--peer-trusted-ca-file=/pki/ca.crt",
        "--snapshot-count=10000",
        "--trusted-ca-file=/pki/ca.crt",
        "--watch-progress-notify-interval=5s",
    ]);
    assert_eq!(config.watch_progress_interval, Duration::from_secs(5));
    assert_eq!(config.features.is_on("InitialCorruptCheck"), Some(true));
    assert_eq!(config.urls.listen_client.len(), 2);
}

#[test]
fn help_and_version_are_found_among_other_flags() {
    assert!(matches!(load_with(&["--name", "a", "--help"], &[]), Ok(Loaded::Help)));
    assert!(matches!(load_with(&["-h"], &[]), Ok(Loaded::Help)));
    assert!(matches!(load_with(&["--version"], &[]), Ok(Loaded::Version)));
    let mut version = Vec::new();
    print_version(&mut version).unwrap();
    assert!(String::from_utf8(version).unwrap().starts_with("etcd Version: 3.7.1\nGit SHA: "));
    let mut help = Vec::new();
    print_help(&mut help).unwrap();
    let help = String::from_utf8(help).unwrap();
    for flag in ["unsafe-no-fsync", "--data-dir '${name}.etcd'", "--join", "InitialCorruptCheck"] {
        assert!(help.contains(flag), "{flag} is not in the help");
    }
    assert!(!help.contains("cluster-active-size"));
}
