//! The chart, by the real Helm: what it makes of values, and a release on a real API server.
//!
//! What is rendered is recorded in `rendered`, one file for each of `values`; and in
//! `manifests/install.yaml`, for those who have no Helm.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::programs::{self, or_skip};

use super::control_plane::{ControlPlane, Programs};

const RELEASE: &str = "holdfast-operator";
const NAMESPACE: &str = "holdfast-system";

/// What stands before the chart's own text in the file for those who have no Helm.
const INSTALL_HEAD: &str = "\
# Generated from charts/holdfast-operator by `UPDATE_GOLDENFILES=1 cargo test -p tests chart`.
apiVersion: v1
kind: Namespace
metadata:
  name: holdfast-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

/// What the operator does to what it looks after.
const MAY: &[&str] = &[
    "watch raftclusters.raft.holdfast.dev",
    "patch raftclusters.raft.holdfast.dev --subresource=status",
    "create statefulsets.apps",
    "patch poddisruptionbudgets.policy",
    "create secrets",
    "delete pods",
    "patch persistentvolumeclaims",
    "create events.events.k8s.io",
    "list nodes",
];

/// What it has no business to do.
const MAY_NOT: &[&str] = &[
    "update raftclusters.raft.holdfast.dev",
    "delete raftclusters.raft.holdfast.dev",
    "create pods",
    "create pods --subresource=exec",
    "create persistentvolumeclaims",
    "get configmaps",
    "create deployments.apps",
    "delete nodes",
    "delete persistentvolumes",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "delete secrets",
    "delete statefulsets.apps",
    "delete leases.coordination.k8s.io",
];

/// Helm, and the chart.
struct Helm {
    program: PathBuf,
    chart: PathBuf,
    /// The file by which it finds the API server, if there is one.
    config: Option<PathBuf>,
}

impl Helm {
    fn find() -> Result<Helm> {
        let chart = programs::workspace().join("charts/holdfast-operator");
        Ok(Helm { program: programs::helm()?, chart, config: None })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        if let Some(config) = &self.config {
            command.env("KUBECONFIG", config);
        }
        let output = command.args(arguments).output().context("helm cannot be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {} said: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).context("helm prints text")
    }

    /// Runs a command about our release, from our chart.
    fn on_chart(&self, command: &str, more: &[&str]) -> Result<String> {
        let chart = self.chart.to_str().context("paths are text")?;
        self.run(&[&[command, RELEASE, chart, "--namespace", NAMESPACE], more].concat())
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/kubernetes")
}

/// Compares with what was recorded, or records.
fn assert_recorded(path: &Path, made: &str) {
    if env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value != "0") {
        fs::write(path, made).expect("it can be written");
    }
    let recorded = fs::read_to_string(path).unwrap_or_default();
    let differs = recorded.lines().zip(made.lines()).position(|(was, is)| was != is);
    let line = differs.unwrap_or_else(|| recorded.lines().count().min(made.lines().count())) + 1;
    assert!(
        recorded == made,
        "{}, line {line}, is not what the chart makes: run UPDATE_GOLDENFILES=1 cargo test -p \
         tests chart, and read the difference",
        path.display()
    );
}

fn text_of(path: &str) -> String {
    let path = programs::workspace().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn chart_is_what_helm_likes_and_makes_what_is_recorded() {
    let Some(helm) = or_skip("chart", Helm::find()) else { return };
    let chart = helm.chart.to_str().expect("paths are text");
    helm.run(&["lint", "--strict", chart]).expect("the chart passes");
    for values in ["default", "namespaced", "everything"] {
        let file = here().join(format!("values/{values}.yaml"));
        let file = file.to_str().expect("paths are text");
        let made = helm.on_chart("template", &["--values", file]).expect("it is rendered");
        assert_recorded(&here().join(format!("rendered/{values}.yaml")), &made);
    }
    let rendered = helm.on_chart("template", &["--skip-tests"]).expect("it is rendered");
    let install = programs::workspace().join("manifests/install.yaml");
    assert_recorded(&install, &format!("{INSTALL_HEAD}{rendered}"));
}

#[test]
fn chart_refuses_values_that_it_does_not_know() {
    let Some(helm) = or_skip("chart", Helm::find()) else { return };
    let bad = [
        "replica=3",
        "image.repo=x",
        "scope=Everywhere",
        "replicas=many",
        "monitoring.rules.enable=true",
        "extraArgs[0]=x",
        "image.digest=latest",
    ];
    for values in bad {
        let refused = helm.on_chart("template", &["--set", values]);
        let error = refused.expect_err(values).to_string();
        assert!(error.contains("don't meet the specifications"), "{values}: {error}");
    }
}

#[test]
fn chart_has_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = text_of("charts/holdfast-operator/Chart.yaml");
    for line in [
        format!("\nversion: {version}\n"),
        format!("\nappVersion: {version}\n"),
        format!("image: ghcr.io/holdfast/holdfast:{version}\n"),
        format!("image: ghcr.io/holdfast/holdfast-operator:{version}\n"),
    ] {
        assert!(chart.contains(&line), "Chart.yaml lacks `{}`", line.trim());
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = text_of("charts/holdfast-operator/files/alerts.yaml");
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: BTreeSet<String> = names.map(|name| format!("{name}.md")).collect();
    let runbooks = programs::workspace().join("charts/holdfast-operator/runbooks");
    let files = fs::read_dir(runbooks).expect("there are runbooks");
    let files: BTreeSet<String> = files
        .map(|file| file.expect("it is listed").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(names, files, "alerts on the left, runbooks on the right");
    for name in &names {
        assert!(alerts.contains(&format!("runbook_url: RUNBOOKS/{name}")), "{name} is not linked");
    }
}

#[test]
fn alerts_and_dashboard_use_metrics_that_members_have() {
    let metrics = programs::workspace().join("crates/server/src/metrics");
    let sources: String = fs::read_dir(metrics)
        .expect("there are metrics")
        .map(|file| fs::read_to_string(file.expect("it is listed").path()).expect("it is text"))
        .collect();
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = text_of(&format!("charts/holdfast-operator/files/{file}"));
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_of_members = |word: &&str| {
            let of_operator = ["holdfast_operator_", "holdfast_cluster_"];
            (word.starts_with("etcd_") || word.starts_with("holdfast_"))
                && !of_operator.iter().any(|prefix| word.starts_with(prefix))
        };
        for word in words.filter(is_of_members) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(sources.contains(&format!("\"{name}\"")), "{file} uses {name}: there is none");
        }
    }
}

#[test]
fn release_comes_changes_goes_and_comes_again_while_clusters_stay() {
    let needed = Helm::find().and_then(|helm| Ok((helm, Programs::find()?)));
    let Some((mut helm, programs)) = or_skip("release", needed) else { return };
    let plane = ControlPlane::start(&programs).expect("an API server starts");
    helm.config = Some(plane.config());
    let kubectl = |arguments: &[&str], input: &str| {
        plane.must(&programs, arguments, input).expect("kubectl succeeds")
    };
    let namespace = INSTALL_HEAD.replace("enforce", "warn");
    kubectl(&["apply", "--filename=-"], &namespace);

    let notes = helm.on_chart("install", &[]).expect("it is installed");
    for told in ["kubectl apply -n default", "kubectl get raftclusters -n default --watch"] {
        assert!(notes.contains(told), "the notes lack `{told}`:\n{notes}");
    }
    let examples = programs::workspace().join("manifests/examples");
    let examples = format!("--filename={}", examples.display());
    kubectl(&["apply", &examples], "");
    let clusters = || kubectl(&["get", "raftclusters", "--output=name"], "").lines().count();
    let made = clusters();
    assert!(made >= 5, "{made} clusters are there");

    let more = ["--set", "replicas=3,monitoring.dashboard.enabled=true"];
    helm.on_chart("upgrade", &more).expect("it is upgraded");
    let shown = ["get", "deployments,configmaps", "--output=name", "--namespace", NAMESPACE];
    let names = kubectl(&shown, "");
    assert!(names.contains("holdfast-operator-dashboard"), "{names}");

    helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).expect("it is removed");
    assert_eq!(kubectl(&shown, ""), "", "what was installed is gone");
    let roles = kubectl(&["get", "clusterroles", "--output=name"], "");
    assert!(!roles.contains("holdfast"), "{roles}");
    assert_eq!(clusters(), made, "clusters outlive the release");

    helm.on_chart("install", &[]).expect("it is installed again");
    helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).expect("it is removed");
    let install = programs::workspace().join("manifests/install.yaml");
    let install = format!("--filename={}", install.display());
    let applied = plane.kubectl(&programs, &["apply", &install], "").expect("kubectl runs");
    let warned = String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "install.yaml is refused: {warned}");
    assert!(!warned.contains("PodSecurity"), "the operator's pods are not restricted: {warned}");
    let said = kubectl(&["apply", &install], "");
    assert!(!said.contains("created"), "the second time nothing is new:\n{said}");
}

#[test]
fn operator_may_do_what_it_does_and_no_more() {
    let needed = Helm::find().and_then(|helm| Ok((helm, Programs::find()?)));
    let Some((mut helm, programs)) = or_skip("rights", needed) else { return };
    let plane = ControlPlane::start(&programs).expect("an API server starts");
    helm.config = Some(plane.config());
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:{RELEASE}");
    let may = |what: &str, namespace: &str| {
        let words = ["auth", "can-i", &account, "--namespace", namespace];
        let words: Vec<&str> = words.into_iter().chain(what.split(' ')).collect();
        let asked = plane.kubectl(&programs, &words, "").expect("kubectl runs");
        String::from_utf8_lossy(&asked.stdout).trim() == "yes"
    };

    helm.on_chart("install", &["--create-namespace"]).expect("it is installed");
    for what in MAY {
        assert!(may(what, "default"), "may not {what}");
    }
    for what in MAY_NOT {
        assert!(!may(what, "default"), "may {what}");
    }
    assert!(may("create leases.coordination.k8s.io", NAMESPACE), "may make no lease");
    assert!(!may("create leases.coordination.k8s.io", "default"), "may make leases anywhere");

    let only_here = ["--set", "scope=Namespace,rbac.nodes=false"];
    helm.on_chart("upgrade", &only_here).expect("it is upgraded");
    assert!(may("delete pods", NAMESPACE), "may not delete pods where it is");
    for what in MAY {
        assert!(!may(what, "default"), "may {what} in another namespace");
    }
}
