//! How others are called.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};

use super::error::{Source, TlsError};
use super::material::{self, Role, Side};
use super::reload::{LOOK_INTERVAL, Reloading};
use super::server::{files, rules};
use super::suites;
use super::verifier::{Called, Rules};
use crate::config::{CertificateFiles, TlsConfig, TlsPolicy, TlsVersion};

/// Certificates for calling others, read again when they change.
#[derive(Debug)]
pub struct CallerTls {
    config: Reloading<Arc<ClientConfig>>,
}

/// What a tool that calls a member was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    /// The certificate that it shows.
    pub identity: Option<CertificateFiles>,
    /// Who may have signed the member's. It must be given unless `is_unverified`.
    pub trusted_ca: Option<PathBuf>,
    /// Whether it takes any member for the right one.
    pub is_unverified: bool,
}

/// Whether whom we call must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verification {
    Required,
    Impossible,
}

impl CallerTls {
    /// For calling members that have certificates of an authority.
    pub(super) fn new(tls: &TlsConfig, policy: &TlsPolicy) -> Result<CallerTls, TlsError> {
        CallerTls::make(Side::Peer, tls, policy, Verification::Required)
    }

    /// For calling members that have made their own certificates.
    pub(super) fn unverified(tls: &TlsConfig, policy: &TlsPolicy) -> Result<CallerTls, TlsError> {
        CallerTls::make(Side::Peer, tls, policy, Verification::Impossible)
    }

    /// For a tool.
    ///
    /// # Errors
    ///
    /// If a file cannot be used.
    pub fn of_tool(tool: Tool) -> Result<CallerTls, TlsError> {
        let verification = match tool.is_unverified {
            true => Verification::Impossible,
            false => Verification::Required,
        };
        let Tool { identity, trusted_ca, is_unverified: _ } = tool;
        let tls = TlsConfig { identity, trusted_ca, ..TlsConfig::default() };
        let policy = TlsPolicy {
            cipher_suites: Vec::new(),
            version_min: TlsVersion::V12,
            version_max: TlsVersion::V13,
            self_signed_years: 1,
        };
        CallerTls::make(Side::Tool, &tls, &policy, verification)
    }

    fn make(
        side: Side,
        tls: &TlsConfig,
        policy: &TlsPolicy,
        verification: Verification,
    ) -> Result<CallerTls, TlsError> {
        let (tls, policy) = (tls.clone(), policy.clone());
        let files = files(&tls, Role::Calling);
        let make = move || client_config(side, &tls, &policy, verification).map(Arc::new);
        Ok(CallerTls { config: Reloading::new(files, LOOK_INTERVAL, make)? })
    }

    /// The configuration for the next call.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config.current())
    }
}

fn client_config(
    side: Side,
    tls: &TlsConfig,
    policy: &TlsPolicy,
    verification: Verification,
) -> Result<ClientConfig, TlsError> {
    let (provider, versions) = suites::provider(policy)?;
    let provider = Arc::new(provider);
    let (chains, rules) = match (verification, &tls.trusted_ca) {
        (Verification::Impossible, _) => (None, Rules::default()),
        (Verification::Required, None) => {
            return Err(TlsError::Incomplete {
                setting: "to call others by TLS",
                missing: side.roots(),
            });
        }
        (Verification::Required, Some(path)) => {
            let roots = Arc::new(material::roots(side, path)?);
            let chains =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            let chains = chains.map_err(|error| TlsError::Unusable {
                source_file: Source { flag: side.roots(), path: path.clone() },
                found: error.to_string(),
                expected: "certificates of authorities, in PEM",
            })?;
            (Some(chains as Arc<_>), rules(side, tls)?)
        }
    };
    let verifier = Called { chains, rules, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|_| TlsError::NoVersion { min: policy.version_min, max: policy.version_max })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let (identity, role) = match (&tls.client_identity, &tls.identity) {
        (Some(files), _) => (Some(files), Role::Calling),
        (None, files) => (files.as_ref(), Role::Called),
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let shown = material::shown(side, role, files)?;
            builder
                .with_client_auth_cert(shown.chain, shown.key)
                .map_err(|error| material::not_accepted(side, role, files, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
