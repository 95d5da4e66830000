//! A client that sees everything: it writes values that are never used twice, one after the other,
//! and reads all the time. What a member said was written has to be there, at once and in the end.
//!
//! ```text
//! witness [--certificates DIRECTORY] URL…
//!   stdin   mark NAME   prints a line of JSON about the time since the last mark
//!           end         looks for every write, prints a last line, and ends
//!   stdout  {"mark":NAME,"writes":…,"failed":…,"longest_gap_ms":…, and so on: see `Counts`}
//! ```
//!
//! Revisions are in the order of real time: no answer may have one lower than an answer that was
//! there before it was asked for, a write has one higher, and a key was written in the revision in
//! which it was acknowledged. As every write has a revision of its own, a history without such a
//! contradiction is linearizable.
//!
//! With certificates (`ca.crt`, `tls.crt`, `tls.key`), it connects again twice a second, with those
//! that are there then: whatever is wrong with one of both sides shows as a request that failed.
//!
//! A write that fails may have happened or not: nothing is expected of it. Of the URLs, the next
//! one is tried after each failure, so that a member that is gone costs one attempt.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use etcd_api::etcdserverpb as pb;
use tests::client::Client;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::Status;

/// How long an answer may take until another member is asked.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// How long to wait after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(10);
/// How long connections are used that need a certificate.
const CONNECTION_LIFE: Duration = Duration::from_millis(500);
/// How long the last look may take, with its attempts.
const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// How many keys are looked at in one request.
const PAGE: i64 = 5000;

/// What is known so far, shared by who writes and who reads.
#[derive(Debug)]
struct Known {
    /// All writes that were acknowledged, in order.
    acknowledged: Vec<Written>,
    /// The highest revision of all answers.
    highest: i64,
    last_answer: Instant,
    since: Counts,
}

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// In its key and its value.
    number: u64,
    revision: i64,
}

/// Counts since the last mark.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    writes: u64,
    failed: u64,
    longest_gap: Duration,
    reads: u64,
    /// Acknowledged, and not seen by a later read.
    lost: u64,
    /// Answers that contradict the order of the others.
    disordered: u64,
}

impl Counts {
    fn line(&self, name: &str) -> String {
        format!(
            "{{\"mark\":\"{name}\",\"writes\":{},\"failed\":{},\"longest_gap_ms\":{},\"reads\":{},\
             \"lost\":{},\"disordered\":{}}}",
            self.writes,
            self.failed,
            self.longest_gap.as_millis(),
            self.reads,
            self.lost,
            self.disordered
        )
    }
}

type Shared = Arc<Mutex<Known>>;

fn known(shared: &Shared) -> MutexGuard<'_, Known> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The members, and how they are connected to.
#[derive(Clone, Debug)]
struct Members {
    urls: Vec<String>,
    /// Where the certificates are; `None` if connections are in the clear.
    certificates: Option<PathBuf>,
    clients: Vec<Client>,
    connected: Instant,
}

impl Members {
    fn new(urls: Vec<String>, certificates: Option<PathBuf>) -> Result<Members> {
        let clients = connect(&urls, certificates.as_deref())?;
        Ok(Members { urls, certificates, clients, connected: Instant::now() })
    }

    /// A client of one of them. New certificates that cannot be used leave the old ones in use.
    fn at(&mut self, at: usize) -> Client {
        if self.certificates.is_some() && CONNECTION_LIFE < self.connected.elapsed() {
            self.connected = Instant::now();
            match connect(&self.urls, self.certificates.as_deref()) {
                Ok(clients) => self.clients = clients,
                Err(error) => eprintln!("witness: {error:#}"),
            }
        }
        self.clients[at % self.clients.len()].clone()
    }
}

fn connect(urls: &[String], certificates: Option<&Path>) -> Result<Vec<Client>> {
    urls.iter()
        .map(|url| match certificates {
            Some(directory) => Client::with_certificate(url, directory),
            None => Client::new(url),
        })
        .collect()
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    let certificates = words.next_if(|word| word == "--certificates").and_then(|_| words.next());
    let urls: Vec<String> = words.collect();
    ensure!(!urls.is_empty(), "usage: witness [--certificates DIRECTORY] URL…");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async { watch(Members::new(urls, certificates.map(PathBuf::from))?).await })
}

async fn watch(mut members: Members) -> Result<()> {
    let shared = Arc::new(Mutex::new(Known {
        acknowledged: Vec::new(),
        highest: 0,
        last_answer: Instant::now(),
        since: Counts::default(),
    }));
    // Nobody else's keys are under the name of this run.
    let run = format!("witness/{}-{}/", std::process::id(), unix_milliseconds());
    let writer = tokio::spawn(write(members.clone(), run.clone(), shared.clone()));
    let reader = tokio::spawn(read(members.clone(), run.clone(), shared.clone()));
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        match command.split_once(' ') {
            Some(("mark", name)) => println!("{}", mark(&shared).line(name)),
            Some(_) | None if command == "end" => break,
            Some(_) | None => bail!("unknown command `{command}`; known are mark NAME, end"),
        }
    }
    writer.abort();
    reader.abort();
    let acknowledged = std::mem::take(&mut known(&shared).acknowledged);
    let counts = look(&mut members, &run, &acknowledged).await?;
    println!("{}", counts.line("end"));
    Ok(())
}

/// What happened since the last mark. A gap that lasts is counted as far as it goes.
fn mark(shared: &Shared) -> Counts {
    let mut known = known(shared);
    let gap = known.last_answer.elapsed();
    known.since.longest_gap = known.since.longest_gap.max(gap);
    known.last_answer = Instant::now();
    std::mem::take(&mut known.since)
}

/// The lines of the input, read on a thread of their own.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn key(run: &str, number: u64) -> String {
    format!("{run}{number:012}")
}

async fn write(mut members: Members, run: String, shared: Shared) {
    let mut at = 0;
    for number in 1_u64.. {
        let client = members.at(at);
        let highest = known(&shared).highest;
        let written = attempt(client.put(&key(&run, number), &number.to_string())).await;
        {
            let mut known = known(&shared);
            match written {
                Some(revision) => {
                    let gap = known.last_answer.elapsed();
                    known.since.longest_gap = known.since.longest_gap.max(gap);
                    known.last_answer = Instant::now();
                    known.acknowledged.push(Written { number, revision });
                    known.highest = known.highest.max(revision);
                    known.since.writes += 1;
                    known.since.disordered += u64::from(revision <= highest);
                }
                None => known.since.failed += 1,
            }
        }
        if written.is_none() {
            at += 1;
            sleep(PAUSE).await;
        } else {
            // Some hundred a second are enough to see a gap, and leave the machine to the others.
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Reads, by a quorum, what was acknowledged last before the read began.
async fn read(mut members: Members, run: String, shared: Shared) {
    let mut at = 0;
    loop {
        sleep(PAUSE).await;
        let (written, highest) = {
            let known = known(&shared);
            (known.acknowledged.last().copied(), known.highest)
        };
        let Some(Written { number, revision }) = written else {
            continue;
        };
        // The members are asked in turn: none may answer from the past.
        let client = members.at(at);
        at += 1;
        let Some(response) = attempt(client.range(&key(&run, number))).await else {
            continue;
        };
        let now = response.header.as_ref().map_or(0, |header| header.revision);
        let kv = response.kvs.first();
        let is_there = kv.is_some_and(|kv| kv.value == number.to_string());
        let is_in_place = kv.is_none_or(|kv| kv.mod_revision == revision) && highest <= now;
        let mut known = known(&shared);
        known.highest = known.highest.max(now);
        known.since.reads += 1;
        known.since.lost += u64::from(!is_there);
        known.since.disordered += u64::from(!is_in_place);
    }
}

async fn attempt<T>(call: impl Future<Output = Result<T, Status>>) -> Option<T> {
    timeout(ANSWER_LIMIT, call).await.ok()?.ok()
}

/// Looks for all writes that were acknowledged.
async fn look(members: &mut Members, run: &str, acknowledged: &[Written]) -> Result<Counts> {
    let began = Instant::now();
    let mut counts = Counts { writes: count(acknowledged.len()), ..Counts::default() };
    for page in acknowledged.chunks(usize::try_from(PAGE).context("a page is small")?) {
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            continue;
        };
        let there = loop {
            ensure!(began.elapsed() < LOOK_LIMIT, "no member answers the last look");
            let mut found = None;
            for at in 0..members.urls.len() {
                let request = pb::RangeRequest {
                    key: key(run, first.number).into(),
                    range_end: key(run, last.number + 1).into(),
                    ..Default::default()
                };
                found = timeout(LOOK_LIMIT, members.at(at).kv().range(request)).await.ok();
                if found.as_ref().is_some_and(Result::is_ok) {
                    break;
                }
            }
            match found {
                Some(Ok(response)) => break response.into_inner().kvs,
                Some(Err(_)) | None => sleep(PAUSE).await,
            }
        };
        // Both are in the order of their numbers.
        let mut there = there.iter();
        for Written { number, revision } in page {
            let name = key(run, *number);
            let value = number.to_string();
            let found = there.find(|kv| kv.key >= name.as_bytes());
            let found = found.filter(|kv| kv.key == name && kv.value == value);
            let is_there = found.is_some();
            let is_in_place = found.is_none_or(|kv| kv.mod_revision == *revision);
            counts.disordered += u64::from(!is_in_place);
            counts.reads += 1;
            counts.lost += u64::from(!is_there);
        }
    }
    Ok(counts)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn unix_milliseconds() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis())
}
