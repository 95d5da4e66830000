//! `cargo xtask sim`: the simulator, built with the profile that is made for it.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Args;
use crate::command::{CommandLine, exit_code};
use crate::workspace::Workspace;

/// The command line of the simulator, to which its own arguments are to be added.
pub(crate) fn command_line() -> CommandLine {
    CommandLine::new(["cargo", "run", "--quiet", "--profile", "sim", "--package", "sim", "--"])
}

/// Runs the simulator with all arguments given, and exits as it does.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    if !workspace.target.join("sim").join("sim").exists() {
        eprintln!("building the simulator, which takes a minute the first time");
    }
    Ok(exit_code(command_line().with(args.into_words()).status(&std::env::current_dir()?)?))
}
