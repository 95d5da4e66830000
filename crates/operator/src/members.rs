//! Talking to members: by their pods' addresses, under the names in their certificates.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use etcd_api::etcdserverpb::cluster_client::ClusterClient;
use etcd_api::etcdserverpb::maintenance_client::MaintenanceClient;
use etcd_api::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberRemoveRequest, MoveLeaderRequest, StatusRequest, StatusResponse,
};
use etcd_api::holdfast::admission_client::AdmissionClient;
use etcd_api::holdfast::{FirstMember, FormRequest, StateRequest, StateResponse};
use parking_lot::Mutex;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::certificates::Identity;
use crate::names::{CLIENT_PORT, Site};
use crate::plan::id::{MemberId, Ordinal};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_millis(800);

/// How long a question may take.
const ASK_LIMIT: Duration = Duration::from_millis(1500);

/// After this time what is not followed is read again.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// How long a change may take.
const CHANGE_LIMIT: Duration = Duration::from_secs(8);

/// A learner is not ready yet to vote.
#[derive(Debug, thiserror::Error)]
#[error("it is too early: {0}")]
pub struct TooEarly(String);

/// What is shown to the members of a cluster, and to which Secrets that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Papers {
    /// Connections are in the clear.
    None,
    /// The operator makes certificates. Holds the versions of the Secrets.
    Made {
        /// Of the one with the authorities.
        authority: Option<String>,
        /// Of the one with the certificate.
        leaf: Option<String>,
    },
    /// An issuer makes them. Holds the version of the Secret.
    Issued {
        /// Of the one with the certificate.
        leaf: Option<String>,
    },
    /// They lie in a Secret that is not followed.
    Given {
        /// Its name.
        secret: String,
    },
}

/// Connections to members, kept as long as nothing about them changes. Keys are not kept beside
/// them: they are read when a connection has to be made.
#[derive(Default)]
pub struct Dialer {
    clusters: Mutex<HashMap<(String, String), Lines>>,
}

struct Lines {
    papers: Papers,
    /// When what is shown was read.
    since: Instant,
    /// The hash of what is shown.
    shown: [u8; 32],
    lines: BTreeMap<Ordinal, Line>,
}

struct Line {
    address: String,
    channel: Channel,
}

/// A connection to one member.
#[derive(Clone, Debug)]
pub struct Member {
    channel: Channel,
}

impl Dialer {
    /// Connections to the pods at these addresses, each made when it is first used. What has to be
    /// shown is read only if there is one to be made, or if nobody tells when it changes.
    ///
    /// # Errors
    ///
    /// If what has to be shown cannot be read.
    pub async fn dial(
        &self,
        site: &Site,
        addresses: &BTreeMap<Ordinal, String>,
        papers: &Papers,
        read: impl Future<Output = Result<Option<Identity>>>,
    ) -> Result<BTreeMap<Ordinal, Member>> {
        let key = (site.namespace.clone(), site.name.clone());
        if addresses.is_empty() {
            self.clusters.lock().remove(&key);
            return Ok(BTreeMap::new());
        }
        if let Some(known) = self.known(&key, addresses, papers) {
            return Ok(known);
        }
        let identity = read.await?;
        let is_lacking = identity.is_none() && *papers != Papers::None;
        if is_lacking {
            return Ok(BTreeMap::new());
        }
        let shown = identity.as_ref().map(Identity::digest).unwrap_or_default();
        let mut clusters = self.clusters.lock();
        let before = clusters.remove(&key).filter(|before| before.shown == shown);
        let mut before = before.map(|before| before.lines).unwrap_or_default();
        let mut lines = BTreeMap::new();
        for (ordinal, address) in addresses {
            let kept = before.remove(ordinal).filter(|line| line.address == *address);
            let line =
                match kept.map_or_else(|| line(site, *ordinal, address, identity.as_ref()), Ok) {
                    Ok(line) => line,
                    Err(error) => {
                        let pod = ordinal.pod_name(&site.name);
                        tracing::warn!(error = format!("{error:#}"), pod, "cannot be asked");
                        continue;
                    }
                };
            lines.insert(*ordinal, line);
        }
        let members = lines.iter().map(|(ordinal, line)| (*ordinal, line.member())).collect();
        let papers = papers.clone();
        clusters.insert(key, Lines { papers, since: Instant::now(), shown, lines });
        Ok(members)
    }

    /// The connections, if there are all of them and nothing has changed.
    fn known(
        &self,
        key: &(String, String),
        addresses: &BTreeMap<Ordinal, String>,
        papers: &Papers,
    ) -> Option<BTreeMap<Ordinal, Member>> {
        let mut clusters = self.clusters.lock();
        let known = clusters.get_mut(key)?;
        let is_fresh = match papers {
            Papers::None | Papers::Made { .. } | Papers::Issued { .. } => true,
            Papers::Given { .. } => known.since.elapsed() < READ_AGAIN,
        };
        if known.papers != *papers || !is_fresh {
            return None;
        }
        // Those of pods that are gone.
        known.lines.retain(|ordinal, _| addresses.contains_key(ordinal));
        let member = |(ordinal, address): (&Ordinal, &String)| {
            let line = known.lines.get(ordinal).filter(|line| line.address == *address)?;
            Some((*ordinal, line.member()))
        };
        addresses.iter().map(member).collect()
    }

    /// Forgets the connections of a cluster that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.clusters.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }
}

impl Line {
    fn member(&self) -> Member {
        Member { channel: self.channel.clone() }
    }
}

/// A connection to one pod.
fn line(site: &Site, ordinal: Ordinal, address: &str, identity: Option<&Identity>) -> Result<Line> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let scheme = if identity.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{host}:{CLIENT_PORT}"))?
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true);
    if let Some(identity) = identity {
        let own = tonic::transport::Identity::from_pem(&identity.certificate, &identity.key);
        let tls = ClientTlsConfig::new()
            .domain_name(site.host(ordinal))
            .ca_certificate(Certificate::from_pem(&identity.bundle))
            .identity(own);
        endpoint = endpoint.tls_config(tls).context("the client certificate is unusable")?;
    }
    Ok(Line { address: address.to_owned(), channel: endpoint.connect_lazy() })
}

/// Waits no longer than a limit.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T> {
    let answer = tokio::time::timeout(limit, answer).await;
    let answer = answer.with_context(|| format!("no answer within {limit:?}"))?;
    // The text of the code and the message is enough.
    let answer =
        answer.map_err(|status| anyhow::anyhow!("{}: {}", status.code(), status.message()))?;
    Ok(answer.into_inner())
}

impl Member {
    /// Who it says that it is.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn state(&self) -> Result<StateResponse> {
        let mut client = AdmissionClient::new(self.channel.clone());
        within(ASK_LIMIT, client.state(StateRequest {})).await
    }

    /// How it is.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn status(&self) -> Result<StatusResponse> {
        let mut client = MaintenanceClient::new(self.channel.clone());
        within(ASK_LIMIT, client.status(StatusRequest {})).await
    }

    /// Who is in the cluster, confirmed by a leader.
    ///
    /// # Errors
    ///
    /// If no leader confirms it.
    pub async fn list(&self) -> Result<MemberListResponse> {
        let mut client = ClusterClient::new(self.channel.clone());
        within(ASK_LIMIT, client.member_list(MemberListRequest { linearizable: true })).await
    }

    /// Tells it to found a cluster of itself.
    ///
    /// # Errors
    ///
    /// If it cannot, or does not answer.
    pub async fn form(&self, token: String, name: String, peer_url: String) -> Result<()> {
        let mut client = AdmissionClient::new(self.channel.clone());
        let members = vec![FirstMember { name, peer_urls: vec![peer_url] }];
        within(CHANGE_LIMIT, client.form(FormRequest { token, members })).await.map(drop)
    }

    /// Adds a learner.
    ///
    /// # Errors
    ///
    /// If the cluster refuses, or does not answer.
    pub async fn add_learner(&self, peer_url: String) -> Result<()> {
        let mut client = ClusterClient::new(self.channel.clone());
        let request = MemberAddRequest { peer_ur_ls: vec![peer_url], is_learner: true };
        within(CHANGE_LIMIT, client.member_add(request)).await.map(drop)
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    ///
    /// If the cluster refuses, or does not answer.
    pub async fn promote(&self, id: MemberId) -> Result<()> {
        let mut client = ClusterClient::new(self.channel.clone());
        let request = MemberPromoteRequest { id: id.0 };
        // Whoever is in sync with the leader by our measure need not be so by the leader's.
        let promoted = async {
            match client.member_promote(request).await {
                Err(status) if status.code() == tonic::Code::FailedPrecondition => {
                    Ok(tonic::Response::new(Err(TooEarly(status.message().to_owned()))))
                }
                answer => answer.map(|_| tonic::Response::new(Ok(()))),
            }
        };
        Ok(within(CHANGE_LIMIT, promoted).await??)
    }

    /// Removes a member for good.
    ///
    /// # Errors
    ///
    /// If the cluster refuses, or does not answer.
    pub async fn remove(&self, id: MemberId) -> Result<()> {
        let mut client = ClusterClient::new(self.channel.clone());
        let request = MemberRemoveRequest { id: id.0 };
        within(CHANGE_LIMIT, client.member_remove(request)).await.map(drop)
    }

    /// Asks it, who leads, to let another lead.
    ///
    /// # Errors
    ///
    /// If it does not lead, or the other does not take over.
    pub async fn transfer(&self, heir: MemberId) -> Result<()> {
        let mut client = MaintenanceClient::new(self.channel.clone());
        let request = MoveLeaderRequest { target_id: heir.0 };
        within(CHANGE_LIMIT, client.move_leader(request)).await.map(drop)
    }
}
