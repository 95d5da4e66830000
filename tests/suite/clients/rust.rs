//! A program in Rust with the crate `etcd-client`: `suite/rust`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::programs::{self, or_skip};

use super::passes_without_any_member;
use crate::process::run;

const PROGRAM: &str = "client-in-rust";

/// Tells whether what builds the crate is there.
fn check() -> Result<()> {
    if env::var_os("PROTOC").is_some() {
        return Ok(());
    }
    programs::on_path("protoc").map(|_| ()).context("the crate etcd-client is built by it")
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
