//! What `--help` and `--version` print.

use std::io::{self, Write};

use super::features::FeatureGates;
use super::flag::{Effect, Flag, Kind};
use super::table::{GROUPS, Group};

/// The version of etcd that clients are told: the one whose API we speak.
pub const ETCD_VERSION: &str = "3.7.1";

/// What stands before the flags of a server.
const USAGE: &str = "\
Usage:

  holdfast [flags]
    Start a member.

  holdfast snapshot save|restore|status
    Take a snapshot of a cluster, make a data directory of it, describe it.

  holdfast verify DIR
    Check every checksum of a member that is not running.

  holdfast status --endpoints URLS
    Show the members of a cluster.

  holdfast --version
    Show the version.

Flags are also read from the environment: --data-dir from HOLDFAST_DATA_DIR or ETCD_DATA_DIR.
";

/// Prints how to use the program.
///
/// # Errors
///
/// If `out` fails.
pub fn print_help(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{USAGE}")?;
    print_flags(out, GROUPS)?;
    writeln!(out, "Feature gates:")?;
    for gate in FeatureGates::known() {
        writeln!(out, "  {gate}")?;
    }
    writeln!(out, "\nWhat is unsafe may break every promise that a cluster makes.")
}

/// Prints the flags of `groups` with their defaults.
///
/// # Errors
///
/// If `out` fails.
pub(crate) fn print_flags(out: &mut dyn Write, groups: &[Group]) -> io::Result<()> {
    for group in groups {
        let mut text = String::new();
        for flag in group.flags.iter().filter(|flag| flag.effect != Effect::Past) {
            describe(&mut text, flag);
        }
        if !text.is_empty() {
            writeln!(out, "{}:\n{text}", group.title)?;
        }
    }
    Ok(())
}

fn describe(text: &mut String, flag: &Flag) {
    let Flag { name, kind, default, help, effect, file_key: _ } = flag;
    *text += &match (*name, kind, *default) {
        ("data-dir", ..) => "  --data-dir '${name}.etcd'\n".to_owned(),
        (name, Kind::Switch, "false") => format!("  --{name}\n"),
        (name, _, default) => format!("  --{name} '{default}'\n"),
    };
    *text += &format!("    {help}\n");
    *text += &match effect {
        Effect::Used | Effect::Past => String::new(),
        Effect::Nothing(reason) => format!("    No effect here: {reason}.\n"),
        Effect::Refused(advice) => format!("    Refused: {advice}.\n"),
    };
}

/// Prints the version: first that of the API, as etcd does, then ours.
///
/// # Errors
///
/// If `out` fails.
pub fn print_version(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "etcd Version: {ETCD_VERSION}")?;
    writeln!(out, "Git SHA: {}", option_env!("HOLDFAST_GIT_SHA").unwrap_or("Not provided"))?;
    writeln!(out, "Holdfast Version: {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "OS/Arch: {}/{}", std::env::consts::OS, std::env::consts::ARCH)
}
