//! What turns the replica: gives it what has happened, and does what it asks for.
//!
//! ```text
//!        ┌──────────────────────── a turn ─────────────────────────┐
//!  Inbox │ take all ─► feed ─► flush ─► publish, send, answer      │ then wait for more,
//!        │                       ▲          │ needs a sync         │ or for the clock
//!        │                       └── sync ◄─┘                      │
//!        └─────────────────────────────────────────────────────────┘
//! ```
//!
//! Everything that has come while a turn lasted is the batch of the next one: there is no timer.
//! The sync is made here and now, on the thread of the turn. That is quicker than handing it to
//! another thread, and what comes meanwhile waits in sockets and the inbox, and is synced together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mvcc::Revision;
use raft::{MemberId, RoleKind};
use replica::{Event, Fault, Finished, Job, Output, Published, Replica};
use tokio::time::{MissedTickBehavior, interval_at};
use tracing::{error, info, warn};

use super::birth::REPLACE;
use super::handle::Shared;
use crate::config::Timing;
use crate::dice::random;
use crate::metrics::Metrics;
use crate::peer::{Dismissal, Local, Peers};

/// A gap between two ticks that is this many ticks long is a pause of the process.
const PAUSE_TICKS: u32 = 4;

/// A view is remembered for once to twice this time.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// Why the driver ended.
#[derive(Debug)]
pub(crate) enum Exit {
    /// This member was removed from the cluster.
    Removed,
    /// This member has lived before, and its data was lost.
    LivedBefore,
    /// The disk or what is on it failed: nothing more may be promised.
    Fault(Fault),
    /// It was asked to.
    Stopped,
}

/// Turns one replica.
pub(crate) struct Driver {
    replica: Replica,
    shared: Arc<Shared>,
    local: Arc<Local>,
    peers: Peers,
    metrics: Arc<Metrics>,
    tick: Duration,
    events: Vec<Event>,
    /// What is given to the replica at the next tick.
    refused: Vec<Event>,
    published: Arc<Published>,
    /// Since when a compaction is being carried out, for metrics.
    compacting_since: Option<Instant>,
    /// When views were last let go, and the revision of that time.
    remembered: (Instant, Revision),
    /// Whether the first election shall not wait for its timeout.
    hurry: bool,
    removed: bool,
}

impl Driver {
    pub(crate) fn new(
        replica: Replica,
        shared: Arc<Shared>,
        local: Arc<Local>,
        metrics: Arc<Metrics>,
        timing: Timing,
    ) -> Driver {
        let published = replica.published();
        let mut peers = Peers::new(local.clone());
        peers.follow(&published);
        Driver {
            replica,
            shared,
            local,
            peers,
            metrics,
            tick: timing.heartbeat,
            remembered: (Instant::now(), Revision(0)),
            hurry: timing.hurry_first_election,
            events: Vec::new(),
            refused: Vec::new(),
            published,
            compacting_since: None,
            removed: false,
        }
    }

    /// Turns until there is a reason to end.
    pub(crate) async fn run(mut self) -> Exit {
        let exit = self.turn_on().await;
        match &exit {
            Exit::Fault(fault) => error!(%fault, "this member cannot go on"),
            // The second half is what those look for who know etcd.
            Exit::Removed => warn!(
                "this member stops: the member has been permanently removed from the cluster; \
                 data-dir used by this member must be removed"
            ),
            Exit::LivedBefore => error!(
                "this member stops: it has already been bootstrapped, and this is not the data \
                 that it had then: {REPLACE}"
            ),
            Exit::Stopped => info!("this member stops"),
        }
        self.shared.inbox.stop();
        match exit {
            Exit::Fault(_) => exit,
            Exit::Removed | Exit::LivedBefore | Exit::Stopped => match self.replica.close() {
                Ok(()) => exit,
                Err(fault) => {
                    error!(%fault, "the log could not be closed");
                    Exit::Fault(fault)
                }
            },
        }
    }

    async fn turn_on(&mut self) -> Exit {
        let mut clock = interval_at(tokio::time::Instant::now() + self.tick, self.tick);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_tick = Instant::now();
        if self
            .published
            .membership
            .voters()
            .all(|voter| voter == MemberId(self.shared.identity.member_id))
        {
            // Nobody else can lead.
            self.shared.inbox.push(Event::LeaderGone);
        }
        loop {
            let ticked = tokio::select! {
                () = self.shared.inbox.filled() => false,
                _ = clock.tick() => true,
            };
            let looks = self.shared.inbox.take(&mut self.events);
            if ticked {
                self.on_tick(&mut last_tick);
            }
            if let Err(fault) = self.turn() {
                return Exit::Fault(fault);
            }
            for look in looks {
                look(&self.replica);
            }
            if self.removed {
                return Exit::Removed;
            }
            match self.local.dismissed() {
                Some(Dismissal::Removed) => return Exit::Removed,
                Some(Dismissal::LivedBefore) => return Exit::LivedBefore,
                None => {}
            }
            if self.shared.inbox.is_stopping() {
                return Exit::Stopped;
            }
        }
    }

    fn on_tick(&mut self, last_tick: &mut Instant) {
        let passed = last_tick.elapsed();
        *last_tick = Instant::now();
        if self.tick * PAUSE_TICKS < passed {
            warn!(millis = passed.as_millis(), "the process was paused, or is far too busy");
            self.replica.feed(Event::Paused);
        }
        self.replica.feed(Event::Tick);
        self.maybe_hurry();
        if REMEMBERED_FOR < self.remembered.0.elapsed() {
            self.shared.forget_before(self.remembered.1);
            self.remembered = (Instant::now(), self.published.view.revision());
        }
        if self.local.take_introduced() {
            // Others make themselves known by calling.
            self.peers.follow(&self.published);
        }
        for event in self.refused.drain(..) {
            self.replica.feed(event);
        }
        let status = self.replica.status();
        if !status.compacting
            && let Some(since) = self.compacting_since.take()
        {
            self.metrics.mvcc.compaction_total.observe(since.elapsed());
            self.metrics.mvcc.compacted_at.set_to_now();
        }
        self.shared.tell(status);
    }

    /// Campaigns before the timeout while this member has never heard of a leader, as soon as
    /// enough others can be reached to elect one. Not at each tick, so that not all do it at once.
    /// Where a leader is, nobody votes, and nothing is disturbed (thesis §9.6).
    fn maybe_hurry(&mut self) {
        if !self.hurry || self.published.leader.is_some() {
            self.hurry = false;
            return;
        }
        let me = MemberId(self.shared.identity.member_id);
        let reached = |voter: &MemberId| *voter == me || self.peers.is_connected(*voter);
        let voters: Vec<MemberId> = self.published.membership.voters().collect();
        let is_quorum = voters.len() / 2 < voters.iter().copied().filter(reached).count();
        if voters.contains(&me) && is_quorum && random().is_multiple_of(2) {
            self.replica.feed(Event::LeaderGone);
        }
    }

    fn turn(&mut self) -> Result<(), Fault> {
        for event in self.events.drain(..) {
            self.replica.feed(event);
        }
        loop {
            let began = Instant::now();
            let output = self.replica.flush()?;
            let is_news = output.published.is_some();
            self.perform(output);
            if is_news {
                self.metrics.on_apply(began.elapsed());
            }
            if self.compacting_since.is_some() {
                self.metrics.mvcc.compaction_pause.observe(began.elapsed());
            }
            if !self.replica.needs_sync() {
                return Ok(());
            }
            let unsynced = self.replica.unsynced();
            let began = Instant::now();
            self.replica.sync()?;
            self.metrics.disk.on_sync(unsynced, began.elapsed());
        }
    }

    fn perform(&mut self, output: Output) {
        let Output { published, messages, replies, jobs, removed } = output;
        if !messages.is_empty() {
            self.refused.extend(self.peers.send(messages));
        }
        if let Some(published) = published {
            self.publish(published);
        }
        self.shared.inbox.answer(replies);
        for job in jobs {
            let (shared, metrics) = (self.shared.clone(), self.metrics.clone());
            tokio::task::spawn_blocking(move || {
                shared.inbox.push(Event::Finished(run_job(job, &metrics)));
            });
        }
        self.removed |= removed;
    }

    fn publish(&mut self, published: Arc<Published>) {
        let before = std::mem::replace(&mut self.published, published.clone());
        if !Arc::ptr_eq(&before.members, &published.members)
            || !Arc::ptr_eq(&before.membership, &published.membership)
        {
            self.peers.follow(&published);
        }
        if before.view.compacted() != published.view.compacted() {
            self.compacting_since.get_or_insert_with(Instant::now);
        }
        if (before.role, before.leader) != (published.role, published.leader) {
            if published.leader.is_some() && before.leader != published.leader {
                self.metrics.member.leader_changes.increment();
            }
            self.on_leadership(&before, &published);
        }
        self.shared.publish(published);
    }

    fn on_leadership(&self, before: &Published, now: &Published) {
        let term = now.term.0;
        let index = now.applied.index.0;
        match (now.role, now.leader) {
            (RoleKind::Leader, _) => info!(term, index, "this member leads"),
            (_, Some(leader)) if before.leader != now.leader => {
                info!(term, index, leader = format!("{:x}", leader.0), "follows a leader");
            }
            (_, None) if before.leader.is_some() => info!(term, index, "lost its leader"),
            (_, Some(_) | None) => {}
        }
    }
}

/// Does what was to be done in the background.
fn run_job(job: Job, metrics: &Metrics) -> Finished {
    let began = Instant::now();
    let finished = job.run();
    match &finished {
        Finished::Checkpoint(outcome) => match outcome.bytes() {
            Some(bytes) => {
                metrics.disk.checkpoint.observe(began.elapsed());
                metrics.disk.checkpoint_bytes.observe_number(bytes);
            }
            None => metrics.disk.checkpoint_failures.increment(),
        },
        Finished::Segment(_) => {}
    }
    finished
}
