//! A cluster of cores that is moved by hand, step by step: for scripts and for tests of rules.
//!
//! Nothing happens by itself. A test ticks members, delivers, drops and duplicates messages, breaks
//! links, crashes and restarts members, holds disks. The stage carries out what the cores ask for,
//! faithfully to the contract in [`raft`]: a write is durable at once, and then acknowledged, and
//! then what waited for it is sent, unless the disk is held.
//!
//! After every step the stage checks what must always hold (Election Safety, Log Matching, Leader
//! Completeness, State Machine Safety) and panics if it does not. It writes down what happened as
//! lines ([`Stage::take_lines`]) and as a [`Trace`].
//!
//! Members are called by their numbers.
//!
//! ```
//! use sim::stage::{Stage, any, to};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut stage = Stage::new(3);
//! stage.elect(1);
//! stage.propose(1, "a=1")?;
//! stage.deliver(to(2));
//! stage.discard(any);
//! # Ok(())
//! # }
//! ```

mod builder;
mod checks;
mod disk;
mod effects;
mod network;
mod record;
mod service;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::membership::Change;
use raft::{
    Config, Dropped, DurableState, EntryId, Input, MemberId, Membership, MembershipError, Message,
    ProposeError, Raft, ReadError, ReadId, ReadOutcome, RestoreError, RoleKind, Snapshot,
    SnapshotRequest, Status, TransferError,
};

use self::checks::Checks;
use self::disk::Disk;
use self::network::{Flying, Network};
use self::record::Record;
use self::service::Service;
use crate::trace::{Trace, What};

pub use self::builder::Builder;
pub use self::network::{Kind, any, from, kind, link, to};
pub(crate) use self::record::{draw_entry, draw_reason, draw_role};

/// A cluster that does not come to rest after so many messages never will.
const DELIVERIES_MAX: usize = 100_000;

/// A cluster moved by hand. See the module's documentation.
pub struct Stage {
    players: BTreeMap<u64, Player>,
    network: Network,
    record: Record,
    checks: Checks,
    configure: Box<dyn Fn(&mut Config)>,
}

/// One member, whether its process runs or not.
struct Player {
    /// `None` while the member is down.
    core: Option<Raft>,
    /// What was last drawn of the member; `None` right after a start.
    drawn: Option<Status>,
    disk: Disk,
    service: Service,
    /// Images that a leader asked for, and that are held back.
    requests: Vec<SnapshotRequest>,
    images_held: bool,
    starts: u64,
    /// How often the member has asked for a vote, or whether it would get one.
    votes_asked: u64,
    dropped: Vec<Dropped>,
    reads: Vec<ReadOutcome>,
}

impl Stage {
    /// A cluster of `voters` members, numbered from one, that start for the first time.
    #[must_use]
    pub fn new(voters: u64) -> Stage {
        Stage::builder(voters).build()
    }

    /// Begins to describe a cluster of `voters` members, numbered from one.
    #[must_use]
    pub fn builder(voters: u64) -> Builder {
        Builder::new(voters)
    }

    fn empty(configure: Box<dyn Fn(&mut Config)>) -> Stage {
        Stage {
            players: BTreeMap::new(),
            network: Network::default(),
            record: Record::default(),
            checks: Checks::default(),
            configure,
        }
    }

    /// Starts a member that is in nobody's configuration yet, with an empty disk.
    pub fn add(&mut self, member: u64) {
        self.add_with(member, DurableState::bootstrap(Membership::default()));
    }

    /// Starts a new member with this disk.
    pub fn add_with(&mut self, member: u64, durable: DurableState) {
        assert!(!self.players.contains_key(&member), "m{member} is on stage already");
        let player = Player {
            core: None,
            drawn: None,
            disk: Disk::new(durable),
            service: Service::default(),
            requests: Vec::new(),
            images_held: false,
            starts: 0,
            votes_asked: 0,
            dropped: Vec::new(),
            reads: Vec::new(),
        };
        self.players.insert(member, player);
        self.restart(member);
    }

    /// Lets one tick pass at `member`.
    pub fn tick(&mut self, member: u64) {
        self.input(member, Input::Tick);
    }

    /// Lets `ticks` ticks pass at every member that is up, without delivering anything.
    pub fn tick_all(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for member in self.up() {
                self.tick(member);
            }
        }
    }

    /// Lets `ticks` ticks pass at every member that is up, and everything be delivered after each.
    pub fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.tick_all(1);
            self.stabilize();
        }
    }

    /// Ticks `member` until it campaigns by itself, and returns how many ticks that took. Panics if
    /// it does not within three election timeouts.
    pub fn tick_until_campaign(&mut self, member: u64) -> u32 {
        let mut config = Config::new(MemberId(member), 0);
        (self.configure)(&mut config);
        let seen = |stage: &Stage| {
            let status = stage.status(member);
            (stage.player(member).votes_asked, status.term, status.role)
        };
        for ticks in 1..=3 * config.election_ticks {
            let before = seen(self);
            self.tick(member);
            let after = seen(self);
            // A single voter asks nobody: it leads at once.
            if after.0 > before.0 || (after != before && after.2 == RoleKind::Leader) {
                return ticks;
            }
        }
        panic!("m{member} does not campaign within three election timeouts");
    }

    /// Makes `member` campaign as if its election timeout had passed.
    pub fn campaign(&mut self, member: u64) {
        self.input(member, Input::Campaign);
    }

    /// Makes `member` campaign and delivers everything until it leads and all is quiet. Panics if
    /// it does not win.
    pub fn elect(&mut self, member: u64) {
        self.campaign(member);
        self.stabilize();
        let status = self.status(member);
        assert!(status.role == RoleKind::Leader, "m{member} did not win: {status:?}");
    }

    /// Proposes a command.
    ///
    /// # Errors
    ///
    /// If the member takes none now.
    pub fn propose(&mut self, member: u64, command: &str) -> Result<EntryId, ProposeError> {
        let command = Bytes::from(command.to_owned());
        self.request(member, |core| core.propose(command))
    }

    /// Proposes a change of the configuration.
    ///
    /// # Errors
    ///
    /// If the member takes none now, or it does not fit.
    pub fn change(&mut self, member: u64, changes: &[Change]) -> Result<EntryId, MembershipError> {
        self.request(member, |core| core.change_membership(changes, Bytes::new()))
    }

    /// Begins to hand leadership to `to`, to the best placed if `None`; returns to whom.
    ///
    /// # Errors
    ///
    /// If there is nothing or nobody to hand it to.
    pub fn transfer(&mut self, member: u64, to: Option<u64>) -> Result<u64, TransferError> {
        self.request(member, |core| core.transfer(to.map(MemberId))).map(|to| to.0)
    }

    /// Asks for a linearizable read; the outcome is then among [`Stage::reads`].
    ///
    /// # Errors
    ///
    /// If the read cannot even be asked for.
    pub fn read(&mut self, member: u64, read: u64) -> Result<(), ReadError> {
        self.request(member, |core| core.read(ReadId(read)))
    }

    /// Gives a member any input.
    pub fn input(&mut self, member: u64, input: Input) {
        self.record.step();
        self.core(member).feed(input);
        self.settle(member);
    }

    fn request<T>(&mut self, member: u64, request: impl FnOnce(&mut Raft) -> T) -> T {
        self.record.step();
        let answer = request(self.core(member));
        self.settle(member);
        answer
    }

    /// Lets the service of `member` make an image of its state, so that the log may be trimmed.
    pub fn snapshot(&mut self, member: u64) {
        let snapshot = self.image(member);
        let index = snapshot.meta.id.index;
        self.player_mut(member).disk.store_image(snapshot);
        self.input(member, Input::Snapshotted(index));
    }

    fn image(&self, member: u64) -> Snapshot {
        let player = self.player(member);
        let core = player.core.as_ref().expect("only a member that is up makes images");
        let index = player.service.applied;
        let meta = core.snapshot_meta(index).expect("what is applied is committed");
        Snapshot { meta, data: player.service.image() }
    }

    /// Kills the process of `member`: all that was not durable is lost.
    pub fn crash(&mut self, member: u64) {
        self.record.step();
        let player = self.player_mut(member);
        assert!(player.core.take().is_some(), "m{member} is down already");
        let lost = player.disk.writes.len();
        player.disk.writes.clear();
        let was_held = std::mem::take(&mut player.disk.held);
        player.requests.clear();
        if lost > 0 {
            let plural = if lost == 1 { "" } else { "s" };
            self.record.line(format!("m{member} loses {lost} write{plural}"));
        }
        if was_held {
            self.record.event(What::Unstall { member });
        }
        self.record.event(What::Crash { member });
    }

    /// Starts `member` again from what its disk holds. Panics if that is refused.
    pub fn restart(&mut self, member: u64) {
        if let Err(error) = self.try_restart(member) {
            panic!("m{member} does not start: {error}");
        }
    }

    /// Starts `member` again from what its disk holds.
    ///
    /// # Errors
    ///
    /// If what the disk holds cannot be.
    pub fn try_restart(&mut self, member: u64) -> Result<(), RestoreError> {
        self.record.step();
        let player = self.players.get_mut(&member).expect("the member is on stage");
        assert!(player.core.is_none(), "m{member} is up already");
        player.starts += 1;
        let mut config = Config::new(MemberId(member), 0);
        (self.configure)(&mut config);
        config.seed = member * 1000 + player.starts;
        let core = Raft::restore(config, player.disk.durable.clone())?;
        if core.status().base != player.disk.durable.base {
            // The stored log did not lead up to the image (rule 4 of the core's contract).
            player.disk.durable.base = core.status().base;
            player.disk.durable.entries.clear();
        }
        let index = player.disk.durable.snapshot.id.index;
        player.service = Service::load(index, &player.disk.image);
        player.core = Some(core);
        player.drawn = None;
        self.record.event(What::Start { member });
        self.settle(member);
        Ok(())
    }

    /// Lets the writes of `member` queue up until they are released.
    pub fn hold_disk(&mut self, member: u64) {
        self.player_mut(member).disk.held = true;
        self.record.event(What::Stall { member });
    }

    /// Makes the oldest `writes` of the queued writes durable and acknowledges each; the disk stays
    /// held.
    pub fn release_writes(&mut self, member: u64, writes: usize) {
        for _ in 0..writes {
            self.record.step();
            self.finish_write(member);
            self.settle(member);
        }
    }

    /// Makes all queued writes durable, acknowledges the last, and holds the disk no longer.
    pub fn release_disk(&mut self, member: u64) {
        self.record.step();
        self.player_mut(member).disk.held = false;
        self.record.event(What::Unstall { member });
        self.settle(member);
    }

    /// Lets the service of `member` apply nothing until it is released.
    pub fn hold_service(&mut self, member: u64) {
        self.player_mut(member).service.held = true;
    }

    /// Lets the service of `member` apply what has gathered, and from now on everything at once.
    pub fn release_service(&mut self, member: u64) {
        self.record.step();
        let service = &mut self.player_mut(member).service;
        service.held = false;
        let waiting = std::mem::take(&mut service.waiting);
        self.apply(member, waiting);
        self.settle(member);
    }

    /// Leaves requests for images unanswered at `member`.
    pub fn hold_images(&mut self, member: u64) {
        self.player_mut(member).images_held = true;
    }

    /// Answers the requests for images that were held back, and from now on all at once.
    pub fn release_images(&mut self, member: u64) {
        self.record.step();
        let player = self.player_mut(member);
        player.images_held = false;
        let requests = std::mem::take(&mut player.requests);
        self.answer_image_requests(member, requests);
        self.settle(member);
    }

    /// Reports that the images asked for could not be made.
    pub fn fail_images(&mut self, member: u64) {
        for request in std::mem::take(&mut self.player_mut(member).requests) {
            self.input(member, Input::SnapshotFailed { to: request.to });
        }
    }

    /// Delivers every message that is under way now and that `pick` names; returns how many.
    /// Messages that answer these stay under way.
    pub fn deliver(&mut self, pick: impl Fn(&Message) -> bool) -> usize {
        let picked = self.network.take(pick);
        let count = picked.len();
        for flying in picked {
            self.arrive(flying);
        }
        count
    }

    /// Delivers the first message under way that `pick` names, and returns it.
    pub fn deliver_one(&mut self, pick: impl Fn(&Message) -> bool) -> Option<Message> {
        let flying = self.network.take_one(pick)?;
        let message = flying.message.clone();
        self.arrive(flying);
        Some(message)
    }

    /// Delivers everything, also what comes in answer, until nothing is under way.
    pub fn stabilize(&mut self) {
        self.stabilize_only(any);
    }

    /// Delivers everything that `pick` names, also what comes in answer, until no such message is
    /// under way.
    pub fn stabilize_only(&mut self, pick: impl Fn(&Message) -> bool) {
        for _ in 0..DELIVERIES_MAX {
            if self.deliver_one(&pick).is_none() {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Loses every message under way that `pick` names; returns how many.
    pub fn discard(&mut self, pick: impl Fn(&Message) -> bool) -> usize {
        self.record.step();
        let picked = self.network.take(pick);
        for flying in &picked {
            self.record.lost(flying);
        }
        picked.len()
    }

    /// Makes a second copy of every message under way that `pick` names, to be delivered after all
    /// others; returns how many.
    pub fn duplicate(&mut self, pick: impl Fn(&Message) -> bool) -> usize {
        self.record.step();
        let flying = self.network.flying.iter().map(|flying| &flying.message);
        let copies: Vec<Message> = flying.filter(|message| pick(message)).cloned().collect();
        let count = copies.len();
        for message in copies {
            self.send(message);
        }
        count
    }

    /// Lets every message under way that `pick` names be overtaken by all others; returns how many.
    pub fn delay(&mut self, pick: impl Fn(&Message) -> bool) -> usize {
        let mut picked = self.network.take(pick);
        let count = picked.len();
        self.network.flying.append(&mut picked);
        count
    }

    /// Turns the order of all messages under way around.
    pub fn reverse(&mut self) {
        self.network.flying.reverse();
    }

    /// Sets every message under way that `pick` names aside, until it is let go; returns how many.
    pub fn hold(&mut self, pick: impl Fn(&Message) -> bool) -> usize {
        let mut picked = self.network.take(pick);
        let count = picked.len();
        self.network.held.append(&mut picked);
        count
    }

    /// Puts all messages that were set aside under way again, after all others; returns how many.
    pub fn let_go(&mut self) -> usize {
        let count = self.network.held.len();
        self.network.flying.append(&mut self.network.held);
        count
    }

    /// Adds a line of the caller's own to those that [`Stage::take_lines`] returns.
    pub fn say(&mut self, line: String) {
        self.record.line(line);
    }

    /// Puts a message under way that no member has sent.
    pub fn inject(&mut self, message: Message) {
        self.record.step();
        self.send(message);
    }

    /// Breaks the link from one member to another, in this direction.
    pub fn block(&mut self, from: u64, to: u64) {
        self.network.broken.insert((from, to));
        self.note_links();
    }

    /// Breaks all links between members of different groups. Members that are in no group form one
    /// of their own.
    pub fn partition(&mut self, groups: &[&[u64]]) {
        let group = |member: &u64| groups.iter().position(|group| group.contains(member));
        let members: Vec<u64> = self.players.keys().copied().collect();
        for from in &members {
            for to in members.iter().filter(|to| group(from) != group(to)) {
                self.network.broken.insert((*from, *to));
            }
        }
        self.note_links();
    }

    /// Breaks all links of `member`.
    pub fn isolate(&mut self, member: u64) {
        self.partition(&[&[member]]);
    }

    /// Makes all links whole.
    pub fn heal(&mut self) {
        self.network.broken.clear();
        self.note_links();
    }

    fn note_links(&mut self) {
        self.record.step();
        let broken = self.network.broken.iter().copied().collect();
        self.record.event(What::Links { broken });
    }
}
