//! The table of planted bugs in the simulator's README.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::mutants::format::{Hunter, Mutant};
use crate::mutants::hunt::{Outcome, Results};
use crate::workspace::Workspace;

const README: &str = "crates/sim/README.md";
const BEGIN: &str = "<!-- mutants -->";
const END: &str = "<!-- /mutants -->";

/// The tables as Markdown, one for each hunter, with a line above that says how they were made.
pub(crate) fn render(
    mutants: &[Mutant],
    results: &Results,
    starts: usize,
    seeds_max: u64,
) -> String {
    let found = results.values().filter(|outcomes| outcomes.iter().all(Outcome::is_found)).count();
    let mut text = format!(
        "{found} of {} planted bugs are found every time, from {starts} {} of at most {seeds_max} \
         seeds each.\n",
        results.len(),
        if starts == 1 { "start" } else { "starts" }
    );
    for (hunter, about) in [
        (Hunter::Core, "Of the core, found where cores are simulated alone:"),
        (Hunter::Whole, "Of all below the server, found where whole members are simulated:"),
    ] {
        let results: Vec<_> =
            results.iter().filter(|(at, _)| mutants[**at].hunter == hunter).collect();
        if results.is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n{about}\n\n\
             | bug | what is broken | source | found by | seeds, median | seeds, max |\n\
             | --- | --- | --- | --- | ---: | ---: |\n"
        ));
        for (at, outcomes) in results {
            text.push_str(&row(&mutants[*at], outcomes));
        }
    }
    text
}

fn row(mutant: &Mutant, outcomes: &[Outcome]) -> String {
    let cells = [
        format!("`{}`", mutant.name),
        cell(&mutant.what),
        cell(&mutant.source),
        cell(&found_by(outcomes)),
        figure(seeds(outcomes).and_then(|seeds| median(&seeds))),
        figure(seeds(outcomes).and_then(|seeds| seeds.last().copied())),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// Puts the table between its marks in the simulator's README, and leaves the rest as it is.
pub(crate) fn write(workspace: &Workspace, table: &str) -> Result<()> {
    let text = readme_with(workspace, table)?;
    let path = workspace.root.join(README);
    std::fs::write(&path, text).with_context(|| format!("cannot write {README}"))?;
    println!("mutants: wrote the table to {README}");
    Ok(())
}

/// The simulator's README with this table in its place.
///
/// # Errors
///
/// If there is no such file, or it has no place for the table.
pub(crate) fn readme_with(workspace: &Workspace, table: &str) -> Result<String> {
    let path = workspace.root.join(README);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {README}"))?;
    replace(&text, table)
        .with_context(|| format!("{README} has no place for the table: {BEGIN}, then {END}"))
}

/// The text with what is between the marks replaced; `None` if the marks are missing.
fn replace(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n\n{table}\n{}", &text[..begin], &text[end..]))
}

/// The oracles that objected, those that did most often first.
fn found_by(outcomes: &[Outcome]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut survived = 0;
    for outcome in outcomes {
        match outcome {
            Outcome::Found { oracle, .. } => *counts.entry(oracle).or_default() += 1,
            Outcome::Survived | Outcome::Broken(_) => survived += 1,
        }
    }
    let mut oracles: Vec<(&str, usize)> = counts.into_iter().collect();
    oracles.sort_by_key(|(_, count)| usize::MAX - count);
    let mut parts: Vec<String> = oracles.iter().map(|(oracle, _)| (*oracle).to_owned()).collect();
    if survived > 0 {
        parts.push(format!("**survived {survived} of {}**", outcomes.len()));
    }
    parts.join(", ")
}

/// How many seeds each hunt needed, in order; `None` unless all of them found the bug.
fn seeds(outcomes: &[Outcome]) -> Option<Vec<u64>> {
    let seeds = outcomes.iter().map(|outcome| match outcome {
        Outcome::Found { seeds, .. } => Some(*seeds),
        Outcome::Survived | Outcome::Broken(_) => None,
    });
    let mut seeds = seeds.collect::<Option<Vec<u64>>>()?;
    seeds.sort_unstable();
    Some(seeds)
}

/// The middle one of numbers in order; of two in the middle, the higher.
fn median(numbers: &[u64]) -> Option<u64> {
    numbers.get(numbers.len() / 2).copied()
}

fn figure(number: Option<u64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| number.to_string())
}

/// Text that cannot end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(name: &str) -> Mutant {
        Mutant {
            name: name.to_owned(),
            what: "a || b is a.".to_owned(),
            source: "paper §5".to_owned(),
            hunter: if name == "three" { Hunter::Whole } else { Hunter::Core },
            hunks: Vec::new(),
        }
    }

    fn found(seeds: u64, oracle: &str) -> Outcome {
        Outcome::Found { seeds, oracle: oracle.to_owned(), text: String::new() }
    }

    #[test]
    fn table_shows_oracles_median_and_maximum() {
        let mutants = [mutant("one"), mutant("three"), mutant("two")];
        let outcomes = vec![found(9, "panic"), found(40, "log matching"), found(3, "log matching")];
        let results = Results::from([
            (0, outcomes),
            (1, vec![found(1, "history"), found(1, "history"), found(2, "history")]),
            (2, vec![found(1, "panic"), Outcome::Survived, found(2, "panic")]),
        ]);
        let table = render(&mutants, &results, 3, 100);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[0],
            "2 of 3 planted bugs are found every time, from 3 starts of at most 100 seeds each."
        );
        assert_eq!(
            lines[6],
            r"| `one` | a \|\| b is a. | paper §5 | log matching, panic | 9 | 40 |"
        );
        assert_eq!(
            lines[7],
            r"| `two` | a \|\| b is a. | paper §5 | panic, **survived 1 of 3** | – | – |"
        );
        assert_eq!(lines[13], r"| `three` | a \|\| b is a. | paper §5 | history | 1 | 2 |");
    }

    #[test]
    fn table_replaces_only_what_is_between_the_marks() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let once = replace(&text, "new\n").expect("both marks are there");
        assert_eq!(once, format!("above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"));
        assert_eq!(replace(&once, "new\n").expect("the marks remain"), once);
        assert_eq!(replace("no marks\n", "new\n"), None);
    }
}
