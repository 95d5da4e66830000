//! Bugs planted in the operator's planner, which the operator's tests must find.
//!
//! They lie in `crates/operator/mutants`, and are written and planted like those of the core. One
//! build of the tests holds them all; it shares the target directory, so that what the operator
//! depends on is built once.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{VARIABLE, copy, load, number, position};
use crate::workspace::Workspace;

/// Where the bugs lie.
pub(super) const DIRECTORY: &str = "crates/operator/mutants/";

/// The tests that hunt, the fastest first.
const HUNTERS: &[&str] = &["without_faults", "scripts_print", "fault_at_every_write"];

/// Plants all bugs and hunts for those that are named, or for all.
pub(super) fn run(workspace: &Workspace, names: &[String]) -> Result<ExitCode> {
    let mutants = load(workspace, DIRECTORY)?;
    let chosen: Vec<usize> = if names.is_empty() {
        (0..mutants.len()).collect()
    } else {
        names.iter().map(|name| position(&mutants, name)).collect::<Result<_>>()?
    };
    let source = workspace.target.join("mutants").join("planner");
    copy::write_sources(workspace, &mutants, &source)?;
    let tests = build(workspace, &source)?;
    let passes = |bug: u32, hunter: &str| -> Result<bool> {
        let mut command = Command::new(&tests);
        command.arg(hunter).current_dir(source.join("crates/operator"));
        command.env(VARIABLE, bug.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().context("cannot run the operator's tests")?.success())
    };
    // The last one has just passed among the tests, or will tell by itself.
    for hunter in &HUNTERS[..2] {
        ensure!(passes(0, hunter)?, "with no bug selected, the tests `{hunter}` should pass");
    }
    let mut missed = Vec::new();
    for at in chosen {
        let name = &mutants[at].name;
        let mut found = None;
        for hunter in HUNTERS {
            if !passes(number(at), hunter)? {
                found = Some(hunter);
                break;
            }
        }
        match found {
            Some(hunter) => println!("{name}: found by {hunter}"),
            None => {
                println!("{name}: survived");
                missed.push(name.as_str());
            }
        }
    }
    if missed.is_empty() {
        println!("mutants: all of the planner's found");
        return Ok(ExitCode::SUCCESS);
    }
    println!("mutants: not found: {}; each is a hole in the operator's tests", missed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Builds the tests in the copy, and returns the path of their program.
fn build(workspace: &Workspace, source: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["test", "--package", "operator", "--test", "operator", "--no-run"])
        .arg("--target-dir")
        .arg(&workspace.target)
        .current_dir(source)
        .output()
        .context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the sources with all bugs planted do not compile:\n{text}");
    }
    let line = text.lines().find(|line| line.contains("Executable tests/main.rs"));
    let path = line.and_then(|line| line.split('(').nth(1)?.strip_suffix(')'));
    let path = path.with_context(|| format!("cargo names no program of tests:\n{text}"))?;
    Ok(PathBuf::from(path))
}
