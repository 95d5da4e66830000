//! Some changes of the log, and the messages that are made of them.

use std::cell::OnceCell;

use mvcc::{Event, Previous, Revision, Version, View};

use super::super::interest::{Parts, Wish};
use super::super::outgoing::{Message, Shown, messages};
use crate::convert::Header;

/// How many choices of events are remembered with their messages.
const KNOWN_MAX: usize = 4;

/// Changes that are looked at together.
#[derive(Debug)]
pub(super) struct Slice<'v> {
    view: &'v View,
    changes: Vec<Change<'v>>,
    /// Messages that were made, to be used again by groups that want the same of other ranges.
    known: Vec<Known>,
}

#[derive(Debug)]
struct Change<'v> {
    version: &'v Version,
    /// The version before, once somebody wanted it.
    previous: OnceCell<Option<&'v Version>>,
}

#[derive(Debug)]
struct Known {
    wanted: Vec<u32>,
    previous: Previous,
    parts: Parts,
    messages: Vec<Message>,
}

impl<'v> Slice<'v> {
    /// Takes the events before a revision.
    pub(super) fn before(view: &'v View, end: Revision, events: &[Event<'v>]) -> Slice<'v> {
        let len = events.partition_point(|event| event.version.mod_revision() < end);
        let change =
            |event: &Event<'v>| Change { version: event.version, previous: OnceCell::new() };
        Slice { view, changes: events[..len].iter().map(change).collect(), known: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns the changes with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &'v Version)> {
        (0..).zip(self.changes.iter().map(|change| change.version))
    }

    /// Encodes the changes of these numbers, once for all who want the same.
    pub(super) fn messages(
        &mut self,
        header: Header,
        wanted: &[u32],
        wish: Wish,
        divide_at: usize,
    ) -> Vec<Message> {
        let Wish { kinds: _, previous, parts } = wish;
        let is_same = |known: &&Known| {
            known.wanted == wanted && known.previous == previous && known.parts == parts
        };
        if let Some(known) = self.known.iter().find(is_same) {
            return known.messages.clone();
        }
        let shown: Vec<_> = wanted.iter().map(|number| self.shown(*number, previous)).collect();
        let divide_at = match parts {
            Parts::Whole => None,
            Parts::Divided => Some(divide_at),
        };
        let messages = messages(header, &shown, divide_at);
        if self.known.len() < KNOWN_MAX {
            let (wanted, messages) = (wanted.to_vec(), messages.clone());
            self.known.push(Known { wanted, previous, parts, messages });
        }
        messages
    }

    fn shown(&self, number: u32, previous: Previous) -> Shown<'v> {
        let change = &self.changes[number as usize];
        let previous = match previous {
            Previous::Unwanted => None,
            Previous::Wanted => *change.previous.get_or_init(|| before(self.view, change.version)),
        };
        Shown { version: change.version, previous }
    }
}

/// Returns the key as it was before a change, if it existed then and that is not compacted.
fn before<'v>(view: &'v View, version: &Version) -> Option<&'v Version> {
    if version.create_revision() == version.mod_revision() {
        return None;
    }
    view.get_at(version.key(), Revision(version.mod_revision().0 - 1)).ok().flatten()
}
