//! The words of a script's line, as parts of commands.

use std::error::Error;
use std::str::FromStr;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command as Line};
use store::{
    AlarmAction, AlarmKind, Command, Compare, CompareResult, CompareWith, DeleteRange, Operation,
    Order, Put, Range, Target, Txn,
};

type Parsed<T> = Result<T, Box<dyn Error>>;

/// Which list of a transaction an operation belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Branch {
    Success,
    Failure,
}

impl Branch {
    pub(crate) fn of(self, txn: &mut Txn) -> &mut Vec<Operation> {
        match self {
            Branch::Success => &mut txn.success,
            Branch::Failure => &mut txn.failure,
        }
    }
}

/// What is left of a line.
pub(crate) struct Words<'l> {
    rest: ArgumentConsumer<'l>,
}

impl<'l> Words<'l> {
    pub(crate) fn new(line: &'l Line) -> Words<'l> {
        Words { rest: line.consume_args() }
    }

    /// Complains if something is left.
    pub(crate) fn finish(&self) -> Parsed<()> {
        self.rest.reject_next()
    }

    pub(crate) fn next(&mut self) -> Parsed<&'l str> {
        self.rest.next_pos().ok_or_else(|| "a word is missing".into())
    }

    pub(crate) fn number<T: FromStr<Err: Error + 'static>>(&mut self) -> Parsed<T> {
        Ok(self.next()?.parse()?)
    }

    pub(crate) fn numbers<T: FromStr<Err: Error + 'static>>(&mut self) -> Parsed<Vec<T>> {
        self.texts().iter().map(|word| Ok(word.parse()?)).collect()
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.rest.next_pos()).map(str::to_owned).collect()
    }

    pub(crate) fn pairs(&mut self) -> Parsed<Vec<(i64, i64)>> {
        let pairs = std::iter::from_fn(|| self.rest.next_key());
        pairs.map(|(id, seconds)| Ok((id.parse()?, seconds.parse()?))).collect()
    }

    pub(crate) fn key<T: FromStr<Err: Error + 'static>>(&mut self, key: &str) -> Parsed<Option<T>> {
        Ok(self.rest.take_key(key).map(str::parse).transpose()?)
    }

    fn key_or_zero(&mut self, key: &str) -> Parsed<i64> {
        Ok(self.key(key)?.unwrap_or(0))
    }

    /// Reads a key or a range of keys.
    fn keys(&mut self) -> Parsed<(Bytes, Bytes)> {
        let word = self.next()?;
        let (key, end) = match word.split_once("..") {
            None => (word, ""),
            Some((key, "")) => (key, "\0"),
            Some(both) => both,
        };
        Ok((Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(end.as_bytes())))
    }

    /// Reads words that are there or not, in any order; `names` are all that there may be.
    fn flags<const N: usize>(&mut self, names: [&str; N]) -> Parsed<[bool; N]> {
        let words = self.texts();
        match words.iter().find(|word| !names.contains(&word.as_str())) {
            Some(word) => Err(format!("{word} is none of {names:?}").into()),
            None => Ok(names.map(|name| words.iter().any(|word| word == name))),
        }
    }

    pub(crate) fn put(&mut self) -> Parsed<Put> {
        let key = self.keys()?.0;
        let mut words = self.texts();
        let flags = ["previous", "keep-value", "keep-lease"];
        let [previous, ignore_value, ignore_lease] = flags.map(|flag| {
            let len = words.len();
            words.retain(|word| word != flag);
            words.len() < len
        });
        let value = words.pop().unwrap_or_default();
        if let Some(word) = words.pop() {
            return Err(format!("{word} is none of {flags:?}").into());
        }
        let lease = self.key_or_zero("lease")?;
        Ok(Put { key, value: Bytes::from(value), lease, previous, ignore_value, ignore_lease })
    }

    pub(crate) fn delete_range(&mut self) -> Parsed<DeleteRange> {
        let (key, range_end) = self.keys()?;
        let [previous] = self.flags(["previous"])?;
        Ok(DeleteRange { key, range_end, previous })
    }

    pub(crate) fn range(&mut self) -> Parsed<Range> {
        let (key, range_end) = self.keys()?;
        let [keys_only, count_only] = self.flags(["keys-only", "count-only"])?;
        let order = match self.rest.take_key("order") {
            None => Order::None,
            Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(other) => return Err(format!("{other} is no order").into()),
        };
        let target = match self.rest.take_key("sort") {
            None | Some("key") => Target::Key,
            Some("version") => Target::Version,
            Some("create") => Target::CreateRevision,
            Some("mod") => Target::ModRevision,
            Some("value") => Target::Value,
            Some(other) => return Err(format!("{other} is nothing to sort by").into()),
        };
        Ok(Range {
            key,
            range_end,
            limit: self.key_or_zero("limit")?,
            revision: self.key_or_zero("at")?,
            order,
            target,
            keys_only,
            count_only,
            mod_revision_min: self.key_or_zero("mod-min")?,
            mod_revision_max: self.key_or_zero("mod-max")?,
            create_revision_min: self.key_or_zero("create-min")?,
            create_revision_max: self.key_or_zero("create-max")?,
        })
    }

    pub(crate) fn compare(&mut self) -> Parsed<Compare> {
        let what = self.next()?;
        let (key, range_end) = self.keys()?;
        let result = match self.next()? {
            "is" => CompareResult::Equal,
            "is-not" => CompareResult::NotEqual,
            "above" => CompareResult::Greater,
            "below" => CompareResult::Less,
            other => return Err(format!("{other} compares nothing").into()),
        };
        let with = match what {
            "version" => CompareWith::Version(self.number()?),
            "create" => CompareWith::CreateRevision(self.number()?),
            "mod" => CompareWith::ModRevision(self.number()?),
            "lease" => CompareWith::Lease(self.number()?),
            "value" => CompareWith::Value(Bytes::copy_from_slice(self.next()?.as_bytes())),
            other => return Err(format!("{other} cannot be compared").into()),
        };
        Ok(Compare { key, range_end, result, with })
    }

    /// Reads an operation; nothing, if it is a transaction that begins.
    pub(crate) fn operation(&mut self) -> Parsed<Option<Operation>> {
        Ok(Some(match self.next()? {
            "put" => Operation::Put(self.put()?),
            "delete" => Operation::DeleteRange(self.delete_range()?),
            "get" => Operation::Range(self.range()?),
            "txn" => return Ok(None),
            other => return Err(format!("{other} is no operation").into()),
        }))
    }

    pub(crate) fn alarm(&mut self, action: AlarmAction) -> Parsed<Command> {
        let member = self.number()?;
        let kinds = [AlarmKind::None, AlarmKind::NoSpace, AlarmKind::Corrupt];
        let word = self.next()?;
        let kind = kinds.into_iter().find(|kind| alarm_kind(*kind) == word);
        let kind = kind.ok_or_else(|| format!("{word} is no alarm"))?;
        Ok(Command::Alarm { action, member, kind })
    }
}

pub(crate) fn alarm_kind(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::None => "none",
        AlarmKind::NoSpace => "no-space",
        AlarmKind::Corrupt => "corrupt",
    }
}

/// Shows bytes as letters where they are.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
