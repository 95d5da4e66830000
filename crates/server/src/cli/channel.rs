//! A connection to a member, for the clients that are generated of its services.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result, anyhow};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tower_service::Service;

use super::options::Endpoint;
use crate::tls::CallerTls;

/// A connection to a member, which many calls can share.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    requests: SendRequest<Body>,
}

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Channel {
    /// Connects to a member. Returns the origin of requests as well, which clients must be told.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        tls: Option<&CallerTls>,
    ) -> Result<(Channel, Uri)> {
        let url = &endpoint.url;
        let failed = || format!("{} cannot be connected to", endpoint.text);
        let stream: Box<dyn Stream> = match url.socket_path() {
            Some(path) => Box::new(UnixStream::connect(path).await.with_context(failed)?),
            None => {
                let stream = TcpStream::connect((url.host(), url.port())).await;
                let stream = stream.with_context(failed)?;
                stream.set_nodelay(true).with_context(failed)?;
                Box::new(stream)
            }
        };
        let host = if url.scheme().is_unix() { "localhost".to_owned() } else { url.authority() };
        let (stream, scheme) = if url.scheme().is_tls() {
            let tls = tls.ok_or_else(|| anyhow!("{} wants flags of TLS", endpoint.text))?;
            (secure(stream, url.host(), tls).await.with_context(failed)?, "https")
        } else {
            (stream, "http")
        };
        let (requests, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.with_context(failed)?;
        // Calls are told when it ends.
        tokio::spawn(async move { drop(connection.await) });
        let origin = Uri::builder()
            .scheme(scheme)
            .authority(host.as_str())
            .path_and_query("/")
            .build()
            .with_context(failed)?;
        Ok((Channel { requests }, origin))
    }
}

async fn secure(
    stream: Box<dyn Stream>,
    host: &str,
    tls: &CallerTls,
) -> io::Result<Box<dyn Stream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::clone(&tls.config()));
    Ok(Box::new(connector.connect(name, stream).await?))
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<hyper::Result<()>> {
        self.requests.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.requests.send_request(request))
    }
}
