//! From the words of a script to requests.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use etcd_api::etcdserverpb as pb;
use goldenscript::{Argument, Command};
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::range_request::{SortOrder, SortTarget};
use pb::request_op::Request;

/// The words of one command: some stand for themselves, some have a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    plain: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Words {
    /// The words after the name of a command.
    pub(super) fn of(command: &Command) -> Words {
        let mut words = Words::default();
        for argument in &command.args {
            match argument {
                Argument::Positional(word) => words.plain.push(word.clone()),
                Argument::KeyValue(name, word) => {
                    words.named.insert(name.clone(), word.clone());
                }
                other => panic!("an argument of a new kind: {other}"),
            }
        }
        words
    }

    /// The words of a part of a transaction, separated by blanks. A word in `''` is empty.
    fn parse(text: &str) -> Words {
        let mut words = Words::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((name, word)) if !name.is_empty() => {
                    words.named.insert(name.to_owned(), word.to_owned());
                }
                _ => words.plain.push(if word == "''" { String::new() } else { word.to_owned() }),
            }
        }
        words
    }

    /// Takes the first plain word.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.plain.is_empty() { None } else { Some(self.plain.remove(0)) }
    }

    /// Takes the first plain word, which must be there.
    pub(super) fn need(&mut self, what: &str) -> Result<String> {
        self.next().with_context(|| format!("the command lacks {what}"))
    }

    /// Takes the word with a name.
    pub(super) fn named(&mut self, name: &str) -> Option<String> {
        self.named.remove(name)
    }

    /// Takes the number with a name; zero if there is none.
    pub(super) fn number(&mut self, name: &str) -> Result<i64> {
        self.named(name).map_or(Ok(0), |word| parse_number(&word))
    }

    /// Takes a plain word if it is there, and tells whether it was.
    pub(super) fn has(&mut self, flag: &str) -> bool {
        let at = self.plain.iter().position(|word| word == flag);
        at.is_some_and(|at| !self.plain.remove(at).is_empty())
    }

    /// Refuses words that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        match (self.plain.first(), self.named.first_key_value()) {
            (None, None) => Ok(()),
            (Some(word), _) => bail!("nobody knows the word `{word}` here"),
            (None, Some((name, _))) => bail!("nobody knows the name `{name}` here"),
        }
    }
}

/// Returns the number that is written as `word`.
pub(super) fn parse_number(word: &str) -> Result<i64> {
    word.parse().with_context(|| format!("`{word}` is no number"))
}

fn bytes(word: String) -> Bytes {
    // The parser of scripts reads \xff as the character U+00FF, which here is a byte.
    if !word.is_ascii() && word.chars().all(|c| u32::from(c) < 256) {
        return word.chars().map(|c| u8::try_from(c).expect("below 256")).collect();
    }
    word.into()
}

/// `range KEY [END] [limit=N] …`
pub(super) fn range(words: &mut Words) -> Result<pb::RangeRequest> {
    let flags = ["serializable", "keys_only", "count_only"].map(|flag| words.has(flag));
    let [serializable, keys_only, count_only] = flags;
    let sort_order = match words.named("sort") {
        None => 0,
        Some(word) => match SortOrder::from_str_name(&word.to_uppercase()) {
            Some(order) => i32::from(order),
            None => i32::try_from(parse_number(&word)?)?,
        },
    };
    let sort_target = match words.named("by") {
        None => 0,
        Some(word) => match SortTarget::from_str_name(&word.to_uppercase()) {
            Some(target) => i32::from(target),
            None => i32::try_from(parse_number(&word)?)?,
        },
    };
    Ok(pb::RangeRequest {
        key: bytes(words.next().unwrap_or_default()),
        range_end: bytes(words.next().unwrap_or_default()),
        limit: words.number("limit")?,
        revision: words.number("revision")?,
        sort_order,
        sort_target,
        serializable,
        keys_only,
        count_only,
        min_mod_revision: words.number("min_mod")?,
        max_mod_revision: words.number("max_mod")?,
        min_create_revision: words.number("min_create")?,
        max_create_revision: words.number("max_create")?,
    })
}

/// `put KEY [VALUE] [size=N] [lease=N] [prev_kv] [ignore_value] [ignore_lease]`
pub(super) fn put(words: &mut Words) -> Result<pb::PutRequest> {
    let flags = ["prev_kv", "ignore_value", "ignore_lease"].map(|flag| words.has(flag));
    let [prev_kv, ignore_value, ignore_lease] = flags;
    let size = usize::try_from(words.number("size")?)?;
    let key = bytes(words.next().unwrap_or_default());
    let value = bytes(words.next().unwrap_or_default());
    let value = if size > 0 { vec![b'x'; size].into() } else { value };
    Ok(pb::PutRequest {
        key,
        value,
        lease: words.number("lease")?,
        prev_kv,
        ignore_value,
        ignore_lease,
    })
}

/// `delete KEY [END] [prev_kv]`
pub(super) fn delete(words: &mut Words) -> pb::DeleteRangeRequest {
    let prev_kv = words.has("prev_kv");
    let key = bytes(words.next().unwrap_or_default());
    pb::DeleteRangeRequest { key, range_end: bytes(words.next().unwrap_or_default()), prev_kv }
}

/// `watch KEY [END] [start=N] [id=N] [prev_kv] [fragment] [progress_notify] [noput] [nodelete]`
pub(super) fn watch(words: &mut Words) -> Result<pb::WatchCreateRequest> {
    let flags = ["prev_kv", "fragment", "progress_notify"].map(|flag| words.has(flag));
    let [prev_kv, fragment, progress_notify] = flags;
    let mut filters = Vec::new();
    filters.extend(words.has("noput").then_some(0));
    filters.extend(words.has("nodelete").then_some(1));
    Ok(pb::WatchCreateRequest {
        key: bytes(words.next().unwrap_or_default()),
        range_end: bytes(words.next().unwrap_or_default()),
        start_revision: words.number("start")?,
        progress_notify,
        filters,
        prev_kv,
        watch_id: words.number("id")?,
        fragment,
    })
}

/// `txn [if="version a = 1; …"] [then="put a 1; …"] [else="range a; …"]`; `txn NAME` within is one
/// that was defined before.
pub(super) fn txn(
    words: &mut Words,
    defined: &BTreeMap<String, pb::TxnRequest>,
) -> Result<pb::TxnRequest> {
    let parts = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        text.split(';').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let conditions = parts(words.named("if"));
    let compare = conditions.iter().map(|text| compare(text)).collect::<Result<_>>()?;
    let mut branch = |name: &str| -> Result<Vec<pb::RequestOp>> {
        let mut ops = Vec::new();
        for text in parts(words.named(name)) {
            let mut words = Words::parse(&text);
            let times = words.named("times").map_or(Ok(1), |word| parse_number(&word))?;
            let op = part(words, defined).with_context(|| format!("in `{text}`"))?;
            for time in 0..times {
                let mut op = op.clone();
                if let (true, Some(Request::RequestPut(put))) = (times > 1, &mut op.request) {
                    put.key = format!("{}{time}", String::from_utf8_lossy(&put.key)).into();
                }
                ops.push(op);
            }
        }
        Ok(ops)
    };
    Ok(pb::TxnRequest { compare, success: branch("then")?, failure: branch("else")? })
}

fn part(mut words: Words, defined: &BTreeMap<String, pb::TxnRequest>) -> Result<pb::RequestOp> {
    let request = match words.need("an operation")?.as_str() {
        "range" => Some(Request::RequestRange(range(&mut words)?)),
        "put" => Some(Request::RequestPut(put(&mut words)?)),
        "delete" => Some(Request::RequestDeleteRange(delete(&mut words))),
        "txn" => {
            let name = words.need("the name of a transaction")?;
            let inner = defined.get(&name).ok_or_else(|| anyhow!("`{name}` was not defined"))?;
            Some(Request::RequestTxn(inner.clone()))
        }
        "nothing" => None,
        other => bail!("`{other}` is not range, put, delete, txn or nothing"),
    };
    words.finish()?;
    Ok(pb::RequestOp { request })
}

/// `version|create|mod|value|lease KEY[..END] =|>|<|!= OPERAND`
fn compare(text: &str) -> Result<pb::Compare> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [target, key, result, operand] = words[..] else {
        bail!("`{text}` has not four words, such as `version a = 1`");
    };
    let operand = if operand == "''" { "" } else { operand };
    let (target, target_union) = match target {
        "version" => (CompareTarget::Version, TargetUnion::Version(parse_number(operand)?)),
        "create" => (CompareTarget::Create, TargetUnion::CreateRevision(parse_number(operand)?)),
        "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(parse_number(operand)?)),
        "value" => (CompareTarget::Value, TargetUnion::Value(operand.to_owned().into())),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(parse_number(operand)?)),
        other => bail!("`{other}` is not version, create, mod, value or lease"),
    };
    let result = match result {
        "=" => CompareResult::Equal,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        "!=" => CompareResult::NotEqual,
        other => bail!("`{other}` is not =, >, < or !="),
    };
    let (key, end) = key.split_once("..").unwrap_or((key, ""));
    let key = if key == "''" { "" } else { key };
    let end = if end == "\\0" { "\0" } else { end };
    Ok(pb::Compare {
        result: result.into(),
        target: target.into(),
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        target_union: Some(target_union),
    })
}
