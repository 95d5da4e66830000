//! Everything that the member stores, for an operator to take away.
//!
//! ```text
//! image: chunks as `store` draws them │ zeros, to a multiple of 512 │ SHA-256 of both, 32 bytes
//! ```
//!
//! `etcdctl snapshot save` wants nothing of it but this size. What it holds is ours, and
//! read back by `holdfast snapshot restore`.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use etcd_api::etcdserverpb as api;
use sha2::{Digest, Sha256};
use store::Image;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::MaintenanceService;
use super::downgrade::storage_version;
use crate::service::door::{Learner, UntilLeaderLost};
use crate::status::refused;

/// How many bytes a part has, as in etcd; the last ones may have less.
const PART_BYTES: usize = 32 * 1024;

/// The image is filled up to a multiple of this.
const BLOCK_BYTES: usize = 512;

/// How many parts wait for the connection at most.
const PARTS_WAITING_MAX: usize = 16;

/// The parts of one image.
pub(super) type Parts = ReceiverStream<Result<api::SnapshotResponse, Status>>;

impl MaintenanceService {
    pub(super) async fn send_image(
        &self,
        request: Request<api::SnapshotRequest>,
    ) -> Result<UntilLeaderLost<Parts>, Status> {
        let published = self.door.enter(request.metadata(), Learner::Serves).await?;
        let version = storage_version(&published);
        let image = self.door.handle().image().await.map_err(refused)?;
        let (sender, parts) = mpsc::channel(PARTS_WAITING_MAX);
        // Writing everything out takes long, and others wait for this thread.
        let metrics = Arc::clone(&self.metrics);
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            if send(image, &version, &sender) == Sent::Whole {
                metrics.disk.snapshot_send.observe(begun.elapsed());
            }
        });
        let parts = ReceiverStream::new(parts);
        Ok(self.door.until_leader_lost(request.metadata(), parts))
    }
}

/// How the sending of an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// All of it was sent.
    Whole,
    /// The client has gone.
    Part,
}

/// Sends an image.
fn send(
    image: Image,
    version: &str,
    sender: &mpsc::Sender<Result<api::SnapshotResponse, Status>>,
) -> Sent {
    let mut left = Left::of(&image);
    let give = |blob: BytesMut, remaining_bytes| {
        let (blob, version) = (blob.freeze(), version.to_owned());
        let part = api::SnapshotResponse { header: None, remaining_bytes, blob, version };
        sender.blocking_send(Ok(part)).is_ok()
    };
    let mut hash = Sha256::new();
    let mut buffer = BytesMut::new();
    let mut len = 0;
    for chunk in image.chunks() {
        buffer.extend_from_slice(&chunk);
        len += chunk.len();
        while PART_BYTES <= buffer.len() {
            let part = buffer.split_to(PART_BYTES);
            hash.update(&part);
            let remaining = left.after(part.len());
            if !give(part, remaining) {
                return Sent::Part;
            }
        }
    }
    let padding = len.next_multiple_of(BLOCK_BYTES) - len;
    buffer.resize(buffer.len() + padding, 0);
    hash.update(&buffer);
    let digest = BytesMut::from(&hash.finalize()[..]);
    let is_whole = (buffer.is_empty() || give(buffer, 0)) && give(digest, 0);
    if is_whole { Sent::Whole } else { Sent::Part }
}

/// About how many bytes are still to come: how many there are is known when they are written.
struct Left(u64);

impl Left {
    fn of(image: &Image) -> Left {
        Left(image.bytes_hint())
    }

    /// Returns what is left behind a part that is not the last one.
    fn after(&mut self, part_len: usize) -> u64 {
        self.0 = self.0.saturating_sub(part_len as u64);
        self.0.max(BLOCK_BYTES as u64)
    }
}
