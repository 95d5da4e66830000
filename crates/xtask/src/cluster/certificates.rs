//! One authority, and the certificates by which the programs of the cluster know each other.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::cluster::layout::{HOST_ADDRESS, Node, State};

/// The API server's own address among the services.
const API_SERVICE_ADDRESS: &str = "10.0.0.1";

/// What a certificate is for.
struct Wanted {
    /// Its file name.
    file: String,
    common_name: String,
    /// The group, if any.
    organization: Option<&'static str>,
    /// The names and addresses of a server; none for a client.
    hosts: Vec<String>,
}

impl Wanted {
    fn client(file: &str, common_name: &str, organization: Option<&'static str>) -> Wanted {
        Wanted {
            file: file.to_owned(),
            common_name: common_name.to_owned(),
            organization,
            hosts: Vec::new(),
        }
    }
}

/// Makes all of them, anew.
pub(super) fn write_all(state: &State, nodes: &[Node]) -> Result<()> {
    let directory = state.path("certificates");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name("holdfast", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().context("cannot make a key")?;
    let key_pem = key.serialize_pem();
    let authority =
        CertifiedIssuer::self_signed(params, key).context("cannot make the authority")?;
    write(&directory, "ca", &authority.pem(), &key_pem)?;
    for wanted in wanted(nodes) {
        sign(&directory, &authority, &wanted)
            .with_context(|| format!("cannot make the certificate {}", wanted.file))?;
    }
    // Service accounts are signed with a key alone: its public half lies where others have a
    // certificate.
    let accounts = KeyPair::generate().context("cannot make a key")?;
    write(&directory, "accounts", &accounts.public_key_pem(), &accounts.serialize_pem())
}

fn wanted(nodes: &[Node]) -> Vec<Wanted> {
    let mut all = vec![
        Wanted::client("admin", "admin", Some("system:masters")),
        Wanted::client("kubelet-client", "kube-apiserver", Some("system:masters")),
        Wanted::client("controller-manager", "system:kube-controller-manager", None),
        Wanted::client("scheduler", "system:kube-scheduler", None),
        Wanted::client("proxy", "system:kube-proxy", None),
        Wanted {
            file: "apiserver".to_owned(),
            common_name: "kube-apiserver".to_owned(),
            organization: None,
            hosts: [
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
                "127.0.0.1",
                API_SERVICE_ADDRESS,
                HOST_ADDRESS,
            ]
            .map(str::to_owned)
            .to_vec(),
        },
    ];
    for node in nodes {
        let (node_name, address) = (node.name(), node.address());
        let user = format!("system:node:{node_name}");
        all.push(Wanted::client(&node_name, &user, Some("system:nodes")));
        all.push(Wanted {
            file: format!("{node_name}-server"),
            common_name: user,
            organization: Some("system:nodes"),
            hosts: vec![node_name, address],
        });
    }
    all
}

fn sign(directory: &Path, authority: &CertifiedIssuer<'_, KeyPair>, wanted: &Wanted) -> Result<()> {
    let mut params = CertificateParams::new(wanted.hosts.clone())?;
    params.distinguished_name = name(&wanted.common_name, wanted.organization);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![if wanted.hosts.is_empty() {
        ExtendedKeyUsagePurpose::ClientAuth
    } else {
        ExtendedKeyUsagePurpose::ServerAuth
    }];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    write(directory, &wanted.file, &certificate.pem(), &key.serialize_pem())
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn write(directory: &Path, file: &str, certificate: &str, key: &str) -> Result<()> {
    let path = directory.join(format!("{file}.crt"));
    fs::write(&path, certificate).with_context(|| format!("cannot write {}", path.display()))?;
    write_private(&directory.join(format!("{file}.key")), key)
}

/// Writes what only the owner may read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file =
        options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelet_is_known_as_a_node_of_its_group() {
        let all = wanted(&[Node(2)]);
        let client = all.iter().find(|one| one.file == "node-2").expect("each node has one");
        assert_eq!(client.common_name, "system:node:node-2");
        assert_eq!(client.organization, Some("system:nodes"));
        let server = all.iter().find(|one| one.file == "node-2-server").expect("and one to serve");
        assert_eq!(server.hosts, ["node-2", "10.123.0.12"]);
    }
}
