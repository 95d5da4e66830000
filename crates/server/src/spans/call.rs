//! The span of one call.

use opentelemetry::trace::{Span as _, Status as SpanStatus};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::Span;
use tonic::{Code, Status};

/// The span of a call that is under way. If it is dropped, the client has gone.
#[derive(Debug)]
pub(crate) struct CallSpan {
    span: Span,
}

impl CallSpan {
    pub(super) fn new(span: Span) -> CallSpan {
        CallSpan { span }
    }

    /// Ends the span with the status of the call.
    pub(crate) fn end(mut self, status: &Status) {
        self.finish(status.code(), status.message());
    }

    fn finish(&mut self, code: Code, message: &str) {
        let number = Value::I64(i64::from(i32::from(code)));
        self.span.set_attribute(KeyValue::new("rpc.grpc.status_code", number));
        if is_fault(code) {
            self.span.set_status(SpanStatus::error(message.to_owned()));
        }
        self.span.end();
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        // What has ended records nothing more.
        if self.span.is_recording() {
            self.finish(Code::Cancelled, "");
        }
    }
}

/// Tells whether a code means that the server has failed, and not that the client asked for what
/// it cannot have (OpenTelemetry's semantic conventions for gRPC).
fn is_fault(code: Code) -> bool {
    match code {
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => false,
    }
}
