//! Certificates that the operator makes: authorities, and what they sign.
//!
//! Each audience has two Secrets: one with the authorities (`ca.crt`, from oldest to newest, and
//! `ca.key` of the newest), and one with the certificate, which also carries a copy of the bundle
//! for clients. When what is made is decided by [`crate::plan::certificate`].

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;

use crate::children::metadata;
use crate::names::{Site, ours};
use crate::plan::certificate::{Audience, AudienceSeen, CertificateStep, LeafSeen, Validity};

/// How long an authority lives.
const AUTHORITY_LIFE: Duration = Duration::from_hours(2 * 365 * 24);

/// How long a certificate lives.
const LEAF_LIFE: Duration = Duration::from_hours(90 * 24);

/// Clocks of nodes may be behind ours by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const BUNDLE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The Secrets of one audience.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'a> {
    /// The one with the authorities.
    pub authority: Option<&'a Secret>,
    /// The one with the certificate.
    pub leaf: Option<&'a Secret>,
}

/// What a client of members needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whom it believes.
    pub bundle: String,
    /// Its certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Returns what there is for an audience.
#[must_use]
pub fn seen(site: &Site, audience: Audience, secrets: Secrets<'_>) -> AudienceSeen {
    let bundle = secrets.authority.and_then(|secret| text(secret, BUNDLE)).unwrap_or_default();
    let authorities = validities(&bundle);
    let since = secrets.authority.and_then(|secret| note(secret, "bundle-since"));
    let leaf = secrets.leaf.and_then(|secret| {
        let certificate = text(secret, CERTIFICATE)?;
        let validity = validities(&certificate).into_iter().next()?;
        let signer = note(secret, "authority");
        Some(LeafSeen {
            validity,
            is_by_newest: signer == newest(&bundle).map(|pem| fingerprint(&pem)).as_deref(),
            is_complete: note(secret, "hosts") == Some(&*hosts_digest(site, audience))
                && text(secret, BUNDLE).as_ref() == Some(&bundle),
        })
    });
    AudienceSeen { authorities, bundle_since: since.and_then(|text| text.parse().ok()), leaf }
}

/// What the operator itself shows to members.
#[must_use]
pub fn identity(bundle: Option<&Secret>, leaf: &Secret) -> Option<Identity> {
    Some(Identity {
        bundle: text(bundle.unwrap_or(leaf), BUNDLE)?,
        certificate: text(leaf, CERTIFICATE)?,
        key: text(leaf, KEY)?,
    })
}

/// Makes the Secret that a step asks for.
///
/// # Errors
///
/// If what is there cannot be used, or no certificate can be made.
pub fn make(
    site: &Site,
    step: CertificateStep,
    secrets: Secrets<'_>,
    now: SystemTime,
) -> Result<Value> {
    let bundle = secrets.authority.and_then(|secret| text(secret, BUNDLE)).unwrap_or_default();
    match step {
        CertificateStep::AddAuthority(audience) => {
            let (certificate, key) = make_authority(site, audience, now)?;
            Ok(authority_secret(site, audience, &format!("{bundle}{certificate}"), &key))
        }
        CertificateStep::RetireAuthorities(audience) => {
            let key = secrets.authority.and_then(|secret| text(secret, AUTHORITY_KEY));
            let (Some(newest), Some(key)) = (newest(&bundle), key) else {
                bail!("Secret {} holds no authority", site.authority_secret(audience));
            };
            Ok(authority_secret(site, audience, &newest, &key))
        }
        CertificateStep::IssueLeaf(audience) => {
            let key = secrets.authority.and_then(|secret| text(secret, AUTHORITY_KEY));
            let (Some(newest), Some(key)) = (newest(&bundle), key) else {
                bail!("Secret {} holds no authority", site.authority_secret(audience));
            };
            make_leaf(site, audience, &bundle, (&newest, &key), now)
        }
    }
}

fn make_authority(site: &Site, audience: Audience, now: SystemTime) -> Result<(String, String)> {
    let mut params = CertificateParams::default();
    let since = Timestamp::try_from(now).context("the time is out of range")?;
    let name = format!("{}/{} {audience} authority of {since:.0}", site.namespace, site.name);
    params.distinguished_name = named(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn make_leaf(
    site: &Site,
    audience: Audience,
    bundle: &str,
    (authority, authority_key): (&str, &str),
    now: SystemTime,
) -> Result<Value> {
    let mut params = CertificateParams::new(site.hosts(audience))?;
    params.distinguished_name = named(&site.name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    // A member is called, and calls.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + LEAF_LIFE).into();
    let issuer = Issuer::from_ca_cert_pem(authority, KeyPair::from_pem(authority_key)?)?;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let data =
        [(BUNDLE, bundle.to_owned()), (CERTIFICATE, certificate.pem()), (KEY, key.serialize_pem())];
    let notes = [("authority", fingerprint(authority)), ("hosts", hosts_digest(site, audience))];
    Ok(secret(site, &site.leaf_secret(audience), "kubernetes.io/tls", &data, &notes))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "holdfast");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn authority_secret(site: &Site, audience: Audience, bundle: &str, key: &str) -> Value {
    let data = [(BUNDLE, bundle.to_owned()), (AUTHORITY_KEY, key.to_owned())];
    let notes = [("bundle-since", Timestamp::now().to_string())];
    secret(site, &site.authority_secret(audience), "Opaque", &data, &notes)
}

fn secret(
    site: &Site,
    name: &str,
    kind: &str,
    data: &[(&str, String)],
    notes: &[(&str, String)],
) -> Value {
    let data: BTreeMap<&str, ByteString> =
        data.iter().map(|(key, text)| (*key, ByteString(text.clone().into_bytes()))).collect();
    let notes: BTreeMap<String, &String> =
        notes.iter().map(|(key, text)| (ours(key), text)).collect();
    let mut metadata = metadata(site, name);
    metadata["annotations"] = json!(notes);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": data,
    })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok()
}

fn note<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.annotations.as_ref()?.get(&ours(key)).map(String::as_str)
}

fn blocks(bundle: &str) -> Vec<Pem> {
    Pem::iter_from_buffer(bundle.as_bytes()).filter_map(Result::ok).collect()
}

fn validities(bundle: &str) -> Vec<Validity> {
    let of = |pem: &Pem| {
        let certificate = pem.parse_x509().ok()?;
        let at = |seconds: i64| Timestamp::from_second(seconds).ok();
        Some(Validity {
            not_before: at(certificate.validity().not_before.timestamp())?,
            not_after: at(certificate.validity().not_after.timestamp())?,
        })
    };
    blocks(bundle).iter().filter_map(of).collect()
}

/// The newest authority, alone.
fn newest(bundle: &str) -> Option<String> {
    let start = bundle.rfind("-----BEGIN CERTIFICATE-----")?;
    Some(bundle[start..].to_owned())
}

fn fingerprint(pem: &str) -> String {
    let hash = Sha256::digest(pem.trim().as_bytes());
    hash.iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn hosts_digest(site: &Site, audience: Audience) -> String {
    fingerprint(&site.hosts(audience).join(","))
}

#[cfg(test)]
mod tests;
