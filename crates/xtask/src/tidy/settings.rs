//! Rules for manifests and lint settings.

use super::{Finding, Tree};

/// Every crate inherits the workspace's lints.
pub(super) fn lints_inherited(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.crates {
        let Some(manifest) = tree.file(&member.manifest) else { continue };
        let mut lines = manifest.lines().map(|(_, line)| line.trim());
        let inherits = lines.any(|line| line == "[lints]")
            && lines
                .take_while(|line| !line.starts_with('['))
                .any(|line| line == "workspace = true");
        if !inherits {
            findings.push(manifest.finding(
                1,
                "`[lints]` with `workspace = true`",
                "none",
                "add it; what only this crate wants stands in its lib.rs",
            ));
        }
    }
    findings
}

/// No crate can contain `unsafe`: the compiler sees to it, if it is told to.
pub(super) fn unsafe_forbidden(tree: &Tree) -> Vec<Finding> {
    const FORBIDDEN: &str = "unsafe_code = \"forbid\"";
    let root = tree.file("Cargo.toml");
    let said = root.is_some_and(|file| file.lines().any(|(_, line)| line.trim() == FORBIDDEN));
    if said {
        return Vec::new();
    }
    vec![Finding::at(
        "Cargo.toml",
        1,
        format!("`{FORBIDDEN}` among the workspace's lints"),
        "none",
        "restore it: nothing here needs unsafe code",
    )]
}

/// A crate's own `.clippy.toml` replaces the one at the root, so it must repeat it.
pub(super) fn shared_clippy_lines(tree: &Tree) -> Vec<Finding> {
    let Some(root) = tree.file(".clippy.toml") else {
        return vec![Finding::at(
            ".clippy.toml",
            1,
            "the clippy settings of the workspace",
            "no such file",
            "restore it",
        )];
    };
    let is_setting = |line: &str| !line.is_empty() && !line.starts_with('#');
    let mut findings = Vec::new();
    for file in &tree.files {
        if !(file.path.starts_with("crates/") && file.path.ends_with("/.clippy.toml")) {
            continue;
        }
        for (_, shared) in root.lines().filter(|(_, line)| is_setting(line)) {
            if !file.lines().any(|(_, line)| line == shared) {
                findings.push(file.finding(
                    1,
                    format!("the shared line `{shared}`"),
                    "none",
                    "repeat it: this file replaces the one at the root",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::dependencies::tests::member;
    use super::super::tests::places;
    use super::*;

    #[test]
    fn crate_without_the_lints_is_found() {
        let mut tree = Tree::of(&[
            ("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/b/Cargo.toml", "[package]\nname = \"b\"\n"),
            ("crates/c/Cargo.toml", "[lints]\n\n[other]\nworkspace = true\n"),
        ]);
        tree.crates = vec![member("a", &[]), member("b", &[]), member("c", &[])];
        assert_eq!(
            places(&lints_inherited(&tree)),
            ["crates/b/Cargo.toml:1", "crates/c/Cargo.toml:1"]
        );
    }

    #[test]
    fn workspace_that_would_allow_unsafe_code_is_found() {
        let forbids = Tree::of(&[("Cargo.toml", "unsafe_code = \"forbid\"\n")]);
        assert_eq!(unsafe_forbidden(&forbids), []);
        let warns = Tree::of(&[("Cargo.toml", "unsafe_code = \"warn\"\n")]);
        assert_eq!(places(&unsafe_forbidden(&warns)), ["Cargo.toml:1"]);
    }

    #[test]
    fn missing_shared_clippy_line_is_found() {
        let tree = Tree::of(&[
            (".clippy.toml", "# Why.\nthreshold = 70\nallow = true\n"),
            ("crates/a/.clippy.toml", "allow = true\nthreshold = 70\nmore = 1\n"),
            ("crates/b/.clippy.toml", "threshold = 80\nallow = true\n"),
        ]);
        let findings = shared_clippy_lines(&tree);
        assert_eq!(places(&findings), ["crates/b/.clippy.toml:1"]);
        assert_eq!(findings[0].expected, "the shared line `threshold = 70`");
    }
}
