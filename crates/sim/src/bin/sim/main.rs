//! The simulator as a program.

mod args;
mod many;
mod one;
mod report;
mod small;
mod whole;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;

const USAGE: &str = "\
usage: sim --seed S [--without FAULT,…] [--milliseconds N] [--html FILE] [--trace FILE]
       sim --minutes N [--from SEED] [--threads N]
       sim smoke
       sim hunt --from SEED --seeds-max N
       sim whole --seed S [--without FAULT,…] [--milliseconds N] [--html FILE] [--trace FILE]
       sim whole --minutes N [--from SEED] [--threads N]
       sim whole hunt --from SEED --seeds-max N
       sim script FILE --html FILE
       sim explore [--terms N] [--entries N] [--changes N] [--crashes N] [--heartbeats N]
                   [--writes later] [--states-max N]

--seed     runs one seed; a failing one is shown with what is left when it is made smaller
--minutes  runs many seeds, and fails unless every probe is hit
smoke      runs 2,000 known seeds and some that nobody has run before
hunt       runs seeds until one fails
whole      does so with whole members, and not with cores alone
script     runs a script of a stage and draws it
explore    looks at everything that can happen in a small cluster";

fn main() -> ExitCode {
    sim::run::catch_panics();
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(words: Vec<String>) -> Result<ExitCode> {
    let mut args = Args::new(words);
    let command = args.take_command();
    match command.as_deref() {
        Some("smoke") => {
            args.finish()?;
            let cores = many::smoke();
            Ok(if cores == ExitCode::SUCCESS { whole::smoke() } else { cores })
        }
        Some("hunt") => {
            let (from, seeds_max) = args.take_hunt()?;
            Ok(many::hunt(from, seeds_max, many::core))
        }
        Some("script") => {
            let html = args.take_word("--html")?;
            let file = args.take_rest()?;
            one::script(&file, html.as_deref())
        }
        Some("explore") => small::run(args),
        Some("whole") => whole::command(args),
        Some(other) => bail!("there is no command `{other}`\n{USAGE}"),
        None => {
            if let Some(minutes) = args.take_number("--minutes")? {
                let from = args.take_number("--from")?;
                let threads = args.take_number("--threads")?;
                args.finish()?;
                return Ok(many::long(minutes, from, threads));
            }
            let Some(seed) = args.take_number("--seed")? else {
                println!("{USAGE}");
                return Ok(ExitCode::FAILURE);
            };
            let wish = one::Wish {
                seed,
                without: args.take_word("--without")?,
                milliseconds: args.take_number("--milliseconds")?,
                html: args.take_word("--html")?,
                trace: args.take_word("--trace")?,
            };
            args.finish()?;
            one::seed(&wish)
        }
    }
}
