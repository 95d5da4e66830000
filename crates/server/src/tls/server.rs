//! How those who call are answered.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::error::{Source, TlsError};
use super::material::{self, Revoked, Role, Side};
use super::reload::{LOOK_INTERVAL, Reloading};
use super::suites;
use super::verifier::{Callers, Rules};
use crate::config::{TlsConfig, TlsPolicy};

/// Certificates for those who call, read again when they change.
#[derive(Debug)]
pub struct ServerTls {
    config: Reloading<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Reads the files.
    pub(super) fn new(
        side: Side,
        tls: &TlsConfig,
        policy: &TlsPolicy,
    ) -> Result<ServerTls, TlsError> {
        ServerTls::looking_every(LOOK_INTERVAL, side, tls, policy)
    }

    pub(super) fn looking_every(
        interval: Duration,
        side: Side,
        tls: &TlsConfig,
        policy: &TlsPolicy,
    ) -> Result<ServerTls, TlsError> {
        let (tls, policy) = (tls.clone(), policy.clone());
        let files = files(&tls, Role::Called);
        let make = move || server_config(side, &tls, &policy).map(Arc::new);
        Ok(ServerTls { config: Reloading::new(files, interval, make)? })
    }

    /// The configuration for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.current())
    }
}

/// The files that a configuration is made from.
pub(super) fn files(tls: &TlsConfig, role: Role) -> Vec<PathBuf> {
    let identity = match role {
        Role::Called => tls.identity.as_ref(),
        Role::Calling => tls.client_identity.as_ref().or(tls.identity.as_ref()),
    };
    let mut files: Vec<PathBuf> =
        identity.iter().flat_map(|files| [files.certificate.clone(), files.key.clone()]).collect();
    files.extend(tls.trusted_ca.clone());
    files.extend(tls.revoked.clone());
    files
}

fn server_config(
    side: Side,
    tls: &TlsConfig,
    policy: &TlsPolicy,
) -> Result<ServerConfig, TlsError> {
    let (certificate_flag, _) = side.pair(Role::Called);
    let identity = tls.identity.as_ref();
    let identity = identity
        .ok_or(TlsError::Incomplete { setting: "a URL with https", missing: certificate_flag })?;
    let shown = material::shown(side, Role::Called, identity)?;
    let (provider, versions) = suites::provider(policy)?;
    let provider = Arc::new(provider);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|_| TlsError::NoVersion { min: policy.version_min, max: policy.version_max })?
        .with_client_cert_verifier(client_verifier(side, tls, provider)?)
        .with_single_cert(shown.chain, shown.key)
        .map_err(|error| material::not_accepted(side, Role::Called, identity, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_verifier(
    side: Side,
    tls: &TlsConfig,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = &tls.trusted_ca else {
        if tls.require_client_certificate {
            return Err(TlsError::Incomplete {
                setting: "to ask for certificates",
                missing: side.roots(),
            });
        }
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = Arc::new(material::roots(side, path)?);
    let chains =
        WebPkiClientVerifier::builder_with_provider(roots, provider).build().map_err(|error| {
            TlsError::Unusable {
                source_file: Source { flag: side.roots(), path: path.clone() },
                found: error.to_string(),
                expected: "certificates of authorities, in PEM",
            }
        })?;
    Ok(Arc::new(Callers { chains, rules: rules(side, tls)? }))
}

/// What certificates must keep beside having a good chain.
pub(super) fn rules(side: Side, tls: &TlsConfig) -> Result<Rules, TlsError> {
    if !tls.allowed_names.is_empty() && !tls.allowed_hostnames.is_empty() {
        return Err(TlsError::Excluded {
            first: "--peer-cert-allowed-cn",
            second: "--peer-cert-allowed-hostname",
        });
    }
    let mut host_names = Vec::new();
    for name in &tls.allowed_hostnames {
        let name = ServerName::try_from(name.clone()).map_err(|_| TlsError::NotAName {
            flag: side.allowed_hostnames(),
            name: name.clone(),
        })?;
        host_names.push(name);
    }
    let revoked = match &tls.revoked {
        Some(path) => Revoked::read(side, path)?,
        None => Revoked::default(),
    };
    Ok(Rules { common_names: tls.allowed_names.clone(), host_names, revoked })
}
