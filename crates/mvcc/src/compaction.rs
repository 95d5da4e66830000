//! Compaction: dropping old versions, little by little.
//!
//! [`Store::compact`] only sets the compacted revision. From then on reads below it are refused,
//! and everything that members agree on goes by it. The versions that nobody can see any more are
//! taken away by [`Store::compact_step`].
//!
//! A version can go when the change that superseded it is not later than the compacted revision.
//! The log has all changes since the last compaction, in order, so a step reads on in the log, and
//! drops what each change has superseded. The work is therefore in proportion to the garbage, and
//! does not depend on how many keys there are.

use std::fmt;
use std::num::NonZeroUsize;

use crate::revision::{Change, Revision};
use crate::store::Store;
use crate::tree::Probe;
use crate::version::Version;

/// A compaction that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction {
    /// The compacted revision that is being brought about.
    target: Revision,
    /// Changes before this one are done.
    next: Change,
}

/// Whether there is anything left to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another step is needed.
    Unfinished,
    /// What is held is what has to be kept.
    Finished,
}

/// Why a compaction is refused. Every member refuses it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactError {
    /// The history is already compacted up to this revision.
    Compacted(Revision),
    /// The store is only at this revision.
    Future(Revision),
}

impl fmt::Display for CompactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompactError::Compacted(revision) => {
                write!(f, "the history is already compacted up to revision {revision}")
            }
            CompactError::Future(revision) => {
                write!(f, "the store is only at revision {revision}")
            }
        }
    }
}

impl std::error::Error for CompactError {}

impl Store {
    /// Compacts the history up to a revision, which can itself still be read and watched from.
    ///
    /// # Errors
    ///
    /// The revision is not later than the compacted one, or has not been reached.
    pub fn compact(&mut self, revision: Revision) -> Result<(), CompactError> {
        if let Some(compacted) = self.now.compacted
            && revision <= compacted
        {
            return Err(CompactError::Compacted(compacted));
        }
        if revision > self.now.revision {
            return Err(CompactError::Future(self.now.revision));
        }
        self.now.compacted = Some(revision);
        // An earlier compaction that is under way has a smaller target: what it has left is done
        // along with the new one, from the beginning of the log.
        self.compaction = Some(Compaction { target: revision, next: Change::MIN });
        Ok(())
    }

    /// Takes away what the next few changes of the log have superseded.
    pub fn compact_step(&mut self, changes_max: NonZeroUsize) -> Progress {
        let Some(mut compaction) = self.compaction.take() else { return Progress::Finished };
        assert!(Some(compaction.target) == self.now.compacted, "another compaction is under way");
        for _ in 0..changes_max.get() {
            let at = self.now.log.rank(Probe::change(compaction.next));
            let entry = self.now.log.nth(at);
            let Some(version) = entry.map(|entry| entry.0.clone()) else { return self.finish() };
            if compaction.target < version.mod_revision() {
                return self.finish();
            }
            self.drop_superseded_by(&version, compaction.target);
            if version.mod_revision() < compaction.target {
                if version.is_tombstone() {
                    self.drop_past(version.key(), version.change());
                }
                let removed = self.now.log.remove(Probe::change(version.change()));
                assert!(removed.is_some(), "{version:?} is not in the log");
            }
            let Change { revision, sub } = version.change();
            compaction.next = Change { revision, sub: sub + 1 };
        }
        self.compaction = Some(compaction);
        Progress::Unfinished
    }

    /// Drops what `version` has superseded. If what it has superseded was written at the target
    /// itself, a watch from there must see it.
    fn drop_superseded_by(&mut self, version: &Version, target: Revision) {
        let probe = Probe { key: version.key(), change: version.change() };
        while let Some(rank) = self.now.past.rank(probe).checked_sub(1) {
            let old = &self.now.past.nth(rank).expect("ranks below another exist").0;
            if old.key() != version.key() || target <= old.mod_revision() {
                return;
            }
            let change = old.change();
            self.drop_past(version.key(), change);
        }
    }

    fn drop_past(&mut self, key: &[u8], change: Change) {
        let dropped = self.now.past.remove(Probe { key, change });
        let dropped = dropped.expect("what is compacted is there");
        self.now.past_bytes -= dropped.0.memory_bytes();
        self.dropped += 1;
    }

    fn finish(&mut self) -> Progress {
        let first = self.now.log.nth(0).map(|entry| entry.0.mod_revision());
        let compacted = self.now.compacted;
        assert!(first.is_none_or(|first| compacted <= Some(first)), "the log begins at {first:?}");
        Progress::Finished
    }
}
