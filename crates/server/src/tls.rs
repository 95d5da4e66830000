//! TLS.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// What a certificate says about who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub common_name: Option<String>,
}

impl Identity {
    pub fn of(_certificate: &CertificateDer<'_>) -> Option<Identity> {
        None
    }
}

pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
}

impl ServerTls {
    pub fn config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config)
    }
}
