//! Handshakes over files that are right, wrong, and changed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::authority::{Authority, overwrite, policy, server, shown};
use super::*;
use crate::config::{self, Loaded, TlsConfig, TlsPolicy, TlsVersion};

/// What the server knows of the caller after a handshake, or why there was none: what the server
/// says, and what the caller says.
type Outcome = Result<Option<Identity>, (Option<String>, Option<String>)>;

async fn shake(server: Arc<ServerConfig>, caller: Arc<ClientConfig>, name: &str) -> Outcome {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let accept = async {
        let stream = TlsAcceptor::from(server).accept(far).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        Ok::<_, std::io::Error>(certificates.and_then(|chain| Identity::of(chain.first()?)))
    };
    let call = async {
        let mut stream = TlsConnector::from(caller).connect(name, near).await?;
        // In TLS 1.3 a caller is refused only after it believes that all is well.
        stream.write_all(b"x").await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    match tokio::join!(accept, call) {
        (Ok(identity), _) => Ok(identity),
        (Err(server), called) => {
            Err((Some(server.to_string()), called.err().map(|error| error.to_string())))
        }
    }
}

fn refusal(outcome: Outcome) -> String {
    outcome.unwrap_err().0.unwrap()
}

#[tokio::test]
async fn caller_is_known_by_the_names_in_its_certificate() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let caller = authority.issue("alice", &["alice.example.com", "10.0.0.7", "fe80::1"]);
    let tls = TlsConfig { trusted_ca: Some(authority.root()), ..shown(&member.files) };
    let server = server(&tls).unwrap();
    let tool = authority.tool(Some(&caller));
    let identity = shake(server.config(), tool.config(), "localhost").await.unwrap().unwrap();
    assert_eq!(identity.common_name.as_deref(), Some("alice"));
    assert_eq!(identity.host_names, ["alice.example.com"]);
    assert_eq!(identity.to_string(), "CN=alice, alice.example.com, 10.0.0.7, fe80::1");
}

#[tokio::test]
async fn nobody_is_asked_for_a_certificate_without_roots() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let server = server(&shown(&member.files)).unwrap();
    let outcome = shake(server.config(), authority.tool(None).config(), "localhost").await;
    assert_eq!(outcome, Ok(None));
}

#[tokio::test]
async fn caller_without_a_certificate_of_the_authority_is_refused() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let tls = TlsConfig { trusted_ca: Some(authority.root()), ..shown(&member.files) };
    let server = server(&tls).unwrap();
    let outcome = shake(server.config(), authority.tool(None).config(), "localhost").await;
    assert_eq!(refusal(outcome), "peer sent no certificates");

    let mut other = Authority::new();
    let stranger = other.issue("stranger", &["localhost"]);
    let tool = authority.tool(Some(&stranger));
    let outcome = shake(server.config(), tool.config(), "localhost").await;
    assert!(refusal(outcome).starts_with("invalid peer certificate: "));
}

#[tokio::test]
async fn member_without_the_name_that_was_called_is_refused() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let server = server(&shown(&member.files)).unwrap();
    let outcome = shake(server.config(), authority.tool(None).config(), "elsewhere").await;
    let (_, caller) = outcome.unwrap_err();
    assert!(caller.unwrap().contains("not valid for name"));

    let strange = Authority::new();
    let outcome = shake(server.config(), strange.tool(None).config(), "localhost").await;
    let (_, caller) = outcome.unwrap_err();
    assert!(caller.unwrap().contains("invalid peer certificate"));

    let tool = Tool { is_unverified: true, ..Tool::default() };
    let trusting = CallerTls::of_tool(tool).unwrap();
    assert_eq!(shake(server.config(), trusting.config(), "elsewhere").await, Ok(None));
}

#[tokio::test]
async fn revoked_certificate_is_refused_also_by_a_list_that_has_expired() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let good = authority.issue("good", &[]);
    let bad = authority.issue("bad", &[]);
    let list = authority.revoke(&[bad.serial]);
    let tls = TlsConfig {
        trusted_ca: Some(authority.root()),
        revoked: Some(list),
        ..shown(&member.files)
    };
    let server = server(&tls).unwrap();
    let with = |made| authority.tool(Some(made)).config();
    assert!(shake(server.config(), with(&good), "localhost").await.is_ok());
    let outcome = shake(server.config(), with(&bad), "localhost").await;
    assert_eq!(refusal(outcome), "invalid peer certificate: Revoked");
}

#[tokio::test]
async fn allowed_names_are_looked_for_in_the_certificate() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let caller = authority.issue("alice", &["*.example.com", "10.0.0.7"]);
    let root = authority.root();
    for (names, hosts, is_allowed) in [
        (&["bob", "alice"][..], &[][..], true),
        (&["bob", "alice.example.com"], &[], false),
        (&[], &["alice.example.com"], true),
        (&[], &["other.org", "10.0.0.7"], true),
        (&[], &["example.com"], false),
        (&[], &["10.0.0.8"], false),
        (&[], &["alice"], false),
    ] {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let tls = TlsConfig {
            trusted_ca: Some(root.clone()),
            allowed_names: owned(names),
            allowed_hostnames: owned(hosts),
            ..shown(&member.files)
        };
        let server = server(&tls).unwrap();
        let tool = authority.tool(Some(&caller));
        let outcome = shake(server.config(), tool.config(), "localhost").await;
        assert_eq!(outcome.is_ok(), is_allowed, "{names:?} {hosts:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn changed_files_are_used_from_the_next_handshake_on() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["before"]);
    let caller = authority.issue("caller", &[]);
    let list = authority.revoke(&[]);
    let tls = TlsConfig {
        trusted_ca: Some(authority.root()),
        revoked: Some(list.clone()),
        ..shown(&member.files)
    };
    let server = server(&tls).unwrap();
    let tool = authority.tool(Some(&caller));
    assert!(shake(server.config(), tool.config(), "before").await.is_ok());

    let renewed = authority.issue("renewed", &["after"]);
    overwrite(&member.files.certificate, &renewed.files.certificate);
    // The key does not fit yet, so all is as it was.
    assert!(shake(server.config(), tool.config(), "before").await.is_ok());
    overwrite(&member.files.key, &renewed.files.key);
    assert!(shake(server.config(), tool.config(), "before").await.is_err());
    assert!(shake(server.config(), tool.config(), "after").await.is_ok());

    authority.revoke(&[caller.serial]);
    let outcome = shake(server.config(), tool.config(), "after").await;
    assert_eq!(refusal(outcome), "invalid peer certificate: Revoked");
    std::fs::write(&list, "nonsense").unwrap();
    let outcome = shake(server.config(), tool.config(), "after").await;
    assert_eq!(refusal(outcome), "invalid peer certificate: Revoked", "a broken list pardons none");
}

#[test]
fn files_are_looked_at_no_more_often_than_allowed() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["before"]);
    let hour = std::time::Duration::from_secs(3600);
    let tls = shown(&member.files);
    let server = ServerTls::looking_every(hour, Side::Client, &tls, &policy()).unwrap();
    let first = server.config();
    let renewed = authority.issue("renewed", &["after"]);
    overwrite(&member.files.certificate, &renewed.files.certificate);
    overwrite(&member.files.key, &renewed.files.key);
    assert!(Arc::ptr_eq(&first, &server.config()), "nobody has looked");
}

#[test]
fn errors_name_the_file_and_its_flag_and_what_is_expected() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let other = authority.issue("other", &["localhost"]);
    let text = authority.path("text.pem");
    std::fs::write(&text, "no certificate").unwrap();
    let files = &member.files;
    let with = |change: &dyn Fn(&mut TlsConfig)| {
        let mut tls = TlsConfig { trusted_ca: Some(authority.root()), ..shown(files) };
        change(&mut tls);
        let directory = authority.path("").display().to_string();
        server(&tls).unwrap_err().to_string().replace(&directory, "")
    };
    let identity = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Some(CertificateFiles { certificate, key })
    };
    assert_eq!(
        with(&|tls| tls.identity = identity(&authority.path("none.pem"), &files.key)),
        "none.pem (--cert-file) cannot be read: it must exist, and this user must be allowed to \
         read it"
    );
    assert_eq!(
        with(&|tls| tls.identity = identity(&text, &files.key)),
        "text.pem (--cert-file) holds no certificate: expected is PEM with BEGIN CERTIFICATE"
    );
    assert_eq!(
        with(&|tls| tls.identity = identity(&files.certificate, &text)),
        "text.pem (--key-file) holds no key: expected is an RSA key of 2048 bits or more, or one \
         of P-256, P-384 or Ed25519, in PKCS#8, PKCS#1 or SEC1, not encrypted"
    );
    assert!(
        with(&|tls| tls.identity = identity(&files.certificate, &other.files.key)).starts_with(
            "the key in other.key (--key-file) is not that of the first certificate in member.pem \
             (--cert-file): "
        )
    );
    assert_eq!(
        with(&|tls| tls.trusted_ca = Some(text.clone())),
        "text.pem (--trusted-ca-file) holds no certificate: expected is PEM with BEGIN CERTIFICATE"
    );
    assert!(
        with(&|tls| tls.revoked = Some(text.clone()))
            .starts_with("text.pem (--client-crl-file) cannot be used: ")
    );
    let lost = with(&|tls| {
        tls.trusted_ca = None;
        tls.require_client_certificate = true;
    });
    assert_eq!(lost, "to ask for certificates wants --trusted-ca-file as well");
    let absurd = with(&|tls| tls.allowed_hostnames = vec!["not a name".to_owned()]);
    assert_eq!(
        absurd,
        "--client-cert-allowed-hostname names `not a name`, which is neither a host name nor an \
         address"
    );
}

#[tokio::test]
async fn key_may_be_in_the_form_that_openssl_gives_to_curves() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    // The inner half of PKCS#8 is SEC1, which begins with a version and the length of the secret.
    let key = PrivatePkcs8KeyDer::from_pem_file(&member.files.key).unwrap();
    let der = key.secret_pkcs8_der();
    let version = der.windows(5).position(|bytes| bytes == [2, 1, 1, 4, 32]).unwrap();
    let parameters = pem("EC PARAMETERS", b"");
    let sec1 = pem("EC PRIVATE KEY", &der[version - 2..]);
    std::fs::write(&member.files.key, parameters + &sec1).unwrap();
    let server = server(&shown(&member.files)).unwrap();
    assert!(shake(server.config(), authority.tool(None).config(), "localhost").await.is_ok());
}

/// A section of a PEM file.
fn pem(name: &str, der: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut body = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            body.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
}

fn config(arguments: &[&str]) -> Config {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    match config::load(&arguments, &BTreeMap::new()).unwrap() {
        Loaded::Member(config, _) => *config,
        other @ (Loaded::Help | Loaded::Version) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn certificates_of_our_own_are_made_once_and_encrypt() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    let urls = ["--listen-client-urls=https://127.0.0.1:1", "--listen-peer-urls=https://[::1]:2"];
    let rest = [
        "--advertise-client-urls=https://one.example.com:1",
        "--initial-advertise-peer-urls=https://two.example.com:2",
        "--initial-cluster=default=https://two.example.com:2",
        "--auto-tls",
        "--peer-auto-tls",
        "--data-dir",
        path,
    ];
    let config = config(&[&urls[..], &rest[..]].concat());
    let factory = TlsFactory::new(&config).unwrap();
    let client = directory.path().join("fixtures/client/cert.pem");
    let first = std::fs::read(&client).unwrap();
    let identity = Identity::of(&CertificateDer::from_pem_slice(&first).unwrap()).unwrap();
    assert_eq!(identity.to_string(), "CN=, localhost, one.example.com, 127.0.0.1");
    for (file, mode) in [("cert.pem", 0o600), ("key.pem", 0o600), (".", 0o700)] {
        let metadata = std::fs::metadata(directory.path().join("fixtures/peer").join(file));
        assert_eq!(metadata.unwrap().permissions().mode() & 0o777, mode, "{file}");
    }
    let (called, calling) = (factory.peer_server().unwrap(), factory.peer_client().unwrap());
    let outcome = shake(called().unwrap(), calling().unwrap(), "whatever").await;
    assert_eq!(outcome, Ok(None), "nobody asks whom it speaks to");

    TlsFactory::new(&config).unwrap();
    assert_eq!(std::fs::read(&client).unwrap(), first, "the same one is used again");
}

#[test]
fn certificate_of_our_own_that_has_expired_is_made_again() {
    let directory = TempDir::new().unwrap();
    let make = |years| {
        let files = self_signed::certificate(directory.path(), std::iter::empty(), years).unwrap();
        std::fs::read(files.certificate).unwrap()
    };
    let expired = make(0);
    let fresh = make(1);
    assert_ne!(fresh, expired);
    assert_eq!(make(1), fresh);
}

#[tokio::test]
async fn only_versions_between_the_bounds_are_spoken() {
    let mut authority = Authority::new();
    let member = authority.issue("member", &["localhost"]);
    let tls = TlsConfig { trusted_ca: Some(authority.root()), ..shown(&member.files) };
    let speaking = |version| {
        let policy = TlsPolicy { version_min: version, version_max: version, ..policy() };
        let server = ServerTls::new(Side::Peer, &shown(&member.files), &policy).unwrap();
        (server.config(), CallerTls::new(&tls, &policy).unwrap().config())
    };
    let (old_server, old_caller) = speaking(TlsVersion::V12);
    let (new_server, new_caller) = speaking(TlsVersion::V13);
    assert!(shake(old_server.clone(), old_caller.clone(), "localhost").await.is_ok());
    assert!(shake(new_server.clone(), new_caller.clone(), "localhost").await.is_ok());
    assert!(shake(old_server, new_caller, "localhost").await.is_err());
    assert!(shake(new_server, old_caller, "localhost").await.is_err());
}
