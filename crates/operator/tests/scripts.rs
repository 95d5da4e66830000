//! Runs every script under `tests/scripts`: a file is a fact about what is seen and what is
//! planned.
//!
//! After a change, `UPDATE_GOLDENFILES=1 cargo test -p operator` records anew; then the difference
//! is to be read. The commands:
//!
//! | command | what it does |
//! | --- | --- |
//! | `healthy 3` | so many members serve, and nothing is to be done |
//! | `empty 3` | so many pods wait on empty volumes, and there has never been a cluster |
//! | `spec replicas=5 paused=yes …` | changes what is asked for |
//! | `pod 1 absent` | also `awaiting`, `silent`, `broken`, `unready`, `deleting`, `old`, `fresh` |
//! | `volume 1 gone` | also `absent`, `deleting`, `unmarked`, `foreign`, `owned`, `stranger` |
//! | `member 1 silent` | also `absent`, `learner`, `unstarted`, `lag=5000`, `version=0.1.0` |
//! | `told none`, `told again`, `set 5`, `leader 1`, `wanted v2` | as they say |
//! | `forget`, `delete`, `after 600` | as they say |
//! | `plan`, `plan 3` | plans once or so often; the status is written each time |

mod stage;

use std::path::{Path, PathBuf};

/// At least this many facts are told by scripts.
const SCRIPTS_MIN: usize = 60;

#[test]
fn scripts_print_what_was_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let entries = std::fs::read_dir(&root).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none())
        .collect();
    paths.sort();
    assert!(SCRIPTS_MIN <= paths.len(), "there are only {} scripts", paths.len());
    let is_update = std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1");
    let mut failures = Vec::new();
    for path in paths {
        let recorded = std::fs::read_to_string(&path).unwrap();
        let printed = goldenscript::generate(&mut stage::Stage::new(), &recorded)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if is_update {
            std::fs::write(&path, &printed).unwrap();
        } else if printed != recorded {
            failures.push(format!("{}:\n{printed}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{} scripts fail:\n{}", failures.len(), failures.join("\n"));
}
