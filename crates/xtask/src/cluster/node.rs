//! One node: containerd, kubelet and kube-proxy in its network namespace.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::files;
use crate::cluster::layout::{Node, State, VOLUMES_PER_NODE};
use crate::cluster::network;
use crate::cluster::process::{self, Program, Stop};
use crate::cluster::programs::Programs;
use crate::cluster::run::{may, must, wait_for};
use crate::image;

const CONTAINERD_LIMIT: Duration = Duration::from_secs(30);
/// The programs of a node, in the order in which they start.
const PROGRAMS: [&str; 3] = ["containerd", "kubelet", "kube-proxy"];

/// Writes what the programs of a node are configured by, and makes its directories.
pub(super) fn write_files(state: &State, node: Node) -> Result<()> {
    let directory = node.directory(state);
    for below in ["cni", "pod-logs", "kubelet", "volumes"] {
        make_directory(&directory.join(below))?;
    }
    for number in 0..VOLUMES_PER_NODE {
        make_directory(Path::new(&files::volume_directory(state, node, number)))?;
    }
    let name = node.name();
    let client = directory.join("kubelet.kubeconfig");
    let proxy_client = directory.join("kube-proxy.kubeconfig").display().to_string();
    let texts = [
        (client, files::kubeconfig(state, &name)),
        (directory.join("kube-proxy.kubeconfig"), files::kubeconfig(state, "proxy")),
        (directory.join("kubelet.yaml"), files::kubelet(state, node)),
        (directory.join("kube-proxy.yaml"), files::proxy(node, &proxy_client)),
        (directory.join("containerd.toml"), files::containerd(state, node)),
        (directory.join("resolv.conf"), String::new()),
    ];
    for (path, text) in texts {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

/// Starts the programs of a node.
pub(super) fn start(state: &State, programs: &Programs, node: Node) -> Result<()> {
    process::make_control_groups(node)?;
    start_containerd(state, programs, node)?;
    let directory = node.directory(state);
    let file = |name: &str| directory.join(name).display().to_string();
    let kubelet = Program {
        name: node.process("kubelet"),
        path: &programs.kubelet,
        arguments: vec![
            format!("--hostname-override={}", node.name()),
            format!("--kubeconfig={}", file("kubelet.kubeconfig")),
            format!("--config={}", file("kubelet.yaml")),
            format!("--root-dir={}", file("kubelet")),
            format!("--cert-dir={}", file("kubelet/pki")),
            format!("--node-ip={}", node.address()),
        ],
        node: Some(node),
    };
    process::start(state, &kubelet)?;
    let proxy = Program {
        name: node.process("kube-proxy"),
        path: &programs.kube_proxy,
        arguments: vec![format!("--config={}", file("kube-proxy.yaml"))],
        node: Some(node),
    };
    process::start(state, &proxy)
}

/// Starts containerd, waits until it answers, and gives it the image that each pod needs.
fn start_containerd(state: &State, programs: &Programs, node: Node) -> Result<()> {
    let name = node.process("containerd");
    let config = node.directory(state).join("containerd.toml").display().to_string();
    let containerd = Program {
        name: name.clone(),
        path: Path::new("containerd"),
        arguments: vec!["--config".to_owned(), config],
        node: Some(node),
    };
    process::start(state, &containerd)?;
    let socket = node.socket(state);
    wait_for(&name, CONTAINERD_LIMIT, || {
        process::ensure_running(state, &name)?;
        Ok(must(&["ctr", "-a", &socket, "version"]).ok())
    })?;
    load(state, node, &image::pause(&programs.pause, &state.path("images"))?)
}

/// Gives an image to a node.
pub(super) fn load(state: &State, node: Node, archive: &Path) -> Result<()> {
    let archive = archive.display().to_string();
    let socket = node.socket(state);
    // It is named and not unpacked: the first pod does that.
    must(&["ctr", "-a", &socket, "-n", "k8s.io", "images", "import", &archive])?;
    Ok(())
}

/// Tells a node which part of the pods' network is its own.
pub(super) fn set_subnet(state: &State, node: Node, subnet: &str) -> Result<()> {
    let path = node.directory(state).join("cni").join("10-holdfast.conflist");
    fs::write(&path, files::cni(state, node, subnet))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Ends everything on a node, as if its power failed. Its disk stays.
pub(super) fn kill(state: &State, node: Node) -> Result<()> {
    let names: Vec<String> = PROGRAMS.iter().map(|program| node.process(program)).collect();
    process::stop(state, &names, Stop::AtOnce)?;
    process::kill_containers(state, node)?;
    process::remove_control_groups(node);
    unmount_below(&node.directory(state));
    network::disconnect_pods(node);
    // What containerd knew of processes that are gone; after a boot it is not there either.
    for below in ["run", "addresses"] {
        let _ = fs::remove_dir_all(node.directory(state).join(below));
    }
    Ok(())
}

/// Removes what a node had on its local volumes.
pub(super) fn wipe_volumes(state: &State, node: Node) -> Result<()> {
    for number in 0..VOLUMES_PER_NODE {
        wipe_volume(Path::new(&files::volume_directory(state, node, number)))?;
    }
    Ok(())
}

/// Empties a local volume.
pub(super) fn wipe_volume(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    make_directory(directory)
}

/// Stops a node and pulls its cable.
pub(super) fn lose(state: &State, node: Node) -> Result<()> {
    network::disconnect(node);
    kill(state, node)
}

/// Unmounts everything below `directory`, innermost first.
pub(super) fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for place in mount_points_below(&mounts, &directory.display().to_string()) {
        may(&["umount", "--lazy", &place]);
    }
}

/// The places below `directory` in a text like `/proc/self/mounts`, innermost first.
fn mount_points_below(mounts: &str, directory: &str) -> Vec<String> {
    let below = format!("{directory}/");
    let mut places: Vec<String> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        // The kernel writes a space in octal.
        .map(|place| place.replace("\\040", " "))
        .filter(|place| place.starts_with(&below))
        .collect();
    // Later ones lie on earlier ones.
    places.reverse();
    places.sort_by_key(|place| std::cmp::Reverse(place.matches('/').count()));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn innermost_mount_goes_first_and_others_stay() {
        let mounts = "tmpfs /s/a tmpfs rw 0 0\nproc /proc proc rw 0 0\noverlay /s/a/b/c o rw 0 0\n\
                      tmpfs /s/a\\040b tmpfs rw 0 0\ntmpfs /sa tmpfs rw 0 0\n";
        assert_eq!(mount_points_below(mounts, "/s"), ["/s/a/b/c", "/s/a b", "/s/a"]);
    }
}
