//! Ranges: what a request asks of a view, and what it gets.

use std::cmp::Ordering;
use std::num::NonZeroUsize;

use crate::key_range::KeyRange;
use crate::revision::{Change, Revision};
use crate::tree::{ByKey, Probe, Tree};
use crate::version::Version;
use crate::view::{ReadError, View};

/// What a client wants to know.
#[derive(Clone, Copy, Debug)]
pub struct RangeRequest<'a> {
    /// Which keys.
    pub keys: KeyRange<'a>,
    /// At which revision; `None` for the current one.
    pub revision: Option<Revision>,
    /// How many versions at most; `None` for all.
    pub limit: Option<NonZeroUsize>,
    /// Whether only their number is of interest.
    pub answer: Answer,
    /// By what the versions are sorted.
    pub target: SortTarget,
    /// In which direction. `None` is the order of keys; with a target other than the key, the
    /// versions up to the limit, and the one behind it, are taken in the order of keys, and then
    /// sorted, as etcd does.
    pub order: Option<SortOrder>,
    /// Bounds on the revisions of the versions.
    pub filter: Filter,
}

/// Whether versions are returned. Without their values they cost the same: a server sends
/// [`Version::encoded_key_only`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The versions and their number.
    Versions,
    /// Only how many keys there are.
    Count,
}

/// By what versions can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortTarget {
    /// The key.
    Key,
    /// The number of writes since the key was created.
    Version,
    /// The revision at which the key was created.
    CreateRevision,
    /// The revision of the last write.
    ModRevision,
    /// The value.
    Value,
}

/// A direction. What is equal stays in the order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// Bounds, all inclusive, `None` for no bound. They decide what is returned, but not what is
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The smallest revision of the last write.
    pub mod_revision_min: Option<Revision>,
    /// The greatest revision of the last write.
    pub mod_revision_max: Option<Revision>,
    /// The smallest revision of the creation.
    pub create_revision_min: Option<Revision>,
    /// The greatest revision of the creation.
    pub create_revision_max: Option<Revision>,
}

/// What a request got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeResult<'v> {
    /// The current revision of the view, whatever revision was asked for.
    pub revision: Revision,
    /// How many keys were in the range at the revision asked for, whatever limit and filter say.
    pub count: usize,
    /// Whether the limit cut something off.
    pub more: bool,
    /// The versions, sorted.
    pub versions: Vec<&'v Version>,
}

impl<'a> RangeRequest<'a> {
    /// Returns a request for all versions in a range at the current revision.
    pub fn of(keys: KeyRange<'a>) -> RangeRequest<'a> {
        RangeRequest {
            keys,
            revision: None,
            limit: None,
            answer: Answer::Versions,
            target: SortTarget::Key,
            order: None,
            filter: Filter::default(),
        }
    }

    /// Answers from the keys that exist at the revision asked for, for a store at `current`.
    pub(crate) fn answer_from<'v>(
        &self,
        live: &'v Tree<ByKey>,
        current: Revision,
    ) -> RangeResult<'v> {
        let ranks = self.keys.ranks(live);
        let count = ranks.len();
        let entries = live.range(ranks).map(|entry| &entry.0);
        let mut versions: Vec<&Version> = match self.answer {
            Answer::Count => Vec::new(),
            Answer::Versions if self.sorts_backwards() => {
                entries.rev().take(self.needed()).collect()
            }
            Answer::Versions => entries.take(self.needed()).collect(),
        };
        let more = self.finish(&mut versions);
        RangeResult { revision: current, count, more, versions }
    }

    /// Returns how many versions have to be looked at in the order of keys, if not all: those that
    /// are wanted and one more, which shows that there are more.
    fn needed(&self) -> usize {
        let in_key_order = match (self.target, self.order) {
            (_, None) | (SortTarget::Key, Some(_)) => true,
            (_, Some(_)) => false,
        };
        match self.limit {
            Some(limit) if in_key_order && self.filter == Filter::default() => {
                limit.get().saturating_add(1)
            }
            Some(_) | None => usize::MAX,
        }
    }

    fn sorts_backwards(&self) -> bool {
        self.target == SortTarget::Key && self.order == Some(SortOrder::Descending)
    }

    /// Filters, sorts and cuts off. The versions come in the order of keys, or backwards if that is
    /// what was asked for.
    fn finish<'v>(&self, versions: &mut Vec<&'v Version>) -> bool {
        if self.filter != Filter::default() {
            versions.retain(|version| self.filter.admits(version));
        }
        if self.target != SortTarget::Key {
            let compare = |a: &&'v Version, b: &&'v Version| self.target.compare(a, b);
            match self.order {
                None | Some(SortOrder::Ascending) => versions.sort_by(compare),
                Some(SortOrder::Descending) => versions.sort_by(|a, b| compare(b, a)),
            }
        }
        let limit = self.limit.map_or(usize::MAX, NonZeroUsize::get);
        let more = limit < versions.len();
        versions.truncate(limit);
        more
    }
}

impl SortTarget {
    fn compare(self, a: &Version, b: &Version) -> Ordering {
        match self {
            SortTarget::Key => a.key().cmp(b.key()),
            SortTarget::Version => a.version().cmp(&b.version()),
            SortTarget::CreateRevision => a.create_revision().cmp(&b.create_revision()),
            SortTarget::ModRevision => a.mod_revision().cmp(&b.mod_revision()),
            SortTarget::Value => a.value().bytes().cmp(b.value().bytes()),
        }
    }
}

impl Filter {
    fn admits(&self, version: &Version) -> bool {
        let between = |revision, min: Option<Revision>, max: Option<Revision>| {
            min.is_none_or(|min| min <= revision) && max.is_none_or(|max| revision <= max)
        };
        between(version.mod_revision(), self.mod_revision_min, self.mod_revision_max)
            && between(
                version.create_revision(),
                self.create_revision_min,
                self.create_revision_max,
            )
    }
}

impl View {
    /// Answers a request for a range of keys.
    ///
    /// At the view's own revision counting takes O(log n), and so does finding where to begin; at
    /// an earlier one it takes time in proportion to the range, however small the limit. Views of
    /// the past are quicker where they exist: see [`crate::RecentViews`].
    ///
    /// # Errors
    ///
    /// The revision is below the compacted one, or has not been reached.
    pub fn range(&self, request: &RangeRequest<'_>) -> Result<RangeResult<'_>, ReadError> {
        let revision = request.revision.unwrap_or(self.revision);
        self.admit(revision)?;
        let (count, mut versions) = if revision == self.revision {
            self.range_now(request)
        } else {
            self.range_then(request, revision)
        };
        let more = request.finish(&mut versions);
        Ok(RangeResult { revision: self.revision, count, more, versions })
    }

    fn range_now(&self, request: &RangeRequest<'_>) -> (usize, Vec<&Version>) {
        let ranks = request.keys.ranks(&self.live);
        let count = ranks.len();
        let entries = self.live.range(ranks);
        let versions = match request.answer {
            Answer::Count => Vec::new(),
            Answer::Versions if request.sorts_backwards() => {
                entries.rev().take(request.needed()).map(|entry| &entry.0).collect()
            }
            Answer::Versions => entries.take(request.needed()).map(|entry| &entry.0).collect(),
        };
        (count, versions)
    }

    fn range_then(&self, request: &RangeRequest<'_>, revision: Revision) -> (usize, Vec<&Version>) {
        let mut count = 0;
        let mut versions = Vec::new();
        let needed = if request.sorts_backwards() { usize::MAX } else { request.needed() };
        self.for_each_at(request.keys, revision, |version| {
            count += 1;
            if request.answer == Answer::Versions && versions.len() < needed {
                versions.push(version);
            }
        });
        if request.sorts_backwards() {
            versions.reverse();
        }
        (count, versions)
    }

    /// Visits, in the order of keys, what was in a range at an earlier revision.
    fn for_each_at<'v>(
        &'v self,
        keys: KeyRange<'_>,
        revision: Revision,
        mut visit: impl FnMut(&'v Version),
    ) {
        let mut live = self.live.range(keys.ranks(&self.live)).map(|entry| &entry.0).peekable();
        let past = keys.ranks(&self.past);
        let mut at = past.start;
        while at < past.end {
            let key = self.past.nth(at).expect("ranks of a range exist").0.key();
            while let Some(version) = live.next_if(|version| version.key() < key) {
                if version.mod_revision() <= revision {
                    visit(version);
                }
            }
            let latest = live.next_if(|version| version.key() == key);
            if let Some(version) = latest.filter(|version| version.mod_revision() <= revision) {
                visit(version);
            } else {
                let behind = self.past.rank(Probe { key, change: Change::end_of(revision) });
                let then = (at..behind).next_back().and_then(|rank| self.past.nth(rank));
                if let Some(entry) = then.filter(|entry| !entry.0.is_tombstone()) {
                    visit(&entry.0);
                }
            }
            at = self.past.rank(Probe { key, change: Change::MAX });
        }
        live.filter(|version| version.mod_revision() <= revision).for_each(visit);
    }
}
