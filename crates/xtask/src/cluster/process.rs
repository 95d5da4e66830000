//! Processes that outlive the command that starts them, and are found again by the next.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::layout::{Node, State};

/// How long a process may take to end after it was told to.
const END_LIMIT: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How many lines of a log an error repeats.
const LINES_OF_LOG: usize = 8;

/// A program to start, on the host or in a node.
pub(super) struct Program<'a> {
    /// What it is recorded under.
    pub(super) name: String,
    pub(super) path: &'a Path,
    pub(super) arguments: Vec<String>,
    /// The node whose network it has; `None` for the host's.
    pub(super) node: Option<Node>,
}

/// Starts a program and records it.
pub(super) fn start(state: &State, program: &Program<'_>) -> Result<()> {
    let (logs, pids) = (state.path("logs"), state.path("pids"));
    for directory in [&logs, &pids] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let log = logs.join(format!("{}.log", program.name));
    let output = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = match program.node {
        // `ip netns exec` would hide the control groups behind a fresh /sys.
        Some(node) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", node.namespace_file().display())).arg(program.path);
            command
        }
        None => Command::new(program.path),
    };
    let errors = output.try_clone().context("cannot open the log twice")?;
    let child = command
        .args(&program.arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // What is typed into the terminal is not meant for it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.path.display()))?;
    let pid = child.id();
    let began = start_time(pid).with_context(|| format!("{} ended at once", program.name))?;
    fs::write(pids.join(&program.name), format!("{pid} {began}\n"))
        .with_context(|| format!("cannot record the process {pid} of {}", program.name))
}

/// The names of all that were started and not stopped.
pub(super) fn recorded(state: &State) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.path("pids")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// Tells whether the process recorded under `name` runs.
pub(super) fn is_running(state: &State, name: &str) -> bool {
    pid_of(state, name).is_some()
}

/// Fails, with the end of its log, if the process recorded under `name` has ended.
pub(super) fn ensure_running(state: &State, name: &str) -> Result<()> {
    if is_running(state, name) {
        return Ok(());
    }
    let log = state.path("logs").join(format!("{name}.log"));
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(LINES_OF_LOG)..];
    bail!("{name} has ended; the last lines of {}:\n{}", log.display(), end.join("\n"))
}

/// Ends the processes recorded under `names`, by force after a while, and forgets them.
pub(super) fn stop(state: &State, names: &[String], how: Stop) -> Result<()> {
    let running: Vec<(String, u32)> =
        names.iter().filter_map(|name| Some((name.clone(), pid_of(state, name)?))).collect();
    let all: Vec<u32> = running.iter().map(|(_, pid)| *pid).collect();
    if how == Stop::Gently {
        signal(&all, "TERM");
        wait_until_ended(&all, END_LIMIT);
    }
    let left: Vec<u32> = running
        .iter()
        .filter(|(name, pid)| pid_of(state, name) == Some(*pid))
        .map(|(_, pid)| *pid)
        .collect();
    signal(&left, "KILL");
    let ended = wait_until_ended(&left, END_LIMIT);
    ensure!(ended, "a process does not end although it was killed; it is one of {left:?}");
    for name in names {
        let _ = fs::remove_file(state.path("pids").join(name));
    }
    Ok(())
}

/// How a process is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is asked first.
    Gently,
    /// As if the power failed.
    AtOnce,
}

/// Kills all processes of a control group and those below it, and those that keep its containers,
/// whose command line names the socket of its containerd.
pub(super) fn kill_containers(state: &State, node: Node) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut pids = Vec::new();
        for group in control_groups(node) {
            collect_processes(&group, &mut pids);
        }
        pids.extend(keepers(&node.socket(state)));
        pids.sort_unstable();
        pids.dedup();
        if pids.is_empty() {
            return Ok(());
        }
        ensure!(
            began.elapsed() < END_LIMIT * 3,
            "containers of {} do not end although they were killed: {pids:?}",
            node.name()
        );
        signal(&pids, "KILL");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Where the control group of a node is: one place in each hierarchy, or one in the unified.
pub(super) fn control_groups(node: Node) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|root| root.join(node.control_group())).collect()
}

/// Makes the control group of a node.
pub(super) fn make_control_groups(node: Node) -> Result<()> {
    for group in control_groups(node) {
        fs::create_dir_all(&group)
            .with_context(|| format!("cannot make the control group {}", group.display()))?;
    }
    Ok(())
}

/// Removes the control group of a node, whose processes have ended.
pub(super) fn remove_control_groups(node: Node) {
    for group in control_groups(node) {
        remove_group(&group);
    }
}

/// Control groups are removed from the innermost: they hold no files that could be removed.
fn remove_group(group: &Path) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_group(&entry.path());
            }
        }
        let _ = fs::remove_dir(group);
    }
}

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").is_file() {
        return vec![root.to_owned()];
    }
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").is_file() && !path.is_symlink())
        .collect()
}

fn collect_processes(group: &Path, pids: &mut Vec<u32>) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect_processes(&entry.path(), pids);
            }
        }
    }
}

/// The containerd-shims of the containerd at `socket`.
fn keepers(socket: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            let is_keeper = words[0].windows(15).any(|part| part == b"containerd-shim");
            (is_keeper && words.contains(&socket.as_bytes())).then_some(pid)
        })
        .collect()
}

/// The number of the process recorded under `name`, if it still runs: a number is given to another
/// process later, which has started later.
fn pid_of(state: &State, name: &str) -> Option<u32> {
    let text = fs::read_to_string(state.path("pids").join(name)).ok()?;
    let (pid, began) = text.trim().split_once(' ')?;
    let pid: u32 = pid.parse().ok()?;
    (start_time(pid)? == began).then_some(pid)
}

/// When a process has started, in the kernel's count; `None` if it has ended.
fn start_time(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let is_over = fields.first().is_some_and(|state| *state == "Z" || *state == "X");
    (!is_over).then(|| fields.get(19).map(|time| (*time).to_owned())).flatten()
}

fn signal(pids: &[u32], signal: &str) {
    if pids.is_empty() {
        return;
    }
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).args(pids.iter().map(u32::to_string));
    // One that has ended meanwhile is what was wanted.
    let _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Waits, and tells whether all have ended.
fn wait_until_ended(pids: &[u32], limit: Duration) -> bool {
    let began = Instant::now();
    while pids.iter().any(|pid| start_time(*pid).is_some()) {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    true
}
