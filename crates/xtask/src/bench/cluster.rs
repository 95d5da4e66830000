//! A cluster of processes on this machine, etcd's or ours: both take the same flags.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::side::Side;

/// The same for both sides; everything else is the default. The quota has to hold what a comparison
/// writes, and logs are not what is compared.
pub(super) const FLAGS: &[&str] = &["--quota-backend-bytes=8589934592", "--log-level=error"];

const START_TIME_MAX: Duration = Duration::from_secs(60);
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const HTTP_TIMEOUT: Duration = Duration::from_secs(1);
/// How many lines of a member's log an error repeats.
const LINES_OF_LOG: usize = 5;

/// Which cores may be used by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// All by all.
    None,
    /// Servers have the first core, the load the second.
    Apart,
}

impl Pin {
    /// A command that runs a server.
    fn server(self, program: &Path) -> Command {
        self.command(program, "0")
    }

    /// A command that runs a client.
    pub(super) fn client(self, program: &Path) -> Command {
        self.command(program, "1")
    }

    fn command(self, program: &Path, core: &str) -> Command {
        match self {
            Pin::None => Command::new(program),
            Pin::Apart => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", core]).arg(program);
                command
            }
        }
    }
}

/// Members that run until this value is dropped, with their data.
pub(super) struct Cluster<'a> {
    side: &'a Side,
    pin: Pin,
    directory: PathBuf,
    flags: Vec<String>,
    members: Vec<Member>,
}

struct Member {
    name: String,
    client: SocketAddr,
    peer: SocketAddr,
    process: Option<Child>,
}

impl<'a> Cluster<'a> {
    /// Starts `members_len` members with empty data below `directory`, and waits until all are
    /// healthy.
    pub(super) fn start(
        side: &'a Side,
        pin: Pin,
        directory: &Path,
        members_len: usize,
        port: u16,
    ) -> Result<Cluster<'a>> {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("cannot empty {}", directory.display()))?;
        }
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let mut ports = free_ports(port, 2 * members_len)?.into_iter();
        let mut next = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports.next().expect("counted")));
        let members = (1..=members_len)
            .map(|number| Member {
                name: format!("m{number}"),
                client: next(),
                peer: next(),
                process: None,
            })
            .collect();
        let mut cluster = Cluster {
            side,
            pin,
            directory: directory.to_owned(),
            flags: FLAGS.iter().map(|flag| (*flag).to_owned()).collect(),
            members,
        };
        for at in 0..members_len {
            cluster.spawn(at)?;
        }
        cluster.wait_healthy()?;
        Ok(cluster)
    }

    /// Starts the process of a member, and waits for nothing.
    fn spawn(&mut self, at: usize) -> Result<()> {
        let initial: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{}=http://{}", member.name, member.peer))
            .collect();
        let member = &self.members[at];
        let log = self.directory.join(format!("{}.log", member.name));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let stdout = file.try_clone().context("cannot open the log twice")?;
        let data = self.directory.join(&member.name);
        let process = self
            .pin
            .server(&self.side.program)
            .arg(format!("--name={}", member.name))
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--listen-client-urls=http://{}", member.client))
            .arg(format!("--advertise-client-urls=http://{}", member.client))
            .arg(format!("--listen-peer-urls=http://{}", member.peer))
            .arg(format!("--initial-advertise-peer-urls=http://{}", member.peer))
            .arg(format!("--initial-cluster={}", initial.join(",")))
            .arg("--initial-cluster-state=new")
            .arg("--initial-cluster-token=bench")
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {}", self.side.program.display()))?;
        self.members[at].process = Some(process);
        Ok(())
    }

    /// Starts a member that was stopped or killed, and waits until it is healthy. Returns how long
    /// that took.
    pub(super) fn restart(&mut self, at: usize) -> Result<Duration> {
        assert!(self.members[at].process.is_none(), "member {at} runs already");
        let began = Instant::now();
        self.spawn(at)?;
        self.wait_healthy()?;
        Ok(began.elapsed())
    }

    /// Waits until all members say that they are healthy.
    fn wait_healthy(&mut self) -> Result<()> {
        let began = Instant::now();
        for at in 0..self.members.len() {
            while !is_healthy(self.members[at].client) {
                let member = &mut self.members[at];
                let process = member.process.as_mut().context("a member was not started")?;
                let ended = process.try_wait().context("cannot wait for a member")?;
                if let Some(status) = ended {
                    member.process = None;
                    bail!("{} ended with {status}: {}", self.name(at), self.end_of_log(at));
                }
                ensure!(
                    began.elapsed() < START_TIME_MAX,
                    "{} was not healthy after {} s: {}",
                    self.name(at),
                    START_TIME_MAX.as_secs(),
                    self.end_of_log(at)
                );
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        Ok(())
    }

    /// Asks a member to stop, and waits until it has.
    pub(super) fn stop(&mut self, at: usize) -> Result<()> {
        let name = self.name(at);
        let process = self.members[at].process.as_mut().context("a member was not started")?;
        let status = Command::new("kill")
            .args(["-TERM", &process.id().to_string()])
            .status()
            .context("cannot run `kill`")?;
        ensure!(status.success(), "`kill` failed with {status}");
        let began = Instant::now();
        while process.try_wait().context("cannot wait for a member")?.is_none() {
            ensure!(
                began.elapsed() < STOP_TIME_MAX,
                "{name} did not stop within {} s",
                STOP_TIME_MAX.as_secs()
            );
            std::thread::sleep(POLL_INTERVAL);
        }
        self.members[at].process = None;
        Ok(())
    }

    /// Kills a member with SIGKILL, if it still runs.
    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        if let Some(mut process) = self.members[at].process.take() {
            process.kill().context("cannot kill a member")?;
            process.wait().context("cannot wait for a member")?;
        }
        Ok(())
    }

    /// Where each member serves clients, in the order of the members.
    pub(super) fn clients(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.client).collect()
    }

    /// The process of each member that runs.
    pub(super) fn processes(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| Some(member.process.as_ref()?.id())).collect()
    }

    /// The process of a member that runs.
    pub(super) fn process(&self, at: usize) -> Result<u32> {
        Ok(self.members[at].process.as_ref().context("the member does not run")?.id())
    }

    /// The directory in which all members have their data.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn name(&self, at: usize) -> String {
        format!("member {} of {}", self.members[at].name, self.side.label)
    }

    fn end_of_log(&self, at: usize) -> String {
        let log = self.directory.join(format!("{}.log", self.members[at].name));
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_OF_LOG)..].join("\n")
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                // It may have ended by itself; then there is nothing left to do.
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        // The next cluster empties the directory before it begins.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Finds ports that nobody listens on, from `first` on.
fn free_ports(first: u16, wanted: usize) -> Result<Vec<u16>> {
    let ports: Vec<u16> = (first..first.saturating_add(500))
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .take(wanted)
        .collect();
    ensure!(
        ports.len() == wanted,
        "{wanted} free ports are needed from {first} on, and there are {}; give another --port",
        ports.len()
    );
    Ok(ports)
}

/// Tells whether a member answers that it is healthy.
fn is_healthy(client: SocketAddr) -> bool {
    http_get(client, "/health")
        .is_ok_and(|answer| answer.replace(' ', "").contains("\"health\":\"true\""))
}

/// Gets a page, with its head.
fn http_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, HTTP_TIMEOUT)?;
    socket.set_read_timeout(Some(HTTP_TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_that_is_taken_is_not_given() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(!free_ports(port, 1).unwrap().contains(&port), "somebody listens there");
    }

    #[test]
    fn member_is_healthy_when_it_says_so() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for body in [r#"{"health":"false"}"#, r#"{"health": "true", "reason": ""}"#] {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                assert!(socket.read(&mut request).unwrap() > 0, "it asks");
                write!(socket, "HTTP/1.1 200 OK\r\n\r\n{body}").unwrap();
            }
        });
        assert!(!is_healthy(address), "it says that it is not");
        assert!(is_healthy(address), "it says that it is");
        server.join().unwrap();
    }
}
