//! The store as a plain map of everything that was ever written, in which nothing is ever dropped.

use std::collections::BTreeMap;

use mvcc::{
    Answer, Change, KeyRange, Kind, RangeRequest, RangeResult, ReadError, Revision, SortOrder,
    SortTarget, Version,
};

/// One version, with all that a client can see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) change: Change,
    pub(crate) kind: Kind,
    pub(crate) create: Revision,
    pub(crate) version: u64,
    pub(crate) value: Vec<u8>,
    pub(crate) lease: Option<i64>,
}

#[derive(Clone)]
pub(crate) struct Model {
    rows: BTreeMap<(Vec<u8>, Change), Row>,
    pub(crate) revision: Revision,
    pub(crate) compacted: Option<Revision>,
}

/// What the model says to a request.
pub(crate) type Answered = Result<(Revision, usize, bool, Vec<Row>), ReadError>;

impl Row {
    pub(crate) fn of(version: &Version) -> Row {
        Row {
            key: version.key().to_vec(),
            change: version.change(),
            kind: version.kind(),
            create: version.create_revision(),
            version: version.version(),
            value: version.value().bytes().to_vec(),
            lease: version.lease(),
        }
    }
}

pub(crate) fn rows_of(result: Result<RangeResult<'_>, ReadError>) -> Answered {
    let RangeResult { revision, count, more, versions } = result?;
    Ok((revision, count, more, versions.into_iter().map(Row::of).collect()))
}

impl Model {
    pub(crate) fn new() -> Model {
        Model { rows: BTreeMap::new(), revision: Revision(1), compacted: None }
    }

    pub(crate) fn put(&mut self, change: Change, key: &[u8], value: &[u8], lease: Option<i64>) {
        let before = self.at(key, change.revision);
        let create = before.map_or(change.revision, |row| row.create);
        let version = before.map_or(1, |row| row.version + 1);
        let (key, value) = (key.to_vec(), value.to_vec());
        self.add(Row { key, change, kind: Kind::Put, create, version, value, lease });
    }

    /// Deletes a range, from `change` on, and returns how many keys it had.
    pub(crate) fn delete(&mut self, mut change: Change, keys: KeyRange<'_>) -> u32 {
        let found = self.keys_at(keys, self.revision.max(change.revision));
        let first = change.sub;
        for Row { key, .. } in found {
            let (create, value, lease) = (Revision(0), Vec::new(), None);
            self.add(Row { key, change, kind: Kind::Delete, create, version: 0, value, lease });
            change.sub += 1;
        }
        change.sub - first
    }

    fn add(&mut self, row: Row) {
        self.revision = row.change.revision;
        let before = self.rows.insert((row.key.clone(), row.change), row);
        assert!(before.is_none(), "two rows of one change");
    }

    pub(crate) fn at(&self, key: &[u8], revision: Revision) -> Option<&Row> {
        let all = self.rows.range((key.to_vec(), Change::default())..);
        let of_key = all.take_while(|((other, _), _)| other == key).map(|(_, row)| row);
        let last = of_key.take_while(|row| row.change.revision <= revision).last();
        last.filter(|row| row.kind == Kind::Put)
    }

    fn keys_at(&self, keys: KeyRange<'_>, revision: Revision) -> Vec<Row> {
        let mut found: Vec<Row> = Vec::new();
        for row in self.rows.values() {
            if keys.contains(&row.key) && row.change.revision <= revision {
                if found.last().is_some_and(|last| last.key == row.key) {
                    found.pop();
                }
                found.push(row.clone());
            }
        }
        found.retain(|row| row.kind == Kind::Put);
        found
    }

    fn admit(&self, revision: Revision) -> Result<(), ReadError> {
        match self.compacted {
            _ if self.revision < revision => Err(ReadError::Future(self.revision)),
            Some(compacted) if revision < compacted => Err(ReadError::Compacted(compacted)),
            _ => Ok(()),
        }
    }

    /// The steps that etcd takes, one after the other.
    pub(crate) fn range(&self, request: &RangeRequest<'_>) -> Answered {
        let revision = request.revision.unwrap_or(self.revision);
        self.admit(revision)?;
        let mut rows = self.keys_at(request.keys, revision);
        let count = rows.len();
        if request.answer == Answer::Count {
            return Ok((self.revision, count, false, Vec::new()));
        }
        let limit = request.limit.map_or(usize::MAX - 1, |limit| limit.get());
        let filter = request.filter;
        let has_filter = filter != mvcc::Filter::default();
        if request.order.is_none() && !has_filter {
            rows.truncate(limit + 1);
        }
        rows.retain(|row| filter.mod_revision_max.is_none_or(|max| row.change.revision <= max));
        rows.retain(|row| filter.mod_revision_min.is_none_or(|min| row.change.revision >= min));
        rows.retain(|row| filter.create_revision_max.is_none_or(|max| row.create <= max));
        rows.retain(|row| filter.create_revision_min.is_none_or(|min| row.create >= min));
        let place = |row: &Row| match request.target {
            SortTarget::Key => (0, row.key.clone()),
            SortTarget::Version => (row.version, Vec::new()),
            SortTarget::CreateRevision => (row.create.0, Vec::new()),
            SortTarget::ModRevision => (row.change.revision.0, Vec::new()),
            SortTarget::Value => (0, row.value.clone()),
        };
        match request.order {
            None | Some(SortOrder::Ascending) => rows.sort_by_key(place),
            Some(SortOrder::Descending) => {
                rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((self.revision, count, more, rows))
    }

    /// All changes of a range from a revision on, each with the key as it was the revision before.
    pub(crate) fn events(&self, from: Revision, keys: KeyRange<'_>) -> Vec<(Row, Option<Row>)> {
        let all = self.rows.values().filter(|row| from <= row.change.revision);
        let mut rows: Vec<&Row> = all.filter(|row| keys.contains(&row.key)).collect();
        rows.sort_by_key(|row| row.change);
        let with_previous = |row: &Row| {
            let before = Revision(row.change.revision.0 - 1);
            let previous = self.at(&row.key, before).filter(|_| self.admit(before).is_ok());
            let previous = previous.filter(|_| row.create != row.change.revision);
            (row.clone(), previous.cloned())
        };
        rows.into_iter().map(with_previous).collect()
    }

    /// How many versions there are beside the latest of each key that exists, after compaction.
    pub(crate) fn past_len(&self) -> usize {
        let compacted = self.compacted.unwrap_or_default();
        let rows: Vec<&Row> = self.rows.values().collect();
        let is_past = |(at, row): &(usize, &&Row)| {
            let next = rows.get(at + 1).filter(|next| next.key == row.key);
            match next {
                None => row.kind == Kind::Delete && row.change.revision >= compacted,
                Some(_) if row.change.revision >= compacted => true,
                Some(next) => row.kind == Kind::Put && next.change.revision > compacted,
            }
        };
        rows.iter().enumerate().filter(is_past).count()
    }

    pub(crate) fn live_len(&self) -> usize {
        self.keys_at(KeyRange::all(), self.revision).len()
    }
}
