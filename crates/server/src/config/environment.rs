//! Settings from environment variables: `ETCD_DATA_DIR`, `HOLDFAST_DATA_DIR`.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::flag::Flag;
use super::nearest::nearest;
use super::notice::Notice;
use super::settings::{Settings, Source};
use super::table;

/// The beginnings of our variables; a later one wins over an earlier one.
const PREFIXES: [&str; 2] = ["ETCD", "HOLDFAST"];

/// Variables that begin like ours and are no flags: the first two are etcd's, the others are what
/// Kubernetes sets for a service of the name `etcd` or `holdfast`.
const FOREIGN_ENDINGS: [&str; 7] =
    ["UNSUPPORTED_ARCH", "VERSION", "_SERVICE_HOST", "_SERVICE_PORT", "_PORT", "_TCP", "_ADDR"];

/// The value that `environment` has for `flag`, with its variable. Empty values do not count.
pub(crate) fn lookup<'a>(
    environment: &'a BTreeMap<String, String>,
    flag: &Flag,
) -> Option<(String, &'a str)> {
    PREFIXES.iter().rev().find_map(|prefix| {
        let variable = flag.variable(prefix);
        let value = environment.get(&variable).filter(|value| !value.is_empty())?;
        Some((variable, value.as_str()))
    })
}

/// Sets what `environment` holds for flags that are not set yet.
///
/// # Errors
///
/// If a value is not what its flag takes.
pub(crate) fn apply(
    environment: &BTreeMap<String, String>,
    settings: &mut Settings,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    for flag in table::flags() {
        let Some((variable, value)) = lookup(environment, flag) else { continue };
        if settings.is_set(flag.name) {
            notices.push(Notice::warn(format!(
                "{variable} is passed over, because --{} is given",
                flag.name
            )));
            continue;
        }
        settings.set(flag, value, Source::Environment(variable.clone()))?;
        notices.push(Notice::info(format!("{variable} is used for --{}", flag.name)));
    }
    for variable in environment.keys() {
        notices.extend(unknown_variable(variable));
    }
    Ok(())
}

/// What to say of a variable that begins like ours and belongs to no flag.
fn unknown_variable(variable: &str) -> Option<Notice> {
    let prefix = PREFIXES
        .iter()
        .find(|prefix| variable.strip_prefix(**prefix).is_some_and(|rest| rest.starts_with('_')))?;
    let known: Vec<String> = table::flags().map(|flag| flag.variable(prefix)).collect();
    if known.iter().any(|name| name == variable)
        || FOREIGN_ENDINGS.iter().any(|ending| variable.ends_with(ending))
    {
        return None;
    }
    Some(Notice::warn(match nearest(variable, known.iter().map(String::as_str)) {
        Some(near) => {
            format!("{variable} is not known and is passed over; is {near} meant?")
        }
        None => format!("{variable} is not known and is passed over"),
    }))
}
