//! Flags of TLS and of users.

use super::super::flag::{Flag, Kind, flag, path, switch};

/// The sections of a configuration file with the settings of TLS.
const CLIENT: &str = "client-transport-security";
const PEER: &str = "peer-transport-security";

/// Why flags of users do nothing.
const NO_AUTH: &str = "users and roles are not served yet";

/// The group `Security`.
pub(super) const SECURITY: &[Flag] = &[
    path("cert-file", "The certificate shown to clients.").in_file(CLIENT, "cert-file"),
    path("key-file", "Its key.").in_file(CLIENT, "key-file"),
    switch(
        "client-cert-auth",
        "Clients must show a certificate that --trusted-ca-file has signed.",
    )
    .in_file(CLIENT, "client-cert-auth"),
    path(
        "client-cert-file",
        "The certificate with which this member calls its own client port; --cert-file if not \
         given.",
    )
    .in_file(CLIENT, "client-cert-file"),
    path("client-key-file", "Its key.").in_file(CLIENT, "client-key-file"),
    path("client-crl-file", "Revoked certificates of clients.").in_file(CLIENT, "crl-file"),
    flag(
        "client-cert-allowed-hostname",
        Kind::List,
        "",
        "Host names of which a client's certificate must hold one.",
    )
    .in_file(CLIENT, "allowed-hostname"),
    path("trusted-ca-file", "Who may sign certificates of clients.")
        .in_file(CLIENT, "trusted-ca-file"),
    switch("auto-tls", "Make a certificate for clients if none is given.")
        .in_file(CLIENT, "auto-tls"),
    path("peer-cert-file", "The certificate shown to other members.").in_file(PEER, "cert-file"),
    path("peer-key-file", "Its key.").in_file(PEER, "key-file"),
    switch(
        "peer-client-cert-auth",
        "Members must show a certificate that --peer-trusted-ca-file has signed.",
    )
    .in_file(PEER, "client-cert-auth"),
    path(
        "peer-client-cert-file",
        "The certificate with which this member calls others; --peer-cert-file if not given.",
    )
    .in_file(PEER, "client-cert-file"),
    path("peer-client-key-file", "Its key.").in_file(PEER, "client-key-file"),
    path("peer-trusted-ca-file", "Who may sign certificates of members.")
        .in_file(PEER, "trusted-ca-file"),
    flag(
        "peer-cert-allowed-cn",
        Kind::List,
        "",
        "Common names of which a member's certificate must have one.",
    )
    .in_file(PEER, "allowed-cn"),
    flag(
        "peer-cert-allowed-hostname",
        Kind::List,
        "",
        "Host names of which a member's certificate must hold one.",
    )
    .in_file(PEER, "allowed-hostname"),
    switch("peer-auto-tls", "Make a certificate for members if none is given.")
        .in_file(PEER, "auto-tls"),
    path("peer-crl-file", "Revoked certificates of members.").in_file(PEER, "crl-file"),
    switch(
        "peer-skip-client-san-verification",
        "Do not compare a member's address with its certificate.",
    )
    .in_file(PEER, "skip-client-san-verification")
    .without_effect("addresses are never compared with certificates; names are, with the lists"),
    flag(
        "self-signed-cert-validity",
        Kind::Number(0, 1000),
        "1",
        "For how many years a certificate is made by --auto-tls and --peer-auto-tls.",
    ),
    flag(
        "cipher-suites",
        Kind::List,
        "",
        "The TLS 1.2 cipher suites to offer; the safe ones if not given.",
    ),
    flag(
        "tls-min-version",
        Kind::Choice(&["", "TLS1.2", "TLS1.3"]),
        "TLS1.2",
        "The oldest version of TLS to speak.",
    ),
    flag(
        "tls-max-version",
        Kind::Choice(&["", "TLS1.2", "TLS1.3"]),
        "",
        "The newest version of TLS to speak; the newest there is if not given.",
    ),
    flag("cors", Kind::Set, "*", "Origins from which a browser may call; all if empty or *."),
    flag(
        "host-whitelist",
        Kind::Set,
        "*",
        "Host names under which HTTP in the clear may be asked for; all if empty or *.",
    ),
];

/// The group `Auth`.
pub(super) const AUTH: &[Flag] = &[
    flag("auth-token", Kind::Text, "simple", "The kind of token given to users, and its options.")
        .without_effect(NO_AUTH),
    flag("bcrypt-cost", Kind::Number(4, 31), "10", "How costly it is to try a password.")
        .without_effect(NO_AUTH),
    flag(
        "auth-token-ttl",
        Kind::Number(0, u32::MAX as u64),
        "300",
        "For how many seconds a token is good.",
    )
    .without_effect(NO_AUTH),
];
