//! What every call passes first: may it be served here and now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mvcc::Revision;
use replica::Published;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::convert::Header;
use crate::member::{Executed, Handle};
use crate::status::Refusal;

/// Says that the client would rather be refused than served by a member without a leader.
const HAS_LEADER: &str = "hasleader";

/// The version of the client.
const CLIENT_VERSION: &str = "client-api-version";

/// How long a call waits for a member that does not serve clients yet, beside the time of an
/// election or two.
const SERVICE_PATIENCE: Duration = Duration::from_secs(5);

/// So many election timeouts without a leader end the streams of clients that want one.
const LEADERLESS_MAX: u32 = 3;

/// Whether a learner serves a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// It does.
    Serves,
    /// It does not.
    Refuses,
}

/// What every call passes. A clone is the same door.
#[derive(Clone, Debug)]
pub struct Door {
    handle: Handle,
    leader_lost: Arc<Notify>,
}

impl Door {
    /// Opens the door to a member.
    #[must_use]
    pub fn new(handle: Handle) -> Door {
        Door { handle, leader_lost: Arc::default() }
    }

    /// Returns what is behind the door.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Lets a call in, once this member serves clients, and returns what is known at that moment.
    ///
    /// # Errors
    ///
    /// Those of [`Door::look`], or the member takes too long.
    pub async fn enter(
        &self,
        metadata: &MetadataMap,
        learner: Learner,
    ) -> Result<Arc<Published>, Status> {
        if !self.serves_clients(&self.handle.published()) {
            self.await_service().await?;
        }
        self.look(metadata, learner)
    }

    /// Tells whether this member serves clients: it has its first image, and, if it was added as a
    /// voter, it is one. Before, it knows nothing, or not what it should. One that was removed is
    /// about to end.
    #[must_use]
    pub fn serves_clients(&self, published: &Published) -> bool {
        let member = self.handle.identity().member_id;
        match published.members.get(&member) {
            Some(known) => !known.becomes_voter,
            None => published.removed.contains(&member),
        }
    }

    async fn await_service(&self) -> Result<(), Status> {
        let mut changes = self.handle.changes();
        let patience = SERVICE_PATIENCE + 2 * self.handle.identity().election_timeout;
        let serves = async {
            while !self.serves_clients(&self.handle.published()) {
                changes.changed().await.map_err(|_| Refusal::Stopped)?;
            }
            Ok(())
        };
        timeout(patience, serves).await.unwrap_or(Err(Refusal::Timeout)).map_err(Status::from)
    }

    /// Lets in a call that is about this member itself, which it can answer at all times.
    ///
    /// # Errors
    ///
    /// The member is a learner, or has no leader where one is wanted, or the client's
    /// version is no text.
    pub fn look(&self, metadata: &MetadataMap, learner: Learner) -> Result<Arc<Published>, Status> {
        let published = self.handle.published();
        if learner == Learner::Refuses && self.is_learner(&published) {
            return Err(Refusal::NotSupportedForLearner.into());
        }
        if let Some(version) = metadata.get(CLIENT_VERSION)
            && std::str::from_utf8(version.as_bytes()).is_err()
        {
            return Err(Refusal::InvalidClientVersion.into());
        }
        if published.leader.is_none() && wants_leader(metadata) {
            return Err(Refusal::NoLeader.into());
        }
        Ok(published)
    }

    /// Makes a stream end if its client wants a leader and there has been none for long. To be
    /// called when the call enters.
    pub fn until_leader_lost<S>(&self, metadata: &MetadataMap, answers: S) -> UntilLeaderLost<S> {
        let lost = wants_leader(metadata)
            .then(|| Box::pin(Arc::clone(&self.leader_lost).notified_owned()));
        UntilLeaderLost { answers: Some(Box::pin(answers)), lost }
    }

    /// Looks after the leader for the streams of all clients. Runs as long as the member; once is
    /// enough, for all clones.
    pub async fn watch_leader(&self) {
        let mut leaderless = 0;
        loop {
            tokio::time::sleep(self.handle.identity().election_timeout).await;
            let is_led = self.handle.published().leader.is_some();
            leaderless = if is_led { 0 } else { leaderless + 1 };
            if LEADERLESS_MAX <= leaderless {
                self.leader_lost.notify_waiters();
            }
        }
    }

    /// Tells whether this member is a learner.
    #[must_use]
    pub fn is_learner(&self, published: &Published) -> bool {
        published.is_learner(self.handle.identity().member_id)
    }

    /// Returns the header of answers that have no revision.
    #[must_use]
    pub fn header_without_revision(&self, published: &Published) -> Header {
        let identity = self.handle.identity();
        Header {
            cluster_id: identity.cluster_id,
            member_id: identity.member_id,
            revision: 0,
            raft_term: published.term.0,
        }
    }

    /// Returns the header of an answer that was read.
    #[must_use]
    pub fn header(&self, published: &Published) -> Header {
        self.header_without_revision(published).at(published.view.revision())
    }

    /// Returns the header of an answer to something that was executed at `revision`.
    #[must_use]
    pub fn header_of(&self, executed: &Executed) -> Header {
        let identity = self.handle.identity();
        let Revision(revision) = executed.applied.revision;
        Header {
            cluster_id: identity.cluster_id,
            member_id: identity.member_id,
            revision,
            raft_term: executed.at.term.0,
        }
    }
}

fn wants_leader(metadata: &MetadataMap) -> bool {
    metadata.get(HAS_LEADER).is_some_and(|value| value.as_bytes() == b"true")
}

/// The machine answers each command with an answer of its kind.
pub(super) fn unexpected() -> ! {
    panic!("a command was answered with the answer to another")
}

/// Answers that end when the member has been without a leader for long.
#[derive(Debug)]
pub struct UntilLeaderLost<S> {
    /// `None` once they have ended.
    answers: Option<Pin<Box<S>>>,
    /// `None` for clients to whom the leader is nothing.
    lost: Option<Pin<Box<OwnedNotified>>>,
}

impl<S, T> Stream for UntilLeaderLost<S>
where
    S: Stream<Item = Result<T, Status>>,
{
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let UntilLeaderLost { answers, lost } = &mut *self;
        let Some(open) = answers else { return Poll::Ready(None) };
        // Answers first: there may be thousands in a row, and none comes for long without a leader.
        let next = open.as_mut().poll_next(context);
        if next.is_pending()
            && let Some(lost) = lost
            && lost.as_mut().poll(context).is_ready()
        {
            *answers = None;
            return Poll::Ready(Some(Err(Refusal::NoLeader.into())));
        }
        next
    }
}
