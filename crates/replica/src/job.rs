//! Work that takes long, and is done beside the replica.

/// Work for the background: the driver runs it on another thread, the simulator later.
#[derive(Debug)]
#[must_use = "nothing is done until it runs"]
pub enum Job {}

/// A job that has ended, with its outcome.
#[derive(Debug)]
pub enum Finished {}
