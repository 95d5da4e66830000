//! The programs that a cluster consists of, and what the machine must have before one is started.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cluster::run::must;
use crate::tools;

/// What Debian has: a program, or a file, and the package it is in.
const PACKAGES: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
];

/// Our own programs, built from Go modules.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) api_server: PathBuf,
    pub(super) controller_manager: PathBuf,
    pub(super) scheduler: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) kube_proxy: PathBuf,
    pub(super) coredns: PathBuf,
    pub(super) pause: PathBuf,
    pub(crate) kubectl: PathBuf,
}

impl Programs {
    /// Finds them, or builds them.
    pub(crate) fn find_or_build() -> Result<Programs> {
        let path = |name| tools::path_or_build(name);
        Ok(Programs {
            etcd: path("etcd")?,
            api_server: path("kube-apiserver")?,
            controller_manager: path("kube-controller-manager")?,
            scheduler: path("kube-scheduler")?,
            kubelet: path("kubelet")?,
            kube_proxy: path("kube-proxy")?,
            coredns: path("coredns")?,
            pause: path("pause")?,
            kubectl: path("kubectl")?,
        })
    }
}

/// Makes sure that a cluster can be started here; with `install`, installs what is missing.
///
/// # Errors
///
/// If something is missing: all of it at once, each with what to do.
pub(crate) fn check(install: bool) -> Result<()> {
    let packages = missing_packages();
    if install && !packages.is_empty() && is_root() && is_there("apt-get") {
        eprintln!("installing {}", packages.join(" "));
        must(&["apt-get", "update", "-qq"])?;
        let mut words =
            vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "-y"];
        words.push("--no-install-recommends");
        words.extend(&packages);
        must(&words).context("the packages cannot be installed")?;
    }
    let problems = problems();
    ensure!(
        problems.is_empty(),
        "a local cluster cannot be started here yet:\n- {}",
        problems.join("\n- ")
    );
    Ok(())
}

/// What is missing, each with what to do about it.
pub(crate) fn problems() -> Vec<String> {
    let mut problems = Vec::new();
    if !cfg!(target_os = "linux") {
        problems.push("nodes are network namespaces of Linux; run this in a Linux machine".into());
    }
    if !is_root() {
        problems.push("namespaces and containers need root; run this as root".into());
    }
    let packages = missing_packages();
    if !packages.is_empty() {
        problems.push(format!(
            "packages are missing; run `apt-get install {}`, or give --install",
            packages.join(" ")
        ));
    }
    if !is_there("go") && !tools_are_built() {
        problems.push(
            "Kubernetes is built from Go modules, and there is no `go` on PATH; install Go 1.26 or \
             later (https://go.dev/dl)"
                .into(),
        );
    }
    let hierarchies = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/memory"];
    if !hierarchies.iter().any(|path| Path::new(path).exists()) {
        problems.push(
            "control groups are not mounted at /sys/fs/cgroup; boot a kernel with CONFIG_MEMCG, or \
             mount them: `mount -t cgroup2 none /sys/fs/cgroup`"
                .into(),
        );
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.contains("overlay") && must(&["modprobe", "overlay"]).is_err() {
        problems.push("the kernel has no overlay file system (CONFIG_OVERLAY_FS)".into());
    }
    problems
}

fn tools_are_built() -> bool {
    ["etcd", "kube-apiserver", "kubelet", "coredns", "pause"]
        .iter()
        .all(|name| tools::path_if_there(name).is_ok_and(|path| path.is_some()))
}

fn missing_packages() -> Vec<&'static str> {
    let mut packages: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    packages
}

/// Tells whether a program is on PATH, or a file is there.
fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|directory| directory.join(program).is_file())
}

fn is_root() -> bool {
    must(&["id", "-u"]).is_ok_and(|text| text.trim() == "0")
}
