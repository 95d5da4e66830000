//! Pages for probes and Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answers a path: a status and a text. `None` if there is no such page.
pub type Pages = Arc<dyn Fn(&str) -> Option<(u16, String)> + Send + Sync>;

/// Serves pages at an address, as long as the process lives.
///
/// # Errors
///
/// If the address cannot be had.
pub async fn serve(address: SocketAddr, pages: Pages) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let pages = pages.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let page = pages(request.uri().path());
                async move { Ok::<_, Infallible>(response(page)) }
            });
            tokio::spawn(async move {
                // Whoever hangs up has had enough.
                let _ended =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(())
}

fn response(page: Option<(u16, String)>) -> Response<Full<Bytes>> {
    let (status, text) = page.unwrap_or((404, "there is no such page\n".to_owned()));
    let response = Response::builder()
        .status(status)
        .header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        .body(Full::new(Bytes::from(text)));
    response.unwrap_or_default()
}
