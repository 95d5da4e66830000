//! Tests of the page of metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::config::{Loaded, load};

/// Names and types, as etcd 3.7.1 shows or registers them.
const ETCD: &[(&str, &str)] = &[
    ("etcd_cluster_version", "gauge"),
    ("etcd_debugging_lease_granted_total", "counter"),
    ("etcd_debugging_lease_renewed_total", "counter"),
    ("etcd_debugging_lease_revoked_total", "counter"),
    ("etcd_debugging_lease_ttl_total", "histogram"),
    ("etcd_debugging_mvcc_compact_revision", "gauge"),
    ("etcd_debugging_mvcc_current_revision", "gauge"),
    ("etcd_debugging_mvcc_db_compaction_keys_total", "counter"),
    ("etcd_debugging_mvcc_db_compaction_last", "gauge"),
    ("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", "histogram"),
    ("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "histogram"),
    ("etcd_debugging_mvcc_events_total", "counter"),
    ("etcd_debugging_mvcc_keys_total", "gauge"),
    ("etcd_debugging_mvcc_pending_events_total", "gauge"),
    ("etcd_debugging_mvcc_slow_watcher_total", "gauge"),
    ("etcd_debugging_mvcc_total_put_size_in_bytes", "gauge"),
    ("etcd_debugging_mvcc_watch_stream_total", "gauge"),
    ("etcd_debugging_mvcc_watcher_total", "gauge"),
    ("etcd_debugging_server_lease_expired_total", "counter"),
    ("etcd_disk_backend_commit_duration_seconds", "histogram"),
    ("etcd_disk_backend_snapshot_duration_seconds", "histogram"),
    ("etcd_disk_wal_fsync_duration_seconds", "histogram"),
    ("etcd_disk_wal_write_bytes_total", "gauge"),
    ("etcd_mvcc_db_total_size_in_bytes", "gauge"),
    ("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge"),
    ("etcd_mvcc_delete_total", "counter"),
    ("etcd_mvcc_hash_duration_seconds", "histogram"),
    ("etcd_mvcc_hash_rev_duration_seconds", "histogram"),
    ("etcd_mvcc_put_total", "counter"),
    ("etcd_mvcc_range_total", "counter"),
    ("etcd_mvcc_txn_total", "counter"),
    ("etcd_network_active_peers", "gauge"),
    ("etcd_network_client_grpc_received_bytes_total", "counter"),
    ("etcd_network_client_grpc_sent_bytes_total", "counter"),
    ("etcd_network_disconnected_peers_total", "counter"),
    ("etcd_network_peer_received_bytes_total", "counter"),
    ("etcd_network_peer_received_failures_total", "counter"),
    ("etcd_network_peer_round_trip_time_seconds", "histogram"),
    ("etcd_network_peer_sent_bytes_total", "counter"),
    ("etcd_network_peer_sent_failures_total", "counter"),
    ("etcd_network_snapshot_receive_failures", "counter"),
    ("etcd_network_snapshot_receive_inflights_total", "gauge"),
    ("etcd_network_snapshot_receive_success", "counter"),
    ("etcd_network_snapshot_receive_total_duration_seconds", "histogram"),
    ("etcd_network_snapshot_send_failures", "counter"),
    ("etcd_network_snapshot_send_inflights_total", "gauge"),
    ("etcd_network_snapshot_send_success", "counter"),
    ("etcd_network_snapshot_send_total_duration_seconds", "histogram"),
    ("etcd_server_feature_enabled", "gauge"),
    ("etcd_server_has_leader", "gauge"),
    ("etcd_server_health_failures", "counter"),
    ("etcd_server_health_success", "counter"),
    ("etcd_server_healthcheck", "gauge"),
    ("etcd_server_healthchecks_total", "counter"),
    ("etcd_server_id", "gauge"),
    ("etcd_server_is_leader", "gauge"),
    ("etcd_server_is_learner", "gauge"),
    ("etcd_server_leader_changes_seen_total", "counter"),
    ("etcd_server_proposals_applied_total", "gauge"),
    ("etcd_server_proposals_committed_total", "gauge"),
    ("etcd_server_proposals_failed_total", "counter"),
    ("etcd_server_proposals_pending", "gauge"),
    ("etcd_server_quota_backend_bytes", "gauge"),
    ("etcd_server_read_indexes_failed_total", "counter"),
    ("etcd_server_request_duration_seconds", "histogram"),
    ("etcd_server_slow_apply_total", "counter"),
    ("etcd_server_slow_read_indexes_total", "counter"),
    ("etcd_server_version", "gauge"),
    ("etcd_snap_db_fsync_duration_seconds", "histogram"),
    ("etcd_snap_db_save_total_duration_seconds", "histogram"),
    ("grpc_server_handled_total", "counter"),
    ("grpc_server_handling_seconds", "histogram"),
    ("grpc_server_msg_received_total", "counter"),
    ("grpc_server_msg_sent_total", "counter"),
    ("grpc_server_started_total", "counter"),
    ("os_fd_limit", "gauge"),
    ("os_fd_used", "gauge"),
    ("process_cpu_seconds_total", "counter"),
    ("process_max_fds", "gauge"),
    ("process_network_receive_bytes_total", "counter"),
    ("process_network_transmit_bytes_total", "counter"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
];

/// The first and the last finite bound of histograms, and how many there are, as etcd 3.7.1 shows
/// them.
const BOUNDS: &[(&str, &str, &str, usize)] = &[
    ("etcd_debugging_lease_ttl_total", "1", "8.388608e+06", 24),
    ("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", "1", "4096", 13),
    ("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "100", "819200", 14),
    ("etcd_disk_backend_commit_duration_seconds", "0.001", "8.192", 14),
    ("etcd_disk_backend_snapshot_duration_seconds", "0.01", "655.36", 17),
    ("etcd_disk_wal_fsync_duration_seconds", "0.001", "8.192", 14),
    ("etcd_mvcc_hash_duration_seconds", "0.01", "163.84", 15),
    ("etcd_mvcc_hash_rev_duration_seconds", "0.01", "163.84", 15),
    ("etcd_server_request_duration_seconds", "0.001", "8.192", 14),
    ("etcd_snap_db_fsync_duration_seconds", "0.001", "8.192", 14),
    ("etcd_snap_db_save_total_duration_seconds", "0.1", "51.2", 10),
];

fn page() -> String {
    let arguments = ["--metrics".to_owned(), "extensive".to_owned()];
    let Ok(Loaded::Member(config, _)) = load(&arguments, &BTreeMap::new()) else {
        panic!("these settings are those of a member");
    };
    let metrics = Metrics::new(&config);
    let peer = metrics.network.peer(0xdef);
    peer.connected.increment();
    peer.round_trip.observe(Duration::from_millis(1));
    metrics.on_apply(Duration::from_secs(1));
    metrics.member.on_request(RequestKind::Put, Outcome::Success, Duration::from_millis(3));
    metrics.on_check(Probe::Health, Check::Whole, CheckResult::Passed);
    metrics.on_check(Probe::Ready, Check::NonLearner, CheckResult::Failed);
    metrics.page(Some(Reading::sample()))
}

fn types(page: &str) -> BTreeMap<&str, &str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap())
        .collect()
}

#[test]
fn names_and_types_are_those_of_etcd() {
    let page = page();
    let types = types(&page);
    for (name, metric) in ETCD {
        assert_eq!(types.get(name), Some(metric), "{name}");
    }
}

#[test]
fn what_etcd_does_not_have_is_called_ours() {
    let page = page();
    for name in types(&page).into_keys().filter(|name| !name.starts_with("holdfast_")) {
        assert!(ETCD.iter().any(|(known, _)| *known == name), "{name} is not etcd's");
    }
}

#[test]
fn each_metric_is_begun_once_with_help_and_type() {
    let page = page();
    let helps = page.lines().filter(|line| line.starts_with("# HELP ")).count();
    let begun = page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!((helps, begun), (types(&page).len(), types(&page).len()));
}

#[test]
fn bounds_of_histograms_are_those_of_etcd() {
    let page = page();
    for (name, first, last, len) in BOUNDS {
        let mut bounds: Vec<&str> = Vec::new();
        for line in page.lines().filter(|line| line.starts_with(&format!("{name}_bucket"))) {
            let (_, bound) = line.split_once("le=\"").unwrap();
            let (bound, _) = bound.split_once('"').unwrap();
            bounds.push(bound);
        }
        bounds.truncate(bounds.iter().position(|bound| *bound == "+Inf").unwrap());
        assert_eq!(
            (bounds[0], *bounds.last().unwrap(), bounds.len()),
            (*first, *last, *len),
            "{name}"
        );
    }
}

#[test]
fn series_have_the_labels_of_etcd() {
    let page = page();
    for line in [
        "etcd_cluster_version{cluster_version=\"3.7\"} 1",
        "etcd_server_version{server_version=\"3.7.1\"} 1",
        "etcd_server_id{server_id=\"abc\"} 1",
        "etcd_server_is_leader 1",
        "etcd_server_feature_enabled{name=\"FastLeaseKeepAlive\",stage=\"BETA\"} 1",
        "etcd_network_active_peers{Local=\"abc\",Remote=\"def\"} 1",
        "etcd_network_peer_round_trip_time_seconds_count{To=\"def\"} 1",
        "etcd_server_request_duration_seconds_sum{success=\"true\",type=\"Put\"} 0.003",
        "etcd_server_slow_apply_total 1",
        "etcd_disk_backend_commit_duration_seconds_count 1",
        "etcd_server_health_success 1",
        "etcd_server_healthcheck{name=\"non_learner\",type=\"readyz\"} 0",
        "etcd_server_healthchecks_total{name=\"non_learner\",status=\"error\",type=\"readyz\"} 1",
        "etcd_debugging_mvcc_keys_total 2",
        "holdfast_apply_lag_entries 2",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
}

#[test]
fn a_peer_that_was_forgotten_is_not_shown() {
    let network = NetworkMetrics::default();
    network.peer(7).sent_bytes.add(5);
    network.forget_peer(7);
    let mut page = Page::default();
    network.describe(&mut page, 1);
    assert!(!page.into_text().contains("\"7\""));
}
