//! One request: to a service, or to a page.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::Status;

use super::listener::Serves;
use super::oversize;
use super::peer::Peer;
use super::routes::{Call, Routes};
use super::traced::{TracedBody, TracedCall};
use crate::http::{PageFuture, Pages};
use crate::spans::{CallSpan, Spans};

/// Sends the requests of one connection to where they are answered.
#[derive(Clone)]
pub(super) struct Dispatch {
    pub(super) routes: Arc<Routes>,
    pub(super) pages: Arc<Pages>,
    pub(super) serves: Serves,
    pub(super) peer: Arc<Peer>,
    /// `None` if no call has a span.
    pub(super) spans: Option<Arc<Spans>>,
}

/// The answer to a request, on its way.
pub(super) enum Answer {
    /// A call.
    Call(Call),
    /// A call that has a span.
    Traced(Box<TracedCall>),
    /// A page.
    Page(PageFuture),
    /// It was clear at once. `None` when it was taken.
    Known(Option<Response<Status>>),
}

/// The body of any answer.
pub(super) enum AnswerBody {
    /// Of a call.
    Call(tonic::body::Body),
    /// Of a call that has a span.
    Traced(Box<TracedBody>),
    /// Of a page.
    Page(Full<Bytes>),
    /// Of a call that was refused, whose headers say everything.
    Empty,
}

impl hyper::service::Service<Request<Incoming>> for Dispatch {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        let is_call = is_grpc(&request);
        match self.serves {
            Serves::Calls if !is_call => return Answer::Page(Pages::nothing()),
            Serves::Pages if is_call => {
                return refuse(Status::unimplemented("this address serves pages of HTTP only"));
            }
            Serves::All | Serves::Calls | Serves::Pages => {}
        }
        if !is_call {
            return Answer::Page(self.pages.answer(&request));
        }
        request.extensions_mut().insert(Arc::clone(&self.peer));
        if let Some(spans) = &self.spans
            && let Some(span) = spans.begin(request.uri().path(), request.headers())
        {
            return self.trace(request, span);
        }
        match self.routes.answer(request) {
            Ok(call) => Answer::Call(call),
            Err(status) => refuse(status),
        }
    }
}

impl Dispatch {
    /// Makes a call that has a span.
    #[cold]
    fn trace(&self, request: Request<Incoming>, span: CallSpan) -> Answer {
        match self.routes.answer(request) {
            Ok(call) => Answer::Traced(Box::new(TracedCall::new(call, span))),
            Err(status) => {
                span.end(&status);
                refuse(status)
            }
        }
    }
}

fn refuse(status: Status) -> Answer {
    Answer::Known(Some(Response::new(status)))
}

/// Tells whether a request is a call of gRPC.
fn is_grpc(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_2
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl Future for Answer {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Answer::Call(call) => {
                let Ok(mut response) = ready!(call.as_mut().poll(cx));
                oversize::reword(response.headers_mut());
                Poll::Ready(Ok(response.map(AnswerBody::Call)))
            }
            Answer::Traced(call) => call.poll(cx).map(Ok),
            Answer::Page(page) => page.as_mut().poll(cx).map(|page| Ok(page.map(AnswerBody::Page))),
            Answer::Known(response) => {
                let status = response.take().expect("nobody polls after the answer").into_body();
                Poll::Ready(Ok(status.into_http::<()>().map(|()| AnswerBody::Empty)))
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            AnswerBody::Call(body) => Pin::new(body).poll_frame(cx),
            AnswerBody::Traced(body) => Pin::new(body.as_mut()).poll_frame(cx),
            AnswerBody::Page(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            AnswerBody::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Call(body) => body.is_end_stream(),
            AnswerBody::Traced(body) => body.is_end_stream(),
            AnswerBody::Page(body) => body.is_end_stream(),
            AnswerBody::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Call(body) => body.size_hint(),
            AnswerBody::Traced(body) => body.size_hint(),
            AnswerBody::Page(body) => body.size_hint(),
            AnswerBody::Empty => SizeHint::with_exact(0),
        }
    }
}
