//! Rules for every line of text.

use super::{Finding, Tree};

const COLUMNS_MAX: usize = 100;

/// Kinds of files in which blanks at the end of a line, and tabs, are nobody's intention.
/// Recorded output is not among them.
const WRITTEN_BY_HAND: &[&str] =
    &[".rs", ".toml", ".md", ".yaml", ".yml", ".proto", ".mutant", ".html", ".js", ".css"];

/// Lines of Rust are at most 100 characters long.
pub(super) fn columns(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (number, line) in file.lines() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                findings.push(file.finding(
                    number,
                    format!("at most {COLUMNS_MAX} columns"),
                    columns.to_string(),
                    "break the line",
                ));
            }
        }
    }
    findings
}

/// No line ends in blanks or holds a tab.
pub(super) fn blanks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        if !WRITTEN_BY_HAND.iter().any(|end| file.path.ends_with(end)) {
            continue;
        }
        for (number, line) in file.lines() {
            if line.ends_with(char::is_whitespace) {
                findings.push(file.finding(
                    number,
                    "no blanks at the end of the line",
                    "some",
                    "remove them",
                ));
            }
            if line.contains('\t') {
                findings.push(file.finding(number, "spaces", "a tab", "write \\t or spaces"));
            }
        }
    }
    findings
}

/// Nothing refers to a place that only one machine has.
pub(super) fn absolute_paths(tree: &Tree) -> Vec<Finding> {
    // In two pieces, so that this file keeps its own rule.
    const PLACES: &[&str] =
        &[concat!("/", "work"), concat!("/", "root"), concat!("/", "home"), concat!("/", "Users")];
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            for place in PLACES {
                if names_place(line, place) {
                    findings.push(file.finding(
                        number,
                        "no path of one machine",
                        format!("one below {place}"),
                        "write it relative to the root of the workspace",
                    ));
                }
            }
        }
    }
    findings
}

/// Tells whether the line names `place` or something below it, as a path that begins there.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let continues = |c: char| c.is_alphanumeric() || "_-.~}/".contains(c);
        let begins = !line[..at].ends_with(continues);
        let below = line[at + place.len()..].starts_with('/');
        let ends = !line[at + place.len()..].starts_with(continues);
        begins && (below || ends)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn long_line_is_found_by_characters_not_bytes() {
        let long = "x".repeat(101);
        let text = format!("{}\n{long}\n", "─".repeat(100));
        let tree = Tree::of(&[("a.rs", &text), ("a.md", &long)]);
        assert_eq!(places(&columns(&tree)), ["a.rs:2"]);
    }

    #[test]
    fn blanks_and_tabs_are_found_in_what_is_written_by_hand() {
        let text = "fine\nends \n\tstarts\n";
        let tree = Tree::of(&[("a.rs", text), ("crates/raft/tests/scripts/recorded", text)]);
        assert_eq!(places(&blanks(&tree)), ["a.rs:2", "a.rs:3"]);
    }

    #[test]
    fn path_of_one_machine_is_found() {
        for text in
            [concat!("cd /", "root/x"), concat!("see `/", "home/me`"), concat!("\"/", "work\"")]
        {
            let tree = Tree::of(&[("README.md", text)]);
            assert_eq!(places(&absolute_paths(&tree)), ["README.md:1"], "{text}");
        }
    }

    #[test]
    fn path_that_only_looks_like_one_is_left_alone() {
        let text = concat!(
            "https://example.com/",
            "home/x\n$HOME/",
            "work/x\n../",
            "work/x\n/",
            "rooted\n"
        );
        let tree = Tree::of(&[("README.md", text)]);
        assert_eq!(absolute_paths(&tree), []);
    }
}
