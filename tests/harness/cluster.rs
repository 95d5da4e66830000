//! A cluster of processes.

use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::address::{CLIENT_PORT, Loopback, METRICS_PORT, PEER_PORT};
use crate::process::Process;
use crate::programs::Server;
use crate::{Client, Network, programs, wait};

/// What a server says when it serves.
pub const READY: &str = "ready to serve client requests";
/// How long a server may take until it serves.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(15);
/// How long a member may take to end when it learns that it has no place in the cluster.
const END_MAX: Duration = Duration::from_secs(60);
/// How long it may take until all members agree on a leader.
const LEADER_MAX: Duration = Duration::from_secs(30);

/// Where the data lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a disk.
    Disk,
    /// In memory, for tests that do not ask about disks.
    Memory,
}

/// How members reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wires {
    /// By loopback addresses of their own.
    Loopback,
    /// Each has a network namespace of its own.
    Namespaces,
}

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which program.
    pub server: Server,
    /// How many members there are at first.
    pub members: usize,
    /// Flags for every member, beside those that name it and its place.
    pub flags: Vec<String>,
    /// Environment variables for every member.
    pub variables: Vec<(String, String)>,
    /// Where the data lie.
    pub place: Place,
    /// How members reach each other.
    pub wires: Wires,
}

impl Options {
    /// A cluster of `members` members with default settings, on a disk and on loopback addresses.
    #[must_use]
    pub fn new(server: Server, members: usize) -> Options {
        Options {
            server,
            members,
            flags: Vec::new(),
            variables: Vec::new(),
            place: Place::Disk,
            wires: Wires::Loopback,
        }
    }

    /// Adds flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Options {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Puts the data into memory.
    #[must_use]
    pub fn in_memory(mut self) -> Options {
        self.place = Place::Memory;
        self
    }

    /// Gives each member a network namespace.
    #[must_use]
    pub fn in_namespaces(mut self) -> Options {
        self.wires = Wires::Namespaces;
        self
    }
}

/// One member of a cluster: where it is, and its process if it runs.
#[derive(Debug)]
struct Member {
    address: IpAddr,
    directory: PathBuf,
    starts: u32,
    /// What it is told about the cluster that it is to form or join.
    bootstrap: Vec<String>,
    process: Option<Process>,
}

/// A cluster of processes. Dropped, they are killed and their data deleted.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    program: PathBuf,
    members: Vec<Member>,
    loopback: Option<Loopback>,
    network: Option<Network>,
    directory: TempDir,
}

impl Cluster {
    /// Starts all members and waits until they serve.
    ///
    /// # Errors
    ///
    /// If one does not.
    pub fn start(options: Options) -> Result<Cluster> {
        let mut cluster = Self::prepare(options)?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// Makes everything ready, and starts nobody.
    ///
    /// # Errors
    ///
    /// If there is no program, or no place.
    pub fn prepare(options: Options) -> Result<Cluster> {
        let program = options.server.program()?;
        let directory = directory(options.place)?;
        let (loopback, network) = match options.wires {
            Wires::Loopback => (Some(Loopback::claim()?), None),
            Wires::Namespaces => (None, Some(Network::new(options.members)?)),
        };
        let mut cluster =
            Cluster { options, program, members: Vec::new(), loopback, network, directory };
        let all: Vec<String> = (0..cluster.options.members).map(|at| cluster.named(at)).collect();
        for _ in 0..cluster.options.members {
            cluster.add(vec![
                format!("--initial-cluster={}", all.join(",")),
                "--initial-cluster-state=new".to_owned(),
            ])?;
        }
        Ok(cluster)
    }

    /// Adds a place for one more member, which is added to a cluster of all others; does not start
    /// it. Returns its number.
    ///
    /// # Errors
    ///
    /// If its directory cannot be made.
    pub fn join(&mut self) -> Result<usize> {
        let others: Vec<usize> = (0..self.members.len()).collect();
        self.join_these(&others)
    }

    /// Adds a place for one more member, which is added to a cluster of `others`; does not start
    /// it. Returns its number.
    ///
    /// # Errors
    ///
    /// If its directory cannot be made.
    pub fn join_these(&mut self, others: &[usize]) -> Result<usize> {
        let at = self.members.len();
        let all: Vec<String> = others.iter().chain([&at]).map(|at| self.named(*at)).collect();
        self.add(vec![
            format!("--initial-cluster={}", all.join(",")),
            "--initial-cluster-state=existing".to_owned(),
        ])?;
        Ok(at)
    }

    /// Adds a place for a member that asks `peers` for admission, and waits; does not start it.
    /// Peers may be such as have no place yet. Returns its number.
    ///
    /// # Errors
    ///
    /// If its directory cannot be made.
    pub fn ask_for_admission(&mut self, peers: &[usize]) -> Result<usize> {
        let at = self.members.len();
        self.add(Vec::new())?;
        self.turn_to(at, peers);
        Ok(at)
    }

    /// From its next start on, a member asks `peers` for admission, whatever it was told at first.
    pub fn turn_to(&mut self, at: usize, peers: &[usize]) {
        let peers = peers.iter().map(|at| format!("{}:{PEER_PORT}", self.new_address(*at)));
        let flag = format!("--join={}", peers.collect::<Vec<_>>().join(","));
        self.members[at].bootstrap = vec![flag];
    }

    fn named(&self, at: usize) -> String {
        format!("m{at}=http://{}:{PEER_PORT}", self.new_address(at))
    }

    fn add(&mut self, bootstrap: Vec<String>) -> Result<()> {
        let at = self.members.len();
        let directory = self.directory.path().join(format!("m{at}"));
        fs::create_dir(&directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        let address = self.new_address(at);
        self.members.push(Member { address, directory, starts: 0, bootstrap, process: None });
        Ok(())
    }

    fn new_address(&self, at: usize) -> IpAddr {
        match (&self.loopback, &self.network) {
            (Some(loopback), _) => loopback.member(at),
            (None, Some(network)) => network.address(at),
            (None, None) => unreachable!("a cluster has one or the other"),
        }
    }

    /// Starts whoever does not run, and waits until all serve.
    ///
    /// # Errors
    ///
    /// If one does not.
    pub fn start_all(&mut self) -> Result<()> {
        for at in 0..self.members.len() {
            if self.members[at].process.is_none() {
                self.launch(at)?;
            }
        }
        (0..self.members.len()).try_for_each(|at| self.await_ready(at))
    }

    /// Starts a member and waits until it serves.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn start_member(&mut self, at: usize) -> Result<()> {
        self.launch(at)?;
        self.await_ready(at)
    }

    /// Starts a member, and does not wait.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn launch(&mut self, at: usize) -> Result<()> {
        self.launch_with(at, &[], &[])
    }

    /// Starts a member with more flags and variables than the others, and does not wait.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn launch_with(
        &mut self,
        at: usize,
        flags: &[&str],
        variables: &[(String, String)],
    ) -> Result<()> {
        let mut words: Vec<OsString> = self.words(at).into_iter().map(OsString::from).collect();
        words.extend(flags.iter().map(OsString::from));
        let program = match &self.network {
            None => self.program.clone(),
            Some(network) => {
                let namespace = network.namespace(at);
                let inside = ["netns", "exec", &namespace].map(OsString::from);
                let inside = inside.into_iter().chain([self.program.clone().into_os_string()]);
                words.splice(0..0, inside);
                programs::on_path("ip")?
            }
        };
        let variables = [&self.options.variables[..], variables].concat();
        let member = &mut self.members[at];
        member.starts += 1;
        let log = member.directory.with_extension(format!("log{}", member.starts));
        member.process = Some(Process::start(&program, &words, &variables, &log)?);
        Ok(())
    }

    fn words(&self, at: usize) -> Vec<String> {
        let member = &self.members[at];
        let (client, peer) =
            (self.client_url(at), format!("http://{}:{PEER_PORT}", member.address));
        let mut words = vec![
            format!("--name=m{at}"),
            format!("--data-dir={}", self.data(at).display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--listen-metrics-urls=http://{}:{METRICS_PORT}", member.address),
            "--initial-cluster-token=tests".to_owned(),
        ];
        words.extend(member.bootstrap.iter().cloned());
        words.extend(self.options.flags.iter().cloned());
        words
    }

    /// Waits until a member that was launched serves.
    ///
    /// # Errors
    ///
    /// If it ends, or takes too long.
    pub fn await_ready(&mut self, at: usize) -> Result<()> {
        let name = self.options.server.name();
        self.process_mut(at)?
            .wait_for(READY, START_MAX)
            .with_context(|| format!("member {at}, which is {name}, does not serve"))
    }

    /// Returns the process of a member that runs.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn process_mut(&mut self, at: usize) -> Result<&mut Process> {
        let process = self.members[at].process.as_mut();
        process.with_context(|| format!("member {at} does not run"))
    }

    /// Kills a member at once, if it runs.
    pub fn kill(&mut self, at: usize) {
        self.members[at].process = None;
    }

    /// Kills a member and loses its data.
    ///
    /// # Errors
    ///
    /// If they cannot be deleted.
    pub fn wipe(&mut self, at: usize) -> Result<()> {
        self.kill(at);
        let data = self.data(at);
        fs::remove_dir_all(&data).with_context(|| format!("{} is not lost", data.display()))
    }

    /// Waits until a member ends by itself. Returns what it said.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn await_end(&mut self, at: usize) -> Result<String> {
        let process = self.process_mut(at)?;
        let ended = wait::until("a member to end", END_MAX, || process.ended());
        ended
            .with_context(|| format!("member {at} goes on, and said:\n{}", process.last_words()))?;
        let said = process.said();
        self.members[at].process = None;
        Ok(said)
    }

    /// Asks a member to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not, or not with success.
    pub fn stop(&mut self, at: usize) -> Result<()> {
        let status = self.process_mut(at)?.terminate(STOP_MAX)?;
        // Go's runtime ends a process by the signal itself after the handlers ran.
        let by_signal = status.code().is_none();
        ensure!(status.success() || by_signal, "member {at} ended with {status}");
        self.members[at].process = None;
        Ok(())
    }

    /// Tells whether a member's process runs.
    pub fn is_running(&mut self, at: usize) -> bool {
        self.members[at].process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Returns how many members there are, running or not.
    #[must_use]
    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    /// Returns where a member listens for clients.
    #[must_use]
    pub fn client_url(&self, at: usize) -> String {
        format!("http://{}:{CLIENT_PORT}", self.members[at].address)
    }

    /// Returns where a member listens for peers.
    #[must_use]
    pub fn peer_url(&self, at: usize) -> String {
        format!("http://{}:{PEER_PORT}", self.members[at].address)
    }

    /// Returns where all members listen for clients.
    #[must_use]
    pub fn client_urls(&self) -> Vec<String> {
        (0..self.members.len()).map(|at| self.client_url(at)).collect()
    }

    /// Returns a member's data directory.
    #[must_use]
    pub fn data(&self, at: usize) -> PathBuf {
        self.members[at].directory.join("data")
    }

    /// Returns a directory for whatever the test wants to keep as long as the cluster.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the network of namespaces.
    ///
    /// # Errors
    ///
    /// If the cluster has none.
    pub fn network(&self) -> Result<&Network> {
        self.network.as_ref().context("the cluster was made without network namespaces")
    }

    /// Returns a client of a member.
    ///
    /// # Errors
    ///
    /// If its address is no URL.
    pub fn client(&self, at: usize) -> Result<Client> {
        Client::new(&self.client_url(at))
    }

    /// Waits until all members of `among` agree on a leader that is one of them. Returns its
    /// number.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn leader_among(&self, among: &[usize]) -> Result<usize> {
        let clients: Vec<(usize, Client)> =
            among.iter().map(|at| Ok((*at, self.client(*at)?))).collect::<Result<_>>()?;
        wait::until_async("a leader on which members agree", LEADER_MAX, async || {
            agreed_leader(&clients).await
        })
        .await
    }

    /// Waits until all members agree on a leader. Returns its number.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn leader(&self) -> Result<usize> {
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.leader_among(&all).await
    }
}

async fn agreed_leader(clients: &[(usize, Client)]) -> Option<usize> {
    let mut leaders = Vec::new();
    let mut identities = Vec::new();
    for (at, client) in clients {
        let asked = tokio::time::timeout(Duration::from_secs(1), client.status()).await;
        let status = asked.ok()?.ok()?;
        identities.push((*at, status.header.as_ref()?.member_id));
        leaders.push(status.leader);
    }
    let first = *leaders.first()?;
    if leaders.iter().any(|leader| *leader != first) {
        return None;
    }
    identities.iter().find(|(_, identity)| *identity == first).map(|(at, _)| *at)
}

fn directory(place: Place) -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let made = match place {
        Place::Memory if memory.is_dir() => TempDir::with_prefix_in("holdfast-", memory),
        Place::Memory | Place::Disk => TempDir::with_prefix("holdfast-"),
    };
    made.context("a directory for the cluster cannot be made")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (at, member) in self.members.iter().enumerate() {
                let words = member.process.as_ref().map(Process::last_words);
                let words = words.unwrap_or_else(|| "does not run".to_owned());
                eprintln!("=== {} m{at}:\n{words}", self.options.server.name());
            }
        }
        for member in &mut self.members {
            member.process = None;
        }
    }
}
