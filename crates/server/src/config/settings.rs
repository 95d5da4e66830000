//! What was set, by whom: the values of flags before they become a [`Config`](super::Config).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::flag::{Flag, Value};
use super::table::{Group, find_in};
use super::url::Url;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Arguments,
    /// The environment variable of this name.
    Environment(String),
    /// The key of this name in the configuration file.
    File(String),
}

/// The values that were set. What was not set has its default.
#[derive(Debug)]
pub(crate) struct Settings {
    groups: &'static [Group],
    values: BTreeMap<&'static str, (Value, Source)>,
}

impl Source {
    /// How the place is named to people, who gave a value for `flag` there.
    pub(crate) fn place(&self, flag: &Flag) -> String {
        match self {
            Source::Arguments => format!("--{}", flag.name),
            Source::Environment(variable) => variable.clone(),
            Source::File(key) => format!("`{key}` in the configuration file"),
        }
    }
}

impl Settings {
    /// For the flags of `groups`, of which none is set.
    pub(crate) fn new(groups: &'static [Group]) -> Settings {
        Settings { groups, values: BTreeMap::new() }
    }

    /// Reads a value and keeps it; the last one wins.
    ///
    /// # Errors
    ///
    /// If it is not what the flag takes.
    pub(crate) fn set(
        &mut self,
        flag: &'static Flag,
        text: &str,
        source: Source,
    ) -> Result<(), ConfigError> {
        let value = flag.read(text).map_err(|expected| ConfigError::Value {
            place: source.place(flag),
            expected,
            given: text.to_owned(),
        })?;
        self.values.insert(flag.name, (value, source));
        Ok(())
    }

    /// Who set the flag; `None` if nobody did.
    pub(crate) fn source(&self, name: &str) -> Option<&Source> {
        self.values.get(name).map(|(_, source)| source)
    }

    /// Tells whether somebody set the flag.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.source(name).is_some()
    }

    /// How the place is named to people where the flag was set, or could have been.
    pub(crate) fn place(&self, name: &str) -> String {
        self.source(name).unwrap_or(&Source::Arguments).place(self.known(name))
    }

    /// The flags that were set, with their values.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static Flag, &Value)> {
        let flags = self.groups.iter().flat_map(|group| group.flags);
        flags.filter_map(|flag| self.values.get(flag.name).map(|(value, _)| (flag, value)))
    }

    fn value(&self, name: &str) -> Value {
        match self.values.get(name) {
            Some((value, _)) => value.clone(),
            None => default(self.known(name)),
        }
    }

    fn known(&self, name: &str) -> &'static Flag {
        find_in(self.groups, name).unwrap_or_else(|| panic!("--{name} is in no table of flags"))
    }

    /// The value of a switch.
    pub(crate) fn switch(&self, name: &str) -> bool {
        let Value::Switch(on) = self.value(name) else { mistaken(name) };
        on
    }

    /// The value of a text or a choice.
    pub(crate) fn text(&self, name: &str) -> String {
        let Value::Text(text) = self.value(name) else { mistaken(name) };
        text
    }

    /// The value of a path; `None` if it is empty.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name);
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// The value of a number. What the table's limits allow must fit into `T`.
    pub(crate) fn number<T: TryFrom<u64>>(&self, name: &str) -> T {
        let Value::Number(number) = self.value(name) else { mistaken(name) };
        let Ok(number) = T::try_from(number) else {
            panic!("--{name} may be {number} by the table, which is too large here")
        };
        number
    }

    /// The value of a duration.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        let Value::Duration(duration) = self.value(name) else { mistaken(name) };
        duration
    }

    /// The value of a duration for which zero stands for "never".
    pub(crate) fn duration_unless_zero(&self, name: &str) -> Option<Duration> {
        Some(self.duration(name)).filter(|duration| !duration.is_zero())
    }

    /// The addresses of a flag.
    pub(crate) fn urls(&self, name: &str) -> Vec<Url> {
        let Value::Urls(urls) = self.value(name) else { mistaken(name) };
        urls
    }

    /// The items of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let Value::List(items) = self.value(name) else { mistaken(name) };
        items
    }
}

/// The default of a flag as a value.
pub(crate) fn default(flag: &Flag) -> Value {
    match flag.read(flag.default) {
        Ok(value) => value,
        Err(expected) => panic!("the default of --{} is not {expected}", flag.name),
    }
}

fn mistaken(name: &str) -> ! {
    panic!("--{name} is asked for as another kind than the table says")
}
