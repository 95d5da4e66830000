//! What happens to certificates while a cluster is in use.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use crate::cluster::run::wait_for;
use crate::e2e::certified::{Certified, Scene, field};
use crate::e2e::subject::{NAME, NAMESPACE, Subject};
use crate::e2e::witness::Seen;

/// How old a certificate is when it is put into the place of one of the operator, and how long it
/// lives on: it has to be renewed when a third is left, four minutes before it expires.
const OLD: Duration = Duration::from_secs(360);
const LEFT: Duration = Duration::from_secs(360);
/// How long the operator may take to renew it from then on, until all members have it: before it
/// expires.
const RENEWAL_LIMIT: Duration = LEFT;
/// How long the operator may take to make what was deleted.
const MAKE_LIMIT: Duration = Duration::from_secs(30);
const AUDIENCES: [&str; 2] = ["client", "peer"];

/// One who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, and its key.
struct Leaf {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("cannot make a key")?;
        let made = CertifiedIssuer::self_signed(params, key);
        made.map(Authority).context("cannot make an authority")
    }

    /// Signs a certificate for members and their clients.
    fn sign(&self, from: SystemTime, until: SystemTime) -> Result<Leaf> {
        let peers = format!("*.{NAME}-peers.{NAMESPACE}.svc");
        let hosts = vec![peers.clone(), format!("{peers}.cluster.local"), "localhost".to_owned()];
        let mut params = CertificateParams::new(hosts).context("cannot name members")?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = from.into();
        params.not_after = until.into();
        let key = KeyPair::generate().context("cannot make a key")?;
        let signed = params.signed_by(&key, &self.0).context("cannot sign a certificate")?;
        Ok(Leaf { certificate: signed.pem(), key: key.serialize_pem() })
    }
}

/// Certificates are about to expire; later they are deleted. Members go on, and show the next ones.
pub(super) fn renewed(scene: &Scene<'_>) -> Result<Seen> {
    let subject = scene.subject("{client: {auto: {}}, peer: {auto: {}}}".to_owned());
    subject.make_namespace()?;
    let mut authorities = Vec::new();
    // The operator takes an authority that is there, and so we can sign as it does.
    for audience in AUDIENCES {
        let authority = Authority::new(&format!("{NAME} {audience}"))?;
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("{NAME}-{audience}-ca"),
                "namespace": NAMESPACE,
                "labels": { "raft.holdfast.dev/cluster": NAME },
            },
            "stringData": {
                "ca.crt": authority.0.pem(),
                "ca.key": authority.0.key().serialize_pem(),
            },
        });
        subject.kubectl.apply(&secret.to_string())?;
        authorities.push(authority);
    }
    subject.create()?;
    let secrets = AUDIENCES.map(|audience| format!("{NAME}-{audience}-tls"));
    let [client, peer] = &secrets;
    let mut certified = Certified::begin(scene, &subject, client, peer)?;

    let until = SystemTime::now() + LEFT;
    let mut planted = Vec::new();
    for (authority, secret) in authorities.iter().zip(&secrets) {
        let leaf = authority.sign(SystemTime::now() - OLD, until)?;
        put(&subject, secret, &[("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)])?;
        planted.push(leaf.certificate);
    }
    certified.wait_until_shown().context("those that are to expire soon")?;
    wait_for_others(&subject, &secrets, &planted, RENEWAL_LIMIT)?;
    certified.wait_until_shown().context("those that were renewed")?;
    ensure!(SystemTime::now() < until, "certificates expired before members had others");

    let renewed: Vec<String> =
        secrets.iter().map(|secret| field(&subject, secret, "tls.crt")).collect::<Result<_>>()?;
    subject.ask(&["delete", "secret", client, peer])?;
    wait_for_others(&subject, &secrets, &renewed, MAKE_LIMIT)?;
    certified.wait_until_shown().context("those that were deleted")?;
    certified.ensure_not_restarted()?;
    certified.end()
}

/// Certificates of one's own, in a Secret, which one replaces.
pub(super) fn replaced(scene: &Scene<'_>) -> Result<Seen> {
    const SECRET: &str = "own-certificates";
    let tls = format!(
        "{{client: {{secretRef: {{name: {SECRET}}}}}, peer: {{secretRef: {{name: {SECRET}}}}}}}"
    );
    let subject = scene.subject(tls);
    subject.make_namespace()?;
    let authority = Authority::new("somebody")?;
    let sign = || {
        let now = SystemTime::now();
        authority.sign(now - Duration::from_secs(60), now + Duration::from_hours(24))
    };
    let leaf = sign()?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": SECRET, "namespace": NAMESPACE },
        "type": "kubernetes.io/tls",
        "stringData": {
            "ca.crt": authority.0.pem(), "tls.crt": leaf.certificate, "tls.key": leaf.key,
        },
    });
    subject.kubectl.apply(&secret.to_string())?;
    subject.create()?;
    let mut certified = Certified::begin(scene, &subject, SECRET, SECRET)?;
    certified.wait_until_shown()?;
    let leaf = sign()?;
    put(&subject, SECRET, &[("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)])?;
    certified.wait_until_shown()?;
    certified.ensure_not_restarted()?;
    certified.end()
}

/// Puts something into a Secret.
fn put(subject: &Subject, secret: &str, data: &[(&str, &str)]) -> Result<()> {
    let data: serde_json::Map<String, serde_json::Value> =
        data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    let patch = json!({ "stringData": data }).to_string();
    subject.ask(&["patch", "secret", secret, "--type=merge", "-p", &patch]).map(drop)
}

/// Waits until Secrets hold other certificates.
fn wait_for_others(
    subject: &Subject,
    secrets: &[String],
    certificates: &[String],
    limit: Duration,
) -> Result<()> {
    wait_for("other certificates", limit, || {
        let mut all = secrets.iter().zip(certificates);
        let is_other = |(secret, before): (&String, &String)| {
            field(subject, secret, "tls.crt").is_ok_and(|now| now != *before)
        };
        Ok(all.all(is_other).then_some(()))
    })
}
