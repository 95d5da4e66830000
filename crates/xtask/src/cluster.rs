//! `cargo xtask cluster`: a real Kubernetes on this machine, without Docker and without a registry.
//!
//! ```text
//!  host   store, kube-apiserver, controller-manager, scheduler, CoreDNS       10.123.0.1
//!           │ bridge holdfast0
//!           ├─ node-1, a network namespace: containerd, kubelet, kube-proxy   10.123.0.11
//!           ├─ node-2                                                         10.123.0.12
//!           └─ node-3        pods of each node in their part of 10.124.0.0/16
//! ```
//!
//! Pods need no overlay: each node and the host have routes to the others' part. A node is lost by
//! killing everything on it and pulling its cable, and is cut by pulling the cable alone. Volumes
//! are directories that only pods on their node can have: a lost node takes its data with it.

mod certificates;
mod files;
pub(crate) mod layout;
mod network;
mod node;
pub(crate) mod plane;
mod process;
pub(crate) mod programs;
pub(crate) mod run;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::cluster::layout::{Node, State};
use crate::cluster::plane::Store;
use crate::cluster::process::Stop;
use crate::cluster::programs::Programs;
use crate::cluster::run::{Kubectl, step, wait_for};
use crate::image;
use crate::tools;
use crate::workspace::Workspace;

const HELP: &str = "\
usage: cargo xtask cluster COMMAND [OPTION…]

A real Kubernetes on this machine, as root, without Docker: nodes are network namespaces.

  up                  start it, and print how to reach it
      --nodes N         how many nodes (3)
      --store STORE     what keeps Kubernetes' own state: etcd (the default), or holdfast, which is
                        three members of ours
      --install         install what Debian packages are missing
  down                stop it, and remove every trace of it
  status              what runs
  load ARCHIVE…       give images, as OCI archives, to all nodes
  lose NODE           kill everything on a node and pull its cable; its disk stays
      --disk            its local volumes are lost too
  return NODE         the node starts again
  cut NODE            pull its cable; everything on it runs on
  mend NODE           plug the cable in again
  sweep               make local volumes that nobody claims any more usable again

  --state DIRECTORY   where its files are (CACHE/cluster)
";
/// How long nodes may take to be ready.
const NODES_LIMIT: Duration = Duration::from_secs(90);
const DESCRIPTION: &str = "cluster.json";
/// Where containerd, the CNI plugins and the kubelet write whatever they are told.
const FOREIGN: [&str; 4] =
    ["/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"];

/// Does what is asked for.
pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let state = state(args.take_text("--state")?)?;
    let nodes = args.take_number("--nodes")?;
    let store = args.take_text("--store")?;
    let install = args.take_switch("--install");
    let disk = args.take_switch("--disk");
    let names = args.into_names()?;
    let (command, names) = match names.split_first() {
        Some((command, names)) => (command.as_str(), names),
        None => bail!("what is to be done? `cargo xtask cluster --help` says what there is"),
    };
    let one = || match names {
        [name] => Ok(name.as_str()),
        _ => bail!("`cluster {command}` wants the name of one node, `node-1` for example"),
    };
    match command {
        "up" => {
            let store = store.as_deref().map_or(Ok(Store::Etcd), parse_store)?;
            up(workspace, &state, nodes.unwrap_or(3), store, install)?;
        }
        "down" => down(&state)?,
        "status" => status(&state)?,
        "load" => {
            let archives: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            Cluster::open(&state)?.load(&archives)?;
        }
        "lose" => Cluster::open(&state)?.lose(one()?, disk)?,
        "return" => Cluster::open(&state)?.bring_back(one()?)?,
        "cut" => Cluster::open(&state)?.cut(one()?)?,
        "mend" => Cluster::open(&state)?.mend(one()?)?,
        "sweep" => Cluster::open(&state)?.sweep()?,
        unknown => bail!(
            "unknown command `cluster {unknown}`; known are up, down, status, load, lose, return, \
             cut, mend, sweep"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// The state in a directory, or in the usual one.
pub(crate) fn state(directory: Option<String>) -> Result<State> {
    let directory = match directory {
        Some(directory) => std::path::absolute(&directory)
            .with_context(|| format!("cannot make {directory} absolute"))?,
        None => tools::cache_directory()?.join("cluster"),
    };
    Ok(State { directory })
}

/// Tells whether there is a cluster.
pub(crate) fn is_up(state: &State) -> bool {
    state.path(DESCRIPTION).exists()
}

/// The store called `name`.
pub(crate) fn parse_store(name: &str) -> Result<Store> {
    match name {
        "etcd" => Ok(Store::Etcd),
        "holdfast" => Ok(Store::Holdfast),
        unknown => bail!("unknown store `{unknown}`; known are etcd, holdfast"),
    }
}

/// What a cluster is made of, kept beside it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Description {
    nodes: u64,
    store: Store,
    /// What the host did with others' packets before, to be restored.
    forwarding: String,
    /// Directories that were not there before, and that the runtime makes whatever it is told.
    #[serde(default)]
    foreign: Vec<PathBuf>,
}

/// Starts a cluster. If that fails, nothing is left of it but its logs' last words in the error.
pub(crate) fn up(
    workspace: &Workspace,
    state: &State,
    nodes: u64,
    store: Store,
    install: bool,
) -> Result<()> {
    let _lock = lock(state)?;
    programs::check(install)?;
    ensure!(
        !state.path(DESCRIPTION).exists(),
        "a cluster is there already, in {}; `cargo xtask cluster down` removes it",
        state.directory.display()
    );
    ensure!(
        !network::is_there(),
        "a cluster with another --state is there already: its bridge {} is; take it down first",
        layout::BRIDGE
    );
    let began = Instant::now();
    let programs = Programs::find_or_build()?;
    let holdfast = match store {
        Store::Etcd => None,
        Store::Holdfast => Some(image::server(workspace)?),
    };
    let foreign = FOREIGN.map(PathBuf::from).into_iter().filter(|path| !path.exists()).collect();
    let description = Description { nodes, store, forwarding: network::forwarding()?, foreign };
    let nodes = Node::all(nodes)?;
    write_description(state, &description)?;
    if let Err(error) = start(state, &programs, &nodes, store, holdfast.as_deref()) {
        eprintln!("cluster: removing what was started");
        remove(state, &description)?;
        return Err(error);
    }
    eprintln!("cluster: up after {:.1} s", began.elapsed().as_secs_f64());
    println!("export KUBECONFIG={}", state.kubeconfig().display());
    println!("# kubectl is {}", programs.kubectl.display());
    Ok(())
}

fn start(
    state: &State,
    programs: &Programs,
    nodes: &[Node],
    store: Store,
    holdfast: Option<&Path>,
) -> Result<()> {
    let kubectl = Kubectl::of(&programs.kubectl, state);
    step("cluster: certificates and networks", || {
        certificates::write_all(state, nodes)?;
        let path = state.kubeconfig();
        fs::write(&path, files::kubeconfig(state, "admin"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        network::make_bridge()?;
        nodes.iter().try_for_each(|node| {
            network::make_node(*node)?;
            node::write_files(state, *node)
        })
    })?;
    step("cluster: API server", || {
        plane::start_api(state, programs, store, holdfast)?;
        plane::wait_until_ready(state, &kubectl)?;
        plane::start_controllers(state, programs, &kubectl, nodes)
    })?;
    step("cluster: nodes", || {
        nodes.iter().try_for_each(|node| node::start(state, programs, *node))?;
        connect_pods(state, &kubectl, nodes)?;
        wait_until_ready(&kubectl, nodes)
    })
}

/// Gives each node its part of the pods' network, and tells the others.
fn connect_pods(state: &State, kubectl: &Kubectl, nodes: &[Node]) -> Result<()> {
    let subnets = wait_for("the nodes to register", NODES_LIMIT, || {
        for name in process::recorded(state) {
            process::ensure_running(state, &name)?;
        }
        subnets(kubectl, nodes)
    })?;
    for (node, subnet) in &subnets {
        node::set_subnet(state, *node, subnet)?;
    }
    network::route(&subnets)
}

/// The part of the pods' network of each node, once all have one.
fn subnets(kubectl: &Kubectl, nodes: &[Node]) -> Result<Option<Vec<(Node, String)>>> {
    let format = "jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{\"\\n\"}{end}";
    let text = kubectl.must(&["get", "nodes", "-o", format])?;
    let mut found = Vec::new();
    for node in nodes {
        let name = node.name();
        let subnet = text.lines().find_map(|line| match line.split_once(' ') {
            Some((of, subnet)) if of == name && !subnet.is_empty() => Some(subnet.to_owned()),
            Some(_) | None => None,
        });
        match subnet {
            Some(subnet) => found.push((*node, subnet)),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn wait_until_ready(kubectl: &Kubectl, nodes: &[Node]) -> Result<()> {
    let mut words = vec!["wait".to_owned(), "--for=condition=Ready".to_owned()];
    words.push(format!("--timeout={}s", NODES_LIMIT.as_secs()));
    words.extend(nodes.iter().map(|node| format!("node/{}", node.name())));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    kubectl.must(&words).map(drop)
}

/// Stops a cluster and removes it, also one that was left half-made.
pub(crate) fn down(state: &State) -> Result<()> {
    let lock = lock(state)?;
    let Some(description) = read_description(state)? else {
        ensure!(
            !network::is_there(),
            "there is no cluster in {}, but its bridge {} is there: give the --state of the one \
             that runs",
            state.directory.display(),
            layout::BRIDGE
        );
        eprintln!("cluster: there is none in {}", state.directory.display());
        return Ok(());
    };
    step("cluster: stopping, and removing its files", || remove(state, &description))?;
    drop(lock);
    let _ = fs::remove_file(state.path("lock"));
    let _ = fs::remove_dir(&state.directory);
    Ok(())
}

/// Removes everything: processes, containers, mounts, networks, files, in this order.
fn remove(state: &State, description: &Description) -> Result<()> {
    let nodes = Node::all(description.nodes)?;
    process::stop(state, &process::recorded(state), Stop::AtOnce)?;
    for node in &nodes {
        node::kill(state, *node)?;
    }
    node::unmount_below(&state.directory);
    network::remove(&nodes);
    network::set_forwarding(&description.forwarding)?;
    for path in &description.foreign {
        node::unmount_below(path);
        let _ = fs::remove_dir_all(path);
    }
    let entries = fs::read_dir(&state.directory)
        .with_context(|| format!("cannot list {}", state.directory.display()))?;
    for entry in entries.flatten() {
        // The description goes last: as long as it is there, `down` tries again.
        if entry.file_name() == "lock" || entry.file_name() == DESCRIPTION {
            continue;
        }
        let path = entry.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    fs::remove_file(state.path(DESCRIPTION)).context("cannot remove the description")
}

fn status(state: &State) -> Result<()> {
    let Some(description) = read_description(state)? else {
        println!("no cluster in {}", state.directory.display());
        return Ok(());
    };
    println!("cluster in {}, with the store {:?}", state.directory.display(), description.store);
    for name in process::recorded(state) {
        let how = if process::is_running(state, &name) { "runs" } else { "has ended" };
        println!("  {name:<28}{how}");
    }
    for node in Node::all(description.nodes)? {
        let cable = if network::is_connected(node) { "connected" } else { "cut off" };
        println!("  {:<28}{cable}", node.name());
    }
    println!("export KUBECONFIG={}", state.kubeconfig().display());
    if let Some(program) = tools::path_if_there("kubectl")? {
        print!("{}", Kubectl::of(&program, state).must(&["get", "nodes", "-o", "wide"])?);
    }
    Ok(())
}

/// A cluster that runs.
pub(crate) struct Cluster {
    state: State,
    description: Description,
    programs: Programs,
    /// What asks its API server.
    pub(crate) kubectl: Kubectl,
    _lock: File,
}

impl Cluster {
    /// Finds the cluster of `state`.
    pub(crate) fn open(state: &State) -> Result<Cluster> {
        let lock = lock(state)?;
        let description = read_description(state)?.with_context(|| {
            format!(
                "there is no cluster in {}; `cargo xtask cluster up` starts one",
                state.directory.display()
            )
        })?;
        let programs = Programs::find_or_build()?;
        let kubectl = Kubectl::of(&programs.kubectl, state);
        Ok(Cluster { state: state.clone(), description, programs, kubectl, _lock: lock })
    }

    fn nodes(&self) -> Result<Vec<Node>> {
        Node::all(self.description.nodes)
    }

    fn node(&self, name: &str) -> Result<Node> {
        Node::named(name, self.description.nodes)
    }

    /// Gives images to all nodes that run.
    pub(crate) fn load(&self, archives: &[PathBuf]) -> Result<()> {
        ensure!(!archives.is_empty(), "which images? `cargo xtask image` makes them");
        for node in self.nodes()? {
            if process::is_running(&self.state, &node.process("containerd")) {
                archives.iter().try_for_each(|archive| node::load(&self.state, node, archive))?;
            }
        }
        Ok(())
    }

    /// A node fails; with `disk`, what was on its local volumes is lost.
    pub(crate) fn lose(&self, name: &str, disk: bool) -> Result<()> {
        let node = self.node(name)?;
        node::lose(&self.state, node)?;
        if disk {
            node::wipe_volumes(&self.state, node)?;
        }
        Ok(())
    }

    /// A node that has failed starts again.
    pub(crate) fn bring_back(&self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        ensure!(
            !process::is_running(&self.state, &node.process("kubelet")),
            "{name} runs; `cluster mend {name}` plugs its cable in"
        );
        if !network::is_connected(node) {
            network::connect(node)?;
        }
        node::start(&self.state, &self.programs, node)?;
        // If Kubernetes has forgotten the node, it gets another part of the pods' network.
        connect_pods(&self.state, &self.kubectl, &self.nodes()?)
    }

    /// Pulls the cable of a node.
    pub(crate) fn cut(&self, name: &str) -> Result<()> {
        network::disconnect(self.node(name)?);
        Ok(())
    }

    /// Plugs the cable of a node in.
    pub(crate) fn mend(&self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        if !network::is_connected(node) {
            network::connect(node)?;
        }
        let subnets = subnets(&self.kubectl, &self.nodes()?)?;
        network::route(&subnets.context("a node has lost its part of the pods' network")?)
    }

    /// Empties local volumes whose claim is gone, and offers them again.
    pub(crate) fn sweep(&self) -> Result<()> {
        let format = "jsonpath={range .items[?(@.status.phase==\"Released\")]}\
                      {.metadata.name} {.spec.local.path}{\"\\n\"}{end}";
        let text = self.kubectl.must(&["get", "persistentvolumes", "-o", format])?;
        for (name, path) in text.lines().filter_map(|line| line.split_once(' ')) {
            let path = Path::new(path);
            // Only what is ours, whatever the object says.
            ensure!(path.starts_with(&self.state.directory), "{name} lies elsewhere");
            self.kubectl.must(&["delete", "persistentvolume", name, "--wait=true"])?;
            node::wipe_volume(path)?;
        }
        self.kubectl.apply(&files::volumes(&self.state, &self.nodes()?))
    }
}

fn lock(state: &State) -> Result<File> {
    fs::create_dir_all(&state.directory)
        .with_context(|| format!("cannot make the directory {}", state.directory.display()))?;
    let path = state.path("lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn read_description(state: &State) -> Result<Option<Description>> {
    let path = state.path(DESCRIPTION);
    if !path.exists() {
        return Ok(None);
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .map(Some)
        .with_context(|| format!("{} does not describe a cluster", path.display()))
}

fn write_description(state: &State, description: &Description) -> Result<()> {
    let path = state.path(DESCRIPTION);
    let text = serde_json::to_string_pretty(description).context("cannot write as JSON")?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
