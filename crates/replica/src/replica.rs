//! The running thing: its parts, and its doors.

mod apply;
mod birth;
mod change;
mod checkpoints;
mod lead;
mod leases;
mod propose;
mod publish;
mod reads;
mod survive;
mod turn;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use disk::Disk;
use raft::{EntryId, Input, MemberId, Membership, Message, Raft, Term};
use store::Machine;

use self::change::Changes;
use self::checkpoints::Checkpoints;
use self::lead::Lead;
use self::publish::Shown;
use self::reads::Reads;
pub use self::survive::Survivor;
use self::turn::{Campaign, Health};
use crate::checkpoint::CheckpointReader;
use crate::clients::Clients;
use crate::event::{Event, LeaseQuestionKind, PeerMessage, Ticket};
use crate::fault::Fault;
use crate::images::{Images, SnapshotReceiver};
use crate::journal::Journal;
use crate::lease::Questions;
use crate::options::{Genesis, Options};
use crate::output::{Outgoing, Output, Published, Reply};
use crate::proposals::Proposals;
use crate::status::{Status, Unsynced};

/// Whose state a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// The member's ID.
    pub member_id: u64,
}

/// One member: see the crate's documentation.
#[derive(Debug)]
pub struct Replica {
    options: Options,
    identity: Identity,
    id: MemberId,
    /// Ticks since this life began.
    now: u64,
    health: Health,
    /// What is due and was not returned yet.
    out: Output,

    core: Raft,
    journal: Journal,
    machine: Machine,
    /// The last entry that the machine has executed.
    applied: EntryId,
    /// The configuration in force at that entry.
    applied_membership: Membership,

    clients: Clients,
    proposals: Proposals,
    reads: Reads,
    questions: Questions,
    changes: Changes,
    checkpoints: Checkpoints,
    images: Images,
    /// What only a leader has.
    lead: Option<Lead>,
    /// Who could not be reached since anything came from it.
    unreachable: BTreeSet<MemberId>,
    /// Whoever was taken for the leader of this term has refused something: nothing more is sent
    /// to it before the next tick.
    refused_by: Option<(Term, MemberId)>,
    campaign: Option<Campaign>,
    shown: Shown,
    /// Whether the driver was told that this member was removed.
    is_removal_told: bool,
    dropped: u64,
    violations: u64,
}

impl Replica {
    // === Birth ===

    /// Tells whether a member was created in this directory.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool, Fault> {
        birth::exists(disk, dir)
    }

    /// Tells whose state this directory holds, without opening it.
    ///
    /// # Errors
    ///
    /// If there is no member, or none of its checkpoints has a sound head.
    pub fn identity(disk: &dyn Disk, dir: &Path) -> Result<Identity, Fault> {
        birth::identity(disk, dir)
    }

    /// Creates the state of a member that has never run, and opens it. If it is interrupted, the
    /// member does not exist, and this is to be called again.
    ///
    /// # Errors
    ///
    /// If there is a member already, or the disk fails.
    pub fn create(
        disk: Arc<dyn Disk>,
        options: Options,
        genesis: Genesis,
    ) -> Result<Replica, Fault> {
        birth::create(disk, options, genesis)
    }

    /// Opens the state of a member that has run before. `options.core.seed` must be new.
    ///
    /// # Errors
    ///
    /// If it is another member's, if it is damaged, or if the disk fails.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Replica, Fault> {
        birth::open(disk, options)
    }

    // === The doors ===

    /// Takes one event, and leaves what it gives rise to to the next [`Replica::flush`].
    pub fn feed(&mut self, event: Event) {
        self.health.stir();
        match event {
            Event::Tick => self.on_tick(),
            Event::Paused => self.on_paused(),
            Event::Peer { from, message } => self.on_peer(from, message),
            Event::Unreachable(member) => self.on_unreachable(member),
            Event::LeaderGone => self.on_leader_gone(),
            Event::Propose { ticket, command } => self.on_propose(ticket, &command),
            Event::Read(ticket) => self.on_read(ticket),
            Event::ChangeMembership { ticket, changes, context } => {
                self.on_change_membership(ticket, changes, context);
            }
            Event::Transfer { ticket, to } => self.on_transfer(ticket, to),
            Event::LeaseRenew { ticket, id } => {
                self.on_lease(ticket, id, LeaseQuestionKind::Renew);
            }
            Event::LeaseTimeToLive { ticket, id } => {
                self.on_lease(ticket, id, LeaseQuestionKind::Tell);
            }
            Event::Forget(ticket) => self.on_forget(ticket),
            Event::Finished(finished) => self.on_finished(finished),
            Event::SnapshotReceived { message } => self.on_snapshot_received(message),
            Event::SnapshotFailed(to) => self.core.feed(Input::SnapshotFailed { to }),
        }
    }

    /// Returns everything that is due and needs no further sync.
    ///
    /// # Errors
    ///
    /// The first fault; after it, [`Fault::Stopped`].
    pub fn flush(&mut self) -> Result<Output, Fault> {
        if !self.health.take_stirred()? {
            return Ok(Output::default());
        }
        match self.turn() {
            Ok(()) => Ok(std::mem::take(&mut self.out)),
            Err(fault) => Err(self.health.stop(fault)),
        }
    }

    /// Tells whether something waits to be made durable, and may be tried now. While the disk is
    /// full it may be tried once for each tick: see [`Status::disk_full`].
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        self.journal.needs_sync()
    }

    /// Makes all that waits durable, by one write and one sync. What becomes due by that comes out
    /// of the next [`Replica::flush`].
    ///
    /// # Errors
    ///
    /// As [`Replica::flush`]. A full disk is no fault.
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.health.check()?;
        self.health.stir();
        self.on_synced().map_err(|fault| self.health.stop(fault))
    }

    /// Makes all durable and closes the files, so that the next start need not doubt the last
    /// write. What is not answered is not answered any more.
    ///
    /// # Errors
    ///
    /// As [`Replica::flush`].
    pub fn close(self) -> Result<(), Fault> {
        self.health.check()?;
        self.journal.close()
    }

    // === What it tells ===

    /// Whose state this is.
    #[must_use]
    pub fn whose(&self) -> Identity {
        self.identity
    }

    /// What the next [`Replica::sync`] makes durable.
    #[must_use]
    pub fn unsynced(&self) -> Unsynced {
        let entries = self.core.last().index.0.saturating_sub(self.journal.durable().0);
        Unsynced { entries, bytes: self.journal.queued_bytes() }
    }

    /// What the replica tells about itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            core: self.core.status(),
            cluster_id: self.identity.cluster_id,
            applied: self.applied.index,
            durable: self.journal.durable(),
            checkpoint: self.checkpoints.durable_index(),
            checkpoint_bytes: self.checkpoints.durable_bytes(),
            checkpoint_under_way: self.checkpoints.is_under_way(),
            log_bytes: self.checkpoints.log_bytes(),
            sizes: self.machine.view_now().sizes(),
            live_bytes: self.machine.live_bytes(),
            leases_len: self.machine.leases().len(),
            waiting_len: self.clients.len(),
            proposals_len: self.proposals.len(),
            proposals_bytes: self.proposals.bytes(),
            disk_full: self.journal.is_full(),
            compacting: self.machine.is_compacting(),
            tally: self.machine.tally(),
            dropped: self.dropped,
            violations: self.violations,
            retries: self.proposals.retries(),
        }
    }

    /// The state that reads are served from.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.shown.published.clone()
    }

    /// A hash over everything that is replicated, and the entry up to which it was executed: equal
    /// on all members that have come that far.
    #[must_use]
    pub fn digest(&self) -> (EntryId, u64) {
        (self.applied, self.machine.digest())
    }

    /// The IDs of all leases: on the leader those first whose time ends first, elsewhere by ID.
    #[must_use]
    pub fn leases(&self) -> Vec<i64> {
        match &self.lead {
            Some(lead) => lead.clock.by_deadline(),
            None => self.machine.leases().iter().map(|lease| lease.id).collect(),
        }
    }

    /// The keys that are attached to a lease, sorted; none if there is no such lease.
    #[must_use]
    pub fn lease_keys(&self, id: i64) -> Vec<Bytes> {
        self.machine.lease_keys(id).map(Bytes::copy_from_slice).collect()
    }

    // === Images ===

    /// Everything that is stored, as it is now: for a copy that an operator takes away.
    #[must_use]
    pub fn image(&self) -> store::Image {
        self.machine.image()
    }

    /// The way to the checkpoint files, for those who send and receive images.
    #[must_use]
    pub fn images(&self) -> Images {
        self.images.clone()
    }

    /// Opens a checkpoint for sending it: see [`Images::read`].
    ///
    /// # Errors
    ///
    /// If it is gone, or cannot be read.
    pub fn read_checkpoint(&self, token: &Bytes) -> Result<CheckpointReader, Fault> {
        self.images.read(token)
    }

    /// Begins to take in an image: see [`Images::receive`].
    ///
    /// # Errors
    ///
    /// If the message announces none, or there is no space for it.
    pub fn receive_snapshot(&self, message: &Message) -> Result<SnapshotReceiver, Fault> {
        self.images.receive(message)
    }

    // === Speaking ===

    /// Whom this member takes for the leader, if it may be told something now.
    fn leader_to_ask(&self) -> Option<MemberId> {
        let leader = self.core.leader()?;
        (self.refused_by != Some((self.core.term(), leader))).then_some(leader)
    }

    fn send(&mut self, to: MemberId, message: PeerMessage) {
        assert!(to != self.id, "a message to this member itself");
        self.out.messages.push(Outgoing { to, message });
    }

    /// Sends what the core wants to be said.
    fn send_all(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.send(message.to, PeerMessage::Raft(message));
        }
    }

    /// Answers a client, if it still waits.
    fn answer(&mut self, ticket: Ticket, reply: Reply) {
        if self.clients.remove(ticket).is_some() {
            self.out.replies.push((ticket, reply));
        }
    }

    /// The tick at which a question of now is given up.
    fn deadline(&self) -> u64 {
        self.now + u64::from(self.options.request_ticks_max)
    }
}
