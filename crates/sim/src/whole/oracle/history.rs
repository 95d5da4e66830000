//! All members show the same changes of keys, in the same order and without gaps.
//!
//! Whoever is the first to publish a revision writes the history; everybody else, and everybody
//! after a restart or an image, is compared with it. This is what a watch rests on, wherever it
//! goes on.

use std::collections::BTreeMap;

use mvcc::{EventFilter, EventLimits, KeyRange, Kind, Previous, RangeRequest, Revision, View};

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

/// How much of the changes is read at once.
const PAGE: EventLimits = EventLimits { events_max: 3, bytes_max: usize::MAX, changes_max: 3 };

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
        let mut next = from;
        for (at, changes) in changes(view, from) {
            if at != next {
                return Err(say(format!("shows {at} where {next} should follow, from {from} on")));
            }
            next += 1;
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
        if next <= revision {
            return Err(say(format!("is at {revision}, and shows changes to {}", next - 1)));
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

    /// A member shows these contents at its last revision, and at the oldest that can be read.
    pub(crate) fn contains(&self, id: u64, view: &View) -> Verdict {
        let oldest = view.compacted().unwrap_or(view.revision()).max(Revision(EMPTY));
        for at in [oldest, view.revision()] {
            let keys = KeyRange::From(b"");
            let request = RangeRequest { revision: Some(at), ..RangeRequest::of(keys) };
            let found = match view.range(&request) {
                Ok(found) => found.versions,
                Err(error) => {
                    return violation("history", format!("m{id} does not show {at:?}: {error}"));
                }
            };
            let found: BTreeMap<String, String> = found
                .into_iter()
                .map(|version| (text(version.key()), text(version.value().bytes())))
                .collect();
            let expected = self.contents(at.0);
            if found != expected {
                let text = format!("m{id} has {found:?} at {at:?}, and not {expected:?}");
                return violation("history", text);
            }
        }
        Ok(())
    }

    /// What there was at a revision.
    fn contents(&self, revision: u64) -> BTreeMap<String, String> {
        let mut contents = BTreeMap::new();
        let upto = usize::try_from(revision - EMPTY).expect("revisions are few");
        for change in self.revisions.iter().take(upto).flatten() {
            match &change.value {
                Some(value) => contents.insert(change.key.clone(), value.clone()),
                None => contents.remove(&change.key),
            };
        }
        contents
    }
}

/// The changes in a view from a revision on, read little by little, as a watch does.
fn changes(view: &View, from: u64) -> Vec<(u64, Vec<Change>)> {
    let keys = KeyRange::From(b"");
    let filter = EventFilter { keys, kind: None, previous: Previous::Unwanted };
    let mut revisions: Vec<(u64, Vec<Change>)> = Vec::new();
    let mut next = Revision(from);
    while next <= view.revision() {
        let found = view.events(next, &filter, &PAGE).expect("what is not compacted can be read");
        assert!(next < found.next, "a watch stands still at {next:?}");
        next = found.next;
        for event in found.events {
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
