//! What operators need.

mod downgrade;
mod snapshot;

use std::sync::Arc;
use std::time::Instant;

use etcd_api::etcdserverpb as api;
use etcd_api::etcdserverpb::alarm_request::AlarmAction as Action;
use etcd_api::etcdserverpb::maintenance_server::Maintenance;
use raft::MemberId;
use replica::Published;
use store::{AlarmAction, AlarmKind, Command, Response as Executed};
use tonic::{Request, Response, Status};

use super::call::{Counted, Method};
use super::door::{Door, Learner, UntilLeaderLost, unexpected};
use crate::config::ETCD_VERSION;
use crate::convert;
use crate::metrics::{Metrics, RequestKind};
use crate::status::{Refusal, refused, unknown};
use downgrade::storage_version;
use snapshot::Parts;

const NAME: &str = "etcdserverpb.Maintenance";

/// Serves operators.
#[derive(Clone, Debug)]
pub struct MaintenanceService {
    door: Door,
    metrics: Arc<Metrics>,
    methods: Methods,
}

impl MaintenanceService {
    /// Makes the service.
    #[must_use]
    pub fn new(door: Door, metrics: Arc<Metrics>) -> MaintenanceService {
        let methods = Methods::new(&metrics);
        MaintenanceService { door, metrics, methods }
    }

    // === Alarms ===

    async fn change_alarm(
        &self,
        request: Request<api::AlarmRequest>,
    ) -> Result<api::AlarmResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        let api::AlarmRequest { action, member_id: member, alarm } = request.into_inner();
        let kind = convert::alarm_kind(alarm)?;
        let action = match Action::try_from(action) {
            Ok(Action::Get) => return self.list_alarms(kind).await,
            // None of them is raised by raising "every kind".
            Ok(Action::Activate) if kind == AlarmKind::None => {
                let header = self.door.header(&self.door.handle().published());
                return Ok(api::AlarmResponse { header: Some(header.message()), alarms: vec![] });
            }
            Ok(Action::Activate) => AlarmAction::Activate,
            Ok(Action::Deactivate) => AlarmAction::Deactivate,
            Err(_) => {
                let known = "0 (GET), 1 (ACTIVATE), 2 (DEACTIVATE)";
                return Err(unknown("alarm.action", action, known));
            }
        };
        let command = Command::Alarm { action, member, kind };
        let done = self.door.handle().propose(command).await.map_err(refused)?;
        let header = Some(self.door.header_of(&done).message());
        let Executed::Alarm(changed) = done.applied.result.map_err(refused)? else { unexpected() };
        let alarms = changed.into_iter().map(alarm_message).collect();
        Ok(api::AlarmResponse { header, alarms })
    }

    async fn list_alarms(&self, kind: AlarmKind) -> Result<api::AlarmResponse, Status> {
        let published = self.door.handle().read_index().await.map_err(refused)?;
        let is_wanted = |(_, raised): &&(u64, AlarmKind)| match kind {
            AlarmKind::None => true,
            AlarmKind::NoSpace | AlarmKind::Corrupt => *raised == kind,
        };
        let alarms = published.alarms.iter().filter(is_wanted).copied().map(alarm_message);
        Ok(api::AlarmResponse {
            alarms: alarms.collect(),
            header: Some(self.door.header(&published).message()),
        })
    }

    // === What the member tells about itself ===

    fn tell_status(
        &self,
        request: &Request<api::StatusRequest>,
    ) -> Result<api::StatusResponse, Status> {
        let published = self.door.look(request.metadata(), Learner::Serves)?;
        let handle = self.door.handle();
        let status = handle.status();
        // Nothing is ever allocated and unused, and only what is live counts against the quota.
        // Clients divide by it, so that it is never zero.
        let bytes = status.live_bytes.max(1).cast_signed();
        // The status may be a tick older than what is published.
        let applied = published.applied.index.0;
        Ok(api::StatusResponse {
            header: Some(self.door.header(&published).message()),
            version: ETCD_VERSION.to_owned(),
            db_size: bytes,
            leader: published.leader.map_or(0, |leader| leader.0),
            raft_index: status.core.committed.0.max(applied),
            raft_term: published.term.0,
            raft_applied_index: applied,
            errors: errors(&published),
            db_size_in_use: bytes,
            is_learner: self.door.is_learner(&published),
            storage_version: storage_version(&published),
            db_size_quota: handle.identity().quota_bytes.cast_signed(),
            downgrade_info: Some(match &published.downgrade {
                Some(target) => {
                    api::DowngradeInfo { enabled: true, target_version: target.to_string() }
                }
                None => api::DowngradeInfo::default(),
            }),
        })
    }

    async fn hash_everything(
        &self,
        request: Request<api::HashRequest>,
    ) -> Result<api::HashResponse, Status> {
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let header = Some(self.door.header(&published).message());
        Ok(api::HashResponse { header, hash: folded(published.view.digest()) })
    }

    async fn hash_keys(
        &self,
        request: Request<api::HashKvRequest>,
    ) -> Result<api::HashKvResponse, Status> {
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let header = Some(self.door.header(&published).message());
        let revision = request.into_inner().revision;
        // It looks at everything, and others wait for this thread.
        let view = published.view.clone();
        let begun = Instant::now();
        let hash = tokio::task::spawn_blocking(move || store::hash_kv(&view, revision)).await;
        let hash = hash.expect("hashing does not panic").map_err(refused)?;
        self.metrics.mvcc.hash_revision.observe(begun.elapsed());
        Ok(api::HashKvResponse {
            header,
            hash: folded(hash.hash),
            compact_revision: hash.compacted.map_or(-1, |revision| revision.0.cast_signed()),
            hash_revision: hash.revision.0.cast_signed(),
        })
    }

    // === What the member is told to do ===

    async fn start_defragmenting(
        &self,
        request: Request<api::DefragmentRequest>,
    ) -> Result<api::DefragmentResponse, Status> {
        self.door.enter(request.metadata(), Learner::Refuses).await?;
        // Nothing is ever fragmented: memory is given back as history is compacted, and the files
        // of the log and the checkpoints are written anew all the time. etcd gives no header.
        Ok(api::DefragmentResponse { header: None })
    }

    async fn move_leader_to(
        &self,
        request: Request<api::MoveLeaderRequest>,
    ) -> Result<api::MoveLeaderResponse, Status> {
        let published = self.door.enter(request.metadata(), Learner::Refuses).await?;
        let heir = MemberId(request.into_inner().target_id);
        if published.leader != Some(MemberId(self.door.handle().identity().member_id)) {
            return Err(Refusal::NotLeader.into());
        }
        if published.leader == Some(heir) {
            return Ok(api::MoveLeaderResponse { header: None });
        }
        let outcome = self.door.handle().transfer(Some(heir)).await.map_err(refused)?;
        outcome.map_err(refused)?;
        Ok(api::MoveLeaderResponse { header: None })
    }
}

fn alarm_message((member_id, kind): (u64, AlarmKind)) -> api::AlarmMember {
    let alarm = match kind {
        AlarmKind::None => api::AlarmType::None,
        AlarmKind::NoSpace => api::AlarmType::Nospace,
        AlarmKind::Corrupt => api::AlarmType::Corrupt,
    };
    api::AlarmMember { member_id, alarm: alarm.into() }
}

/// Says what is wrong, in the words of etcd: alarms as Go prints the message.
fn errors(published: &Published) -> Vec<String> {
    let leaderless = published.leader.is_none().then(|| Refusal::NoLeader.text().to_owned());
    let alarms = published.alarms.iter().map(|(member, kind)| {
        let kind = match kind {
            AlarmKind::None => "NONE",
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
        };
        format!("memberID:{member} alarm:{kind}")
    });
    leaderless.into_iter().chain(alarms).collect()
}

/// Makes 32 bits of 64, which is what the message has room for.
fn folded(hash: u64) -> u32 {
    u32::try_from((hash >> 32) ^ (hash & u64::from(u32::MAX))).expect("32 bits are left")
}

#[derive(Clone, Debug)]
struct Methods {
    alarm: Method,
    status: Method,
    defragment: Method,
    hash_kv: Method,
    hash: Method,
    snapshot: Method,
    move_leader: Method,
    downgrade: Method,
}

impl Methods {
    fn new(metrics: &Arc<Metrics>) -> Methods {
        let method = |name| Method::new(metrics, NAME, name);
        Methods {
            alarm: method("Alarm"),
            status: method("Status"),
            defragment: method("Defragment"),
            hash_kv: method("HashKV"),
            hash: method("Hash"),
            snapshot: method("Snapshot"),
            move_leader: method("MoveLeader"),
            downgrade: method("Downgrade"),
        }
    }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    type SnapshotStream = Counted<UntilLeaderLost<Parts>>;

    async fn alarm(
        &self,
        request: Request<api::AlarmRequest>,
    ) -> Result<Response<api::AlarmResponse>, Status> {
        self.methods.alarm.answer_kind(RequestKind::Alarm, self.change_alarm(request)).await
    }

    async fn status(
        &self,
        request: Request<api::StatusRequest>,
    ) -> Result<Response<api::StatusResponse>, Status> {
        self.methods.status.answer(async { self.tell_status(&request) }).await
    }

    async fn defragment(
        &self,
        request: Request<api::DefragmentRequest>,
    ) -> Result<Response<api::DefragmentResponse>, Status> {
        self.methods.defragment.answer(self.start_defragmenting(request)).await
    }

    async fn hash(
        &self,
        request: Request<api::HashRequest>,
    ) -> Result<Response<api::HashResponse>, Status> {
        self.methods.hash.answer(self.hash_everything(request)).await
    }

    async fn hash_kv(
        &self,
        request: Request<api::HashKvRequest>,
    ) -> Result<Response<api::HashKvResponse>, Status> {
        self.methods.hash_kv.answer(self.hash_keys(request)).await
    }

    async fn snapshot(
        &self,
        request: Request<api::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        self.methods.snapshot.stream(self.send_image(request)).await
    }

    async fn move_leader(
        &self,
        request: Request<api::MoveLeaderRequest>,
    ) -> Result<Response<api::MoveLeaderResponse>, Status> {
        self.methods.move_leader.answer(self.move_leader_to(request)).await
    }

    async fn downgrade(
        &self,
        request: Request<api::DowngradeRequest>,
    ) -> Result<Response<api::DowngradeResponse>, Status> {
        self.methods
            .downgrade
            .answer_kind(RequestKind::DowngradeInfoSet, self.change_version(request))
            .await
    }
}
