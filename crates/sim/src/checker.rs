//! The oracles: what must hold in every run, each in a file of its own.
//!
//! They look from outside: at what members tell of themselves, hand out to be written, send and
//! apply. They know what no member knows, all disks and all that was ever committed, and trust none
//! of the core's own arithmetic. All but the last two are asked after every step.
//!
//! | oracle | asks whether |
//! | --- | --- |
//! | [`election`] | a term has one leader, and a member gives one vote in a term |
//! | [`matching`] | the same entry in two logs means equal logs up to it; leaders only append |
//! | [`completeness`] | what is committed is in each later leader's log, and committed by rule |
//! | [`machine`] | all apply the same entries, in order, and come to the same state |
//! | [`durability`] | what is promised is on the disk, and what is committed on a quorum of disks |
//! | [`reads`] | a read misses nothing that was committed when it was asked for |
//! | [`monotonic`] | terms, votes and cursors only move forward, also over restarts |
//! | [`membership`] | configurations change by rule and are those of the log |
//! | [`protocol`] | no message is malformed, out of its limits, or from one who must not send it |
//! | [`liveness`] | a healed quorum makes progress in time |
//! | [`crate::linearizability`] | what clients saw can be put in one order |

pub(crate) mod completeness;
pub(crate) mod durability;
pub(crate) mod election;
pub(crate) mod ledger;
pub(crate) mod liveness;
pub(crate) mod machine;
pub(crate) mod matching;
pub(crate) mod membership;
pub(crate) mod monotonic;
pub(crate) mod protocol;
pub(crate) mod reads;
#[cfg(test)]
mod tests;

use std::fmt;

use raft::{DurableState, Effects, Entry, EntryId, MemberId, Message, Persist, RoleKind, Status};

use self::completeness::Completeness;
use self::election::Election;
use self::ledger::{Mirrors, Stamp};
use self::machine::Machines;
use self::matching::Matching;
use self::reads::Reads;
use crate::disk::Disk;
use crate::options::CoreOptions;

/// Something that must not happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle says so.
    pub oracle: &'static str,
    /// What it saw.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.text)
    }
}

/// What an oracle says.
pub(crate) type Verdict = Result<(), Violation>;

/// Says that something happened that must not.
pub(crate) fn violation(oracle: &'static str, text: impl Into<String>) -> Verdict {
    Err(Violation { oracle, text: text.into() })
}

/// One step of one member: what it was, what it is, and what it asks for.
pub(crate) struct Step<'a> {
    pub(crate) before: &'a Status,
    pub(crate) now: &'a Status,
    pub(crate) effects: &'a Effects,
    /// All disks, by their members.
    pub(crate) disks: &'a dyn Fn(MemberId) -> Option<&'a Disk>,
}

impl Step<'_> {
    pub(crate) fn id(&self) -> MemberId {
        self.now.id
    }
}

/// What the oracles learnt in one step that is worth knowing elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// Entries that were replaced in the member's log.
    pub(crate) replaced: Vec<EntryId>,
    /// Whether a configuration was among them.
    pub(crate) configuration_replaced: bool,
    /// How many entries were committed for the first time.
    pub(crate) committed: u64,
    /// Whether entries of an earlier term were among them.
    pub(crate) committed_earlier_term: bool,
}

/// All oracles that are asked after every step.
#[derive(Debug)]
pub(crate) struct Oracles {
    core: CoreOptions,
    pub(crate) mirrors: Mirrors,
    pub(crate) election: Election,
    pub(crate) matching: Matching,
    pub(crate) completeness: Completeness,
    pub(crate) machines: Machines,
    pub(crate) reads: Reads,
}

impl Oracles {
    pub(crate) fn new(core: CoreOptions) -> Oracles {
        Oracles {
            core,
            mirrors: Mirrors::default(),
            election: Election::default(),
            matching: Matching::default(),
            completeness: Completeness::default(),
            machines: Machines::default(),
            reads: Reads::default(),
        }
    }

    /// A member has started from `durable`, and tells `now` of itself.
    pub(crate) fn started(&mut self, durable: &DurableState, now: &Status) -> Verdict {
        self.mirrors.restart(now.id, durable);
        monotonic::restart(durable, now)?;
        self.mirrors.check(now)?;
        self.completeness.restarted(self.mirrors.of(now.id), now)
    }

    /// A member has taken a step.
    pub(crate) fn stepped(&mut self, step: &Step<'_>) -> Result<Learnt, Violation> {
        let mut learnt = Learnt::default();
        protocol::drops(step)?;
        monotonic::step(step)?;
        if let Some(persist) = &step.effects.persist {
            self.written(step, persist, &mut learnt)?;
        }
        if let Some(base) = step.effects.trim {
            self.mirrors.of_mut(step.id()).trim(base);
        }
        self.mirrors.check(step.now)?;
        if step.now.role == RoleKind::Leader {
            self.election.leads(step.now.id, step.now.term)?;
            membership::leader(step)?;
            let begins = step.before.role != RoleKind::Leader || step.before.term != step.now.term;
            if begins {
                self.completeness.begins(self.mirrors.of(step.id()), step.now)?;
            }
        }
        self.completeness.committed(self.mirrors.of(step.id()), step, &mut learnt)?;
        if learnt.committed > 0 {
            durability::committed(step)?;
        }
        durability::cursor(self.mirrors.of(step.id()), step)?;
        Ok(learnt)
    }

    /// What a member hands out to be written is what its log has become.
    fn written(&mut self, step: &Step<'_>, persist: &Persist, learnt: &mut Learnt) -> Verdict {
        let id = step.id();
        if let Some(snapshot) = &persist.snapshot {
            self.completeness.image(id, &snapshot.meta)?;
            self.mirrors.of_mut(id).install(&snapshot.meta);
        }
        for entry in &persist.entries {
            self.appended(step, entry, learnt)?;
        }
        Ok(())
    }

    fn appended(&mut self, step: &Step<'_>, entry: &Entry, learnt: &mut Learnt) -> Verdict {
        let id = step.id();
        let stamp = Stamp::of(entry);
        membership::appended(self.mirrors.of(id), step, entry)?;
        let (previous, replaced) = self.mirrors.of_mut(id).append(entry)?;
        self.matching.appended(id, previous, entry, stamp)?;
        if let Some(first) = replaced.stamps.first() {
            matching::append_only(step, entry, first)?;
            self.completeness.replaced(id, entry, &replaced.stamps)?;
            learnt.configuration_replaced |= replaced.configuration;
            let ids = replaced.stamps.iter().zip(entry.index.0..);
            learnt
                .replaced
                .extend(ids.map(|(stamp, index)| EntryId::new(raft::Index(index), stamp.term)));
        }
        Ok(())
    }

    /// A message leaves, whose sender has this disk.
    pub(crate) fn sent(&mut self, message: &Message, disk: &Disk) -> Verdict {
        self.election.sent(message)?;
        protocol::sent(message, &self.core)?;
        durability::sent(message, disk)
    }

    /// A write has become durable.
    pub(crate) fn durable(&mut self, id: MemberId, disk: &Disk) -> Verdict {
        let state = disk.hard_state();
        match state.vote {
            Some(vote) => self.election.votes(id, state.term, vote),
            None => Ok(()),
        }
    }

    /// A service has applied an entry and come to a state with this sum.
    pub(crate) fn applied(&mut self, id: MemberId, entry: &Entry, sum: u64) -> Verdict {
        self.completeness.applied(id, entry)?;
        self.machines.reached(id, entry.index, sum)
    }

    /// A service has loaded a state with this sum.
    pub(crate) fn loaded(&mut self, id: MemberId, index: raft::Index, sum: u64) -> Verdict {
        self.machines.reached(id, index, sum)
    }
}
