//! What cargo and git know of the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command::cargo_command;

/// The workspace as `cargo metadata` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The directory of the root manifest.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// The crates of the workspace, without those from elsewhere.
    pub(crate) packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a crate depends on, as its manifest says it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where it lies, if it is a crate of the workspace; `None` if it comes from elsewhere.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo for the workspace around the current directory.
    pub(crate) fn find() -> Result<Workspace> {
        let mut metadata = cargo_command();
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        serde_json::from_str(&output(&mut metadata)?)
            .context("cannot read the answer of `cargo metadata`")
    }

    /// The paths, relative to the root, of all files that git tracks or would track, in order.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ]);
        let listing = output(&mut git).context("the files are those that git lists")?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The commit that is checked out, with a mark if files differ from it.
    pub(crate) fn commit(&self) -> Result<String> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["describe", "--always", "--dirty"]);
        Ok(output(&mut git)?.trim().to_owned())
    }

    /// The path of a crate's manifest, relative to the root.
    pub(crate) fn manifest_of(&self, package: &Package) -> String {
        relative(&self.root, &package.manifest_path)
    }
}

/// The part of `path` below `root`, or all of it if it lies elsewhere.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Runs a command and returns what it writes to its standard output.
fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot run {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("{shown} did not answer in UTF-8"))
}
