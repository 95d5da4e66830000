//! Reading: ranges as etcd answers them.

use std::num::NonZeroUsize;

use mvcc::{
    Answer, Filter, HashKv, KeyRange, RangeRequest, RangeResult, ReadError, RecentViews, Revision,
    SortOrder, SortTarget, View,
};

use crate::check::check_range;
use crate::command::{Order, Range, Target};
use crate::response::{RangeAnswer, Rejection};

/// Answers a read from a view, quicker if the revision that is asked for is among recent ones.
///
/// # Errors
///
/// The key is empty, or the view cannot show the revision.
pub fn range(
    view: &View,
    recent: Option<&RecentViews>,
    request: &Range,
) -> Result<RangeAnswer, Rejection> {
    Ok(own(&range_borrowed(view, recent, request)?, request))
}

/// As [`range`], but the versions are those in the view, and not counted anew. This is for whoever
/// encodes them at once.
///
/// # Errors
///
/// The key is empty, or the view cannot show the revision.
pub fn range_borrowed<'v>(
    view: &'v View,
    recent: Option<&'v RecentViews>,
    request: &Range,
) -> Result<RangeResult<'v>, Rejection> {
    check_range(request)?;
    // What is remembered speaks for this view only if it ends with it.
    let recent = recent.filter(|recent| {
        let newest = recent.newest();
        (newest.revision(), newest.compacted()) == (view.revision(), view.compacted())
    });
    let asked = asked(request);
    let result = match recent {
        Some(recent) => recent.range(&asked),
        None => view.range(&asked),
    };
    result.map_err(Rejection::from)
}

/// Hashes a view's contents up to a revision; zero and less mean the current one.
///
/// # Errors
///
/// The view cannot show the revision.
pub fn hash_kv(view: &View, revision: i64) -> Result<HashKv, Rejection> {
    Ok(view.hash_kv(positive(revision))?)
}

/// Answers a read in a transaction, which was checked before.
pub(crate) fn range_checked(view: &View, request: &Range) -> RangeAnswer {
    let result = view.range(&asked(request)).expect("the revision was looked at before");
    own(&result, request)
}

fn own(result: &RangeResult<'_>, request: &Range) -> RangeAnswer {
    RangeAnswer {
        versions: result.versions.iter().map(|version| (*version).clone()).collect(),
        more: result.more,
        count: i64::try_from(result.count).expect("there are fewer keys than 2^63"),
        keys_only: request.keys_only,
        target: request.target,
    }
}

/// Says in the store's words what is asked for.
fn asked(request: &Range) -> RangeRequest<'_> {
    RangeRequest {
        keys: KeyRange::of_request(&request.key, &request.range_end),
        revision: positive(request.revision),
        limit: usize::try_from(request.limit).ok().and_then(NonZeroUsize::new),
        answer: if request.count_only { Answer::Count } else { Answer::Versions },
        target: match request.target {
            Target::Key => SortTarget::Key,
            Target::Version => SortTarget::Version,
            Target::CreateRevision => SortTarget::CreateRevision,
            Target::ModRevision => SortTarget::ModRevision,
            Target::Value => SortTarget::Value,
        },
        order: match request.order {
            Order::None => None,
            Order::Ascending => Some(SortOrder::Ascending),
            Order::Descending => Some(SortOrder::Descending),
        },
        filter: Filter {
            mod_revision_min: bound(request.mod_revision_min),
            mod_revision_max: bound(request.mod_revision_max),
            create_revision_min: bound(request.create_revision_min),
            create_revision_max: bound(request.create_revision_max),
        },
    }
}

/// Returns the revision that is asked for, if it is not the current one.
fn positive(revision: i64) -> Option<Revision> {
    u64::try_from(revision).ok().filter(|revision| *revision != 0).map(Revision)
}

/// Returns a bound on revisions, which are all above zero: so a negative one is as good as zero.
fn bound(revision: i64) -> Option<Revision> {
    let bound = u64::try_from(revision).unwrap_or(0);
    (revision != 0).then_some(Revision(bound))
}

impl From<ReadError> for Rejection {
    fn from(error: ReadError) -> Rejection {
        match error {
            ReadError::Compacted(_) => Rejection::Compacted,
            ReadError::Future(_) => Rejection::FutureRevision,
        }
    }
}
