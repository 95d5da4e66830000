//! The network between members.
//!
//! ```text
//!         driver ── post, flush ─► Link ─► Outbox ──── connection ────► accept ─► Inbox ─► driver
//!           │                       └ calls, pings, calls again
//!           └── an image ─────────► image ── a connection of its own ─► accept ─► a file
//! ```
//!
//! Each member calls each other member, and speaks on the connection that it made: one for each
//! direction. Messages leave in batches, encoded once, by one write for all that a turn of the
//! driver has said to a peer. What cannot be sent is dropped, and the sender is told if it is
//! certain that it was not sent: then a command that was forwarded may be forwarded again.
//!
//! # Invariants
//!
//! - No message is delivered twice: each is given to one connection, once.
//! - Nothing is taken from a caller that is not of this cluster, calls for another member, was
//!   removed, or speaks for somebody else.
//! - Nothing is taken from a peer that has lost its data and comes back under its old ID: see the
//!   module `lives`.
//! - An image does not hold up messages.
//!
//! # Decisions
//!
//! - **Frames over TCP, not gRPC.** The path of every write by one client has four of these
//!   messages one after another; a frame costs a small part of what a gRPC message costs, and its
//!   format is one page.
//! - **A connection that breaks is news.** The kernel closes the connections of a process that
//!   dies. So followers need not wait for the election timeout: see the module `accept`.

mod accept;
mod bytes;
mod hello;
mod image;
mod link;
mod listen;
mod lives;
mod net;
mod outbox;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use raft::{Body, MemberId, Message};
use replica::{Event, ForwardRefusal, Images, Outgoing, PeerMessage, Published};
use store::MemberAttributes;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::config::Url;
use crate::member::{Identity, Shared};
use crate::metrics::Metrics;

pub(crate) use accept::Host;
pub(crate) use hello::{Hello, Purpose, Roster, Verdict};
pub(crate) use link::Link;
pub(crate) use listen::{accept, bind};
pub(crate) use lives::Lives;
pub(crate) use net::{CallError, ClientTls, call};
use outbox::Posted;

/// What connections need to know of the member that they belong to.
pub(crate) struct Local {
    identity: Identity,
    shared: Arc<Shared>,
    tls: Option<ClientTls>,
    images: Images,
    lives: Lives,
    /// How many connections for messages each peer has made.
    inbound: Mutex<HashMap<u64, usize>>,
    /// Where callers are to be found who are not known from elsewhere.
    introduced: Mutex<BTreeMap<u64, Vec<String>>>,
    /// Whether somebody was introduced whom no link was made to.
    has_introduced: AtomicBool,
    metrics: Arc<Metrics>,
    /// Who was removed, for those who listen to them.
    removed_peers: watch::Sender<Arc<BTreeSet<u64>>>,
    /// Why this member must stop, as a peer says.
    dismissed: OnceLock<Dismissal>,
}

/// Why a peer will never listen to this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dismissal {
    /// It was removed from the cluster.
    Removed,
    /// It has lived before, with data that it does not have.
    LivedBefore,
}

impl Local {
    pub(crate) fn new(
        shared: Arc<Shared>,
        images: Images,
        lives: Lives,
        tls: Option<ClientTls>,
        metrics: Arc<Metrics>,
    ) -> Arc<Local> {
        Arc::new(Local {
            identity: shared.identity.clone(),
            shared,
            tls,
            images,
            lives,
            inbound: Mutex::default(),
            introduced: Mutex::default(),
            has_introduced: AtomicBool::new(false),
            metrics,
            removed_peers: watch::Sender::default(),
            dismissed: OnceLock::new(),
        })
    }

    /// This member's first words to a peer.
    fn hello(&self, purpose: Purpose, to: u64) -> Hello {
        let Identity { cluster_id, member_id, .. } = self.identity;
        let mut hello = Hello::to_member(purpose, cluster_id, member_id, to);
        hello.life = self.lives.own();
        if let Some(me) = self.shared.published().members.get(&member_id) {
            hello.urls.clone_from(&me.peer_urls);
        }
        hello
    }

    /// Remembers where a caller is to be found whom this member does not know: it may have an image
    /// from before the caller was added, or none, and has to answer to get on.
    fn introduce(&self, hello: &Hello) {
        if !self.shared.published().members.contains_key(&hello.from) {
            self.introduced.lock().insert(hello.from, hello.urls.clone());
            self.has_introduced.store(true, Ordering::Relaxed);
        }
    }

    /// Tells whether somebody was introduced since this was last asked.
    pub(crate) fn take_introduced(&self) -> bool {
        self.has_introduced.swap(false, Ordering::Relaxed)
    }

    fn connected(&self, peer: u64) {
        *self.inbound.lock().entry(peer).or_default() += 1;
    }

    /// Returns how many connections the peer still has.
    fn disconnected(&self, peer: u64) -> usize {
        let mut inbound = self.inbound.lock();
        let left = inbound.get_mut(&peer).expect("it was connected");
        *left -= 1;
        *left
    }

    fn connections(&self, peer: u64) -> usize {
        self.inbound.lock().get(&peer).copied().unwrap_or(0)
    }

    /// Waits until a peer is removed.
    async fn removal_of(&self, peer: u64) {
        let mut removed = self.removed_peers.subscribe();
        let seen = removed.wait_for(|removed| removed.contains(&peer)).await;
        seen.expect("the sender is here");
    }

    /// Tells whether a member has lived, as far as this one knows.
    fn knows_life_of(&self, member: u64) -> bool {
        let published = self.shared.published();
        let has_served = |known: &MemberAttributes| !known.client_urls.is_empty();
        self.lives.met(member).is_some()
            || published.removed.contains(&member)
            || published.members.get(&member).is_some_and(has_served)
    }

    /// A peer says that this member must stop. Only what is committed, or durable, makes it say so.
    fn dismiss(&self, by: MemberId, why: Dismissal) {
        if self.dismissed.set(why).is_ok() {
            error!(peer = format!("{:x}", by.0), ?why, "a peer will not listen to this member");
            self.shared.inbox.wake();
        }
    }

    /// Why this member must stop, as a peer says; `None` if none says so.
    pub(crate) fn dismissed(&self) -> Option<Dismissal> {
        self.dismissed.get().copied()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// All peers of this member.
#[derive(Debug)]
pub(crate) struct Peers {
    local: Arc<Local>,
    links: BTreeMap<MemberId, Arc<Link>>,
}

impl Peers {
    pub(crate) fn new(local: Arc<Local>) -> Peers {
        Peers { local, links: BTreeMap::new() }
    }

    /// Keeps links to those who are members now, at the addresses that they have now, and to those
    /// who have called and are not known to be members, nor to have been removed.
    pub(crate) fn follow(&mut self, published: &Published) {
        let mut known: BTreeMap<u64, Vec<String>> = published
            .members
            .iter()
            .map(|(id, attributes)| (*id, attributes.peer_urls.clone()))
            .collect();
        {
            let mut introduced = self.local.introduced.lock();
            introduced.retain(|id, _| !known.contains_key(id) && !published.removed.contains(id));
            known.extend(introduced.clone());
        }
        known.remove(&self.local.identity.member_id);
        self.local.removed_peers.send_if_modified(|before| {
            let is_news = !Arc::ptr_eq(before, &published.removed);
            before.clone_from(&published.removed);
            is_news
        });
        self.links.retain(|id, link| {
            let stays = known.contains_key(&id.0) || published.membership.contains(*id);
            if !stays {
                link.end();
                self.local.metrics.network.forget_peer(id.0);
            }
            stays
        });
        for (id, urls) in known {
            let urls = addresses(id, &urls);
            match self.links.get(&MemberId(id)) {
                Some(link) => link.move_to(urls),
                None => {
                    let link = Link::start(MemberId(id), urls, self.local.clone());
                    self.links.insert(MemberId(id), link);
                }
            }
        }
    }

    /// Sends messages, as far as that is possible without waiting. What will certainly never
    /// arrive, and somebody waits for, is refused in the peer's name: what is returned is to be
    /// given to the replica, though not before some time has passed.
    #[must_use]
    pub(crate) fn send(&self, messages: Vec<Outgoing>) -> Vec<Event> {
        let mut touched: Vec<MemberId> = Vec::new();
        let mut refused = Vec::new();
        for Outgoing { to, message } in messages {
            let Some(link) = self.links.get(&to) else {
                refused.extend(refusal_of(to, message));
                continue;
            };
            if let PeerMessage::Raft(message) = &message
                && let Body::InstallSnapshot { .. } = message.body
            {
                if link.is_connected() {
                    image::send(&self.local, link, message.clone());
                } else {
                    refused.push(Event::SnapshotFailed(to));
                }
                continue;
            }
            match link.post(&message) {
                Posted::Waiting if touched.contains(&to) => {}
                Posted::Waiting => touched.push(to),
                Posted::Dropped => refused.extend(refusal_of(to, message)),
            }
        }
        for id in touched {
            self.links[&id].flush();
        }
        refused
    }

    /// Tells whether this member can speak to a peer.
    pub(crate) fn is_connected(&self, peer: MemberId) -> bool {
        self.links.get(&peer).is_some_and(|link| link.is_connected())
    }
}

/// The addresses among the URLs of a peer.
fn addresses(peer: u64, urls: &[String]) -> Vec<Url> {
    let urls = urls.iter().filter_map(|text| match Url::parse(text) {
        Ok(url) => Some(url),
        Err(error) => {
            warn!(peer = format!("{peer:x}"), url = text, %error, "no address of a peer");
            None
        }
    });
    urls.collect()
}

/// What comes of a message that is certain not to be sent; `None` if nobody waits for an answer:
/// Raft expects that messages are lost.
fn refusal_of(to: MemberId, message: PeerMessage) -> Option<Event> {
    let refused = |term, sequences| {
        let reason = ForwardRefusal::NotLeader;
        Some(PeerMessage::ForwardRefused { term, sequences, reason })
    };
    let answer = match message {
        PeerMessage::Forward { term, commands } => {
            let ids =
                commands.iter().filter_map(|command| store::CommandId::of_encoded(command).ok());
            refused(term, ids.map(|id| id.sequence).collect())
        }
        PeerMessage::ForwardChange { term, id, .. } => refused(term, vec![id.sequence]),
        PeerMessage::LeaseQuestion { nonce, .. } => Some(PeerMessage::LeaseRefused { nonce }),
        PeerMessage::Raft(Message { body: Body::InstallSnapshot { .. }, .. }) => {
            return Some(Event::SnapshotFailed(to));
        }
        PeerMessage::Raft(_)
        | PeerMessage::ForwardRefused { .. }
        | PeerMessage::LeaseAnswer { .. }
        | PeerMessage::LeaseRefused { .. } => None,
    };
    answer.map(|message| Event::Peer { from: to, message })
}
