//! Whether the other end's certificate is good enough: more than its chain is looked at.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::identity::Identity;
use super::material::Revoked;

/// What a certificate must keep beside having a good chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Common names of which it must have one; any if empty.
    pub(super) common_names: Vec<String>,
    /// Host names or addresses of which it must hold one; any if empty.
    pub(super) host_names: Vec<ServerName<'static>>,
    /// What was revoked.
    pub(super) revoked: Revoked,
}

impl Rules {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let is_revoked = |certificate| self.revoked.holds(certificate);
        if std::iter::once(certificate).chain(chain).any(is_revoked) {
            return Err(CertificateError::Revoked.into());
        }
        if !self.common_names.is_empty() {
            let name = Identity::of(certificate).and_then(|identity| identity.common_name);
            if !name.is_some_and(|name| self.common_names.contains(&name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        if !self.host_names.is_empty() {
            let parsed = ParsedCertificate::try_from(certificate)?;
            if !self.host_names.iter().any(|name| verify_server_name(&parsed, name).is_ok()) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(())
    }
}

/// Verifies whoever calls us.
#[derive(Debug)]
pub(super) struct Callers {
    pub(super) chains: Arc<dyn ClientCertVerifier>,
    pub(super) rules: Rules,
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chains.verify_client_cert(certificate, chain, now)?;
        self.rules.check(certificate, chain)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Verifies whom we call.
#[derive(Debug)]
pub(super) struct Called {
    /// `None` where nothing can be verified, because every member has made its own certificate.
    pub(super) chains: Option<Arc<dyn ServerCertVerifier>>,
    pub(super) rules: Rules,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Called {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        let verified = chains.verify_server_cert(certificate, chain, name, ocsp, now)?;
        self.rules.check(certificate, chain)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
