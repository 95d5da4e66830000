//! A server with a stub behind it, and clients for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use etcd_api::Encoded;
use etcd_api::etcdserverpb::kv_client::KvClient;
use etcd_api::etcdserverpb::kv_server::{Kv, KvServer};
use etcd_api::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, PutResponse, RangeRequest, RangeResponse,
    TxnRequest,
};
use etcd_api::mvccpb::KeyValue;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Response, Status};

use crate::http::Pages;
use crate::http::tests::Fake;
use crate::metrics::NetworkMetrics;
use crate::spans::Spans;
use crate::tls::ServerTls;
use crate::transport::{
    Listen, Options, Peer, Place, Plan, Routes, Security, Server, Serves, ShardId, Shards, Sharing,
    bind, serve,
};

/// The largest request that the stub takes.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What the stub's calls wait for.
pub(super) struct Stub {
    entered: Semaphore,
    released: Semaphore,
    waiting: Arc<()>,
}

impl Stub {
    fn new() -> Stub {
        Stub { entered: Semaphore::new(0), released: Semaphore::new(0), waiting: Arc::new(()) }
    }

    /// Waits until one more call of `wait` has come.
    pub(super) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets one call of `wait` be answered.
    pub(super) fn release(&self) {
        self.released.add_permits(1);
    }

    /// How many calls of `wait` have come, and have neither been answered nor dropped.
    pub(super) fn waiting(&self) -> usize {
        Arc::strong_count(&self.waiting) - 1
    }

    async fn wait(&self) {
        let _waiting = Arc::clone(&self.waiting);
        self.entered.add_permits(1);
        self.released.acquire().await.unwrap().forget();
    }
}

/// The stub on one shard.
struct OnShard(Arc<Stub>, ShardId);

#[tonic::async_trait]
impl Kv for OnShard {
    type RangeStreamStream = ReceiverStream<Result<Encoded, Status>>;

    /// Answers with the key; some keys ask for more.
    async fn range(
        &self,
        request: tonic::Request<RangeRequest>,
    ) -> Result<Response<Encoded>, Status> {
        let peer = request.extensions().get::<Arc<Peer>>().cloned().expect("every call has a peer");
        let request = request.into_inner();
        let value: Bytes = match &request.key[..] {
            b"who" => match &peer.identity {
                Some(identity) => identity.to_string().into(),
                None => peer.remote.to_string().into(),
            },
            b"shard" => {
                let thread = std::thread::current();
                format!("{} on {}", self.1.0, thread.name().unwrap_or_default()).into()
            }
            b"wait" => {
                self.0.wait().await;
                Bytes::new()
            }
            b"large" => (0..usize::try_from(request.limit).unwrap()).map(byte_at).collect(),
            _ => Bytes::new(),
        };
        let kv = KeyValue { key: request.key, value, ..KeyValue::default() };
        let answer = RangeResponse { header: None, kvs: vec![kv], more: false, count: 1 };
        Ok(Response::new(Encoded::of(answer)))
    }

    async fn put(&self, _: tonic::Request<PutRequest>) -> Result<Response<Encoded>, Status> {
        Ok(Response::new(Encoded::of(PutResponse::default())))
    }

    /// Answers once at once, and ends when it is released.
    async fn range_stream(
        &self,
        _: tonic::Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let (answers, stream) = mpsc::channel(1);
        let stub = Arc::clone(&self.0);
        tokio::spawn(async move {
            let answer = Encoded::of(RangeResponse::default());
            // It waits in vain if the client goes.
            let _ = answers.send(Ok(answer)).await;
            stub.wait().await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn delete_range(
        &self,
        _: tonic::Request<DeleteRangeRequest>,
    ) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("delete_range"))
    }

    async fn txn(&self, _: tonic::Request<TxnRequest>) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("txn"))
    }

    async fn compact(
        &self,
        _: tonic::Request<CompactionRequest>,
    ) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("compact"))
    }
}

/// The byte of a large value at an index: every part of it looks different.
pub(super) fn byte_at(index: usize) -> u8 {
    u8::try_from((index ^ (index >> 7) ^ (index >> 15)) & 0xff).unwrap()
}

/// A server that runs.
pub(super) struct Harness {
    pub(super) server: Server,
    pub(super) stub: Arc<Stub>,
    pub(super) metrics: Arc<NetworkMetrics>,
}

/// What is different about a server.
pub(super) struct Setup {
    pub(super) security: Security,
    pub(super) serves: Serves,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) options: Options,
    pub(super) shards: Option<Shards>,
    pub(super) place: Place,
    pub(super) spans: Option<Arc<Spans>>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            security: Security::Plain,
            serves: Serves::All,
            tls: None,
            options: Options::default(),
            shards: None,
            place: loopback(0),
            spans: None,
        }
    }
}

/// A port of this machine.
pub(super) fn loopback(port: u16) -> Place {
    Place::Tcp { host: "127.0.0.1".to_owned(), port }
}

impl Harness {
    /// A server with one address.
    pub(super) async fn start(setup: Setup) -> Harness {
        let Setup { security, serves, tls, options, shards, place, spans } = setup;
        let wish = Listen { place, security, serves, sharing: Sharing::Alone };
        let listeners = bind(&[wish]).await.unwrap();
        let stub = Arc::new(Stub::new());
        let shards = Arc::new(shards.unwrap_or_else(Shards::here));
        let routes = |id| {
            let kv = KvServer::new(OnShard(Arc::clone(&stub), id));
            Routes::new().add_service(kv.max_decoding_message_size(REQUEST_BYTES_MAX))
        };
        let pages = Arc::new(Pages::new(Arc::new(Fake::default()), Duration::from_secs(5)));
        let metrics = Arc::<NetworkMetrics>::default();
        let server = serve(Plan {
            listeners,
            shards,
            routes: &routes,
            pages,
            tls,
            metrics: Arc::clone(&metrics),
            options,
            spans,
        });
        Harness { server, stub, metrics }
    }

    /// A server that speaks plaintext.
    pub(super) async fn plain() -> Harness {
        Harness::start(Setup::default()).await
    }

    /// A server with threads of its own.
    pub(super) async fn sharded(count: usize) -> Harness {
        let shards = Some(Shards::spawn(count).unwrap());
        Harness::start(Setup { shards, ..Setup::default() }).await
    }

    /// A connection to it.
    pub(super) async fn dial(&self) -> TcpStream {
        let address = self.server.addresses()[0].address.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

/// A client's connection of HTTP/2. Its clones share it.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) kv: KvClient<Channel>,
    channel: Channel,
}

#[derive(Clone)]
pub(super) struct Channel(http2::SendRequest<Body>);

impl tower_service::Service<Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Client {
    /// Begins HTTP/2 on a stream.
    pub(super) async fn connect<S>(stream: S) -> Client
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Client::try_connect(stream).await.unwrap()
    }

    pub(super) async fn try_connect<S>(stream: S) -> Result<Client, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(16 << 20).initial_connection_window_size(16 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let channel = Channel(sender);
        let origin = Uri::from_static("http://localhost");
        let kv = KvClient::with_origin(channel.clone(), origin);
        Ok(Client { kv: kv.max_decoding_message_size(usize::MAX), channel })
    }

    /// Reads a key.
    pub(super) async fn range(&mut self, key: &'static str) -> Result<RangeResponse, Status> {
        let request = RangeRequest { key: key.into(), ..RangeRequest::default() };
        self.kv.range(request).await.map(Response::into_inner)
    }

    /// Calls whatever is at a path.
    pub(super) async fn call_path(&mut self, path: &'static str) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::with_origin(
            self.channel.clone(),
            Uri::from_static("http://localhost"),
        );
        grpc.ready().await.unwrap();
        let codec = etcd_api::Codec::<RangeRequest, RangeResponse>::default();
        let request = tonic::Request::new(RangeRequest::default());
        grpc.unary(request, path.parse().unwrap(), codec).await.map(|_| ())
    }

    /// Looks at a page on the same connection.
    pub(super) async fn page(&mut self, path: &str) -> (StatusCode, String) {
        let uri = format!("http://localhost{path}");
        let request = Request::get(uri).body(Body::empty()).unwrap();
        read(self.channel.0.send_request(request).await.unwrap()).await
    }
}

/// Looks at a page by HTTP/1.
pub(super) async fn page<S>(stream: S, path: &str) -> (StatusCode, String)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
    read(sender.send_request(request.unwrap()).await.unwrap()).await
}

async fn read(response: http::Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Connects two streams, until either ends.
pub(super) async fn copy<A, B>(mut a: A, mut b: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let _ = tokio::io::copy_bidirectional(&mut a, &mut b).await;
}
