//! Kubernetes on three members of Holdfast: the API server makes a thousand objects, lists and
//! watches them, while one member after another is killed.
//!
//! A read must succeed at once. A write that was on its way to a member that is killed may fail, as
//! nobody knows whether it happened; repeated, it succeeds, or finds what it has made.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tests::programs::{self, or_skip};
use tests::{Cluster, Options, Server, wait};

use super::control_plane::{ControlPlane, Programs};
use crate::process::run;

/// How many objects are made, and by how many clients.
const OBJECTS: usize = 1000;
const CLIENTS: usize = 4;
/// How many objects are on a page of a list.
const PAGE: usize = 100;
/// How long a request may take, and how long it may take until a write succeeds.
const ANSWER_MAX: Duration = Duration::from_secs(40);
const SUCCESS_MAX: Duration = Duration::from_secs(40);
/// How long the clients may take until somebody is killed, or until they are done.
const PROGRESS_MAX: Duration = Duration::from_secs(120);
const PATH: &str = "/api/v1/namespaces/default/configmaps";

/// The API server, as a client sees it.
#[derive(Clone, Debug)]
struct Api {
    address: String,
}

impl Api {
    /// Sends a request. HTTP/1.0, so that the end of an answer is the end of its connection.
    fn send(&self, method: &str, path: &str, body: &str) -> Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(&self.address).context("the proxy is gone")?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
        Ok(BufReader::new(stream))
    }

    /// Returns the status of an answer, and what follows its head.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = self.send(method, path, body)?;
        let status = head(&mut stream)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok((status, text))
    }

    /// Reads, which must succeed.
    fn get(&self, path: &str) -> Result<serde_json::Value> {
        let (status, text) = self.ask("GET", path, "")?;
        ensure!(status == 200, "GET {path} is answered with {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("GET {path} is answered with {text}"))
    }

    /// Makes an object. Returns how often that failed before it succeeded.
    fn create(&self, number: usize) -> Result<usize> {
        let name = object_name(number);
        let body = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name }, "data": { "number": number.to_string() },
        });
        let began = Instant::now();
        for failures in 0.. {
            match self.ask("POST", PATH, &body.to_string())? {
                (201, _) => return Ok(failures),
                (409, _) if 0 < failures => return Ok(failures),
                (500..=599 | 429, text) if began.elapsed() < SUCCESS_MAX => {
                    println!("{name} is made again after: {}", text.trim());
                }
                (status, text) => bail!("{name} is answered with {status}: {text}"),
            }
        }
        bail!("{name} was made for ever")
    }

    /// Lists all objects, a page at a time. Returns their names.
    fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = String::new();
        loop {
            let list = self.get(&format!("{PATH}?limit={PAGE}&continue={next}"))?;
            let items = list["items"].as_array().context("a list has items")?;
            ensure!(items.len() <= PAGE, "{} items are on a page", items.len());
            names.extend(items.iter().map(|item| text(&item["metadata"]["name"])));
            next = text(&list["metadata"]["continue"]);
            if next.is_empty() {
                return Ok(names);
            }
        }
    }

    /// Watches from a version on, and passes on the names of what is made, until the connection
    /// ends.
    fn watch(&self, version: &mut String, made: &mpsc::Sender<String>) -> Result<()> {
        let path = format!("{PATH}?watch=1&resourceVersion={version}");
        let mut stream = self.send("GET", &path, "")?;
        let status = head(&mut stream)?;
        ensure!(status == 200, "GET {path} is answered with {status}");
        for line in stream.lines() {
            let Ok(line) = line else { return Ok(()) };
            let event: serde_json::Value = serde_json::from_str(&line)?;
            ensure!(event["type"] == "ADDED", "{line} is told, and things are only made");
            *version = text(&event["object"]["metadata"]["resourceVersion"]);
            if made.send(text(&event["object"]["metadata"]["name"])).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Reads the head of an answer. Returns its status.
fn head(stream: &mut impl BufRead) -> Result<u16> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? != 0 && !line.trim().is_empty() {
        line.clear();
    }
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.with_context(|| format!("an answer begins with {first:?}"))
}

fn object_name(number: usize) -> String {
    format!("object-{number:04}")
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the clients have done.
#[derive(Debug, Default)]
struct Done {
    /// How many objects were begun, and how many are made.
    begun: AtomicUsize,
    made: AtomicUsize,
    /// How many writes failed, and succeeded when they were repeated.
    repeated: AtomicUsize,
    /// How often everything was listed.
    lists: AtomicUsize,
    is_over: AtomicBool,
    /// What must not have happened.
    failures: Mutex<Vec<String>>,
}

impl Done {
    fn note<T>(&self, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                self.failures.lock().expect("nobody panics with it").push(format!("{error:#}"));
            })
            .ok()
    }

    /// Makes objects until there are enough.
    fn make(&self, api: &Api) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if OBJECTS <= number || self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let Some(repeated) = self.note(api.create(number)) else { return };
            self.repeated.fetch_add(repeated, Ordering::Relaxed);
            self.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lists everything, again and again: what was made before is there.
    fn read(&self, api: &Api) {
        while !self.is_over.load(Ordering::Relaxed) {
            let made = self.made.load(Ordering::Relaxed);
            let Some(names) = self.note(api.list()) else { return };
            let listed = names.iter().filter(|name| name.starts_with("object-")).count();
            if listed < made {
                let lost = format!("{listed} objects were listed after {made} were made");
                self.note::<()>(Err(anyhow::Error::msg(lost)));
            }
            self.lists.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until so many are made.
    fn wait_for(&self, made: usize) -> Result<()> {
        let reached = wait::until(format!("{made} objects"), PROGRESS_MAX, || {
            let is_broken = !self.failures.lock().expect("nobody panics with it").is_empty();
            (is_broken || made <= self.made.load(Ordering::Relaxed)).then_some(())
        });
        reached?;
        let failures = self.failures.lock().expect("nobody panics with it");
        ensure!(failures.is_empty(), "failed: {failures:#?}");
        Ok(())
    }
}

/// Kills a member, and starts it when the clients have gone on.
fn lose(cluster: &mut Cluster, at: usize, done: &Done) -> Result<()> {
    let began = Instant::now();
    cluster.kill(at);
    done.wait_for(done.made.load(Ordering::Relaxed) + OBJECTS / 10)?;
    println!("{} objects were made without {at} in {:.1?}", OBJECTS / 10, began.elapsed());
    cluster.start_member(at)
}

/// Loses every member in turn: the leader first, then one that follows, then the last.
async fn lose_each(cluster: &mut Cluster, done: &Done) -> Result<()> {
    let mut left: BTreeSet<usize> = (0..3).collect();
    while !left.is_empty() {
        done.wait_for(OBJECTS / 10 + (3 - left.len()) * OBJECTS / 4)?;
        let leader = cluster.leader().await?;
        let follower = left.iter().copied().find(|at| *at != leader);
        let at = follower.filter(|_| left.len() < 3).unwrap_or(leader);
        let at = if left.remove(&at) { at } else { left.pop_first().context("one is left")? };
        let lost = lose(cluster, at, done);
        lost.with_context(|| format!("without {at}, when {leader} led"))?;
    }
    done.wait_for(OBJECTS)
}

#[test]
fn kubernetes_goes_on_when_any_member_is_killed() {
    let name = "kubernetes_goes_on_when_any_member_is_killed";
    let Some(programs) = or_skip(name, Programs::find()) else { return };
    programs::holdfast().expect("holdfast builds");
    run(async {
        let mut cluster = Cluster::start(Options::new(Server::Holdfast, 3))?;
        cluster.leader().await?;
        let plane = ControlPlane::start_on(&programs, &cluster.client_urls())?;
        let (_proxy, address) = plane.proxy(&programs)?;
        let api = Api { address };
        let begun = Instant::now();
        let mut version = text(&api.get(PATH)?["metadata"]["resourceVersion"]);
        let (sender, told) = mpsc::channel();
        let watcher = api.clone();
        // It ends with the proxy.
        thread::spawn(move || while let Ok(()) = watcher.watch(&mut version, &sender) {});

        let done = Done::default();
        let result = thread::scope(|scope| {
            (0..CLIENTS).for_each(|_| drop(scope.spawn(|| done.make(&api))));
            scope.spawn(|| done.read(&api));
            let result = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(lose_each(&mut cluster, &done))
            });
            done.is_over.store(true, Ordering::Relaxed);
            result
        });
        result?;
        let (repeated, lists) = (done.repeated.into_inner(), done.lists.into_inner());
        println!("{repeated} writes were repeated, {lists} lists read in {:.1?}", begun.elapsed());

        let expected: BTreeSet<String> = (0..OBJECTS).map(object_name).collect();
        let listed: Vec<String> = api.list()?;
        let listed: BTreeSet<String> =
            listed.into_iter().filter(|name| name.starts_with("object-")).collect();
        ensure!(listed == expected, "{} of {OBJECTS} objects are listed", listed.len());
        let mut seen = BTreeSet::new();
        while seen.len() < OBJECTS {
            let next = told.recv_timeout(ANSWER_MAX);
            let next = next.with_context(|| format!("{} objects were told", seen.len()))?;
            if next.starts_with("object-") {
                ensure!(seen.insert(next.clone()), "{next} is told twice");
            }
        }
        ensure!(seen == expected, "others were told than were made");
        Ok(())
    });
}
