//! Rules for files of Rust.

use super::{Finding, SourceFile, Tree};

/// How long a file may be without its tests.
const PRODUCT_LINES_MAX: usize = 500;
/// How long a file may be with its tests, and a file of tests.
const LINES_MAX: usize = 600;

/// Every file begins by saying what it is about.
pub(super) fn header(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            file.finding(
                1,
                "a file that begins with `//! `",
                format!("`{first}`"),
                "say in one sentence what the file is about",
            )
        })
        .collect()
}

/// Files are short enough to be read.
pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let product = if is_test(&file.path) { 0 } else { product_lines(file).count() };
        if product > PRODUCT_LINES_MAX {
            findings.push(file.finding(
                PRODUCT_LINES_MAX + 1,
                format!("at most {PRODUCT_LINES_MAX} lines without tests"),
                product.to_string(),
                "cut the file where its subject changes",
            ));
        }
        let all = file.text.lines().count();
        if all > LINES_MAX {
            findings.push(file.finding(
                LINES_MAX + 1,
                format!("at most {LINES_MAX} lines"),
                all.to_string(),
                "move tests to a file of their own, or cut that file by subject",
            ));
        }
    }
    findings
}

/// Nothing is left to be finished, skipped or looked at while writing it.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    // In two pieces, so that this file keeps its own rule.
    const WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    const CODE: &[&str] = &[
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
    ];
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (number, line) in file.lines() {
            let word = WORDS.iter().find(|word| has_word(line, word));
            if let Some(found) = word.or_else(|| CODE.iter().find(|code| line.contains(**code))) {
                findings.push(file.finding(
                    number,
                    "finished code, all of whose tests run",
                    format!("`{found}`"),
                    "finish it, or delete it and open an issue",
                ));
            }
        }
    }
    findings
}

/// What is called an invariant is asserted, in the file that says so or in a file of its module.
pub(super) fn invariants(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let first = file.lines().find(|(_, line)| {
            let line = line.trim_start();
            line.starts_with("/// Invariant:") || line.starts_with("//! Invariant:")
        });
        let Some((number, _)) = first else { continue };
        let asserted = tree
            .rust()
            .filter(|other| is_same_module(&file.path, &other.path))
            .any(|other| product_lines(other).any(asserts));
        if !asserted {
            findings.push(file.finding(
                number,
                "an `assert!` outside tests that repeats the invariant",
                "none in the module",
                "assert it where it could break, or call it a remark",
            ));
        }
    }
    findings
}

/// The lines before the tests at the end of the file.
pub(super) fn product_lines(file: &SourceFile) -> impl Iterator<Item = &str> {
    let tests = file.text.lines().enumerate().filter(|(_, line)| *line == "#[cfg(test)]").last();
    let end = tests.map_or(usize::MAX, |(index, _)| index);
    file.text.lines().take(end)
}

/// Tells whether the line asserts something.
pub(super) fn asserts(line: &str) -> bool {
    ["assert!(", "assert_eq!(", "assert_ne!("].iter().any(|call| line.contains(call))
}

/// Tells whether a file holds nothing but tests.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Tells whether `other` is `path`, lies in its module, or is the module it lies in.
fn is_same_module(path: &str, other: &str) -> bool {
    let module = |path: &str| path.trim_end_matches(".rs").to_owned() + "/";
    path == other || other.starts_with(&module(path)) || path.starts_with(&module(other))
}

/// Tells whether the line holds the word, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(continues) && !line[at + word.len()..].starts_with(continues)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn file_without_header_is_found() {
        let tree = Tree::of(&[("a.rs", "//! Says what.\n"), ("b.rs", "use std::fmt;\n")]);
        assert_eq!(places(&header(&tree)), ["b.rs:1"]);
    }

    #[test]
    fn long_file_is_found_without_counting_its_tests() {
        let product = "x\n".repeat(500);
        let tested = format!("{product}#[cfg(test)]\nmod tests {{}}\n");
        let tree = Tree::of(&[
            ("fits.rs", &product),
            ("tested.rs", &tested),
            ("long.rs", &"x\n".repeat(501)),
        ]);
        assert_eq!(places(&length(&tree)), ["long.rs:501"]);
    }

    #[test]
    fn file_that_is_long_with_its_tests_is_found() {
        let tests = format!("x\n#[cfg(test)]\n{}", "x\n".repeat(599));
        let tree = Tree::of(&[
            ("a.rs", &tests),
            ("tests/fits.rs", &"x\n".repeat(600)),
            ("tests/long.rs", &"x\n".repeat(601)),
        ]);
        assert_eq!(places(&length(&tree)), ["a.rs:601", "tests/long.rs:601"]);
    }

    #[test]
    fn unfinished_code_is_found() {
        for text in [
            concat!("// TO", "DO: later"),
            concat!("// FIX", "ME"),
            concat!("    todo", "!()"),
            concat!("#[ign", "ore = \"slow\"]"),
            concat!("dbg", "!(x);"),
        ] {
            let tree = Tree::of(&[("a.rs", text)]);
            assert_eq!(places(&unfinished(&tree)), ["a.rs:1"], "{text}");
        }
        assert_eq!(unfinished(&Tree::of(&[("a.rs", concat!("const MASTO", "DON: u8;"))])), []);
    }

    #[test]
    fn invariant_without_assertion_is_found() {
        let said = "/// Invariant: `a < b`.\nstruct S;\n";
        let only_tested = format!("{said}#[cfg(test)]\nmod tests {{ assert!(x); }}\n");
        let tree = Tree::of(&[
            ("src/bare.rs", said),
            ("src/tested.rs", &only_tested),
            ("src/whole.rs", &format!("{said}fn f() {{\n    assert!(a < b, \"less\");\n}}\n")),
            ("src/split.rs", said),
            ("src/split/inner.rs", "fn f() {\n    debug_assert!(a < b, \"less\");\n}\n"),
        ]);
        assert_eq!(places(&invariants(&tree)), ["src/bare.rs:1", "src/tested.rs:1"]);
    }
}
