//! Views of the recent past, so that a list that is read in pages at one revision is counted as
//! quickly on the last page as on the first.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::range::{RangeRequest, RangeResult};
use crate::revision::Revision;
use crate::view::{ReadError, View};

/// The newest view, and some before it.
///
/// Each holds the nodes that were changed since: about 5 KiB for each transaction of one change at
/// a million keys, and with them the versions, even if they are compacted meanwhile. Views below
/// the compacted revision are let go, because nobody may read there.
///
/// Invariant: revisions ascend.
#[derive(Clone, Debug)]
pub struct RecentViews {
    views: VecDeque<View>,
    views_max: NonZeroUsize,
}

impl RecentViews {
    /// Makes a collection that holds one view so far, and in time this many.
    pub fn new(view: View, views_max: NonZeroUsize) -> RecentViews {
        RecentViews { views: VecDeque::from([view]), views_max }
    }

    /// Returns the newest view.
    pub fn newest(&self) -> &View {
        self.views.back().expect("there is always a view")
    }

    /// Takes in a newer view. One of the same revision takes the place of the newest.
    pub fn push(&mut self, view: View) {
        let newest = self.newest().revision();
        assert!(newest <= view.revision(), "a view of {} after {newest}", view.revision());
        if newest == view.revision() {
            self.views.pop_back();
        }
        let compacted = view.compacted();
        self.views.push_back(view);
        while self.views.len() > self.views_max.get()
            || (self.views.len() > 1 && Some(self.views[0].revision()) < compacted)
        {
            self.views.pop_front();
        }
    }

    /// Answers a request for a range of keys as the newest view would, but quicker if there is a
    /// view of the revision that is asked for.
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one, or has not been reached.
    pub fn range(&self, request: &RangeRequest<'_>) -> Result<RangeResult<'_>, ReadError> {
        let newest = self.newest();
        let revision = request.revision.unwrap_or(newest.revision());
        newest.admit(revision)?;
        let mut result = self.view_for(revision).range(request)?;
        result.revision = newest.revision();
        Ok(result)
    }

    /// Returns the view of this revision, or else the newest.
    fn view_for(&self, revision: Revision) -> &View {
        let found = self.views.binary_search_by_key(&revision, View::revision);
        found.map_or(self.newest(), |at| &self.views[at])
    }
}
