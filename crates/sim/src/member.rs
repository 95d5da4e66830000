//! One member as its machine sees it: a disk that outlives the process, and a process that drives
//! its core by the contract in [`raft`].
//!
//! What a process does is in [`crate::cluster`], which knows the network and the time.

use std::collections::{BTreeMap, VecDeque};

use raft::{Entry, Index, Input, MemberId, Raft, Status, Term};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::event::Happening;
use crate::machine::Machine;
use crate::rng::Random;

/// One member, whether its process runs or not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    /// How often it was started; events of an earlier life concern nobody.
    pub(crate) life: u64,
    pub(crate) process: Option<Process>,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// After how many further effects the process dies.
    pub(crate) doom: Option<u32>,
    /// When the process last died or started.
    pub(crate) since: u64,
}

/// The process of a member.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) core: Raft,
    pub(crate) machine: Machine,
    /// What the member told of itself after its last step.
    pub(crate) seen: Status,
    /// Whether something was fed to the core that may have changed it.
    pub(crate) touched: bool,
    pub(crate) running: Running,
    /// Whether ticks were missed while it stood still.
    pub(crate) missed_ticks: bool,
    /// What came while the process could not take it.
    pub(crate) inbox: VecDeque<Inbound>,
    /// What ended while the process stood still.
    pub(crate) postponed: Vec<Happening>,
    /// What was handed out to be applied, and is not.
    pub(crate) unapplied: VecDeque<Entry>,
    /// Whether the service is busy applying.
    pub(crate) applying: bool,
    /// Whether the service is making an image for itself.
    pub(crate) imaging: bool,
    /// Who waits for the entries that were proposed here.
    pub(crate) proposals: BTreeMap<Index, Vec<(Term, u64)>>,
    /// The reads that may be answered as soon as these indexes are applied.
    pub(crate) reads: Vec<(Index, u64)>,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Yes,
    /// It stands still since this time.
    Paused {
        since: u64,
    },
}

/// Something that waits until the process can take it.
#[derive(Debug)]
pub(crate) enum Inbound {
    Input(Input),
    /// A client's operation.
    Operation(u64),
}

impl Process {
    pub(crate) fn new(core: Raft, machine: Machine) -> Process {
        Process {
            seen: core.status(),
            core,
            machine,
            touched: false,
            running: Running::Yes,
            missed_ticks: false,
            inbox: VecDeque::new(),
            postponed: Vec::new(),
            unapplied: VecDeque::new(),
            applying: false,
            imaging: false,
            proposals: BTreeMap::new(),
            reads: Vec::new(),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.running != Running::Yes
    }

    /// Gives the core an input.
    pub(crate) fn feed(&mut self, input: Input) {
        // A tick that changes something beyond the timer has effects, or changes the role.
        self.touched |= input != Input::Tick;
        self.core.feed(input);
    }

    /// Takes the operations that waited for the entry at `index`, with the terms they were proposed
    /// in.
    pub(crate) fn take_proposals(&mut self, index: Index) -> Vec<(Term, u64)> {
        self.proposals.remove(&index).unwrap_or_default()
    }

    /// Takes the reads that may be answered now.
    pub(crate) fn take_reads(&mut self) -> Vec<u64> {
        let applied = self.machine.applied();
        let ready = |(index, _): &(Index, u64)| *index <= applied;
        let taken = self.reads.iter().filter(|read| ready(read)).map(|(_, read)| *read).collect();
        self.reads.retain(|read| !ready(read));
        taken
    }
}

impl Member {
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Tells whether the process runs: it is up, and does not stand still.
    pub(crate) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.is_paused())
    }

    /// The process, which is known to run.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("only members that are up get here")
    }
}
