//! What everything that belongs to a cluster is called.

use std::collections::BTreeMap;

use crate::crd::{GROUP, RaftCluster, TlsSource};
use crate::plan::certificate::Audience;
use crate::plan::id::Ordinal;

/// Who we are to Kubernetes: the one who owns the fields that we set.
pub const MANAGER: &str = "holdfast-operator";

/// Where clients connect.
pub const CLIENT_PORT: u16 = 2379;

/// Where members connect.
pub const PEER_PORT: u16 = 2380;

/// Where metrics and probes are served, in the clear.
pub const METRICS_PORT: u16 = 2381;

/// No cluster has more members than this: `spec.replicas` says so.
const MEMBERS_MAX: u32 = 9;

/// Where a cluster lives, and who owns what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// The domain under which Kubernetes' services are found.
    pub domain: String,
}

/// Where certificates for an audience come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The operator makes them.
    Auto,
    /// They lie in a Secret of this name.
    Secret(&'a str),
    /// An issuer of cert-manager makes them.
    Issuer(&'a crate::crd::IssuerRef),
    /// There are none.
    Off,
}

impl<'a> Source<'a> {
    /// What a specification says.
    #[must_use]
    pub fn of(tls: &'a TlsSource) -> Source<'a> {
        if let Some(secret) = &tls.secret_ref {
            Source::Secret(&secret.name)
        } else if let Some(issuer) = &tls.cert_manager {
            Source::Issuer(issuer)
        } else if tls.disabled.is_some() {
            Source::Off
        } else {
            Source::Auto
        }
    }

    /// Whether connections are protected.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Source::Off
    }

    /// How addresses begin.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }
}

/// What a cluster's specification says about an audience.
#[must_use]
pub fn source(cluster: &RaftCluster, audience: Audience) -> Source<'_> {
    match audience {
        Audience::Peer => Source::of(&cluster.spec.tls.peer),
        Audience::Client => Source::of(&cluster.spec.tls.client),
    }
}

/// A name in our group, for labels and annotations.
#[must_use]
pub fn ours(name: &str) -> String {
    format!("{GROUP}/{name}")
}

impl Site {
    /// The service that gives each pod a name.
    #[must_use]
    pub fn peer_service(&self) -> String {
        format!("{}-peers", self.name)
    }

    /// The name of a pod that does not change, whatever its address.
    #[must_use]
    pub fn host(&self, ordinal: Ordinal) -> String {
        let pod = ordinal.pod_name(&self.name);
        format!("{pod}.{}.{}.svc", self.peer_service(), self.namespace)
    }

    /// Where other members reach a pod.
    #[must_use]
    pub fn peer_url(&self, ordinal: Ordinal, peer: Source<'_>) -> String {
        format!("{}://{}:{PEER_PORT}", peer.scheme(), self.host(ordinal))
    }

    /// The pod that an address of a member names.
    #[must_use]
    pub fn ordinal_of(&self, peer_url: &str) -> Option<Ordinal> {
        let (_, rest) = peer_url.split_once("://")?;
        let (host, _) = rest.rsplit_once(':')?;
        let (pod, _) = host.split_once('.')?;
        let ordinal = Ordinal::of_pod(pod, &self.name)?;
        (host == self.host(ordinal)).then_some(ordinal)
    }

    /// The pods that there may ever be.
    pub fn places(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..MEMBERS_MAX).map(Ordinal)
    }

    /// The claim of a pod.
    #[must_use]
    pub fn claim(&self, ordinal: Ordinal) -> String {
        format!("data-{}", ordinal.pod_name(&self.name))
    }

    /// The pod whose claim has this name.
    #[must_use]
    pub fn ordinal_of_claim(&self, claim: &str) -> Option<Ordinal> {
        Ordinal::of_pod(claim.strip_prefix("data-")?, &self.name)
    }

    /// The Secret with the certificate for an audience that the operator or cert-manager makes.
    #[must_use]
    pub fn leaf_secret(&self, audience: Audience) -> String {
        format!("{}-{audience}-tls", self.name)
    }

    /// The Secret with the authorities for an audience.
    #[must_use]
    pub fn authority_secret(&self, audience: Audience) -> String {
        format!("{}-{audience}-ca", self.name)
    }

    /// All names under which members are called by an audience.
    #[must_use]
    pub fn hosts(&self, audience: Audience) -> Vec<String> {
        let Site { name, namespace, domain, .. } = self;
        let peers = self.peer_service();
        let mut hosts = vec![
            format!("*.{peers}.{namespace}.svc"),
            format!("*.{peers}.{namespace}.svc.{domain}"),
            format!("{peers}.{namespace}.svc"),
            format!("{peers}.{namespace}.svc.{domain}"),
        ];
        match audience {
            Audience::Peer => {}
            Audience::Client => hosts.extend([
                name.clone(),
                format!("{name}.{namespace}"),
                format!("{name}.{namespace}.svc"),
                format!("{name}.{namespace}.svc.{domain}"),
                "localhost".to_owned(),
                "127.0.0.1".to_owned(),
                "::1".to_owned(),
            ]),
        }
        hosts
    }

    /// What our objects are found by.
    #[must_use]
    pub fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(ours("cluster"), self.name.clone())])
    }

    /// The labels of all our objects.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        for (key, value) in [
            ("app.kubernetes.io/name", "holdfast"),
            ("app.kubernetes.io/instance", &self.name),
            ("app.kubernetes.io/managed-by", MANAGER),
        ] {
            labels.insert(key.to_owned(), value.to_owned());
        }
        labels
    }
}
