//! The arguments of a script's command.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use goldenscript::{Argument, Command};

/// The arguments that were not yet used.
pub(crate) struct Args(Vec<Argument>);

impl Args {
    pub(crate) fn new(command: &Command) -> Args {
        Args(command.args.clone())
    }

    /// Refuses what was not used.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.0.first() {
            Some(argument) => bail!("{argument} means nothing here"),
            None => Ok(()),
        }
    }

    /// The next argument, if there is one.
    pub(crate) fn next(&mut self) -> Option<String> {
        let place = self.0.iter().position(|arg| matches!(arg, Argument::Positional(_)))?;
        let Argument::Positional(text) = self.0.remove(place) else {
            unreachable!("a positional argument was found there")
        };
        Some(text)
    }

    /// The next argument as something, if there is one.
    pub(crate) fn maybe<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>> {
        self.next().map(|text| parse(&text)).transpose()
    }

    /// The next argument as something.
    pub(crate) fn need<T: FromStr<Err: Display>>(&mut self, what: &str) -> Result<T> {
        self.maybe()?.with_context(|| format!("{what} must be named"))
    }

    /// The member that is meant.
    pub(crate) fn member(&mut self) -> Result<u64> {
        self.need("a member")
    }

    /// The members that are meant; all if none is named.
    pub(crate) fn members(&mut self, all: Vec<u64>) -> Result<Vec<u64>> {
        let mut members = Vec::new();
        while let Some(member) = self.maybe()? {
            members.push(member);
        }
        Ok(if members.is_empty() { all } else { members })
    }

    /// The value of a key, if it is given.
    pub(crate) fn key<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>> {
        let is_it = |arg: &Argument| matches!(arg, Argument::KeyValue(name, _) if name == key);
        let Some(place) = self.0.iter().position(is_it) else { return Ok(None) };
        let Argument::KeyValue(_, value) = self.0.remove(place) else {
            unreachable!("an argument with a key was found there")
        };
        Ok(Some(parse(&value)?))
    }

    /// All keys with their values.
    pub(crate) fn pairs(&mut self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        self.0.retain(|arg| {
            let Argument::KeyValue(key, value) = arg else { return true };
            pairs.push((key.clone(), value.clone()));
            false
        });
        pairs
    }
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| anyhow!("{text} cannot be read: {error}"))
}
