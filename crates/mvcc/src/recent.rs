//! Views of the recent past, so that a list that is read in pages at one revision is counted as
//! quickly on the last page as on the first.

use std::collections::VecDeque;
use std::fmt;

use crate::range::{RangeRequest, RangeResult};
use crate::revision::Revision;
use crate::tree::{ByKey, Tree};
use crate::view::{ReadError, View};

/// The newest view, and of some before it the keys that existed.
///
/// Each holds the nodes that were changed since: about 5 KiB for a transaction of one change among
/// a million keys, and with them the versions, even if they are compacted meanwhile. So only what
/// somebody may come back to is pushed. What is below the compacted revision is let go, because
/// nobody may read there.
///
/// Invariant: revisions ascend.
#[derive(Clone)]
pub struct RecentViews {
    newest: View,
    older: VecDeque<Root>,
    older_max: usize,
}

/// The keys that existed at a revision.
#[derive(Clone)]
struct Root {
    revision: Revision,
    live: Tree<ByKey>,
}

impl RecentViews {
    /// Makes a collection of one view, which comes to remember `older_max` before the newest.
    pub fn new(view: View, older_max: usize) -> RecentViews {
        RecentViews { newest: view, older: VecDeque::new(), older_max }
    }

    /// Returns the newest view.
    pub fn newest(&self) -> &View {
        &self.newest
    }

    /// Takes in a newer view. One of the same revision takes the place of the newest.
    pub fn push(&mut self, view: View) {
        let revision = self.newest.revision;
        assert!(revision <= view.revision, "a view of {} after {revision}", view.revision);
        if revision < view.revision {
            self.older.push_back(Root { revision, live: self.newest.live.clone() });
        }
        self.newest = view;
        let compacted = self.newest.compacted;
        let is_readable = |root: &Root| compacted <= Some(root.revision);
        while self.older_max < self.older.len() || !self.older.front().is_none_or(is_readable) {
            self.older.pop_front();
        }
    }

    /// Lets go what is below a revision.
    pub fn forget_before(&mut self, revision: Revision) {
        while self.older.front().is_some_and(|root| root.revision < revision) {
            self.older.pop_front();
        }
    }

    /// Returns `newest`, which may be newer than the newest here, together with the one revision
    /// that a reader asks for, if it is remembered: for reading without holding up anybody.
    pub fn excerpt(&self, newest: &View, revision: Revision) -> RecentViews {
        let older = match self.older.binary_search_by_key(&revision, |root| root.revision) {
            Ok(at) => Some(self.older[at].clone()),
            Err(_) if self.newest.revision == revision && revision < newest.revision => {
                Some(Root { revision, live: self.newest.live.clone() })
            }
            Err(_) => None,
        };
        RecentViews { newest: newest.clone(), older: older.into_iter().collect(), older_max: 1 }
    }

    /// Answers a request for a range of keys as the newest view would, but quicker if the revision
    /// that is asked for is remembered.
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one, or has not been reached.
    pub fn range(&self, request: &RangeRequest<'_>) -> Result<RangeResult<'_>, ReadError> {
        let revision = request.revision.unwrap_or(self.newest.revision);
        self.newest.admit(revision)?;
        match self.older.binary_search_by_key(&revision, |root| root.revision) {
            Ok(at) => Ok(request.answer_from(&self.older[at].live, self.newest.revision)),
            Err(_) => self.newest.range(request),
        }
    }
}

impl fmt::Debug for RecentViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.older.front().map(|root| root.revision);
        f.debug_struct("RecentViews")
            .field("newest", &self.newest)
            .field("first", &first)
            .finish_non_exhaustive()
    }
}
