//! A stream of watches: what its watchers are told, and when they have been told all.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use etcd_api::etcdserverpb as pb;
use pb::watch_request::RequestUnion;
use tests::Client;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::draw;

/// The key that the sentinel of every stream watches.
pub(crate) const SENTINEL_KEY: &str = "~sentinel";
/// The sentinel's number: no watcher is given it by the server.
const SENTINEL: i64 = 1_000_000;
/// The number under which progress of a whole stream is reported.
const WHOLE_STREAM: i64 = -1;
/// How long to wait for an answer to a progress request before asking again: servers do not answer
/// while a watcher lags.
const PROGRESS_PAUSE: Duration = Duration::from_millis(20);
/// How long watchers may lag.
const LAG_MAX: Duration = Duration::from_secs(10);

/// What is known of one watcher.
#[derive(Debug, Default)]
struct Watcher {
    /// What it was told since it was last asked for, one line for each revision.
    told: String,
    /// The revision of its latest event.
    latest: i64,
    /// It was promised that no event at or before this will come.
    progress: i64,
    /// Whether the latest message said that the rest of its revision follows.
    is_fragment: bool,
    fragments_allowed: bool,
    /// The server has ended it, because what it wanted to see was compacted.
    is_dead: bool,
}

/// An open stream.
pub(crate) struct Watchers {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: Streaming<pb::WatchResponse>,
    watchers: BTreeMap<i64, Watcher>,
    /// The revision of the latest progress of the whole stream.
    progress: i64,
}

impl Watchers {
    /// Opens a stream and sets its sentinel.
    pub(crate) async fn open(client: &Client) -> Result<Watchers, Status> {
        let (requests, receiver) = mpsc::channel(16);
        let sentinel = pb::WatchCreateRequest {
            key: SENTINEL_KEY.into(),
            watch_id: SENTINEL,
            ..Default::default()
        };
        let first = RequestUnion::CreateRequest(sentinel);
        let sent = requests.send(pb::WatchRequest { request_union: Some(first) }).await;
        sent.expect("the receiver is below");
        let responses = client.watch().watch(ReceiverStream::new(receiver)).await?.into_inner();
        let mut watchers = Watchers { requests, responses, watchers: BTreeMap::new(), progress: 0 };
        watchers.until(|response| response.created.then_some(())).await?;
        watchers.watchers.insert(SENTINEL, Watcher::default());
        Ok(watchers)
    }

    async fn send(&mut self, request: RequestUnion) {
        // If the stream has ended, its next answer tells.
        let _ = self.requests.send(pb::WatchRequest { request_union: Some(request) }).await;
    }

    /// Creates a watcher, and draws the answer.
    pub(crate) async fn create(&mut self, request: pb::WatchCreateRequest) -> String {
        let fragments_allowed = request.fragment;
        self.send(RequestUnion::CreateRequest(request)).await;
        match self.until(|response| response.created.then(|| response.clone())).await {
            Ok(response) => {
                if !response.canceled {
                    let watcher = Watcher { fragments_allowed, ..Watcher::default() };
                    self.watchers.insert(response.watch_id, watcher);
                }
                answer(&response)
            }
            Err(status) => draw::status(&status),
        }
    }

    /// Cancels a watcher, and draws the answer.
    pub(crate) async fn cancel(&mut self, id: i64) -> String {
        if self.watchers.get(&id).is_none_or(|watcher| watcher.is_dead) {
            // The server says nothing of watchers that it does not know; what it says is seen by
            // the next synchronisation.
            self.send(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: id })).await;
            return "unknown watcher".to_owned();
        }
        self.send(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: id })).await;
        let canceled = |response: &pb::WatchResponse| {
            (response.canceled && response.watch_id == id).then(|| response.clone())
        };
        let answer = match self.until(canceled).await {
            Ok(response) => answer(&response),
            Err(status) => draw::status(&status),
        };
        self.watchers.remove(&id);
        answer
    }

    /// Waits until the server says that all watchers were told everything up to `revision`.
    pub(crate) async fn sync_by_progress(&mut self, revision: i64) -> Result<(), String> {
        let deadline = Instant::now() + LAG_MAX;
        self.progress = 0;
        while Instant::now() < deadline {
            self.bury_dead().await;
            self.send(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
            let told = self.until(|response| {
                (is_progress(response) && revision_of(response) >= revision).then_some(())
            });
            match timeout(PROGRESS_PAUSE, told).await {
                Ok(Ok(())) => {
                    // Whoever was asked, and however often, their numbers are free from here on.
                    self.bury_dead().await;
                    return Ok(());
                }
                Ok(Err(status)) => return Err(draw::status(&status)),
                Err(_) => {}
            }
        }
        Err(format!("no progress to {revision} within {LAG_MAX:?}"))
    }

    /// Cancels the watchers that the server has ended: as long as they are not, etcd reports no
    /// progress of the stream.
    async fn bury_dead(&mut self) {
        let dead: Vec<i64> =
            self.watchers.iter().filter(|(_, w)| w.is_dead).map(|(id, _)| *id).collect();
        for id in dead {
            self.send(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: id })).await;
        }
    }

    /// Waits until the sentinel is told of `revision`.
    pub(crate) async fn sync_by_sentinel(&mut self, revision: i64) -> Result<(), String> {
        let told = self.until(|response| {
            (response.watch_id == SENTINEL && latest_event(response) >= revision).then_some(())
        });
        match timeout(LAG_MAX, told).await {
            Ok(result) => result.map_err(|status| draw::status(&status)),
            Err(_) => Err(format!("the sentinel was not told of {revision} within {LAG_MAX:?}")),
        }
    }

    /// Draws what the watchers were told since they were last asked, and forgets it.
    pub(crate) fn take_told(&mut self) -> String {
        let mut all = String::new();
        for (id, watcher) in &mut self.watchers {
            let told = std::mem::take(&mut watcher.told);
            if *id != SENTINEL && !told.is_empty() {
                let _ = write!(all, "\n  watcher {id}:{told}");
            }
        }
        all
    }

    /// Reads answers, noting what they tell, until one of them is what is waited for.
    async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(&pb::WatchResponse) -> Option<T>,
    ) -> Result<T, Status> {
        loop {
            let Some(response) = self.responses.message().await? else {
                return Err(Status::unknown("the stream of watches ended"));
            };
            let found = wanted(&response);
            self.note(&response);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    fn note(&mut self, response: &pb::WatchResponse) {
        if is_progress(response) {
            for watcher in self.watchers.values_mut() {
                watcher.progress = watcher.progress.max(revision_of(response));
            }
            return;
        }
        if response.created {
            return;
        }
        let whom = self.watchers.entry(response.watch_id).or_default();
        whom.note(response);
    }
}

impl Watcher {
    /// Notes events, and whatever breaks a promise about them.
    fn note(&mut self, response: &pb::WatchResponse) {
        if self.is_dead && response.canceled {
            // etcd says so once more when it is cancelled after that; we say nothing.
            return;
        }
        if response.canceled {
            self.is_dead = true;
            let _ = write!(self.told, "\n    {}", answer(response));
        }
        if !response.events.is_empty() {
            let first = response.events[0].kv.as_ref().map_or(0, |kv| kv.mod_revision);
            if first == self.latest && !self.is_fragment {
                let _ = write!(self.told, "\n    BROKEN: revision {first} in two messages");
            }
            if revision_of(response) < latest_event(response) {
                let _ = write!(self.told, "\n    BROKEN: header {}", revision_of(response));
            }
        }
        if response.fragment && !self.fragments_allowed {
            let _ = write!(self.told, "\n    BROKEN: a fragment that nobody asked for");
        }
        self.is_fragment = response.fragment;
        for event in &response.events {
            let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            if revision < self.latest || revision <= self.progress {
                let _ = write!(
                    self.told,
                    "\n    BROKEN: event of {revision} after {} and progress to {}",
                    self.latest, self.progress
                );
            }
            self.latest = revision;
            // Of a write to the sentinel's key, others may be told later than the sentinel is.
            if event.kv.as_ref().is_none_or(|kv| kv.key != SENTINEL_KEY) {
                let _ = write!(self.told, "\n    {}", draw::event(event));
            }
        }
        if response.events.is_empty() && !response.canceled {
            // The periodic report of one watcher: it may come at any time.
            self.progress = self.progress.max(revision_of(response));
        }
    }
}

fn is_progress(response: &pb::WatchResponse) -> bool {
    response.watch_id == WHOLE_STREAM && !response.created && !response.canceled
}

fn revision_of(response: &pb::WatchResponse) -> i64 {
    response.header.as_ref().map_or(0, |header| header.revision)
}

fn latest_event(response: &pb::WatchResponse) -> i64 {
    let latest = response.events.last().and_then(|event| event.kv.as_ref());
    latest.map_or(0, |kv| kv.mod_revision)
}

/// Draws an answer that is about the watcher itself.
fn answer(response: &pb::WatchResponse) -> String {
    let pb::WatchResponse { watch_id, created, canceled, compact_revision, cancel_reason, .. } =
        response;
    let mut drawn = format!("watcher {watch_id}");
    if *created {
        let _ = write!(drawn, " created @{}", revision_of(response));
    }
    if *canceled {
        let _ = write!(drawn, " canceled compact {compact_revision} reason `{cancel_reason}`");
    }
    drawn
}
