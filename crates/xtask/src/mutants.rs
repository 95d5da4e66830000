//! `cargo xtask mutants`: does the simulator find the bugs that it is there to find?
//!
//! A planted bug is a text file in `crates/sim/mutants` that says which text of the product is
//! replaced by what, and whether the simulator of cores or that of whole members must find it; the
//! README there tells how to write one. All of them are planted in a *copy* of the sources, below
//! the target directory, so that one build holds every bug and the product holds none. At run time
//! the environment selects the bug that is on:
//!
//! ```text
//! crates/** ──copy──► target/mutants/src ──build──► one simulator
//! mutants/* ──plant──►      │                           │ HOLDFAST_PLANTED=17
//!                                                       ▼
//!                                          seeds until an oracle objects
//! ```

mod copy;
mod format;
mod hunt;
mod patch;
mod planner;
mod table;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;
use crate::command::exit_code;
use crate::mutants::format::{Hunter, Mutant};
use crate::mutants::hunt::{Hunt, Outcome};
use crate::mutants::patch::{Misfit, Planted};
use crate::workspace::Workspace;

pub(crate) use format::read;

const DIRECTORY: &str = "crates/sim/mutants/";
/// The variable that selects a bug by its number; unset or zero, there is none.
const VARIABLE: &str = "HOLDFAST_PLANTED";
const STARTS: u64 = 5;
const SEEDS_MAX: u64 = 20_000;
/// How many seeds must pass with no bug selected, or everything would be found.
const SEEDS_SOUND: u64 = 200;
/// Starts lie so far apart that no hunt reaches the next.
const START_STRIDE: u64 = 1_000_000;

/// Plants all bugs and hunts for those that are named, or for all.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--run") {
        return run_one(workspace, args.into_words());
    }
    if args.take_switch("--planner") {
        return planner::run(workspace, &args.into_names()?);
    }
    let build_only = args.take_switch("--build");
    let check = args.take_switch("--check");
    let starts = args.take_number("--starts")?.unwrap_or(if check { 1 } else { STARTS });
    let seeds_max = args.take_number("--seeds-max")?.unwrap_or(SEEDS_MAX);
    ensure!(seeds_max <= START_STRIDE, "--seeds-max is at most {START_STRIDE}");
    let names = args.into_names()?;

    let publish = names.is_empty() && !check && !build_only;
    if publish {
        // A hunt takes long; what would make it vain is better known before.
        table::readme_with(workspace, "")?;
    }

    let mutants = load(workspace, DIRECTORY)?;
    let chosen: Vec<usize> = if names.is_empty() {
        (0..mutants.len()).collect()
    } else {
        names.iter().map(|name| position(&mutants, name)).collect::<Result<_>>()?
    };
    let simulator = copy::build(workspace, &mutants)?;
    println!("mutants: {} planted, built as {}", mutants.len(), simulator.display());
    if build_only {
        return Ok(ExitCode::SUCCESS);
    }

    let hunt = Hunt::new(simulator, workspace.target.join("mutants").join("log"))?;
    for hunter in [Hunter::Core, Hunter::Whole] {
        let sound = hunt.run(hunter, 0, START_STRIDE, SEEDS_SOUND)?;
        ensure!(
            sound == Outcome::Survived,
            "with no bug selected, {SEEDS_SOUND} seeds should pass, but: {sound}; mend that first"
        );
    }
    let starts: Vec<u64> = (1..=starts).map(|start| start * START_STRIDE).collect();
    let results = hunt.run_all(&mutants, &chosen, &starts, seeds_max)?;

    if publish {
        table::write(workspace, &table::render(&mutants, &results, starts.len(), seeds_max))?;
    }
    let missed: Vec<&str> = chosen
        .iter()
        .filter(|at| results[at].iter().any(|outcome| !outcome.is_found()))
        .map(|at| mutants[*at].name.as_str())
        .collect();
    if missed.is_empty() {
        println!("mutants: all {} found", chosen.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "mutants: {} of {} not found every time: {}; each is a hole in the oracles",
        missed.len(),
        chosen.len(),
        missed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

/// Runs the simulator with one bug planted, and exits as it does.
fn run_one(workspace: &Workspace, words: Vec<String>) -> Result<ExitCode> {
    let mut words = words.into_iter();
    let name = words.next().context("--run wants the name of a planted bug after it")?;
    let mutants = load(workspace, DIRECTORY)?;
    let number = number(position(&mutants, &name)?);
    let simulator = copy::build(workspace, &mutants)?;
    let status = Command::new(&simulator)
        .args(words)
        .env(VARIABLE, number.to_string())
        .status()
        .with_context(|| format!("cannot run {}", simulator.display()))?;
    Ok(exit_code(status))
}

/// Tells whether a file, given by its path from the root, is a planted bug.
pub(crate) fn is_mutant(path: &str) -> bool {
    [DIRECTORY, planner::DIRECTORY].iter().any(|directory| is_in(directory, path))
}

/// Tells whether a file is a planted bug of this directory.
fn is_in(directory: &str, path: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|name| name.ends_with(".mutant"))
}

/// Plants the bugs in the sources that they are for, which `source` gives by their paths.
///
/// Returns the changed sources by path, and what does not fit.
pub(crate) fn plant(
    mutants: &[Mutant],
    source: impl Fn(&str) -> Option<String>,
) -> (BTreeMap<String, String>, Vec<Misfit>) {
    let mut by_file: BTreeMap<&str, Vec<Planted<'_>>> = BTreeMap::new();
    for (at, mutant) in mutants.iter().enumerate() {
        for hunk in &mutant.hunks {
            let planted = Planted { number: number(at), mutant: &mutant.name, hunk };
            by_file.entry(&hunk.file).or_default().push(planted);
        }
    }
    let mut changed = BTreeMap::new();
    let mut misfits = Vec::new();
    for (path, planted) in by_file {
        let Some(text) = source(path) else {
            misfits.extend(planted.iter().map(|planted| planted.misfit("there is no such file")));
            continue;
        };
        match patch::patch(&text, &planted) {
            Ok(text) => {
                changed.insert(path.to_owned(), text);
            }
            Err(some) => misfits.extend(some),
        }
    }
    (changed, misfits)
}

/// Reads all planted bugs of a directory, in the order of their names.
fn load(workspace: &Workspace, directory: &str) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for path in workspace.files()?.iter().filter(|path| is_in(directory, path)) {
        let text = std::fs::read_to_string(workspace.root.join(path))
            .with_context(|| format!("cannot read {path}"))?;
        mutants.push(format::read(path, &text).with_context(|| format!("cannot plant {path}"))?);
    }
    ensure!(!mutants.is_empty(), "there is no planted bug in {directory}");
    Ok(mutants)
}

fn position(mutants: &[Mutant], name: &str) -> Result<usize> {
    let Some(at) = mutants.iter().position(|mutant| mutant.name == name) else {
        let known: Vec<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        bail!("no planted bug is called `{name}`; there are {}", known.join(", "));
    };
    Ok(at)
}

/// The number that selects the bug at this place. Zero selects none.
fn number(at: usize) -> u32 {
    u32::try_from(at).expect("bugs are few") + 1
}
