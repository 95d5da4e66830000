//! Images of the state as files: written in the background, loaded at start, sent to peers.

use crate::fault::Fault;

/// The writing of a checkpoint, in the background.
#[derive(Debug)]
pub struct CheckpointJob {}

/// What became of the writing of a checkpoint.
#[derive(Debug)]
pub struct CheckpointOutcome {}

impl CheckpointJob {
    pub(crate) fn run(self) -> CheckpointOutcome {
        CheckpointOutcome {}
    }
}

/// Reads a checkpoint for sending it: an iterator over pieces of its bytes.
#[derive(Debug)]
pub struct CheckpointReader {}

impl Iterator for CheckpointReader {
    type Item = Result<Vec<u8>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Err(Fault::Stopped))
    }
}
