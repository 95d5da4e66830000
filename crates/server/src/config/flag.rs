//! What a flag is: one row of the table that drives parsing, help, environment, file and search.

use std::time::Duration;

use super::duration::parse_duration;
use super::url::Url;

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name without dashes.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// The value it has if nobody sets it, written as one would set it.
    pub(crate) default: &'static str,
    /// What it is for.
    pub(crate) help: &'static str,
    /// What comes of it here.
    pub(crate) effect: Effect,
    /// The section and the key under which a configuration file may also hold it.
    pub(crate) file_key: Option<(&'static str, &'static str)>,
}

/// What comes of a flag that etcd has, and of those that only we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does what it says.
    Used,
    /// It is accepted and does nothing here. The reason is logged when it is set.
    Nothing(&'static str),
    /// To set it to anything but its default is an error, because to go on without it would do
    /// something else than was asked for. The text says what to do instead.
    Refused(&'static str),
    /// Accepted in silence and left out of the help, as etcd does with what it once had.
    Past,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false; alone it means true.
    Switch,
    /// Any text.
    Text,
    /// A path; empty for none.
    Path,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A duration as Go writes it.
    Duration,
    /// Addresses, separated by commas; sorted, each once. May be empty.
    Urls,
    /// Texts, separated by commas; sorted, each once.
    Set,
    /// Texts, separated by commas, in the order given. May be empty.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// What somebody gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::Text`], [`Kind::Path`] and [`Kind::Choice`].
    Text(String),
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Urls`].
    Urls(Vec<Url>),
    /// Of [`Kind::Set`] and [`Kind::List`].
    List(Vec<String>),
}

/// A flag that does what it says.
pub(crate) const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, kind, default, help, effect: Effect::Used, file_key: None }
}

/// A switch that is off unless it is turned on.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Switch, "false", help)
}

/// A flag with the path of a file, none unless it is given.
pub(crate) const fn path(name: &'static str, help: &'static str) -> Flag {
    flag(name, Kind::Path, "", help)
}

/// A flag that etcd once had.
pub(crate) const fn past(name: &'static str) -> Flag {
    Flag { effect: Effect::Past, ..flag(name, Kind::Text, "", "") }
}

impl Flag {
    /// The same, without an effect here, for this reason.
    pub(crate) const fn without_effect(self, reason: &'static str) -> Flag {
        Flag { effect: Effect::Nothing(reason), ..self }
    }

    /// The same, refused, with this advice.
    pub(crate) const fn refused(self, advice: &'static str) -> Flag {
        Flag { effect: Effect::Refused(advice), ..self }
    }

    /// The same, to be found in a configuration file also under `section` and `key`.
    pub(crate) const fn in_file(self, section: &'static str, key: &'static str) -> Flag {
        Flag { file_key: Some((section, key)), ..self }
    }

    /// The environment variable for it that begins with `prefix`.
    pub(crate) fn variable(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// What was wanted, to be put after "wants".
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        if self.effect == Effect::Past {
            return Ok(Value::Text(text.to_owned()));
        }
        self.kind.read(text)
    }
}

impl Kind {
    /// Reads a value of this kind; see [`Flag::read`].
    fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Kind::Switch => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Switch(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Switch(false)),
                _ => Err("true or false".to_owned()),
            },
            Kind::Text | Kind::Path => Ok(Value::Text(text.to_owned())),
            Kind::Number(min, max) => match read_number(text) {
                Some(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
                _ if max == u64::MAX => Err(format!("a whole number of at least {min}")),
                _ => Err(format!("a whole number from {min} to {max}")),
            },
            Kind::Duration => parse_duration(text)
                .map(Value::Duration)
                .ok_or_else(|| "a duration with its unit, such as 5s, 300ms or 1h30m".to_owned()),
            Kind::Urls if text.is_empty() => Ok(Value::Urls(Vec::new())),
            Kind::Urls => {
                Url::parse_list(text).map(Value::Urls).map_err(|error| error.expected().to_owned())
            }
            Kind::Set => {
                let mut items = list_items(text);
                items.sort();
                items.dedup();
                Ok(Value::List(items))
            }
            Kind::List => Ok(Value::List(list_items(text))),
            Kind::Choice(choices) if choices.contains(&text) => Ok(Value::Text(text.to_owned())),
            Kind::Choice(choices) => Err(format!("one of {}", choices.join(", "))),
        }
    }
}

/// The items between commas; none in an empty text.
fn list_items(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

/// Reads a number as Go does: decimal, or with one of the prefixes `0x`, `0o`, `0b`, `0`.
fn read_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16),
        Some("0o" | "0O") => (&text[2..], 8),
        Some("0b" | "0B") => (&text[2..], 2),
        Some(_) if text.starts_with('0') => (&text[1..], 8),
        Some(_) | None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_take_what_go_takes() {
        assert_eq!(Kind::Switch.read("T"), Ok(Value::Switch(true)));
        assert_eq!(Kind::Switch.read("0"), Ok(Value::Switch(false)));
        assert_eq!(Kind::Switch.read("yes"), Err("true or false".to_owned()));
    }

    #[test]
    fn numbers_are_read_with_their_prefix_and_held_to_their_limits() {
        let kind = Kind::Number(1, 100);
        for (text, number) in [("7", 7), ("0x10", 16), ("0b11", 3), ("0o17", 15), ("017", 15)] {
            assert_eq!(kind.read(text), Ok(Value::Number(number)), "{text}");
        }
        for text in ["", "0", "101", "-1", "+1", "1.5", "ten", "0x"] {
            assert_eq!(kind.read(text), Err("a whole number from 1 to 100".to_owned()), "{text}");
        }
        assert_eq!(
            Kind::Number(0, u64::MAX).read("x"),
            Err("a whole number of at least 0".to_owned())
        );
    }

    #[test]
    fn sets_are_sorted_and_lists_are_not() {
        let items =
            |items: &[&str]| Ok(Value::List(items.iter().map(|item| (*item).to_owned()).collect()));
        assert_eq!(Kind::Set.read("b,a,b"), items(&["a", "b"]));
        assert_eq!(Kind::List.read("b,a,b"), items(&["b", "a", "b"]));
        assert_eq!(Kind::List.read(""), items(&[]));
    }

    #[test]
    fn choices_that_are_not_known_are_answered_with_those_that_are() {
        let kind = Kind::Choice(&["new", "existing"]);
        assert_eq!(kind.read("new"), Ok(Value::Text("new".to_owned())));
        assert_eq!(kind.read("old"), Err("one of new, existing".to_owned()));
    }
}
