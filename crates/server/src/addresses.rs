//! Where clients are served, and how: from settings to what the transport takes.

use crate::config::{Limits, MemberUrls};
use crate::transport::{Listen, Options, Serves, Sharing};

/// What is listened on for clients, and for those who look at metrics.
pub(crate) fn wishes(urls: &MemberUrls) -> Vec<Listen> {
    // Whoever wants HTTP elsewhere wants it there alone.
    let at_clients = if urls.listen_client_http.is_empty() { Serves::All } else { Serves::Calls };
    let sharing = if urls.sockets.reuse_port { Sharing::Shared } else { Sharing::Alone };
    let wish = |url, serves| Listen::at(url, serves, sharing);
    let clients = urls.listen_client.iter().map(|url| wish(url, at_clients));
    let http = urls.listen_client_http.iter().map(|url| wish(url, Serves::Pages));
    let metrics = urls.listen_metrics.iter().map(|url| wish(url, Serves::Pages));
    clients.chain(http).chain(metrics).collect()
}

/// What connections of clients may do.
pub(crate) fn options(limits: &Limits) -> Options {
    let defaults = Options::default();
    Options {
        concurrent_streams_max: limits.concurrent_streams,
        keepalive_interval: limits.keepalive_interval,
        keepalive_timeout: limits.keepalive_timeout.unwrap_or(defaults.keepalive_timeout),
        ..defaults
    }
}
