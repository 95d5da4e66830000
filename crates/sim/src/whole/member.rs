//! One member as its machine sees it: a disk that outlives the process, and a process that drives a
//! replica as the server's driver does.

use std::collections::BTreeMap;
use std::sync::Arc;

use disk::SimDisk;
use replica::{Event, Genesis, Job, Published, Replica};

use crate::clock::Clock;
use crate::rng::Random;

/// One member, whether its process runs or not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: u64,
    /// How it begins.
    pub(crate) genesis: Genesis,
    /// How often it was started; events of an earlier life concern nobody.
    pub(crate) life: u64,
    pub(crate) disk: SimDisk,
    pub(crate) process: Option<Process>,
    pub(crate) standing: Standing,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// After how many further effects the process dies.
    pub(crate) doom: Option<u32>,
    /// Until when its disk does not answer.
    pub(crate) stalled_until: u64,
    /// Whether calls to its disk may have failed in this life.
    pub(crate) has_errors: bool,
    /// Whether a bit of its files may have rotted.
    pub(crate) is_rotten: bool,
    /// When the process last died or started.
    pub(crate) since: u64,
}

/// Whether a member can ever run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Sound,
    /// Its files are damaged, and it says so.
    Broken,
    /// It was removed, and knows it.
    Removed,
}

/// A member's process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) replica: Replica,
    pub(crate) running: Running,
    /// What has come and was not given to the replica.
    pub(crate) inbox: Vec<Event>,
    /// What is given to it after the next tick.
    pub(crate) refused: Vec<Event>,
    /// Whether it waits for its disk, and does nothing else.
    pub(crate) is_syncing: bool,
    /// Whether a sync has ended while it stood still.
    pub(crate) is_sync_due: bool,
    /// Whether ticks passed that it could not take.
    pub(crate) missed_ticks: bool,
    /// Work in the background.
    pub(crate) jobs: BTreeMap<u64, Job>,
    pub(crate) published: Arc<Published>,
    /// How much of the history this life was seen to show.
    pub(crate) shown: u64,
}

/// Whether a process does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Yes,
    Paused,
}

impl Process {
    pub(crate) fn new(replica: Replica) -> Process {
        let published = replica.published();
        Process {
            replica,
            running: Running::Yes,
            inbox: Vec::new(),
            refused: Vec::new(),
            is_syncing: false,
            is_sync_due: false,
            missed_ticks: false,
            jobs: BTreeMap::new(),
            published,
            shown: 1,
        }
    }
}

impl Member {
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Tells whether its process can take something now.
    pub(crate) fn accepts(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.running == Running::Yes && !process.is_syncing)
    }

    /// The process.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the member is up")
    }
}
