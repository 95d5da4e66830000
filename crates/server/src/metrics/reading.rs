//! What is read from the member when somebody looks, instead of being kept up to date for nobody.

use raft::RoleKind;

use super::text::{Page, Type};
use crate::member::Handle;

/// The state of a member at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) member_id: u64,
    has_leader: bool,
    is_leader: bool,
    is_learner: bool,
    term: u64,
    committed: u64,
    applied: u64,
    log_entries: u64,
    log_bytes: u64,
    checkpoint_index: u64,
    checkpoint_bytes: u64,
    proposals: u64,
    proposals_bytes: u64,
    waiting: u64,
    quota_bytes: u64,
    keys: u64,
    counted_bytes: u64,
    live_bytes: u64,
    past_versions: u64,
    past_bytes: u64,
    revision: u64,
    compacted_revision: u64,
    leases: u64,
    disk_full: bool,
    dropped: u64,
    violations: u64,
    retries: u64,
    /// `X.Y.Z`; empty until members have agreed.
    cluster_version: String,
    tally: store::Tally,
}

impl Reading {
    /// Looks at the member.
    pub(super) fn of(handle: &Handle) -> Reading {
        let published = handle.published();
        let status = handle.status();
        let identity = handle.identity();
        let sizes = published.view.sizes();
        let wide = |number: usize| number as u64;
        Reading {
            member_id: identity.member_id,
            has_leader: published.leader.is_some(),
            is_leader: published.role == RoleKind::Leader,
            is_learner: published.is_learner(identity.member_id),
            term: published.term.0,
            committed: status.core.committed.0.max(published.applied.index.0),
            applied: published.applied.index.0,
            log_entries: status.core.last.index.0.saturating_sub(status.core.base.index.0),
            log_bytes: status.log_bytes,
            checkpoint_index: status.checkpoint.0,
            checkpoint_bytes: status.checkpoint_bytes,
            proposals: wide(status.proposals_len),
            proposals_bytes: wide(status.proposals_bytes),
            waiting: wide(handle.waiting_len()),
            quota_bytes: identity.quota_bytes,
            keys: wide(sizes.keys),
            counted_bytes: status.live_bytes,
            live_bytes: wide(sizes.live_bytes),
            past_versions: wide(sizes.past_versions),
            past_bytes: wide(sizes.past_bytes),
            revision: published.view.revision().0,
            compacted_revision: published.view.compacted().map_or(0, |revision| revision.0),
            leases: wide(status.leases_len),
            disk_full: status.disk_full,
            dropped: status.dropped,
            violations: status.violations,
            retries: status.retries,
            cluster_version: published.cluster_version.to_string(),
            tally: status.tally,
        }
    }

    pub(super) fn describe(&self, page: &mut Page) {
        self.describe_cluster(page);
        self.describe_log(page);
        self.describe_store(page);
        self.describe_commands(page);
    }

    fn describe_cluster(&self, page: &mut Page) {
        let gauges = [
            ("etcd_server_has_leader", "Whether a leader is known.", self.has_leader),
            ("etcd_server_is_leader", "Whether this member leads.", self.is_leader),
            ("etcd_server_is_learner", "Whether this member is a learner.", self.is_learner),
        ];
        for (name, help, is_so) in gauges {
            page.value(name, help, u64::from(is_so));
        }
        page.value("holdfast_term", "The member's term.", self.term);
        let name = "etcd_server_id";
        page.family(name, Type::Gauge, "The member's ID, in hexadecimal, as a label.");
        page.series(name, &[("server_id", &format!("{:x}", self.member_id))], 1);
        // Without the last part, as etcd has it here.
        if let Some((version, _)) = self.cluster_version.rsplit_once('.') {
            let name = "etcd_cluster_version";
            page.family(name, Type::Gauge, "What all members of the cluster can do, as a label.");
            page.series(name, &[("cluster_version", version)], 1);
        }
    }

    fn describe_log(&self, page: &mut Page) {
        let lag = self.committed.saturating_sub(self.applied);
        let gauges = [
            ("etcd_server_proposals_committed_total", "Entries committed.", self.committed),
            ("etcd_server_proposals_applied_total", "Entries applied.", self.applied),
            ("etcd_server_proposals_pending", "Commands of clients under way.", self.proposals),
            ("holdfast_proposals_pending_bytes", "What they take.", self.proposals_bytes),
            ("holdfast_waiting_requests", "Questions to the member under way.", self.waiting),
            ("holdfast_apply_lag_entries", "Entries committed and not applied.", lag),
            ("holdfast_log_entries", "Entries in the log.", self.log_entries),
            ("holdfast_log_bytes", "Bytes of entries since the last checkpoint.", self.log_bytes),
            (
                "holdfast_checkpoint_index",
                "Where the newest durable checkpoint stands in the log.",
                self.checkpoint_index,
            ),
            (
                "holdfast_checkpoint_size_bytes",
                "The size of the newest durable checkpoint.",
                self.checkpoint_bytes,
            ),
            (
                "holdfast_disk_full",
                "Whether the log waits for space on the disk.",
                u64::from(self.disk_full),
            ),
        ];
        for (name, help, value) in gauges {
            page.value(name, help, value);
        }
        let counters = [
            ("holdfast_messages_dropped_total", "Messages that came too late.", self.dropped),
            (
                "holdfast_protocol_violations_total",
                "Messages that no correct member sends.",
                self.violations,
            ),
            ("holdfast_proposals_retried_total", "Commands proposed again.", self.retries),
        ];
        for (name, help, value) in counters {
            page.count(name, help, value);
        }
    }

    fn describe_store(&self, page: &mut Page) {
        let size = "Bytes of live data, which is what counts against the quota.";
        let gauges = [
            ("etcd_server_quota_backend_bytes", "The quota for live data.", self.quota_bytes),
            ("etcd_mvcc_db_total_size_in_bytes", size, self.counted_bytes),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", size, self.counted_bytes),
            ("etcd_debugging_mvcc_keys_total", "Keys that exist.", self.keys),
            ("etcd_debugging_mvcc_current_revision", "The revision.", self.revision),
            (
                "etcd_debugging_mvcc_compact_revision",
                "The revision up to which history was compacted.",
                self.compacted_revision,
            ),
            ("holdfast_past_versions", "Versions that were superseded.", self.past_versions),
            ("holdfast_leases", "Leases that exist.", self.leases),
        ];
        for (name, help, value) in gauges {
            page.value(name, help, value);
        }
        let name = "holdfast_memory_bytes";
        page.family(name, Type::Gauge, "What parts of the member take, in bytes.");
        let parts = [
            ("live", self.live_bytes),
            ("past", self.past_bytes),
            ("proposals", self.proposals_bytes),
        ];
        for (part, bytes) in parts {
            page.series(name, &[("part", part)], bytes);
        }
    }

    fn describe_commands(&self, page: &mut Page) {
        let tally = self.tally;
        let counters = [
            ("etcd_mvcc_put_total", "Puts.", tally.puts),
            ("etcd_mvcc_delete_total", "Deletions.", tally.deletes),
            ("etcd_mvcc_txn_total", "Transactions of more than one operation.", tally.txns),
            (
                "etcd_debugging_mvcc_db_compaction_keys_total",
                "Versions of keys that compaction has dropped.",
                tally.versions_dropped,
            ),
            ("etcd_debugging_lease_granted_total", "Leases granted.", tally.leases_granted),
            ("etcd_debugging_lease_revoked_total", "Leases revoked.", tally.leases_revoked),
            ("etcd_debugging_server_lease_expired_total", "Leases expired.", tally.leases_expired),
        ];
        for (name, help, value) in counters {
            page.count(name, help, value);
        }
        // A gauge in etcd as well, although it only grows.
        page.value(
            "etcd_debugging_mvcc_total_put_size_in_bytes",
            "Bytes of keys and values that were put.",
            tally.put_bytes,
        );
    }
}

#[cfg(test)]
impl Reading {
    /// That of a leader of version 3.7 with two keys.
    pub(super) fn sample() -> Reading {
        Reading {
            member_id: 0xabc,
            has_leader: true,
            is_leader: true,
            committed: 9,
            applied: 7,
            keys: 2,
            live_bytes: 100,
            cluster_version: "3.7.0".to_owned(),
            ..Reading::default()
        }
    }
}
