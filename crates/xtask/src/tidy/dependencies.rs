//! Rules for what may depend on what. The table here is the one of `crates/README.md`.
//!
//! Only normal dependencies count: what a crate's tests use does not reach the product.

use super::{Crate, Finding, Tree};
use crate::workspace::Dependency;

/// What one crate may depend on.
struct Allowed {
    name: &'static str,
    /// Crates of the workspace.
    workspace: &'static [&'static str],
    outside: Outside,
}

/// Which crates from elsewhere may be used.
#[derive(Clone, Copy)]
enum Outside {
    /// These alone.
    Only(&'static [&'static str]),
    /// Any that block: time is ticks, and a thread is somebody else's business.
    Blocking,
    /// Any; here it is allowed to be asynchronous.
    Any,
}

const ALLOWED: &[Allowed] = &[
    Allowed { name: "raft", workspace: &[], outside: Outside::Only(&["bytes"]) },
    Allowed { name: "disk", workspace: &[], outside: Outside::Blocking },
    Allowed { name: "wal", workspace: &["disk", "raft"], outside: Outside::Blocking },
    Allowed { name: "mvcc", workspace: &["disk"], outside: Outside::Blocking },
    Allowed { name: "store", workspace: &["mvcc"], outside: Outside::Blocking },
    Allowed {
        name: "replica",
        workspace: &["raft", "wal", "store", "mvcc", "disk"],
        outside: Outside::Blocking,
    },
    Allowed { name: "etcd-api", workspace: &[], outside: Outside::Any },
    Allowed {
        name: "server",
        workspace: &["replica", "store", "mvcc", "raft", "wal", "disk", "etcd-api"],
        outside: Outside::Any,
    },
    Allowed { name: "operator", workspace: &["etcd-api"], outside: Outside::Any },
    Allowed {
        name: "sim",
        workspace: &["replica", "store", "mvcc", "raft", "wal", "disk"],
        outside: Outside::Blocking,
    },
    Allowed { name: "xtask", workspace: &[], outside: Outside::Blocking },
    Allowed { name: "load", workspace: &[], outside: Outside::Blocking },
    Allowed { name: "tests", workspace: &["etcd-api"], outside: Outside::Any },
];

/// Crates of the workspace depend on each other only as the table allows.
pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.crates {
        let name = &member.package.name;
        let Some(allowed) = allowed(name) else {
            findings.push(Finding::at(
                &member.manifest,
                1,
                "a crate of the table in tidy/dependencies.rs",
                format!("`{name}`"),
                "add it there and to crates/README.md, with what it may depend on",
            ));
            continue;
        };
        for dependency in normal(member).filter(|dependency| dependency.path.is_some()) {
            if !allowed.workspace.contains(&dependency.name.as_str()) {
                let may = if allowed.workspace.is_empty() {
                    "no crate of the workspace".to_owned()
                } else {
                    format!("only {}", allowed.workspace.join(", "))
                };
                findings.push(finding(
                    tree,
                    member,
                    dependency,
                    format!("`{name}` to depend on {may}"),
                    "turn the dependency around; an invariant of crates/README.md stands on it",
                ));
            }
        }
    }
    findings
}

/// Crates from elsewhere are used only where the table allows them.
pub(super) fn outside(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.crates {
        let name = &member.package.name;
        let Some(allowed) = allowed(name) else { continue };
        for dependency in normal(member).filter(|dependency| dependency.path.is_none()) {
            let (fits, expected) = match allowed.outside {
                Outside::Only(names) => (
                    names.contains(&dependency.name.as_str()),
                    format!("`{name}` to use nothing from outside but {}", names.join(", ")),
                ),
                Outside::Blocking => (
                    !is_asynchronous(&dependency.name),
                    format!("`{name}` to be free of asynchronous code"),
                ),
                Outside::Any => (true, String::new()),
            };
            if !fits {
                findings.push(finding(
                    tree,
                    member,
                    dependency,
                    expected,
                    "do without, or move what needs it to a crate above",
                ));
            }
        }
    }
    findings
}

fn allowed(name: &str) -> Option<&'static Allowed> {
    ALLOWED.iter().find(|allowed| allowed.name == name)
}

fn normal(member: &Crate) -> impl Iterator<Item = &Dependency> {
    member.package.dependencies.iter().filter(|dependency| dependency.kind.is_none())
}

fn is_asynchronous(name: &str) -> bool {
    ["tokio", "async", "futures", "hyper", "tonic", "smol"]
        .iter()
        .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}-")))
}

/// A dependency that should not be, at its line in the manifest.
fn finding(
    tree: &Tree,
    member: &Crate,
    dependency: &Dependency,
    expected: String,
    remedy: &str,
) -> Finding {
    let name = &dependency.name;
    let line = tree.file(&member.manifest).and_then(|manifest| {
        let names =
            |line: &str| line.split(['=', '.']).next().is_some_and(|key| key.trim() == name);
        manifest.lines().find(|(_, line)| names(line)).map(|(number, _)| number)
    });
    Finding::at(&member.manifest, line.unwrap_or(1), expected, format!("`{name}`"), remedy)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::places;
    use super::*;
    use crate::workspace::Package;

    /// A crate that depends on these: `name` from elsewhere, `./name` in the workspace, and
    /// `dev:./name` for its tests.
    pub(in super::super) fn member(name: &str, dependencies: &[&str]) -> Crate {
        let dependencies = dependencies
            .iter()
            .map(|text| {
                let (kind, text) = match text.strip_prefix("dev:") {
                    Some(rest) => (Some("dev".to_owned()), rest),
                    None => (None, *text),
                };
                let path = text.strip_prefix("./").map(|name| format!("crates/{name}").into());
                Dependency { name: text.trim_start_matches("./").to_owned(), kind, path }
            })
            .collect();
        let manifest = format!("crates/{name}/Cargo.toml");
        let package =
            Package { name: name.to_owned(), manifest_path: manifest.clone().into(), dependencies };
        Crate { package, manifest }
    }

    fn tree(members: Vec<Crate>) -> Tree {
        Tree { crates: members, ..Tree::default() }
    }

    #[test]
    fn edge_that_is_not_in_the_table_is_found() {
        let tree = tree(vec![
            member("raft", &["bytes", "dev:./sim"]),
            member("sim", &["./raft"]),
            member("wal", &["./raft", "./store"]),
        ]);
        assert_eq!(places(&edges(&tree)), ["crates/wal/Cargo.toml:1"]);
    }

    #[test]
    fn edge_is_found_at_its_line() {
        let mut tree = tree(vec![member("raft", &["./disk"])]);
        tree.files = Tree::of(&[(
            "crates/raft/Cargo.toml",
            "[package]\nname = \"raft\"\n[dependencies]\ndisk = { workspace = true }\n",
        )])
        .files;
        let findings = edges(&tree);
        assert_eq!(places(&findings), ["crates/raft/Cargo.toml:4"]);
        assert_eq!(findings[0].expected, "`raft` to depend on no crate of the workspace");
    }

    #[test]
    fn crate_without_a_row_is_found() {
        let findings = edges(&tree(vec![member("utils", &[])]));
        assert_eq!(places(&findings), ["crates/utils/Cargo.toml:1"]);
    }

    #[test]
    fn core_uses_nothing_but_bytes() {
        let tree = tree(vec![member("raft", &["bytes", "rand", "dev:goldenscript"])]);
        let findings = outside(&tree);
        assert_eq!(findings.len(), 1, "only one is too many: {findings:?}");
        assert_eq!(findings[0].found, "`rand`");
    }

    #[test]
    fn asynchronous_code_stays_above_the_replica() {
        let tree = tree(vec![
            member("replica", &["tokio-util"]),
            member("mvcc", &["tonic"]),
            member("server", &["tokio", "tonic"]),
            member("store", &["thiserror"]),
        ]);
        assert_eq!(
            places(&outside(&tree)),
            ["crates/replica/Cargo.toml:1", "crates/mvcc/Cargo.toml:1"]
        );
    }

    #[test]
    fn table_names_only_crates_that_it_has() {
        for row in ALLOWED {
            for name in row.workspace {
                assert!(allowed(name).is_some(), "`{}` names `{name}`, which has no row", row.name);
            }
        }
    }
}
