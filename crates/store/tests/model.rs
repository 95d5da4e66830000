//! The machine as one would write it without a thought of speed: a copy of all keys for each
//! revision. It forgets nothing; compaction is a number.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use store::{
    AlarmAction, AlarmKind, Command, Compare, CompareResult, CompareWith, DeleteRange, LeaseChange,
    MemberAttributes, MembershipContext, Operation, Order, Put, Range, Rejection, Target, Txn,
};

use crate::said::{Row, Said};

type Keys = BTreeMap<Vec<u8>, Row>;

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) revision: i64,
    /// As etcd counts it: -1 for never.
    pub(crate) compacted: i64,
    /// The keys at each revision from 1 on.
    states: BTreeMap<i64, Keys>,
    now: Keys,
    /// Time to live, and what remains of it or zero.
    pub(crate) leases: BTreeMap<i64, (i64, i64)>,
    pub(crate) lease_changes: Vec<LeaseChange>,
    pub(crate) members: BTreeMap<u64, MemberAttributes>,
    pub(crate) removed: BTreeSet<u64>,
    pub(crate) alarms: BTreeSet<(u64, AlarmKind)>,
    pub(crate) version: Option<String>,
    pub(crate) downgrade: Option<String>,
}

/// Tells whether a key is in the range that a request means.
fn is_in(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    match end {
        [] => key == start,
        [0] => start <= key,
        _ => start <= key && key < end,
    }
}

impl Model {
    pub(crate) fn new() -> Model {
        Model {
            revision: 1,
            compacted: -1,
            states: BTreeMap::from([(1, Keys::new())]),
            now: Keys::new(),
            leases: BTreeMap::new(),
            lease_changes: Vec::new(),
            members: BTreeMap::new(),
            removed: BTreeSet::new(),
            alarms: BTreeSet::new(),
            version: None,
            downgrade: None,
        }
    }

    pub(crate) fn lease_keys(&self, id: i64) -> Vec<Vec<u8>> {
        let keys = self.now.values().filter(|row| row.lease == id);
        keys.map(|row| row.key.clone()).collect()
    }

    pub(crate) fn apply(&mut self, command: &Command) -> (i64, Result<Said, Rejection>) {
        let result = self.admit(command).and_then(|()| self.execute(command));
        (self.revision, result)
    }

    /// Keeps what a transaction has made of the keys, if it has changed them.
    fn commit(&mut self, keys: Keys, has_changed: bool) {
        if has_changed {
            self.revision += 1;
            self.states.insert(self.revision, keys.clone());
            self.now = keys;
        } else {
            assert_eq!(self.now, keys);
        }
    }

    fn admit(&self, command: &Command) -> Result<(), Rejection> {
        let kinds: BTreeSet<AlarmKind> = self.alarms.iter().map(|(_, kind)| *kind).collect();
        let (writes, grows) = match command {
            Command::Put(_) | Command::LeaseGrant { .. } => (true, true),
            Command::Txn(txn) => (true, has_put(txn)),
            Command::DeleteRange(_)
            | Command::Compact { .. }
            | Command::LeaseRevoke { .. }
            | Command::LeaseExpire { .. } => (true, false),
            Command::LeaseCheckpoint { .. }
            | Command::Alarm { .. }
            | Command::Publish { .. }
            | Command::MemberUpdate { .. }
            | Command::ClusterVersion { .. }
            | Command::Downgrade { .. }
            | Command::Nothing => (false, false),
        };
        if writes && kinds.contains(&AlarmKind::Corrupt) {
            return Err(Rejection::Corrupt);
        }
        if grows && kinds.contains(&AlarmKind::NoSpace) {
            return Err(Rejection::NoSpace);
        }
        Ok(())
    }

    fn execute(&mut self, command: &Command) -> Result<Said, Rejection> {
        match command {
            Command::Put(put) => {
                self.check_put(put)?;
                let mut keys = self.now.clone();
                let said = self.put(&mut keys, put);
                self.commit(keys, true);
                Ok(said)
            }
            Command::DeleteRange(delete) => {
                let mut keys = self.now.clone();
                let said = delete_range(&mut keys, delete);
                let has_changed = keys.len() < self.now.len();
                self.commit(keys, has_changed);
                Ok(said)
            }
            Command::Txn(txn) => self.txn(txn),
            Command::Compact { revision } if *revision <= self.compacted => {
                Err(Rejection::Compacted)
            }
            Command::Compact { revision } if self.revision < *revision => {
                Err(Rejection::FutureRevision)
            }
            Command::Compact { revision } => {
                self.compacted = *revision;
                Ok(Said::Compact)
            }
            Command::LeaseGrant { id, ttl } => self.grant(*id, *ttl),
            Command::LeaseRevoke { id } => self.revoke(*id),
            Command::LeaseExpire { ids } => {
                for id in ids {
                    let _ = self.revoke(*id);
                }
                Ok(Said::Done)
            }
            Command::LeaseCheckpoint { remaining } => {
                for (id, seconds) in remaining {
                    if let Some(lease) = self.leases.get_mut(id) {
                        lease.1 = (*seconds).max(0);
                    }
                }
                Ok(Said::Done)
            }
            Command::Alarm { action, member, kind } => Ok(self.alarm(*action, *member, *kind)),
            Command::Publish { member, name, client_urls } => {
                let found = self.members.get_mut(member).ok_or(Rejection::MemberNotFound)?;
                found.name.clone_from(name);
                found.client_urls.clone_from(client_urls);
                Ok(Said::Done)
            }
            Command::MemberUpdate { member, peer_urls } => self.update(*member, peer_urls),
            Command::ClusterVersion { version } => {
                self.version = Some(version.clone());
                Ok(Said::Done)
            }
            Command::Downgrade { target: Some(_) } if self.downgrade.is_some() => {
                Err(Rejection::DowngradeInProgress)
            }
            Command::Downgrade { target: None } if self.downgrade.is_none() => {
                Err(Rejection::NoDowngrade)
            }
            Command::Downgrade { target } => {
                self.downgrade.clone_from(target);
                Ok(Said::Done)
            }
            Command::Nothing => Ok(Said::Done),
        }
    }

    fn grant(&mut self, id: i64, ttl: i64) -> Result<Said, Rejection> {
        if id == 0 {
            return Err(Rejection::LeaseNotFound);
        }
        if ttl > 9_000_000_000 {
            return Err(Rejection::LeaseTtlTooLarge);
        }
        let Entry::Vacant(place) = self.leases.entry(id) else {
            return Err(Rejection::LeaseExists);
        };
        place.insert((ttl, 0));
        self.lease_changes.push(LeaseChange::Granted { id, ttl });
        Ok(Said::Granted(ttl))
    }

    fn revoke(&mut self, id: i64) -> Result<Said, Rejection> {
        self.leases.remove(&id).ok_or(Rejection::LeaseNotFound)?;
        self.lease_changes.push(LeaseChange::Revoked { id });
        let mut keys = self.now.clone();
        keys.retain(|_, row| row.lease != id);
        let has_changed = keys.len() < self.now.len();
        self.commit(keys, has_changed);
        Ok(Said::Done)
    }

    fn alarm(&mut self, action: AlarmAction, member: u64, kind: AlarmKind) -> Said {
        if action == AlarmAction::Activate {
            if kind == AlarmKind::None {
                return Said::Alarms(Vec::new());
            }
            self.alarms.insert((member, kind));
            return Said::Alarms(vec![(member, kind)]);
        }
        let mut lowered = self.alarms.clone();
        lowered.retain(|alarm| member == 0 || alarm.0 == member);
        lowered.retain(|alarm| kind == AlarmKind::None || alarm.1 == kind);
        self.alarms = self.alarms.difference(&lowered).copied().collect();
        Said::Alarms(lowered.into_iter().collect())
    }

    fn update(&mut self, member: u64, peer_urls: &[String]) -> Result<Said, Rejection> {
        if !self.members.contains_key(&member) {
            return Err(Rejection::MemberNotFound);
        }
        for (other, attributes) in &self.members {
            if *other != member && peer_urls.iter().any(|url| attributes.peer_urls.contains(url)) {
                return Err(Rejection::PeerUrlExists);
            }
        }
        self.members.get_mut(&member).unwrap().peer_urls = peer_urls.to_vec();
        Ok(Said::Done)
    }

    pub(crate) fn follow(&mut self, context: &MembershipContext) {
        match context {
            MembershipContext::Added { member, attributes } => {
                if !self.removed.contains(member) && !self.members.contains_key(member) {
                    self.members.insert(*member, attributes.clone());
                }
            }
            MembershipContext::Promoted { member } => {
                if let Some(promoted) = self.members.get_mut(member) {
                    promoted.becomes_voter = false;
                }
            }
            MembershipContext::Removed { member } => {
                self.members.remove(member);
                self.removed.insert(*member);
                self.alarms.retain(|alarm| alarm.0 != *member);
            }
        }
    }

    // === Transactions ===

    fn txn(&mut self, txn: &Txn) -> Result<Said, Rejection> {
        let mut deleted = Vec::new();
        self.check_txn(txn, &mut deleted)?;
        let before = self.now.clone();
        let mut keys = self.now.clone();
        let mut has_changed = false;
        let said = self.branch(&before, &mut keys, txn, &mut has_changed);
        self.commit(keys, has_changed);
        Ok(said)
    }

    fn taken<'t>(&self, before: &Keys, txn: &'t Txn) -> (bool, &'t [Operation]) {
        let succeeded = txn.compare.iter().all(|compare| holds(before, compare));
        (succeeded, if succeeded { &txn.success } else { &txn.failure })
    }

    fn check_txn<'t>(
        &self,
        txn: &'t Txn,
        deleted: &mut Vec<&'t DeleteRange>,
    ) -> Result<(), Rejection> {
        for operation in self.taken(&self.now, txn).1 {
            match operation {
                Operation::Range(range) if range.revision == 0 => {}
                Operation::Range(range) if range.revision > self.revision => {
                    return Err(Rejection::FutureRevision);
                }
                Operation::Range(range) if range.revision < self.compacted => {
                    return Err(Rejection::Compacted);
                }
                Operation::Range(_) => {}
                Operation::Put(put) => {
                    self.check_put(put)?;
                    let is_gone =
                        deleted.iter().any(|range| is_in(&put.key, &range.key, &range.range_end));
                    if (put.ignore_value || put.ignore_lease) && is_gone {
                        return Err(Rejection::KeyNotFound);
                    }
                }
                Operation::DeleteRange(delete) => deleted.push(delete),
                Operation::Txn(inner) => self.check_txn(inner, deleted)?,
            }
        }
        Ok(())
    }

    fn branch(&self, before: &Keys, keys: &mut Keys, txn: &Txn, has_changed: &mut bool) -> Said {
        let (succeeded, operations) = self.taken(before, txn);
        let mut said = Vec::new();
        for operation in operations {
            said.push(match operation {
                Operation::Range(range) if range.revision > 0 => {
                    answer(&self.states[&range.revision], range)
                }
                Operation::Range(range) => answer(keys, range),
                Operation::Put(put) => {
                    *has_changed = true;
                    self.put(keys, put)
                }
                Operation::DeleteRange(delete) => {
                    let len = keys.len();
                    let said = delete_range(keys, delete);
                    *has_changed |= keys.len() < len;
                    said
                }
                Operation::Txn(inner) => self.branch(before, keys, inner, has_changed),
            });
        }
        Said::Txn { succeeded, said }
    }

    fn check_put(&self, put: &Put) -> Result<(), Rejection> {
        if put.key.is_empty() {
            return Err(Rejection::EmptyKey);
        }
        if put.lease != 0 && !self.leases.contains_key(&put.lease) {
            return Err(Rejection::LeaseNotFound);
        }
        if (put.ignore_value || put.ignore_lease) && !self.now.contains_key(&put.key[..]) {
            return Err(Rejection::KeyNotFound);
        }
        Ok(())
    }

    fn put(&self, keys: &mut Keys, put: &Put) -> Said {
        let revision = self.revision + 1;
        let before = keys.get(&put.key[..]).cloned();
        let keep = before.as_ref();
        let value =
            keep.filter(|_| put.ignore_value).map_or(put.value.to_vec(), |row| row.value.clone());
        let lease = keep.filter(|_| put.ignore_lease).map_or(put.lease, |row| row.lease);
        let row = Row {
            key: put.key.to_vec(),
            value,
            create_revision: before.as_ref().map_or(revision, |row| row.create_revision),
            mod_revision: revision,
            version: before.as_ref().map_or(1, |row| row.version + 1),
            lease,
        };
        keys.insert(put.key.to_vec(), row);
        Said::Put(before.filter(|_| put.previous))
    }

    // === Reads ===

    pub(crate) fn range(&self, range: &Range) -> Result<Said, Rejection> {
        if range.key.is_empty() {
            return Err(Rejection::EmptyKey);
        }
        let revision = if range.revision <= 0 { self.revision } else { range.revision };
        if revision > self.revision {
            return Err(Rejection::FutureRevision);
        }
        if revision < self.compacted {
            return Err(Rejection::Compacted);
        }
        Ok(answer(&self.states[&revision], range))
    }

    pub(crate) fn read_txn(&self, txn: &Txn) -> Result<Said, Rejection> {
        self.check_txn(txn, &mut Vec::new())?;
        Ok(self.branch(&self.now, &mut self.now.clone(), txn, &mut false))
    }
}

fn has_put(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(|operation| match operation {
        Operation::Put(_) => true,
        Operation::Txn(txn) => has_put(txn),
        Operation::Range(_) | Operation::DeleteRange(_) => false,
    })
}

fn delete_range(keys: &mut Keys, delete: &DeleteRange) -> Said {
    let is_meant = |row: &Row| is_in(&row.key, &delete.key, &delete.range_end);
    let rows: Vec<Row> = keys.values().filter(|row| is_meant(row)).cloned().collect();
    keys.retain(|_, row| !is_meant(row));
    let deleted = i64::try_from(rows.len()).unwrap();
    Said::Delete { deleted, previous: if delete.previous { rows } else { Vec::new() } }
}

fn holds(keys: &Keys, compare: &Compare) -> bool {
    let meant = keys.values().filter(|row| is_in(&row.key, &compare.key, &compare.range_end));
    let mut rows: Vec<Row> = meant.cloned().collect();
    if rows.is_empty() {
        if matches!(compare.with, CompareWith::Value(_)) {
            return false;
        }
        rows.push(Row {
            key: Vec::new(),
            value: Vec::new(),
            create_revision: 0,
            mod_revision: 0,
            version: 0,
            lease: 0,
        });
    }
    rows.iter().all(|row| {
        let ordering = match &compare.with {
            CompareWith::Version(with) => row.version.cmp(with),
            CompareWith::CreateRevision(with) => row.create_revision.cmp(with),
            CompareWith::ModRevision(with) => row.mod_revision.cmp(with),
            CompareWith::Value(with) => row.value[..].cmp(with),
            CompareWith::Lease(with) => row.lease.cmp(with),
        };
        match compare.result {
            CompareResult::Equal => ordering == Ordering::Equal,
            CompareResult::Greater => ordering == Ordering::Greater,
            CompareResult::Less => ordering == Ordering::Less,
            CompareResult::NotEqual => ordering != Ordering::Equal,
        }
    })
}

/// Follows the steps of etcd: what is taken in the order of keys, filtered, sorted, cut off.
fn answer(keys: &Keys, range: &Range) -> Said {
    let meant = keys.values().filter(|row| is_in(&row.key, &range.key, &range.range_end));
    let mut rows: Vec<Row> = meant.cloned().collect();
    let count = i64::try_from(rows.len()).unwrap();
    if range.count_only {
        return Said::Range { rows: Vec::new(), more: false, count, keys_only: range.keys_only };
    }
    let limit = usize::try_from(range.limit).unwrap_or(0);
    let bounds = [
        range.mod_revision_min,
        range.mod_revision_max,
        range.create_revision_min,
        range.create_revision_max,
    ];
    let is_default_order = range.order == Order::None
        || (range.order == Order::Ascending && range.target == Target::Key);
    if limit > 0 && is_default_order && bounds == [0; 4] {
        rows.truncate(limit.saturating_add(1));
    }
    let [mod_min, mod_max, create_min, create_max] = bounds;
    rows.retain(|row| mod_min == 0 || mod_min <= row.mod_revision);
    rows.retain(|row| mod_max == 0 || row.mod_revision <= mod_max);
    rows.retain(|row| create_min == 0 || create_min <= row.create_revision);
    rows.retain(|row| create_max == 0 || row.create_revision <= create_max);
    let compare = |a: &Row, b: &Row| match range.target {
        Target::Key => a.key.cmp(&b.key),
        Target::Version => a.version.cmp(&b.version),
        Target::CreateRevision => a.create_revision.cmp(&b.create_revision),
        Target::ModRevision => a.mod_revision.cmp(&b.mod_revision),
        Target::Value => a.value.cmp(&b.value),
    };
    match range.order {
        Order::None | Order::Ascending => rows.sort_by(compare),
        Order::Descending => rows.sort_by(|a, b| compare(b, a)),
    }
    let more = limit > 0 && limit < rows.len();
    rows.truncate(if limit > 0 { limit } else { usize::MAX });
    Said::Range { rows, more, count, keys_only: range.keys_only }
}
