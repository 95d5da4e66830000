//! Connections that peers make to this member.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use raft::{Body, MemberId};
use replica::{Event, PeerMessage};
use store::Command;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::Local;
use super::hello::{self, Hello, Purpose, Roster, RosterMember, Verdict};
use super::net::{Frames, HELLO_TIMEOUT, HelloError, Stream, read_hello};
use super::wire::{Arrival, arrival, put_frame, put_pong};
use crate::dice::jitter;
use crate::member::Handle;

/// How long a leader whose connections broke has to come back before it is taken to be dead, in
/// the middle. It is drawn anew each time, so that not all members campaign at once.
const LEADER_GONE_AFTER: Duration = Duration::from_millis(25);

/// Who answers at the peer addresses: from the moment that they are listened on, though the member
/// may have to learn first who it is.
#[derive(Debug, Default)]
pub(crate) struct Host {
    local: OnceLock<Arc<Local>>,
    is_newborn: AtomicBool,
}

impl Host {
    /// The member has no data, and finds out who it is: it has met nobody.
    pub(crate) fn set_newborn(&self) {
        self.is_newborn.store(true, Ordering::Relaxed);
    }

    /// The member is born: it answers from now on.
    pub(crate) fn set(&self, local: Arc<Local>) {
        assert!(self.local.set(local).is_ok(), "one process is one member");
    }

    /// Serves one connection from a peer, until it ends.
    pub(crate) async fn serve(&self, mut stream: Stream) {
        let hello = match timeout(HELLO_TIMEOUT, open(self, &mut stream)).await {
            Ok(Ok(Some(hello))) => hello,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return debug!(%error, "a connection of a peer was dropped"),
            Err(_) => return debug!("a connection of a peer said nothing, and was dropped"),
        };
        let local = self.local.get().expect("only a member bids welcome");
        let ended = match hello.purpose {
            Purpose::Messages => {
                local.introduce(&hello);
                messages(local, stream, hello.from).await
            }
            Purpose::Image => super::image::receive(local, stream, hello.from).await,
            Purpose::Members | Purpose::Claim | Purpose::Founding => Ok(()),
        };
        if let Err(error) = ended {
            let (peer, error) = (format!("{:x}", hello.from), format!("{error:#}"));
            warn!(peer, error, "a connection of a peer was dropped");
        }
    }
}

/// Hears who calls and answers. Returns what the caller said if it is to go on.
async fn open(host: &Host, stream: &mut Stream) -> Result<Option<Hello>, HelloError> {
    let hello = hello::hello(read_hello(stream).await?)?;
    let verdict = match host.local.get() {
        Some(local) => judge(local, &hello).await,
        None if hello.purpose == Purpose::Founding && host.is_newborn.load(Ordering::Relaxed) => {
            Verdict::Stranger
        }
        None => Verdict::NotReady,
    };
    let mut answer = Vec::new();
    put_frame(&mut answer, |out| hello::put_verdict(out, &verdict));
    stream.write_all(&answer).await?;
    stream.flush().await?;
    match verdict {
        Verdict::Welcome => return Ok(Some(hello)),
        Verdict::Members(_) | Verdict::NotReady | Verdict::Stranger => {}
        Verdict::OtherCluster { .. }
        | Verdict::OtherMember { .. }
        | Verdict::Removed
        | Verdict::NotYours => {
            let peer = format!("{:x}", hello.from);
            info!(peer, ?verdict, "a connection of a peer was refused");
        }
    }
    stream.shutdown().await?;
    Ok(None)
}

async fn judge(local: &Arc<Local>, hello: &Hello) -> Verdict {
    let (cluster_id, member_id) = (local.identity.cluster_id, local.identity.member_id);
    match hello.purpose {
        Purpose::Members => return roster(local).await,
        Purpose::Claim if hello.cluster_id == cluster_id => return claim(local, hello).await,
        Purpose::Claim | Purpose::Founding | Purpose::Messages | Purpose::Image => {}
    }
    if hello.cluster_id != cluster_id {
        return Verdict::OtherCluster { cluster_id };
    }
    if hello.purpose == Purpose::Founding {
        return if local.knows_life_of(hello.from) { Verdict::NotYours } else { Verdict::Stranger };
    }
    if hello.to != member_id {
        return Verdict::OtherMember { member_id };
    }
    if local.shared.published().removed.contains(&hello.from) {
        return Verdict::Removed;
    }
    meet(local, hello.from, hello.life).await
}

/// Lets a peer speak if it lives the life in which this member met it first.
async fn meet(local: &Arc<Local>, peer: u64, life: u64) -> Verdict {
    if let Some(known) = local.lives.met(peer) {
        return if known == life { Verdict::Welcome } else { Verdict::NotYours };
    }
    let here = local.clone();
    let met = spawn_blocking(move || here.lives.meet(peer, life)).await;
    match met {
        Ok(Ok(true)) => Verdict::Welcome,
        Ok(Ok(false)) => Verdict::NotYours,
        Ok(Err(error)) => {
            let peer = format!("{peer:x}");
            warn!(peer, %error, "a peer must wait: that it was met cannot be written down");
            Verdict::NotReady
        }
        Err(_) => Verdict::NotReady,
    }
}

/// The members as of now, if a leader can be asked; a newcomer that hears of an old list would look
/// for itself in vain.
async fn roster(local: &Local) -> Verdict {
    if local.shared.published().leader.is_none() {
        return Verdict::NotReady;
    }
    let Ok(published) = Handle::new(local.shared.clone()).read_index().await else {
        return Verdict::NotReady;
    };
    let members = published.members.iter().map(|(id, attributes)| RosterMember {
        id: *id,
        is_learner: published.is_learner(*id),
        attributes: attributes.clone(),
    });
    let members = members.collect();
    Verdict::Members(Roster { cluster_id: local.identity.cluster_id, members })
}

/// Lets a newcomer hold its ID, if nobody ever did.
async fn claim(local: &Local, hello: &Hello) -> Verdict {
    let handle = Handle::new(local.shared.clone());
    let Ok(published) = handle.read_index().await else { return Verdict::NotReady };
    match published.members.get(&hello.from) {
        // A first member has its name from the beginning, and is founded but never claimed.
        Some(known) if known.client_urls.is_empty() && known.name.is_empty() => {}
        Some(_) | None => return Verdict::NotYours,
    }
    let command = Command::Publish {
        member: hello.from,
        name: hello.name.clone(),
        client_urls: hello.urls.clone(),
    };
    match handle.propose(command).await {
        Ok(executed) if executed.applied.result.is_ok() => Verdict::Welcome,
        Ok(_) => Verdict::NotYours,
        Err(_) => Verdict::NotReady,
    }
}

async fn messages(local: &Arc<Local>, stream: Stream, from: u64) -> anyhow::Result<()> {
    local.connected(from);
    let outcome = tokio::select! {
        outcome = listen(local, stream, from) => outcome,
        // When it calls again it learns so.
        () = local.removal_of(from) => Ok(()),
    };
    let left = local.disconnected(from);
    if left == 0 && local.shared.published().leader == Some(MemberId(from)) {
        tokio::spawn(miss_leader(local.clone(), from));
    }
    outcome
}

async fn listen(local: &Local, stream: Stream, from: u64) -> anyhow::Result<()> {
    let (mut listening, mut speaking) = tokio::io::split(stream);
    let mut frames = Frames::default();
    let metrics = local.metrics.network.peer(from);
    while let Some(bodies) = frames.read(&mut listening).await? {
        let mut events = Vec::with_capacity(bodies.len());
        for body in bodies {
            metrics.received_bytes.add(body.len() as u64);
            match arrival(body)? {
                Arrival::Ping(number) => {
                    let mut pong = Vec::new();
                    put_pong(&mut pong, number);
                    speaking.write_all(&pong).await?;
                    speaking.flush().await?;
                }
                Arrival::Message(message) => {
                    check_sender(&message, from)?;
                    events.push(Event::Peer { from: MemberId(from), message });
                }
            }
        }
        if !events.is_empty() {
            local.shared.inbox.extend(events);
        }
    }
    Ok(())
}

/// A peer speaks for nobody but itself, and sends images by a connection of their own.
fn check_sender(message: &PeerMessage, from: u64) -> anyhow::Result<()> {
    let PeerMessage::Raft(message) = message else { return Ok(()) };
    anyhow::ensure!(
        message.from == MemberId(from),
        "it said that a message came from {:x}, and it is {from:x}",
        message.from.0
    );
    anyhow::ensure!(
        !matches!(message.body, Body::InstallSnapshot { .. }),
        "it announced an image on the connection for messages"
    );
    Ok(())
}

/// Starts an election soon if the leader's connections broke and it does not come back: that is how
/// a process that was killed looks like, and there is no need to wait for the timeout.
async fn miss_leader(local: Arc<Local>, leader: u64) {
    sleep(jitter(LEADER_GONE_AFTER)).await;
    let is_followed = local.shared.published().leader == Some(MemberId(leader));
    if is_followed && local.connections(leader) == 0 {
        info!(leader = format!("{leader:x}"), "the leader's connections broke");
        local.shared.inbox.push(Event::LeaderGone);
    }
}
