//! How a replica comes to be: created, or opened from what its disk holds.
//!
//! A member exists from the moment that a checkpoint bears its name. When it is created, that is
//! the last thing to happen: before, the checkpoint lies there under another name, and the log
//! names it already. Whatever is interrupted before leaves no member, and is done again.
//!
//! ```text
//!   open the log ─► write checkpoint-….tmp, sync ─► the log names it, sync ─► rename, sync
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use disk::{Cause, Disk};
use raft::{
    DurableState, EntryId, HardState, Index, Membership, Raft, RoleKind, SnapshotMeta, Term,
};
use store::{Machine, MemberAttributes, MembershipContext};
use wal::{Batch, Recovered, Wal, WalError};

use super::change::Changes;
use super::checkpoints::Checkpoints;
use super::publish::Shown;
use super::reads::Reads;
use super::turn::Health;
use super::{Identity, Replica};
use crate::checkpoint::{
    self, CheckpointJob, Damage, Head, Loaded, list, load, name_of, read_head, remove_unfinished,
};
use crate::clients::Clients;
use crate::fault::Fault;
use crate::images::Images;
use crate::journal::Journal;
use crate::lease::Questions;
use crate::options::{Genesis, Options};
use crate::output::Output;
use crate::proposals::{Proposals, spread};

/// Where the log of a founded cluster begins.
const FOUNDATION: EntryId = EntryId { index: Index(1), term: Term(1) };

/// Tells whether a member was created in this directory.
pub(super) fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool, Fault> {
    Ok(!list(disk, dir)?.is_empty())
}

/// Tells whose state a directory holds.
pub(super) fn identity(disk: &dyn Disk, dir: &Path) -> Result<Identity, Fault> {
    let mut fault = Fault::NoMember(dir.to_owned());
    for index in list(disk, dir)?.into_iter().rev() {
        match read_head(disk, &dir.join(name_of(index))) {
            Ok(Head { cluster_id, member_id, .. }) => {
                return Ok(Identity { cluster_id, member_id });
            }
            Err(found) => fault = found,
        }
    }
    Err(fault)
}

// === Creating ===

/// Creates a member that has never run.
pub(super) fn create(
    disk: Arc<dyn Disk>,
    options: Options,
    genesis: Genesis,
) -> Result<Replica, Fault> {
    let dir = options.dir.clone();
    if exists(&*disk, &dir)? {
        return Err(Fault::MemberExists(dir));
    }
    let (cluster_id, meta, machine) = begin(genesis);
    let (mut wal, recovered) = open_wal(disk.clone(), &options)?;
    check_unused(&dir, &recovered)?;
    remove_unfinished(&*disk, &dir)?;
    let head = Head { cluster_id, member_id: options.core.id.0, meta: meta.clone() };
    let job = CheckpointJob::new(disk.clone(), dir.clone(), head, machine.image());
    let (unfinished, bytes) = job.write_unfinished()?;
    let id = meta.id;
    let hard_state = HardState { term: id.term, vote: None, commit: id.index };
    let hard_state = hard_state_of(&recovered, hard_state);
    wal.append(&Batch { installed: Some(&meta), hard_state, ..Batch::default() })?;
    wal.commit()?;
    disk.rename(&unfinished, &dir.join(name_of(id.index)))?;
    disk.sync_dir(&dir)?;
    let durable = DurableState {
        hard_state: hard_state.unwrap_or(recovered.hard_state),
        snapshot: meta.clone(),
        base: id,
        entries: Vec::new(),
    };
    let identity = Identity { cluster_id, member_id: options.core.id.0 };
    let checkpoints = Checkpoints::new(meta, bytes, vec![id.index], 0);
    assemble(Parts { disk, options, identity, wal, machine, durable, checkpoints })
}

/// The state in which a member begins.
fn begin(genesis: Genesis) -> (u64, SnapshotMeta, Machine) {
    match genesis {
        Genesis::Founded { cluster_id, membership, members } => {
            let mut machine = Machine::new();
            name_members(&mut machine, members);
            (cluster_id, SnapshotMeta { id: FOUNDATION, membership }, machine)
        }
        Genesis::Restored { cluster_id, membership, members, image } => {
            let mut machine = image.into_machine();
            name_members(&mut machine, members);
            (cluster_id, SnapshotMeta { id: FOUNDATION, membership }, machine)
        }
        Genesis::Joining { cluster_id } => {
            let membership = Membership::default();
            (cluster_id, SnapshotMeta { id: EntryId::ZERO, membership }, Machine::new())
        }
    }
}

fn name_members(machine: &mut Machine, members: BTreeMap<u64, MemberAttributes>) {
    for (member, attributes) in members {
        machine.apply_membership(&MembershipContext::Added { member, attributes });
    }
}

/// Makes sure that a log without a checkpoint is one that was never used: its checkpoints may have
/// been lost.
fn check_unused(dir: &Path, recovered: &Recovered) -> Result<(), Fault> {
    let Recovered { hard_state, mark, entries, .. } = recovered;
    let first = FOUNDATION.index;
    let is_used = !entries.is_empty()
        || hard_state.vote.is_some()
        || FOUNDATION.term < hard_state.term
        || mark.as_ref().is_some_and(|mark| first < mark.id.index);
    if is_used {
        let found = "a log that was used, without a checkpoint".to_owned();
        return Err(Fault::Incomplete { dir: dir.to_owned(), found });
    }
    Ok(())
}

/// What of the hard state must be written. An attempt that was interrupted may have written more.
fn hard_state_of(recovered: &Recovered, wanted: HardState) -> Option<HardState> {
    let term = wanted.term.max(recovered.hard_state.term);
    let wanted = HardState { term, ..wanted };
    (wanted != recovered.hard_state).then_some(wanted)
}

// === Opening ===

/// Opens a member that has run before.
pub(super) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Replica, Fault> {
    let dir = options.dir.clone();
    let identity = identity(&*disk, &dir)?;
    check_member(&dir, identity, &options)?;
    let incomplete = |found: String| Fault::Incomplete { dir: dir.clone(), found };
    if !has_log(&*disk, &dir)? {
        return Err(incomplete("checkpoints without a log".to_owned()));
    }
    let (wal, recovered) = open_wal(disk.clone(), &options)?;
    let Recovered { hard_state, mark, base, entries, .. } = recovered;
    let Some(mark) = mark else {
        return Err(incomplete("a log that names no checkpoint".to_owned()));
    };
    let index = mark.id.index;
    let mut files = list(&*disk, &dir)?;
    if !files.contains(&index) {
        return Err(incomplete(format!("a log that names {}, which is missing", name_of(index))));
    }
    let Loaded { head, machine, bytes } = load(&*disk, &dir, index)?;
    check_head(&dir, &head, &mark)?;
    let identity = Identity { cluster_id: head.cluster_id, member_id: head.member_id };
    check_member(&dir, identity, &options)?;
    // What the log does not name does not count. It may be named in time, and made again.
    for unnamed in files.extract_if(.., |file| index < *file) {
        disk.remove(&dir.join(name_of(unnamed)))?;
    }
    remove_unfinished(&*disk, &dir)?;
    let behind = entries.iter().filter(|entry| index < entry.index);
    let log_bytes = behind.map(|entry| entry.size() as u64).sum();
    let checkpoints = Checkpoints::new(mark.clone(), bytes, files, log_bytes);
    let durable = DurableState { hard_state, snapshot: mark, base, entries };
    assemble(Parts { disk, options, identity, wal, machine, durable, checkpoints })
}

fn check_member(dir: &Path, found: Identity, options: &Options) -> Result<(), Fault> {
    let (found, expected) = (found.member_id, options.core.id.0);
    if found != expected {
        return Err(Fault::WrongMember { dir: dir.to_owned(), found, expected });
    }
    Ok(())
}

/// Makes sure that the checkpoint is the one that the log names.
fn check_head(dir: &Path, head: &Head, mark: &SnapshotMeta) -> Result<(), Fault> {
    if head.meta != *mark {
        let describe = |meta: &SnapshotMeta| format!("{} of {}", meta.id, meta.membership);
        let (expected, found) = (describe(mark), describe(&head.meta));
        let damage = Damage { offset: checkpoint::HEAD_IMAGE as u64, expected, found };
        return Err(damage.of(&dir.join(name_of(mark.id.index))));
    }
    Ok(())
}

fn has_log(disk: &dyn Disk, dir: &Path) -> Result<bool, Fault> {
    match disk.list(&dir.join(WAL)) {
        Ok(names) => Ok(names.iter().any(|name| name.ends_with(".wal"))),
        Err(error) if matches!(error.cause(), Cause::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The directory of the log in that of the member.
const WAL: &str = "wal";

fn open_wal(disk: Arc<dyn Disk>, options: &Options) -> Result<(Wal, Recovered), WalError> {
    let new_id = spread(options.core.seed ^ spread(options.core.id.0));
    let dir = options.dir.join(WAL);
    Wal::open(disk, wal::Options { dir, segment_bytes: options.segment_bytes, new_id })
}

// === Both ===

struct Parts {
    disk: Arc<dyn Disk>,
    options: Options,
    identity: Identity,
    wal: Wal,
    machine: Machine,
    durable: DurableState,
    checkpoints: Checkpoints,
}

fn assemble(parts: Parts) -> Result<Replica, Fault> {
    let Parts { disk, options, identity, wal, machine, durable, checkpoints } = parts;
    let SnapshotMeta { id: applied, membership } = durable.snapshot.clone();
    let base = durable.base;
    let core = Raft::restore(options.core.clone(), durable);
    let core = core.map_err(|error| Fault::Restore { error })?;
    let status = core.status();
    if status.base != base {
        let found = format!("a log that goes on from {base}, and a checkpoint at {applied}");
        return Err(Fault::Incomplete { dir: options.dir, found });
    }
    assert!(status.role == RoleKind::Follower, "a member starts as a {}", status.role);
    let seed = options.core.seed;
    let id = options.core.id;
    let images = Images::new(disk, options.dir.clone(), identity.cluster_id, identity.member_id);
    let mut replica = Replica {
        id,
        identity,
        now: 0,
        health: Health::default(),
        out: Output::default(),
        journal: Journal::new(wal, options.segment_bytes),
        shown: Shown::first(&core, &machine, membership.clone()),
        core,
        machine,
        applied,
        applied_membership: membership,
        clients: Clients::default(),
        proposals: Proposals::new(id, seed),
        reads: Reads::default(),
        questions: Questions::new(spread(!seed)),
        changes: Changes::default(),
        checkpoints,
        images,
        lead: None,
        unreachable: BTreeSet::new(),
        refused_by: None,
        campaign: None,
        is_removal_told: false,
        dropped: 0,
        violations: 0,
        options,
    };
    replica.health.stir();
    Ok(replica)
}
