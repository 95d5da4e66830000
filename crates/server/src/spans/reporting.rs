//! The log hears of a collector that takes no spans, but not each time.

use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use parking_lot::Mutex;
use tracing::{info, warn};

/// Between two warnings, at the least.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// An exporter whose failures are logged.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    exporter: E,
    /// Of the collector, for people.
    address: String,
    failures: Mutex<Failures>,
}

/// What has failed.
#[derive(Debug, Default)]
struct Failures {
    /// Spans that were lost and not reported yet.
    lost: usize,
    /// When something was reported last; `None` if that never was, or if it went well since.
    reported: Option<Instant>,
}

/// What is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// Nothing.
    Nothing,
    /// So many spans were lost.
    Lost(usize),
    /// The collector takes spans again.
    Recovered,
}

impl<E> Reporting<E> {
    pub(super) fn new(exporter: E, address: String) -> Reporting<E> {
        Reporting { exporter, address, failures: Mutex::default() }
    }
}

impl Failures {
    fn on_success(&mut self) -> Report {
        if self.reported.take().is_some() { Report::Recovered } else { Report::Nothing }
    }

    fn on_failure(&mut self, now: Instant, spans_len: usize) -> Report {
        self.lost += spans_len;
        match self.reported {
            Some(reported) if now < reported + WARNING_INTERVAL => Report::Nothing,
            Some(_) | None => {
                self.reported = Some(now);
                Report::Lost(std::mem::take(&mut self.lost))
            }
        }
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans_len = batch.len();
        let result = self.exporter.export(batch).await;
        let report = match &result {
            Ok(()) => self.failures.lock().on_success(),
            Err(_) => self.failures.lock().on_failure(Instant::now(), spans_len),
        };
        let address = &self.address;
        match (report, &result) {
            (Report::Lost(lost), Err(error)) => {
                warn!(address, lost, %error, "the collector takes no spans; they are dropped");
            }
            (Report::Recovered, _) => info!(address, "the collector takes spans again"),
            (Report::Lost(_) | Report::Nothing, _) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_reported_once_in_an_interval_with_all_that_was_lost() {
        let mut failures = Failures::default();
        let begin = Instant::now();
        assert_eq!(failures.on_success(), Report::Nothing);
        assert_eq!(failures.on_failure(begin, 3), Report::Lost(3));
        let later = begin + WARNING_INTERVAL - Duration::from_nanos(1);
        assert_eq!(failures.on_failure(later, 4), Report::Nothing);
        assert_eq!(failures.on_failure(begin + WARNING_INTERVAL, 5), Report::Lost(9));
        assert_eq!(failures.on_success(), Report::Recovered);
        assert_eq!(failures.on_success(), Report::Nothing);
    }
}
