//! What a certificate says about who holds it.

use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The names in a certificate that was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The common name of its subject.
    pub common_name: Option<String>,
    /// Its host names.
    pub host_names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Identity {
    /// Reads the names of a certificate; `None` if it is none.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let mut identity = Identity {
            common_name: certificate
                .subject()
                .iter_common_name()
                .last()
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
            ..Identity::default()
        };
        let names = certificate.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                identity.host_names.push((*name).to_owned());
            }
            if let GeneralName::IPAddress(bytes) = name {
                identity.addresses.extend(address(bytes));
            }
        }
        Some(identity)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CN={}", self.common_name.as_deref().unwrap_or_default())?;
        for name in &self.host_names {
            write!(f, ", {name}")?;
        }
        for address in &self.addresses {
            write!(f, ", {address}")?;
        }
        Ok(())
    }
}
