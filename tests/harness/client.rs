//! Clients of one member: nothing is retried, and no other member is asked instead.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use etcd_api::etcdserverpb as pb;
use etcd_api::health::health_client::HealthClient;
use pb::cluster_client::ClusterClient;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// How long it may take to connect, or to give a sign of life when asked for one.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often to ask for a sign of life. Who asks more often than every five seconds is thrown out.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(6);

fn endpoint(url: &str) -> Result<Endpoint> {
    Ok(Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url} is no URL"))?
        .tcp_nodelay(true)
        .connect_timeout(SILENCE_MAX)
        .http2_keep_alive_interval(SIGN_OF_LIFE_EVERY)
        .keep_alive_timeout(SILENCE_MAX)
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20))
}

/// A connection to one member.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// A client of the member at `url`. It connects when it is first used, and again after a loss.
    /// Belongs to the runtime in which it is made.
    ///
    /// # Errors
    ///
    /// If `url` is none.
    pub fn new(url: &str) -> Result<Client> {
        Ok(Client { channel: endpoint(url)?.connect_lazy() })
    }

    /// A client that shows a certificate: in `directory` are `ca.crt`, `tls.crt` and `tls.key`, as
    /// in a Secret. They are read now, and not again.
    ///
    /// # Errors
    ///
    /// If `url` is none, or the files cannot be used.
    pub fn with_certificate(url: &str, directory: &Path) -> Result<Client> {
        // Kubernetes turns a link when a Secret changes: all three come from one version of it.
        let directory = std::fs::canonicalize(directory)
            .with_context(|| format!("there is no directory {}", directory.display()))?;
        let read = |name: &str| {
            let path = directory.join(name);
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.crt")?))
            .identity(Identity::from_pem(read("tls.crt")?, read("tls.key")?));
        let endpoint = endpoint(url)?.tls_config(tls);
        let endpoint = endpoint.with_context(|| format!("{} is unusable", directory.display()))?;
        Ok(Client { channel: endpoint.connect_lazy() })
    }

    /// The service of keys.
    #[must_use]
    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// The service of watches.
    #[must_use]
    pub fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    /// The service of leases.
    #[must_use]
    pub fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    /// The service of membership.
    #[must_use]
    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    /// The service of maintenance.
    #[must_use]
    pub fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    /// The service of health.
    #[must_use]
    pub fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    /// Writes a key. Returns the revision of the write.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn put(&self, key: &str, value: &str) -> Result<i64, Status> {
        let request = pb::PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            ..Default::default()
        };
        let response = self.kv().put(request).await?.into_inner();
        Ok(revision(response.header.as_ref()))
    }

    /// Reads a key from what a quorum knows.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn range(&self, key: &str) -> Result<pb::RangeResponse, Status> {
        let request = pb::RangeRequest { key: key.to_owned().into(), ..Default::default() };
        Ok(self.kv().range(request).await?.into_inner())
    }

    /// Asks the member how it is.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn status(&self) -> Result<pb::StatusResponse, Status> {
        Ok(self.maintenance().status(pb::StatusRequest {}).await?.into_inner())
    }

    /// Lists the members.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn members(&self) -> Result<Vec<pb::Member>, Status> {
        let request = pb::MemberListRequest { linearizable: true };
        Ok(self.cluster().member_list(request).await?.into_inner().members)
    }
}

/// Returns the revision that a response speaks of; zero if it has no header.
#[must_use]
pub fn revision(header: Option<&pb::ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}
