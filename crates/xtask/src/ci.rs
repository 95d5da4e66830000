//! `cargo xtask ci`: the one gate, the same for people and machines. And `cargo xtask test`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::args::Args;
use crate::command::{CommandLine, exit_code};
use crate::simulator;
use crate::workspace::Workspace;

/// One step of the gate: a name, and a command that exits with 0 if the step is passed.
struct Step {
    name: &'static str,
    command: CommandLine,
}

/// Runs all tests, passing on what is given.
pub(crate) fn test(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let command = CommandLine::new(["cargo", "test", "--workspace"]).with(args.into_words());
    Ok(exit_code(command.status(&workspace.root)?))
}

/// Runs every step, in order, until one fails.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    args.finish()?;
    let steps = steps();
    let began = Instant::now();
    for (at, Step { name, command }) in steps.iter().enumerate() {
        println!("ci: [{}/{}] {name}: {command}", at + 1, steps.len());
        let step_began = Instant::now();
        let status = command.status(&workspace.root)?;
        let took = duration(step_began.elapsed());
        if !status.success() {
            println!("ci: {name} failed after {took}, with {status}; to run it alone: {command}");
            return Ok(ExitCode::FAILURE);
        }
        println!("ci: [{}/{}] {name} passed in {took}", at + 1, steps.len());
    }
    println!("ci: all {} steps passed in {}", steps.len(), duration(began.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// What must hold, the quickest to check first.
fn steps() -> Vec<Step> {
    let cargo = |words: &[&str]| CommandLine::new(["cargo"]).with(words.iter().copied());
    vec![
        Step { name: "format", command: cargo(&["fmt", "--check"]) },
        Step { name: "tidy", command: cargo(&["xtask", "tidy"]) },
        Step {
            name: "clippy",
            command: cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        },
        Step {
            name: "documentation",
            command: cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"])
                .with_variable("RUSTDOCFLAGS", "-D warnings"),
        },
        Step { name: "tests", command: cargo(&["xtask", "test"]) },
        Step { name: "simulation", command: simulator::command_line().with(["smoke"]) },
        Step { name: "planted bugs", command: cargo(&["xtask", "mutants", "--check"]) },
        Step {
            name: "planted bugs of the planner",
            command: cargo(&["xtask", "mutants", "--planner"]),
        },
        // It wants root and programs that are built from Go; without them it says so and is
        // skipped, as are the tests that want them.
        Step { name: "Kubernetes", command: cargo(&["xtask", "e2e", "--quick", "--if-possible"]) },
    ]
}

/// Minutes and seconds, as one says them.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_minutes_and_seconds() {
        assert_eq!(duration(Duration::from_millis(2340)), "2.3 s");
        assert_eq!(duration(Duration::from_secs(59)), "59.0 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn steps_have_different_names_and_show_what_they_run() {
        let steps = steps();
        let mut names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), steps.len(), "a name says which step failed");
        let documentation = steps.iter().find(|step| step.name == "documentation");
        assert!(
            documentation.is_some_and(|step| step.command.to_string().starts_with("RUSTDOCFLAGS=")),
            "a command that is copied works as it did here"
        );
    }
}
