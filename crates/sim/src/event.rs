//! The queue of what will happen: everything has its time, and equal times keep their order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use raft::{MemberId, Message, Snapshot};

/// Something that will happen. A `life` is the start of a member that it belongs to: if the member
/// has died since, nothing happens.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A tick ends.
    Tick { member: usize, life: u64 },
    /// A message arrives; the number is that of the trace.
    Arrival { number: u64, message: Message },
    /// A sync ends.
    Synced { member: usize, life: u64 },
    /// The service applies what waits.
    Apply { member: usize, life: u64 },
    /// The service's own image is durable.
    ImageMade { member: usize, life: u64, image: Snapshot },
    /// The image that another member needs is ready.
    ImageFor { member: usize, life: u64, to: MemberId },
    /// The sender hears that a message was lost.
    Unreachable { member: usize, life: u64, to: MemberId },
    /// A client asks for something.
    Client { client: usize },
    /// A client stops waiting.
    Deadline { operation: u64 },
    /// Something is done to the cluster.
    Deed,
    /// A member starts again.
    Restart { member: usize, life: u64 },
    /// A paused process goes on.
    Resume { member: usize, life: u64 },
    /// A disk answers again.
    Unstall { member: usize },
    /// The network is whole again, unless it was parted anew.
    Heal { parting: u64 },
    /// The healed quorum is looked at.
    Look,
}

/// When something happens, and where it is kept: events are large, and are moved about in the heap.
/// The number keeps equal times in order; the reversal lets the heap give out the earliest.
type Scheduled = Reverse<(u64, u64, usize)>;

/// What will happen, by its time.
#[derive(Debug)]
pub(crate) struct Queue<H> {
    heap: BinaryHeap<Scheduled>,
    kept: Vec<Option<H>>,
    /// The places in `kept` that are free.
    free: Vec<usize>,
    number: u64,
}

impl<H> Default for Queue<H> {
    fn default() -> Queue<H> {
        Queue { heap: BinaryHeap::new(), kept: Vec::new(), free: Vec::new(), number: 0 }
    }
}

impl<H> Queue<H> {
    /// Adds something that happens at `at`.
    pub(crate) fn push(&mut self, at: u64, happening: H) {
        self.number += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() - 1
        });
        self.kept[place] = Some(happening);
        self.heap.push(Reverse((at, self.number, place)));
    }

    /// Takes what happens next, and when.
    pub(crate) fn pop(&mut self) -> Option<(u64, H)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        Some((at, self.kept[place].take().expect("what is scheduled is kept")))
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_earlier_comes_first_and_equal_times_keep_their_order() {
        let mut queue = Queue::default();
        for (at, client) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            queue.push(at, Happening::Client { client });
        }
        let mut order = Vec::new();
        while let Some((at, Happening::Client { client })) = queue.pop() {
            order.push((at, client));
        }
        assert_eq!(order, [(3, 1), (3, 3), (5, 0), (5, 2)]);
    }
}
