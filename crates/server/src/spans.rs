//! Spans: what a collector of traces is told of each call, if that is asked for.
//!
//! ```text
//!   request ─► begin ── not sampled ─► nothing more
//!                │
//!                └─► CallSpan ─► … the call … ─► end ─► queue ─► batch ─► collector
//!                                                        (a thread of its own)  OTLP over gRPC
//! ```
//!
//! # Contract
//!
//! - Without `--enable-distributed-tracing` there are no [`Spans`], and nothing here runs. The
//!   connection asks once per call whether there are any.
//! - A span lasts from the headers of a call until its status is on the way to the client: with a
//!   stream, as long as that. A call that its client left ends as cancelled.
//! - Whether a call gets a span is decided by its caller, in the `traceparent` of the request (W3C
//!   Trace Context); without one, by lot.
//! - Calls never wait for the collector. What does not fit into the queue is dropped, and so is
//!   what cannot be sent; the log says so, once a minute at the most.
//! - [`Spans::close`] sends what is left, and gives up in time.
//!
//! # What a span holds
//!
//! What etcd's do: the name `etcdserverpb.KV/Range`, the attributes `rpc.system`, `rpc.service`,
//! `rpc.method` and `rpc.grpc.status_code`, and an error if the server is to blame. A refusal that
//! the client has earned is no error of the server, as OpenTelemetry's conventions for gRPC say.
//!
//! # Left out
//!
//! - *Spans within a call.* Proposals of many clients share one write and one round among the
//!   members; the metrics tell how long those take.
//! - *TLS to the collector.* etcd has none either: a collector runs beside the member.
//! - *Metrics and logs by OTLP*: `/metrics` is there for the former, a file for the latter.

mod call;
mod reporting;

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tonic::transport::Endpoint;
use tracing::warn;

use crate::config::SpansConfig;
pub(crate) use call::CallSpan;
use reporting::Reporting;

/// How long the collector may take for a batch, or for a connection.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// A batch is sent after this, if it is not full before.
const BATCH_INTERVAL: Duration = Duration::from_secs(5);

/// Spans that are sent together, at the most.
const BATCH_LEN_MAX: usize = 512;

/// Spans that wait to be sent, at the most; more are dropped.
const QUEUE_LEN_MAX: usize = 2048;

/// The longest name of a call that gets a span. Ours are shorter; whoever invents others does not
/// fill the queue with them.
const NAME_BYTES_MAX: usize = 128;

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// The collector's address is none.
    #[error("--distributed-tracing-address wants host:port, and was given `{address}`")]
    Address {
        /// What was given.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The exporter cannot be made: a variable of the environment tells it something wrong.
    #[error("spans cannot be exported; the environment's OTEL_EXPORTER_OTLP_… may be wrong")]
    Exporter(#[source] ExporterBuildError),
}

/// Makes spans of calls and sends them to a collector.
#[derive(Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

impl Spans {
    /// Starts to send spans, over connections that live on the runtime that this is called on. The
    /// collector need not be there.
    ///
    /// # Errors
    ///
    /// If the settings are wrong.
    pub fn start(config: &SpansConfig) -> Result<Spans, SpansError> {
        let exporter = Reporting::new(exporter(&config.address)?, config.address.clone());
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_LEN_MAX)
            .with_max_export_batch_size(BATCH_LEN_MAX)
            .with_scheduled_delay(BATCH_INTERVAL)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let ratio = f64::from(config.sampled_per_million) / 1e6;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource(config))
            .build();
        let tracer = provider.tracer("holdfast");
        Ok(Spans { provider, tracer, propagator: TraceContextPropagator::new() })
    }

    /// Begins the span of the call to `path`. `None` if the call is not to have one.
    pub(crate) fn begin(&self, path: &str, headers: &HeaderMap) -> Option<CallSpan> {
        let name = path.strip_prefix('/').filter(|name| name.len() <= NAME_BYTES_MAX)?;
        let (service, method) = name.rsplit_once('/')?;
        let parent = self.propagator.extract_with_context(&Context::new(), &Headers(headers));
        let builder = SpanBuilder::from_name(name.to_owned()).with_kind(SpanKind::Server);
        let mut span = self.tracer.build_with_context(builder, &parent);
        if !span.is_recording() {
            return None;
        }
        span.set_attributes([
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service.to_owned()),
            KeyValue::new("rpc.method", method.to_owned()),
        ]);
        Some(CallSpan::new(span))
    }

    /// Sends what is left, for as long as `patience`. Calls that go on get no spans any more.
    pub async fn close(&self, patience: Duration) {
        let provider = self.provider.clone();
        // It waits for a thread that waits for a connection, which is served on this one.
        let closing = move || provider.shutdown_with_timeout(patience);
        match tokio::task::spawn_blocking(closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the spans of the last calls were not sent in time"),
            Err(error) => warn!(%error, "the spans of the last calls were not sent"),
        }
    }
}

fn exporter(address: &str) -> Result<SpanExporter, SpansError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| SpansError::Address { address: address.to_owned(), source })?;
    let channel = endpoint.connect_timeout(EXPORT_TIMEOUT).timeout(EXPORT_TIMEOUT).connect_lazy();
    SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(SpansError::Exporter)
}

/// Whose spans they are.
fn resource(config: &SpansConfig) -> Resource {
    let id = config.instance_id.clone().map(|id| KeyValue::new("service.instance.id", id));
    Resource::builder_empty()
        .with_service_name(config.service_name.clone())
        .with_attributes(id)
        .build()
}

/// The headers of a request, to find the caller's span in.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
