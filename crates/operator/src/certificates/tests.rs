//! What is made is what is seen.

use super::*;

fn site() -> Site {
    Site {
        name: "demo".into(),
        namespace: "default".into(),
        uid: "u".into(),
        domain: "cluster.local".into(),
    }
}

fn secret(mut value: Value) -> Secret {
    value["metadata"]["resourceVersion"] = json!("1");
    serde_json::from_value(value).expect("a Secret")
}

fn look(site: &Site, audience: Audience, secrets: Secrets<'_>) -> AudienceSeen {
    let [authority, leaf] = [secrets.authority, secrets.leaf].map(|it| it.and_then(Outline::of));
    seen(site, audience, authority.as_ref(), leaf.as_ref())
}

#[test]
fn an_authority_comes_beside_the_old_one_and_then_takes_its_place() {
    let site = site();
    let now = SystemTime::now();
    for audience in [Audience::Client, Audience::Peer] {
        let none = Secrets::default();
        assert_eq!(look(&site, audience, none), AudienceSeen::default());
        let first = make(&site, CertificateStep::AddAuthority(audience), none, now);
        let first = secret(first.expect("made"));
        let with_first = Secrets { authority: Some(&first), leaf: None };
        let leaf = make(&site, CertificateStep::IssueLeaf(audience), with_first, now);
        let leaf = secret(leaf.expect("made"));
        let both = Secrets { authority: Some(&first), leaf: Some(&leaf) };
        let found = look(&site, audience, both);
        assert_eq!(found.authorities.len(), 1);
        let found_leaf = found.leaf.expect("there is one");
        assert!(found_leaf.is_by_newest && found_leaf.is_complete);

        let second = make(&site, CertificateStep::AddAuthority(audience), both, now);
        let second = secret(second.expect("made"));
        let both = Secrets { authority: Some(&second), leaf: Some(&leaf) };
        let found = look(&site, audience, both);
        assert_eq!(found.authorities.len(), 2);
        let found_leaf = found.leaf.expect("there is one");
        assert!(!found_leaf.is_by_newest && !found_leaf.is_bundle_shared);
        let shared = make(&site, CertificateStep::ShareBundle(audience), both, now);
        let shared = secret(shared.expect("made"));
        assert_eq!(text(&shared, CERTIFICATE), text(&leaf, CERTIFICATE));
        let both = Secrets { authority: Some(&second), leaf: Some(&shared) };
        let found_leaf = look(&site, audience, both).leaf.expect("there is one");
        assert!(found_leaf.is_bundle_shared && found_leaf.is_complete && !found_leaf.is_by_newest);

        let leaf = make(&site, CertificateStep::IssueLeaf(audience), both, now);
        let leaf = secret(leaf.expect("made"));
        let both = Secrets { authority: Some(&second), leaf: Some(&leaf) };
        assert!(look(&site, audience, both).leaf.expect("there is one").is_by_newest);
        let third = make(&site, CertificateStep::RetireAuthorities(audience), both, now);
        let third = secret(third.expect("made"));
        let both = Secrets { authority: Some(&third), leaf: Some(&leaf) };
        let found = look(&site, audience, both);
        assert_eq!(found.authorities.len(), 1);
        assert!(found.leaf.expect("there is one").is_by_newest);
    }
}

#[test]
fn another_domain_makes_a_certificate_incomplete() {
    let here = site();
    let now = SystemTime::now();
    let authority =
        make(&here, CertificateStep::AddAuthority(Audience::Client), Secrets::default(), now);
    let authority = secret(authority.expect("made"));
    let secrets = Secrets { authority: Some(&authority), leaf: None };
    let leaf = make(&here, CertificateStep::IssueLeaf(Audience::Client), secrets, now);
    let leaf = secret(leaf.expect("made"));
    let secrets = Secrets { authority: Some(&authority), leaf: Some(&leaf) };
    let there = Site { domain: "other.example".into(), ..here };
    let found = look(&there, Audience::Client, secrets);
    assert!(!found.leaf.expect("there is one").is_complete);
}

#[test]
fn authorities_that_were_deleted_are_believed_until_the_next_one_has_signed() {
    let (site, audience, now) = (site(), Audience::Peer, SystemTime::now());
    let first = make(&site, CertificateStep::AddAuthority(audience), Secrets::default(), now);
    let first = secret(first.expect("made"));
    let secrets = Secrets { authority: Some(&first), leaf: None };
    let leaf = make(&site, CertificateStep::IssueLeaf(audience), secrets, now);
    let leaf = secret(leaf.expect("made"));
    let alone = Secrets { authority: None, leaf: Some(&leaf) };
    let next = make(&site, CertificateStep::AddAuthority(audience), alone, now);
    let next = secret(next.expect("made"));
    let found = look(&site, audience, Secrets { authority: Some(&next), leaf: Some(&leaf) });
    assert_eq!(found.authorities.len(), 2);
    assert!(!found.leaf.expect("there is one").is_by_newest);
}
