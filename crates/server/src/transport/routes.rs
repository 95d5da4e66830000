//! Which service answers a call.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tower_service::Service;

/// The answer of a service to come.
pub(super) type Call = BoxFuture<Response<Body>, Infallible>;

/// The services of one shard, by name.
#[derive(Default)]
pub struct Routes {
    services: Vec<(&'static str, Box<dyn Answers>)>,
}

/// A service whose type was forgotten.
trait Answers: Send + Sync {
    fn answer(&self, request: Request<Incoming>) -> Call;
}

impl<S> Answers for S
where
    S: Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + Clone
        + Send
        + Sync,
{
    fn answer(&self, request: Request<Incoming>) -> Call {
        // Generated services are always ready, and are one counted pointer.
        self.clone().call(request)
    }
}

impl Routes {
    /// Without any service.
    #[must_use]
    pub fn new() -> Routes {
        Routes::default()
    }

    /// Adds a service as tonic generates it.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Routes
    where
        S: Service<
                Request<Incoming>,
                Response = Response<Body>,
                Error = Infallible,
                Future = BoxFuture<Response<Body>, Infallible>,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let name = S::NAME;
        assert!(self.find(name).is_none(), "service {name} was added twice");
        self.services.push((name, Box::new(service)));
        self
    }

    fn find(&self, name: &str) -> Option<&dyn Answers> {
        let (_, service) = self.services.iter().find(|(known, _)| *known == name)?;
        Some(service.as_ref())
    }

    /// Calls the service that the path `/service/method` names.
    pub(super) fn answer(&self, request: Request<Incoming>) -> Result<Call, Status> {
        let path = request.uri().path();
        let Some((name, _method)) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/'))
        else {
            return Err(Status::unimplemented(format!("malformed method name: {path:?}")));
        };
        match self.find(name) {
            Some(service) => Ok(service.answer(request)),
            None => Err(Status::unimplemented(format!("unknown service {name}"))),
        }
    }
}
