//! `cargo xtask tools`: the programs of others that tests and comparisons need, built from their
//! published Go modules into a cache.
//!
//! ```text
//! CACHE/tools/etcd-3.7.1/            one directory for each set, which is one Go module of ours
//!                       lock         held by the run that builds; the kernel lets go of it if that
//!                                    run is killed
//!                       building-7/  of the run, process 7, that holds the lock; what a killed run
//!                                    left there is swept away by the next
//!                       etcd         complete: a program appears under its name by being renamed
//! ```
//!
//! A variable of the environment that names a program ([`Tool::variable`]) goes before the cache.
//! Nothing here is a part of the product.

mod build;
mod set;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;
use crate::tools::set::{SETS, Set, Tool};

/// What `--help` says.
const HELP: &str = "\
usage: cargo xtask tools [NAME…]

Builds real etcd, etcdctl, etcdutl and etcd's benchmark (or what is named) from their published Go
modules into a cache, and prints for each its name and its path. What is there is not built again.

names, and the variable that names a program to take instead:
";

/// Builds what is named and prints where it is.
pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    if args.take_switch("--help") {
        print!("{HELP}");
        for set in SETS {
            for tool in set.tools {
                println!("  {:<26}{}", tool.name, tool.variable);
            }
        }
        println!("  {:<26}the set of that name", "kubernetes");
        return Ok(ExitCode::SUCCESS);
    }
    for (set, tool) in selected(&args.into_names()?)? {
        let path = find_or_build(set, tool)?;
        println!("{:<24}{}", tool.name, path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the path of the tool `name`, if a variable names it or the cache has it.
pub(crate) fn path_if_there(name: &str) -> Result<Option<PathBuf>> {
    let (set, tool) = find(name)?;
    if std::env::var_os(tool.variable).is_some() {
        return find_or_build(set, tool).map(Some);
    }
    let path = place(set, tool)?;
    Ok(path.is_file().then_some(path))
}

/// Returns the path of the tool `name`, built if it is not there yet.
pub(crate) fn path_or_build(name: &str) -> Result<PathBuf> {
    let (set, tool) = find(name)?;
    find_or_build(set, tool)
}

/// Returns the version that the cache holds of the tool `name`.
pub(crate) fn version(name: &str) -> Result<&'static str> {
    Ok(find(name)?.0.version)
}

/// The tools that are meant by `names`: without a name, the first set.
fn selected(names: &[String]) -> Result<Vec<(&'static Set, &'static Tool)>> {
    if names.is_empty() {
        return Ok(SETS[0].tools.iter().map(|tool| (&SETS[0], tool)).collect());
    }
    let mut tools = Vec::new();
    for name in names {
        // A set is meant by its name, unless a tool is called the same.
        match SETS.iter().find(|set| set.name == name && find(name).is_err()) {
            Some(set) => tools.extend(set.tools.iter().map(|tool| (set, tool))),
            None => tools.push(find(name)?),
        }
    }
    Ok(tools)
}

fn find(name: &str) -> Result<(&'static Set, &'static Tool)> {
    for set in SETS {
        if let Some(tool) = set.tools.iter().find(|tool| tool.name == name) {
            return Ok((set, tool));
        }
    }
    let known: Vec<&str> =
        SETS.iter().flat_map(|set| set.tools.iter().map(|tool| tool.name)).collect();
    bail!("unknown tool `{name}`; known are {}, kubernetes", known.join(", "));
}

fn find_or_build(set: &'static Set, tool: &'static Tool) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(tool.variable) {
        let path = PathBuf::from(given);
        ensure!(
            path.is_file(),
            "{} names {}, which is not a file; correct it, or unset it to have {} built",
            tool.variable,
            path.display(),
            tool.name
        );
        return Ok(path);
    }
    let path = place(set, tool)?;
    if !path.is_file() {
        build::build(set, tool, &path)
            .with_context(|| format!("cannot build {} {}", tool.name, set.version))?;
    }
    Ok(path)
}

/// Where the cache has a tool, or would have it.
fn place(set: &Set, tool: &Tool) -> Result<PathBuf> {
    Ok(cache_directory()?.join("tools").join(set.directory()).join(tool.name))
}

/// Where programs are kept between runs.
pub(crate) fn cache_directory() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let path = match (variable("HOLDFAST_CACHE"), variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(own), _, _) => PathBuf::from(own),
        (None, Some(shared), _) => Path::new(&shared).join("holdfast"),
        (None, None, Some(home)) => Path::new(&home).join(".cache").join("holdfast"),
        (None, None, None) => bail!(
            "none of HOLDFAST_CACHE, XDG_CACHE_HOME and HOME is set; set HOLDFAST_CACHE to the \
             directory where the programs are to be kept"
        ),
    };
    std::path::absolute(&path).with_context(|| format!("cannot make {} absolute", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(words: &[&str]) -> Result<Vec<&'static str>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(selected(&words)?.iter().map(|(_, tool)| tool.name).collect())
    }

    #[test]
    fn without_a_name_all_of_etcd_is_meant() {
        assert_eq!(names_of(&[]).unwrap(), ["etcd", "etcdctl", "etcdutl", "benchmark"]);
    }

    #[test]
    fn set_and_tool_are_meant_by_their_names() {
        assert_eq!(names_of(&["etcd"]).unwrap(), ["etcd"]);
        assert_eq!(names_of(&["kubectl", "benchmark"]).unwrap(), ["kubectl", "benchmark"]);
        let kubernetes = names_of(&["kubernetes"]).unwrap();
        assert_eq!(kubernetes[..2], ["kube-apiserver", "kubectl"]);
    }

    #[test]
    fn unknown_tool_is_refused_with_the_known_ones() {
        let error = names_of(&["etdctl"]).expect_err("it is misspelt").to_string();
        assert!(error.starts_with("unknown tool `etdctl`; known are etcd, etcdctl,"), "{error}");
    }
}
