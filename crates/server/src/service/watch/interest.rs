//! What a watcher wants to be told.

use std::sync::Arc;

use etcd_api::etcdserverpb::WatchCreateRequest;
use etcd_api::etcdserverpb::watch_create_request::FilterType;
use mvcc::{Kind, Previous};

/// Which changes a watcher wants, and in which form. Watchers that want the same share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interest {
    /// The first key.
    pub(super) start: Box<[u8]>,
    /// How far the keys go.
    pub(super) extent: Extent,
    /// What of their changes.
    pub(super) wish: Wish,
}

/// How far the keys of a watcher go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is one key.
    Single,
    /// It is a range.
    Range(End),
}

/// Where a range ends. Ends that are farther are greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Before this key.
    Before(Arc<[u8]>),
    /// Nowhere.
    Open,
}

/// What of the changes a watcher wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Which kinds of change.
    pub(super) kinds: Kinds,
    /// Whether the version before.
    pub(super) previous: Previous,
    /// Whether the events of one revision may be divided.
    pub(super) parts: Parts,
}

/// Which kinds of change are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds {
    puts: bool,
    deletes: bool,
}

/// Whether the events of one revision may come in several answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// They come in one, however large.
    Whole,
    /// They may, if one would be larger than a request can be.
    Divided,
}

/// The range that was asked for holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EmptyRange;

impl Interest {
    /// Reads what a request asks for.
    pub(super) fn of(request: &WatchCreateRequest) -> Result<Interest, EmptyRange> {
        // No key is empty, and this is the first that there can be.
        let start: &[u8] = if request.key.is_empty() { b"\0" } else { &request.key };
        let extent = match &*request.range_end {
            [] => Extent::Single,
            [0] => Extent::Range(End::Open),
            end if start < end => Extent::Range(End::Before(end.into())),
            _ => return Err(EmptyRange),
        };
        let unwanted = |kind| request.filters.iter().any(|filter| *filter == i32::from(kind));
        let kinds =
            Kinds { puts: !unwanted(FilterType::Noput), deletes: !unwanted(FilterType::Nodelete) };
        let previous = if request.prev_kv { Previous::Wanted } else { Previous::Unwanted };
        let parts = if request.fragment { Parts::Divided } else { Parts::Whole };
        Ok(Interest { start: start.into(), extent, wish: Wish { kinds, previous, parts } })
    }
}

impl Kinds {
    pub(super) fn holds(self, kind: Kind) -> bool {
        match kind {
            Kind::Put => self.puts,
            Kind::Delete => self.deletes,
        }
    }
}

impl End {
    /// Tells whether a key lies before the end.
    pub(super) fn is_behind(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < &**end,
            End::Open => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest(key: &'static [u8], range_end: &'static [u8]) -> Result<Interest, EmptyRange> {
        Interest::of(&WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            ..WatchCreateRequest::default()
        })
    }

    #[test]
    fn range_is_what_etcd_takes_it_for() {
        let extent = |key, range_end| interest(key, range_end).map(|interest| interest.extent);
        let before = |end: &[u8]| Ok(Extent::Range(End::Before(end.into())));
        assert_eq!(extent(b"a", b""), Ok(Extent::Single));
        assert_eq!(extent(b"a", b"b"), before(b"b"));
        assert_eq!(extent(b"a", b"\0"), Ok(Extent::Range(End::Open)));
        assert_eq!(extent(b"b", b"b"), Err(EmptyRange));
        assert_eq!(extent(b"", b"\0\0"), before(b"\0\0"));
        assert_eq!(*interest(b"", b"").unwrap().start, *b"\0");
    }

    #[test]
    fn filters_take_kinds_away_and_unknown_ones_nothing() {
        let kinds = |filters: &[i32]| {
            let filters = filters.to_vec();
            let request =
                WatchCreateRequest { key: "a".into(), filters, ..WatchCreateRequest::default() };
            let kinds = Interest::of(&request).unwrap().wish.kinds;
            (kinds.holds(Kind::Put), kinds.holds(Kind::Delete))
        };
        assert_eq!(kinds(&[]), (true, true));
        assert_eq!(kinds(&[0]), (false, true));
        assert_eq!(kinds(&[1]), (true, false));
        assert_eq!(kinds(&[1, 0, 1]), (false, false));
        assert_eq!(kinds(&[7]), (true, true));
    }
}
