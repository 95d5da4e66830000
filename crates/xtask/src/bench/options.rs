//! What is asked for on the command line.

use anyhow::{Result, bail, ensure};

use crate::args::Args;
use crate::bench::cases::{self, CASES, Case, Part};
use crate::bench::cluster::Pin;
use crate::bench::work::Scale;

/// What `--help` says.
pub(super) const HELP: &str = "\
usage: cargo xtask bench [OPTION…] [NAME…]

Runs etcd and Holdfast in turn, each time with a new cluster and empty data, and compares what they
do and what it costs. The programs of etcd come from ETCD_BIN and ETCD_BENCHMARK, or from the cache
of `cargo xtask tools`; without them there is no comparison, and Holdfast is measured alone.

  --quick            about three minutes: fewer cases, one round, short runs
  --curves           how figures grow with values, members, keys and watchers, and nothing else
  --only NAME…       these cases alone; `--list` names them
  --rounds N         how often each case is run on each side (5)
  --server NAME      one side alone: `etcd` or `holdfast`
  --a NAME, --b NAME the two sides: `etcd`, `holdfast`, or a path (`etcd` and `holdfast`)
  --pin              servers on the first core, the load on the second
  --name NAME        keeps the results in tests/bench/results/NAME; by default the date for a whole
                     run, and target/bench/results for others
  --report NAME      writes the report of kept results again, and tests/bench/README.md, which a
                     whole run does by itself; runs nothing
  --port N           the first port to use (24000)
  --data PATH        where clusters have their data (target/bench/data)
  --list             names all cases

HOLDFAST_BIN names a program of ours to take instead of building one.
";

const ROUNDS: u64 = 5;
const PORT: u16 = 24_000;

/// What to do.
pub(super) enum Order {
    Help,
    List,
    /// The report of results that are kept under a name.
    Report(String),
    Run(Options),
}

/// How to run.
pub(super) struct Options {
    /// One or two names or paths.
    pub(super) sides: Vec<String>,
    pub(super) cases: Vec<&'static Case>,
    pub(super) rounds: u64,
    pub(super) scale: Scale,
    pub(super) pin: Pin,
    pub(super) port: u16,
    /// `None` for where it lies by default.
    pub(super) data: Option<String>,
    /// Where to keep the results, if they are to be kept.
    pub(super) name: Option<String>,
    /// Whether every case is run.
    pub(super) is_whole: bool,
}

impl Order {
    /// Understands the words after `cargo xtask bench`.
    pub(super) fn parse(mut args: Args) -> Result<Order> {
        if args.take_switch("--help") {
            return Ok(Order::Help);
        }
        if args.take_switch("--list") {
            args.finish()?;
            return Ok(Order::List);
        }
        if let Some(name) = args.take_text("--report")? {
            args.finish()?;
            return Ok(Order::Report(name));
        }
        let curves = args.take_switch("--curves");
        let scale = if args.take_switch("--quick") { Scale::Quick } else { Scale::Full };
        let pin = if args.take_switch("--pin") { Pin::Apart } else { Pin::None };
        let rounds = args.take_number("--rounds")?;
        let port = args.take_number("--port")?;
        let data = args.take_text("--data")?;
        let name = args.take_text("--name")?;
        let sides = sides(&mut args)?;
        let only = args.take_switch("--only");
        let names = args.into_names()?;
        ensure!(!only || !names.is_empty(), "--only wants names after it; `--list` lists them");
        let parts: &[Part] = match (curves, scale) {
            (true, _) => &[Part::Curve],
            (false, Scale::Quick) => &[Part::Quick],
            (false, Scale::Full) => &[Part::Quick, Part::Whole],
        };
        let default_rounds = match scale {
            Scale::Quick => 1,
            Scale::Full => ROUNDS,
        };
        Ok(Order::Run(Options {
            sides,
            is_whole: names.is_empty() && scale == Scale::Full && !curves,
            cases: selected(&names, parts)?,
            rounds: rounds.unwrap_or(default_rounds),
            scale,
            pin,
            port: match port.map(u16::try_from) {
                None => PORT,
                Some(Ok(port)) => port,
                Some(Err(_)) => bail!("--port wants a number up to 65535"),
            },
            data,
            name,
        }))
    }
}

fn sides(args: &mut Args) -> Result<Vec<String>> {
    let a = args.take_text("--a")?;
    let b = args.take_text("--b")?;
    match args.take_text("--server")? {
        Some(server) => {
            ensure!(a.is_none() && b.is_none(), "--server is one side, and --a and --b are two");
            ensure!(
                server == "etcd" || server == "holdfast",
                "--server wants etcd or holdfast, and was given `{server}`"
            );
            Ok(vec![server])
        }
        None => {
            let or = |given: Option<String>, default: &str| given.unwrap_or(default.to_owned());
            Ok(vec![or(a, "etcd"), or(b, "holdfast")])
        }
    }
}

fn selected(names: &[String], parts: &[Part]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().filter(|case| parts.contains(&case.part)).collect());
    }
    let mut selected = Vec::new();
    for name in names {
        match cases::find(name) {
            Some(case) => selected.push(case),
            None => {
                let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
                bail!("unknown case `{name}`; known are {}", known.join(", "));
            }
        }
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        let words = text.split_whitespace().map(str::to_owned).collect();
        match Order::parse(Args::new(words))? {
            Order::Run(options) => Ok(options),
            Order::Help | Order::List | Order::Report(_) => bail!("it does not run"),
        }
    }

    #[test]
    fn whole_comparison_is_the_default() {
        let options = parse("").unwrap();
        assert_eq!(options.sides, ["etcd", "holdfast"]);
        assert_eq!(options.rounds, 5);
        assert!(options.cases.iter().all(|case| case.part != Part::Curve), "curves are apart");
        assert!(options.is_whole, "nothing else was left out");
    }

    #[test]
    fn quick_run_leaves_out_cases_unless_they_are_named() {
        let options = parse("--quick").unwrap();
        assert!(options.cases.iter().all(|case| case.part == Part::Quick), "it is quick");
        assert!(!options.is_whole, "it is not everything");
        let options = parse("--curves").unwrap();
        assert!(options.cases.iter().all(|case| case.part == Part::Curve), "and nothing else");
        let options = parse("--quick --only idle --rounds 2 --a etcd --b etcd").unwrap();
        let names: Vec<&str> = options.cases.iter().map(|case| case.name).collect();
        assert_eq!((names.as_slice(), options.rounds), (&["idle"][..], 2));
        assert_eq!(options.sides, ["etcd", "etcd"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (text, expected) in [
            ("--server zookeeper", "--server wants etcd or holdfast, and was given `zookeeper`"),
            ("--server etcd --a etcd", "--server is one side, and --a and --b are two"),
            ("--only", "--only wants names after it; `--list` lists them"),
            ("--port 70000", "--port wants a number up to 65535"),
        ] {
            let error = parse(text).err().expect(text).to_string();
            assert_eq!(error, expected);
        }
        let error = parse("put-9").err().expect("there is none").to_string();
        assert!(error.starts_with("unknown case `put-9`; known are put-1-1, "), "{error}");
    }
}
