//! Keys that live as long as somebody cares.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::lease_server::Lease;
use store::{Command, Response as Executed};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::call::{Counted, Method};
use super::door::{Door, Learner, UntilLeaderLost, unexpected};
use crate::dice;
use crate::member;
use crate::metrics::{Metrics, RequestKind};
use crate::status::refused;

const NAME: &str = "etcdserverpb.Lease";

/// Grants leases and keeps them alive.
#[derive(Clone, Debug)]
pub struct LeaseService {
    door: Door,
    /// The shortest time to live in seconds: a lease must survive an election.
    ttl_min: i64,
    methods: Methods,
}

impl LeaseService {
    /// Makes the service.
    #[must_use]
    pub fn new(door: Door, metrics: &Arc<Metrics>) -> LeaseService {
        let ttl_min = ttl_min(door.handle().identity().election_timeout);
        LeaseService { door, ttl_min, methods: Methods::new(metrics) }
    }

    async fn grant(
        &self,
        request: Request<api::LeaseGrantRequest>,
    ) -> Result<api::LeaseGrantResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let request = request.into_inner();
        let id = if request.id == 0 { drawn_id() } else { request.id };
        let ttl = request.ttl.max(self.ttl_min);
        let done = self.propose(Command::LeaseGrant { id, ttl }).await?;
        let header = Some(self.door.header_of(&done).message());
        let Executed::LeaseGrant { ttl } = done.applied.result.map_err(refused)? else {
            unexpected()
        };
        Ok(api::LeaseGrantResponse { header, id, ttl, error: String::new() })
    }

    async fn revoke(
        &self,
        request: Request<api::LeaseRevokeRequest>,
    ) -> Result<api::LeaseRevokeResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let id = request.into_inner().id;
        let done = self.propose(Command::LeaseRevoke { id }).await?;
        let header = Some(self.door.header_of(&done).message());
        done.applied.result.map_err(refused)?;
        Ok(api::LeaseRevokeResponse { header })
    }

    async fn propose(&self, command: Command) -> Result<member::Executed, Status> {
        self.door.handle().propose(command).await.map_err(refused)
    }

    async fn keep_alive(
        &self,
        request: Request<Streaming<api::LeaseKeepAliveRequest>>,
    ) -> Result<UntilLeaderLost<KeptAlive>, Status> {
        let metadata = request.metadata().clone();
        self.door.enter(&metadata, Learner::Refuses).await?;
        let method = self.methods.keep_alive.clone();
        let door = self.door.clone();
        let answers = request.into_inner().then(move |request| {
            method.on_received();
            let door = door.clone();
            async move { renew(&door, request?.id).await }
        });
        Ok(self.door.until_leader_lost(&metadata, Box::pin(answers)))
    }

    async fn time_to_live(
        &self,
        request: Request<api::LeaseTimeToLiveRequest>,
    ) -> Result<api::LeaseTimeToLiveResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let api::LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let life = self.door.handle().lease_time_to_live(id).await.map_err(refused)?;
        let published = self.door.handle().published();
        let header = Some(self.door.header(&published).message());
        let Some(granted_ttl) = life.granted else {
            let keys = Vec::new();
            return Ok(api::LeaseTimeToLiveResponse { header, id, ttl: -1, granted_ttl: 0, keys });
        };
        let keys = if keys {
            self.door.handle().lease_keys(id).await.map_err(refused)?.into_iter().collect()
        } else {
            Vec::new()
        };
        Ok(api::LeaseTimeToLiveResponse { header, id, ttl: life.remaining, granted_ttl, keys })
    }

    async fn list(
        &self,
        request: Request<api::LeaseLeasesRequest>,
    ) -> Result<api::LeaseLeasesResponse, Status> {
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let header = Some(self.door.header(&published).message());
        let ids = self.door.handle().leases().await.map_err(refused)?;
        let leases = ids.into_iter().map(|id| api::LeaseStatus { id }).collect();
        Ok(api::LeaseLeasesResponse { header, leases })
    }
}

async fn renew(door: &Door, id: i64) -> Result<api::LeaseKeepAliveResponse, Status> {
    // The header is that before the question: a client that then sees the lease end at a later
    // revision knows that it was alive at this one.
    let header = Some(door.header(&door.handle().published()).message());
    let life = door.handle().lease_renew(id).await.map_err(refused)?;
    Ok(api::LeaseKeepAliveResponse { header, id, ttl: life.granted.unwrap_or(0) })
}

/// Returns one and a half election timeouts in seconds, rounded up.
fn ttl_min(election_timeout: Duration) -> i64 {
    let millis = election_timeout.as_millis() * 3 / 2;
    i64::try_from(millis.div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// Draws an ID that is positive, and new as far as chance goes.
fn drawn_id() -> i64 {
    (dice::random() >> 1).max(1).cast_signed()
}

/// The answers of `LeaseKeepAlive`.
type KeptAlive = Pin<Box<dyn Stream<Item = Result<api::LeaseKeepAliveResponse, Status>> + Send>>;

#[derive(Clone, Debug)]
struct Methods {
    grant: Method,
    revoke: Method,
    keep_alive: Method,
    time_to_live: Method,
    leases: Method,
}

impl Methods {
    fn new(metrics: &Arc<Metrics>) -> Methods {
        let method = |name| Method::new(metrics, NAME, name);
        Methods {
            grant: method("LeaseGrant"),
            revoke: method("LeaseRevoke"),
            keep_alive: method("LeaseKeepAlive"),
            time_to_live: method("LeaseTimeToLive"),
            leases: method("LeaseLeases"),
        }
    }
}

#[tonic::async_trait]
impl Lease for LeaseService {
    type LeaseKeepAliveStream = Counted<UntilLeaderLost<KeptAlive>>;

    async fn lease_grant(
        &self,
        request: Request<api::LeaseGrantRequest>,
    ) -> Result<Response<api::LeaseGrantResponse>, Status> {
        self.methods.grant.answer_kind(RequestKind::LeaseGrant, self.grant(request)).await
    }

    async fn lease_revoke(
        &self,
        request: Request<api::LeaseRevokeRequest>,
    ) -> Result<Response<api::LeaseRevokeResponse>, Status> {
        self.methods.revoke.answer_kind(RequestKind::LeaseRevoke, self.revoke(request)).await
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<api::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        self.methods.keep_alive.stream(self.keep_alive(request)).await
    }

    async fn lease_time_to_live(
        &self,
        request: Request<api::LeaseTimeToLiveRequest>,
    ) -> Result<Response<api::LeaseTimeToLiveResponse>, Status> {
        self.methods.time_to_live.answer(self.time_to_live(request)).await
    }

    async fn lease_leases(
        &self,
        request: Request<api::LeaseLeasesRequest>,
    ) -> Result<Response<api::LeaseLeasesResponse>, Status> {
        self.methods.leases.answer(self.list(request)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_survives_an_election_and_a_half() {
        for (millis, seconds) in [(1_000, 2), (100, 1), (2_000, 3), (50_000, 75)] {
            assert_eq!(ttl_min(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
