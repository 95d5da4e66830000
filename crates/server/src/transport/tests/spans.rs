//! What a collector hears of calls, over real sockets from the client to the collector.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use etcd_api::etcdserverpb::{PutRequest, RangeRequest, TxnRequest};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status};

use super::harness::{Client, Harness, Setup, loopback};
use crate::config::SpansConfig;
use crate::http::Pages;
use crate::http::tests::Fake;
use crate::spans::Spans;
use crate::transport::{
    Listen, Options, Plan, Routes, Security, Server, Serves, Shards, Sharing, bind, serve,
};

/// Long enough for whatever is on its way.
const PATIENCE: Duration = Duration::from_secs(10);

/// The context of a caller, without its last digit, which says whether it is sampled.
const PARENT: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-0";

const EVERY_CALL: u32 = 1_000_000;

/// Gives what it is sent to the test.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A server whose calls have spans, and a collector.
struct Scene {
    harness: Harness,
    spans: Arc<Spans>,
    collected: mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
    _collector: Server,
}

impl Scene {
    async fn new(sampled_per_million: u32) -> Scene {
        let (collector, collected) = mpsc::unbounded_channel();
        let collector = Collector(collector);
        let place = loopback(0);
        let wish = Listen {
            place,
            security: Security::Plain,
            serves: Serves::All,
            sharing: Sharing::Alone,
        };
        let collector = serve(Plan {
            listeners: bind(&[wish]).await.unwrap(),
            shards: Arc::new(Shards::here()),
            routes: &|_| Routes::new().add_service(TraceServiceServer::new(collector.clone())),
            pages: Arc::new(Pages::new(Arc::new(Fake::default()), PATIENCE)),
            tls: None,
            metrics: Arc::default(),
            options: Options::default(),
            spans: None,
        });
        let address = collector.addresses()[0].address.unwrap().to_string();
        let (harness, spans) = traced(address, sampled_per_million).await;
        Scene { harness, spans, collected, _collector: collector }
    }

    async fn client(&self) -> Client {
        Client::connect(self.harness.dial().await).await
    }

    /// All that the collector was sent.
    async fn finish(mut self) -> Vec<ExportTraceServiceRequest> {
        self.spans.close(PATIENCE).await;
        std::iter::from_fn(|| self.collected.try_recv().ok()).collect()
    }

    async fn spans(self) -> Vec<Span> {
        let requests = self.finish().await;
        let of_resource = requests.into_iter().flat_map(|request| request.resource_spans);
        of_resource.flat_map(|spans| spans.scope_spans).flat_map(|spans| spans.spans).collect()
    }

    async fn only_span(self) -> Span {
        let spans = self.spans().await;
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.into_iter().next().unwrap()
    }
}

async fn traced(address: String, sampled_per_million: u32) -> (Harness, Arc<Spans>) {
    let config = SpansConfig {
        address,
        service_name: "store".to_owned(),
        instance_id: Some("m0".to_owned()),
        sampled_per_million,
    };
    let spans = Arc::new(Spans::start(&config).unwrap());
    let setup = Setup { spans: Some(Arc::clone(&spans)), ..Setup::default() };
    (Harness::start(setup).await, spans)
}

/// Attributes as `key=value`, sorted.
fn texts(attributes: &[KeyValue]) -> Vec<String> {
    let text = |attribute: &KeyValue| {
        let value = match attribute.value.clone().unwrap().value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => panic!("{} is neither text nor number: {other:?}", attribute.key),
        };
        format!("{}={value}", attribute.key)
    };
    let mut texts: Vec<String> = attributes.iter().map(text).collect();
    texts.sort();
    texts
}

fn code(span: &Span) -> String {
    texts(&span.attributes)[0].clone()
}

fn nanos_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls with the context of a caller.
async fn call_under(client: &mut Client, parent: &str) {
    let mut request = Request::new(PutRequest::default());
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    client.kv.put(request).await.unwrap();
}

#[tokio::test]
async fn call_that_goes_well_is_a_span_of_a_server() {
    let scene = Scene::new(EVERY_CALL).await;
    let begun = nanos_now();
    scene.client().await.range("key").await.unwrap();
    let ended = nanos_now();
    let request = scene.finish().await.remove(0);
    let of_resource = &request.resource_spans[0];
    let resource = of_resource.resource.as_ref().unwrap();
    assert_eq!(texts(&resource.attributes), ["service.instance.id=m0", "service.name=store"]);
    let span = &of_resource.scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.kind), ("etcdserverpb.KV/Range", SpanKind::Server.into()));
    assert_eq!(
        texts(&span.attributes),
        [
            "rpc.grpc.status_code=0",
            "rpc.method=Range",
            "rpc.service=etcdserverpb.KV",
            "rpc.system=grpc"
        ]
    );
    assert_eq!(span.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    assert!(span.parent_span_id.is_empty(), "a parent from nowhere");
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    assert!(begun <= start && start <= end && end <= ended, "{begun} {start} {end} {ended}");
}

#[tokio::test]
async fn call_that_fails_has_its_code_and_is_an_error_if_the_server_is_to_blame() {
    let scene = Scene::new(EVERY_CALL).await;
    let mut client = scene.client().await;
    client.kv.txn(TxnRequest::default()).await.unwrap_err();
    client.call_path("/etcdserverpb.Auth/AuthStatus").await.unwrap_err();
    let key = vec![0; super::harness::REQUEST_BYTES_MAX + 1].into();
    let large = client.kv.put(PutRequest { key, ..PutRequest::default() }).await.unwrap_err();
    let spans = scene.spans().await;
    let expected = [
        ("etcdserverpb.KV/Txn", Code::Unimplemented, StatusCode::Error, "txn"),
        (
            "etcdserverpb.Auth/AuthStatus",
            Code::Unimplemented,
            StatusCode::Error,
            "unknown service etcdserverpb.Auth",
        ),
        ("etcdserverpb.KV/Put", large.code(), StatusCode::Unset, ""),
    ];
    assert_eq!(spans.len(), expected.len());
    for (span, (name, number, status, message)) in spans.iter().zip(expected) {
        let text = format!("rpc.grpc.status_code={}", i32::from(number));
        assert_eq!((span.name.as_str(), code(span)), (name, text));
        let given = span.status.clone().unwrap_or_default();
        assert_eq!((given.code(), given.message.as_str()), (status, message), "{name}");
    }
}

#[tokio::test]
async fn span_of_a_stream_lasts_as_long_as_the_stream() {
    let scene = Scene::new(EVERY_CALL).await;
    let mut client = scene.client().await;
    let mut answers = client.kv.range_stream(RangeRequest::default()).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("one answer comes at once");
    scene.harness.stub.entered().await;
    let released = nanos_now();
    scene.harness.stub.release();
    assert!(answers.message().await.unwrap().is_none(), "one answer too many");
    let span = scene.only_span().await;
    assert_eq!(
        (span.name.as_str(), code(&span)),
        ("etcdserverpb.KV/RangeStream", "rpc.grpc.status_code=0".to_owned())
    );
    assert!(released <= span.end_time_unix_nano, "it ended before its stream");
}

#[tokio::test]
async fn call_that_its_client_left_ends_as_cancelled() {
    let scene = Scene::new(EVERY_CALL).await;
    let mut client = scene.client().await;
    let calling = tokio::spawn(async move { client.range("wait").await });
    scene.harness.stub.entered().await;
    calling.abort();
    while 0 < scene.harness.stub.waiting() {
        tokio::task::yield_now().await;
    }
    let span = scene.only_span().await;
    assert_eq!(code(&span), "rpc.grpc.status_code=1");
    assert_eq!(span.status.unwrap_or_default().code(), StatusCode::Unset);
}

#[tokio::test]
async fn caller_decides_whether_there_is_a_span_and_is_its_parent() {
    let scene = Scene::new(0).await;
    call_under(&mut scene.client().await, &format!("{PARENT}1")).await;
    let span = scene.only_span().await;
    assert_eq!(hex(&span.trace_id), "0123456789abcdef0123456789abcdef");
    assert_eq!(hex(&span.parent_span_id), "0123456789abcdef");

    let scene = Scene::new(EVERY_CALL).await;
    call_under(&mut scene.client().await, &format!("{PARENT}0")).await;
    assert_eq!(scene.spans().await, []);
}

#[tokio::test]
async fn rate_decides_where_no_caller_has() {
    for (sampled_per_million, expected) in [(0, 0), (EVERY_CALL, 20)] {
        let scene = Scene::new(sampled_per_million).await;
        let mut client = scene.client().await;
        for _ in 0..20 {
            client.range("key").await.unwrap();
        }
        call_under(&mut client, "00-nonsense").await;
        assert_eq!(scene.spans().await.len(), expected + usize::from(0 < expected));
    }
}

#[tokio::test]
async fn collector_that_is_away_or_silent_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [&silent, &away].map(|listener| listener.local_addr().unwrap().to_string());
    drop(away);
    for address in addresses {
        let (harness, spans) = traced(address, EVERY_CALL).await;
        let mut client = Client::connect(harness.dial().await).await;
        // More than the queue takes.
        for _ in 0..3000 {
            client.range("key").await.unwrap();
        }
        let begun = Instant::now();
        spans.close(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < PATIENCE, "closed after {:?}", begun.elapsed());
        client.range("after").await.unwrap();
    }
}
