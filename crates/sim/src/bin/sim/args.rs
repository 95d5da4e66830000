//! The words after the program's name.

use anyhow::{Context, Result, bail, ensure};

/// Words that have not been understood yet.
pub(crate) struct Args {
    words: Vec<String>,
}

impl Args {
    pub(crate) fn new(words: Vec<String>) -> Args {
        Args { words }
    }

    /// Takes the first word, unless it is an option.
    pub(crate) fn take_command(&mut self) -> Option<String> {
        let is_command = self.words.first().is_some_and(|word| !word.starts_with('-'));
        is_command.then(|| self.words.remove(0))
    }

    /// Takes the option `name` and the word after it; `None` if it is not given.
    pub(crate) fn take_word(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        ensure!(at + 1 < self.words.len(), "{name} wants something after it");
        let word = self.words.remove(at + 1);
        self.words.remove(at);
        Ok(Some(word))
    }

    /// Takes the option `name` and the number after it; `None` if it is not given.
    pub(crate) fn take_number(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(word) = self.take_word(name)? else { return Ok(None) };
        let number = word
            .parse()
            .with_context(|| format!("{name} wants a whole number, and was given `{word}`"))?;
        Ok(Some(number))
    }

    /// Takes from which seed on is hunted, and how many seeds, and nothing else.
    pub(crate) fn take_hunt(mut self) -> Result<(u64, u64)> {
        let from = self.take_number("--from")?.unwrap_or(0);
        let seeds_max = self.take_number("--seeds-max")?.unwrap_or(20_000);
        self.finish()?;
        Ok((from, seeds_max))
    }

    /// Takes the one word that is left.
    pub(crate) fn take_rest(mut self) -> Result<String> {
        let word = self.words.pop().context("the name of a file is missing")?;
        self.finish()?;
        Ok(word)
    }

    /// Refuses whatever is left.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some(word) = self.words.first() {
            bail!("does not know what to do with `{word}`");
        }
        Ok(())
    }
}
