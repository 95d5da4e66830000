//! `cargo xtask e2e`: everything that pods, nodes and people do to a cluster, on a real Kubernetes
//! with the real binaries, while a client writes and reads all the time.
//!
//! After each behaviour the client tells what it saw since the one before: how many writes were
//! acknowledged, and the longest time between two of them. At the end it looks for every write that
//! was ever acknowledged. One that is missing fails the run.

mod behaviour;
mod subject;
mod witness;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;
use crate::cluster::layout::State;
use crate::cluster::plane::Store;
use crate::cluster::programs;
use crate::cluster::run::{must, step};
use crate::cluster::{self, Cluster};
use crate::command::CommandLine;
use crate::e2e::behaviour::{BEHAVIOURS, Behaviour};
use crate::e2e::subject::{Keeper, Subject};
use crate::e2e::witness::{Seen, Witness};
use crate::image::{self, Speed};
use crate::tools;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask e2e [BEHAVIOUR…] [OPTION…]

Starts the local cluster, installs the operator by Helm, makes a RaftCluster, and does to it what
happens in earnest, while a client writes and reads. The result is in target/e2e/report.md.

  --quick             only the behaviours that take little time: what continuous integration runs
  --plain             a StatefulSet without the operator, and what can be done to that
  --store STORE       what keeps Kubernetes' own state: etcd (the default), or holdfast
  --keep              leave the cluster running
  --state DIRECTORY   where its files are (CACHE/cluster)

behaviours, in order:
";
/// How long the operator may take to be installed.
const INSTALL_LIMIT: &str = "120s";

/// Runs what is asked for.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        for behaviour in BEHAVIOURS {
            println!("  {:<20}{}", behaviour.name, behaviour.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let quick = args.take_switch("--quick");
    let keeper = if args.take_switch("--plain") { Keeper::StatefulSet } else { Keeper::Operator };
    let keep = args.take_switch("--keep");
    let store = match args.take_text("--store")? {
        Some(name) => cluster::parse_store(&name)?,
        None => Store::Etcd,
    };
    let state = cluster::state(args.take_text("--state")?)?;
    let selected = selected(&args.into_names()?, quick, keeper)?;
    let problems = programs::problems();
    if !problems.is_empty() {
        eprintln!(
            "e2e: skipped, as a cluster cannot be started here:\n- {}",
            problems.join("\n- ")
        );
        return Ok(ExitCode::SUCCESS);
    }
    let was_up = cluster::is_up(&state);
    let result = run_all(workspace, &state, store, keeper, &selected);
    if !keep && !was_up && cluster::is_up(&state) {
        cluster::down(&state)?;
    }
    result
}

fn selected(names: &[String], quick: bool, keeper: Keeper) -> Result<Vec<&'static Behaviour>> {
    if let Some(name) = names.iter().find(|name| !BEHAVIOURS.iter().any(|one| one.name == **name)) {
        let known: Vec<&str> = BEHAVIOURS.iter().map(|one| one.name).collect();
        bail!("unknown behaviour `{name}`; known are {}", known.join(", "));
    }
    Ok(BEHAVIOURS
        .iter()
        .filter(|one| names.is_empty() || names.iter().any(|name| name == one.name))
        .filter(|one| one.is_quick || !quick)
        .filter(|one| keeper == Keeper::Operator || !one.needs_operator)
        .collect())
}

/// What a behaviour showed.
#[derive(Debug)]
struct Outcome {
    name: &'static str,
    took: Duration,
    seen: Seen,
}

fn run_all(
    workspace: &Workspace,
    state: &State,
    store: Store,
    keeper: Keeper,
    behaviours: &[&Behaviour],
) -> Result<ExitCode> {
    let images = match keeper {
        Keeper::Operator => Vec::new(),
        Keeper::StatefulSet => vec!["holdfast".to_owned()],
    };
    let archives = image::build(workspace, &images, Speed::Fast)?;
    let program = witness(workspace)?;
    if !cluster::is_up(state) {
        cluster::up(workspace, state, 3, store, false)?;
    }
    let cluster = Cluster::open(state)?;
    step("e2e: giving the images to the nodes", || cluster.load(&archives))?;
    let subject = Subject {
        keeper,
        kubectl: cluster.kubectl.clone(),
        etcdctl: tools::path_or_build("etcdctl")?,
    };
    subject.remove()?;
    cluster.sweep()?;
    if keeper == Keeper::Operator {
        step("e2e: installing the operator", || install(workspace, state))?;
    }
    let began = Instant::now();
    step("e2e: created", || {
        subject.create()?;
        subject.wait_until_whole(3, &Default::default(), behaviour::LIMIT)
    })?;
    let mut outcomes =
        vec![Outcome { name: "created", took: began.elapsed(), seen: Seen::default() }];
    let mut witness = Witness::start(&program, state, &Subject::urls())?;
    // It finds the members first.
    std::thread::sleep(Duration::from_secs(2));
    witness.mark("started")?;
    for behaviour in behaviours {
        let began = Instant::now();
        step(&format!("e2e: {}", behaviour.name), || (behaviour.run)(&subject, &cluster))?;
        let took = began.elapsed();
        let seen = witness.mark(behaviour.name)?;
        eprintln!("e2e: {}: longest gap {} ms", behaviour.name, seen.longest_gap_ms);
        outcomes.push(Outcome { name: behaviour.name, took, seen });
    }
    let end = step("e2e: looking for every write", || witness.end())?;
    subject.remove()?;
    cluster.sweep()?;
    let text = report(&outcomes, &end);
    println!("{text}");
    let path = workspace.target.join("e2e").join("report.md");
    fs::create_dir_all(workspace.target.join("e2e")).context("cannot make target/e2e")?;
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    let lost = end.lost + outcomes.iter().map(|outcome| outcome.seen.lost).sum::<u64>();
    ensure!(lost == 0, "{lost} acknowledged writes were not seen by a later read");
    Ok(ExitCode::SUCCESS)
}

/// Builds the client that sees everything.
fn witness(workspace: &Workspace) -> Result<PathBuf> {
    let line = CommandLine::new(["cargo", "build", "--package", "tests", "--bin", "witness"]);
    let status = line.status(&workspace.root)?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(workspace.target.join("debug").join("witness"))
}

fn install(workspace: &Workspace, state: &State) -> Result<()> {
    let helm = tools::path_or_build("helm")?.display().to_string();
    let chart = workspace.root.join("charts/holdfast-operator").display().to_string();
    let config = state.kubeconfig().display().to_string();
    let mut words = vec![helm.as_str(), "--kubeconfig", &config, "upgrade", "--install"];
    words.extend(["holdfast-operator", &chart, "-n", "holdfast-system", "--create-namespace"]);
    words.extend(["--wait", "--timeout", INSTALL_LIMIT]);
    must(&words).map(drop)
}

/// A table of what was seen.
fn report(outcomes: &[Outcome], end: &Seen) -> String {
    let mut text =
        "| behaviour | took, s | writes | not answered | longest gap, ms | reads | lost |\n\
                    | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    for Outcome { name, took, seen } in outcomes {
        text.push_str(&format!(
            "| {name} | {:.1} | {} | {} | {} | {} | {} |\n",
            took.as_secs_f64(),
            seen.writes,
            seen.failed,
            seen.longest_gap_ms,
            seen.reads,
            seen.lost
        ));
    }
    text.push_str(&format!(
        "\nOf {} writes that were acknowledged, {} were missing in the end.\n",
        end.writes, end.lost
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_operator_only_what_kubernetes_does_is_tried() {
        let all = selected(&[], false, Keeper::StatefulSet).unwrap();
        assert!(all.iter().all(|one| !one.needs_operator));
        assert!(all.iter().any(|one| one.name == "leader-deleted"));
        let error = selected(&["leader".to_owned()], false, Keeper::Operator);
        let error = error.expect_err("it is cut short").to_string();
        assert!(error.starts_with("unknown behaviour `leader`; known are follower-deleted"));
    }

    #[test]
    fn report_tells_what_is_missing() {
        let seen = Seen { writes: 10, failed: 1, longest_gap_ms: 20, reads: 9, lost: 0 };
        let outcomes = [Outcome { name: "rolled", took: Duration::from_secs(3), seen }];
        let text = report(&outcomes, &Seen { writes: 10, ..Seen::default() });
        assert!(text.contains("| rolled | 3.0 | 10 | 1 | 20 | 9 | 0 |\n"), "{text}");
        assert!(
            text.ends_with("Of 10 writes that were acknowledged, 0 were missing in the end.\n")
        );
    }
}
