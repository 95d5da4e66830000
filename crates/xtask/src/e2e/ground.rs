//! The local cluster that a run takes place in: its own, unless there is one already.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cluster::layout::State;
use crate::cluster::plane::Store;
use crate::cluster::run::Kubectl;
use crate::cluster::{self, Cluster};
use crate::workspace::Workspace;

/// Names the process that made the cluster for itself, and removes it in the end.
const OWNER: &str = "e2e.pid";
/// What is asked when something went wrong, and how many of the last lines are shown.
const QUESTIONS: &[(&[&str], usize)] = &[
    (&["get", "nodes"], 10),
    (&["get", "raftclusters", "-A", "-o", "yaml"], 150),
    (&["get", "pods,persistentvolumeclaims", "-A", "-o", "wide"], 40),
    (&["get", "events", "-n", "e2e", "--sort-by=.lastTimestamp"], 30),
    (&["logs", "-n", "holdfast-system", "deployment/holdfast-operator", "--tail=60"], 60),
    (&["logs", "-n", "e2e", "subject-0", "--tail=25"], 25),
    (&["logs", "-n", "e2e", "subject-1", "--tail=25"], 25),
    (&["logs", "-n", "e2e", "subject-2", "--tail=25"], 25),
];

/// Where a run takes place.
pub(super) struct Ground {
    state: State,
    /// Whether the cluster was made for this run.
    is_own: bool,
}

impl Ground {
    /// Takes the cluster that is there, if it answers, or starts one. What a run that was killed
    /// has left is removed first.
    pub(super) fn prepare(workspace: &Workspace, state: &State, store: Store) -> Result<Ground> {
        if cluster::is_up(state) && is_left(state)? {
            eprintln!("e2e: removing a cluster that was left behind, or does not answer");
            cluster::down(state)?;
        }
        let is_own = !cluster::is_up(state);
        if is_own {
            fs::create_dir_all(&state.directory).with_context(|| {
                format!("cannot make the directory {}", state.directory.display())
            })?;
            let owner = state.path(OWNER);
            fs::write(&owner, std::process::id().to_string())
                .with_context(|| format!("cannot write {}", owner.display()))?;
            cluster::up(workspace, state, 3, store, false)?;
        }
        Ok(Ground { state: state.clone(), is_own })
    }

    /// Leaves things as they were found; with `keep`, the cluster is nobody's from now on.
    pub(super) fn leave(self, keep: bool) -> Result<()> {
        if self.is_own && keep {
            let _ = fs::remove_file(self.state.path(OWNER));
        } else if self.is_own {
            cluster::down(&self.state)?;
        }
        Ok(())
    }
}

/// Whether a cluster is of no use to anybody: its owner is gone, or it does not answer.
fn is_left(state: &State) -> Result<bool> {
    if let Ok(owner) = fs::read_to_string(state.path(OWNER)) {
        let program = fs::read_link(Path::new("/proc").join(owner.trim()).join("exe"));
        let lives = program.is_ok_and(|path| path.to_string_lossy().contains("xtask"));
        ensure!(
            !lives,
            "another `cargo xtask e2e`, the process {}, runs in {}; wait for it, or give another \
             --state on another machine",
            owner.trim(),
            state.directory.display()
        );
        return Ok(true);
    }
    let kubectl = Cluster::open(state)?.kubectl;
    let answers = kubectl.must(&["--request-timeout=5s", "get", "--raw", "/readyz"]).is_ok();
    let wait = ["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=20s"];
    Ok(!answers || kubectl.must(&wait).is_err())
}

/// Writes down how things are, for whoever looks into what went wrong, and shows it.
pub(super) fn tell(kubectl: &Kubectl, directory: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for (words, lines) in QUESTIONS {
        let words = [&["--request-timeout=10s"], *words].concat();
        let answer = kubectl.must(&words).unwrap_or_else(|error| format!("{error:#}"));
        let all: Vec<&str> = answer.lines().collect();
        let end = &all[all.len().saturating_sub(*lines)..];
        text.push_str(&format!("$ kubectl {}\n{}\n\n", words[1..].join(" "), end.join("\n")));
    }
    eprintln!("{text}");
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let path = directory.join("failure.txt");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
