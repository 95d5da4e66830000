//! When checkpoints are made, which of them count, and who waits for one.

use bytes::Bytes;
use raft::{Entry, Index, Input, Message, Snapshot, SnapshotMeta, SnapshotRequest};

use super::Replica;
use crate::checkpoint::{CheckpointJob, CheckpointOutcome, Head, Named, name_of};
use crate::fault::Fault;
use crate::images::Received;
use crate::job::{Finished, Job};

/// After a disk was full, the next attempt is made so many ticks later.
const RETRY_TICKS: u64 = 20;
/// How many checkpoints stay on the disk.
const KEPT: usize = 2;

/// What is known of this member's checkpoints.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// The newest one that the durable log names, and its size.
    durable: (SnapshotMeta, u64),
    /// Those that are on the disk, and that the log does not durably name yet, with their sizes.
    unmarked: Vec<(Index, u64)>,
    /// All on the disk that count or did, the oldest first.
    files: Vec<Index>,
    job: BackgroundJob,
    segment: BackgroundJob,
    /// Peers that wait for an image newer than the newest one.
    requests: Vec<SnapshotRequest>,
    /// Images of the leader's that have arrived, and that the core was told of.
    incoming: Vec<Received>,
    /// Bytes of entries executed since the newest checkpoint was begun.
    log_bytes: u64,
    /// What that was before, in case it comes to nothing.
    begun_bytes: u64,
    /// Whether the newest one was found to be damaged when it was read.
    is_damaged: bool,
}

/// Whether a job of one kind is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BackgroundJob {
    /// None is, and none may begin before this tick.
    Idle {
        from: u64,
    },
    UnderWay,
}

impl BackgroundJob {
    const READY: BackgroundJob = BackgroundJob::Idle { from: 0 };

    fn may_begin(self, now: u64) -> bool {
        match self {
            BackgroundJob::Idle { from } => from <= now,
            BackgroundJob::UnderWay => false,
        }
    }
}

impl Checkpoints {
    /// Those of a member that starts: the newest one that its log names, all files up to it, and
    /// the bytes of the log behind it.
    pub(super) fn new(
        durable: SnapshotMeta,
        bytes: u64,
        files: Vec<Index>,
        log_bytes: u64,
    ) -> Checkpoints {
        Checkpoints {
            durable: (durable, bytes),
            unmarked: Vec::new(),
            files,
            job: BackgroundJob::READY,
            segment: BackgroundJob::READY,
            requests: Vec::new(),
            incoming: Vec::new(),
            log_bytes,
            begun_bytes: 0,
            is_damaged: false,
        }
    }

    pub(super) fn durable_index(&self) -> Index {
        self.durable.0.id.index
    }

    pub(super) fn durable_bytes(&self) -> u64 {
        self.durable.1
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.job == BackgroundJob::UnderWay
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    pub(super) fn on_applied(&mut self, entry: &Entry) {
        self.log_bytes += entry.size() as u64;
    }

    /// Where the newest checkpoint on the disk stands, whether it counts yet or not.
    fn newest(&self) -> Index {
        self.unmarked.last().map_or(self.durable_index(), |(index, _)| *index)
    }

    /// Takes the image whose file has this name.
    pub(super) fn take_incoming(&mut self, file: &[u8]) -> Option<Received> {
        let at = self.incoming.iter().position(|image| image.file.as_bytes() == file)?;
        Some(self.incoming.swap_remove(at))
    }

    /// Records that an image of the leader's is a checkpoint of ours.
    pub(super) fn on_installed(&mut self, index: Index, bytes: u64) {
        self.unmarked.push((index, bytes));
        self.log_bytes = 0;
    }
}

impl Replica {
    // === Making them ===

    /// Begins what is due in the background.
    pub(super) fn start_jobs(&mut self) {
        if self.checkpoints.segment.may_begin(self.now)
            && let Some(preparation) = self.journal.prepare_next()
        {
            self.checkpoints.segment = BackgroundJob::UnderWay;
            self.out.jobs.push(Job::Segment(preparation));
        }
        self.follow_damage();
        if self.is_checkpoint_due()
            && let Some(meta) = self.core.snapshot_meta(self.applied.index)
        {
            assert!(meta.id == self.applied, "an image at {} of {}", meta.id, self.applied);
            let (disk, dir) = (self.images.disk.clone(), self.images.dir.clone());
            let cluster_id = self.identity.cluster_id;
            let head = Head { cluster_id, member_id: self.id.0, meta };
            let job = CheckpointJob::new(disk, dir, head, self.machine.image());
            self.checkpoints.job = BackgroundJob::UnderWay;
            self.checkpoints.begun_bytes = std::mem::take(&mut self.checkpoints.log_bytes);
            self.out.jobs.push(Job::Checkpoint(Box::new(job)));
        }
    }

    fn is_checkpoint_due(&self) -> bool {
        let checkpoints = &self.checkpoints;
        // One after the other, so that the log names each before the next is begun.
        if !checkpoints.job.may_begin(self.now) || !checkpoints.unmarked.is_empty() {
            return false;
        }
        if checkpoints.is_damaged {
            return true;
        }
        if self.applied.index <= checkpoints.newest() {
            return false;
        }
        let half_state = checkpoints.durable_bytes() / 2;
        let limit = self.options.checkpoint_log_bytes_min.max(half_state);
        limit <= checkpoints.log_bytes || !checkpoints.requests.is_empty()
    }

    /// Takes note that a job has ended.
    pub(super) fn on_finished(&mut self, finished: Finished) {
        let fault = match finished {
            Finished::Segment(made) => self.on_segment(made),
            Finished::Checkpoint(outcome) => self.on_written(outcome),
        };
        if let Err(fault) = fault {
            self.health.keep(fault);
        }
    }

    fn on_segment(&mut self, made: Result<wal::Spare, Fault>) -> Result<(), Fault> {
        self.checkpoints.segment = BackgroundJob::READY;
        match made {
            Ok(spare) => self.journal.adopt(spare),
            Err(fault) if fault.is_full() => {
                self.checkpoints.segment = BackgroundJob::Idle { from: self.now + RETRY_TICKS };
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Lets the log name a checkpoint that was written.
    fn on_written(&mut self, outcome: CheckpointOutcome) -> Result<(), Fault> {
        self.checkpoints.job = BackgroundJob::READY;
        let CheckpointOutcome { meta, bytes } = outcome;
        let index = meta.id.index;
        match bytes {
            // It has taken the place of the one that was damaged.
            Ok(bytes) if index == self.checkpoints.durable_index() => {
                self.checkpoints.durable = (meta, bytes);
                self.checkpoints.is_damaged = false;
                self.answer_requests();
            }
            Ok(_) if index <= self.checkpoints.newest() => {
                // An image of the leader's has come meanwhile, which is newer.
                self.images.disk.remove(&self.images.dir.join(name_of(index)))?;
            }
            Ok(bytes) => {
                self.checkpoints.unmarked.push((index, bytes));
                self.journal.mark(meta)?;
            }
            Err(fault) if fault.is_full() => {
                self.checkpoints.job = BackgroundJob::Idle { from: self.now + RETRY_TICKS };
                self.checkpoints.log_bytes += self.checkpoints.begun_bytes;
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Takes note that the log durably names a checkpoint: the log before it may go, and so may
    /// older checkpoints.
    pub(super) fn on_marked(&mut self, meta: &SnapshotMeta) -> Result<(), Fault> {
        let index = meta.id.index;
        assert!(
            self.checkpoints.durable_index() < index,
            "a checkpoint at {index} counts after one at {}",
            self.checkpoints.durable_index()
        );
        let unmarked = &mut self.checkpoints.unmarked;
        let marked: Vec<_> = unmarked.extract_if(.., |(at, _)| *at <= index).collect();
        let (_, bytes) = *marked.last().filter(|(at, _)| *at == index).expect("it was written");
        self.checkpoints.durable = (meta.clone(), bytes);
        self.checkpoints.is_damaged = false;
        self.checkpoints.files.extend(marked.iter().map(|(at, _)| *at));
        self.core.feed(Input::Snapshotted(index));
        while KEPT < self.checkpoints.files.len() {
            let oldest = self.checkpoints.files.remove(0);
            self.images.disk.remove(&self.images.dir.join(name_of(oldest)))?;
        }
        self.answer_requests();
        Ok(())
    }

    // === Giving them to peers ===

    /// Gives an image to the members that need one, as soon as there is one.
    pub(super) fn on_snapshot_requests(&mut self, requests: Vec<SnapshotRequest>) {
        if !requests.is_empty() {
            self.checkpoints.requests.extend(requests);
            self.answer_requests();
        }
    }

    fn answer_requests(&mut self) {
        self.follow_damage();
        if self.checkpoints.is_damaged {
            return;
        }
        let (meta, _) = &self.checkpoints.durable;
        let (id, data) = (meta.id, Bytes::from(name_of(meta.id.index)));
        let requests = &mut self.checkpoints.requests;
        let ready: Vec<_> =
            requests.extract_if(.., |request| request.at_least <= id.index).collect();
        for SnapshotRequest { to, .. } in ready {
            let snapshot = Snapshot { meta: meta.clone(), data: data.clone() };
            self.core.feed(Input::SnapshotReady { to, snapshot });
        }
    }

    /// Takes note of damage that was found when a checkpoint was sent. Another is made at once.
    fn follow_damage(&mut self) {
        if let Some(index) = self.images.take_damaged() {
            self.checkpoints.is_damaged |= index == self.checkpoints.durable_index();
        }
    }

    // === Taking them from the leader ===

    /// Tells the core of an image that has arrived.
    pub(super) fn on_snapshot_received(&mut self, message: Message) {
        let raft::Body::InstallSnapshot { snapshot } = &message.body else {
            self.violations += 1;
            return;
        };
        // Of two that came at about the same time, only the later one is there.
        match self.images.take(&snapshot.data) {
            Some(received) => {
                self.checkpoints.incoming.push(received);
                self.core.feed(Input::Message(message));
            }
            None => {
                self.dropped += 1;
                let name = String::from_utf8_lossy(&snapshot.data).into_owned();
                if Named::of(&name) == Some(Named::Unfinished) {
                    // If it cannot be removed, the next start does it.
                    let _left_behind = self.images.disk.remove(&self.images.dir.join(name));
                }
            }
        }
    }

    /// Removes images that the core did not want.
    pub(super) fn discard_incoming(&mut self) -> Result<(), Fault> {
        for image in std::mem::take(&mut self.checkpoints.incoming) {
            self.images.disk.remove(&self.images.dir.join(&image.file))?;
        }
        Ok(())
    }
}
