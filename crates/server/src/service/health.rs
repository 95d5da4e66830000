//! Whether the server is fit, for gRPC clients that ask.

use std::pin::Pin;
use std::sync::Arc;

use etcd_api::health::health_check_response::ServingStatus;
use etcd_api::health::health_server::Health;
use etcd_api::health::{HealthCheckRequest, HealthCheckResponse};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::call::{Counted, Method};
use crate::metrics::Metrics;

const NAME: &str = "grpc.health.v1.Health";

/// Tells that the server is fit, as long as it runs. That is said of all services at once, under
/// the empty name, as in etcd.
#[derive(Clone, Debug)]
pub struct HealthService {
    methods: Methods,
}

impl HealthService {
    /// Makes the service.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>) -> HealthService {
        HealthService { methods: Methods::new(metrics) }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// The answers of `Watch`: one now, and none as long as nothing changes.
type Changes = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[derive(Clone, Debug)]
struct Methods {
    check: Method,
    watch: Method,
}

impl Methods {
    fn new(metrics: &Arc<Metrics>) -> Methods {
        let method = |name| Method::new(metrics, NAME, name);
        Methods { check: method("Check"), watch: method("Watch") }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Counted<Changes>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let check = async {
            if request.get_ref().service.is_empty() {
                Ok(answer(ServingStatus::Serving))
            } else {
                Err(Status::not_found("unknown service"))
            }
        };
        self.methods.check.answer(check).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = async {
            let status = if request.get_ref().service.is_empty() {
                ServingStatus::Serving
            } else {
                // It may come into being, so the protocol has the client wait.
                ServingStatus::ServiceUnknown
            };
            let now = tokio_stream::once(Ok(answer(status)));
            let changes: Changes = Box::pin(now.chain(tokio_stream::pending()));
            Ok(changes)
        };
        self.methods.watch.stream(watch).await
    }
}
