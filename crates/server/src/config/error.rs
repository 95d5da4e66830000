//! Why a member cannot be set up as it was told.

use std::io;
use std::path::PathBuf;

/// Why a member cannot be set up as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value is not what its flag takes.
    #[error("{place} wants {expected}, and was given `{given}`")]
    Value {
        /// The flag, environment variable or key of the file.
        place: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        given: String,
    },
    /// A flag that takes a value stands last, without one.
    #[error("--{flag} wants a value after it")]
    MissingValue {
        /// The flag's name.
        flag: &'static str,
    },
    /// A word is no flag where only flags may stand.
    #[error("`{0}` is not a flag; flags begin with `--`, and their values follow them")]
    NotAFlag(String),
    /// A word or a variable is not text.
    #[error("`{0}` is not UTF-8 text")]
    NotText(String),
    /// The configuration file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    FileUnreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration file is not YAML.
    #[error("the configuration file {path} is neither YAML nor JSON")]
    FileSyntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_yaml::Error,
    },
    /// A value in the configuration file has a form that no flag takes.
    #[error("`{key}` in the configuration file {path} wants {expected}")]
    FileShape {
        /// Which file.
        path: PathBuf,
        /// Which key; empty for the whole.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A flag asks for something that we do not do and that must not be passed over.
    #[error("{place} cannot be used: {advice}")]
    Refused {
        /// The flag, environment variable or key of the file.
        place: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// Two settings do not go together, or one does not go at all.
    #[error("{0}")]
    Contradiction(String),
    /// A directory cannot be used.
    #[error("{purpose} {path} cannot be used")]
    Directory {
        /// The flag that names it.
        purpose: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// With what status the process should end: 2 if what was written is wrong by itself, 1 if it
    /// cannot be done.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            ConfigError::Value { .. }
            | ConfigError::MissingValue { .. }
            | ConfigError::NotAFlag(_)
            | ConfigError::NotText(_) => 2,
            ConfigError::FileUnreadable { .. }
            | ConfigError::FileSyntax { .. }
            | ConfigError::FileShape { .. }
            | ConfigError::Refused { .. }
            | ConfigError::Contradiction(_)
            | ConfigError::Directory { .. } => 1,
        }
    }
}
