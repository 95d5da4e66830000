//! The running thing: doors of the replica.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;
use raft::Message;

use crate::checkpoint::CheckpointReader;
use crate::event::Event;
use crate::fault::Fault;
use crate::images::{Images, SnapshotReceiver};
use crate::options::{Genesis, Options};
use crate::output::{Output, Published};
use crate::status::Status;

/// Whose state a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// The member's ID.
    pub member_id: u64,
}

/// One member: see the crate's documentation.
#[derive(Debug)]
pub struct Replica {
    images: Images,
    published: Arc<Published>,
}

impl Replica {
    /// Tells whether a member was created in this directory.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool, Fault> {
        let _ = (disk, dir);
        Err(Fault::Stopped)
    }

    /// Tells whose state this directory holds, without opening it.
    ///
    /// # Errors
    ///
    /// If there is no member, or none of its checkpoints has a sound head.
    pub fn identity(disk: &dyn Disk, dir: &Path) -> Result<Identity, Fault> {
        let _ = (disk, dir);
        Err(Fault::Stopped)
    }

    /// Creates the state of a member that has never run, and opens it. If it is interrupted, the
    /// member does not exist, and this is to be called again.
    ///
    /// # Errors
    ///
    /// If there is a member already, or the disk fails.
    pub fn create(
        disk: Arc<dyn Disk>,
        options: Options,
        genesis: Genesis,
    ) -> Result<Replica, Fault> {
        let _ = (disk, options, genesis);
        Err(Fault::Stopped)
    }

    /// Opens the state of a member that has run before. `options.core.seed` must be new.
    ///
    /// # Errors
    ///
    /// If it is another member's, if it is damaged, or if the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Replica, Fault> {
        let _ = (disk, options);
        Err(Fault::Stopped)
    }

    /// Takes one event, and leaves what it gives rise to to the next [`Replica::flush`].
    pub fn feed(&mut self, event: Event) {
        let _ = event;
    }

    /// Returns everything that is due and needs no further sync.
    ///
    /// # Errors
    ///
    /// The first fault; after it, [`Fault::Stopped`].
    pub fn flush(&mut self) -> Result<Output, Fault> {
        Err(Fault::Stopped)
    }

    /// Tells whether something waits to be made durable, and may be tried now. While the disk is
    /// full it may be tried once for each tick: see [`Status::disk_full`].
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        false
    }

    /// Makes all that waits durable, by one write and one sync. What becomes due by that comes out
    /// of the next [`Replica::flush`].
    ///
    /// # Errors
    ///
    /// As [`Replica::flush`]. A full disk is no fault.
    pub fn sync(&mut self) -> Result<(), Fault> {
        Err(Fault::Stopped)
    }

    /// What the replica tells about itself.
    #[must_use]
    pub fn status(&self) -> Status {
        unreachable!("nothing can be opened yet")
    }

    /// Whose state this is.
    #[must_use]
    pub fn identity_of(&self) -> Identity {
        unreachable!("nothing can be opened yet")
    }

    /// The state that reads are served from.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// The IDs of all leases, in the order in which etcd lists them.
    #[must_use]
    pub fn leases(&self) -> Vec<i64> {
        Vec::new()
    }

    /// The keys that are attached to a lease, sorted; empty if there is no such lease.
    #[must_use]
    pub fn lease_keys(&self, id: i64) -> BTreeSet<Bytes> {
        let _ = id;
        BTreeSet::new()
    }

    /// The way to the checkpoint files, for those who send and receive images.
    #[must_use]
    pub fn images(&self) -> Images {
        self.images.clone()
    }

    /// Opens a checkpoint for sending it: see [`Images::read`].
    ///
    /// # Errors
    ///
    /// If it is gone, or cannot be read.
    pub fn read_checkpoint(&self, token: &Bytes) -> Result<CheckpointReader, Fault> {
        self.images.read(token)
    }

    /// Begins to take in an image: see [`Images::receive`].
    ///
    /// # Errors
    ///
    /// If the message announces none, or there is no space for it.
    pub fn receive_snapshot(&self, message: &Message) -> Result<SnapshotReceiver, Fault> {
        self.images.receive(message)
    }
}
