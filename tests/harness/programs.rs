//! Finds the programs that are tested, and those that they are compared with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

/// The version of etcd that Holdfast is compared with.
pub const ETCD_VERSION: &str = "3.7.1";

/// The version of Kubernetes that runs on Holdfast.
pub const KUBERNETES_VERSION: &str = "1.36.3";

/// The version of Helm that installs the chart.
pub const HELM_VERSION: &str = "4.3.1";

/// Which server a cluster consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The real etcd.
    Etcd,
    /// Ours.
    Holdfast,
}

impl Server {
    /// Returns the path of the server's program.
    ///
    /// # Errors
    ///
    /// If it is not there, and cannot be built.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Server::Etcd => etcd(),
            Server::Holdfast => holdfast(),
        }
    }

    /// Tells what logs call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Server::Etcd => "etcd",
            Server::Holdfast => "holdfast",
        }
    }
}

/// Returns the path of `holdfast`: that of `HOLDFAST_BIN`, or one that is built, once.
///
/// # Errors
///
/// If it does not build.
pub fn holdfast() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = env::var_os("HOLDFAST_BIN") {
        return existing("HOLDFAST_BIN", PathBuf::from(path));
    }
    let built = BUILT.get_or_init(|| build_holdfast().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// Builds with every assertion and with optimisation, as the simulator does: tests want both.
fn build_holdfast() -> Result<PathBuf> {
    let workspace = workspace();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "server", "--bin", "holdfast", "--profile", "sim"])
        .current_dir(&workspace)
        .status()
        .context("cargo could not be started to build holdfast")?;
    ensure!(status.success(), "cargo build --package server ended with {status}");
    existing("cargo build", target().join("sim/holdfast"))
}

/// Returns the directory below which everything that is built lies.
#[must_use]
pub fn target() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(named)
}

/// Returns the path of real etcd: that of `ETCD_BIN`, or the one in the cache of tools.
///
/// # Errors
///
/// If it is not there.
pub fn etcd() -> Result<PathBuf> {
    tool("ETCD_BIN", &format!("etcd-{ETCD_VERSION}/etcd"))
}

/// Returns the path of `etcdctl`: that of `ETCDCTL_BIN`, or the one in the cache of tools.
///
/// # Errors
///
/// If it is not there.
pub fn etcdctl() -> Result<PathBuf> {
    tool("ETCDCTL_BIN", &format!("etcd-{ETCD_VERSION}/etcdctl"))
}

/// Returns the path of `kube-apiserver`: that of `KUBE_APISERVER_BIN`, or the one in the cache.
///
/// # Errors
///
/// If it is not there.
pub fn kube_apiserver() -> Result<PathBuf> {
    tool("KUBE_APISERVER_BIN", &format!("kubernetes-{KUBERNETES_VERSION}/kube-apiserver"))
}

/// Returns the path of `kubectl`: that of `KUBECTL_BIN`, or the one in the cache.
///
/// # Errors
///
/// If it is not there.
pub fn kubectl() -> Result<PathBuf> {
    tool("KUBECTL_BIN", &format!("kubernetes-{KUBERNETES_VERSION}/kubectl"))
}

/// Returns the path of `helm`: that of `HELM_BIN`, or the one in the cache.
///
/// # Errors
///
/// If it is not there.
pub fn helm() -> Result<PathBuf> {
    tool("HELM_BIN", &format!("helm-{HELM_VERSION}/helm"))
}

/// Returns the path of a program that is found by `PATH`.
///
/// # Errors
///
/// If it is not there.
pub fn on_path(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let extra = [PathBuf::from("/usr/local/go/bin"), PathBuf::from("/usr/sbin")];
    let mut directories = env::split_paths(&path).chain(extra);
    match directories.find(|directory| directory.join(name).is_file()) {
        Some(directory) => Ok(directory.join(name)),
        None => bail!("{name} is not on PATH; install it to run this test"),
    }
}

/// Returns the root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package of the tests lies in the workspace").to_path_buf()
}

/// Tells on standard error that a test is skipped, and why. Returns `None` if there was an error.
///
/// With `TESTS_SKIP_NOTHING=1`, what is missing fails the test instead.
///
/// # Panics
///
/// If something is missing and nothing may be skipped.
pub fn or_skip<T>(test: &str, found: Result<T>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) => {
            let strict = env::var_os("TESTS_SKIP_NOTHING").is_some_and(|value| value != "0");
            assert!(!strict, "{test} cannot run, and nothing may be skipped: {error:#}");
            eprintln!("skipped: {test}: {error:#}");
            None
        }
    }
}

fn tool(variable: &str, below_cache: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return existing(variable, PathBuf::from(path));
    }
    let path = cache()?.join("holdfast/tools").join(below_cache);
    existing("`cargo xtask tools`", path)
}

fn existing(source: &str, path: PathBuf) -> Result<PathBuf> {
    ensure!(
        path.is_file(),
        "no program at {}, where {source} would have it; build it with `cargo xtask tools`, or set \
         the variable to where it is",
        path.display()
    );
    Ok(path)
}

fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(cache));
    }
    let home = env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache"))
}
