//! What the API server of a real Kubernetes makes of our kind: scripts of what people apply, and
//! what they are answered.
//!
//! ```text
//! UPDATE_GOLDENFILES=1 cargo test -p tests kubernetes     records anew
//! ```
//!
//! A directory of `scripts` is a topic, a file is a fact. All share one server; what a script makes
//! is removed after it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tests::programs::or_skip;

mod chart;
mod control_plane;
mod stage;
mod survival;

use control_plane::Programs;
use stage::Stage;

/// A script that is longer should be two.
const LINES_MAX: usize = 100;
/// How many bad specifications are refused at least.
const REFUSED_MIN: usize = 40;

fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/kubernetes/scripts");
    let below = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("a directory of scripts can be read");
        entries.map(|entry| entry.expect("an entry can be read").path()).collect()
    };
    let mut scripts: Vec<PathBuf> = below(&root).iter().flat_map(|topic| below(topic)).collect();
    scripts.sort();
    scripts
}

#[test]
fn server_says_what_is_recorded() {
    let Some(programs) = or_skip("kubernetes", Programs::find()) else { return };
    let mut stage = Stage::new(&programs).expect("an API server starts");
    let is_recording = env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value != "0");
    let mut failures = Vec::new();
    for path in scripts() {
        let recorded = fs::read_to_string(&path).expect("a script is text");
        match goldenscript::generate(&mut stage, &recorded) {
            Ok(played) if played == recorded => {}
            Ok(played) if is_recording => fs::write(&path, played).expect("it can be written"),
            Ok(played) => failures.push(format!("{}:\n{played}", path.display())),
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(failures.is_empty(), "differ from what was recorded:\n{}", failures.join("\n\n"));
}

#[test]
fn scripts_are_short_and_refuse_at_least_forty_specifications() {
    let mut refused = 0;
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a script is text");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: it shows two facts", path.display());
        let is_refusal =
            |line: &&str| line.contains(" is invalid: ") || line.starts_with("Error from server");
        refused += text.lines().filter(is_refusal).count();
    }
    assert!(REFUSED_MIN <= refused, "{refused} specifications are refused: {REFUSED_MIN} are due");
}
