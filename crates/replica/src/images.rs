//! Checkpoint files as they go to peers and come from them.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;
use raft::Message;

use crate::checkpoint::CheckpointReader;
use crate::fault::Fault;

/// The way to this member's checkpoint files for those who send and receive images beside the
/// replica: cheap to clone, and usable from every thread. It comes from
/// [`crate::Replica::images`].
#[derive(Clone, Debug)]
pub struct Images {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
}

impl Images {
    /// Opens the checkpoint that an `InstallSnapshot` of this member names. It stays readable
    /// though a newer one replaces it.
    ///
    /// # Errors
    ///
    /// If it is gone, or cannot be read.
    pub fn read(&self, token: &Bytes) -> Result<CheckpointReader, Fault> {
        let _ = (token, &self.disk, &self.dir);
        Err(Fault::Stopped)
    }

    /// Begins to take in the image that a peer's `InstallSnapshot` announces.
    ///
    /// # Errors
    ///
    /// If the message announces none, or there is no space for it.
    pub fn receive(&self, message: &Message) -> Result<SnapshotReceiver, Fault> {
        let _ = message;
        Err(Fault::Stopped)
    }
}

/// An image on its way in. It is checked as it comes, and leaves nothing behind if it is dropped
/// before it is whole.
#[derive(Debug)]
pub struct SnapshotReceiver {}

impl SnapshotReceiver {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// [`Fault::Image`] if the bytes are not an image, or not the one that was announced; a fault
    /// for which [`Fault::is_full`] holds if there is no space for it. In both cases only this
    /// image is given up. After any other fault the member stops.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let _ = piece;
        Err(Fault::Stopped)
    }

    /// Makes the image durable, and returns the message for [`crate::Event::SnapshotReceived`].
    ///
    /// # Errors
    ///
    /// As [`SnapshotReceiver::push`].
    pub fn finish(self) -> Result<Message, Fault> {
        Err(Fault::Stopped)
    }
}
