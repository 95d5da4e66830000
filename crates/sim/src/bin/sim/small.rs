//! The exhaustive search of a small scope, with its progress and its verdict.

#![expect(clippy::disallowed_methods, reason = "people want to know how long it takes")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use sim::explore::{Progress, Scope, Writes, explore};

use crate::args::Args;

/// Looks at everything in the scope that the words describe.
pub(crate) fn run(mut args: Args) -> Result<ExitCode> {
    let default = Scope::default();
    let small = |number: Option<u64>, otherwise: u8| {
        number.map_or(Ok(otherwise), u8::try_from).map_err(anyhow::Error::from)
    };
    let later = args.take_word("--writes")?.is_some_and(|word| word == "later");
    let states_max = args.take_number("--states-max")?.map(usize::try_from).transpose()?;
    let scope = Scope {
        terms: args.take_number("--terms")?.unwrap_or(default.terms),
        entries: small(args.take_number("--entries")?, default.entries)?,
        changes_len: small(args.take_number("--changes")?, default.changes_len)?,
        crashes: small(args.take_number("--crashes")?, default.crashes)?,
        heartbeats: small(args.take_number("--heartbeats")?, default.heartbeats)?,
        writes: if later { Writes::Later } else { default.writes },
        states_max: states_max.unwrap_or(default.states_max),
        ..default
    };
    args.finish()?;
    let began = Instant::now();
    let mut told = began;
    let outcome = explore(&scope, &mut |progress| {
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            println!("{}", line(progress, began.elapsed()));
        }
    });
    println!("{}", line(&outcome.progress, began.elapsed()));
    Ok(match outcome.violation {
        None if outcome.is_complete => {
            println!("complete: nothing that must not happen happens in {scope:?}");
            ExitCode::SUCCESS
        }
        None => {
            println!("given up at the limit of states; nothing was found so far in {scope:?}");
            ExitCode::SUCCESS
        }
        Some((text, steps)) => {
            println!("{text}");
            for (number, step) in steps.iter().enumerate() {
                println!("{:>4}  {step}", number + 1);
            }
            ExitCode::FAILURE
        }
    })
}

fn line(progress: &Progress, time: Duration) -> String {
    let Progress { states, done, covered, steps, .. } = progress;
    let seconds = time.as_secs();
    let rate = steps / seconds.max(1);
    format!(
        "{seconds:>6} s  {states} states, {done} looked at, {covered} covered by others, {steps} \
         steps, {rate}/s"
    )
}
