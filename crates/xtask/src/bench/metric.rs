//! What is measured, by name, and how a figure is written.

/// One kind of figure.
pub(super) struct Metric {
    /// The name in the recorded samples.
    pub(super) key: &'static str,
    /// What a person reads.
    pub(super) title: &'static str,
    pub(super) unit: Unit,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    PerSecond,
    Milliseconds,
    Seconds,
    /// Of CPU time, which is the same number in CPU-seconds for a million requests.
    MicrosecondsEach,
    Megabytes,
    Kilobytes,
    BytesEach,
    Count,
    Percent,
}

/// Requests, or events, answered in a second.
pub(super) const RATE: &str = "rate";
pub(super) const P50: &str = "p50_ms";
pub(super) const P99: &str = "p99_ms";
pub(super) const P999: &str = "p999_ms";
/// CPU time of all members for one request.
pub(super) const SERVER_CPU: &str = "server_us";
pub(super) const CLIENT_CPU: &str = "client_us";
pub(super) const RSS: &str = "rss_mb";
pub(super) const RSS_ANON: &str = "rss_anon_mb";
pub(super) const RSS_FILE: &str = "rss_file_mb";
pub(super) const DISK: &str = "disk_mb";
pub(super) const DEVICE_BYTES: &str = "device_bytes";
pub(super) const FLUSHES: &str = "flushes";
pub(super) const STEAL: &str = "steal_percent";
pub(super) const LOAD: &str = "load";
pub(super) const FAILED: &str = "failed";

/// All that is shown by name; other figures of a sample are points of curves.
pub(super) const METRICS: &[Metric] = &[
    metric(RATE, "rate", Unit::PerSecond),
    metric("rate_p99_10ms", "highest rate with p99 below 10 ms", Unit::PerSecond),
    metric(P50, "p50", Unit::Milliseconds),
    metric(P99, "p99", Unit::Milliseconds),
    metric(P999, "p99.9", Unit::Milliseconds),
    metric("quiet_p999_ms", "p99.9 when nothing else happens", Unit::Milliseconds),
    metric("compaction_p999_ms", "p99.9 during compactions", Unit::Milliseconds),
    metric("compaction_factor", "p99.9 during compactions / quiet", Unit::Count),
    metric("defragment_p999_ms", "p99.9 during defragmentation", Unit::Milliseconds),
    metric("defragment_max_ms", "longest put during defragmentation", Unit::Milliseconds),
    metric("limit1_ms", "range limit=1, p50", Unit::Milliseconds),
    metric("limit100_ms", "range limit=100, p50", Unit::Milliseconds),
    metric("limit500_ms", "range limit=500, p50", Unit::Milliseconds),
    metric("count_ms", "range count-only, p50", Unit::Milliseconds),
    metric("restart_s", "start to healthy, after a stop", Unit::Seconds),
    metric("crash_restart_s", "start to healthy, after kill -9", Unit::Seconds),
    metric("outage_p50_ms", "outage, p50", Unit::Milliseconds),
    metric("outage_p99_ms", "outage, p99", Unit::Milliseconds),
    metric(SERVER_CPU, "server CPU", Unit::MicrosecondsEach),
    metric(CLIENT_CPU, "client CPU", Unit::MicrosecondsEach),
    metric(RSS, "RSS of all members", Unit::Megabytes),
    metric(RSS_ANON, "of it anonymous", Unit::Megabytes),
    metric(RSS_FILE, "of it file", Unit::Megabytes),
    metric("restart_rss_mb", "RSS after the restart", Unit::Megabytes),
    metric(DISK, "data directories", Unit::Megabytes),
    metric("connection_kb", "RSS per idle connection that watches", Unit::Kilobytes),
    metric(DEVICE_BYTES, "device bytes per request", Unit::BytesEach),
    metric(FLUSHES, "device flushes per request", Unit::Count),
    metric(FAILED, "failed requests", Unit::Count),
    metric(STEAL, "steal", Unit::Percent),
    metric(LOAD, "load", Unit::Count),
];

const fn metric(key: &'static str, title: &'static str, unit: Unit) -> Metric {
    Metric { key, title, unit }
}

/// The metric of that name.
pub(super) fn find(key: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.key == key)
}

impl Unit {
    /// The value as a person reads it, with its unit.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{} /s", with_thousands(value)),
            Unit::Milliseconds => format!("{} ms", significant(value)),
            Unit::Seconds => format!("{} s", significant(value)),
            Unit::MicrosecondsEach => format!("{} µs", significant(value)),
            Unit::Megabytes => format!("{} MB", significant(value)),
            Unit::Kilobytes => format!("{} KB", significant(value)),
            Unit::BytesEach => format!("{} B", with_thousands(value)),
            Unit::Count => significant(value),
            Unit::Percent => format!("{value:.1} %"),
        }
    }
}

/// Three significant digits, without an exponent.
pub(super) fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        0.0 => 0,
        _ => 4,
    };
    if digits == 0 { with_thousands(value) } else { format!("{value:.digits$}") }
}

/// A whole number with commas.
fn with_thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_three_digits_and_their_unit() {
        assert_eq!(Unit::PerSecond.show(1_234_567.8), "1,234,568 /s");
        assert_eq!(Unit::Milliseconds.show(0.123_456), "0.123 ms");
        assert_eq!(Unit::Milliseconds.show(12.345), "12.3 ms");
        assert_eq!(Unit::MicrosecondsEach.show(156.7), "157 µs");
        assert_eq!(Unit::Count.show(0.0), "0");
        assert_eq!(Unit::Count.show(0.012_34), "0.0123");
        assert_eq!(Unit::BytesEach.show(999.0), "999 B");
    }

    #[test]
    fn names_of_metrics_are_different() {
        let mut keys: Vec<&str> = METRICS.iter().map(|metric| metric.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), METRICS.len());
    }
}
