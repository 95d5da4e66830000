//! The threads that connections live on.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The number of a shard, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub usize);

/// Runtimes of one thread each. A connection is served on one of them from its first byte to its
/// last, so that nothing that belongs to it moves between processors.
///
/// On machines with one or two processors, all is done on the runtime that [`Shards::here`] is
/// called on.
pub struct Shards {
    shards: Vec<Shard>,
}

struct Shard {
    runtime: Handle,
    /// Connections that it serves.
    load: Arc<AtomicUsize>,
    /// The thread, if it is ours to end.
    thread: Option<Thread>,
}

struct Thread {
    /// Ends the thread when it is dropped.
    stop: oneshot::Sender<()>,
    handle: thread::JoinHandle<()>,
}

/// A connection's place on a shard, given back when it is dropped.
pub(super) struct Seat {
    load: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shards {
    /// One shard: the runtime that this is called on.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[must_use]
    pub fn here() -> Shards {
        let shard = Shard { runtime: Handle::current(), load: Arc::default(), thread: None };
        Shards { shards: vec![shard] }
    }

    /// Starts `count` threads.
    ///
    /// # Errors
    ///
    /// If the system has no more threads or files to give.
    pub fn spawn(count: usize) -> io::Result<Shards> {
        assert!(0 < count, "no shard was asked for");
        let shards = (0..count).map(Shard::spawn).collect::<io::Result<_>>()?;
        Ok(Shards { shards })
    }

    /// The shards, in order.
    pub fn ids(&self) -> impl Iterator<Item = ShardId> {
        (0..self.shards.len()).map(ShardId)
    }

    /// Runs something on a shard, beside its connections.
    pub fn run<F>(&self, id: ShardId, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shards[id.0].runtime.spawn(task);
    }

    /// The shard with the fewest connections, one more now.
    pub(super) fn seat(&self) -> (ShardId, Seat) {
        let (index, shard) = self
            .shards
            .iter()
            .enumerate()
            .min_by_key(|(_, shard)| shard.load.load(Ordering::Relaxed))
            .expect("there is a shard");
        shard.load.fetch_add(1, Ordering::Relaxed);
        (ShardId(index), Seat { load: Arc::clone(&shard.load) })
    }

    /// Connections on all shards.
    pub(super) fn seated_len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load.load(Ordering::Relaxed)).sum()
    }
}

impl Shard {
    fn spawn(index: usize) -> io::Result<Shard> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
            // Nobody waits any more if the starter is gone, and then there is nothing to do.
            let _ = started.send(());
            runtime.block_on(async {
                // Sent or dropped, it means the same.
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        })?;
        // A shard takes no work before its thread runs.
        start.recv().map_err(|_| io::Error::other("a shard's thread ended as it began"))?;
        let thread = Some(Thread { stop, handle: thread });
        Ok(Shard { runtime: handle, load: Arc::default(), thread })
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for shard in &mut self.shards {
            if let Some(Thread { stop, handle }) = shard.thread.take() {
                drop(stop);
                // A panic there was printed there.
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_go_to_the_shard_with_the_fewest_connections() {
        let shards = Shards::spawn(2).unwrap();
        let (first, first_seat) = shards.seat();
        let (second, _second_seat) = shards.seat();
        assert_eq!((first, second), (ShardId(0), ShardId(1)));
        drop(first_seat);
        let (third, _third_seat) = shards.seat();
        assert_eq!(third, ShardId(0));
    }

    #[test]
    fn tasks_run_on_the_thread_of_their_shard() {
        let shards = Shards::spawn(2).unwrap();
        for id in shards.ids() {
            let (tell, told) = mpsc::channel();
            shards.run(id, async move {
                tell.send(thread::current().name().map(str::to_owned)).unwrap();
            });
            assert_eq!(told.recv().unwrap(), Some(format!("shard-{}", id.0)));
        }
    }
}
