//! The copy of the sources in which all bugs are planted, and the simulator built from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::CommandLine;
use crate::mutants::format::Mutant;
use crate::mutants::{DIRECTORY, planner, plant};
use crate::workspace::Workspace;

/// The switch that each crate with planted bugs gets.
const SWITCH: &str = r#"//! Tells which planted bug is on. Written by `cargo xtask mutants`.

static SELECTED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();

pub(crate) fn is(number: u32) -> bool {
    *SELECTED.get_or_init(|| match std::env::var("HOLDFAST_PLANTED") {
        Ok(number) => number.parse().expect("HOLDFAST_PLANTED is the number of a planted bug"),
        Err(_) => 0,
    }) == number
}
"#;

/// Makes the copy, builds the simulator in it, and returns the path of that.
pub(crate) fn build(workspace: &Workspace, mutants: &[Mutant]) -> Result<PathBuf> {
    let base = workspace.target.join("mutants");
    let source = base.join("src");
    let target = base.join("target");
    write_sources(workspace, mutants, &source)?;

    // Bugs leave variables unused and code unreachable; nobody wants to read of it.
    let status = CommandLine::new(["cargo", "build", "--profile", "sim", "--package", "sim"])
        .with(["--quiet", "--target-dir"])
        .with([target.display().to_string()])
        .with_variable("RUSTFLAGS", "--cap-lints allow")
        .status(&source)?;
    if !status.success() {
        bail!("the sources with all bugs planted do not compile; they are in {}", source.display());
    }
    Ok(target.join("sim").join("sim"))
}

/// Makes the copy, or brings it up to date.
pub(super) fn write_sources(workspace: &Workspace, mutants: &[Mutant], copy: &Path) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(workspace.root.join(path)).ok();
    let (mut changed, misfits) = plant(mutants, read);
    if !misfits.is_empty() {
        let misfits: Vec<String> = misfits.iter().map(ToString::to_string).collect();
        bail!("planted bugs do not fit the source:\n  {}", misfits.join("\n  "));
    }
    for crate_source in crate_sources(changed.keys()) {
        let root = format!("{crate_source}/lib.rs");
        let text = match changed.get(&root) {
            Some(text) => text.clone(),
            None => read(&root).with_context(|| format!("{root} is not there to add to"))?,
        };
        changed.insert(root, format!("{text}\nmod planted;\n"));
        changed.insert(format!("{crate_source}/planted.rs"), SWITCH.to_owned());
    }

    let mut kept = BTreeSet::new();
    for path in workspace.files()? {
        let is_planted = path.starts_with(DIRECTORY) || path.starts_with(planner::DIRECTORY);
        if path.starts_with("crates/xtask/") || is_planted {
            continue;
        }
        if !changed.contains_key(&path) {
            let bytes = std::fs::read(workspace.root.join(&path))
                .with_context(|| format!("cannot read {path}"))?;
            write_if_changed(&copy.join(&path), &bytes)?;
            kept.insert(copy.join(&path));
        }
    }
    for (path, text) in &changed {
        write_if_changed(&copy.join(path), text.as_bytes())?;
        kept.insert(copy.join(path));
    }
    remove_others(copy, &kept)
}

/// The `crates/NAME/src` of these files, each once.
fn crate_sources<'a>(paths: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    paths.map(|path| path.split('/').take(3).collect::<Vec<_>>().join("/")).collect()
}

/// Leaves a file that is already right untouched, so that cargo builds only what differs.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let directory = path.parent().context("a file lies in a directory")?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes what an earlier copy left behind, since cargo builds targets that it finds.
fn remove_others(directory: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_gets_one_switch() {
        let paths = ["crates/raft/src/log.rs", "crates/raft/src/a/b.rs", "crates/wal/src/lib.rs"];
        let paths = paths.map(str::to_owned);
        let expected = ["crates/raft/src", "crates/wal/src"].map(str::to_owned);
        assert_eq!(crate_sources(paths.iter()), BTreeSet::from(expected));
    }

    #[test]
    fn switch_reads_the_variable_that_the_hunt_sets() {
        assert!(SWITCH.contains(&format!("\"{}\"", crate::mutants::VARIABLE)), "same variable");
    }
}
