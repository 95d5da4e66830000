//! Samples as tables and pictures.

mod plots;

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::bench::cases::{CASES, Case, Tool, Work};
use crate::bench::goals::{GOALS, Goal, Verdict};
use crate::bench::metric::{self, METRICS, Metric};
use crate::bench::samples::{Samples, Spread};

pub(super) use plots::plots;

/// What was compared, where and how: all that a reader needs who wants to do it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    /// `2026-11-25`.
    pub(super) date: String,
    /// The label of each side, and its version.
    pub(super) sides: Vec<(String, String)>,
    /// The machine, in pairs of a name and a value.
    pub(super) machine: Vec<(String, String)>,
    pub(super) flags: Vec<String>,
    pub(super) rounds: u64,
    /// How it was run, beyond the number of rounds.
    pub(super) remarks: Vec<String>,
}

/// The marks between which a page is written by us.
const BEGIN: &str = "<!-- written by cargo xtask bench: begin -->";
const END: &str = "<!-- written by cargo xtask bench: end -->";

/// The whole report, as Markdown. `pictures` are the names of files beside it.
pub(super) fn report(setting: &Setting, samples: &Samples, pictures: &[String]) -> String {
    let mut text = String::from("# Comparison\n\n");
    text.push_str(&heading(setting));
    if let Some(sides) = both(samples) {
        text.push_str("\n## Goals\n\n");
        text.push_str(&goals(samples, sides));
    }
    for picture in pictures {
        text.push_str(&format!("\n![{picture}]({picture})\n"));
    }
    text.push_str("\n## Figures\n\nMedian of the rounds, with the smallest and the largest.\n");
    for case in CASES {
        text.push_str(&figures(samples, case));
    }
    let failures = samples.failures();
    if !failures.is_empty() {
        text.push_str("\n## What failed\n\n");
        for failure in failures {
            text.push_str(&format!("- {}\n", failure.replace('\n', " ")));
        }
    }
    text
}

/// The part of a summary page that is written by us.
pub(super) fn summary(setting: &Setting, samples: &Samples, link: &str) -> String {
    let mut text = heading(setting);
    if let Some(sides) = both(samples) {
        text.push('\n');
        text.push_str(&goals(samples, sides));
    }
    text.push_str(&format!("\nAll figures and pictures: [{link}]({link}/README.md).\n"));
    text
}

/// Puts a summary between the marks of a page; `None` if it has no marks.
pub(super) fn between_marks(page: &str, summary: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{summary}\n{END}{after}"))
}

/// The goals for which there are figures, for a terminal.
pub(super) fn goals_for_terminal(samples: &Samples) -> String {
    let Some(sides) = both(samples) else { return String::new() };
    let mut rows = vec![goals_head(sides)];
    for goal in GOALS {
        let [cells @ .., verdict] = goal_row(samples, sides, goal);
        if goal.judge(samples, sides) != Verdict::NotMeasured {
            let [title, a, b, ratio, must] = cells;
            rows.push([title, a, b, ratio, must, verdict.replace("**", "")]);
        }
    }
    table(&rows)
}

fn both(samples: &Samples) -> Option<[&str; 2]> {
    match samples.sides().as_slice() {
        [a, b] => Some([a, b]),
        _ => None,
    }
}

fn heading(setting: &Setting) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("- {name}: {value}\n"));
    line("date", &setting.date);
    for (label, version) in &setting.sides {
        line(label, version);
    }
    for (name, value) in &setting.machine {
        line(name, value);
    }
    line("flags of both", &format!("`{}`; all others by default", setting.flags.join(" ")));
    line(
        "rounds",
        &format!(
            "{} of each, in turn, each with a new cluster and empty data; median, and the smallest \
             and the largest round in brackets",
            setting.rounds
        ),
    );
    for remark in &setting.remarks {
        line("remark", remark);
    }
    text
}

fn goals(samples: &Samples, sides: [&str; 2]) -> String {
    let mut rows =
        vec![["metric", sides[0], sides[1], "ratio", "must", "verdict"].map(str::to_owned)];
    rows.extend(GOALS.iter().map(|goal| goal_row(samples, sides, goal)));
    table(&rows)
}

fn goals_head(sides: [&str; 2]) -> [String; 6] {
    ["metric", sides[0], sides[1], "ratio", "must", "verdict"].map(str::to_owned)
}

fn goal_row(samples: &Samples, sides: [&str; 2], goal: &Goal) -> [String; 6] {
    let metric = metric::find(goal.metric);
    let shown = |side| cell(samples.spread(goal.case, side, goal.metric), metric);
    let ratio = samples.ratio(goal.case, sides, goal.metric);
    let verdict = goal.judge(samples, sides).shown();
    let [a, b] = sides.map(shown);
    [goal.title.to_owned(), a, b, ratio_cell(ratio), goal.shown(), verdict]
}

/// The table of one case, or nothing if it was not run.
fn figures(samples: &Samples, case: &Case) -> String {
    let sides = samples.sides();
    let mut rows = Vec::new();
    for metric in METRICS {
        let spreads: Vec<Option<Spread>> =
            sides.iter().map(|side| samples.spread(case.name, side, metric.key)).collect();
        if spreads.iter().all(Option::is_none) {
            continue;
        }
        let mut row = vec![metric.title.to_owned()];
        row.extend(spreads.into_iter().map(|spread| cell(spread, Some(metric))));
        if let [a, b] = sides.as_slice() {
            row.push(ratio_cell(samples.ratio(case.name, [a, b], metric.key)));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut head: Vec<String> = vec![String::new()];
    head.extend(sides.iter().map(|side| (*side).to_owned()));
    if sides.len() == 2 {
        head.push("ratio".to_owned());
    }
    rows.insert(0, head);
    format!("\n### {}: {}\n\n{}\n{}", case.name, case.title, how(case), table(&rows))
}

/// How a case is run, in one line.
fn how(case: &Case) -> String {
    match case.work {
        Work::Tool(Tool { connections, clients, words, total: (flag, total), .. }) => {
            let words: Vec<&str> =
                words.iter().map(|word| if word.is_empty() { "\"\"" } else { word }).collect();
            format!(
                "`benchmark --conns={connections} --clients={clients} {} {flag}={total}`\n",
                words.join(" ")
            )
        }
        Work::Sweep { words, .. } => format!(
            "`load run {}`: with 100 in flight (rate, quantiles, CPU), then on schedules below\n",
            words.join(" ")
        ),
        Work::Large { keys, .. } => format!(
            "{keys} keys of 32 bytes with values of 256 bytes, written with 500 in flight; then \
             one client reads\n"
        ),
        Work::Failover { losses, .. } => {
            format!("{losses} times in all, with a put every 5 ms\n")
        }
        Work::Disturbed { rate, seconds } => format!(
            "{rate} puts/s on a schedule for {seconds} s: alone, with three compactions, with a \
             defragmentation of the leader\n"
        ),
        Work::Idle { connections } => format!("{connections} connections\n"),
    }
}

/// Median, smallest and largest.
fn cell(spread: Option<Spread>, metric: Option<&Metric>) -> String {
    let (Some(spread), Some(metric)) = (spread, metric) else { return "–".to_owned() };
    let median = metric.unit.show(spread.median);
    if spread.min.total_cmp(&spread.max).is_eq() {
        return median;
    }
    let [min, max] = [spread.min, spread.max].map(|value| {
        let shown = metric.unit.show(value);
        shown.rsplit_once(' ').map_or(shown.clone(), |(number, _)| number.to_owned())
    });
    format!("{median} ({min}–{max})")
}

fn ratio_cell(ratio: Option<Spread>) -> String {
    let Some(ratio) = ratio else { return "–".to_owned() };
    // Who reads of a hundredth wants to know that it is a hundred times less.
    let shown = |ratio: f64| match ratio {
        ratio if 0.0 < ratio && ratio < 0.1 => format!("1/{}", metric::significant(1.0 / ratio)),
        ratio => metric::significant(ratio),
    };
    let [median, min, max] = [ratio.median, ratio.min, ratio.max].map(shown);
    if min == max {
        return format!("{median}x");
    }
    format!("{median}x ({min}–{max})")
}

/// A table of Markdown that can also be read as it is. The first row is the head.
fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, width) in widths.iter().enumerate() {
            let cell = row.as_ref().get(column).map_or("", String::as_str);
            write!(text, "| {cell:<width$} ").expect("a string takes all that is written to it");
        }
        text.push_str("|\n");
        if at == 0 {
            for width in &widths {
                text.push_str(&format!("| {} ", "-".repeat(*width)));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests;
