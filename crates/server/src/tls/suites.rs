//! Cipher suites and versions: the names by which Go and the registry know them.

use rustls::crypto::ring::cipher_suite as suite;
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::error::TlsError;
use crate::config::{TlsPolicy, TlsVersion};

/// The suites of TLS 1.2 that are offered, best first.
const TLS12_SUITES: [(&str, SupportedCipherSuite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The suites of TLS 1.3, best first.
const TLS13_SUITES: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", suite::TLS13_CHACHA20_POLY1305_SHA256),
];

/// Names that Go once gave to suites, and what they mean.
const FORMER_NAMES: [(&str, &str); 2] = [
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// What is in the names of suites that Go knows and that nobody should use.
const INSECURE_PARTS: [&str; 4] = ["TLS_RSA_WITH_", "_CBC_", "_RC4_", "_3DES_"];

/// What is spoken within the policy: the suites and the versions.
///
/// # Errors
///
/// If a suite is not known, or nothing is left.
pub(super) fn provider(
    policy: &TlsPolicy,
) -> Result<(CryptoProvider, Vec<&'static SupportedProtocolVersion>), TlsError> {
    let mut cipher_suites: Vec<SupportedCipherSuite> = Vec::new();
    for name in &policy.cipher_suites {
        cipher_suites.push(find(name)?);
    }
    if cipher_suites.is_empty() {
        cipher_suites.extend(TLS12_SUITES.map(|(_, suite)| suite));
    }
    // As in Go, the suites of TLS 1.3 are not chosen one by one: all are good.
    cipher_suites.retain(|suite| suite.tls13().is_none());
    let versions: Vec<&'static SupportedProtocolVersion> =
        [(TlsVersion::V12, &TLS12), (TlsVersion::V13, &TLS13)]
            .into_iter()
            .filter(|(version, _)| policy.version_min <= *version && *version <= policy.version_max)
            .filter(|(version, _)| *version == TlsVersion::V13 || !cipher_suites.is_empty())
            .map(|(_, version)| version)
            .collect();
    if versions.is_empty() {
        return Err(TlsError::NoVersion { min: policy.version_min, max: policy.version_max });
    }
    cipher_suites.splice(0..0, TLS13_SUITES.map(|(_, suite)| suite));
    Ok((CryptoProvider { cipher_suites, ..ring::default_provider() }, versions))
}

fn find(name: &str) -> Result<SupportedCipherSuite, TlsError> {
    let former = FORMER_NAMES.iter().find(|(former, _)| *former == name);
    let current = former.map_or(name, |(_, current)| current);
    let known = || TLS12_SUITES.iter().chain(&TLS13_SUITES);
    if let Some((_, suite)) = known().find(|(known, _)| *known == current) {
        return Ok(*suite);
    }
    Err(TlsError::UnknownSuite {
        name: name.to_owned(),
        is_insecure: INSECURE_PARTS.iter().any(|part| name.contains(part)),
        known: known().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(suites: &[&str], version_min: TlsVersion, version_max: TlsVersion) -> TlsPolicy {
        let cipher_suites = suites.iter().map(|&name| name.to_owned()).collect();
        TlsPolicy { cipher_suites, version_min, version_max, self_signed_years: 1 }
    }

    #[test]
    fn named_suites_are_those_of_tls_1_2_that_are_offered() {
        let named = ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_AES_128_GCM_SHA256"];
        let policy = policy(&named, TlsVersion::V12, TlsVersion::V13);
        let (provider, versions) = provider(&policy).unwrap();
        let offered: Vec<_> =
            provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).collect();
        assert_eq!(offered, [&suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]);
        assert_eq!(versions, [&TLS12, &TLS13]);
    }

    #[test]
    fn versions_are_those_between_the_bounds() {
        let only = |version| provider(&policy(&[], version, version)).unwrap().1;
        assert_eq!(only(TlsVersion::V12), [&TLS12]);
        assert_eq!(only(TlsVersion::V13), [&TLS13]);
        let suite_of_1_3 = policy(&["TLS_AES_128_GCM_SHA256"], TlsVersion::V12, TlsVersion::V12);
        assert!(matches!(provider(&suite_of_1_3), Err(TlsError::NoVersion { .. })));
    }

    #[test]
    fn unknown_suite_is_answered_with_those_that_are_known() {
        let error = |name| {
            let policy = policy(&[name], TlsVersion::V12, TlsVersion::V13);
            provider(&policy).unwrap_err().to_string()
        };
        let unknown = error("TLS_NEW");
        assert!(unknown.starts_with("--cipher-suites names `TLS_NEW`, which is not known; "));
        assert!(unknown.contains("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "), "{unknown}");
        let insecure = error("TLS_RSA_WITH_AES_128_GCM_SHA256");
        assert!(insecure.contains("is not secure and not offered"), "{insecure}");
    }
}
