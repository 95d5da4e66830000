//! What will happen, by its kind.

use replica::PeerMessage;

/// Something that will happen. A `life` is the start of a member that it belongs to: if the member
/// has died since, nothing happens.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A tick ends.
    Tick { at: usize, life: u64 },
    /// A message arrives, by a connection that may be broken by then.
    Arrival { number: u64, from: u64, to: u64, connection: u64, message: PeerMessage },
    /// The sender hears that a connection broke.
    Unreachable { at: usize, life: u64, to: u64 },
    /// A follower hears that its leader's process is gone.
    LeaderGone { at: usize, life: u64, leader: u64 },
    /// A sync ends.
    Synced { at: usize, life: u64 },
    /// A process that was held up by its disk goes on.
    Unblocked { at: usize, life: u64 },
    /// A job in the background ends.
    Job { at: usize, life: u64, job: u64 },
    /// The next piece of an image arrives.
    Piece { transfer: u64 },
    /// A client asks for something.
    Client { client: usize },
    /// A client stops waiting.
    Deadline { operation: u64 },
    /// Something is done to the cluster.
    Deed,
    /// A member starts again.
    Restart { at: usize, life: u64 },
    /// A paused process goes on.
    Resume { at: usize, life: u64 },
    /// A disk has space again.
    Freed { at: usize },
    /// Calls to a disk do not fail any more.
    Mended { at: usize },
    /// The network is whole again, unless it was parted anew.
    Heal { parting: u64 },
    /// The healed quorum is looked at.
    Look,
}
