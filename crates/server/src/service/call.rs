//! What is done around every call: the one place where calls are counted and timed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio_stream::Stream;
use tonic::{Code, Response, Status};

use crate::metrics::{MethodMetrics, Metrics, Outcome, RequestKind};

/// A method of a service, and what is counted of it.
#[derive(Clone, Debug)]
pub struct Method {
    service: &'static str,
    name: &'static str,
    rpc: Arc<MethodMetrics>,
    metrics: Arc<Metrics>,
}

/// A call with one answer that is being served. If its client goes, it is dropped.
struct Unary<'m> {
    method: &'m Method,
    begun: Instant,
    is_ended: bool,
}

impl Method {
    /// Names a method.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>, service: &'static str, name: &'static str) -> Method {
        let rpc = metrics.rpc.method(service, name).expect("what is served is counted");
        Method { service, name, rpc: Arc::clone(rpc), metrics: Arc::clone(metrics) }
    }

    /// Serves a call with one answer.
    ///
    /// # Errors
    ///
    /// That of the work.
    pub async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<Response<T>, Status> {
        self.rpc.on_start();
        self.rpc.on_received();
        let call = Unary { method: self, begun: Instant::now(), is_ended: false };
        let result = work.await;
        call.end(&result);
        result.map(Response::new)
    }

    /// Serves a call with one answer, which is also counted as a request of a kind.
    ///
    /// # Errors
    ///
    /// That of the work.
    pub async fn answer_kind<T>(
        &self,
        kind: RequestKind,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<Response<T>, Status> {
        let begun = Instant::now();
        let result = self.answer(work).await;
        let outcome = if result.is_ok() { Outcome::Success } else { Outcome::Failure };
        self.metrics.member.on_request(kind, outcome, begun.elapsed());
        result
    }

    /// Serves a call with many answers.
    ///
    /// # Errors
    ///
    /// That of the work.
    pub async fn stream<S>(
        &self,
        work: impl Future<Output = Result<S, Status>>,
    ) -> Result<Response<Counted<S>>, Status> {
        self.rpc.on_start();
        let begun = Instant::now();
        match work.await {
            Ok(answers) => {
                let call = Some((self.clone(), begun));
                Ok(Response::new(Counted { answers: Box::pin(answers), call }))
            }
            Err(status) => {
                self.on_end(begun, Some(&status));
                Err(status)
            }
        }
    }

    /// Counts a message from the client, where [`Method::answer`] does not.
    pub fn on_received(&self) {
        self.rpc.on_received();
    }

    fn on_end(&self, begun: Instant, refusal: Option<&Status>) {
        self.rpc.on_end(refusal.map_or(Code::Ok, Status::code), begun.elapsed());
        if let Some(status) = refusal {
            let (service, name) = (self.service, self.name);
            tracing::debug!(service, method = name, %status, "call refused");
        }
    }
}

impl Unary<'_> {
    fn end<T>(mut self, result: &Result<T, Status>) {
        self.is_ended = true;
        if result.is_ok() {
            self.method.rpc.on_sent();
        }
        self.method.on_end(self.begun, result.as_ref().err());
    }
}

impl Drop for Unary<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.method.on_end(self.begun, Some(&gone()));
        }
    }
}

fn gone() -> Status {
    Status::cancelled("the client has gone")
}

/// Answers of one call, whose number and end are counted.
#[derive(Debug)]
pub struct Counted<S> {
    answers: Pin<Box<S>>,
    /// The method, and when it was called; `None` once the call has ended.
    call: Option<(Method, Instant)>,
}

impl<S, T> Stream for Counted<S>
where
    S: Stream<Item = Result<T, Status>>,
{
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let next = std::task::ready!(self.answers.as_mut().poll_next(context));
        let refusal = match &next {
            Some(Ok(_)) => {
                if let Some((method, _)) = &self.call {
                    method.rpc.on_sent();
                }
                return Poll::Ready(next);
            }
            Some(Err(status)) => Some(status),
            None => None,
        };
        if let Some((method, begun)) = self.call.take() {
            method.on_end(begun, refusal);
        }
        Poll::Ready(next)
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        if let Some((method, begun)) = self.call.take() {
            method.on_end(begun, Some(&gone()));
        }
    }
}
