//! The operator is upgraded by Helm from a version before it, taken back, and upgraded again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cluster::run::must;
use crate::e2e::behaviour::{LIMIT, ROLL_LIMIT};
use crate::e2e::certified::{Certified, Scene};
use crate::e2e::subject::{NAME, Subject};
use crate::e2e::witness::Seen;
use crate::image;

/// The version before, which only differs in what is said here.
const OLDER: &str = "0.0.9";
const CURRENT: &str = env!("CARGO_PKG_VERSION");
/// A column that the version before does not have.
const COLUMN: &str = "        - jsonPath: \".status.leader.term\"
          name: \"Term\"
          type: \"string\"
";

/// Members of the version before go on while the operator changes, whatever way it goes; then they
/// are upgraded, too.
pub(super) fn upgraded(scene: &Scene<'_>) -> Result<Seen> {
    let helm = &scene.subject.helm;
    scene.cluster.load(&image::renamed(scene.workspace, OLDER)?)?;
    let older = older_chart(scene)?;
    helm.uninstall()?;
    helm.install_from(&older)?;
    let subject = scene.subject("{client: {auto: {}}, peer: {auto: {}}}".to_owned());
    subject.create()?;
    let [client, peer] = ["client", "peer"].map(|audience| format!("{NAME}-{audience}-tls"));
    let certified = Certified::begin(scene, &subject, &client, &peer)?;
    ensure_shown(&subject, OLDER, false)?;

    helm.install()?;
    ensure_it_works(&subject, 6)?;
    ensure_shown(&subject, OLDER, true)?;
    certified.ensure_not_restarted().context("the operator was upgraded")?;

    helm.roll_back()?;
    ensure_it_works(&subject, 7)?;
    ensure_shown(&subject, OLDER, false)?;
    certified.ensure_not_restarted().context("the operator was taken back")?;

    helm.install()?;
    ensure_it_works(&subject, 5)?;
    certified.ensure_not_restarted().context("the operator was upgraded again")?;
    let before = subject.pods()?;
    subject.patch(&format!(r#"{{"spec":{{"version":"{CURRENT}"}}}}"#))?;
    subject.wait_until_whole(3, &before, ROLL_LIMIT)?;
    ensure_shown(&subject, CURRENT, true)?;
    certified.end()
}

/// Makes sure that the operator follows the RaftCluster.
fn ensure_it_works(subject: &Subject, stabilization_seconds: u32) -> Result<()> {
    let seconds = stabilization_seconds;
    let patch = format!(r#"{{"spec":{{"update":{{"stabilizationSeconds":{seconds}}}}}}}"#);
    subject.patch(&patch)?;
    subject.wait_until_whole(3, &Default::default(), LIMIT)
}

/// Makes sure that people see the version of the members, and the column of the kind's version.
fn ensure_shown(subject: &Subject, version: &str, has_column: bool) -> Result<()> {
    let table = subject.ask(&["get", "raftclusters"])?;
    ensure!(
        table.contains(version) && table.contains("TERM") == has_column,
        "{version} was to be seen, {} the term, and there is:\n{table}",
        if has_column { "and" } else { "without" }
    );
    Ok(())
}

/// Packs the chart of the version before.
fn older_chart(scene: &Scene<'_>) -> Result<PathBuf> {
    let directory = scene.workspace.target.join("e2e").join("older");
    let _ = fs::remove_dir_all(&directory);
    let chart = directory.join("holdfast-operator");
    copy(&scene.subject.helm.chart, &chart)?;
    let change = |below: &str, from: &str, to: &str| {
        let path = chart.join(below);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(text.contains(from), "{} has no {from}", path.display());
        fs::write(&path, text.replace(from, to))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    change("Chart.yaml", &format!("ersion: {CURRENT}"), &format!("ersion: {OLDER}"))?;
    let kind = "files/raftclusters.raft.holdfast.dev.yaml";
    change(kind, &format!("default: \"{CURRENT}\""), &format!("default: \"{OLDER}\""))?;
    change(kind, COLUMN, "")?;
    let [chart, to] = [&chart, &directory].map(|path| path.display().to_string());
    let helm = scene.subject.helm.program.display().to_string();
    must(&[&helm, "package", &chart, "--destination", &to])?;
    Ok(directory.join(format!("holdfast-operator-{OLDER}.tgz")))
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)
        .with_context(|| format!("cannot make the directory {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}
