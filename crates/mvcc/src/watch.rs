//! Watching: the changes since a revision, in order, whole revisions at a time.
//!
//! There is no queue per watcher. A watcher has a cursor, the revision that it wants next, and
//! reads on from there in any later view. The log reaches back to the compacted revision, so that
//! nothing between can have been lost, and a watcher that was slower than compaction is told so.

use crate::key_range::KeyRange;
use crate::revision::{Change, Revision};
use crate::tree::Probe;
use crate::version::{Kind, Version};
use crate::view::{ReadError, View};

/// What a watcher wants to see.
#[derive(Clone, Copy, Debug)]
pub struct EventFilter<'a> {
    /// Changes of these keys.
    pub keys: KeyRange<'a>,
    /// Changes of this kind; `None` for all.
    pub kind: Option<Kind>,
    /// Whether it wants the version before each change.
    pub previous: Previous,
}

/// Whether an event has the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It has, if there was one and its revision is not compacted.
    Wanted,
    /// It has not.
    Unwanted,
}

/// How much is returned at once. A revision that begins within the limits is returned as a whole.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// How many events to return.
    pub events_max: usize,
    /// How many bytes of encoded versions to return.
    pub bytes_max: usize,
    /// How many changes to look at, wanted or not: a bound on the time that this takes.
    pub changes_max: usize,
}

/// One change that a watcher sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'v> {
    /// What was written, or a tombstone.
    pub version: &'v Version,
    /// The key as it was at the revision before, for watchers that want it.
    pub previous: Option<&'v Version>,
}

/// Changes in order, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events<'v> {
    /// All changes that the watcher wants from the revision it asked for up to, but not including,
    /// `next`.
    pub events: Vec<Event<'v>>,
    /// The revision to ask for next. It is beyond the view's own when the watcher has seen all.
    pub next: Revision,
}

impl View {
    /// Returns the changes from a revision on.
    ///
    /// A revision that has not been reached gives nothing, and is the one to ask for again.
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one. There is no other error.
    pub fn events(
        &self,
        from: Revision,
        filter: &EventFilter<'_>,
        limits: &EventLimits,
    ) -> Result<Events<'_>, ReadError> {
        if let Some(compacted) = self.compacted
            && from < compacted
        {
            return Err(ReadError::Compacted(compacted));
        }
        let mut events: Vec<Event<'_>> = Vec::new();
        let mut bytes = 0;
        let mut revision = from;
        let start = self.log.rank(Probe::change(Change::first_of(from)));
        for (seen, entry) in self.log.range(start..self.log.len()).enumerate() {
            let version = &entry.0;
            assert!(revision <= version.mod_revision(), "the log went back to {version:?}");
            if revision < version.mod_revision() {
                let is_full = limits.events_max <= events.len()
                    || limits.bytes_max <= bytes
                    || limits.changes_max <= seen;
                // The first revision is returned in any case: else nobody would get on.
                if is_full && seen > 0 {
                    return Ok(Events { events, next: version.mod_revision() });
                }
                revision = version.mod_revision();
            }
            if filter.admits(version) {
                let previous = match filter.previous {
                    Previous::Wanted => self.before(version),
                    Previous::Unwanted => None,
                };
                let both = [Some(version), previous];
                let encoded = |version: &Version| version.encoded().bytes().len();
                bytes += both.into_iter().flatten().map(encoded).sum::<usize>();
                events.push(Event { version, previous });
            }
        }
        Ok(Events { events, next: from.max(self.revision.next()) })
    }

    /// Returns the key as it was before the transaction that wrote this version.
    fn before(&self, version: &Version) -> Option<&Version> {
        if version.create_revision() == version.mod_revision() {
            return None;
        }
        let before = Revision(version.mod_revision().0 - 1);
        self.admit(before).ok()?;
        self.version_at(version.key(), before)
    }
}

impl EventFilter<'_> {
    fn admits(&self, version: &Version) -> bool {
        self.kind.is_none_or(|kind| kind == version.kind()) && self.keys.contains(version.key())
    }
}
