//! Talking to members: by their pods' addresses, under the names in their certificates.

use std::collections::HashMap;
use std::time::Duration;

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

/// How long a change may take.
const CHANGE_LIMIT: Duration = Duration::from_secs(8);

/// A learner is not ready yet to vote.
#[derive(Debug, thiserror::Error)]
#[error("it is too early: {0}")]
pub struct TooEarly(String);

/// Connections to members, kept as long as nothing about them changes.
#[derive(Default)]
pub struct Dialer {
    lines: Mutex<HashMap<(String, String, u32), Line>>,
}

struct Line {
    address: String,
    identity: Option<Identity>,
    channel: Channel,
}

/// A connection to one member.
#[derive(Clone, Debug)]
pub struct Member {
    channel: Channel,
}

impl Dialer {
    /// A connection to the pod at `address`, made when it is first used.
    ///
    /// # Errors
    ///
    /// If the certificates cannot be used.
    pub fn dial(
        &self,
        site: &Site,
        ordinal: Ordinal,
        address: &str,
        identity: Option<&Identity>,
    ) -> Result<Member> {
        let key = (site.namespace.clone(), site.name.clone(), ordinal.0);
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(&key)
            && line.address == address
            && line.identity.as_ref() == identity
        {
            return Ok(Member { channel: line.channel.clone() });
        }
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let scheme = if identity.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{host}:{CLIENT_PORT}"))?
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        if let Some(identity) = identity {
            let tls = ClientTlsConfig::new()
                .domain_name(site.host(ordinal))
                .ca_certificate(Certificate::from_pem(&identity.bundle))
                .identity(tonic::transport::Identity::from_pem(
                    &identity.certificate,
                    &identity.key,
                ));
            endpoint = endpoint.tls_config(tls).context("the client certificate is unusable")?;
        }
        let channel = endpoint.connect_lazy();
        let line = Line {
            address: address.to_owned(),
            identity: identity.cloned(),
            channel: channel.clone(),
        };
        lines.insert(key, line);
        Ok(Member { channel })
    }

    /// Forgets the connections of a cluster that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lines.lock().retain(|key, _| key.0 != namespace || key.1 != name);
    }
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
