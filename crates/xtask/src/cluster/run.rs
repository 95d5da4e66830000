//! Running a program to its end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::layout::State;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Runs a command that must succeed, and returns what it prints.
pub(crate) fn must(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("a command line names a program")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    checked(&words.join(" "), output)
}

/// Runs a command whose failure means that there was nothing to do.
pub(super) fn may(words: &[&str]) {
    let _ = must(words);
}

/// kubectl with the configuration of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    program: std::path::PathBuf,
    arguments: Vec<String>,
}

impl Kubectl {
    /// For the local cluster.
    pub(crate) fn of(program: &Path, state: &State) -> Kubectl {
        let config = state.kubeconfig().display().to_string();
        let cache = state.path("kubectl-cache").display().to_string();
        Kubectl {
            program: program.to_owned(),
            arguments: vec!["--kubeconfig".into(), config, "--cache-dir".into(), cache],
        }
    }

    /// For a context of the user's own configuration.
    pub(crate) fn with_context(program: &Path, context: &str) -> Kubectl {
        Kubectl {
            program: program.to_owned(),
            arguments: vec!["--context".into(), context.to_owned()],
        }
    }

    /// It with its options, for whoever adds words of their own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }

    /// Runs it, which must succeed, and returns what it prints.
    pub(crate) fn must(&self, arguments: &[&str]) -> Result<String> {
        self.must_with_input(arguments, "")
    }

    /// Runs it with `input`, which must succeed, and returns what it prints.
    pub(crate) fn must_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let shown = format!("kubectl {}", arguments.join(" "));
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing may have ended already.
            let _ = stdin.write_all(input.as_bytes());
        }
        checked(&shown, child.wait_with_output().context("cannot wait for kubectl")?)
    }

    /// Creates or changes the objects of a text.
    pub(crate) fn apply(&self, text: &str) -> Result<()> {
        self.must_with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], text)
            .map(drop)
    }
}

fn checked(shown: &str, output: Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "`{shown}` failed with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not print UTF-8"))
}

/// Asks until the answer is there, and returns it.
///
/// # Errors
///
/// If asking fails, or there is no answer after `limit`.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().with_context(|| format!("waiting for {what}"))? {
            return Ok(answer);
        }
        if began.elapsed() > limit {
            bail!("{what} was waited for {} s, without success", limit.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Says what is done, and afterwards how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    eprintln!("{what} …");
    let result = work().with_context(|| format!("{what}: failed"))?;
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(result)
}
