//! A program in Rust with the crate `etcd-client`: `suite/rust`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::programs::{self, or_skip};

use super::passes_without_any_member;
use crate::process::run;

const PROGRAM: &str = "client-in-rust";

/// Tells whether what builds the crate is there: a program, and the definitions that come with it.
fn check() -> Result<()> {
    let program = match env::var_os("PROTOC") {
        Some(path) => PathBuf::from(path),
        None => programs::on_path("protoc").context("the crate etcd-client is built by protoc")?,
    };
    let beside = program.parent().map(|directory| directory.join("../include"));
    let include = env::var_os("PROTOC_INCLUDE").map(PathBuf::from).or(beside);
    let definition = include.unwrap_or_default().join("google/protobuf/descriptor.proto");
    ensure!(
        definition.is_file(),
        "{} is missing, by which protoc builds the crate etcd-client; install the packages \
         protobuf-compiler and libprotobuf-dev",
        definition.display()
    );
    Ok(())
}

fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tests", "--features", "etcd-client"])
        .args(["--bin", PROGRAM])
        .current_dir(programs::workspace())
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "cargo build --bin {PROGRAM} ended with {status}");
    Ok(programs::target().join("debug").join(PROGRAM))
}

#[test]
fn program_in_rust_goes_on_when_a_member_is_killed() {
    let name = "program_in_rust_goes_on_when_a_member_is_killed";
    let Some(()) = or_skip(name, check()) else { return };
    run(async { passes_without_any_member(&build()?).await });
}
