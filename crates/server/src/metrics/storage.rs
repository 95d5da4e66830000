//! What happens on the disk, among the keys, and to watches.

use std::time::Duration;

use replica::Unsynced;

use super::cell::{Counter, Gauge, Histogram, Unit};
use super::text::Page;

/// What happens on the disk.
#[derive(Debug)]
pub struct DiskMetrics {
    /// How long it took to write what was queued to the log, and to sync it.
    pub wal_fsync: Histogram,
    /// Bytes written to the log.
    pub wal_written_bytes: Counter,
    /// How long it took to apply a batch of commands and to publish what came of it: what a commit
    /// to the database is for etcd.
    batch_apply: Histogram,
    /// How long it took to send a whole snapshot to a client.
    pub snapshot_send: Histogram,
    /// How long a checkpoint took, from its beginning until it was durable.
    pub checkpoint: Histogram,
    /// How long the last sync of a checkpoint took.
    pub checkpoint_fsync: Histogram,
    /// How large checkpoints were, in bytes.
    pub checkpoint_bytes: Histogram,
    /// Checkpoints that failed.
    pub checkpoint_failures: Counter,
    /// How many entries were made durable by one sync.
    pub batch_entries: Histogram,
    /// How many bytes were made durable by one sync.
    pub batch_bytes: Histogram,
}

impl DiskMetrics {
    pub(super) fn new() -> DiskMetrics {
        let millis_on = || Histogram::doubling(Unit::Seconds, 0.001, 14);
        DiskMetrics {
            wal_fsync: millis_on(),
            wal_written_bytes: Counter::default(),
            batch_apply: millis_on(),
            snapshot_send: Histogram::doubling(Unit::Seconds, 0.01, 17),
            checkpoint: Histogram::doubling(Unit::Seconds, 0.1, 10),
            checkpoint_fsync: millis_on(),
            checkpoint_bytes: Histogram::doubling(Unit::Plain, 65_536.0, 20),
            checkpoint_failures: Counter::default(),
            batch_entries: Histogram::doubling(Unit::Plain, 1.0, 14),
            batch_bytes: Histogram::doubling(Unit::Plain, 256.0, 18),
        }
    }

    /// A batch of commands was applied and published.
    pub(super) fn on_apply(&self, duration: Duration) {
        self.batch_apply.observe(duration);
    }

    /// A sync of the log has made durable what was unsynced.
    pub fn on_sync(&self, unsynced: Unsynced, duration: Duration) {
        let Unsynced { entries, bytes } = unsynced;
        self.wal_fsync.observe(duration);
        self.batch_entries.observe_number(entries);
        self.batch_bytes.observe_number(bytes as u64);
        self.wal_written_bytes.add(bytes as u64);
    }

    pub(super) fn describe(&self, page: &mut Page) {
        let histograms = [
            (
                "etcd_disk_wal_fsync_duration_seconds",
                "Writes and syncs of the log.",
                &self.wal_fsync,
            ),
            (
                "etcd_disk_backend_commit_duration_seconds",
                "Applying a batch of commands and publishing it.",
                &self.batch_apply,
            ),
            (
                "etcd_disk_backend_snapshot_duration_seconds",
                "Sending a snapshot to a client.",
                &self.snapshot_send,
            ),
            ("etcd_snap_db_save_total_duration_seconds", "Saving a checkpoint.", &self.checkpoint),
            (
                "etcd_snap_db_fsync_duration_seconds",
                "Syncing a checkpoint.",
                &self.checkpoint_fsync,
            ),
            ("holdfast_checkpoint_bytes", "Sizes of checkpoints.", &self.checkpoint_bytes),
            (
                "holdfast_wal_batch_entries",
                "Entries that one sync made durable.",
                &self.batch_entries,
            ),
            ("holdfast_wal_batch_bytes", "Bytes that one sync made durable.", &self.batch_bytes),
        ];
        for (name, help, histogram) in histograms {
            page.histogram(name, help, histogram);
        }
        // A gauge in etcd as well, although it only grows.
        page.value(
            "etcd_disk_wal_write_bytes_total",
            "Bytes written to the log.",
            self.wal_written_bytes.value(),
        );
        page.counter(
            "holdfast_checkpoint_failures_total",
            "Checkpoints that failed.",
            &self.checkpoint_failures,
        );
    }
}

/// What happens among the keys.
#[derive(Debug)]
pub struct MvccMetrics {
    /// Ranges that were served.
    pub ranges: Counter,
    /// How long hashing all keys took.
    pub hash: Histogram,
    /// How long hashing the keys of a revision took.
    pub hash_revision: Histogram,
    /// How long a compaction took from its beginning to its end.
    pub compaction_total: Histogram,
    /// How long each of its steps kept commands waiting.
    pub compaction_pause: Histogram,
    /// When the last compaction ended, in seconds since 1970.
    pub compacted_at: Gauge,
}

impl MvccMetrics {
    pub(super) fn new() -> MvccMetrics {
        MvccMetrics {
            ranges: Counter::default(),
            hash: Histogram::doubling(Unit::Seconds, 0.01, 15),
            hash_revision: Histogram::doubling(Unit::Seconds, 0.01, 15),
            compaction_total: Histogram::doubling(Unit::Milliseconds, 100.0, 14),
            compaction_pause: Histogram::doubling(Unit::Milliseconds, 1.0, 13),
            compacted_at: Gauge::default(),
        }
    }

    pub(super) fn describe(&self, page: &mut Page) {
        page.counter("etcd_mvcc_range_total", "Ranges.", &self.ranges);
        let histograms = [
            ("etcd_mvcc_hash_duration_seconds", "Hashing all keys.", &self.hash),
            (
                "etcd_mvcc_hash_rev_duration_seconds",
                "Hashing the keys of a revision.",
                &self.hash_revision,
            ),
            (
                "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                "Compactions, from beginning to end.",
                &self.compaction_total,
            ),
            (
                "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
                "Steps of compactions, while commands waited.",
                &self.compaction_pause,
            ),
        ];
        for (name, help, histogram) in histograms {
            page.histogram(name, help, histogram);
        }
        page.gauge(
            "etcd_debugging_mvcc_db_compaction_last",
            "When the last compaction ended, in seconds since 1970.",
            &self.compacted_at,
        );
    }
}

/// What happens to watches.
#[derive(Debug, Default)]
pub struct WatchMetrics {
    /// Streams that are open.
    pub streams: Gauge,
    /// Watchers on them.
    pub watchers: Gauge,
    /// Watchers that are behind the newest revision.
    pub slow_watchers: Gauge,
    /// Events that wait to be sent.
    pub pending_events: Gauge,
    /// Events that were sent.
    pub events: Counter,
    /// Watchers that were cancelled because what they had still to see was compacted.
    pub cancelled_compacted: Counter,
}

impl WatchMetrics {
    pub(super) fn describe(&self, page: &mut Page) {
        let gauges = [
            ("etcd_debugging_mvcc_watch_stream_total", "Streams of watches.", &self.streams),
            ("etcd_debugging_mvcc_watcher_total", "Watchers.", &self.watchers),
            (
                "etcd_debugging_mvcc_slow_watcher_total",
                "Watchers that are behind.",
                &self.slow_watchers,
            ),
            (
                "etcd_debugging_mvcc_pending_events_total",
                "Events that wait to be sent.",
                &self.pending_events,
            ),
        ];
        for (name, help, gauge) in gauges {
            page.gauge(name, help, gauge);
        }
        page.counter("etcd_debugging_mvcc_events_total", "Events sent.", &self.events);
        page.counter(
            "holdfast_watchers_cancelled_total",
            "Watchers cancelled because of compaction.",
            &self.cancelled_compacted,
        );
    }
}
