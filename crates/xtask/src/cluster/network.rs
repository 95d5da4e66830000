//! The bridge, and a network namespace with a cable for each node.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cluster::layout::{BRIDGE, HOST_ADDRESS, HOST_NETWORK, Node};
use crate::cluster::run::{may, must};

/// Whether the host passes packets on.
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Tells whether a cluster's bridge is there.
pub(super) fn is_there() -> bool {
    Path::new("/sys/class/net").join(BRIDGE).exists()
}

/// Makes the bridge; returns what the host did with others' packets before.
pub(super) fn make_bridge() -> Result<String> {
    must(&["ip", "link", "add", BRIDGE, "type", "bridge"])?;
    must(&["ip", "address", "add", HOST_NETWORK, "dev", BRIDGE])?;
    must(&["ip", "link", "set", BRIDGE, "up"])?;
    let before = forwarding()?;
    set_forwarding("1")?;
    Ok(before)
}

/// What the host does with others' packets.
pub(super) fn forwarding() -> Result<String> {
    let text = fs::read_to_string(FORWARD).with_context(|| format!("cannot read {FORWARD}"))?;
    Ok(text.trim().to_owned())
}

/// Sets what the host does with others' packets.
pub(super) fn set_forwarding(value: &str) -> Result<()> {
    fs::write(FORWARD, value).with_context(|| format!("cannot write {FORWARD}"))
}

/// Makes the namespace of a node and connects it.
pub(super) fn make_node(node: Node) -> Result<()> {
    let namespace = node.namespace();
    must(&["ip", "netns", "add", &namespace])?;
    must(&["ip", "-n", &namespace, "link", "set", "lo", "up"])?;
    let file = format!("--net={}", node.namespace_file().display());
    must(&["nsenter", &file, "sh", "-c", &format!("echo 1 > {FORWARD}")])?;
    connect(node)
}

/// Plugs the cable of a node in. Its routes to the others have to be set again.
pub(super) fn connect(node: Node) -> Result<()> {
    let (namespace, cable) = (node.namespace(), node.cable());
    must(&[
        "ip", "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
    ])?;
    must(&["ip", "link", "set", &cable, "master", BRIDGE, "up"])?;
    let address = format!("{}/24", node.address());
    must(&["ip", "-n", &namespace, "address", "add", &address, "dev", "eth0"])?;
    must(&["ip", "-n", &namespace, "link", "set", "eth0", "up"])?;
    must(&["ip", "-n", &namespace, "route", "replace", "default", "via", HOST_ADDRESS])?;
    Ok(())
}

/// Pulls the cable of a node out, if it is in.
pub(super) fn disconnect(node: Node) {
    may(&["ip", "link", "delete", &node.cable()]);
}

/// Removes the cables from a node to its pods. The kernel would do so too, but later: a pod that
/// got the address of an earlier one would then lose its route together with the earlier cable.
pub(super) fn disconnect_pods(node: Node) {
    let namespace = node.namespace();
    let links = must(&["ip", "-n", &namespace, "-o", "link"]).unwrap_or_default();
    for name in links.lines().filter_map(|line| line.split(": ").nth(1)) {
        let name = name.split('@').next().unwrap_or(name);
        if name.starts_with("veth") {
            may(&["ip", "-n", &namespace, "link", "delete", name]);
        }
    }
}

/// Tells whether the cable of a node is in.
pub(super) fn is_connected(node: Node) -> bool {
    Path::new("/sys/class/net").join(node.cable()).exists()
}

/// Tells the host, and each node that is connected, by which node each part of the pods' network is
/// reached.
pub(super) fn route(subnets: &[(Node, String)]) -> Result<()> {
    let connected: Vec<&(Node, String)> =
        subnets.iter().filter(|(node, _)| is_connected(*node)).collect();
    for (node, subnet) in &connected {
        must(&["ip", "route", "replace", subnet, "via", &node.address()])?;
        for (other, _) in connected.iter().filter(|(other, _)| other != node) {
            let namespace = other.namespace();
            let address = node.address();
            must(&["ip", "-n", &namespace, "route", "replace", subnet, "via", &address])?;
        }
    }
    Ok(())
}

/// Removes all of it, whether it is there or not.
pub(super) fn remove(nodes: &[Node]) {
    for node in nodes {
        disconnect(*node);
        may(&["ip", "netns", "delete", &node.namespace()]);
    }
    may(&["ip", "link", "delete", BRIDGE]);
}
