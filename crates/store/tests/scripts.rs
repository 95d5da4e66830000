//! Runs every script under `tests/scripts`: a directory is a topic, a file is a fact.
//!
//! What a script prints is recorded in it. After a change, `UPDATE_GOLDENFILES=1 cargo test -p
//! store` records anew; then the difference is to be read.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::stage::Stage;

/// At least this many facts are told by scripts.
const SCRIPTS_MIN: usize = 30;

/// A script that is longer should be two.
const LINES_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn names_in(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs a script and returns what is wrong with it.
fn run(path: &Path) -> Result<(), String> {
    let name = path.strip_prefix(root()).unwrap().display();
    let recorded = fs::read_to_string(path).unwrap();
    let play = || goldenscript::generate(&mut Stage::new(), &recorded);
    let printed = match catch_unwind(AssertUnwindSafe(play)) {
        Ok(Ok(printed)) => printed,
        Ok(Err(error)) => return Err(format!("{name}: {error}")),
        Err(_) => return Err(format!("{name} panics")),
    };
    if printed == recorded {
        return Ok(());
    }
    if std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1") {
        fs::write(path, printed).unwrap();
        return Ok(());
    }
    let lines =
        recorded.lines().map(Some).chain([None]).zip(printed.lines().map(Some).chain([None]));
    let differs = lines.enumerate().find(|(_, (old, new))| old != new);
    Err(format!("{name} prints something else: {differs:?}"))
}

fn run_topic(topic: &str) {
    let results = names_in(&root().join(topic)).into_iter().map(|path| run(&path));
    let failures: Vec<String> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} scripts fail:\n{}", failures.len(), failures.join("\n"));
}

macro_rules! topics {
    ($($topic:ident)*) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),*];

        $(#[test]
        fn $topic() {
            run_topic(stringify!($topic));
        })*
    };
}

topics! { alarm cluster compact delete lease put range txn }

#[test]
fn every_script_belongs_to_a_topic_and_is_short() {
    let topics = names_in(&root());
    let names: Vec<_> =
        topics.iter().map(|topic| topic.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, TOPICS, "each directory must be among the topics, in order");
    let scripts: Vec<PathBuf> = topics.iter().flat_map(|topic| names_in(topic)).collect();
    assert!(scripts.len() >= SCRIPTS_MIN, "there are only {} scripts", scripts.len());
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.display();
        assert!(text.starts_with("# "), "{name} must begin by stating its fact in a comment");
        assert!(text.lines().count() <= LINES_MAX, "{name} is too long: make it two");
    }
}
