//! Planting bugs in the text of a source file.
//!
//! Every bug is located in the text as people wrote it, whatever else is planted there. Bugs may
//! replace the same text, or one may lie inside what another replaces: then each can be selected,
//! because the text that was there remains, with all that is planted inside it, as the last choice.

use std::fmt;
use std::ops::Range;

use crate::mutants::format::{CONDITION, Hunk, Kind, ORIGINAL};

/// One hunk of a bug, with the number that selects the bug.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted<'a> {
    pub(crate) number: u32,
    pub(crate) mutant: &'a str,
    pub(crate) hunk: &'a Hunk,
}

/// A hunk that cannot be planted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) mutant: String,
    /// The file that it does not fit, and why.
    pub(crate) reason: String,
}

/// A hunk, the text that it replaces, and what it replaces it with.
struct Placed<'a> {
    range: Range<usize>,
    planted: Planted<'a>,
    after: String,
}

impl Planted<'_> {
    pub(crate) fn misfit(&self, reason: &str) -> Misfit {
        let file = &self.hunk.file;
        Misfit { mutant: self.mutant.to_owned(), reason: format!("{file}: {reason}") }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.mutant, self.reason)
    }
}

/// Plants all hunks in the text of their file.
///
/// # Errors
///
/// If a hunk's text is not there exactly once, or two hunks cannot stand together.
pub(crate) fn patch(text: &str, planted: &[Planted<'_>]) -> Result<String, Vec<Misfit>> {
    let mut placed = Vec::new();
    let mut misfits = Vec::new();
    for planted in planted {
        match locate(text, &planted.hunk.before).as_slice() {
            [range] => {
                let after = with_original(planted.hunk);
                placed.push(Placed { range: range.clone(), planted: *planted, after });
            }
            found => misfits.push(planted.misfit(&format!(
                "expected exactly one `{}`, found {}",
                one_line(&planted.hunk.before),
                found.len()
            ))),
        }
    }
    if !misfits.is_empty() {
        return Err(misfits);
    }
    // Outer before inner; what shares a range stays in the order of names.
    placed.sort_by_key(|placed| (placed.range.start, usize::MAX - placed.range.end));
    let planted = render(text, 0..text.len(), &placed, &mut misfits);
    if misfits.is_empty() { Ok(planted) } else { Err(misfits) }
}

/// The text within `span`, with the hunks planted; each lies within `span`, in order.
///
/// What cannot stand together is added to `misfits`; the text is then of no use.
fn render(
    text: &str,
    span: Range<usize>,
    mut placed: &[Placed<'_>],
    misfits: &mut Vec<Misfit>,
) -> String {
    let mut out = String::new();
    let mut at = span.start;
    while let Some(first) = placed.first() {
        let range = first.range.clone();
        let same = placed.iter().take_while(|other| other.range == range).count();
        let inside = placed.iter().skip(same).take_while(|other| other.range.start < range.end);
        let (group, rest) = placed.split_at(same);
        let (inner, rest) = rest.split_at(inside.count());
        if let Some(across) = inner.iter().find(|other| other.range.end > range.end) {
            let reason = format!("overlaps with `{}`; choose another text", first.planted.mutant);
            misfits.push(across.planted.misfit(&reason));
            return out;
        }
        out.push_str(&text[at..range.start]);
        let mut choice = render(text, range.clone(), inner, misfits);
        for (nth, one) in group.iter().enumerate() {
            let other = group.iter().enumerate().find(|(other, _)| *other != nth);
            let other = other.map(|(_, other)| other).or(inner.first());
            if let Some(other) = other.filter(|_| one.replaces_for_good()) {
                let reason = format!(
                    "replaces for good what `{}` replaces too; keep it with ORIGINAL",
                    other.planted.mutant
                );
                misfits.push(one.planted.misfit(&reason));
            }
            choice = one.choose(&choice);
        }
        out.push_str(&choice);
        at = range.end;
        placed = rest;
    }
    out.push_str(&text[at..span.end]);
    out
}

impl Placed<'_> {
    /// Tells whether nothing is left of the text that was there.
    fn replaces_for_good(&self) -> bool {
        self.planted.hunk.kind == Kind::Raw && !self.after.contains(ORIGINAL)
    }

    /// The hunk's text if its bug is selected, else `otherwise`.
    fn choose(&self, otherwise: &str) -> String {
        let after = self.after.trim();
        let condition = format!("crate::planted::is({})", self.planted.number);
        match self.planted.hunk.kind {
            Kind::Expression => format!("(if {condition} {{ {after} }} else {{ {otherwise} }})"),
            Kind::Statement => format!("if {condition} {{ {after} }} else {{ {otherwise} }}"),
            Kind::Raw => after.replace(CONDITION, &condition).replace(ORIGINAL, otherwise),
        }
    }
}

/// The text of a hunk, where a raw one that repeats the text it replaces says ORIGINAL instead, so
/// that other bugs may lie there too.
fn with_original(hunk: &Hunk) -> String {
    if hunk.kind != Kind::Raw || hunk.after.contains(ORIGINAL) {
        return hunk.after.clone();
    }
    match locate(&hunk.after, &hunk.before).as_slice() {
        [range] => {
            let mut after = hunk.after.clone();
            after.replace_range(range.clone(), ORIGINAL);
            after
        }
        _ => hunk.after.clone(),
    }
}

/// Where the snippet stands in the text, blanks and line ends aside, and not as a part of a longer
/// word.
fn locate(text: &str, snippet: &str) -> Vec<Range<usize>> {
    let squeezed: Vec<(usize, char)> =
        text.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
    let wanted: Vec<char> = snippet.chars().filter(|c| !c.is_whitespace()).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    squeezed
        .windows(wanted.len())
        .filter(|window| window.iter().map(|(_, c)| c).eq(&wanted))
        .map(|window| {
            let (start, _) = window[0];
            let (last, last_char) = window[window.len() - 1];
            start..last + last_char.len_utf8()
        })
        .filter(|range| {
            let inner = &text[range.clone()];
            let cut_before = text[..range.start].ends_with(is_word) && inner.starts_with(is_word);
            let cut_after = text[range.end..].starts_with(is_word) && inner.ends_with(is_word);
            !cut_before && !cut_after
        })
        .collect()
}

fn one_line(snippet: &str) -> String {
    snippet.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunk(kind: Kind, before: &str, after: &str) -> Hunk {
        let file = "crates/raft/src/quorum.rs".to_owned();
        Hunk { file, kind, before: before.to_owned(), after: after.to_owned() }
    }

    /// Plants these, numbered and named from one.
    fn plant(text: &str, hunks: &[Hunk]) -> Result<String, Vec<String>> {
        let names: Vec<String> = (1..=hunks.len()).map(|number| format!("bug-{number}")).collect();
        let planted: Vec<Planted<'_>> = (1..)
            .zip(&names)
            .zip(hunks)
            .map(|((number, mutant), hunk)| Planted { number, mutant, hunk })
            .collect();
        patch(text, &planted)
            .map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn expression_is_chosen_in_parentheses() {
        let text = "let needed = self.len() / 2 + 1;";
        let planted = plant(text, &[hunk(Kind::Expression, "self.len() / 2 + 1", "1")]).unwrap();
        assert_eq!(
            planted,
            "let needed = (if crate::planted::is(1) { 1 } else { self.len() / 2 + 1 });"
        );
    }

    #[test]
    fn statement_is_chosen_whatever_its_layout() {
        let text = "    self.persist(\n        vote,\n    );\n    next();\n";
        let planted = plant(text, &[hunk(Kind::Statement, "self.persist( vote, );", "")]).unwrap();
        assert_eq!(
            planted,
            "    if crate::planted::is(1) {  } else { \
             self.persist(\n        vote,\n    ); }\n    next();\n"
        );
    }

    #[test]
    fn raw_text_places_condition_and_original() {
        let text = "Some(x) => f(x),";
        let raw = hunk(Kind::Raw, "Some(x) =>", "Some(_) if PLANTED => {}\nORIGINAL");
        assert_eq!(
            plant(text, &[raw]).unwrap(),
            "Some(_) if crate::planted::is(1) => {}\nSome(x) => f(x),"
        );
    }

    #[test]
    fn text_that_is_missing_or_not_alone_is_refused() {
        let text = "a + b; a + b; last; is_last;";
        let refused = plant(
            text,
            &[
                hunk(Kind::Expression, "a+b", "a"),
                hunk(Kind::Expression, "a - b", "a"),
                hunk(Kind::Expression, "last", "x"),
            ],
        );
        assert_eq!(
            refused.unwrap_err(),
            [
                "bug-1: crates/raft/src/quorum.rs: expected exactly one `a+b`, found 2",
                "bug-2: crates/raft/src/quorum.rs: expected exactly one `a - b`, found 0",
            ]
        );
    }

    #[test]
    fn bugs_in_the_same_text_can_each_be_selected() {
        let planted = plant(
            "f(a)",
            &[hunk(Kind::Expression, "a", "a + 1"), hunk(Kind::Expression, "a", "b")],
        );
        assert_eq!(
            planted.unwrap(),
            "f((if crate::planted::is(2) { b } else { \
             (if crate::planted::is(1) { a + 1 } else { a }) }))"
        );
    }

    #[test]
    fn raw_text_that_repeats_what_it_replaces_leaves_room_for_others() {
        let planted = plant(
            "f(a);",
            &[
                hunk(Kind::Raw, "f(a);", "if PLANTED { return; }\nf( a );"),
                hunk(Kind::Expression, "a", "b"),
            ],
        );
        assert_eq!(
            planted.unwrap(),
            "if crate::planted::is(1) { return; }\n\
             f((if crate::planted::is(2) { b } else { a }));"
        );
    }

    #[test]
    fn bug_inside_another_stays_selectable() {
        let outer = hunk(Kind::Statement, "a && b;", "");
        for (inner, expected) in
            [("a", "(if @ { !x } else { a }) && b;"), ("b", "a && (if @ { !x } else { b });")]
        {
            let planted = plant("a && b;", &[hunk(Kind::Expression, inner, "!x"), outer.clone()]);
            let expected = expected.replace('@', "crate::planted::is(1)");
            assert_eq!(
                planted.unwrap(),
                format!("if crate::planted::is(2) {{  }} else {{ {expected} }}")
            );
        }
    }

    #[test]
    fn bugs_that_cannot_stand_together_are_refused() {
        let across = [hunk(Kind::Statement, "a; b;", ""), hunk(Kind::Statement, "b; c;", "")];
        assert_eq!(
            plant("a; b; c;", &across).unwrap_err(),
            ["bug-2: crates/raft/src/quorum.rs: overlaps with `bug-1`; choose another text"]
        );
        let for_good = [hunk(Kind::Raw, "a; b;", "PLANTED;"), hunk(Kind::Statement, "b;", "")];
        assert_eq!(
            plant("a; b; c;", &for_good).unwrap_err(),
            ["bug-1: crates/raft/src/quorum.rs: \
              replaces for good what `bug-2` replaces too; keep it with ORIGINAL"]
        );
    }
}
