//! Runs every script under `tests/scripts`: a directory is a topic, a file is a fact.
//!
//! What a script prints is recorded in it. After a change, `UPDATE_GOLDENFILES=1 cargo test -p
//! replica` records anew; then the difference is to be read.

use std::path::{Path, PathBuf};

/// A script that is longer should be two.
const LINES_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn names_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory of scripts is there");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the directory can be read").path()).collect();
    paths.sort();
    paths
}

/// Runs all scripts of a topic, and names each that fails.
fn run_topic(topic: &str) {
    let results = names_in(&root().join(topic)).into_iter().map(|path| crate::script::run(&path));
    let failures: Vec<String> =
        results.filter_map(|result| result.err().map(|error| format!("{error:#}"))).collect();
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

topics! {
    birth checkpoint forward lease membership quota read restart snapshot space transfer write
}

#[test]
fn every_script_belongs_to_a_topic_and_is_short() {
    let topics = names_in(&root());
    let names: Vec<String> = topics
        .iter()
        .map(|path| path.file_name().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, TOPICS, "each directory must be among the topics, in order");
    for path in topics.iter().flat_map(|topic| names_in(topic)) {
        let text = std::fs::read_to_string(&path).expect("a script can be read");
        let name = path.display();
        assert!(text.starts_with("# "), "{name} must begin by stating its fact in a comment");
        assert!(text.lines().count() <= LINES_MAX, "{name} is too long: make it two");
    }
}
