//! The words that follow a subcommand.

use anyhow::{Context, Result, bail, ensure};

/// Words that have not been understood yet. Options are taken out by name; what is left are names,
/// or goes to another program as it is.
pub(crate) struct Args {
    words: Vec<String>,
    /// The options that were asked for, given or not: what to list when another turns up.
    known: Vec<&'static str>,
}

impl Args {
    pub(crate) fn new(words: Vec<String>) -> Args {
        Args { words, known: Vec::new() }
    }

    /// Takes out the option `name`, and tells whether it was given.
    pub(crate) fn take_switch(&mut self, name: &'static str) -> bool {
        self.known.push(name);
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// Takes out the option `name` and the number after it, one or more; `None` if it is not given.
    pub(crate) fn take_number(&mut self, name: &'static str) -> Result<Option<u64>> {
        self.known.push(name);
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        ensure!(at + 1 < self.words.len(), "{name} wants a number after it");
        let value = self.words.remove(at + 1);
        self.words.remove(at);
        let number: u64 = value
            .parse()
            .with_context(|| format!("{name} wants a whole number, and was given `{value}`"))?;
        ensure!(number > 0, "{name} wants a number of one or more, and was given 0");
        Ok(Some(number))
    }

    /// Takes out the option `name` and the word after it; `None` if it is not given.
    pub(crate) fn take_text(&mut self, name: &'static str) -> Result<Option<String>> {
        self.known.push(name);
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        ensure!(at + 1 < self.words.len(), "{name} wants a word after it");
        let value = self.words.remove(at + 1);
        self.words.remove(at);
        Ok(Some(value))
    }

    /// The words that are left, which must be names.
    ///
    /// # Errors
    ///
    /// If there is an option among them.
    pub(crate) fn into_names(self) -> Result<Vec<String>> {
        if let Some(option) = self.words.iter().find(|word| word.starts_with('-')) {
            if self.known.is_empty() {
                bail!("unknown option `{option}`; there are none here");
            }
            bail!("unknown option `{option}`; known are {}", self.known.join(", "));
        }
        Ok(self.words)
    }

    /// Refuses whatever is left.
    pub(crate) fn finish(self) -> Result<()> {
        let names = self.into_names()?;
        ensure!(names.is_empty(), "does not know what to do with `{}`", names.join(" "));
        Ok(())
    }

    /// The words that are left, for another program.
    pub(crate) fn into_words(self) -> Vec<String> {
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Args {
        Args::new(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_are_taken_from_anywhere_and_names_remain() {
        let mut args = args("one --check --starts 7 two");
        assert!(args.take_switch("--check"), "it was given");
        assert!(!args.take_switch("--build"), "it was not given");
        assert_eq!(args.take_number("--starts").unwrap(), Some(7));
        assert_eq!(args.take_number("--seeds-max").unwrap(), None);
        assert_eq!(args.into_names().unwrap(), ["one", "two"]);
    }

    #[test]
    fn text_is_taken_with_its_option() {
        let mut args = args("one --name x two");
        assert_eq!(args.take_text("--name").unwrap().as_deref(), Some("x"));
        assert_eq!(args.take_text("--data").unwrap(), None);
        assert_eq!(args.into_names().unwrap(), ["one", "two"]);
    }

    #[test]
    fn unknown_option_is_refused_with_the_known_ones() {
        let mut args = args("--chek");
        assert!(!args.take_switch("--check"), "it was misspelt");
        let error = args.into_names().expect_err("no such option").to_string();
        assert_eq!(error, "unknown option `--chek`; known are --check");
    }

    #[test]
    fn number_that_is_none_is_refused() {
        for (given, expected) in [
            ("--starts", "--starts wants a number after it"),
            ("--starts few", "--starts wants a whole number, and was given `few`"),
            ("--starts 0", "--starts wants a number of one or more, and was given 0"),
        ] {
            let error = args(given).take_number("--starts").expect_err("not a number");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn word_too_many_is_refused() {
        let error = args("now").finish().expect_err("nothing is expected").to_string();
        assert_eq!(error, "does not know what to do with `now`");
    }
}
