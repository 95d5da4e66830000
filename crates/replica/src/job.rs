//! Work that takes long, and is done beside the replica.

use crate::checkpoint::{CheckpointJob, CheckpointOutcome};
use crate::fault::Fault;

/// Work for the background: the driver runs it on another thread, the simulator later.
#[derive(Debug)]
#[must_use = "nothing is done until it runs"]
pub enum Job {
    /// Writes an image of the state to the disk.
    Checkpoint(Box<CheckpointJob>),
    /// Makes a segment of the log ahead.
    Segment(wal::Preparation),
}

/// A job that has ended, with its outcome.
#[derive(Debug)]
pub enum Finished {
    /// What became of a [`Job::Checkpoint`].
    Checkpoint(CheckpointOutcome),
    /// What became of a [`Job::Segment`].
    Segment(Result<wal::Spare, Fault>),
}

impl Job {
    /// Does the work. It touches no file that the replica uses meanwhile.
    pub fn run(self) -> Finished {
        match self {
            Job::Checkpoint(job) => Finished::Checkpoint(job.run()),
            Job::Segment(preparation) => Finished::Segment(preparation.run().map_err(Fault::Wal)),
        }
    }
}
