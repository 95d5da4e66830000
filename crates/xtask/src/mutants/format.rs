//! The text of a planted bug.
//!
//! ```text
//! # A line that begins so is for people.
//! what: A majority is one voter short.
//! source: paper §5.2, "votes from a majority of the servers in the full cluster"
//! hunter: core
//!
//! file: crates/raft/src/quorum.rs
//! kind: expr
//! before: self.0.len() / 2 + 1
//! after:
//!     self.0.len() / 2
//! ```
//!
//! A value stands after its key, or indented below it, or both. `file` begins a hunk; there may be
//! several. `hunter` may be left out: see [`Hunter`].

use anyhow::{Result, bail, ensure};

/// What stands for the condition in a hunk of kind raw.
pub(crate) const CONDITION: &str = "PLANTED";
/// What stands for the text that was there in a hunk of kind raw.
pub(crate) const ORIGINAL: &str = "ORIGINAL";

/// The keys of the text, in their order.
const KEYS: [&str; 7] = ["what", "source", "hunter", "file", "kind", "before", "after"];

/// A bug that can be planted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// The name of its file, without `.mutant`: small letters, digits and dashes.
    pub(crate) name: String,
    /// What is broken, in one sentence.
    pub(crate) what: String,
    /// Where the rule that it breaks is written down, or where somebody really had the bug.
    pub(crate) source: String,
    /// Who is to find it.
    pub(crate) hunter: Hunter,
    /// What changes; at least one.
    pub(crate) hunks: Vec<Hunk>,
}

/// Which of the simulators is to find a bug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hunter {
    /// That of cores alone, unless the bug says otherwise.
    #[default]
    Core,
    /// That of whole members.
    Whole,
}

/// One change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    /// The path from the root of the workspace.
    pub(crate) file: String,
    pub(crate) kind: Kind,
    /// The text that is replaced. It stands in the file exactly once, blanks aside.
    pub(crate) before: String,
    /// What replaces it; see [`Kind`]. Empty if nothing does.
    pub(crate) after: String,
}

/// How the two texts of a hunk are joined, so that one build holds both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Both are expressions: becomes `(if planted { after } else { before })`.
    Expression,
    /// Both are statements: becomes `if planted { after } else { before }`.
    Statement,
    /// `after` is written as it is, with the condition in place of `PLANTED`, and the text that was
    /// there in place of `ORIGINAL`, or where it is repeated in full.
    Raw,
}

/// One `key: value` of the text.
struct Field {
    /// Counted from one.
    line: usize,
    key: String,
    /// The lines of the value, without blanks at their ends.
    value: Vec<String>,
}

/// Reads a planted bug from the text of the file at `path`.
///
/// # Errors
///
/// If anything is missing, unknown or out of order; the text names the line.
pub(crate) fn read(path: &str, text: &str) -> Result<Mutant> {
    let file_name = path.rsplit('/').next().unwrap_or(path);
    let name = file_name.strip_suffix(".mutant").unwrap_or(file_name);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(is_plain),
        "`{name}` is not made of small letters, digits and dashes"
    );
    let mut fields = fields(text)?.into_iter().peekable();
    let mut sentence = |key: &str| -> Result<String> {
        match fields.next_if(|field| field.key == key) {
            Some(field) => Ok(field.value.join(" ")),
            None => bail!("`{key}:` is missing; a planted bug begins with `what:`, then `source:`"),
        }
    };
    let what = sentence("what")?;
    let source = sentence("source")?;
    ensure!(
        what.starts_with(char::is_uppercase) && what.ends_with('.'),
        "`what:` should be a sentence, with a capital and a full stop"
    );
    ensure!(!source.is_empty(), "`source:` should name a paper, a thesis or an issue");
    let hunter = match fields.next_if(|field| field.key == "hunter") {
        Some(field) => hunter(&field)?,
        None => Hunter::default(),
    };

    let mut hunks = Vec::new();
    while let Some(file) = fields.next() {
        ensure!(file.key == "file", "line {}: expected `file:`, found `{}:`", file.line, file.key);
        let mut next = |key: &str| match fields.next_if(|field| field.key == key) {
            Some(field) => Ok(field),
            None => bail!("line {}: the hunk that begins here has no `{key}:` next", file.line),
        };
        let kind = kind(&next("kind")?)?;
        let before = next("before")?.value.join("\n");
        let after = next("after")?.value.join("\n");
        ensure!(!before.trim().is_empty(), "line {}: `before:` is empty", file.line);
        hunks.push(Hunk { file: path_of(&file)?, kind, before, after });
    }
    ensure!(!hunks.is_empty(), "there is no hunk: `file:`, `kind:`, `before:`, `after:`");
    let selectable =
        hunks.iter().any(|hunk| hunk.kind != Kind::Raw || hunk.after.contains(CONDITION));
    ensure!(selectable, "no hunk of kind raw says PLANTED, so that the bug would always be on");
    Ok(Mutant { name: name.to_owned(), what, source, hunter, hunks })
}

fn fields(text: &str) -> Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() || line.starts_with(' ') {
            match fields.last_mut() {
                Some(field) => field.value.push(line.trim_end().to_owned()),
                None => ensure!(line.is_empty(), "line {number}: indented below nothing"),
            }
            continue;
        }
        let Some((key, value)) = line.split_once(':') else {
            bail!("line {number}: neither `key: value`, nor indented, nor a remark (`#`)");
        };
        ensure!(
            KEYS.contains(&key),
            "line {number}: unknown key `{key}`; known are {}",
            KEYS.join(", ")
        );
        let value = vec![value.trim().to_owned()];
        fields.push(Field { line: number, key: key.to_owned(), value });
    }
    for field in &mut fields {
        let is_text = |line: &String| !line.is_empty();
        let start = field.value.iter().position(is_text).unwrap_or(field.value.len());
        let end = field.value.iter().rposition(is_text).map_or(start, |last| last + 1);
        field.value = field.value[start..end].to_vec();
        if ["what", "source"].contains(&field.key.as_str()) {
            field.value.iter_mut().for_each(|line| *line = line.trim().to_owned());
        }
    }
    Ok(fields)
}

fn hunter(field: &Field) -> Result<Hunter> {
    match field.value.join(" ").as_str() {
        "core" => Ok(Hunter::Core),
        "whole" => Ok(Hunter::Whole),
        other => bail!("line {}: unknown hunter `{other}`; known are core, whole", field.line),
    }
}

fn kind(field: &Field) -> Result<Kind> {
    match field.value.join(" ").as_str() {
        "expr" => Ok(Kind::Expression),
        "stmt" => Ok(Kind::Statement),
        "raw" => Ok(Kind::Raw),
        other => bail!("line {}: unknown kind `{other}`; known are expr, stmt, raw", field.line),
    }
}

/// The path of a source file: `crates/NAME/src/…`, for the copy gets its switch beside it.
fn path_of(field: &Field) -> Result<String> {
    let path = field.value.join(" ");
    let parts: Vec<&str> = path.split('/').collect();
    let is_source = matches!(parts.as_slice(), ["crates", _, "src", ..]) && path.ends_with(".rs");
    ensure!(is_source, "line {}: `{path}` is not of the form crates/…/src/….rs", field.line);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
# For people.
what: A majority is
  one voter short.
source: paper §5.2

file: crates/raft/src/quorum.rs
kind: expr
before: self.0.len() / 2 + 1
after:
    if self.0.len() > 1 {

        self.0.len() / 2
    }

file: crates/raft/src/log.rs
kind: stmt
before: assert!(x, \"why: y\");
after:
";

    #[test]
    fn planted_bug_is_read_with_all_its_hunks() {
        let mutant = read("crates/sim/mutants/short-majority.mutant", GOOD).unwrap();
        let expected = Mutant {
            name: "short-majority".to_owned(),
            what: "A majority is one voter short.".to_owned(),
            source: "paper §5.2".to_owned(),
            hunter: Hunter::Core,
            hunks: vec![
                Hunk {
                    file: "crates/raft/src/quorum.rs".to_owned(),
                    kind: Kind::Expression,
                    before: "self.0.len() / 2 + 1".to_owned(),
                    after: "    if self.0.len() > 1 {\n\n        self.0.len() / 2\n    }"
                        .to_owned(),
                },
                Hunk {
                    file: "crates/raft/src/log.rs".to_owned(),
                    kind: Kind::Statement,
                    before: "assert!(x, \"why: y\");".to_owned(),
                    after: String::new(),
                },
            ],
        };
        assert_eq!(mutant, expected);
    }

    #[test]
    fn hunter_stands_behind_the_source() {
        let text = GOOD.replace("paper §5.2", "paper §5.2\nhunter: whole");
        assert_eq!(read("a.mutant", &text).expect("it is known").hunter, Hunter::Whole);
    }

    #[test]
    fn what_cannot_be_planted_is_refused_with_the_reason() {
        let cases = [
            (GOOD.replace("source: paper §5.2", ""), "`source:` is missing"),
            (GOOD.replace("one voter short.", "one short"), "should be a sentence"),
            (GOOD.replace("kind: expr", "kind: expression"), "unknown kind `expression`"),
            (GOOD.replace("kind: expr\n", ""), "line 6: the hunk that begins here has no `kind:`"),
            (GOOD.replace("kind: expr", "sort: expr"), "line 7: unknown key `sort`"),
            (GOOD.replace("crates/raft/src/log.rs", "src/log.rs"), "is not of the form"),
            (GOOD.replace("before: assert!(x, \"why: y\");", "before:"), "`before:` is empty"),
            (GOOD.replace("§5.2", "§5.2\nhunter: all"), "line 5: unknown hunter `all`"),
            (GOOD.replace("# For people.", "For people"), "line 1: neither"),
            ("what: A.\nsource: b\n".to_owned(), "there is no hunk"),
        ];
        for (text, expected) in cases {
            let error = read("a.mutant", &text).expect_err(expected).to_string();
            assert!(error.contains(expected), "expected {expected}, found {error}");
        }
    }

    #[test]
    fn name_that_is_no_name_is_refused() {
        let error = read("Short_Majority.mutant", GOOD).expect_err("capitals").to_string();
        assert_eq!(error, "`Short_Majority` is not made of small letters, digits and dashes");
    }

    #[test]
    fn raw_hunk_that_cannot_be_turned_off_is_refused() {
        let text = "what: A.\nsource: b\nfile: crates/a/src/b.rs\nkind: raw\nbefore: x\nafter: y\n";
        let error = read("a.mutant", text).expect_err("always on").to_string();
        assert!(error.contains("always be on"), "the text says why: {error}");
        read("a.mutant", &text.replace("after: y", "after: PLANTED || x"))
            .expect("can be turned off");
    }
}
