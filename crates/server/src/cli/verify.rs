//! `holdfast verify DIR`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use disk::RealDisk;

use super::only_word;
use super::options::Options;
use crate::peer;

const USAGE: &str = "verify DIR\n    Check every checksum in a member's data directory. The member \
                     must not run.";

/// Checks a data directory, or the directory of the member within one.
pub(super) fn run(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Some(options) = Options::read(USAGE, &[], arguments, environment, out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let dir = Path::new(only_word(&options, "a data directory")?);
    let member = dir.join("member");
    let dir = if member.is_dir() { member.as_path() } else { dir };
    let report = replica::verify(&RealDisk::new(), dir)
        .with_context(|| format!("{} cannot be checked", dir.display()))?;
    write!(out, "{report}")?;
    let lives = peer::Lives::verify(&RealDisk::new(), dir);
    if let Err(error) = &lives {
        writeln!(out, "{error}")?;
    }
    if report.is_sound() && lives.is_ok() {
        writeln!(out, "everything in {} is sound", dir.display())?;
        Ok(ExitCode::SUCCESS)
    } else {
        writeln!(out, "{} is damaged", dir.display())?;
        Ok(ExitCode::FAILURE)
    }
}
