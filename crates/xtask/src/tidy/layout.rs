//! Rules for where things lie.

use std::collections::BTreeSet;

use super::{Finding, SourceFile, Tree};

const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "charts",
    "crates",
    "manifests",
    "proto",
    "tests",
];
const MAP: &str = "crates/README.md";

/// The top level is settled; what is new goes below.
pub(super) fn top_level(tree: &Tree) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in &tree.files {
        let entry = file.path.split('/').next().unwrap_or_default();
        if !entry.starts_with('.') && !TOP_LEVEL.contains(&entry) && seen.insert(entry) {
            findings.push(file.finding(
                1,
                format!("nothing at the top level but {} and dotfiles", TOP_LEVEL.join(", ")),
                format!("`{entry}`"),
                "move it below one of these",
            ));
        }
    }
    findings
}

/// The map lists every crate that exists under "Crates", and none that exists under "To come".
pub(super) fn code_map(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else {
        return vec![Finding::at(MAP, 1, "a map of the crates", "no such file", "restore it")];
    };
    let listed = crates_below(map, "## Crates");
    let to_come = crates_below(map, "## To come");
    let mut findings = Vec::new();
    for member in &tree.crates {
        let name = &member.package.name;
        if !listed.iter().any(|(_, listed)| listed == name) {
            findings.push(map.finding(
                1,
                format!("a row for `{name}` in the table below `## Crates`"),
                "none",
                "say what the crate is for and what it may depend on",
            ));
        }
    }
    let exists = |name: &str| tree.crates.iter().any(|member| member.package.name == name);
    for (line, name) in listed.iter().filter(|(_, name)| !exists(name)) {
        findings.push(map.finding(
            *line,
            "a crate that exists",
            format!("`{name}`"),
            "move the row below `## To come`, or delete it",
        ));
    }
    for (line, name) in to_come.iter().filter(|(_, name)| exists(name)) {
        findings.push(map.finding(
            *line,
            "a crate that does not exist yet",
            format!("`{name}`"),
            "move the row below `## Crates`",
        ));
    }
    findings
}

/// The crates that begin a row of a table between `heading` and the next heading.
fn crates_below(map: &SourceFile, heading: &str) -> Vec<(usize, String)> {
    map.lines()
        .skip_while(|(_, line)| *line != heading)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
        .filter_map(|(number, line)| {
            let name = line.strip_prefix("| `")?.split('`').next()?;
            Some((number, name.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::dependencies::tests::member;
    use super::super::tests::places;
    use super::*;

    #[test]
    fn new_entry_at_the_top_is_found_once() {
        let tree = Tree::of(&[
            (".ci/run", ""),
            ("README.md", ""),
            ("crates/a/src/lib.rs", ""),
            ("docs/a.md", ""),
            ("docs/b.md", ""),
            ("justfile", ""),
        ]);
        assert_eq!(places(&top_level(&tree)), ["docs/a.md:1", "justfile:1"]);
    }

    #[test]
    fn map_that_differs_from_the_crates_is_found() {
        let map = "# Map\n## Crates\n| `raft` | x |\n| `gone` | x |\n\n## To come\n\
                   | `sim` | x |\n| `wal` | x |\n## Glossary\n| `term` | x |\n";
        let mut tree = Tree::of(&[(MAP, map)]);
        tree.crates = vec![member("raft", &[]), member("sim", &[])];
        let findings = code_map(&tree);
        assert_eq!(
            places(&findings),
            ["crates/README.md:1", "crates/README.md:4", "crates/README.md:7"]
        );
        assert_eq!(findings[0].expected, "a row for `sim` in the table below `## Crates`");
        assert_eq!(findings[1].found, "`gone`");
        assert_eq!(findings[2].found, "`sim`");
    }
}
