//! TLS: who we are, whom we trust, and files that may change while we run.
//!
//! ```text
//!   files ─► material ─► Reloading ─► one configuration per handshake ─► transport, peer
//!                            ▲
//!            looked at again, at most once a second
//! ```
//!
//! There is one [`TlsFactory`] per process, and every listener's configuration comes from it, so
//! that no port forgets a rule that another keeps: a list of revoked certificates, say.
//!
//! # Rules
//!
//! - Whoever has a `--trusted-ca-file` asks for certificates, with `--client-cert-auth` or without:
//!   so does etcd.
//! - A revocation list revokes by serial number, and goes on to do so when it has expired: a list
//!   that nobody renewed is no pardon.
//! - Of `--peer-cert-allowed-cn` and `-hostname`, one entry must fit. They hold for members that
//!   call us and for members that we call.
//! - Files are read again when they change. If they cannot be used then, that is logged, and what
//!   was there before goes on; only at the start it is an error.
//! - Certificates that we make ourselves (`--auto-tls`, `--peer-auto-tls`) prove nothing: whoever
//!   calls with them encrypts, and does not verify.
//! - No session is resumed, because that would pass over whatever was revoked since.
//!
//! # Left out
//!
//! - *Roots that the system trusts.* A member's peers are signed by an authority that is named.
//! - *Comparing a calling member's address with its certificate*, as etcd does unless
//!   `--peer-skip-client-san-verification`: behind a name that several addresses have, it refuses
//!   the right ones, and an address proves little. Names are compared with the lists above.
//! - *P-521 keys*, which `ring` does not sign with, and which etcd's own `--auto-tls` makes.
//!
//! References: etcd's `client/pkg/transport/listener.go` and `tlsutil` at 3.7; RFC 5280 §5.

#[cfg(test)]
pub(crate) mod authority;
mod caller;
mod error;
mod identity;
mod material;
mod reload;
mod self_signed;
mod server;
mod suites;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;

pub use caller::{CallerTls, Tool};
pub use error::TlsError;
pub use identity::Identity;
pub use server::ServerTls;

use crate::config::{CertificateFiles, Config, Url};
use material::Side;

/// Makes the configurations of every listener and every caller in the process.
#[derive(Clone)]
pub struct TlsFactory {
    client_server: Option<Arc<ServerTls>>,
    peer_server: Option<Arc<ServerTls>>,
    peer_caller: Option<Arc<CallerTls>>,
}

/// A configuration for one handshake in which we are called, in the form in which peers ask for it.
type ServerConfigs = Arc<dyn Fn() -> anyhow::Result<Arc<rustls::ServerConfig>> + Send + Sync>;

/// A configuration for one handshake in which we call.
type ClientConfigs = Arc<dyn Fn() -> anyhow::Result<Arc<rustls::ClientConfig>> + Send + Sync>;

impl TlsFactory {
    /// Reads all files that the settings name, and makes certificates where they ask for it.
    ///
    /// # Errors
    ///
    /// If a file cannot be used, or the settings cannot be met.
    pub fn new(config: &Config) -> Result<TlsFactory, TlsError> {
        let policy = &config.tls_policy;
        let fixtures = config.data_dir.join("fixtures");
        let urls = &config.urls;
        let made = |name: &str, lists: [&[Url]; 2]| -> Result<CertificateFiles, TlsError> {
            let hosts = lists.into_iter().flatten().map(|url| url.host().to_owned());
            self_signed::certificate(&fixtures.join(name), hosts, policy.self_signed_years)
        };

        let mut client = config.client_tls.clone();
        if client.identity.is_none() && client.auto {
            client.identity = Some(made("client", [&urls.listen_client, &urls.advertise_client])?);
        }
        let mut peer = config.peer_tls.clone();
        let is_peer_made = peer.identity.is_none() && peer.auto;
        if is_peer_made {
            peer.identity = Some(made("peer", [&urls.listen_peer, &urls.advertise_peer])?);
        }

        let speaks_tls = |urls: &[Url]| urls.iter().any(|url| url.scheme().is_tls());
        let server = |side, tls: &_| ServerTls::new(side, tls, policy).map(Arc::new);
        let client_server = match client.identity {
            Some(_) => Some(server(Side::Client, &client)?),
            None => None,
        };
        let peer_server = match peer.identity {
            Some(_) => Some(server(Side::Peer, &peer)?),
            None => None,
        };
        let calls_with_tls = peer_server.is_some() || speaks_tls(&urls.advertise_peer);
        let peer_caller = match calls_with_tls {
            true if is_peer_made => Some(CallerTls::unverified(&peer, policy)?),
            true => Some(CallerTls::new(&peer, policy)?),
            false => None,
        };
        Ok(TlsFactory { client_server, peer_server, peer_caller: peer_caller.map(Arc::new) })
    }

    /// How clients are answered; `None` if there is no certificate for it.
    #[must_use]
    pub fn client_server(&self) -> Option<Arc<ServerTls>> {
        self.client_server.clone()
    }

    /// How members that call are answered; `None` if there is no certificate for it.
    #[must_use]
    pub fn peer_server(&self) -> Option<ServerConfigs> {
        let server = self.peer_server.clone()?;
        Some(Arc::new(move || Ok(server.config())))
    }

    /// How members are called; `None` if that is not by TLS.
    #[must_use]
    pub fn peer_client(&self) -> Option<ClientConfigs> {
        let caller = self.peer_caller.clone()?;
        Some(Arc::new(move || Ok(caller.config())))
    }
}
