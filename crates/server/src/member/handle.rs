//! The door to this member for everything that serves clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mvcc::{RecentViews, Revision, View};
use parking_lot::Mutex;
use raft::membership::Change;
use raft::{EntryId, MemberId};
use replica::{
    Event, LeaseLife, MembershipRefusal, Published, Replica, Reply, Status, TransferRefusal,
    Unavailable,
};
use store::{Applied, Command, MembershipContext, Operation, Txn};
use tokio::sync::{oneshot, watch};

use super::inbox::Inbox;
use crate::metrics::AskedMetrics;

/// How many lists can be read in pages at a time with quick counts.
const REMEMBERED_MAX: usize = 64;

/// A share in the running member: cheap to clone, usable from every thread.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Who this member is, and what was set that services must know.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's ID.
    pub cluster_id: u64,
    /// This member's ID.
    pub member_id: u64,
    /// The shortest election timeout.
    pub election_timeout: Duration,
    /// The quota for live bytes; zero for none.
    pub quota_bytes: u64,
}

/// What the driver and all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) inbox: Inbox,
    asked: AskedMetrics,
    published: ArcSwap<Published>,
    /// Views at whose revision somebody may read another page.
    remembered: Mutex<RecentViews>,
    status: ArcSwap<Status>,
    /// Counts publications.
    changes: watch::Sender<u64>,
    /// Whether streams are to end.
    closing: watch::Sender<bool>,
}

/// What became of a command that was executed.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The answer, and the revision for its header.
    pub applied: Applied,
    /// Where it stood in the log. Its term is that of the header.
    pub at: EntryId,
}

impl Shared {
    pub(crate) fn new(identity: Identity, published: Arc<Published>, status: Status) -> Shared {
        let remembered = Mutex::new(RecentViews::new(published.view.clone(), REMEMBERED_MAX));
        Shared {
            identity,
            inbox: Inbox::default(),
            asked: AskedMetrics::default(),
            remembered,
            published: ArcSwap::new(published),
            status: ArcSwap::from_pointee(status),
            changes: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }
    }

    /// The state that reads are served from.
    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Lets everybody see a newer state.
    pub(crate) fn publish(&self, published: Arc<Published>) {
        self.published.store(published);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Forgets the views that were remembered before the store came to `revision`.
    pub(crate) fn forget_before(&self, revision: Revision) {
        let view = self.published().view.clone();
        let mut remembered = self.remembered.lock();
        if remembered.newest().revision() <= view.revision() {
            remembered.push(view);
        }
        remembered.forget_before(revision);
    }

    /// Lets everybody see a newer status.
    pub(crate) fn tell(&self, status: Status) {
        self.status.store(Arc::new(status));
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// Who this member is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// The state that reads without a question to the leader are served from.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.shared.published.load_full()
    }

    /// Remembers a view for a minute or two, so that further pages of a list at its revision are
    /// counted as quickly as the first. What it costs is what is written meanwhile.
    pub fn remember(&self, view: &View) {
        let mut remembered = self.shared.remembered.lock();
        if remembered.newest().revision() < view.revision() {
            remembered.push(view.clone());
        }
    }

    /// Returns what a read at a revision of the past is served from: `view`, and what is remembered
    /// of that revision.
    #[must_use]
    pub fn excerpt(&self, view: &View, revision: Revision) -> RecentViews {
        self.shared.remembered.lock().excerpt(view, revision)
    }

    /// What the member tells about itself, as of some milliseconds ago at most (a tick).
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.load_full()
    }

    /// Wakes whoever waits on it after each publication: what watches follow.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// How questions have ended, for whoever looks at metrics.
    pub(crate) fn asked(&self) -> &AskedMetrics {
        &self.shared.asked
    }

    /// How many questions wait for an answer.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.shared.inbox.waiting_len()
    }

    /// Has a command executed by the cluster, whoever leads it.
    ///
    /// # Errors
    ///
    /// See [`Unavailable`], which says of each whether it may still be executed. That the machine
    /// refused the command is no error here: see [`Applied::result`].
    pub async fn propose(&self, command: Command) -> Result<Executed, Unavailable> {
        let bytes = weight(&command);
        let answer = self.ask(bytes, |ticket| Event::Propose { ticket, command }).await;
        let reply = answer.inspect_err(|why| self.asked().on_proposed(Err(*why)))?;
        let Reply::Applied { applied, at } = reply else { return unexpected(&reply) };
        self.asked().on_proposed(Ok(&applied.result));
        Ok(Executed { applied, at })
    }

    /// Waits until the state that is returned is at least as new as everything that was
    /// acknowledged anywhere before this call.
    ///
    /// # Errors
    ///
    /// If no leader could be asked in time.
    pub async fn read_index(&self) -> Result<Arc<Published>, Unavailable> {
        let asked_at = Instant::now();
        let answer = self.ask(0, Event::Read).await;
        self.asked().on_read(answer.as_ref().map(|_| ()).map_err(|why| *why), asked_at.elapsed());
        // As in etcd, who reads is not told that nobody was asked.
        let in_etcds_words =
            |why| if why == Unavailable::NoLeader { Unavailable::Timeout } else { why };
        let reply = answer.map_err(in_etcds_words)?;
        let Reply::ReadReady = reply else { return unexpected(&reply) };
        Ok(self.published())
    }

    /// Changes the configuration.
    ///
    /// # Errors
    ///
    /// That it is refused is no error of the outer result.
    pub async fn change_membership(
        &self,
        changes: Vec<Change>,
        context: MembershipContext,
    ) -> Result<Result<(), MembershipRefusal>, Unavailable> {
        let event = |ticket| Event::ChangeMembership { ticket, changes, context };
        let reply = self.ask(0, event).await?;
        let Reply::Membership(outcome) = reply else { return unexpected(&reply) };
        Ok(outcome)
    }

    /// Hands leadership over; only the leader can.
    ///
    /// # Errors
    ///
    /// That it is refused is no error of the outer result.
    pub async fn transfer(
        &self,
        to: Option<MemberId>,
    ) -> Result<Result<(), TransferRefusal>, Unavailable> {
        let reply = self.ask(0, |ticket| Event::Transfer { ticket, to }).await?;
        let Reply::Transferred(outcome) = reply else { return unexpected(&reply) };
        Ok(outcome)
    }

    /// Starts the time of a lease anew, at whatever member leads.
    ///
    /// # Errors
    ///
    /// If no leader could be asked in time.
    pub async fn lease_renew(&self, id: i64) -> Result<LeaseLife, Unavailable> {
        let reply = self.ask(0, |ticket| Event::LeaseRenew { ticket, id }).await?;
        let Reply::LeaseRenewed(life) = reply else { return unexpected(&reply) };
        self.asked().on_renewed(&life);
        Ok(life)
    }

    /// Asks the leader how long a lease lives. Its keys are told by [`Handle::lease_keys`].
    ///
    /// # Errors
    ///
    /// If no leader could be asked in time.
    pub async fn lease_time_to_live(&self, id: i64) -> Result<LeaseLife, Unavailable> {
        let reply = self.ask(0, |ticket| Event::LeaseTimeToLive { ticket, id }).await?;
        let Reply::LeaseTimeToLive(life) = reply else { return unexpected(&reply) };
        Ok(life)
    }

    /// Returns the IDs of all leases, as this member knows them.
    ///
    /// # Errors
    ///
    /// Only if the member stops.
    pub async fn leases(&self) -> Result<Vec<i64>, Unavailable> {
        self.look(Replica::leases).await
    }

    /// Returns the keys that are attached to a lease, sorted, as this member knows them; none if
    /// there is no such lease.
    ///
    /// # Errors
    ///
    /// Only if the member stops.
    pub async fn lease_keys(&self, id: i64) -> Result<Vec<Bytes>, Unavailable> {
        self.look(move |replica| replica.lease_keys(id)).await
    }

    /// Returns everything that this member stores, as it is now.
    ///
    /// # Errors
    ///
    /// Only if the member stops.
    pub async fn image(&self) -> Result<store::Image, Unavailable> {
        self.look(Replica::image).await
    }

    async fn look<T: Send + 'static>(
        &self,
        at: impl FnOnce(&Replica) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sender, seen) = oneshot::channel();
        self.shared.inbox.look(Box::new(move |replica| {
            // Whoever has gone does not want it any more.
            drop(sender.send(at(replica)));
        }));
        seen.await.map_err(|_| Unavailable::Stopped)
    }

    /// Tells streams, which else would never end, that the member is about to stop.
    pub(crate) fn close(&self) {
        self.shared.closing.send_replace(true);
    }

    /// Becomes true when streams are to end.
    #[must_use]
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.shared.closing.subscribe()
    }

    /// Asks the driver to end; whoever waits is told that the member stops.
    pub(crate) fn stop(&self) {
        self.shared.inbox.ask_to_stop();
    }

    async fn ask(
        &self,
        bytes: usize,
        event: impl FnOnce(replica::Ticket) -> Event,
    ) -> Result<Reply, Unavailable> {
        self.shared.inbox.ask(bytes, event)?.answer().await
    }
}

/// Roughly how many bytes a command keeps in memory while it waits.
fn weight(command: &Command) -> usize {
    const OVERHEAD: usize = 128;
    OVERHEAD
        + match command {
            Command::Put(put) => put.key.len() + put.value.len(),
            Command::Txn(txn) => txn_weight(txn),
            Command::DeleteRange(delete) => delete.key.len() + delete.range_end.len(),
            Command::Compact { .. }
            | Command::LeaseGrant { .. }
            | Command::LeaseRevoke { .. }
            | Command::LeaseExpire { .. }
            | Command::LeaseCheckpoint { .. }
            | Command::Alarm { .. }
            | Command::Publish { .. }
            | Command::MemberUpdate { .. }
            | Command::ClusterVersion { .. }
            | Command::Downgrade { .. }
            | Command::Nothing => 0,
        }
}

fn txn_weight(txn: &Txn) -> usize {
    const OVERHEAD: usize = 64;
    let operation = |operation: &Operation| {
        OVERHEAD
            + match operation {
                Operation::Put(put) => put.key.len() + put.value.len(),
                Operation::Txn(txn) => txn_weight(txn),
                Operation::Range(range) => range.key.len(),
                Operation::DeleteRange(delete) => delete.key.len(),
            }
    };
    OVERHEAD * txn.compare.len()
        + txn.success.iter().chain(&txn.failure).map(operation).sum::<usize>()
}

/// The driver answers each question with an answer of its kind.
fn unexpected<T>(reply: &Reply) -> Result<T, Unavailable> {
    panic!("an answer to another question: {reply:?}")
}
