//! The subcommands of the program: what is done without being a member.
//!
//! | words | what they do |
//! | --- | --- |
//! | none, or flags | start a member; that is not here |
//! | `snapshot save FILE` | take a snapshot of a running cluster |
//! | `snapshot restore FILE` | make the data directory of a member of a new cluster |
//! | `snapshot status FILE` | describe a snapshot |
//! | `verify DIR` | check everything that a member has stored |
//! | `status` | show members as they answer |
//!
//! Flags are read as those of a member are, but a tool that does not know a flag does nothing.

mod channel;
mod options;
mod restore;
mod snapshot;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::config::{print_help, print_version};
use options::Options;

/// Does what a subcommand asks for; `None` if the words are those of a member.
pub fn run(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> Option<Result<ExitCode>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout();
    let done = match words.as_slice() {
        [] => return None,
        [first, ..] if first.starts_with('-') => return None,
        ["help"] => print_help(&mut out).context("help cannot be printed"),
        ["version"] => print_version(&mut out).context("the version cannot be printed"),
        ["snapshot", command, ..] if !command.starts_with('-') => {
            return Some(snapshot(command, &arguments[2..], environment, &mut out));
        }
        ["verify", ..] => return Some(verify::run(&arguments[1..], environment, &mut out)),
        ["status", ..] => return Some(status::run(&arguments[1..], environment, &mut out)),
        ["snapshot", ..] => Err(unknown("snapshot", "save, restore, status")),
        [other, ..] => Err(unknown(other, "help, snapshot, status, verify, version")),
    };
    Some(done.map(|()| ExitCode::SUCCESS))
}

fn unknown(word: &str, known: &str) -> anyhow::Error {
    anyhow::anyhow!("`{word}` alone is no subcommand; there are {known}; see holdfast --help")
}

fn snapshot(
    command: &str,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    match command {
        "save" => snapshot::save(arguments, environment, out),
        "status" => snapshot::status(arguments, environment, out),
        "restore" => restore::run(arguments, environment, out),
        other => bail!("`snapshot {other}` is no subcommand; there are save, restore, status"),
    }
}

/// Runs `work` to its end on this thread.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be made")?;
    runtime.block_on(work)
}

/// Refuses words where only flags may stand.
fn no_words(options: &Options) -> Result<()> {
    match options.words() {
        [] => Ok(()),
        [word, ..] => bail!("wants flags alone, and was given `{word}`"),
    }
}

/// The one word that a subcommand takes.
fn only_word<'a>(options: &'a Options, what: &str) -> Result<&'a str> {
    match options.words() {
        [word] => Ok(word),
        [] => bail!("wants {what}"),
        [_, other, ..] => bail!("wants {what} and nothing else, and was given `{other}` as well"),
    }
}
