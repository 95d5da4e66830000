//! Replicas on simulated disks, moved by hand: nothing happens unless a test says so.
//!
//! Whatever a member is given, its driver turns until nothing is due: it syncs and runs jobs at
//! once, unless they are held. What it sends is under way until it is delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, SimDisk, Survivors};
use mvcc::KeyRange;
use raft::{Body, Config, MemberId, Membership, Message, RoleKind};
use replica::{
    Event, Fault, Genesis, Job, Options, Output, PeerMessage, Published, Replica, Reply, Status,
    Ticket,
};
use store::{Command, MemberAttributes};

use crate::draw;

pub(crate) const CLUSTER_ID: u64 = 0xc1;

/// Where each member has its files.
pub(crate) const DIR: &str = "/member";

/// Members on stage.
pub(crate) struct Stage {
    players: BTreeMap<u64, Player>,
    /// Messages under way, in the order in which they were sent.
    network: Vec<Flying>,
    /// Messages that were taken aside.
    held: Vec<Flying>,
    /// Links that lose everything, by sender and receiver.
    blocked: BTreeSet<(u64, u64)>,
    lines: Vec<String>,
    /// Whether Raft's own messages are drawn.
    pub(crate) is_loud: bool,
    pub(crate) settings: Settings,
    next_ticket: u64,
}

/// What may be set about all members.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) election_ticks: u32,
    pub(crate) catch_up_entries: u64,
    pub(crate) checkpoint_log_bytes_min: u64,
    pub(crate) request_ticks_max: u32,
    pub(crate) quota_bytes: Option<u64>,
    pub(crate) command_bytes_max: usize,
    pub(crate) uncommitted_bytes_max: usize,
    pub(crate) segment_bytes: u64,
}

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) message: PeerMessage,
}

struct Player {
    disk: SimDisk,
    replica: Option<Replica>,
    /// How often it was started.
    lives: u64,
    is_disk_held: bool,
    are_jobs_held: bool,
    jobs: Vec<Job>,
    /// Role, term and leader, as they were drawn last.
    drawn: String,
    /// What those who may read want to read.
    readers: BTreeMap<Ticket, String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            election_ticks: 10,
            catch_up_entries: 0,
            checkpoint_log_bytes_min: 1 << 20,
            request_ticks_max: 50,
            quota_bytes: None,
            command_bytes_max: 4096,
            uncommitted_bytes_max: 1 << 20,
            segment_bytes: 32 << 10,
        }
    }
}

impl Settings {
    /// The options of one life of a member.
    pub(crate) fn options(&self, member: u64, life: u64) -> Options {
        let mut core = Config::new(MemberId(member), member * 1000 + life);
        core.election_ticks = self.election_ticks;
        core.catch_up_entries = self.catch_up_entries;
        core.uncommitted_bytes_max = self.uncommitted_bytes_max;
        Options {
            dir: PathBuf::from(DIR),
            core,
            tick_millis: 100,
            segment_bytes: self.segment_bytes,
            checkpoint_log_bytes_min: self.checkpoint_log_bytes_min,
            request_ticks_max: self.request_ticks_max,
            command_bytes_max: self.command_bytes_max,
            quota_bytes: self.quota_bytes,
            strict_reconfiguration: true,
            learners_max: 1,
        }
    }
}

/// Names and addresses of a member.
pub(crate) fn attributes(member: u64) -> MemberAttributes {
    let peer_urls = vec![format!("http://m{member}:2380")];
    MemberAttributes { peer_urls, ..MemberAttributes::default() }
}

/// The state of the first members.
pub(crate) fn founded(members: u64) -> Genesis {
    Genesis::Founded {
        cluster_id: CLUSTER_ID,
        membership: Membership::of_voters((1..=members).map(MemberId)),
        members: (1..=members).map(|member| (member, attributes(member))).collect(),
    }
}

/// A disk with the directory of a member.
pub(crate) fn empty_disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir(Path::new(DIR)).expect("an empty disk takes a directory");
    disk.sync_dir(Path::new("/")).expect("the root can be synced");
    disk
}

impl Stage {
    pub(crate) fn new(settings: Settings) -> Stage {
        Stage {
            players: BTreeMap::new(),
            network: Vec::new(),
            held: Vec::new(),
            blocked: BTreeSet::new(),
            lines: Vec::new(),
            is_loud: false,
            settings,
            next_ticket: 1,
        }
    }

    /// Starts the first members.
    pub(crate) fn found(&mut self, members: u64) {
        for member in 1..=members {
            self.create(member, founded(members));
        }
    }

    /// Starts a member that has never run.
    pub(crate) fn create(&mut self, member: u64, genesis: Genesis) {
        let disk = empty_disk(member);
        let replica =
            Replica::create(Arc::new(disk.clone()), self.settings.options(member, 1), genesis);
        let replica = replica.expect("a member can be created");
        let player = Player {
            disk,
            replica: Some(replica),
            lives: 1,
            is_disk_held: false,
            are_jobs_held: false,
            jobs: Vec::new(),
            drawn: String::new(),
            readers: BTreeMap::new(),
        };
        self.players.insert(member, player);
        self.turn(member);
    }

    pub(crate) fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn up(&self) -> Vec<u64> {
        let up = self.players.iter().filter(|(_, player)| player.replica.is_some());
        up.map(|(member, _)| *member).collect()
    }

    pub(crate) fn disk(&self, member: u64) -> SimDisk {
        self.players[&member].disk.clone()
    }

    pub(crate) fn replica(&self, member: u64) -> &Replica {
        self.players[&member].replica.as_ref().expect("the member is up")
    }

    pub(crate) fn published(&self, member: u64) -> Arc<Published> {
        self.replica(member).published()
    }

    pub(crate) fn status(&self, member: u64) -> Status {
        self.replica(member).status()
    }

    /// What a member publishes of a key.
    pub(crate) fn value(&self, member: u64, key: &str) -> String {
        let published = self.published(member);
        let version = published.view.get(key.as_bytes());
        let value = version.map(|version| version.value().bytes().to_vec());
        value.map_or("nothing".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
    }

    /// What a member publishes of all keys.
    pub(crate) fn contents(&self, member: u64) -> Vec<String> {
        let published = self.published(member);
        let request = mvcc::RangeRequest::of(KeyRange::From(b""));
        let found = published.view.range(&request).expect("now can be read");
        found
            .versions
            .iter()
            .map(|version| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("{}={}", text(version.key()), text(version.value().bytes()))
            })
            .collect()
    }

    // === What happens to members ===

    /// Gives a member an event, and turns its driver.
    pub(crate) fn feed(&mut self, member: u64, event: Event) {
        let Some(replica) = &mut self.player(member).replica else { return };
        replica.feed(event);
        self.turn(member);
    }

    pub(crate) fn tick(&mut self, member: u64) {
        self.feed(member, Event::Tick);
    }

    pub(crate) fn tick_all(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for member in self.up() {
                self.tick(member);
            }
        }
    }

    /// Lets time pass, and delivers everything after each tick.
    pub(crate) fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.tick_all(1);
            self.stabilize();
        }
    }

    /// Lets time pass at a member alone until it campaigns, and delivers everything.
    pub(crate) fn elect(&mut self, member: u64) {
        for _ in 0..10 {
            let is_asking = |stage: &Stage| {
                stage.published(member).role == RoleKind::Leader
                    || stage
                        .network
                        .iter()
                        .any(|flying| flying.from == member && is_campaign(flying))
            };
            while !is_asking(self) {
                self.tick(member);
            }
            self.stabilize();
            if self.published(member).role == RoleKind::Leader {
                return;
            }
            // The others still hear from a leader; they must lose patience, too.
            for other in self.up().into_iter().filter(|other| *other != member) {
                for _ in 0..self.settings.election_ticks {
                    if self.published(other).role == RoleKind::Follower {
                        self.tick(other);
                    }
                }
            }
            self.network.clear();
        }
        panic!("m{member} is not elected: {:?}", self.lines);
    }

    /// Asks a question of a client of a member.
    pub(crate) fn ask(&mut self, member: u64, event: impl FnOnce(Ticket) -> Event) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.feed(member, event(ticket));
        ticket
    }

    pub(crate) fn propose(&mut self, member: u64, command: Command) -> Ticket {
        self.ask(member, |ticket| Event::Propose { ticket, command })
    }

    /// Asks to read a key.
    pub(crate) fn read(&mut self, member: u64, key: &str) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.player(member).readers.insert(ticket, key.to_owned());
        self.ask(member, Event::Read)
    }

    // === Disks and jobs ===

    pub(crate) fn hold_disk(&mut self, member: u64) {
        self.player(member).is_disk_held = true;
    }

    pub(crate) fn release_disk(&mut self, member: u64) {
        self.player(member).is_disk_held = false;
        self.turn(member);
    }

    pub(crate) fn hold_jobs(&mut self, member: u64) {
        self.player(member).are_jobs_held = true;
    }

    pub(crate) fn release_jobs(&mut self, member: u64) {
        self.player(member).are_jobs_held = false;
        self.turn(member);
    }

    /// Ends a member's process, by a loss of power.
    pub(crate) fn crash(&mut self, member: u64, survivors: Survivors) {
        let player = self.player(member);
        player.replica = None;
        player.jobs.clear();
        player.readers.clear();
        player.disk.crash(survivors);
        self.lose(member);
    }

    /// Ends a member's process in good order.
    pub(crate) fn close(&mut self, member: u64) {
        let player = self.player(member);
        player.jobs.clear();
        player.readers.clear();
        let replica = player.replica.take().expect("the member is up");
        replica.close().expect("the member can be closed");
        self.lose(member);
    }

    /// Breaks all connections of a member whose process has ended.
    fn lose(&mut self, member: u64) {
        self.network.retain(|flying| flying.from != member && flying.to != member);
        for other in self.up() {
            self.feed(other, Event::Unreachable(MemberId(member)));
        }
    }

    /// Starts a member again.
    pub(crate) fn restart(&mut self, member: u64) {
        let settings = self.settings.clone();
        let player = self.player(member);
        player.lives += 1;
        let options = settings.options(member, player.lives);
        match Replica::open(Arc::new(player.disk.clone()), options) {
            Ok(replica) => {
                player.replica = Some(replica);
                player.drawn.clear();
                self.turn(member);
            }
            Err(fault) => self.say(format!("m{member} does not start: {}", draw::fault(&fault))),
        }
    }

    // === The network ===

    /// The messages under way.
    pub(crate) fn in_flight(&self) -> &[Flying] {
        &self.network
    }

    /// Loses the messages that are picked.
    pub(crate) fn discard(&mut self, pick: impl Fn(&Flying) -> bool) {
        self.network.retain(|flying| !pick(flying));
    }

    /// Takes the messages that are picked aside.
    pub(crate) fn hold(&mut self, pick: impl Fn(&Flying) -> bool) {
        let (picked, rest) =
            std::mem::take(&mut self.network).into_iter().partition(|flying| pick(flying));
        self.network = rest;
        let picked: Vec<Flying> = picked;
        self.held.extend(picked);
    }

    /// Puts all that was taken aside under way again.
    pub(crate) fn let_go(&mut self) {
        self.network.append(&mut self.held);
    }

    /// Delivers the messages that are under way now and are picked.
    pub(crate) fn deliver(&mut self, pick: impl Fn(&Flying) -> bool) {
        let (picked, rest) =
            std::mem::take(&mut self.network).into_iter().partition(|flying| pick(flying));
        self.network = rest;
        let picked: Vec<Flying> = picked;
        for flying in picked {
            self.arrive(flying);
        }
    }

    /// Delivers everything, also what comes in answer.
    pub(crate) fn stabilize(&mut self) {
        for _ in 0..10_000 {
            if self.network.is_empty() {
                return;
            }
            self.deliver(|_| true);
        }
        panic!("the cluster does not come to rest");
    }

    pub(crate) fn block(&mut self, from: u64, to: u64) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn isolate(&mut self, member: u64) {
        for other in self.players.keys().copied().filter(|other| *other != member) {
            self.blocked.insert((member, other));
            self.blocked.insert((other, member));
        }
    }

    pub(crate) fn heal(&mut self) {
        self.blocked.clear();
    }

    fn arrive(&mut self, flying: Flying) {
        let Flying { from, to, message } = flying;
        let is_up = self.players.get(&to).is_some_and(|player| player.replica.is_some());
        if !is_up || self.blocked.contains(&(from, to)) {
            return;
        }
        if self.is_drawn(&message) {
            self.say(format!("m{from} → m{to} {}", draw::message(&message)));
        }
        if let PeerMessage::Raft(announced) = &message
            && matches!(announced.body, Body::InstallSnapshot { .. })
        {
            match self.transfer(from, to, announced) {
                Ok(message) => self.feed(to, Event::SnapshotReceived { message }),
                Err(fault) => {
                    self.say(format!("m{to} gets no image: {}", draw::fault(&fault)));
                    self.feed(from, Event::SnapshotFailed(MemberId(to)));
                }
            }
            return;
        }
        self.feed(to, Event::Peer { from: MemberId(from), message });
    }

    /// Carries an image from one member to another.
    fn transfer(&mut self, from: u64, to: u64, message: &Message) -> Result<Message, Fault> {
        let Body::InstallSnapshot { snapshot } = &message.body else {
            unreachable!("only images are carried")
        };
        let sender = self.players[&from].replica.as_ref().expect("who sends is up");
        let mut receiver = self.replica(to).receive_snapshot(message)?;
        for piece in sender.read_checkpoint(&snapshot.data)? {
            // Small pieces, so that heads and frames are cut.
            for piece in piece?.chunks(100) {
                receiver.push(piece)?;
            }
        }
        receiver.finish()
    }

    fn is_drawn(&self, message: &PeerMessage) -> bool {
        let PeerMessage::Raft(message) = message else { return true };
        self.is_loud || matches!(message.body, Body::InstallSnapshot { .. })
    }

    // === The driver ===

    fn player(&mut self, member: u64) -> &mut Player {
        self.players.get_mut(&member).unwrap_or_else(|| panic!("m{member} is not on stage"))
    }

    /// Turns a member's driver until nothing is due.
    fn turn(&mut self, member: u64) {
        loop {
            let player = self.player(member);
            let Some(replica) = &mut player.replica else { return };
            match replica.flush() {
                Ok(output) => self.act(member, output),
                Err(fault) => return self.stop(member, &fault),
            }
            if self.run_job(member) {
                continue;
            }
            let player = self.player(member);
            let Some(replica) = &mut player.replica else { return };
            if player.is_disk_held || !replica.needs_sync() {
                return;
            }
            if let Err(fault) = replica.sync() {
                return self.stop(member, &fault);
            }
        }
    }

    fn run_job(&mut self, member: u64) -> bool {
        let player = self.player(member);
        if player.are_jobs_held || player.jobs.is_empty() {
            return false;
        }
        let finished = player.jobs.remove(0).run();
        if let Some(replica) = &mut player.replica {
            replica.feed(Event::Finished(finished));
        }
        true
    }

    fn stop(&mut self, member: u64, fault: &Fault) {
        self.say(format!("m{member} stops: {}", draw::fault(fault)));
        self.player(member).replica = None;
    }

    fn act(&mut self, member: u64, output: Output) {
        let Output { published, messages, replies, jobs, removed } = output;
        if let Some(published) = published {
            let drawn = draw::role(&published);
            if self.player(member).drawn != drawn {
                self.say(format!("m{member} is {drawn}"));
                self.player(member).drawn = drawn;
            }
        }
        for outgoing in messages {
            let (from, to) = (member, outgoing.to.0);
            if !self.blocked.contains(&(from, to)) {
                self.network.push(Flying { from, to, message: outgoing.message });
            }
        }
        for (ticket, reply) in replies {
            let mut line = format!("m{member} t{} {}", ticket.0, draw::reply(&reply));
            if let Some(key) = self.player(member).readers.remove(&ticket)
                && reply == Reply::ReadReady
            {
                line = format!("m{member} t{} reads {key}={}", ticket.0, self.value(member, &key));
            }
            self.say(line);
        }
        self.player(member).jobs.extend(jobs);
        if removed {
            self.say(format!("m{member} was removed"));
        }
    }
}

fn is_campaign(flying: &Flying) -> bool {
    matches!(
        &flying.message,
        PeerMessage::Raft(Message { body: Body::PreVote { .. } | Body::RequestVote { .. }, .. })
    )
}
