//! How connections are protected, and where certificates come from.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::rule::{self, rules};

/// How connections are protected.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::TLS)))]
pub struct TlsSpec {
    /// Between clients and members.
    #[serde(deserialize_with = "auto_if_none")]
    pub client: TlsSource,
    /// Between members.
    #[serde(deserialize_with = "auto_if_none")]
    pub peer: TlsSource,
}

/// Where certificates come from: one of these, `auto` if none is given.
//
// What is read from an object has exactly one. Kubernetes stores none if none was given: whoever
// later applied another one would have both.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::TLS_SOURCE)))]
pub struct TlsSource {
    /// The operator makes them, and renews them before they expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<OwnCertificates>,
    /// They lie in a Secret, and somebody else renews them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// cert-manager makes and renews them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<IssuerRef>,
    /// There are none: connections are in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Plaintext>,
}

/// The operator makes certificates. There is nothing to choose.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCertificates {}

/// Connections are in the clear. There is nothing to choose.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Plaintext {}

/// A Secret with `ca.crt`, `tls.crt` and `tls.key`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Its name, in the namespace of the cluster.
    #[schemars(length(max = 253))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::SECRET)))]
    pub name: String,
}

/// Who issues certificates by cert-manager.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// The name of the issuer.
    #[schemars(length(max = 253))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::ISSUER)))]
    pub name: String,
    /// `Issuer` or `ClusterIssuer`.
    #[serde(default = "issuer_kind")]
    #[schemars(length(max = 63))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::ISSUER_KIND)))]
    pub kind: String,
}

fn issuer_kind() -> String {
    "Issuer".to_owned()
}

impl Default for TlsSource {
    fn default() -> TlsSource {
        TlsSource {
            auto: Some(OwnCertificates {}),
            secret_ref: None,
            cert_manager: None,
            disabled: None,
        }
    }
}

/// Reads a source, of which an object may give none.
fn auto_if_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TlsSource, D::Error> {
    let mut source = TlsSource::deserialize(deserializer)?;
    let is_given =
        source.secret_ref.is_some() || source.cert_manager.is_some() || source.disabled.is_some();
    if !is_given {
        source.auto = Some(OwnCertificates {});
    }
    Ok(source)
}
