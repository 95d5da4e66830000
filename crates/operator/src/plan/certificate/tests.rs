//! When certificates are made, over the time in which they live.

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + minutes * 60).expect("it is in range")
}

fn life(from: i64, until: i64) -> Validity {
    Validity { not_before: at(from), not_after: at(until) }
}

/// One authority, and a certificate of an hour by it.
fn settled() -> AudienceSeen {
    AudienceSeen {
        authorities: vec![life(0, 6000)],
        bundle_since: Some(at(0)),
        leaf: Some(LeafSeen {
            validity: life(0, 60),
            is_by_newest: true,
            is_complete: true,
            is_bundle_shared: true,
        }),
    }
}

fn next(seen: &AudienceSeen, minutes: i64) -> Option<CertificateStep> {
    step_for(Audience::Peer, seen, at(minutes))
}

#[test]
fn certificate_is_renewed_when_a_third_of_its_life_is_left() {
    assert_eq!(next(&settled(), 39), None);
    assert_eq!(next(&settled(), 40), Some(CertificateStep::IssueLeaf(Audience::Peer)));
}

#[test]
fn next_authority_signs_only_when_everybody_has_had_time_to_read_its_name() {
    let mut seen = settled();
    assert_eq!(next(&seen, 4000), Some(CertificateStep::AddAuthority(Audience::Peer)));
    seen.authorities.push(life(4000, 10_000));
    seen.bundle_since = Some(at(4000));
    let leaf = seen.leaf.as_mut().expect("there is one");
    leaf.validity = life(3990, 4050);
    leaf.is_by_newest = false;
    leaf.is_bundle_shared = false;
    // Clients are told at once, not only when its certificate is shown to them.
    assert_eq!(next(&seen, 4000), Some(CertificateStep::ShareBundle(Audience::Peer)));
    seen.leaf.as_mut().expect("there is one").is_bundle_shared = true;
    assert_eq!(next(&seen, 4004), None);
    assert_eq!(next(&seen, 4005), Some(CertificateStep::IssueLeaf(Audience::Peer)));
    let leaf = seen.leaf.as_mut().expect("there is one");
    leaf.validity = life(4005, 4065);
    leaf.is_by_newest = true;
    assert_eq!(next(&seen, 4009), None);
    assert_eq!(next(&seen, 4010), Some(CertificateStep::RetireAuthorities(Audience::Peer)));
    seen.authorities.remove(0);
    seen.leaf.as_mut().expect("there is one").is_bundle_shared = false;
    assert_eq!(next(&seen, 4010), Some(CertificateStep::ShareBundle(Audience::Peer)));
    seen.leaf.as_mut().expect("there is one").is_bundle_shared = true;
    assert_eq!(next(&seen, 4011), None);
}

#[test]
fn certificate_that_is_valid_no_more_waits_for_nobody() {
    let mut seen = settled();
    seen.bundle_since = Some(at(60));
    seen.leaf.as_mut().expect("there is one").is_by_newest = false;
    assert_eq!(next(&seen, 59), None);
    assert_eq!(next(&seen, 60), Some(CertificateStep::IssueLeaf(Audience::Peer)));
}
