//! The arguments of a script's command.

use std::cell::Cell;
use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use goldenscript::{Argument, Command};
use raft::membership::Change;
use raft::{MemberId, Message};

use crate::stage::Kind;

/// The arguments that were not yet used.
pub(super) struct Args(Vec<Argument>);

impl Args {
    pub(super) fn new(command: &Command) -> Args {
        Args(command.args.clone())
    }

    /// Refuses what was not used.
    pub(super) fn finish(&self) -> Result<()> {
        match self.0.first() {
            Some(argument) => bail!("{argument} means nothing here"),
            None => Ok(()),
        }
    }

    fn next(&mut self) -> Option<String> {
        let place = self.0.iter().position(|arg| matches!(arg, Argument::Positional(_)))?;
        let Argument::Positional(text) = self.0.remove(place) else {
            unreachable!("a positional argument was found there")
        };
        Some(text)
    }

    fn next_as<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>> {
        self.next().map(|text| parse(&text)).transpose()
    }

    /// Uses the next argument if it is this word.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.0.first(), Some(Argument::Positional(text)) if text == word);
        if is_it {
            self.0.remove(0);
        }
        is_it
    }

    /// A member that must be named.
    pub(super) fn member(&mut self) -> Result<u64> {
        self.next_as()?.context("a member must be named")
    }

    /// A member that may be named.
    pub(super) fn optional_member(&mut self) -> Result<Option<u64>> {
        self.next_as()
    }

    /// The members named; those of `all` if none is.
    pub(super) fn members_or(&mut self, all: Vec<u64>) -> Result<Vec<u64>> {
        let mut members = Vec::new();
        while let Some(member) = self.next_as()? {
            members.push(member);
        }
        Ok(if members.is_empty() { all } else { members })
    }

    /// A number that may be given.
    pub(super) fn number<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>> {
        self.next_as()
    }

    /// A number, or `default`.
    pub(super) fn number_or(&mut self, default: u32) -> Result<u32> {
        Ok(self.number()?.unwrap_or(default))
    }

    /// The value of a key that may be given.
    pub(super) fn key<T: FromStr<Err: Display>>(&mut self, key: &str) -> Result<Option<T>> {
        let is_it = |arg: &Argument| matches!(arg, Argument::KeyValue(name, _) if name == key);
        let Some(place) = self.0.iter().position(is_it) else { return Ok(None) };
        let Argument::KeyValue(_, value) = self.0.remove(place) else {
            unreachable!("an argument with a key was found there")
        };
        Ok(Some(parse(&value)?))
    }

    /// The value of a key, or `default`.
    pub(super) fn key_or<T: FromStr<Err: Display>>(&mut self, key: &str, default: T) -> Result<T> {
        Ok(self.key(key)?.unwrap_or(default))
    }

    /// The numbers that a key lists, with spaces between.
    pub(super) fn numbers(&mut self, key: &str) -> Result<Vec<u64>> {
        let text: String = self.key_or(key, String::new())?;
        text.split_whitespace().map(parse).collect()
    }

    /// The groups of a partition: `"1 2" "3 4 5"`.
    pub(super) fn groups(&mut self) -> Result<Vec<Vec<u64>>> {
        let mut groups = Vec::new();
        while let Some(text) = self.next() {
            groups.push(text.split_whitespace().map(parse).collect::<Result<_>>()?);
        }
        Ok(groups)
    }

    /// The name of a read: `r1`.
    pub(super) fn read(&mut self) -> Result<u64> {
        let text = self.next().context("a read must be named")?;
        parse(text.strip_prefix('r').context("a read is named like r1")?)
    }

    /// Commands of the service, `a=1 b=2`; `bytes=100` is one of that many bytes.
    pub(super) fn commands(&mut self) -> Result<Vec<String>> {
        if let Some(bytes) = self.key("bytes")? {
            return Ok(vec!["x".repeat(bytes)]);
        }
        Ok(self.0.drain(..).map(|argument| argument.to_string()).collect())
    }

    /// Changes of the configuration, `add-learner=4 promote=5`.
    pub(super) fn changes(&mut self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for argument in self.0.drain(..) {
            let Argument::KeyValue(what, member) = argument else {
                bail!("a change is written like add-learner=4");
            };
            let member = MemberId(parse(&member)?);
            changes.push(match what.as_str() {
                "add-voter" => Change::AddVoter(member),
                "add-learner" => Change::AddLearner(member),
                "promote" => Change::Promote(member),
                "demote" => Change::Demote(member),
                "remove" => Change::Remove(member),
                _ => bail!("there is no change {what}"),
            });
        }
        Ok(changes)
    }

    /// Which messages are meant.
    pub(super) fn pick(&mut self) -> Result<impl Fn(&Message) -> bool + use<>> {
        let from: Option<u64> = self.key("from")?;
        let mut to: Option<u64> = self.key("to")?;
        let left = Cell::new(self.key_or("count", u64::MAX)?);
        let mut kinds: Vec<Kind> = Vec::new();
        while let Some(text) = self.next() {
            match text.parse() {
                Ok(member) => to = Some(member),
                Err(_) => kinds.push(parse(&text)?),
            }
        }
        Ok(move |message: &Message| {
            let is_it = from.is_none_or(|from| message.from.0 == from)
                && to.is_none_or(|to| message.to.0 == to)
                && (kinds.is_empty() || kinds.contains(&Kind::of(message)))
                && left.get() > 0;
            left.set(left.get() - u64::from(is_it));
            is_it
        })
    }
}

/// Reads one word.
pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| anyhow!("{text}: {error}"))
}
