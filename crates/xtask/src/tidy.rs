//! `cargo xtask tidy`: the rules of `crates/STYLE.md` and `crates/README.md` that a program can
//! check, so that no person has to.
//!
//! A rule is a function from the [`Tree`] to what it finds wrong. Each is tested on small strings
//! that break it.

mod dependencies;
mod layout;
mod planted;
mod rust;
mod settings;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::workspace::{Package, Workspace};

/// All that the rules look at.
#[derive(Default)]
struct Tree {
    /// The text files, in the order of their paths.
    files: Vec<SourceFile>,
    crates: Vec<Crate>,
}

/// One text file.
struct SourceFile {
    /// Relative to the root of the workspace.
    path: String,
    text: String,
}

/// One crate of the workspace.
struct Crate {
    package: Package,
    /// The path of its manifest, relative to the root.
    manifest: String,
}

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// Counted from one; one also if the whole file is meant.
    line: usize,
    expected: String,
    found: String,
    /// What to do about it.
    remedy: String,
}

/// A rule's name, and the rule.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("dependencies", dependencies::edges),
    ("outside dependencies", dependencies::outside),
    ("top level", layout::top_level),
    ("code map", layout::code_map),
    ("lints inherited", settings::lints_inherited),
    ("unsafe forbidden", settings::unsafe_forbidden),
    ("shared clippy lines", settings::shared_clippy_lines),
    ("columns", text::columns),
    ("blanks", text::blanks),
    ("absolute paths", text::absolute_paths),
    ("file header", rust::header),
    ("file length", rust::length),
    ("unfinished code", rust::unfinished),
    ("invariants asserted", rust::invariants),
    ("planted bugs fit", planted::fit),
];

/// Checks every rule and prints each place where one is broken.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    args.finish()?;
    let tree = Tree::read(workspace)?;
    let mut broken = 0;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            println!("{finding} [{name}]");
            broken += 1;
        }
    }
    println!("tidy: assertions outside tests: {}", tree.assertions());
    if broken > 0 {
        println!("tidy: {broken} places to mend");
        return Ok(ExitCode::FAILURE);
    }
    println!("tidy: {} files keep {} rules", tree.files.len(), RULES.len());
    Ok(ExitCode::SUCCESS)
}

impl Tree {
    fn read(workspace: &Workspace) -> Result<Tree> {
        let mut files = Vec::new();
        for path in workspace.files()? {
            let bytes = std::fs::read(workspace.root.join(&path))
                .with_context(|| format!("cannot read {path}"))?;
            // What is not text is nobody's to read.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
        let crates = workspace
            .packages
            .iter()
            .map(|package| Crate {
                package: package.clone(),
                manifest: workspace.manifest_of(package),
            })
            .collect();
        Ok(Tree { files, crates })
    }

    fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// How many assertions and functions each crate has outside its tests: a figure to watch, not a
    /// rule.
    fn assertions(&self) -> String {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for file in self.rust() {
            let mut parts = file.path.split('/');
            let (Some("crates"), Some(name), Some("src")) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let (assertions, functions) = counts.entry(name).or_default();
            for line in rust::product_lines(file) {
                *assertions += usize::from(rust::asserts(line));
                *functions += usize::from(line.contains("fn ") && line.contains('('));
            }
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(name, (assertions, functions))| {
                format!("{name} {assertions} in {functions} functions")
            })
            .collect();
        counts.join(", ")
    }
}

impl SourceFile {
    /// The lines with their numbers, counted from one.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Something wrong at a line of this file.
    fn finding(
        &self,
        line: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding::at(&self.path, line, expected, found, remedy)
    }
}

impl Finding {
    fn at(
        path: &str,
        line: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { path, line, expected, found, remedy } = self;
        write!(f, "{path}:{line}: expected {expected}, found {found}; {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Tree {
        /// A tree of these files, each a path and a text.
        pub(super) fn of(files: &[(&str, &str)]) -> Tree {
            let files = files
                .iter()
                .map(|(path, text)| SourceFile {
                    path: (*path).to_owned(),
                    text: (*text).to_owned(),
                })
                .collect();
            Tree { files, crates: Vec::new() }
        }
    }

    /// Where the rule finds something wrong, as `path:line`.
    pub(super) fn places(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    #[test]
    fn finding_says_where_what_and_what_to_do() {
        let finding = Finding::at("a.rs", 3, "at most 100 columns", "104", "break the line");
        assert_eq!(
            finding.to_string(),
            "a.rs:3: expected at most 100 columns, found 104; break the line"
        );
    }

    #[test]
    fn assertions_are_counted_by_crate_without_tests() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "fn f() {\n    assert!(x);\n    debug_assert_eq!(y, z);\n}\n"),
            ("crates/a/src/b.rs", "fn g() {}\n#[cfg(test)]\nmod tests {\n    assert!(x);\n}\n"),
            ("crates/a/tests/t.rs", "assert!(x);\n"),
        ]);
        assert_eq!(tree.assertions(), "a 2 in 2 functions");
    }
}
