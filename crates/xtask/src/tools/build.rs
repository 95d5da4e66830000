//! Building one program with Go.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::tools::set::{Replaces, Set, Tool, replaced_by_directories};

/// How often those who wait are told for how long.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How the directory is called in which a run builds, before its number.
const BUILDING: &str = "building-";
/// How many lines of Go's output an error repeats.
const LINES_OF_LOG: usize = 15;

/// Builds `tool` so that it appears, complete, as `program`.
pub(super) fn build(set: &Set, tool: &Tool, program: &Path) -> Result<()> {
    check_go()?;
    let directory = program.parent().context("a program lies in a directory")?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let _lock = lock(directory)?;
    if program.is_file() {
        // It was built while we waited for the lock.
        return Ok(());
    }
    remove_unfinished(directory)?;
    // The name is ours alone: what Go still writes for a run that was killed goes nowhere.
    let building = directory.join(format!("{BUILDING}{}", std::process::id()));
    fs::create_dir_all(&building)
        .with_context(|| format!("cannot make the directory {}", building.display()))?;

    let began = Instant::now();
    eprintln!(
        "tools: building {} {} into {} (the first time about {} s on two cores)",
        tool.name,
        set.version,
        directory.display(),
        tool.build_seconds
    );
    write_module(set, &building)?;
    let go = |words: &[&str]| run_go(&building, words, tool.name, began);
    go(&["mod", "tidy"])?;
    let flags = format!("-s -w {}", set.linker_flags);
    let output = ["-o", tool.name];
    go(&[&["build", "-trimpath", "-ldflags", &flags], &output[..], &[tool.package]].concat())?;
    fs::rename(building.join(tool.name), program)
        .with_context(|| format!("cannot move the program to {}", program.display()))?;
    fs::remove_dir_all(&building)
        .with_context(|| format!("cannot remove {}", building.display()))?;
    eprintln!("tools: {} is built, in {} s", tool.name, began.elapsed().as_secs());
    Ok(())
}

/// Removes what runs that were killed have left.
fn remove_unfinished(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        if entry.file_name().to_string_lossy().starts_with(BUILDING) {
            let path = entry.path();
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes sure that Go is there.
fn check_go() -> Result<()> {
    match Command::new("go").arg("version").stdout(Stdio::null()).status() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no `go` on PATH, and these programs are built from Go modules; install Go \
             1.26 or later (https://go.dev/dl, or your distribution's golang package), or name \
             programs that you have by ETCD_BIN, ETCDCTL_BIN and ETCD_BENCHMARK"
        ),
        Err(error) => Err(error).context("cannot run `go version`"),
    }
}

/// Waits until no other run builds in `directory`.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("tools: waiting for another run that builds in {}", directory.display());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Writes the `go.mod` of the set, and its own source if it has one, into `building`.
fn write_module(set: &Set, building: &Path) -> Result<()> {
    let replaced = match set.replaces {
        Replaces::None => Vec::new(),
        Replaces::Staging => {
            let text = published_go_mod(set.modules[0], set.version)?;
            let replaced = replaced_by_directories(&text);
            ensure!(!replaced.is_empty(), "the go.mod of {} replaces nothing", set.modules[0]);
            replaced
        }
    };
    let path = building.join("go.mod");
    fs::write(&path, set.go_mod(&replaced))
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(source) = set.source {
        let path = building.join("main.go");
        fs::write(&path, source).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The `go.mod` that `module` was published with.
fn published_go_mod(module: &str, version: &str) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Downloaded {
        go_mod: String,
    }
    let wanted = format!("{module}@v{version}");
    let output = Command::new("go")
        .args(["mod", "download", "-json", &wanted])
        .output()
        .context("cannot run `go mod download`")?;
    ensure!(
        output.status.success(),
        "cannot download {wanted}: {}",
        String::from_utf8_lossy(&output.stdout).trim()
    );
    let downloaded: Downloaded = serde_json::from_slice(&output.stdout)
        .context("cannot read the answer of `go mod download -json`")?;
    fs::read_to_string(&downloaded.go_mod)
        .with_context(|| format!("cannot read {}", downloaded.go_mod))
}

/// Runs Go in `building`, and says from time to time that it still does.
fn run_go(building: &Path, words: &[&str], name: &str, began: Instant) -> Result<()> {
    let log = building.join("log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let stdout = file.try_clone().context("cannot open the log twice")?;
    let mut go = Command::new("go")
        .args(words)
        .current_dir(building)
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(file)
        .spawn()
        .context("cannot run `go`")?;
    let mut told = Instant::now();
    let status: ExitStatus = loop {
        if let Some(status) = go.try_wait().context("cannot wait for `go`")? {
            break status;
        }
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            eprintln!("tools: still building {name}, {} s so far", began.elapsed().as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(LINES_OF_LOG)..];
    bail!("`go {}` failed with {status}; its last words:\n{}", words.join(" "), end.join("\n"))
}
