//! The question and the order that a member takes before it is one: see `Admission` in
//! `proto/holdfast`.

use std::collections::BTreeSet;
use std::sync::Arc;

use etcd_api::holdfast::admission_server::Admission;
use etcd_api::holdfast::{FormRequest, FormResponse, StateRequest, StateResponse};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use super::Identity;
use crate::bootstrap::{self, InitialCluster};

/// An order to found a cluster, and where to say what became of it.
pub(crate) struct Order {
    pub(crate) request: FormRequest,
    pub(crate) outcome: oneshot::Sender<Result<FormResponse, Status>>,
}

/// The service while a member awaits admission.
#[derive(Clone)]
pub(crate) struct Awaiting {
    why: Arc<Mutex<String>>,
    orders: mpsc::Sender<Order>,
}

/// What the one who waits hears.
pub(crate) struct Orders {
    why: Arc<Mutex<String>>,
    orders: mpsc::Receiver<Order>,
}

/// Makes both ends.
pub(crate) fn awaiting() -> (Awaiting, Orders) {
    let why = Arc::new(Mutex::new("asks its peers".to_owned()));
    let (sender, orders) = mpsc::channel(1);
    (Awaiting { why: why.clone(), orders: sender }, Orders { why, orders })
}

impl Orders {
    /// Says what is waited for now. Returns whether that is news.
    pub(crate) fn wait_for(&self, why: &str) -> bool {
        let mut known = self.why.lock();
        let is_news = *known != why;
        why.clone_into(&mut known);
        is_news
    }

    /// Waits for an order.
    pub(crate) async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            // Nobody can order any more.
            None => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl Admission for Awaiting {
    async fn state(
        &self,
        _request: Request<StateRequest>,
    ) -> Result<Response<StateResponse>, Status> {
        let awaiting = self.why.lock().clone();
        Ok(Response::new(StateResponse { cluster_id: 0, member_id: 0, awaiting }))
    }

    async fn form(&self, request: Request<FormRequest>) -> Result<Response<FormResponse>, Status> {
        let gone =
            |_| Status::unavailable("the member was admitted meanwhile, or stops: ask again");
        let (outcome, answer) = oneshot::channel();
        let order = Order { request: request.into_inner(), outcome };
        self.orders.send(order).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?.map(Response::new)
    }
}

/// The members that an order names.
///
/// # Errors
///
/// If it names none, one twice, or one without addresses.
pub(crate) fn first_members(request: &FormRequest) -> Result<InitialCluster, Status> {
    let mut names = BTreeSet::new();
    let mut text = String::new();
    for member in &request.members {
        let is_plain = !member.name.is_empty() && !member.name.contains(['=', ',']);
        if !is_plain || !names.insert(&member.name) || member.peer_urls.is_empty() {
            return Err(Status::invalid_argument(format!(
                "each member wants a name of its own without `=` and `,`, and peer URLs; {:?} has \
                 {:?}",
                member.name, member.peer_urls
            )));
        }
        for url in &member.peer_urls {
            text.push_str(&format!("{}={url},", member.name));
        }
    }
    if names.is_empty() {
        return Err(Status::invalid_argument("no members are named: name at least one"));
    }
    InitialCluster::parse(&text)
        .map_err(|error| Status::invalid_argument(format!("the list of members {error}")))
}

/// The service of a member.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) identity: Identity,
}

#[tonic::async_trait]
impl Admission for Admitted {
    async fn state(
        &self,
        _request: Request<StateRequest>,
    ) -> Result<Response<StateResponse>, Status> {
        let Identity { cluster_id, member_id, .. } = self.identity;
        Ok(Response::new(StateResponse { cluster_id, member_id, awaiting: String::new() }))
    }

    async fn form(&self, request: Request<FormRequest>) -> Result<Response<FormResponse>, Status> {
        let Identity { cluster_id, member_id, .. } = self.identity;
        let request = request.into_inner();
        let members = first_members(&request)?;
        let ids = members.members().map(|(_, urls)| bootstrap::member_id(urls, &request.token));
        let asked = bootstrap::cluster_id(ids);
        if asked != cluster_id {
            return Err(Status::failed_precondition(format!(
                "this is member {member_id:x} of cluster {cluster_id:x} already, and was to found \
                 cluster {asked:x}: a member stays with its cluster"
            )));
        }
        Ok(Response::new(FormResponse { cluster_id, member_id }))
    }
}
