//! An authority for tests: certificates, keys and revocation lists, as files.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;

use super::material::Side;
use super::{CallerTls, ServerTls, Tool};
use crate::config::{CertificateFiles, TlsConfig, TlsPolicy, TlsVersion};

/// An authority with a directory for what it makes.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
    next_serial: u64,
}

/// A certificate that an authority has made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) files: CertificateFiles,
    pub(crate) serial: u64,
}

impl Authority {
    /// An authority whose own certificate is in `ca.pem`.
    pub(crate) fn new() -> Authority {
        let directory = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { directory, issuer, next_serial: 1 }
    }

    /// A file of this authority's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Makes a certificate with a common name and other names, and puts it into files of that name.
    pub(crate) fn issue(&mut self, common_name: &str, names: &[&str]) -> Made {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let serial = self.next_serial;
        self.next_serial += 1;
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            certificate: self.path(&format!("{common_name}.pem")),
            key: self.path(&format!("{common_name}.key")),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        Made { files, serial }
    }

    /// Writes a list of revoked certificates that has expired a day ago, and returns its file.
    pub(crate) fn revoke(&self, serials: &[u64]) -> PathBuf {
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 60 * 60);
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: (now - day * 3).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: (now - day * 2).into(),
            next_update: (now - day).into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        let path = self.path("revoked.pem");
        std::fs::write(&path, list.pem().unwrap()).unwrap();
        path
    }

    /// A tool's configuration that trusts this authority.
    pub(crate) fn tool(&self, identity: Option<&Made>) -> CallerTls {
        let identity = identity.map(|made| made.files.clone());
        let tool = Tool { identity, trusted_ca: Some(self.root()), is_unverified: false };
        CallerTls::of_tool(tool).unwrap()
    }
}

/// Settings that allow all that is good.
pub(crate) fn policy() -> TlsPolicy {
    TlsPolicy {
        cipher_suites: Vec::new(),
        version_min: TlsVersion::V12,
        version_max: TlsVersion::V13,
        self_signed_years: 1,
    }
}

/// Settings with a certificate and nothing else.
pub(crate) fn shown(files: &CertificateFiles) -> TlsConfig {
    TlsConfig { identity: Some(files.clone()), ..TlsConfig::default() }
}

/// A server's configuration whose files are looked at before each handshake.
pub(crate) fn server(tls: &TlsConfig) -> Result<ServerTls, super::TlsError> {
    ServerTls::looking_every(Duration::ZERO, Side::Client, tls, &policy())
}

/// Writes over a file, even if its new content is as long as the old one.
pub(crate) fn overwrite(path: &Path, with: &Path) {
    let fresh = path.with_extension("fresh");
    std::fs::copy(with, &fresh).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}
