//! `cargo xtask bench`: etcd and Holdfast side by side, on the same machine, in turn.
//!
//! ```text
//!  options ──► cases ──► for each round and side: Cluster ──► work ──► Values
//!                                                   │          ├─ etcd's benchmark
//!                                                   │          └─ our own `load`
//!                                                   └─ measure: CPU, memory, disk
//!  samples.jsonl ──► report: tables, goals, pictures
//! ```
//!
//! Each sample is recorded as soon as it is there, and the report is made of the record alone: what
//! was interrupted is not lost, and a report can be written again without a run. The method is told
//! in `tests/bench/README.md`.

mod cases;
mod cluster;
mod date;
mod goals;
mod load;
mod measure;
mod metric;
mod options;
mod report;
mod samples;
mod side;
mod svg;
mod tool;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::args::Args;
use crate::bench::cases::{CASES, Case};
use crate::bench::load::Load;
use crate::bench::options::{HELP, Options, Order};
use crate::bench::report::Setting;
use crate::bench::samples::{Sample, Samples, Values};
use crate::bench::side::Side;
use crate::bench::work::{Bench, Scale};
use crate::tools;
use crate::workspace::Workspace;

/// Where results are kept that are published, and the page that sums up the latest.
const RESULTS: &str = "tests/bench/results";
const PAGE: &str = "tests/bench/README.md";
const SAMPLES: &str = "samples.jsonl";
const SETTING: &str = "setting.json";
const REPORT: &str = "README.md";
/// More waiting processes than this at the start spoil the figures.
const LOAD_MAX: f64 = 0.7;

/// Does what is asked for.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    match Order::parse(args)? {
        Order::Help => print!("{HELP}"),
        Order::List => {
            for case in CASES {
                println!("{:<20}{}", case.name, case.title);
            }
        }
        Order::Report(name) => {
            let results = workspace.root.join(RESULTS).join(&name);
            let samples = Samples::read(&results.join(SAMPLES))?;
            let setting = read_setting(&results)?;
            write_report(&results, &setting, &samples)?;
            write_page(workspace, &results, &setting, &samples)?;
        }
        Order::Run(options) => return compare(workspace, &options),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs all cases on all sides.
fn compare(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let sides = sides(workspace, options)?;
    let bench = bench(workspace, options)?;
    let results = results_directory(workspace, options)?;
    let setting = setting(workspace, &bench, options, &sides)?;
    let mut samples = kept_samples(&results, &setting)?;

    let began = Instant::now();
    let mut failed = 0;
    for case in &options.cases {
        if !bench.can(case) {
            eprintln!("bench: {} is skipped: it needs etcd's benchmark", case.name);
            continue;
        }
        for round in 1..=options.rounds.min(case.rounds_max) {
            for side in &sides {
                let sample = sample(&bench, side, case, round);
                let shown = match &sample.failure {
                    Some(failure) => format!("failed: {failure}"),
                    None => line(&sample.values),
                };
                failed += usize::from(sample.failure.is_some());
                let seconds = began.elapsed().as_secs();
                let (case, side) = (&sample.case, &sample.side);
                eprintln!("bench: [{seconds:>4} s] {case}, round {round}, {side}: {shown}");
                Samples::record(&sample, &results.join(SAMPLES))?;
                samples.add(sample);
            }
        }
    }
    write_report(&results, &setting, &samples)?;
    if options.is_whole {
        write_page(workspace, &results, &setting, &samples)?;
    }
    println!("\n{}", report::goals_for_terminal(&samples));
    println!("bench: all figures are in {}", results.join(REPORT).display());
    if failed > 0 {
        println!("bench: {failed} runs failed");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The sides that are asked for and there.
fn sides(workspace: &Workspace, options: &Options) -> Result<Vec<Side>> {
    let mut sides = Vec::new();
    for wanted in &options.sides {
        match Side::find(workspace, wanted)? {
            Some(side) => sides.push(side),
            None => eprintln!(
                "bench: there is no etcd, so there is no comparison; `cargo xtask tools` builds \
                 it, or ETCD_BIN names one"
            ),
        }
    }
    ensure!(!sides.is_empty(), "there is nothing to measure");
    side::tell_apart(&mut sides);
    Ok(sides)
}

/// One run of a case on a side. A failure is a result, too: the others are run nevertheless.
fn sample(bench: &Bench, side: &Side, case: &Case, round: u64) -> Sample {
    let (values, failure) = match bench.perform(side, case) {
        Ok(values) => (values, None),
        Err(error) => (Values::new(), Some(format!("{error:#}"))),
    };
    Sample { case: case.name.to_owned(), side: side.label.clone(), round, values, failure }
}

/// What all cases need.
fn bench(workspace: &Workspace, options: &Options) -> Result<Bench> {
    let load = Load { program: side::build(workspace, "load", "load")?, pin: options.pin };
    let busy = measure::load_average()?;
    if busy > LOAD_MAX {
        eprintln!(
            "bench: the machine is busy (load {busy:.2}); figures will be worse than they are"
        );
    }
    let data = match &options.data {
        Some(path) => PathBuf::from(path),
        None => workspace.target.join("bench").join("data"),
    };
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    Ok(Bench {
        load,
        benchmark: tools::path_if_there("benchmark")?,
        data,
        pin: options.pin,
        port: options.port,
        scale: options.scale,
        rounds: options.rounds,
    })
}

/// The samples that are there under the same setting: a case that is run again replaces its own.
fn kept_samples(results: &Path, setting: &Setting) -> Result<Samples> {
    let path = results.join(SAMPLES);
    let before = read_setting(results).ok();
    let text = serde_json::to_string_pretty(setting).context("cannot write the setting")?;
    write(&results.join(SETTING), &(text + "\n"))?;
    if !path.exists() {
        return Ok(Samples::default());
    }
    if before.is_some_and(|before| before.sides == setting.sides) {
        return Samples::read(&path);
    }
    // Other programs, other figures.
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(Samples::default())
}

fn read_setting(results: &Path) -> Result<Setting> {
    let path = results.join(SETTING);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Where results go. Those under a name and those of a whole run are published, and cases that are
/// run later are added; others are replaced by the next.
fn results_directory(workspace: &Workspace, options: &Options) -> Result<PathBuf> {
    let kept = workspace.root.join(RESULTS);
    let results = match (&options.name, options.is_whole) {
        (Some(name), _) => kept.join(name),
        (None, true) => kept.join(date::today()),
        (None, false) => {
            let results = workspace.target.join("bench").join("results");
            if results.exists() {
                fs::remove_dir_all(&results)
                    .with_context(|| format!("cannot remove {}", results.display()))?;
            }
            results
        }
    };
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    Ok(results)
}

fn setting(
    workspace: &Workspace,
    bench: &Bench,
    options: &Options,
    sides: &[Side],
) -> Result<Setting> {
    let mut remarks = vec![format!("the repository is at {}", workspace.commit()?)];
    if options.scale == Scale::Quick {
        remarks.push("a quick run: short, and good for a first look only".to_owned());
    }
    if options.pin == cluster::Pin::Apart {
        remarks.push("servers on the first core, the load on the second".to_owned());
    }
    if let Ok(version) = tools::version("benchmark") {
        remarks.push(format!("etcd's benchmark is that of {version}"));
    }
    Ok(Setting {
        date: date::today(),
        sides: sides.iter().map(|side| (side.label.clone(), side.version.clone())).collect(),
        machine: measure::machine(&bench.data)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        flags: cluster::FLAGS.iter().map(|flag| (*flag).to_owned()).collect(),
        rounds: options.rounds,
        remarks,
    })
}

/// Writes the report and its pictures.
fn write_report(results: &Path, setting: &Setting, samples: &Samples) -> Result<()> {
    let pictures = report::plots(samples);
    for (name, picture) in &pictures {
        write(&results.join(name), picture)?;
    }
    let names: Vec<String> = pictures.into_iter().map(|(name, _)| name).collect();
    write(&results.join(REPORT), &report::report(setting, samples, &names))
}

/// Writes the summary into the page that sums up the latest results.
fn write_page(
    workspace: &Workspace,
    results: &Path,
    setting: &Setting,
    samples: &Samples,
) -> Result<()> {
    let page = workspace.root.join(PAGE);
    let text =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let link = page.parent().and_then(|directory| results.strip_prefix(directory).ok());
    let link = link.unwrap_or(results).display().to_string();
    let text = report::between_marks(&text, &report::summary(setting, samples, &link))
        .with_context(|| format!("{PAGE} has lost the marks between which we write"))?;
    write(&page, &text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The figures that tell most, in one line.
fn line(values: &Values) -> String {
    let shown: Vec<String> = metric::METRICS
        .iter()
        .filter_map(|metric| {
            let value = values.get(metric.key)?;
            Some(format!("{} {}", metric.title, metric.unit.show(*value)))
        })
        .take(6)
        .collect();
    shown.join(", ")
}
