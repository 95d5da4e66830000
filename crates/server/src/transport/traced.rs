//! A call that has a span: what becomes of the call is seen in its answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

use super::dispatch::AnswerBody;
use super::oversize;
use super::routes::Call;
use crate::spans::CallSpan;

/// A call on its way, with its span.
pub(super) struct TracedCall {
    call: Call,
    /// `None` once there is an answer.
    span: Option<CallSpan>,
}

/// The answer to such a call. Its trailers end the span.
pub(super) struct TracedBody {
    body: tonic::body::Body,
    /// `None` once it has ended.
    span: Option<CallSpan>,
}

impl TracedCall {
    pub(super) fn new(call: Call, span: CallSpan) -> TracedCall {
        TracedCall { call, span: Some(span) }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response<AnswerBody>> {
        let Ok(mut response) = ready!(self.call.as_mut().poll(cx));
        oversize::reword(response.headers_mut());
        // A call without any message has its status here, and no trailers.
        let status = Status::from_header_map(response.headers());
        let span = self.span.take().expect("nobody polls after the answer");
        Poll::Ready(match status {
            Some(status) => {
                span.end(&status);
                response.map(AnswerBody::Call)
            }
            None => response
                .map(|body| AnswerBody::Traced(Box::new(TracedBody { body, span: Some(span) }))),
        })
    }
}

impl TracedBody {
    fn end(&mut self, status: &Status) {
        if let Some(span) = self.span.take() {
            span.end(status);
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        match Status::from_header_map(trailers) {
            Some(status) => self.end(&status),
            None => self.end(&Status::new(Code::Unknown, "the call ended without a status")),
        }
    }
}

impl Body for TracedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.on_trailers(trailers);
                }
            }
            Some(Err(status)) => self.end(status),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
