//! The connection layer alone: etcd's `Range` and `Put` without any store behind them.
//!
//! Every change to the layer is judged by what one request costs here (performance reference §4.2,
//! §6.1). It is built as the server is, and asked by `h2load` (nghttp2) or etcd's `benchmark`:
//!
//! ```sh
//! URL=http://127.0.0.1:21000
//! cargo run --release -p server --example rpc_stub -- \
//!     --listen-client-urls=$URL --advertise-client-urls=$URL
//! # One length-prefixed request: five bytes of prefix, then a RangeRequest.
//! printf '\0\0\0\0\42\12\40%032d' 0 >range.bin
//! h2load -n 1000000 -c 10 -m 10 -t 1 -d range.bin -H 'content-type: application/grpc' \
//!     -H 'te: trailers' $URL/etcdserverpb.KV/Range
//! benchmark --endpoints=$URL --conns=10 --clients=100 range foo --total=200000
//! ```
//!
//! It takes the server's flags, of which it keeps those about addresses for clients, and TLS.
//! When it is asked with `SIGUSR1`, and at the end with `SIGTERM`, it prints the calls since the
//! last time, and the CPU time that it took for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use etcd_api::Encoded;
use etcd_api::etcdserverpb::kv_server::{Kv, KvServer};
use etcd_api::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, TxnRequest,
};
use etcd_api::mvccpb::KeyValue;
use server::config::{self, Config, Loaded};
use server::http::{
    Alarm, Check, CheckResult, Consistency, Health, Pages, Probe, ReadFuture, Versions,
};
use server::tls::TlsFactory;
use server::transport::{self, Listen, Options, Plan, Routes, Serves, Shards, Sharing};
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls so far.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Answers every read with one key of 256 bytes, and every write with a header.
struct Stub;

fn header() -> Option<ResponseHeader> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    Some(ResponseHeader { cluster_id: u64::MAX, member_id: u64::MAX, revision: 7, raft_term: 2 })
}

#[tonic::async_trait]
impl Kv for Stub {
    type RangeStreamStream = tokio_stream::Empty<Result<Encoded, Status>>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<Encoded>, Status> {
        let key = request.into_inner().key;
        let value = vec![b'v'; 256].into();
        let kv = KeyValue { key, value, create_revision: 2, mod_revision: 7, version: 5, lease: 0 };
        let answer = RangeResponse { header: header(), kvs: vec![kv], more: false, count: 1 };
        Ok(Response::new(Encoded::of(answer)))
    }

    async fn put(&self, _request: Request<PutRequest>) -> Result<Response<Encoded>, Status> {
        Ok(Response::new(Encoded::of(PutResponse { header: header(), prev_kv: None })))
    }

    async fn range_stream(
        &self,
        _request: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("not in the stub"))
    }

    async fn delete_range(
        &self,
        _request: Request<DeleteRangeRequest>,
    ) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("not in the stub"))
    }

    async fn txn(&self, _request: Request<TxnRequest>) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("not in the stub"))
    }

    async fn compact(
        &self,
        _request: Request<CompactionRequest>,
    ) -> Result<Response<Encoded>, Status> {
        Err(Status::unimplemented("not in the stub"))
    }
}

impl Health for Stub {
    fn alarms(&self) -> Vec<Alarm> {
        Vec::new()
    }

    fn has_leader(&self) -> bool {
        true
    }

    fn is_learner(&self) -> bool {
        false
    }

    fn read(&self, _consistency: Consistency) -> ReadFuture {
        Box::pin(std::future::ready(Ok(())))
    }

    fn versions(&self) -> Versions {
        Versions { server: "3.7.1".to_owned(), cluster: None, storage: None }
    }

    fn metrics(&self) -> String {
        format!("stub_calls_total {}\n", CALLS.load(Ordering::Relaxed))
    }

    fn variables(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    fn on_check(&self, _probe: Probe, _check: Check, _result: CheckResult) {}
}

/// User and system time of this process so far.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read the CPU time")?;
    let (_, fields) = stat.rsplit_once(')').context("the CPU time has no name before it")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("a field is missing")?.parse()?) };
    // Linux has had a hundred of them in a second on every machine of the last decades.
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Prints what was done since the last time.
fn report(last: &mut (u64, Duration)) -> Result<()> {
    let (calls, time) = (CALLS.load(Ordering::Relaxed), cpu_time()?);
    let (new_calls, new_time) = (calls - last.0, time - last.1);
    let micros = new_time.as_secs_f64() * 1e6 / (new_calls.max(1) as f64);
    println!("{new_calls} calls, {:.2} s of CPU, {micros:.2} µs each", new_time.as_secs_f64());
    *last = (calls, time);
    Ok(())
}

async fn run(config: Config) -> Result<()> {
    let urls = &config.urls.listen_client;
    let wishes: Vec<Listen> =
        urls.iter().map(|url| Listen::at(url, Serves::All, Sharing::Alone)).collect();
    let listeners = transport::bind(&wishes).await?;
    let pages = Arc::new(Pages::new(Arc::new(Stub), Duration::from_secs(5)));
    let server = transport::serve(Plan {
        listeners,
        shards: Arc::new(Shards::here()),
        routes: &|_| Routes::new().add_service(KvServer::new(Stub)),
        pages,
        tls: TlsFactory::new(&config)?.client_server(),
        metrics: Arc::default(),
        options: Options::default(),
        spans: None,
    });
    println!("listening on {:?}", server.addresses());
    let mut last = (0, cpu_time()?);
    let mut ask = signal(SignalKind::user_defined1())?;
    let mut end = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = ask.recv() => report(&mut last)?,
            _ = end.recv() => break,
        }
    }
    report(&mut last)?;
    let shutdown = server.shutdown(Duration::from_secs(1)).await;
    println!("{shutdown:?}");
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Loaded::Member(config, _) = config::load(&arguments, &BTreeMap::new())? else {
        bail!("wants the addresses to listen on, such as --listen-client-urls=http://127.0.0.1:1");
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(*config))
}
