//! The connection by which this member speaks to one peer, kept up for as long as both are members.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raft::MemberId;
use replica::{Event, PeerMessage};
use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::hello::{Purpose, Verdict};
use super::net::{Frames, Stream, call};
use super::outbox::{Outbox, Posted};
use super::wire::{put_ping, read_pong};
use super::{Dismissal, Local};
use crate::config::Url;
use crate::dice::jitter;
use crate::metrics::PeerMetrics;

/// The shortest and the longest pause between two attempts to call.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A peer that has another cluster's ID, or another member's, will not change its mind soon.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(2);

/// How often a peer is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A peer that has answered none of so many pings in a row is taken to be gone.
const PINGS_UNANSWERED_MAX: u32 = 5;

/// The connection to one peer.
#[derive(Debug)]
pub(crate) struct Link {
    id: MemberId,
    outbox: Outbox,
    /// Where the peer is to be found; empty ends the link.
    urls: watch::Sender<Vec<Url>>,
    gone: AtomicBool,
    metrics: Arc<PeerMetrics>,
    began: Instant,
}

impl Link {
    /// Begins to call the peer.
    pub(crate) fn start(id: MemberId, urls: Vec<Url>, local: Arc<Local>) -> Arc<Link> {
        let link = Arc::new(Link {
            id,
            outbox: Outbox::default(),
            urls: watch::Sender::new(urls),
            gone: AtomicBool::new(false),
            metrics: local.metrics.network.peer(id.0),
            began: Instant::now(),
        });
        tokio::spawn(link.clone().keep_up(local));
        link
    }

    /// Tells where the peer is to be found now.
    pub(crate) fn move_to(&self, urls: Vec<Url>) {
        self.urls.send_if_modified(|before| {
            let is_other = *before != urls;
            *before = urls;
            is_other
        });
    }

    /// Where the peer is to be found.
    pub(crate) fn urls(&self) -> Vec<Url> {
        self.urls.borrow().clone()
    }

    /// Ends the link: the peer is a member no more.
    pub(crate) fn end(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.urls.send_replace(Vec::new());
    }

    /// Puts a message in the outbox.
    pub(crate) fn post(&self, message: &PeerMessage) -> Posted {
        let posted = self.outbox.post(message);
        if posted == Posted::Dropped {
            self.metrics.sent_failures.increment();
        }
        posted
    }

    /// Sends what can be sent without waiting.
    pub(crate) fn flush(&self) {
        let sent = self.outbox.flush();
        self.metrics.sent_bytes.add(sent as u64);
    }

    /// Tells whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.outbox.is_connected()
    }

    async fn keep_up(self: Arc<Link>, local: Arc<Local>) {
        let mut urls = self.urls.subscribe();
        let mut pause = PAUSES.0;
        let mut attempts = 0_usize;
        while !self.gone.load(Ordering::Relaxed) {
            let known = urls.borrow_and_update().clone();
            if known.is_empty() {
                if urls.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let url = &known[attempts % known.len()];
            attempts += 1;
            let began = Instant::now();
            let wait = self.attempt(&local, url, attempts, &mut urls).await;
            if Duration::from_secs(1) < began.elapsed() {
                // It was a connection for some time: the next attempt is the first again.
                pause = PAUSES.0;
            }
            tokio::select! {
                () = sleep(wait.unwrap_or(jitter(pause))) => {}
                _ = urls.changed() => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Calls once, and serves the connection while it lasts. Returns how long to wait then, if that
    /// is not the usual time.
    async fn attempt(
        &self,
        local: &Arc<Local>,
        url: &Url,
        attempts: usize,
        urls: &mut watch::Receiver<Vec<Url>>,
    ) -> Option<Duration> {
        let hello = local.hello(Purpose::Messages, self.id.0);
        let peer = format!("{:x}", self.id.0);
        match call(url, local.tls.as_ref(), &hello).await {
            Ok((stream, Verdict::Welcome)) => {
                info!(peer, url = url.as_str(), "connected to a peer");
                self.metrics.connected.set(1);
                self.serve(stream, urls).await;
                self.outbox.disconnect();
                self.metrics.connected.set(0);
                self.metrics.disconnected.increment();
                info!(peer, "lost the connection to a peer");
                local.shared.inbox.push(Event::Unreachable(self.id));
                None
            }
            Ok((_, Verdict::Removed)) => {
                local.dismiss(self.id, Dismissal::Removed);
                Some(PAUSE_AFTER_REFUSAL)
            }
            Ok((_, Verdict::NotYours)) => {
                local.dismiss(self.id, Dismissal::LivedBefore);
                Some(PAUSE_AFTER_REFUSAL)
            }
            Ok((_, Verdict::NotReady)) => None,
            Ok((_, verdict)) => {
                warn!(peer, url = url.as_str(), ?verdict, "a peer refuses the connection");
                Some(PAUSE_AFTER_REFUSAL)
            }
            Err(error) => {
                if attempts.is_power_of_two() {
                    warn!(peer, attempts, %error, "a peer cannot be reached");
                }
                None
            }
        }
    }

    async fn serve(&self, stream: Stream, urls: &mut watch::Receiver<Vec<Url>>) {
        let (listening, speaking) = tokio::io::split(stream);
        self.outbox.connect(Box::new(speaking));
        tokio::select! {
            () = self.outbox.drain() => {}
            () = self.ping(listening) => {}
            _ = urls.changed() => {}
        }
    }

    /// Asks again and again whether the peer is there, until it does not answer.
    async fn ping(&self, mut listening: impl AsyncRead + Unpin) {
        let mut frames = Frames::default();
        let mut clock = interval(PING_INTERVAL);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        loop {
            tokio::select! {
                _ = clock.tick() => {
                    if PINGS_UNANSWERED_MAX <= unanswered {
                        return;
                    }
                    unanswered += 1;
                    self.outbox.post_frame(|out| put_ping(out, self.now_micros()));
                    self.outbox.flush();
                }
                read = frames.read(&mut listening) => {
                    let Ok(Some(bodies)) = read else { return };
                    for body in bodies {
                        let Ok(sent) = read_pong(body) else { return };
                        let micros = self.now_micros().saturating_sub(sent);
                        self.metrics.round_trip.observe(Duration::from_micros(micros));
                        unanswered = 0;
                    }
                }
            }
        }
    }

    fn now_micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
