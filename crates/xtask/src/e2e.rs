//! `cargo xtask e2e`: everything that pods, nodes and people do to a cluster, on a real Kubernetes
//! with the real binaries, while a client writes and reads all the time.
//!
//! After each behaviour the client tells what it saw since the one before: how many writes were
//! acknowledged, and the longest time between two of them. At the end it looks for every write that
//! was ever acknowledged. One that is missing fails the run, and so does an answer that contradicts
//! the order of the others.

mod behaviour;
mod certificates;
mod certified;
mod ground;
mod helm;
mod subject;
mod upgraded;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;
use crate::cluster::layout::State;
use crate::cluster::plane::Store;
use crate::cluster::programs;
use crate::cluster::run::step;
use crate::cluster::{self, Cluster};
use crate::command::CommandLine;
use crate::e2e::behaviour::{BEHAVIOURS, Behaviour, Cost, Happens, Stage};
use crate::e2e::certified::Scene;
use crate::e2e::ground::Ground;
use crate::e2e::helm::Helm;
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
  --if-possible       where no cluster can be started, say why, and succeed
  --built             take the images in target/images as they are
  --keep              leave the cluster running
  --state DIRECTORY   where its files are (CACHE/cluster)

behaviours, in order:
";

/// Runs what is asked for.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        for behaviour in BEHAVIOURS {
            println!("  {:<22}{}", behaviour.name, behaviour.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let quick = args.take_switch("--quick");
    let keeper = if args.take_switch("--plain") { Keeper::StatefulSet } else { Keeper::Operator };
    let only_if_possible = args.take_switch("--if-possible");
    let built = args.take_switch("--built");
    let keep = args.take_switch("--keep");
    let store = match args.take_text("--store")? {
        Some(name) => cluster::parse_store(&name)?,
        None => Store::Etcd,
    };
    let state = cluster::state(args.take_text("--state")?)?;
    let selected = selected(&args.into_names()?, quick, keeper)?;
    let problems = programs::problems();
    if only_if_possible && !problems.is_empty() {
        println!("e2e: skipped; a cluster cannot be started here:\n- {}", problems.join("\n- "));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        problems.is_empty(),
        "a cluster cannot be started here yet:\n- {}",
        problems.join("\n- ")
    );
    let images = match keeper {
        Keeper::Operator => Vec::new(),
        Keeper::StatefulSet => vec!["holdfast".to_owned()],
    };
    // Before a cluster is there: it would only take away from what builds.
    let archives = if built {
        image::archives(workspace, &images)?
    } else {
        image::build(workspace, &images, Speed::Fast)?
    };
    let program = witness(workspace)?;
    let ground = Ground::prepare(workspace, &state, store)?;
    let cluster = Cluster::open(&state)?;
    let directory = workspace.target.join("e2e");
    let run = Run { workspace, state: &state, cluster: &cluster, keeper, program: &program };
    let result = run.all(&archives, &selected, &directory);
    if result.is_err() {
        let path = ground::tell(&cluster.kubectl, &directory)?;
        eprintln!("e2e: how things were is in {}", path.display());
    }
    drop(cluster);
    ground.leave(keep)?;
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
        .filter(|one| match one.cost {
            Cost::Seconds => true,
            Cost::Minutes => !quick,
        })
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

/// One run, over a cluster that is up.
struct Run<'a> {
    workspace: &'a Workspace,
    state: &'a State,
    cluster: &'a Cluster,
    keeper: Keeper,
    /// The witness.
    program: &'a Path,
}

impl Run<'_> {
    fn all(
        &self,
        archives: &[PathBuf],
        behaviours: &[&Behaviour],
        directory: &Path,
    ) -> Result<ExitCode> {
        step("e2e: giving the images to the nodes", || self.cluster.load(archives))?;
        let subject = Subject {
            keeper: self.keeper,
            name: subject::NAME,
            tls: None,
            kubectl: self.cluster.kubectl.clone(),
            etcdctl: tools::path_or_build("etcdctl")?,
            helm: Helm::find(self.workspace, self.state, &self.cluster.kubectl)?,
        };
        subject.remove()?;
        self.cluster.sweep()?;
        if self.keeper == Keeper::Operator {
            step("e2e: installing the operator", || subject.helm.install())?;
        }
        let (outcomes, end) = self.happen(&subject, behaviours)?;
        subject.remove()?;
        self.cluster.sweep()?;
        let text = report(&outcomes, &end);
        println!("{text}");
        let path = directory.join("report.md");
        fs::create_dir_all(directory).context("cannot make target/e2e")?;
        fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        let sum = |of: fn(&Seen) -> u64| {
            of(&end) + outcomes.iter().map(|outcome| of(&outcome.seen)).sum::<u64>()
        };
        let lost = sum(|seen| seen.lost);
        ensure!(lost == 0, "{lost} acknowledged writes were not seen by a later read");
        let disordered = sum(|seen| seen.disordered);
        ensure!(disordered == 0, "{disordered} answers contradict the order of all others");
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the subject, and has everything happen to it.
    fn happen(&self, subject: &Subject, behaviours: &[&Behaviour]) -> Result<(Vec<Outcome>, Seen)> {
        let mut outcomes = Vec::new();
        let mut end = Seen::default();
        let mut shared = Vec::new();
        let mut own = Vec::new();
        for behaviour in behaviours {
            match behaviour.stage {
                Stage::Shared(happens) => shared.push((behaviour, happens)),
                Stage::Own(happens) => own.push((behaviour, happens)),
            }
        }
        if !shared.is_empty() {
            end = self.happen_to_one(subject, &shared, &mut outcomes)?;
        }
        for (behaviour, happens) in own {
            subject.remove()?;
            self.cluster.sweep()?;
            let began = Instant::now();
            let scene = Scene {
                subject,
                workspace: self.workspace,
                state: self.state,
                cluster: self.cluster,
                program: self.program,
                directory: self.workspace.target.join("e2e").join("papers"),
            };
            let seen = step(&format!("e2e: {}", behaviour.name), || happens(&scene))?;
            eprintln!("e2e: {}: longest gap {} ms", behaviour.name, seen.longest_gap_ms);
            end.writes += seen.writes;
            end.lost += seen.lost;
            outcomes.push(Outcome { name: behaviour.name, took: began.elapsed(), seen });
        }
        Ok((outcomes, end))
    }

    /// What happens to one cluster, one behaviour after the other.
    fn happen_to_one(
        &self,
        subject: &Subject,
        behaviours: &[(&&Behaviour, Happens)],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Seen> {
        let began = Instant::now();
        step("e2e: created", || {
            subject.create()?;
            subject.wait_until_whole(3, &Default::default(), behaviour::LIMIT)
        })?;
        outcomes.push(Outcome { name: "created", took: began.elapsed(), seen: Seen::default() });
        let urls = subject.urls(subject::MEMBERS_MAX);
        let mut witness = Witness::start(self.program, self.state, &urls, None)?;
        // It finds the members first.
        std::thread::sleep(Duration::from_secs(2));
        witness.mark("started")?;
        for (behaviour, happens) in behaviours {
            let began = Instant::now();
            let what = format!("e2e: {}", behaviour.name);
            step(&what, || happens(subject, self.cluster))?;
            let took = began.elapsed();
            let seen = witness.mark(behaviour.name)?;
            eprintln!("e2e: {}: longest gap {} ms", behaviour.name, seen.longest_gap_ms);
            outcomes.push(Outcome { name: behaviour.name, took, seen });
        }
        step("e2e: looking for every write", || witness.end())
    }
}

/// Builds the client that sees everything.
fn witness(workspace: &Workspace) -> Result<PathBuf> {
    let line = CommandLine::new(["cargo", "build", "--package", "tests", "--bin", "witness"]);
    let status = line.status(&workspace.root)?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(workspace.target.join("debug").join("witness"))
}

/// The head of the table of what was seen.
const HEAD: &str = "\
| behaviour | took, s | writes | not answered | longest gap, ms | reads | lost | disordered |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

/// A table of what was seen.
fn report(outcomes: &[Outcome], end: &Seen) -> String {
    let mut text = String::from(HEAD);
    for Outcome { name, took, seen } in outcomes {
        text.push_str(&format!(
            "| {name} | {:.1} | {} | {} | {} | {} | {} | {} |\n",
            took.as_secs_f64(),
            seen.writes,
            seen.failed,
            seen.longest_gap_ms,
            seen.reads,
            seen.lost,
            seen.disordered
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
        let seen = Seen { writes: 10, failed: 1, longest_gap_ms: 20, reads: 9, ..Seen::default() };
        let outcomes = [Outcome { name: "rolled", took: Duration::from_secs(3), seen }];
        let text = report(&outcomes, &Seen { writes: 10, ..Seen::default() });
        assert!(text.contains("| rolled | 3.0 | 10 | 1 | 20 | 9 | 0 | 0 |\n"), "{text}");
        assert!(
            text.ends_with("Of 10 writes that were acknowledged, 0 were missing in the end.\n")
        );
    }
}
