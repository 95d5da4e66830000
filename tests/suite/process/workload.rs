//! Clients that write and read without pause, and note what they see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use etcd_api::etcdserverpb as pb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use tests::client::revision;
use tests::{Client, Random, wait};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::history::{Compared, Did, Done};

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a client rests after an error, so that a cluster without a leader is not drowned.
const REST: Duration = Duration::from_millis(10);
/// How long the cluster may take until it acknowledges again.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How many bytes a large value has.
const LARGE: usize = 500_000;
/// How many keys there are.
const KEYS: u64 = 5;

/// What clients of a run have in common.
#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    /// How many writes were acknowledged.
    acknowledged: AtomicU64,
}

/// Clients that run until they are told to stop.
pub(crate) struct Workload {
    shared: Arc<Shared>,
    clients: JoinSet<Vec<Done>>,
    epoch: Instant,
}

/// One client, and whom it asks.
struct Writer {
    number: u64,
    members: Vec<Client>,
    /// Which member it asks; after an error, the next.
    at: usize,
    /// How many bytes follow what makes a value unique.
    padding: usize,
    random: Random,
    epoch: Instant,
    shared: Arc<Shared>,
}

impl Workload {
    /// Starts clients, spread over the members. A client that meets an error goes to the next
    /// member.
    pub(crate) fn start(urls: &[String], clients: u64) -> Result<Workload> {
        let epoch = Instant::now();
        let mut workload = Workload { shared: Arc::default(), clients: JoinSet::new(), epoch };
        for number in 0..clients {
            workload.add(number, urls, 0)?;
        }
        Ok(workload)
    }

    /// Starts one more client, whose number nobody else has, and whose values are large.
    pub(crate) fn add_large(&mut self, number: u64, urls: &[String]) -> Result<()> {
        self.add(number, urls, LARGE)
    }

    fn add(&mut self, number: u64, urls: &[String], padding: usize) -> Result<()> {
        let members = urls.iter().map(|url| Client::new(url)).collect::<Result<Vec<_>>>()?;
        let writer = Writer {
            number,
            at: usize::try_from(number)? % members.len(),
            members,
            padding,
            random: Random::new(number),
            epoch: self.epoch,
            shared: Arc::clone(&self.shared),
        };
        self.clients.spawn(writer.run());
        Ok(())
    }

    /// Returns how many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `writes` more were acknowledged. Returns how long that took.
    pub(crate) async fn progress(&self, writes: u64) -> Result<Duration> {
        let (began, goal) = (Instant::now(), self.acknowledged() + writes);
        let what = format!("{writes} more writes to be acknowledged");
        wait::until_async(what, SILENCE_MAX, async || {
            (self.acknowledged() >= goal).then(|| began.elapsed())
        })
        .await
    }

    /// Stops the clients, and returns what they did.
    pub(crate) async fn finish(mut self) -> Vec<Done> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut history = Vec::new();
        while let Some(done) = self.clients.join_next().await {
            history.extend(done.expect("a client does not panic"));
        }
        history
    }
}

impl Writer {
    async fn run(mut self) -> Vec<Done> {
        let mut history = Vec::new();
        let mut sequence = 0;
        while !self.shared.is_over.load(Ordering::Relaxed) {
            sequence += 1;
            let key = format!("work/{}", self.random.below(KEYS));
            let mut value = format!("{}-{sequence}", self.number);
            value.push_str(&" ".repeat(self.padding));
            let choice = self.random.weighted(&[50, 20, 30]);
            let began = self.epoch.elapsed();
            let did = match choice {
                0 => Some(self.put(&key, value).await),
                1 => self.cas(&key, value, &mut history).await,
                _ => self.read(&key).await,
            };
            let is_answered = match &did {
                Some(Did::Put { revision, .. }) => revision.is_some(),
                Some(Did::Cas { answer, .. }) => answer.is_some(),
                Some(Did::Read { .. }) => true,
                None => false,
            };
            if let Some(did) = did {
                // A comparison begins with a read of its own, which was noted.
                let began = match &did {
                    Did::Cas { .. } => history.last().map_or(began, |read: &Done| read.ended),
                    Did::Put { .. } | Did::Read { .. } => began,
                };
                history.push(Done { key, began, ended: self.epoch.elapsed(), did });
            }
            if !is_answered {
                self.at = (self.at + 1) % self.members.len();
                tokio::time::sleep(REST).await;
            }
        }
        history
    }

    fn member(&self) -> &Client {
        &self.members[self.at]
    }

    fn note_acknowledged(&self) {
        self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    async fn put(&self, key: &str, value: String) -> Did {
        let answer = timeout(ANSWER_MAX, self.member().put(key, &value)).await;
        let revision = answer.ok().and_then(Result::ok);
        revision.iter().for_each(|_| self.note_acknowledged());
        Did::Put { value, revision }
    }

    async fn read(&self, key: &str) -> Option<Did> {
        let answer = timeout(ANSWER_MAX, self.member().range(key)).await.ok()?.ok()?;
        let found = answer
            .kvs
            .first()
            .map(|kv| (String::from_utf8_lossy(&kv.value).into_owned(), kv.mod_revision));
        Some(Did::Read { found, revision: revision(answer.header.as_ref()) })
    }

    /// Reads, and then writes if nothing has changed since.
    async fn cas(&self, key: &str, value: String, history: &mut Vec<Done>) -> Option<Did> {
        let began = self.epoch.elapsed();
        let did = self.read(key).await?;
        let expected = match &did {
            Did::Read { found, .. } => found.as_ref().map_or(0, |(_, at)| *at),
            Did::Put { .. } | Did::Cas { .. } => return None,
        };
        history.push(Done { key: key.to_owned(), began, ended: self.epoch.elapsed(), did });
        let put = pb::PutRequest {
            key: key.to_owned().into(),
            value: value.clone().into(),
            ..Default::default()
        };
        let request = pb::TxnRequest {
            compare: vec![pb::Compare {
                result: CompareResult::Equal.into(),
                target: CompareTarget::Mod.into(),
                key: key.to_owned().into(),
                target_union: Some(TargetUnion::ModRevision(expected)),
                ..Default::default()
            }],
            success: vec![pb::RequestOp { request: Some(Request::RequestPut(put)) }],
            failure: vec![],
        };
        let answer = timeout(ANSWER_MAX, self.member().kv().txn(request)).await;
        let answer = answer.ok().and_then(Result::ok).map(|response| {
            let response = response.into_inner();
            let revision = revision(response.header.as_ref());
            Compared { succeeded: response.succeeded, revision }
        });
        answer.iter().for_each(|_| self.note_acknowledged());
        Some(Did::Cas { expected, value, answer })
    }
}
