//! Runs the calls of a connection: at once if that is enough, else as tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

/// Polls each call once, inside the turn of the connection that read it.
///
/// hyper hands over a call when all frames that were read have been looked at, so the request is
/// usually complete, and a read needs nothing else: its answer is then part of the same turn, with
/// no task made, scheduled or woken. What is not finished becomes a task of the shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eager;

impl<F> hyper::rt::Executor<F> for Eager
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let mut call: Pin<Box<F>> = Box::pin(call);
        // Nobody is woken by this poll. That loses nothing, because a task polls as it begins.
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(call);
        }
    }
}
