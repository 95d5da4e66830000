//! The operator, installed as people install it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cluster::layout::State;
use crate::cluster::run::{Kubectl, must};
use crate::tools;
use crate::workspace::Workspace;

/// How long anything that Helm does may take.
const LIMIT: &str = "120s";
const RELEASE: &str = "holdfast-operator";
pub(super) const NAMESPACE: &str = "holdfast-system";
/// Nothing is admitted there but what keeps to the strictest rules.
const NAMESPACE_YAML: &str = "apiVersion: v1
kind: Namespace
metadata:
  name: holdfast-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

/// Helm, and the chart.
#[derive(Clone, Debug)]
pub(super) struct Helm {
    pub(super) program: PathBuf,
    pub(super) chart: PathBuf,
    config: PathBuf,
    kubectl: Kubectl,
}

impl Helm {
    /// Finds it, or builds it.
    pub(super) fn find(workspace: &Workspace, state: &State, kubectl: &Kubectl) -> Result<Helm> {
        Ok(Helm {
            program: tools::path_or_build("helm")?,
            chart: workspace.root.join("charts/holdfast-operator"),
            config: state.kubeconfig(),
            kubectl: kubectl.clone(),
        })
    }

    /// Installs or upgrades the operator. One that is there from before starts again, as its image
    /// may be another one under the same name.
    pub(super) fn install(&self) -> Result<()> {
        self.install_from(&self.chart)
    }

    /// The same from another chart.
    pub(super) fn install_from(&self, chart: &Path) -> Result<()> {
        self.kubectl.apply(NAMESPACE_YAML)?;
        let deployment = format!("deployment/{RELEASE}");
        let was_there = self.ask(&["get", &deployment]).is_ok();
        let chart = chart.display().to_string();
        self.run(&["upgrade", "--install", RELEASE, &chart, "--wait", "--timeout", LIMIT])?;
        if was_there {
            self.ask(&["rollout", "restart", &deployment])?;
            self.ask(&["rollout", "status", &deployment, &format!("--timeout={LIMIT}")])?;
        }
        Ok(())
    }

    /// Goes back to what was installed before.
    pub(super) fn roll_back(&self) -> Result<()> {
        self.run(&["rollback", RELEASE, "--wait", "--timeout", LIMIT])
    }

    /// Removes the operator. The kind and the clusters stay.
    pub(super) fn uninstall(&self) -> Result<()> {
        self.run(&["uninstall", RELEASE, "--wait", "--timeout", LIMIT])
    }

    /// Has the chart test itself: a cluster is made, waited for and removed.
    pub(super) fn test(&self) -> Result<()> {
        self.run(&["test", RELEASE, "--timeout", LIMIT])
    }

    fn ask(&self, words: &[&str]) -> Result<()> {
        self.kubectl.must(&[&["-n", NAMESPACE], words].concat()).map(drop)
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let program = self.program.display().to_string();
        let config = self.config.display().to_string();
        let first = [program.as_str(), "--kubeconfig", &config, "-n", NAMESPACE];
        must(&[&first, words].concat()).map(drop)
    }
}
