//! All members show the same changes of keys, in the same order and without gaps.
//!
//! Whoever is the first to publish a revision writes the history; everybody else, and everybody
//! after a restart or an image, is compared with it. This is what a watch rests on, wherever it
//! goes on.

use std::collections::BTreeMap;

use mvcc::{EventFilter, EventLimits, KeyRange, Kind, Previous, Revision, View};

use crate::checker::{Verdict, Violation, violation};

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: String,
    /// `None` if the key was deleted.
    pub(crate) value: Option<String>,
}

/// Every change that was ever published.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By revision, from the second on: the first is that of an empty store.
    revisions: Vec<Vec<Change>>,
    /// At which revision each operation has written.
    written: BTreeMap<u64, u64>,
}

/// The revision of an empty store.
const EMPTY: u64 = Revision::FIRST.0;

impl History {
    /// The last revision that is known.
    pub(crate) fn last(&self) -> u64 {
        EMPTY + self.revisions.len() as u64
    }

    /// At which revision an operation has written, as far as anybody has shown.
    pub(crate) fn revision_of(&self, operation: u64) -> Option<u64> {
        self.written.get(&operation).copied()
    }

    /// A member shows a view, after it has shown all up to the revision `shown` in this life.
    /// Returns the changes that are news.
    pub(crate) fn shows(
        &mut self,
        id: u64,
        view: &View,
        shown: u64,
    ) -> Result<Vec<(u64, Change)>, Violation> {
        let say = |text: String| Violation { oracle: "history", text: format!("m{id} {text}") };
        let (revision, last) = (view.revision().0, self.last());
        if revision < shown {
            return Err(say(format!("shows revision {revision} after {shown}")));
        }
        let compacted = view.compacted().map_or(EMPTY, |compacted| compacted.0);
        let from = (shown + 1).max(compacted);
        if revision < from {
            return Ok(Vec::new());
        }
        if last + 1 < from {
            return Err(say(format!("has compacted {compacted}, and nobody has shown {last}")));
        }
        let mut news = Vec::new();
        for (at, changes) in changes(view, from) {
            let place = usize::try_from(at - EMPTY - 1).expect("revisions are few");
            match self.revisions.get(place) {
                Some(known) if *known == changes => {}
                Some(known) => {
                    return Err(say(format!("has {changes:?} at {at}, where {known:?} was shown")));
                }
                None if at == self.last() + 1 => {
                    for change in &changes {
                        self.record(at, change)?;
                        news.push((at, change.clone()));
                    }
                    self.revisions.push(changes);
                }
                None => return Err(say(format!("shows {at}, and nothing since {}", self.last()))),
            }
        }
        if self.last() < revision {
            return Err(say(format!("is at {revision}, and shows changes to {}", self.last())));
        }
        Ok(news)
    }

    fn record(&mut self, at: u64, change: &Change) -> Verdict {
        let Some(operation) = change.value.as_deref().and_then(operation_of) else {
            return Ok(());
        };
        match self.written.insert(operation, at) {
            None => Ok(()),
            Some(before) => {
                violation("history", format!("write {operation} happened at {before} and at {at}"))
            }
        }
    }

    /// A member shows these contents at its last revision.
    pub(crate) fn contains(&self, id: u64, view: &View) -> Verdict {
        let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
        let revision = view.revision().0;
        let upto = usize::try_from(revision - EMPTY).expect("revisions are few");
        for change in self.revisions.iter().take(upto).flatten() {
            match &change.value {
                Some(value) => expected.insert(&change.key, value),
                None => expected.remove(change.key.as_str()),
            };
        }
        let request = mvcc::RangeRequest::of(KeyRange::From(b""));
        let found = view.range(&request).expect("what is now can be read");
        let found: Vec<(String, String)> = found
            .versions
            .iter()
            .map(|version| (text(version.key()), text(version.value().bytes())))
            .collect();
        let expected: Vec<(String, String)> =
            expected.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        if found != expected {
            let text = format!("m{id} has {found:?} at {revision}, and not {expected:?}");
            return violation("history", text);
        }
        Ok(())
    }
}

/// The changes in a view from a revision on.
fn changes(view: &View, from: u64) -> Vec<(u64, Vec<Change>)> {
    let keys = KeyRange::From(b"");
    let filter = EventFilter { keys, kind: None, previous: Previous::Unwanted };
    let limits =
        EventLimits { events_max: usize::MAX, bytes_max: usize::MAX, changes_max: usize::MAX };
    let found = view.events(Revision(from), &filter, &limits);
    let mut revisions: Vec<(u64, Vec<Change>)> = Vec::new();
    for event in found.expect("what is not compacted can be read").events {
        let version = event.version;
        let value = match version.kind() {
            Kind::Put => Some(text(version.value().bytes())),
            Kind::Delete => None,
        };
        let change = Change { key: text(version.key()), value };
        let at = version.mod_revision().0;
        match revisions.last_mut() {
            Some((last, changes)) if *last == at => changes.push(change),
            Some(_) | None => revisions.push((at, vec![change])),
        }
    }
    revisions
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value that an operation writes: it tells which one.
pub(crate) fn value_of(operation: u64, padding: usize) -> String {
    format!("{operation}:{}", "x".repeat(padding))
}

/// The operation that wrote a value.
pub(crate) fn operation_of(value: &str) -> Option<u64> {
    value.split_once(':')?.0.parse().ok()
}
