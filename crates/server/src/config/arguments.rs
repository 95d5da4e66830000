//! The command line, read as Go's `flag` package reads it.

use super::error::ConfigError;
use super::flag::{Flag, Kind};
use super::nearest::nearest;
use super::notice::Notice;
use super::table::Group;

/// What stands on a command line, in order.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// The flags that are known, each with its value as text.
    pub(crate) flags: Vec<(&'static Flag, String)>,
    /// What stands alone: after `--`, or where it is allowed.
    pub(crate) words: Vec<String>,
    /// What to tell people.
    pub(crate) notices: Vec<Notice>,
    /// Help was asked for.
    pub(crate) wants_help: bool,
    /// The version was asked for.
    pub(crate) wants_version: bool,
}

/// Reads a command line for the flags of `groups`.
///
/// `-flag` is `--flag`. A value follows its flag after a space, whatever it begins with, or after
/// `=`. A switch takes its value only after `=`. Unlike Go, an unknown flag is not an error: it is
/// passed over with its value, which is the next word unless that begins with a dash.
///
/// # Errors
///
/// If a flag has no value, or a word has the form of a flag but no name.
pub(crate) fn parse(
    arguments: &[String],
    groups: &'static [Group],
) -> Result<Arguments, ConfigError> {
    let flags = || groups.iter().flat_map(|group| group.flags);
    let mut parsed = Arguments::default();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.words.extend(rest.cloned());
            break;
        }
        let Some(body) = argument.strip_prefix('-').filter(|body| !body.is_empty()) else {
            parsed.words.push(argument.clone());
            continue;
        };
        let body = body.strip_prefix('-').unwrap_or(body);
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(ConfigError::NotAFlag(argument.clone()));
        }
        match name {
            "h" | "help" => parsed.wants_help = true,
            "version" => parsed.wants_version = value.as_deref() != Some("false"),
            _ => match flags().find(|flag| flag.name == name) {
                Some(flag) => {
                    let value = match value {
                        Some(value) => value,
                        None if flag.kind == Kind::Switch => "true".to_owned(),
                        None => rest
                            .next()
                            .cloned()
                            .ok_or(ConfigError::MissingValue { flag: flag.name })?,
                    };
                    parsed.flags.push((flag, value));
                }
                None => {
                    if value.is_none() {
                        rest.next_if(|word| !word.starts_with('-'));
                    }
                    parsed.notices.push(unknown_flag(name, flags().map(|flag| flag.name)));
                }
            },
        }
    }
    Ok(parsed)
}

fn unknown_flag(name: &str, known: impl Iterator<Item = &'static str>) -> Notice {
    Notice::warn(match nearest(name, known) {
        Some(near) => format!("--{name} is not known and is passed over; is --{near} meant?"),
        None => format!("--{name} is not known and is passed over; see --help for what is"),
    })
}
