//! What is in the files: certificates, keys, roots, lists of what was revoked.

use std::collections::BTreeSet;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::error::{Source, TlsError};
use crate::config::CertificateFiles;

/// What a key file may hold.
const KEY_FORMS: &str = "an RSA key of 2048 bits or more, or one of P-256, P-384 or Ed25519, in \
                         PKCS#8, PKCS#1 or SEC1, not encrypted";

const NO_KEY: &str = "key: expected is an RSA key of 2048 bits or more, or one of P-256, P-384 or \
                      Ed25519, in PKCS#8, PKCS#1 or SEC1, not encrypted";

/// Whose flags name the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Those about clients.
    Client,
    /// Those about members.
    Peer,
    /// Those of the tool that calls a member.
    Tool,
}

/// A certificate that is shown, with its chain and its key.
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// The serial numbers of certificates that were revoked, without leading zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked(BTreeSet<Vec<u8>>);

/// Which certificate of ours a pair of files is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Shown to whoever calls.
    Called,
    /// Shown to whom we call.
    Calling,
}

impl Side {
    /// The flags that name a certificate and its key.
    pub(super) fn pair(self, role: Role) -> (&'static str, &'static str) {
        match (self, role) {
            (Side::Client, Role::Called) => ("--cert-file", "--key-file"),
            (Side::Client, Role::Calling) => ("--client-cert-file", "--client-key-file"),
            (Side::Peer, Role::Called) => ("--peer-cert-file", "--peer-key-file"),
            (Side::Peer, Role::Calling) => ("--peer-client-cert-file", "--peer-client-key-file"),
            (Side::Tool, Role::Called | Role::Calling) => ("--cert", "--key"),
        }
    }

    /// The flag that names the roots.
    pub(super) fn roots(self) -> &'static str {
        match self {
            Side::Client => "--trusted-ca-file",
            Side::Peer => "--peer-trusted-ca-file",
            Side::Tool => "--cacert",
        }
    }

    /// The flag with the host names that are allowed.
    pub(super) fn allowed_hostnames(self) -> &'static str {
        match self {
            Side::Client => "--client-cert-allowed-hostname",
            Side::Peer => "--peer-cert-allowed-hostname",
            Side::Tool => "--allowed-hostname",
        }
    }

    /// The flag that names the list of revoked certificates.
    pub(super) fn revoked(self) -> &'static str {
        match self {
            Side::Client => "--client-crl-file",
            Side::Peer => "--peer-crl-file",
            Side::Tool => "--crl",
        }
    }
}

/// Reads a certificate and its key.
pub(super) fn shown(side: Side, role: Role, files: &CertificateFiles) -> Result<Shown, TlsError> {
    let (certificate_flag, key_flag) = side.pair(role);
    let chain = certificates(certificate_flag, &files.certificate)?;
    let source_file = Source { flag: key_flag, path: files.key.clone() };
    let bytes = read(&source_file)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(Shown { chain, key }),
        Err(pem::Error::NoItemsFound) => Err(TlsError::Empty { source_file, expected: NO_KEY }),
        Err(error) => Err(unusable(source_file, &error, KEY_FORMS)),
    }
}

/// Says which of the two files is at fault that rustls does not accept.
pub(super) fn not_accepted(
    side: Side,
    role: Role,
    files: &CertificateFiles,
    error: &rustls::Error,
) -> TlsError {
    let (certificate_flag, key_flag) = side.pair(role);
    let key = Source { flag: key_flag, path: files.key.clone() };
    if let rustls::Error::InconsistentKeys(_) | rustls::Error::InvalidCertificate(_) = error {
        let certificate = Source { flag: certificate_flag, path: files.certificate.clone() };
        return TlsError::Mismatch { certificate, key, reason: error.to_string() };
    }
    unusable(key, error, KEY_FORMS)
}

/// Reads the certificates of those who may sign.
pub(super) fn roots(side: Side, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(side.roots(), path)? {
        roots.add(certificate).map_err(|error| {
            let source_file = Source { flag: side.roots(), path: path.to_owned() };
            unusable(source_file, &error, "certificates of authorities, in PEM")
        })?;
    }
    Ok(roots)
}

fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const FORM: &str = "certificate: expected is PEM with BEGIN CERTIFICATE";
    let source_file = Source { flag, path: path.to_owned() };
    let bytes = read(&source_file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| unusable(source_file.clone(), &error, FORM))?;
    if found.is_empty() {
        return Err(TlsError::Empty { source_file, expected: FORM });
    }
    for certificate in &found {
        if let Err(error) = X509Certificate::from_der(certificate) {
            return Err(unusable(source_file, &error, FORM));
        }
    }
    Ok(found)
}

impl Revoked {
    /// Reads the list, or the lists, of what was revoked; PEM or DER.
    pub(super) fn read(side: Side, path: &Path) -> Result<Revoked, TlsError> {
        const FORM: &str = "revocation list in PEM (BEGIN X509 CRL) or DER";
        let source_file = Source { flag: side.revoked(), path: path.to_owned() };
        let bytes = read(&source_file)?;
        let found: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
        let mut lists = found.map_err(|error| unusable(source_file.clone(), &error, FORM))?;
        if lists.is_empty() {
            lists.push(CertificateRevocationListDer::from(bytes));
        }
        let mut serials = BTreeSet::new();
        for list in &lists {
            let (_, list) = CertificateRevocationList::from_der(list)
                .map_err(|error| unusable(source_file.clone(), &error, FORM))?;
            serials
                .extend(list.iter_revoked_certificates().map(|entry| trimmed(entry.raw_serial())));
        }
        Ok(Revoked(serials))
    }

    /// Tells whether a certificate was revoked. What is no certificate, is.
    pub(super) fn holds(&self, certificate: &CertificateDer<'_>) -> bool {
        match X509Certificate::from_der(certificate) {
            Ok((_, certificate)) => self.0.contains(&trimmed(certificate.raw_serial())),
            Err(_) => true,
        }
    }
}

fn trimmed(serial: &[u8]) -> Vec<u8> {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial[zeros..].to_vec()
}

fn read(source_file: &Source) -> Result<Vec<u8>, TlsError> {
    std::fs::read(&source_file.path)
        .map_err(|source| TlsError::Unreadable { source_file: source_file.clone(), source })
}

fn unusable(
    source_file: Source,
    found: &dyn std::fmt::Display,
    expected: &'static str,
) -> TlsError {
    TlsError::Unusable { source_file, found: found.to_string(), expected }
}
