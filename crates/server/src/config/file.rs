//! Settings from a configuration file with etcd's keys.

use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value as Yaml};

use super::error::ConfigError;
use super::flag::{Flag, Kind};
use super::nearest::nearest;
use super::notice::Notice;
use super::settings::{Settings, Source};
use super::table;

/// Sets what the file holds. Keys are the names of flags; some are also found in sections, where
/// etcd has them.
///
/// # Errors
///
/// If the file cannot be read, is not YAML, or holds a value that its flag does not take.
pub(crate) fn apply(
    path: &Path,
    settings: &mut Settings,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::FileUnreadable { path: path.to_owned(), source })?;
    let yaml: Yaml = serde_yaml::from_str(&text)
        .map_err(|source| ConfigError::FileSyntax { path: path.to_owned(), source })?;
    let mut file = File { path: path.to_owned(), settings, notices };
    match yaml {
        Yaml::Null => Ok(()),
        Yaml::Mapping(map) => file.on_top(&map),
        Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) | Yaml::Sequence(_) | Yaml::Tagged(_) => {
            Err(file.misshapen("", "a map from names of flags to their values"))
        }
    }
}

struct File<'a> {
    path: PathBuf,
    settings: &'a mut Settings,
    notices: &'a mut Vec<Notice>,
}

impl File<'_> {
    fn on_top(&mut self, map: &Mapping) -> Result<(), ConfigError> {
        for (key, value) in map {
            let key = self.key(key)?;
            let is_section = |flag: &Flag| flag.file_key.is_some_and(|(section, _)| section == key);
            if let Some(flag) = table::find(&key) {
                self.set(flag, &key, value)?;
            } else if table::flags().any(is_section) {
                self.on_section(&key, value)?;
            } else {
                self.on_unknown(&key, table::flags().map(|flag| flag.name));
            }
        }
        Ok(())
    }

    fn on_section(&mut self, section: &str, value: &Yaml) -> Result<(), ConfigError> {
        let Yaml::Mapping(map) = value else {
            if value.is_null() {
                return Ok(());
            }
            return Err(self.misshapen(section, "a map"));
        };
        let keys = || {
            table::flags().filter_map(|flag| {
                let (of, key) = flag.file_key?;
                (of == section).then_some((key, flag))
            })
        };
        for (key, value) in map {
            let key = self.key(key)?;
            match keys().find(|(known, _)| *known == key) {
                Some((_, flag)) => self.set(flag, &format!("{section}.{key}"), value)?,
                None => self.on_unknown(&format!("{section}.{key}"), keys().map(|(key, _)| key)),
            }
        }
        Ok(())
    }

    fn key(&self, key: &Yaml) -> Result<String, ConfigError> {
        key.as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.misshapen(&format!("{key:?}"), "to be text"))
    }

    fn set(&mut self, flag: &'static Flag, key: &str, value: &Yaml) -> Result<(), ConfigError> {
        let Some(text) = self.text(flag, key, value)? else { return Ok(()) };
        // An empty value leaves the default, as in the environment.
        if text.is_empty() && flag.kind != Kind::Text {
            return Ok(());
        }
        self.settings.set(flag, &text, Source::File(key.to_owned()))
    }

    /// A value as it would be written on the command line; `None` if there is none.
    fn text(&self, flag: &Flag, key: &str, value: &Yaml) -> Result<Option<String>, ConfigError> {
        match value {
            Yaml::Null => Ok(None),
            Yaml::Bool(on) => Ok(Some(on.to_string())),
            // A bare number is nanoseconds where a duration is wanted, as Go has it.
            Yaml::Number(number) if flag.kind == Kind::Duration => Ok(Some(format!("{number}ns"))),
            Yaml::Number(number) => Ok(Some(number.to_string())),
            Yaml::String(text) => Ok(Some(text.clone())),
            Yaml::Sequence(items) => {
                let mut texts = Vec::new();
                for item in items {
                    texts.extend(self.text(flag, key, item)?);
                }
                Ok(Some(texts.join(",")))
            }
            Yaml::Mapping(_) | Yaml::Tagged(_) => Err(self.misshapen(key, "a value or a list")),
        }
    }

    fn on_unknown(&mut self, key: &str, known: impl Iterator<Item = &'static str>) {
        let last = key.rsplit('.').next().unwrap_or(key);
        let path = self.path.display();
        self.notices.push(Notice::warn(match nearest(last, known) {
            Some(near) => {
                format!("`{key}` in {path} is not known and is passed over; is `{near}` meant?")
            }
            None => format!("`{key}` in {path} is not known and is passed over"),
        }));
    }

    fn misshapen(&self, key: &str, expected: &'static str) -> ConfigError {
        ConfigError::FileShape { path: self.path.clone(), key: key.to_owned(), expected }
    }
}
