//! The pages for those who do not speak gRPC: probes, monitoring, people with a browser.
//!
//! | page | says |
//! | --- | --- |
//! | `/health` | whether the member is fit to serve; `?serializable=true` asks about itself only |
//! | `/livez`, `/readyz` | the same for Kubernetes, check by check; `?verbose`, `?exclude=CHECK` |
//! | `/livez/CHECK`, `/readyz/CHECK` | one check |
//! | `/version` | what runs here, and what the cluster has agreed on |
//! | `/metrics` | counters, for Prometheus |
//! | `/debug/vars` | variables of the process, as JSON |
//!
//! Texts, codes and headers are etcd's, because probes and scripts compare them. What is behind the
//! pages comes from a [`Health`], which the member implements.
//!
//! # Left out
//!
//! - *The JSON gateway below `/v3/`.* It is answered 404 until it exists as a whole.
//! - *Headers for other origins, and a list of host names that may be asked for.* Nothing here
//!   changes anything, so that a page of somebody else's that asks can do no harm.
//!
//! References: etcd's `etcdhttp/health.go`, `version.go`, `debug.go` at 3.7.

mod checks;
mod page;
mod query;
#[cfg(test)]
pub(crate) mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;

pub use checks::{Check, Probe};

use checks::Answerer;
use query::Query;

/// A page on its way.
pub type PageFuture = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// The end of a question to the store: nothing, or the text of the error.
pub type ReadFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What the pages want to know of the member.
pub trait Health: Send + Sync + 'static {
    /// The alarms that are raised in the cluster.
    fn alarms(&self) -> Vec<Alarm>;

    /// Tells whether the member knows a leader.
    fn has_leader(&self) -> bool;

    /// Tells whether the member only receives.
    fn is_learner(&self) -> bool;

    /// Reads a key, whichever, and tells why it could not. Nobody waits for the answer longer than
    /// the time limit of the pages.
    fn read(&self, consistency: Consistency) -> ReadFuture;

    /// What runs here.
    fn versions(&self) -> Versions;

    /// All metrics, in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Variables of the process, by name.
    fn variables(&self) -> serde_json::Map<String, serde_json::Value>;

    /// A check was done; to be counted.
    fn on_check(&self, probe: Probe, check: Check, result: CheckResult);
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// What this member knows.
    Serializable,
    /// What the cluster has agreed on.
    Linearizable,
}

/// What can be wrong with a whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A member's store has reached its quota.
    NoSpace,
    /// Members differ in what they hold.
    Corrupt,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// All is well.
    Passed,
    /// It is not.
    Failed,
}

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The version of etcd that this binary is to be taken for, such as `3.7.1`.
    pub server: String,
    /// What all members of the cluster can do, such as `3.7.0`; `None` until they have agreed.
    pub cluster: Option<String>,
    /// The version of the format of the store; `None` if it is not known yet.
    pub storage: Option<String>,
}

/// All pages.
pub struct Pages {
    health: Arc<dyn Health>,
    read_timeout: Duration,
}

impl Pages {
    /// The pages about a member. A read of theirs that takes longer than `read_timeout` has failed.
    #[must_use]
    pub fn new(health: Arc<dyn Health>, read_timeout: Duration) -> Pages {
        Pages { health, read_timeout }
    }

    /// The answer where there are no pages.
    #[must_use]
    pub fn nothing() -> PageFuture {
        Box::pin(std::future::ready(page::not_found()))
    }

    /// Answers a request. Its body is of no interest to any page.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> PageFuture {
        let path = request.uri().path();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let answerer =
            Answerer { health: Arc::clone(&self.health), read_timeout: self.read_timeout };
        let page = match path {
            "/health" if is_get(request) => return Box::pin(answerer.health(query)),
            "/version" if is_get(request) => page::versions(&self.health.versions()),
            "/debug/vars" if is_get(request) => page::variables(&self.health.variables()),
            "/health" | "/version" | "/debug/vars" => page::method_not_allowed(),
            "/metrics" => page::metrics(self.health.metrics()),
            _ => match checks::find(path) {
                Some(asked) if is_get(request) => {
                    return Box::pin(answerer.probe(asked, query));
                }
                Some(_) => page::method_not_allowed(),
                None => page::not_found(),
            },
        };
        Box::pin(std::future::ready(page))
    }
}

fn is_get<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
}
