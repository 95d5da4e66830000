//! One process: started, killed, paused, and its words.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// How many lines of a log are shown when a test fails.
const LINES_SHOWN: usize = 30;

/// A process that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program. What it says goes to the file `log`, which is made anew.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or the log not be made.
    pub fn start(
        program: &Path,
        args: &[OsString],
        variables: &[(String, String)],
        log: &Path,
    ) -> Result<Process> {
        let file =
            File::create(log).with_context(|| format!("{} cannot be made", log.display()))?;
        let child = Command::new(program)
            .args(args)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("the log's file cannot be shared")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Process { child, log: log.to_path_buf() })
    }

    /// Returns what it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Returns the last lines of what it has said.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// Waits until it has said `text`.
    ///
    /// # Errors
    ///
    /// If it ends before, or says it not within `limit`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let ended = wait::until(format!("`{text}`"), limit, || {
            if self.said().contains(text) {
                return Some(None);
            }
            self.ended().map(Some)
        });
        match ended {
            Ok(None) => Ok(()),
            // Its last words may have come since they were looked at.
            Ok(Some(_)) if self.said().contains(text) => Ok(()),
            Ok(Some(status)) => {
                anyhow::bail!("it ended with {status} and said:\n{}", self.last_words())
            }
            Err(error) => Err(error.context(format!("it said:\n{}", self.last_words()))),
        }
    }

    /// Returns how it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it at once (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        wait::until("the process to end", limit, || self.ended())
    }

    /// Stops it in its tracks (SIGSTOP).
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process number is small")?;
        let pid = Pid::from_raw(id).context("a process number is positive")?;
        kill_process(pid, signal).with_context(|| format!("process {id} cannot be told {signal:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
