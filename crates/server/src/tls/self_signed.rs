//! Certificates that we make for ourselves: `--auto-tls`, `--peer-auto-tls`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing::{info, warn};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::error::TlsError;
use crate::config::CertificateFiles;

/// A year, as etcd counts it here.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The certificate in a directory, made first if there is none, or only one that has expired.
pub(super) fn certificate(
    directory: &Path,
    hosts: impl Iterator<Item = String>,
    years: u32,
) -> Result<CertificateFiles, TlsError> {
    let files = CertificateFiles {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    if files.key.exists() && is_valid(&files.certificate) {
        return Ok(files);
    }
    let not_made = |reason: String| TlsError::NotMade { directory: directory.to_owned(), reason };
    let (certificate, key) = make(hosts, years).map_err(|error| not_made(error.to_string()))?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| put(&files.key, &key))
        .and_then(|()| put(&files.certificate, &certificate))
        .map_err(|error| not_made(error.to_string()))?;
    info!(directory = %directory.display(), years, "a certificate was made, signed by itself");
    Ok(files)
}

/// Tells whether there is a certificate that has not expired.
fn is_valid(path: &Path) -> bool {
    let Ok(certificate) = CertificateDer::from_pem_file(path) else { return false };
    let Ok((_, parsed)) = X509Certificate::from_der(&certificate) else { return false };
    if !parsed.validity().is_valid() {
        warn!(path = %path.display(), "the certificate has expired, and another one is made");
        return false;
    }
    true
}

fn make(hosts: impl Iterator<Item = String>, years: u32) -> Result<(String, String), rcgen::Error> {
    let hosts: BTreeSet<String> =
        hosts.filter(|host| !host.is_empty()).chain(["localhost".to_owned()]).collect();
    let mut params = CertificateParams::new(hosts.into_iter().collect::<Vec<_>>())?;
    let now = SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + YEAR * years).into();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "holdfast");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    // A member is called, and calls.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Writes a file that only its owner can read, whole or not at all.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    // What an earlier attempt has left may be readable by others.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
