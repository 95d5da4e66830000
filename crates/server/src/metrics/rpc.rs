//! Calls of gRPC, by method, under the names of Go's `grpc-prometheus`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tonic::Code;

use super::cell::{Counter, Histogram, Unit};
use super::text::{Page, Type};

/// The bounds of the histograms of durations, in seconds.
const HANDLING_BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The methods that are counted, sorted by service and name: all that are served.
const METHODS: [(&str, &str, &str); 27] = [
    ("etcdserverpb.Cluster", "MemberAdd", "unary"),
    ("etcdserverpb.Cluster", "MemberList", "unary"),
    ("etcdserverpb.Cluster", "MemberPromote", "unary"),
    ("etcdserverpb.Cluster", "MemberRemove", "unary"),
    ("etcdserverpb.Cluster", "MemberUpdate", "unary"),
    ("etcdserverpb.KV", "Compact", "unary"),
    ("etcdserverpb.KV", "DeleteRange", "unary"),
    ("etcdserverpb.KV", "Put", "unary"),
    ("etcdserverpb.KV", "Range", "unary"),
    ("etcdserverpb.KV", "RangeStream", "server_stream"),
    ("etcdserverpb.KV", "Txn", "unary"),
    ("etcdserverpb.Lease", "LeaseGrant", "unary"),
    ("etcdserverpb.Lease", "LeaseKeepAlive", "bidi_stream"),
    ("etcdserverpb.Lease", "LeaseLeases", "unary"),
    ("etcdserverpb.Lease", "LeaseRevoke", "unary"),
    ("etcdserverpb.Lease", "LeaseTimeToLive", "unary"),
    ("etcdserverpb.Maintenance", "Alarm", "unary"),
    ("etcdserverpb.Maintenance", "Defragment", "unary"),
    ("etcdserverpb.Maintenance", "Downgrade", "unary"),
    ("etcdserverpb.Maintenance", "Hash", "unary"),
    ("etcdserverpb.Maintenance", "HashKV", "unary"),
    ("etcdserverpb.Maintenance", "MoveLeader", "unary"),
    ("etcdserverpb.Maintenance", "Snapshot", "server_stream"),
    ("etcdserverpb.Maintenance", "Status", "unary"),
    ("etcdserverpb.Watch", "Watch", "bidi_stream"),
    ("grpc.health.v1.Health", "Check", "unary"),
    ("grpc.health.v1.Health", "Watch", "server_stream"),
];

/// All codes, in the order of their numbers, under the names that Go gives them.
const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "Canceled"),
    (Code::Unknown, "Unknown"),
    (Code::InvalidArgument, "InvalidArgument"),
    (Code::DeadlineExceeded, "DeadlineExceeded"),
    (Code::NotFound, "NotFound"),
    (Code::AlreadyExists, "AlreadyExists"),
    (Code::PermissionDenied, "PermissionDenied"),
    (Code::ResourceExhausted, "ResourceExhausted"),
    (Code::FailedPrecondition, "FailedPrecondition"),
    (Code::Aborted, "Aborted"),
    (Code::OutOfRange, "OutOfRange"),
    (Code::Unimplemented, "Unimplemented"),
    (Code::Internal, "Internal"),
    (Code::Unavailable, "Unavailable"),
    (Code::DataLoss, "DataLoss"),
    (Code::Unauthenticated, "Unauthenticated"),
];

/// The calls of all methods.
#[derive(Debug)]
pub struct RpcMetrics {
    /// In the order of [`METHODS`].
    methods: Vec<Arc<MethodMetrics>>,
    show_durations: bool,
}

/// The calls of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    started: Counter,
    received: Counter,
    sent: Counter,
    /// Calls that ended well, which are nearly all.
    succeeded: Counter,
    /// Calls by code, in the order of [`CODES`]; that of OK stays zero.
    failed: [AtomicU64; CODES.len()],
    durations: Histogram,
}

impl RpcMetrics {
    /// With nothing counted. Durations are shown only if asked for, as they are many series.
    pub(super) fn new(show_durations: bool) -> RpcMetrics {
        let methods = METHODS.iter().map(|_| Arc::new(MethodMetrics::new())).collect();
        RpcMetrics { methods, show_durations }
    }

    /// The numbers of a method of a service, such as `Range` of `etcdserverpb.KV`; `None` if it is
    /// not served. To be asked for once, not for each call.
    #[must_use]
    pub fn method(&self, service: &str, name: &str) -> Option<&Arc<MethodMetrics>> {
        let at = METHODS
            .binary_search_by(|(known, method, _)| (*known, *method).cmp(&(service, name)))
            .ok()?;
        self.methods.get(at)
    }

    pub(super) fn describe(&self, page: &mut Page) {
        type Read = fn(&MethodMetrics) -> u64;
        let families: [(&str, &str, Read); 3] = [
            ("grpc_server_started_total", "Calls that began.", |method| method.started.value()),
            ("grpc_server_msg_received_total", "Messages from clients.", |method| {
                method.received.value()
            }),
            ("grpc_server_msg_sent_total", "Messages to clients.", |method| method.sent.value()),
        ];
        for (name, help, value) in families {
            page.family(name, Type::Counter, help);
            for (labels, method) in self.labelled() {
                page.series(name, &labels, value(method));
            }
        }
        let name = "grpc_server_handled_total";
        page.family(name, Type::Counter, "Calls that ended, well or not.");
        for (labels, method) in self.labelled() {
            for (at, (_, code)) in CODES.iter().enumerate() {
                let labels = [&[("grpc_code", *code)], labels.as_slice()].concat();
                page.series(name, &labels, method.handled_as(at));
            }
        }
        if self.show_durations {
            let name = "grpc_server_handling_seconds";
            page.family(name, Type::Histogram, "How long calls took, in seconds.");
            for (labels, method) in self.labelled() {
                page.buckets(name, &labels, &method.durations);
            }
        }
    }

    fn labelled(
        &self,
    ) -> impl Iterator<Item = ([(&'static str, &'static str); 3], &MethodMetrics)> {
        METHODS.iter().zip(&self.methods).map(|((service, name, kind), method)| {
            (
                [("grpc_method", *name), ("grpc_service", *service), ("grpc_type", *kind)],
                method.as_ref(),
            )
        })
    }
}

impl MethodMetrics {
    fn new() -> MethodMetrics {
        MethodMetrics {
            started: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
            succeeded: Counter::default(),
            failed: Default::default(),
            durations: Histogram::with_bounds(Unit::Seconds, &HANDLING_BOUNDS),
        }
    }

    /// A call has begun.
    pub fn on_start(&self) {
        self.started.increment();
    }

    /// A message has come from the client.
    pub fn on_received(&self) {
        self.received.increment();
    }

    /// A message goes to the client.
    pub fn on_sent(&self) {
        self.sent.increment();
    }

    /// A call has ended with this code, this long after it began.
    pub fn on_end(&self, code: Code, duration: Duration) {
        if code == Code::Ok {
            self.succeeded.increment();
        } else {
            self.failed[code as usize].fetch_add(1, Ordering::Relaxed);
        }
        self.durations.observe(duration);
    }

    fn handled_as(&self, at: usize) -> u64 {
        self.failed[at].load(Ordering::Relaxed) + if at == 0 { self.succeeded.value() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_sorted_and_codes_stand_at_their_numbers() {
        assert!(METHODS.is_sorted());
        for (at, (code, _)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, at);
        }
    }

    #[test]
    fn calls_are_counted_by_method_and_code() {
        let rpc = RpcMetrics::new(true);
        assert!(rpc.method("etcdserverpb.KV", "Rang").is_none());
        let range = rpc.method("etcdserverpb.KV", "Range").unwrap();
        range.on_start();
        range.on_end(Code::Ok, Duration::from_millis(7));
        range.on_end(Code::Unavailable, Duration::from_secs(20));
        let mut page = Page::default();
        rpc.describe(&mut page);
        let text = page.into_text();
        let labels = "grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
        for line in [
            format!("grpc_server_started_total{{{labels}}} 1\n"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1\n"),
            format!("grpc_server_handled_total{{grpc_code=\"Unavailable\",{labels}}} 1\n"),
            format!("grpc_server_handled_total{{grpc_code=\"NotFound\",{labels}}} 0\n"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.01\"}} 1\n"),
            format!("grpc_server_handling_seconds_count{{{labels}}} 2\n"),
        ] {
            assert!(text.contains(&line), "{line}");
        }
    }

    #[test]
    fn durations_are_shown_only_if_asked_for() {
        let mut page = Page::default();
        RpcMetrics::new(false).describe(&mut page);
        assert!(!page.into_text().contains("handling_seconds"));
    }
}
