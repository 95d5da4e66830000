//! The store: one view that is written to.

use crate::compaction::Compaction;
use crate::encoding::KeyValue;
use crate::key_range::KeyRange;
use crate::revision::{Change, Revision};
use crate::tree::{ByChange, ByKey, ByKeyAndChange, Probe};
use crate::version::{Kind, Version};
use crate::view::View;

/// All versions of all keys.
#[derive(Debug)]
pub struct Store {
    pub(crate) now: View,
    /// What of the last compaction remains to be done.
    pub(crate) compaction: Option<Compaction>,
    /// How many versions compactions have dropped since the store was made or loaded.
    pub(crate) dropped: u64,
    /// A buffer in which versions are encoded.
    scratch: Vec<u8>,
}

/// A transaction: changes under one revision.
///
/// Nobody sees it before it is committed, since views are taken of the store, which it borrows. It
/// cannot fail and is not undone: what could make it fail must be looked at before the first
/// change. What a transaction has changed that is dropped stays changed, under its revision.
#[must_use = "a transaction returns its events when it is committed"]
#[derive(Debug)]
pub struct Transaction<'s> {
    store: &'s mut Store,
    /// The next change.
    next: Change,
    events: Vec<Version>,
}

/// What a transaction has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The revision of the store, which is the transaction's own if it has changed something.
    pub revision: Revision,
    /// The changes, in order: what watches are told, and what leases are attached to.
    pub events: Vec<Version>,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl From<View> for Store {
    /// Goes on from a view. If the view was taken while a compaction was under way, what that had
    /// left stays until the next one.
    fn from(view: View) -> Store {
        Store::of(view)
    }
}

impl Store {
    /// Makes an empty store.
    pub fn new() -> Store {
        Store::of(View::empty())
    }

    pub(crate) fn of(now: View) -> Store {
        Store { now, compaction: None, dropped: 0, scratch: Vec::new() }
    }

    /// Returns the store as it is now, for reading here.
    pub fn now(&self) -> &View {
        &self.now
    }

    /// Returns the store as it is now, for keeping. This takes a few instructions, but the next
    /// change of each node must then copy it.
    pub fn view(&self) -> View {
        self.now.clone()
    }

    /// Returns how many versions compactions have dropped since the store was made or loaded.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Begins a transaction.
    pub fn write(&mut self) -> Transaction<'_> {
        let next = Change::first_of(self.now.revision.next());
        Transaction { store: self, next, events: Vec::new() }
    }

    /// Passes over this many revisions, which no transaction will ever have. For a store that goes
    /// on from a backup: whoever has seen what was written after the backup must not take other
    /// changes for the same.
    ///
    /// # Panics
    ///
    /// If there are no more revisions.
    pub fn pass_over(&mut self, revisions: u64) {
        let revision = self.now.revision.0.checked_add(revisions);
        self.now.revision = Revision(revision.expect("revisions are counted in 64 bits"));
    }

    /// Puts a version into the log. What it supersedes goes to the past.
    fn record(&mut self, version: &Version, superseded: Option<&Version>) {
        self.now.log.push(ByChange(version.clone()));
        self.now.digest = version.hash(self.now.digest, &mut self.scratch);
        if let Some(old) = superseded {
            assert!(old.change() < version.change(), "{version:?} supersedes {old:?}");
            self.now.live_bytes -= old.memory_bytes();
            self.keep_past(old.clone());
        }
    }

    fn keep_past(&mut self, version: Version) {
        self.now.past_bytes += version.memory_bytes();
        let there = self.now.past.insert(ByKeyAndChange(version));
        assert!(there.is_none(), "one change gave two versions of a key");
    }
}

impl Transaction<'_> {
    /// Returns the store as this transaction sees it, with its own changes.
    pub fn now(&self) -> &View {
        &self.store.now
    }

    /// Writes a key and returns the version before, if the key existed. The key is not empty.
    ///
    /// A lease that is `None` takes the key off the lease that it was attached to.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: Option<i64>) -> Option<Version> {
        let change = self.take_change();
        let before = self.store.now.get(key);
        let fields = KeyValue {
            key,
            create_revision: before.map_or(change.revision, Version::create_revision).0,
            version: before.map_or(0, Version::version) + 1,
            value,
            lease: lease.unwrap_or(0),
            ..KeyValue::default()
        };
        let version = Version::new(change, Kind::Put, fields, &mut self.store.scratch);
        self.store.now.live_bytes += version.memory_bytes();
        let before = self.store.now.live.insert(ByKey(version.clone())).map(|entry| entry.0);
        self.store.record(&version, before.as_ref());
        self.events.push(version);
        before
    }

    /// Deletes the keys of a range, in their order, and returns their last versions.
    pub fn delete(&mut self, keys: KeyRange<'_>) -> Vec<Version> {
        let live = &self.store.now.live;
        let found = live.range(keys.ranks(live)).map(|entry| entry.0.clone());
        let deleted: Vec<Version> = found.collect();
        for version in &deleted {
            let change = self.take_change();
            let fields = KeyValue { key: version.key(), ..KeyValue::default() };
            let tombstone = Version::new(change, Kind::Delete, fields, &mut self.store.scratch);
            let removed = self.store.now.live.remove(Probe::key(version.key()));
            assert!(removed.is_some(), "{version:?} is deleted but not there");
            self.store.record(&tombstone, Some(version));
            self.store.keep_past(tombstone.clone());
            self.events.push(tombstone);
        }
        deleted
    }

    /// Ends the transaction. A transaction without changes leaves the revision as it was.
    pub fn commit(self) -> Commit {
        Commit { revision: self.store.now.revision, events: self.events }
    }

    fn take_change(&mut self) -> Change {
        let change = self.next;
        self.store.now.revision = change.revision;
        self.next.sub += 1;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_over_is_read_as_the_revision_before_and_given_to_nobody() {
        let mut store = Store::new();
        let mut transaction = store.write();
        transaction.put(b"a", b"1", None);
        assert_eq!(transaction.commit().revision, Revision(2));
        store.pass_over(100);
        assert_eq!(store.now().revision(), Revision(102));
        let version = store.now().get_at(b"a", Revision(50)).unwrap().unwrap();
        assert_eq!(version.mod_revision(), Revision(2));
        let mut transaction = store.write();
        transaction.put(b"a", b"2", None);
        assert_eq!(transaction.commit().revision, Revision(103));
        store.compact(Revision(102)).unwrap();
        assert!(store.now().get_at(b"a", Revision(101)).is_err());
        assert_eq!(store.now().get_at(b"a", Revision(102)).unwrap().unwrap().value().bytes(), b"1");
    }
}
