//! Where things of the local cluster are: addresses, names, and the directory of its state.
//!
//! ```text
//! STATE/                cluster.json    what runs, written before anything is started
//!                       lock            held by the command that changes the cluster
//!                       kubeconfig      for people
//!                       pids/NAME       "PID START-TIME" of each process that was started
//!                       logs/NAME.log
//!                       certificates/   one authority, and what it has signed
//!                       store/          what the API server keeps
//!                       nodes/node-1/   containerd, kubelet, CNI, and the local volumes
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The bridge on the host that joins the nodes. Its name is what tells that a cluster is there.
pub(super) const BRIDGE: &str = "holdfast0";
/// The host's address on the bridge: the API server, and the names of services.
pub(crate) const HOST_ADDRESS: &str = "10.123.0.1";
/// The network of the nodes.
pub(super) const HOST_NETWORK: &str = "10.123.0.1/24";
/// Where pods have their addresses; each node has a part of it.
pub(super) const POD_NETWORK: &str = "10.124.0.0/16";
/// Where services have theirs.
pub(super) const SERVICE_NETWORK: &str = "10.0.0.0/24";
/// The service that resolves names.
pub(super) const DNS_ADDRESS: &str = "10.0.0.10";
/// The API server.
pub(super) const API_PORT: u16 = 6443;
/// How many nodes there may be: their addresses end in 11 and above.
const NODES_MAX: u64 = 20;
/// The local volumes of each node.
pub(super) const VOLUMES_PER_NODE: u32 = 8;
/// What a pod consists of beside its containers.
pub(crate) const PAUSE_IMAGE: &str = "holdfast.local/pause:1";

/// The directory in which a cluster lives.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Absolute.
    pub(crate) directory: PathBuf,
}

impl State {
    /// A path below the directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.join(below)
    }

    /// The file by which clients find the API server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// One of the certificates, or its key.
    pub(super) fn certificate(&self, name: &str, extension: &str) -> String {
        self.path("certificates").join(format!("{name}.{extension}")).display().to_string()
    }
}

/// A node, by its number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(pub(crate) u64);

impl Node {
    /// The nodes of a cluster that has `count`.
    pub(super) fn all(count: u64) -> Result<Vec<Node>> {
        ensure!(
            (1..=NODES_MAX).contains(&count),
            "a cluster has 1 to {NODES_MAX} nodes, and {count} were asked for"
        );
        Ok((1..=count).map(Node).collect())
    }

    /// Finds a node by its name among `count`.
    pub(super) fn named(name: &str, count: u64) -> Result<Node> {
        let nodes = Node::all(count)?;
        let found = nodes.iter().find(|node| node.name() == name);
        let known: Vec<String> = nodes.iter().map(|node| node.name()).collect();
        ensure!(found.is_some(), "there is no node `{name}`; there are {}", known.join(", "));
        Ok(found.copied().unwrap_or(Node(1)))
    }

    /// As Kubernetes knows it.
    pub(crate) fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// Where it is reached.
    pub(super) fn address(self) -> String {
        format!("10.123.0.{}", 10 + self.0)
    }

    /// Its network namespace.
    pub(super) fn namespace(self) -> String {
        format!("holdfast-{}", self.name())
    }

    /// The file by which its network namespace is entered.
    pub(super) fn namespace_file(self) -> PathBuf {
        Path::new("/run/netns").join(self.namespace())
    }

    /// The end of its cable that is on the bridge.
    pub(super) fn cable(self) -> String {
        format!("hf-node{}", self.0)
    }

    /// The control group of its pods, without the leading slash.
    pub(super) fn control_group(self) -> String {
        format!("holdfast-{}", self.name())
    }

    /// Its directory.
    pub(super) fn directory(self, state: &State) -> PathBuf {
        state.path("nodes").join(self.name())
    }

    /// The socket of its containerd.
    pub(crate) fn socket(self, state: &State) -> String {
        self.directory(state).join("containerd.sock").display().to_string()
    }

    /// The name of one of its processes, `kubelet` for example.
    pub(super) fn process(self, program: &str) -> String {
        format!("{}-{program}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_found_by_its_name_and_another_is_refused() {
        assert_eq!(Node::named("node-2", 3).unwrap(), Node(2));
        let error = Node::named("node-4", 3).expect_err("there are three").to_string();
        assert_eq!(error, "there is no node `node-4`; there are node-1, node-2, node-3");
    }

    #[test]
    fn name_of_a_cable_is_short_enough_for_the_kernel() {
        for node in Node::all(NODES_MAX).unwrap() {
            assert!(node.cable().len() <= 15, "{}", node.cable());
        }
        assert!(Node::all(NODES_MAX + 1).is_err(), "their addresses would run out");
    }
}
