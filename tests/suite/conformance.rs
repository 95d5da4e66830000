//! Scripts whose output was recorded from real etcd, and that Holdfast must play alike.
//!
//! ```text
//! UPDATE_GOLDENFILES=1 cargo test -p tests conformance     records anew, from etcd
//! CONFORMANCE_SERVER=etcd cargo test -p tests conformance  compares etcd with the record
//! ```
//!
//! A directory of `scripts` is a topic, a file is a fact. Each script has a cluster of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use tests::Server;
use tests::programs::{self, or_skip};

mod admin;
mod outside;
mod stage;
mod words;

use stage::Stage;

/// How many scripts play at once.
const STAGES: usize = 2;
/// A script that is longer should be two.
const LINES_MAX: usize = 100;

fn is_recording() -> bool {
    env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value != "0")
}

fn server() -> Server {
    let wants_etcd = env::var("CONFORMANCE_SERVER").is_ok_and(|value| value == "etcd");
    if is_recording() || wants_etcd { Server::Etcd } else { Server::Holdfast }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/conformance/scripts")
}

fn names_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    let mut paths =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}

/// Plays a script, and records or compares. What differs is returned as text.
fn play(path: &Path, server: Server) -> Result<Option<String>> {
    let recorded = fs::read_to_string(path)?;
    let mut stage = Stage::new(server)?;
    let played = goldenscript::generate(&mut stage, &recorded)?;
    if played == recorded {
        return Ok(None);
    }
    if is_recording() {
        fs::write(path, played)?;
        return Ok(None);
    }
    let lines = recorded.lines().zip(played.lines()).enumerate();
    let differing: Vec<String> = lines
        .filter(|(_, (recorded, played))| recorded != played)
        .map(|(at, (recorded, played))| format!("{:4} -{recorded}\n     +{played}", at + 1))
        .collect();
    Ok(Some(differing.join("\n")))
}

/// Plays all scripts of a topic, several at once, and names each that differs.
fn play_topic(topic: &str) {
    let needed = match server() {
        Server::Etcd => programs::etcd(),
        Server::Holdfast if topic == "etcdctl" => programs::etcdctl(),
        Server::Holdfast => Ok(programs::holdfast().expect("holdfast builds")),
    };
    let Some(_) = or_skip(&format!("conformance {topic}"), needed) else { return };
    let scripts = Mutex::new(names_in(&root().join(topic)).expect("the topic has a directory"));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..STAGES {
            scope.spawn(|| {
                loop {
                    let next = scripts.lock().expect("nobody panics").pop();
                    let Some(path) = next else { return };
                    let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                    let failure = match play(&path, server()) {
                        Ok(None) => continue,
                        Ok(Some(differing)) => format!("{name}:\n{differing}"),
                        Err(error) => format!("{name}: {error:#}"),
                    };
                    failures.lock().expect("nobody panics").push(failure);
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("nobody panicked");
    failures.sort();
    let (len, list) = (failures.len(), failures.join("\n\n"));
    assert!(failures.is_empty(), "{len} scripts differ from what was recorded:\n{list}");
}

macro_rules! topics {
    ($($topic:ident)*) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),*];

        $(#[test]
        fn $topic() {
            play_topic(stringify!($topic));
        })*
    };
}

topics! { cluster etcdctl http kv lease maintenance txn watch }

#[test]
fn every_script_belongs_to_a_topic_and_is_short() {
    let topics = names_in(&root()).expect("there are topics");
    let names: Vec<String> = topics
        .iter()
        .filter_map(|topic| topic.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, TOPICS, "each directory must be among the topics, in order");
    for path in topics.iter().flat_map(|topic| names_in(topic).expect("a directory")) {
        let lines = fs::read_to_string(&path).expect("a script is text").lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: it shows two facts", path.display());
    }
}
