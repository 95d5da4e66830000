//! How what was asked of the member has ended: counted at the one door through which all of it
//! goes.

use std::time::Duration;

use replica::{LeaseLife, Unavailable};
use store::{Rejection, Response};

use super::cell::{Counter, Histogram, Unit};
use super::text::Page;

/// A read that waits longer than this for its index is slow.
const READ_SLOW: Duration = Duration::from_millis(500);

/// How what was asked of the member has ended.
#[derive(Debug)]
pub struct AskedMetrics {
    /// Commands whose fate is not known, or that nobody could take.
    proposals_failed: Counter,
    /// Reads that waited long.
    reads_slow: Counter,
    /// Reads that got no index.
    reads_failed: Counter,
    /// Leases that were kept alive.
    leases_renewed: Counter,
    /// The times to live of leases that were granted, in seconds.
    lease_ttl: Histogram,
}

impl Default for AskedMetrics {
    fn default() -> AskedMetrics {
        AskedMetrics {
            proposals_failed: Counter::default(),
            reads_slow: Counter::default(),
            reads_failed: Counter::default(),
            leases_renewed: Counter::default(),
            lease_ttl: Histogram::doubling(Unit::Plain, 1.0, 24),
        }
    }
}

impl AskedMetrics {
    /// A command was executed, or refused, or was not.
    pub fn on_proposed(&self, result: Result<&Result<Response, Rejection>, Unavailable>) {
        match result {
            Ok(Ok(Response::LeaseGrant { ttl })) => {
                self.lease_ttl.observe_number(u64::try_from(*ttl).unwrap_or(0));
            }
            Ok(Ok(_) | Err(_)) => {}
            Err(_) => self.proposals_failed.increment(),
        }
    }

    /// A read has its index, or gets none.
    pub fn on_read(&self, result: Result<(), Unavailable>, waited: Duration) {
        if READ_SLOW < waited {
            self.reads_slow.increment();
        }
        if result.is_err() {
            self.reads_failed.increment();
        }
    }

    /// The leader was asked to keep a lease alive.
    pub fn on_renewed(&self, life: &LeaseLife) {
        if life.granted.is_some() {
            self.leases_renewed.increment();
        }
    }

    pub(super) fn describe(&self, page: &mut Page) {
        let counters = [
            ("etcd_server_proposals_failed_total", "Commands that failed.", &self.proposals_failed),
            ("etcd_server_slow_read_indexes_total", "Reads that waited long.", &self.reads_slow),
            (
                "etcd_server_read_indexes_failed_total",
                "Reads that got no index.",
                &self.reads_failed,
            ),
            ("etcd_debugging_lease_renewed_total", "Leases kept alive.", &self.leases_renewed),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, counter);
        }
        let help = "Times to live of granted leases, in seconds.";
        page.histogram("etcd_debugging_lease_ttl_total", help, &self.lease_ttl);
    }
}
