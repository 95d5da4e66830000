//! Running other programs.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

/// One command line, which can be run, and shown to a person who wants to run it again.
pub(crate) struct CommandLine {
    environment: Vec<(&'static str, String)>,
    words: Vec<String>,
}

impl CommandLine {
    /// The command line made of `words`, the first being the program.
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> CommandLine {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        assert!(!words.is_empty(), "a command line names a program");
        CommandLine { environment: Vec::new(), words }
    }

    /// Adds words at the end.
    pub(crate) fn with<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Runs the command in `directory` and waits for it; it shares our input and output.
    ///
    /// `cargo` is the one that runs us, and `cargo xtask` is ourselves: no second build is waited
    /// for.
    pub(crate) fn status(&self, directory: &Path) -> Result<ExitStatus> {
        let mut command = match self.words.as_slice() {
            [cargo, xtask, args @ ..] if cargo == "cargo" && xtask == "xtask" => {
                let own = std::env::current_exe().context("cannot find the path of xtask")?;
                let mut command = Command::new(own);
                command.args(args);
                command
            }
            [cargo, args @ ..] if cargo == "cargo" => {
                let mut command = cargo_command();
                command.args(args);
                command
            }
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args);
                command
            }
            [] => unreachable!("a command line names a program"),
        };
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .status()
            .with_context(|| format!("cannot run `{self}`"))
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// The cargo that runs us, or the one on PATH.
pub(crate) fn cargo_command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What to exit with after a program that has done our whole job.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        // A signal ended it.
        None => ExitCode::FAILURE,
    }
}

/// The word as one would type it into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_shown_as_one_would_type_it() {
        let line = CommandLine::new(["cargo", "doc", "it's here"])
            .with(["--no-deps"])
            .with_variable("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            line.to_string(),
            r"RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s here' --no-deps"
        );
    }
}
