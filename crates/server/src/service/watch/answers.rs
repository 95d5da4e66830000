//! One stream of a client: requests in, answers out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_api::Encoded;
use etcd_api::etcdserverpb::WatchRequest;
use tokio_stream::Stream as _;
use tonic::{Status, Streaming};

use super::super::call::Method;
use super::arena::Key;
use super::hub::Stream;
use super::outgoing::Outgoing;
use super::shard::Shard;
use crate::status::Refusal;

/// So many requests are read before what they gave rise to is sent.
const REQUESTS_MAX: usize = 64;

/// A queue with room for more than this is not kept when it is empty.
const SPARE_LEN_MAX: usize = 64;

/// The answers of one stream. Requests are read while answers are wanted: a client that takes none
/// cannot ask for more.
pub struct Answers {
    shard: Arc<Shard>,
    stream: Key<Stream>,
    /// `None` once the client has said that no more will come. It is told of changes all the same.
    requests: Option<Streaming<WatchRequest>>,
    /// What was taken from the hub, and not yet sent.
    taken: VecDeque<Outgoing>,
    method: Method,
    is_ended: bool,
}

impl Answers {
    pub(super) fn open(
        shard: &Arc<Shard>,
        requests: Streaming<WatchRequest>,
        method: Method,
    ) -> Result<Answers, Refusal> {
        let stream = shard.open()?;
        Ok(Answers {
            shard: Arc::clone(shard),
            stream,
            requests: Some(requests),
            taken: VecDeque::new(),
            method,
            is_ended: false,
        })
    }

    /// Reads requests. Ready only if that failed.
    fn poll_requests(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        for _ in 0..REQUESTS_MAX {
            let Some(requests) = &mut self.requests else { return Poll::Pending };
            match ready!(Pin::new(requests).poll_next(context)) {
                None => self.requests = None,
                Some(Ok(WatchRequest { request_union })) => {
                    self.method.on_received();
                    // What is not known is passed over, as in etcd.
                    if let Some(request) = request_union {
                        self.shard.on_request(self.stream, &request);
                    }
                }
                Some(Err(status)) => return Poll::Ready(status),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl tokio_stream::Stream for Answers {
    type Item = Result<Encoded, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = self.get_mut();
        if me.is_ended {
            return Poll::Ready(None);
        }
        if me.taken.is_empty() {
            if let Poll::Ready(status) = me.poll_requests(context) {
                me.is_ended = true;
                return Poll::Ready(Some(Err(status)));
            }
            if SPARE_LEN_MAX < me.taken.capacity() {
                me.taken = VecDeque::new();
            }
            let taken = ready!(me.shard.poll_take(me.stream, &mut me.taken, context));
            if let Err(refusal) = taken {
                me.is_ended = true;
                return Poll::Ready(Some(Err(refusal.into())));
            }
        }
        let outgoing = me.taken.pop_front().expect("something was taken");
        Poll::Ready(Some(Ok(Encoded::new(outgoing))))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.shard.close(self.stream);
    }
}
