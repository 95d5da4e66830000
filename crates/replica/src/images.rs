//! Checkpoint files as they go to peers and come from them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use disk::{Disk, DiskFile};
use raft::{Body, Index, Message, SnapshotMeta};
use store::{Machine, MachineLoader};

use crate::checkpoint::{
    BLOCK_BYTES, CheckpointReader, Damage, Framer, Head, Piece, Scan, chain_of, create_anew,
    index_of, write_block,
};
use crate::fault::Fault;

/// The way to this member's checkpoint files for those who send and receive images beside the
/// replica: cheap to clone, and usable from every thread. It comes from
/// [`crate::Replica::images`].
#[derive(Clone, Debug)]
pub struct Images {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    cluster_id: u64,
    member_id: u64,
    // Images are read and built where the bytes go and come, which is beside the replica. What lies
    // here is taken once, by the replica.
    shelf: Arc<Mutex<Shelf>>,
    /// Numbers the files that come in.
    next_file: Arc<AtomicU64>,
}

/// What those beside the replica have for it.
#[derive(Debug, Default)]
struct Shelf {
    /// The last image that has arrived.
    received: Option<Received>,
    /// The last checkpoint that was found to be damaged.
    damaged: Option<Index>,
}

/// An image that has arrived whole.
#[derive(Debug)]
pub(crate) struct Received {
    /// The name of its file.
    pub(crate) file: String,
    /// Which state it holds.
    pub(crate) meta: SnapshotMeta,
    /// The state.
    pub(crate) machine: Machine,
    /// The size of the file.
    pub(crate) bytes: u64,
}

/// An image on its way in. It is checked as it comes, and leaves nothing behind if it is dropped
/// before it is whole.
#[derive(Debug)]
pub struct SnapshotReceiver {
    images: Images,
    announced: Message,
    meta: SnapshotMeta,
    file: Box<dyn DiskFile>,
    name: String,
    is_finished: bool,
    scan: Scan,
    /// Follows what is written, from the head to the end.
    framer: Option<Framer>,
    loader: MachineLoader,
    /// What was not written yet, to stand from `offset` on.
    block: Vec<u8>,
    offset: u64,
}

impl Images {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        cluster_id: u64,
        member_id: u64,
    ) -> Images {
        let (shelf, next_file) = (Arc::default(), Arc::default());
        Images { disk, dir, cluster_id, member_id, shelf, next_file }
    }

    /// Opens the checkpoint that an `InstallSnapshot` of this member names. It stays readable
    /// though a newer one replaces it.
    ///
    /// # Errors
    ///
    /// If it is gone, or cannot be read.
    pub fn read(&self, token: &Bytes) -> Result<CheckpointReader, Fault> {
        let Some(index) = index_of(token) else {
            return Err(Fault::Image(format!("{token:?} names no checkpoint")));
        };
        CheckpointReader::open(self, index)
    }

    /// Begins to take in the image that a peer's `InstallSnapshot` announces.
    ///
    /// # Errors
    ///
    /// As [`SnapshotReceiver::push`].
    pub fn receive(&self, message: &Message) -> Result<SnapshotReceiver, Fault> {
        let Body::InstallSnapshot { snapshot } = &message.body else {
            return Err(Fault::Image(format!("none is announced by {message}")));
        };
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let name = format!("received-{:016x}-{number}.tmp", snapshot.meta.id.index.0);
        let file = create_anew(&*self.disk, &self.dir.join(&name))?;
        Ok(SnapshotReceiver {
            images: self.clone(),
            announced: message.clone(),
            meta: snapshot.meta.clone(),
            file,
            name,
            is_finished: false,
            scan: Scan::default(),
            framer: None,
            loader: MachineLoader::new(),
            block: Vec::new(),
            offset: 0,
        })
    }

    /// Takes the image whose file has this name, if it lies ready.
    pub(crate) fn take(&self, file: &[u8]) -> Option<Received> {
        self.lock().received.take_if(|received| received.file.as_bytes() == file)
    }

    /// Takes note that a checkpoint is damaged: another must be made.
    pub(crate) fn report_damage(&self, index: Index) {
        self.lock().damaged = Some(index);
    }

    /// Returns the checkpoint that was found to be damaged since this was last asked.
    pub(crate) fn take_damaged(&self) -> Option<Index> {
        self.lock().damaged.take()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // What lies there is whole, whoever panicked.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotReceiver {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// [`Fault::Image`] if the bytes are not an image, or not the one that was announced; a fault
    /// for which [`Fault::is_full`] holds if there is no space for it. In both cases only this
    /// image is given up. After any other fault the member stops.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.scan.push(piece);
        while let Some(piece) = self.scan.next().map_err(refused)? {
            match piece {
                Piece::Head(head) => {
                    self.check(&head)?;
                    // The frames stay as they are: the member is no part of the image.
                    let own = Head { member_id: self.images.member_id, ..head };
                    let (encoded, framer) = own.encode();
                    self.block.extend_from_slice(&encoded);
                    self.framer = Some(framer);
                }
                Piece::Chunk(chunk) => {
                    let taken = self.loader.push(&chunk);
                    taken.map_err(|error| Fault::Image(chain_of(&error)))?;
                    let framer = self.framer.as_mut().expect("the head comes first");
                    framer.put_chunk(&mut self.block, &chunk);
                }
                Piece::End => {
                    let framer = self.framer.take().expect("the head comes first");
                    framer.put_end(&mut self.block);
                }
            }
            if BLOCK_BYTES <= self.block.len() {
                self.offset += write_block(&*self.file, self.offset, &mut self.block)?;
            }
        }
        Ok(())
    }

    /// Makes the image durable, and returns the message for [`crate::Event::SnapshotReceived`].
    ///
    /// # Errors
    ///
    /// As [`SnapshotReceiver::push`].
    pub fn finish(mut self) -> Result<Message, Fault> {
        self.scan.finish().map_err(refused)?;
        let loader = std::mem::take(&mut self.loader);
        let machine = loader.finish().map_err(|error| Fault::Image(chain_of(&error)))?;
        let bytes = self.offset + write_block(&*self.file, self.offset, &mut self.block)?;
        self.file.sync_all()?;
        let mut message = self.announced.clone();
        let Body::InstallSnapshot { snapshot } = &mut message.body else {
            unreachable!("what is received was announced as an image")
        };
        snapshot.data = Bytes::copy_from_slice(self.name.as_bytes());
        let meta = self.meta.clone();
        let received = Received { file: self.name.clone(), meta, machine, bytes };
        self.images.lock().received = Some(received);
        self.is_finished = true;
        Ok(message)
    }

    /// Looks whether the image is the one that was announced, and of this cluster.
    fn check(&self, head: &Head) -> Result<(), Fault> {
        let own = self.images.cluster_id;
        if head.cluster_id != own {
            let found = head.cluster_id;
            return Err(Fault::Image(format!("it is of cluster {found:x}, and not of {own:x}")));
        }
        let announced = &self.meta;
        if head.meta != *announced {
            let (announced, found) = (announced.id, head.meta.id);
            return Err(Fault::Image(format!("{announced} was announced, and it is at {found}")));
        }
        Ok(())
    }
}

impl Drop for SnapshotReceiver {
    fn drop(&mut self) {
        if !self.is_finished {
            // If it cannot be removed now, the next start does it.
            let _left_behind = self.images.disk.remove(&self.images.dir.join(&self.name));
        }
    }
}

fn refused(damage: Damage) -> Fault {
    let Damage { offset, expected, found } = damage;
    Fault::Image(format!("at offset {offset}, expected {expected}, found {found}"))
}
