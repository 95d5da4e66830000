//! A program in Go with etcd's own client: `suite/go`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tests::programs::{self, or_skip};

use super::passes_without_any_member;
use crate::process::run;

/// Where the program's text is.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/go")
}

fn go(program: &Path, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(program);
    // It is to be compiled as it is written down, by the compiler that is there.
    command.args(words).current_dir(source()).env("GOFLAGS", "-mod=readonly");
    let output = command.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").output();
    output.with_context(|| format!("{} cannot be started", program.display()))
}

/// Returns Go's compiler if it and all modules are there.
fn compiler() -> Result<PathBuf> {
    let program = programs::on_path("go")?;
    let output = go(&program, &["mod", "download"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the modules of {} cannot be had: {said}", source().display());
    Ok(program)
}

fn build(compiler: &Path) -> Result<PathBuf> {
    let directory = programs::target().join("clients");
    fs::create_dir_all(&directory).context("the directory of clients cannot be made")?;
    let program = directory.join("go");
    let to = program.to_str().context("paths are text")?;
    let output = go(compiler, &["build", "-o", to, "."])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} does not build: {said}", source().display());
    Ok(program)
}

#[test]
fn program_in_go_goes_on_when_a_member_is_killed() {
    let name = "program_in_go_goes_on_when_a_member_is_killed";
    let Some(compiler) = or_skip(name, compiler()) else { return };
    run(async { passes_without_any_member(&build(&compiler)?).await });
}
