//! The project's automation: `cargo xtask help` lists what it can do.
//!
//! Depends on no crate of the workspace, so that it works while they do not compile. Each
//! subcommand is a module; this file only finds the one that is asked for.

mod args;
mod bench;
mod ci;
mod cluster;
mod command;
mod demo;
mod e2e;
mod image;
mod mutants;
mod simulator;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask COMMAND

  ci                    everything that must hold before a change is published, in order
  test [ARGS…]          all tests; ARGS go to `cargo test`
  tidy                  the rules of crates/STYLE.md that a program can check
  sim [ARGS…]           the simulator; ARGS go to it, see `cargo xtask sim help`
  mutants [NAME…]       plant each bug (or those named) in a copy of the sources and hunt for it
      --check             from one start only, changing no file: what `ci` runs
      --starts N          from N different starts (5)
      --seeds-max N       give up after N seeds (20000)
  mutants --build       only make the copy and build it
  mutants --planner     plant the operator's bugs, and hunt for them with the operator's tests
  mutants --run NAME [ARGS…]
                        run the simulator with the bug NAME planted; ARGS go to it
  tools [NAME…]         real etcd, etcdctl, etcdutl and etcd's benchmark, built into a cache; see
                        `cargo xtask tools --help`
  cluster COMMAND       a real Kubernetes on this machine: up, down, status, and what goes wrong
                        with nodes; see `cargo xtask cluster --help`
  demo [OPTION…]        the whole story, from nothing to a cluster that heals itself; see
                        `cargo xtask demo --help`
  e2e [OPTION…]         what pods, nodes and people do to a cluster, on that Kubernetes; see
                        `cargo xtask e2e --help`
  image [NAME…]         images of the server and the operator; see `cargo xtask image --help`
  bench [OPTION…]       etcd and Holdfast side by side; see `cargo xtask bench --help`
  help                  this text
";

fn main() -> ExitCode {
    match dispatch(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: Vec<String>) -> Result<ExitCode> {
    let mut words = words.into_iter();
    let subcommand = words.next().unwrap_or_else(|| "help".to_owned());
    let args = Args::new(words.collect());
    match subcommand.as_str() {
        "ci" => ci::run(&Workspace::find()?, args),
        "test" => ci::test(&Workspace::find()?, args),
        "tidy" => tidy::run(&Workspace::find()?, args),
        "sim" => simulator::run(&Workspace::find()?, args),
        "mutants" => mutants::run(&Workspace::find()?, args),
        "tools" => tools::run(args),
        "cluster" => cluster::run(&Workspace::find()?, args),
        "demo" => demo::run(&Workspace::find()?, args),
        "e2e" => e2e::run(&Workspace::find()?, args),
        "image" => image::run(&Workspace::find()?, args),
        "bench" => bench::run(&Workspace::find()?, args),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => bail!(
            "unknown command `{unknown}`; known are ci, test, tidy, sim, mutants, tools, \
             cluster, demo, e2e, image, bench, help (`cargo xtask help` says what they do)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_command_is_refused_with_the_known_ones() {
        let error = dispatch(vec!["tidi".to_owned()]).expect_err("there is no such command");
        let text = error.to_string();
        assert!(text.contains("`tidi`"), "the text names what was typed: {text}");
        assert!(text.contains("ci, test, tidy, sim, mutants"), "and what is known: {text}");
    }
}
