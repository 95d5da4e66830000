//! What of a store has to be kept: the contents that members agree on.
//!
//! A version is kept if it was written at the compacted revision or later, or if it is no tombstone
//! and was not superseded up to the compacted revision. A tombstone at the compacted revision
//! itself is therefore kept, because a watch may begin there.
//!
//! Compaction takes the rest away little by little. Whatever is compared between members or is
//! written to a checkpoint goes by this rule instead of by what is still there.

use std::iter::Peekable;

use crate::revision::Revision;
use crate::tree::{ByKey, ByKeyAndChange, Iter};
use crate::version::Version;
use crate::view::View;

/// Tells whether a version has to be kept, given the revision at which it was superseded.
pub(crate) fn is_kept(
    version: &Version,
    superseded: Option<Revision>,
    compacted: Option<Revision>,
) -> bool {
    let Some(compacted) = compacted else { return true };
    let is_in_force = superseded.is_none_or(|superseded| compacted < superseded);
    compacted <= version.mod_revision() || (is_in_force && !version.is_tombstone())
}

/// How far an iteration has come, so that another can go on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    past: usize,
    live: usize,
}

/// Iterates over what has to be kept, by key and then by change.
pub(crate) struct Retained<'v> {
    past: Peekable<Iter<'v, ByKeyAndChange>>,
    live: Peekable<Iter<'v, ByKey>>,
    compacted: Option<Revision>,
    position: Position,
}

impl<'v> Retained<'v> {
    pub(crate) fn new(view: &'v View) -> Retained<'v> {
        Retained::from(view, Position::default())
    }

    /// Goes on where another iteration over the same view has stopped.
    pub(crate) fn from(view: &'v View, position: Position) -> Retained<'v> {
        Retained {
            past: view.past.range(position.past..view.past.len()).peekable(),
            live: view.live.range(position.live..view.live.len()).peekable(),
            compacted: view.compacted,
            position,
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }
}

impl<'v> Iterator for Retained<'v> {
    type Item = &'v Version;

    fn next(&mut self) -> Option<&'v Version> {
        loop {
            let live = self.live.peek().map(|entry| &entry.0);
            let past = self.past.next_if(|past| live.is_none_or(|live| past.0.key() <= live.key()));
            let Some(ByKeyAndChange(version)) = past else {
                self.position.live += usize::from(live.is_some());
                return self.live.next().map(|entry| &entry.0);
            };
            self.position.past += 1;
            let next = self.past.peek().map(|entry| &entry.0);
            let of_this_key = |other: &&Version| other.key() == version.key();
            let superseded = next.filter(of_this_key).or(live.filter(of_this_key));
            let superseded = superseded.map(Version::mod_revision);
            if is_kept(version, superseded, self.compacted) {
                return Some(version);
            }
        }
    }
}
