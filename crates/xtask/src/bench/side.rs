//! The two that are compared: which programs, of which version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::CommandLine;
use crate::tools;
use crate::workspace::Workspace;

/// The name of our program, and of the package that it is built from.
const HOLDFAST: &str = "holdfast";
const PACKAGE: &str = "server";
/// The variable that names a program of ours to take instead of building one.
const HOLDFAST_VARIABLE: &str = "HOLDFAST_BIN";

/// A program that serves etcd's API.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// What it is called in tables; the two are different.
    pub(super) label: String,
    pub(super) program: PathBuf,
    /// What `--version` prints of the version.
    pub(super) version: String,
}

impl Side {
    /// The program `wanted`: `etcd`, `holdfast`, or a path. `None` if it is etcd, and there is
    /// none.
    pub(super) fn find(workspace: &Workspace, wanted: &str) -> Result<Option<Side>> {
        let (label, program) = match wanted {
            "etcd" => match tools::path_if_there("etcd")? {
                Some(program) => ("etcd".to_owned(), program),
                None => return Ok(None),
            },
            "holdfast" => ("Holdfast".to_owned(), holdfast(workspace)?),
            path => {
                let name = Path::new(path).file_name().unwrap_or_default();
                (name.to_string_lossy().into_owned(), PathBuf::from(path))
            }
        };
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = version(&text).to_owned();
        Ok(Some(Side { label, program, version }))
    }
}

/// The line that names the version: ours prints the one of etcd whose interface it has before it.
fn version(text: &str) -> &str {
    let own = text.lines().find(|line| line.starts_with("Holdfast Version"));
    own.or(text.lines().next()).unwrap_or("unknown version")
}

/// Makes the labels of two sides different.
pub(super) fn tell_apart(sides: &mut [Side]) {
    if let [a, b] = sides
        && a.label == b.label
    {
        a.label.push_str(" (a)");
        b.label.push_str(" (b)");
    }
}

/// Our program, built as it is published.
fn holdfast(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(HOLDFAST_VARIABLE) {
        return Ok(PathBuf::from(given));
    }
    build(workspace, PACKAGE, HOLDFAST)
}

/// Builds a package with the release profile, and returns the path of its program.
pub(super) fn build(workspace: &Workspace, package: &str, program: &str) -> Result<PathBuf> {
    let command =
        CommandLine::new(["cargo", "build", "--release", "--quiet", "--package", package]);
    eprintln!("bench: {command} (some minutes the first time)");
    let status = command.status(&workspace.root)?;
    ensure!(status.success(), "`{command}` failed with {status}");
    let path = workspace.target.join("release").join(program);
    ensure!(path.is_file(), "`{command}` succeeded, and {} is not there", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(label: &str) -> Side {
        Side { label: label.to_owned(), program: PathBuf::new(), version: String::new() }
    }

    #[test]
    fn own_version_goes_before_that_of_the_interface() {
        assert_eq!(version("etcd Version: 3.7.1\nGit SHA: x\n"), "etcd Version: 3.7.1");
        let text = "etcd Version: 3.7.1\nHoldfast Version: 0.1.0\n";
        assert_eq!(version(text), "Holdfast Version: 0.1.0");
    }

    #[test]
    fn sides_of_the_same_name_are_told_apart() {
        let mut sides = [side("etcd"), side("etcd")];
        tell_apart(&mut sides);
        assert_eq!(sides.map(|side| side.label), ["etcd (a)", "etcd (b)"]);
        let mut sides = [side("etcd"), side("Holdfast")];
        tell_apart(&mut sides);
        assert_eq!(sides.map(|side| side.label), ["etcd", "Holdfast"]);
    }
}
