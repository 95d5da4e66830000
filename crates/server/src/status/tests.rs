//! The table against etcd's own.

use super::*;

/// The rows of etcd's `rpctypes` that the services we serve can give. The prefix is left out.
const ROWS: &[(Code, &[&str])] = &[
    (
        Code::OutOfRange,
        &[
            "mvcc: required revision has been compacted",
            "mvcc: required revision is a future revision",
            "too large lease TTL",
        ],
    ),
    (Code::ResourceExhausted, &["mvcc: database space exceeded", "too many requests"]),
    (
        Code::InvalidArgument,
        &[
            "key is not provided",
            "key not found",
            "value is provided",
            "lease is provided",
            "too many operations in txn request",
            "duplicate key given in txn request",
            "request is too large",
            "invalid sort option",
            "invalid client api version",
            "given member URLs are invalid",
            "wrong downgrade target version format",
            "invalid downgrade target version",
        ],
    ),
    (Code::NotFound, &["requested lease not found", "member not found"]),
    (
        Code::FailedPrecondition,
        &[
            "lease already exists",
            "re-configuration failed due to not enough started members",
            "too many learner members in cluster",
            "can only promote a learner member which is in sync with leader",
            "rpc not supported for learner",
            "not leader",
            "member ID already exist",
            "Peer URLs already exists",
            "can only promote a learner member",
            "bad leader transferee",
            "cluster version not found during downgrade",
            "cluster has a downgrade job in progress",
            "no inflight downgrade job",
        ],
    ),
    (
        Code::Unavailable,
        &[
            "no leader",
            "leader changed",
            "request timed out",
            "request timed out, possibly due to previous leader failure",
            "request timed out, possibly due to connection lost",
            "request timed out, waiting for the applied index took too long",
            "server stopped",
            "unhealthy cluster",
        ],
    ),
    (Code::Cancelled, &["watch canceled"]),
    (Code::DataLoss, &["corrupt cluster"]),
];

/// What etcd says in plain errors, without a row of its own.
const WITHOUT_ROW: &[Refusal] =
    &[Refusal::NeverProposed, Refusal::TimeoutTransfer, Refusal::UnknownMethod];

fn rows() -> impl Iterator<Item = (Code, String)> {
    ROWS.iter()
        .flat_map(|(code, texts)| texts.iter().map(|text| (*code, format!("etcdserver: {text}"))))
}

#[test]
fn every_row_of_etcd_can_be_given() {
    for (code, text) in rows() {
        let of = Refusal::ALL.iter().find(|refusal| refusal.text() == text);
        let refusal = of.unwrap_or_else(|| panic!("nothing says {text:?}"));
        assert_eq!(refusal.code(), code, "{text}");
    }
}

#[test]
fn nothing_else_is_said() {
    for refusal in Refusal::ALL {
        let is_row = rows().any(|(_, text)| text == refusal.text());
        assert_eq!(is_row, !WITHOUT_ROW.contains(refusal), "{refusal:?}");
    }
}

#[test]
fn no_text_is_given_twice() {
    let mut texts: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.text()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Refusal::ALL.len());
}
