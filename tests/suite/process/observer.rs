//! Watchers that come back after every loss of their connection, and note what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_api::etcdserverpb as pb;
use etcd_api::mvccpb::event::EventType;
use pb::watch_request::RequestUnion;
use tests::{Client, wait};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::history::Change;

/// How long to be told nothing before asking how far one is.
const QUIET_MAX: Duration = Duration::from_millis(100);
/// How many questions may remain unanswered before one looks for another member.
const QUESTIONS_MAX: u32 = 20;
/// How long a watcher may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);

/// What a watcher was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) changes: Vec<Change>,
    /// It was told that it had been told everything up to this revision.
    progress: i64,
    /// What broke a promise.
    broken: Vec<String>,
}

/// A watcher of all keys that clients write to.
pub(crate) struct Observer {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Observer {
    /// Watches from the first revision on; the members in turn, beginning with `first`.
    pub(crate) fn start(urls: &[String], first: usize) -> Result<Observer> {
        let members = urls.iter().map(|url| Client::new(url)).collect::<Result<Vec<_>>>()?;
        let told: Arc<Mutex<Told>> = Arc::default();
        let shared = Arc::clone(&told);
        let task = tokio::spawn(async move {
            let mut at = first;
            loop {
                // A stream ends because its member does; then the next member goes on.
                let _ = follow(&members[at % members.len()], &shared).await;
                at += 1;
                tokio::time::sleep(wait::PAUSE).await;
            }
        });
        Ok(Observer { told, task })
    }

    /// Waits until everything up to `revision` was told. Returns what was told.
    pub(crate) async fn finish(self, revision: i64) -> Result<Vec<Change>> {
        let what = format!("a watcher to be told of {revision}");
        let caught_up = wait::until_async(what, CATCH_UP_MAX, async || {
            let told = self.told.lock().expect("nobody panics with it");
            (told.progress >= revision).then_some(())
        });
        let result = caught_up.await;
        self.task.abort();
        let told = std::mem::take(&mut *self.told.lock().expect("nobody panics with it"));
        result.with_context(|| format!("it was told up to {}", told.latest()))?;
        ensure!(told.broken.is_empty(), "promises were broken:\n{}", told.broken.join("\n"));
        Ok(told.changes)
    }
}

impl Told {
    fn latest(&self) -> i64 {
        self.changes.last().map_or(0, |change| change.revision)
    }

    fn note(&mut self, response: &pb::WatchResponse) {
        let revision = tests::client::revision(response.header.as_ref());
        if response.events.is_empty() {
            if !response.created && !response.canceled {
                self.progress = self.progress.max(revision);
            }
            return;
        }
        let before = self.latest();
        for event in &response.events {
            let Some(kv) = &event.kv else {
                self.broken.push("an event without a key".to_owned());
                continue;
            };
            if kv.mod_revision <= before || kv.mod_revision <= self.progress {
                let (at, progress) = (kv.mod_revision, self.progress);
                self.broken.push(format!("{at} is told after {before}, progress to {progress}"));
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let is_put = event.r#type() == EventType::Put;
            self.changes.push(Change {
                revision: kv.mod_revision,
                key: text(&kv.key),
                value: is_put.then(|| text(&kv.value)),
                before: event.prev_kv.as_ref().map(|kv| text(&kv.value)),
            });
        }
    }
}

/// Watches at one member, from where one was, until the stream ends or stays silent.
async fn follow(member: &Client, told: &Mutex<Told>) -> Result<()> {
    let start_revision = told.lock().expect("nobody panics with it").latest() + 1;
    let (requests, receiver) = mpsc::channel(4);
    let create = pb::WatchCreateRequest {
        key: "work/".into(),
        range_end: "work0".into(),
        start_revision,
        prev_kv: true,
        ..Default::default()
    };
    let ask = |union| pb::WatchRequest { request_union: Some(union) };
    requests.send(ask(RequestUnion::CreateRequest(create))).await?;
    let mut responses = timeout(CATCH_UP_MAX, member.watch().watch(ReceiverStream::new(receiver)))
        .await??
        .into_inner();
    let mut questions = 0;
    while questions < QUESTIONS_MAX {
        match timeout(QUIET_MAX, responses.message()).await {
            Ok(response) => {
                let response = response?.context("the stream ended")?;
                ensure!(!response.canceled, "cancelled: {}", response.cancel_reason);
                questions = 0;
                told.lock().expect("nobody panics with it").note(&response);
            }
            Err(_) => {
                questions += 1;
                requests
                    .send(ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})))
                    .await?;
            }
        }
    }
    Ok(())
}

/// Checks that what was told before each change was what was there.
pub(crate) fn check_before(changes: &[Change]) -> Result<()> {
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for change in changes {
        let before = values.get(change.key.as_str()).copied();
        ensure!(change.before.as_deref() == before, "before {change:?} there was {before:?}");
        match &change.value {
            Some(value) => values.insert(&change.key, value),
            None => values.remove(change.key.as_str()),
        };
    }
    Ok(())
}
