//! What can be wrong with the files and the settings of TLS.

use std::io;
use std::path::PathBuf;

use crate::config::TlsVersion;

/// A file, and the flag that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The flag with its dashes; the name of what it is, if no flag names it.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.flag)
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "{source_file} cannot be read: it must exist, and this user must be allowed to read it"
    )]
    Unreadable {
        /// The file.
        source_file: Source,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold what it is for.
    #[error("{source_file} holds no {expected}")]
    Empty {
        /// The file.
        source_file: Source,
        /// What was looked for, and in which form.
        expected: &'static str,
    },
    /// A file holds something that cannot be used.
    #[error("{source_file} cannot be used: {found}; expected is {expected}")]
    Unusable {
        /// The file.
        source_file: Source,
        /// What is wrong with it.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A certificate and a key are not of each other.
    #[error("the key in {key} is not that of the first certificate in {certificate}: {reason}")]
    Mismatch {
        /// Where the certificate is.
        certificate: Source,
        /// Where the key is.
        key: Source,
        /// What exactly does not fit.
        reason: String,
    },
    /// A setting needs another.
    #[error("{setting} wants {missing} as well")]
    Incomplete {
        /// The setting.
        setting: &'static str,
        /// What it wants.
        missing: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{first} and {second} exclude each other; give one of them")]
    Excluded {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An allowed host name is none.
    #[error("{flag} names `{name}`, which is neither a host name nor an address")]
    NotAName {
        /// The flag.
        flag: &'static str,
        /// The name.
        name: String,
    },
    /// A cipher suite is not known.
    #[error(
        "--cipher-suites names `{name}`, which {}; known are {known}",
        if *is_insecure { "is not secure and not offered" } else { "is not known" }
    )]
    UnknownSuite {
        /// The name.
        name: String,
        /// Whether Go knows it and warns of it.
        is_insecure: bool,
        /// Those that are known.
        known: String,
    },
    /// No version of TLS is left.
    #[error(
        "no version of TLS is left: --tls-min-version is {min:?}, --tls-max-version is {max:?}, \
         and --cipher-suites must hold a suite of a version between them"
    )]
    NoVersion {
        /// The oldest that is allowed.
        min: TlsVersion,
        /// The newest that is allowed.
        max: TlsVersion,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made in {}: {reason}", directory.display())]
    NotMade {
        /// Where it was to be.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
}
