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

impl Identity {
    /// A hash of all of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let parts = [&self.bundle, &self.certificate, &self.key];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// What is kept of a Secret. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its version.
    pub version: String,
    /// The lives of the authorities in it, from oldest to newest.
    authorities: Vec<Validity>,
    /// The fingerprint of all of them together, if there is a text for them.
    bundle: Option<Fingerprint>,
    /// The fingerprint of the newest of them.
    newest: Option<Fingerprint>,
    /// When they last changed.
    bundle_since: Option<Timestamp>,
    /// The life of the certificate in it.
    leaf: Option<Validity>,
    /// The fingerprint of the authority that signed that.
    signer: Option<Fingerprint>,
    /// The fingerprint of the names that stand in it.
    hosts: Option<Fingerprint>,
}

/// The first ten bytes of a hash, in hexadecimal.
type Fingerprint = Box<str>;

impl Outline {
    /// What is kept of a Secret. `None` if it has no version.
    #[must_use]
    pub fn of(secret: &Secret) -> Option<Outline> {
        let bundle = text(secret, BUNDLE);
        let noted = |key: &str| note(secret, key).map(Fingerprint::from);
        Some(Outline {
            version: secret.metadata.resource_version.clone()?,
            authorities: bundle.as_deref().map(validities).unwrap_or_default(),
            bundle: bundle.as_deref().map(fingerprint),
            newest: bundle.as_deref().and_then(newest).map(|pem| fingerprint(&pem)),
            bundle_since: note(secret, "bundle-since").and_then(|text| text.parse().ok()),
            leaf: text(secret, CERTIFICATE).and_then(|pem| validities(&pem).into_iter().next()),
            signer: noted("authority"),
            hosts: noted("hosts"),
        })
    }

    /// The life of the certificate in it, if there is one.
    #[must_use]
    pub fn leaf(&self) -> Option<Validity> {
        self.leaf
    }
}

/// Returns what there is for an audience.
#[must_use]
pub fn seen(
    site: &Site,
    audience: Audience,
    authority: Option<&Outline>,
    leaf: Option<&Outline>,
) -> AudienceSeen {
    let newest = authority.and_then(|authority| authority.newest.as_ref());
    let bundle = authority.and_then(|authority| authority.bundle.as_ref());
    let leaf = leaf.and_then(|leaf| {
        Some(LeafSeen {
            validity: leaf.leaf?,
            is_by_newest: leaf.signer.as_ref() == newest,
            is_complete: leaf.hosts.as_ref() == Some(&hosts_digest(site, audience)),
            is_bundle_shared: leaf.bundle.is_some() && leaf.bundle.as_ref() == bundle,
        })
    });
    AudienceSeen {
        authorities: authority.map(|it| it.authorities.clone()).unwrap_or_default(),
        bundle_since: authority.and_then(|authority| authority.bundle_since),
        leaf,
    }
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
    let of = |secret: Option<&Secret>| secret.and_then(|secret| text(secret, BUNDLE));
    let bundle = of(secrets.authority).unwrap_or_default();
    match step {
        CertificateStep::AddAuthority(audience) => {
            // Whoever deletes the authorities wants new ones; what the old one has signed is still
            // shown, and the copy of clients tells whom to believe.
            let known = of(secrets.authority).or_else(|| of(secrets.leaf));
            let bundle = known.unwrap_or_default();
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
        CertificateStep::ShareBundle(audience) => {
            let name = site.leaf_secret(audience);
            let leaf = secrets.leaf.with_context(|| format!("Secret {name} is gone"))?;
            let held = |key: &str| {
                text(leaf, key).with_context(|| format!("Secret {name} holds no {key}"))
            };
            let data = [(BUNDLE, bundle), (CERTIFICATE, held(CERTIFICATE)?), (KEY, held(KEY)?)];
            let notes =
                ["authority", "hosts"].map(|key| (key, note(leaf, key).unwrap_or_default()));
            Ok(secret(site, &name, "kubernetes.io/tls", &data, &notes))
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
    let (signer, hosts) = (fingerprint(authority), hosts_digest(site, audience));
    let notes = [("authority", &*signer), ("hosts", &*hosts)];
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
    let since = Timestamp::now().to_string();
    let notes = [("bundle-since", since.as_str())];
    secret(site, &site.authority_secret(audience), "Opaque", &data, &notes)
}

fn secret(
    site: &Site,
    name: &str,
    kind: &str,
    data: &[(&str, String)],
    notes: &[(&str, &str)],
) -> Value {
    let data: BTreeMap<&str, ByteString> =
        data.iter().map(|(key, text)| (*key, ByteString(text.clone().into_bytes()))).collect();
    let notes: BTreeMap<String, &str> =
        notes.iter().map(|(key, text)| (ours(key), *text)).collect();
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

fn fingerprint(pem: &str) -> Fingerprint {
    let hash = Sha256::digest(pem.trim().as_bytes());
    hash.iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn hosts_digest(site: &Site, audience: Audience) -> Fingerprint {
    fingerprint(&site.hosts(audience).join(","))
}

#[cfg(test)]
mod tests;
