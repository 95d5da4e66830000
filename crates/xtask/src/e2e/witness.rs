//! The client that writes and reads while things happen to the cluster.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cluster::layout::{HOST_ADDRESS, State};

/// A witness that runs. Dropped, it is killed.
pub(super) struct Witness {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// What it saw since it was asked last.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Seen {
    /// Writes that were acknowledged.
    pub(super) writes: u64,
    /// Requests that failed, or were not answered in half a second.
    pub(super) failed: u64,
    /// The longest time between two writes that were acknowledged.
    pub(super) longest_gap_ms: u64,
    pub(super) reads: u64,
    /// Writes that were acknowledged and not there when they were looked for.
    pub(super) lost: u64,
    /// Answers that contradict the order in which everything else happened.
    pub(super) disordered: u64,
}

impl Witness {
    /// Starts it with the members at `urls`, whose names the cluster resolves, and with the
    /// certificates in a directory, if they are needed.
    pub(super) fn start(
        program: &Path,
        state: &State,
        urls: &[String],
        certificates: Option<&Path>,
    ) -> Result<Witness> {
        // Only it sees names as a pod does: the file lies over the host's in a mount namespace.
        let names = state.path("resolv.conf");
        std::fs::write(&names, format!("nameserver {HOST_ADDRESS}\noptions timeout:1\n"))
            .with_context(|| format!("cannot write {}", names.display()))?;
        let script = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&names)
            .arg(program)
            .args(
                certificates.iter().flat_map(|path| [OsStr::new("--certificates"), path.as_ref()]),
            )
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the witness")?;
        let stdin = child.stdin.take().context("its input was asked for")?;
        let stdout = BufReader::new(child.stdout.take().context("its output was asked for")?);
        Ok(Witness { child, stdin, stdout })
    }

    /// What it saw since the last mark.
    pub(super) fn mark(&mut self, name: &str) -> Result<Seen> {
        self.ask(&format!("mark {name}"))
    }

    /// Has it look for every write that was acknowledged.
    pub(super) fn end(mut self) -> Result<Seen> {
        self.ask("end")
    }

    fn ask(&mut self, command: &str) -> Result<Seen> {
        writeln!(self.stdin, "{command}").context("the witness has ended")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("cannot read from the witness")?;
        ensure!(!line.is_empty(), "the witness has ended without an answer");
        serde_json::from_str(&line).with_context(|| format!("the witness answered {line}"))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
