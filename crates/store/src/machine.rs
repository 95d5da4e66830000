//! The machine: one command after the other, the same answers on every member.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use mvcc::{CompactError, KeyRange, Progress, Revision, Store, Transaction, Version, View, hash};

use crate::cluster::Cluster;
use crate::codec::{DecodeError, PutRef, decode_put};
use crate::command::{AlarmKind, Command, CommandId, DeleteRange, MembershipContext, Put, Txn};
use crate::leases::{Lease, LeaseChange, LeaseTable, Leases};
use crate::members::MemberAttributes;
use crate::response::{Applied, DeletedRange, Rejection, Response};
use crate::tally::Tally;
use crate::txn::{Plan, Stage, perform, validate, validate_put};

/// The greatest time to live that is granted, in seconds, as in etcd.
const LEASE_TTL_MAX: i64 = 9_000_000_000;

/// All that is replicated: keys with their history, leases, and what is known of the cluster.
#[derive(Debug, Default)]
pub struct Machine {
    pub(crate) store: Store,
    pub(crate) leases: Leases,
    pub(crate) cluster: Cluster,
    /// Whether there may be something left of a compaction.
    pub(crate) compacting: bool,
    tally: Tally,
}

/// The store in a transaction, and the leases that follow it.
struct Writer<'m> {
    transaction: Transaction<'m>,
    leases: &'m mut Leases,
    tally: &'m mut Tally,
}

impl Machine {
    /// Makes a machine to which nothing has happened.
    pub fn new() -> Machine {
        Machine::default()
    }

    pub(crate) fn of(store: Store, leases: Leases, cluster: Cluster) -> Machine {
        Machine { store, leases, cluster, compacting: false, tally: Tally::default() }
    }

    // === Commands ===

    /// Executes a command. A command that is refused has changed nothing.
    pub fn apply(&mut self, command: &Command) -> Applied {
        let result = self.admit(command).and_then(|()| self.execute(command));
        Applied { revision: self.store.now().revision(), result }
    }

    /// Executes a command as it stands in the log. A put is executed without taking hold of its
    /// bytes, which is quicker than [`Command::decode`] and [`Machine::apply`].
    ///
    /// # Errors
    ///
    /// The bytes are no command. Nothing has changed.
    pub fn apply_encoded(&mut self, bytes: &Bytes) -> Result<(CommandId, Applied), DecodeError> {
        if let Some((id, put)) = decode_put(bytes)? {
            return Ok((id, self.apply_put_ref(put)));
        }
        let (id, command) = Command::decode(bytes)?;
        Ok((id, self.apply(&command)))
    }

    /// Executes a put.
    pub fn apply_put(&mut self, put: &Put) -> Applied {
        self.apply_put_ref(PutRef::from(put))
    }

    fn apply_put_ref(&mut self, put: PutRef<'_>) -> Applied {
        let result = self.admit_writing(Growth::Some).and_then(|()| self.put(put));
        Applied { revision: self.store.now().revision(), result }
    }

    fn execute(&mut self, command: &Command) -> Result<Response, Rejection> {
        match command {
            Command::Put(put) => self.put(PutRef::from(put)),
            Command::DeleteRange(delete) => Ok(self.delete_range(delete)),
            Command::Txn(txn) => self.txn(txn),
            Command::Compact { revision } => self.compact(*revision),
            Command::LeaseGrant { id, ttl } => self.lease_grant(*id, *ttl),
            Command::LeaseRevoke { id } => self.lease_revoke(*id),
            Command::LeaseExpire { ids } => {
                for id in ids {
                    // One that does not exist any more was revoked meanwhile, and is passed over.
                    self.tally.leases_expired += u64::from(self.lease_revoke(*id).is_ok());
                }
                Ok(Response::Done)
            }
            Command::LeaseCheckpoint { remaining } => {
                for (id, seconds) in remaining {
                    self.leases.checkpoint(*id, *seconds);
                }
                Ok(Response::Done)
            }
            Command::Alarm { action, member, kind } => {
                Ok(Response::Alarm(self.cluster.alarm(*action, *member, *kind)))
            }
            Command::Publish { member, name, client_urls } => {
                self.cluster.publish(*member, name, client_urls).map(|()| Response::Done)
            }
            Command::MemberUpdate { member, peer_urls } => {
                self.cluster.update(*member, peer_urls).map(|()| Response::Done)
            }
            Command::ClusterVersion { version } => {
                self.cluster.version = Some(Arc::from(version.as_str()));
                Ok(Response::Done)
            }
            Command::Downgrade { target } => {
                self.cluster.downgrade(target.as_deref()).map(|()| Response::Done)
            }
            Command::Nothing => Ok(Response::Done),
        }
    }

    // === What alarms forbid ===

    fn admit(&self, command: &Command) -> Result<(), Rejection> {
        if self.cluster.alarms.is_empty() {
            return Ok(());
        }
        match command {
            Command::Put(_) | Command::LeaseGrant { .. } => self.admit_writing(Growth::Some),
            Command::Txn(txn) if txn.has_put() => self.admit_writing(Growth::Some),
            Command::Txn(_)
            | Command::DeleteRange(_)
            | Command::Compact { .. }
            | Command::LeaseRevoke { .. }
            | Command::LeaseExpire { .. } => self.admit_writing(Growth::None),
            Command::LeaseCheckpoint { .. }
            | Command::Alarm { .. }
            | Command::Publish { .. }
            | Command::MemberUpdate { .. }
            | Command::ClusterVersion { .. }
            | Command::Downgrade { .. }
            | Command::Nothing => Ok(()),
        }
    }

    fn admit_writing(&self, growth: Growth) -> Result<(), Rejection> {
        if self.cluster.alarms.is_empty() {
            return Ok(());
        }
        if self.cluster.has_alarm(AlarmKind::Corrupt) {
            return Err(Rejection::Corrupt);
        }
        match growth {
            Growth::Some if self.cluster.has_alarm(AlarmKind::NoSpace) => Err(Rejection::NoSpace),
            Growth::Some | Growth::None => Ok(()),
        }
    }

    // === Keys ===

    fn put(&mut self, put: PutRef<'_>) -> Result<Response, Rejection> {
        validate_put(self.store.now(), &|id| self.leases.contains(id), put)?;
        let mut writer = self.writer();
        let before = writer.put(put);
        writer.finish();
        Ok(Response::Put(before.filter(|_| put.previous)))
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Response {
        let mut writer = self.writer();
        let deleted = writer.delete(delete);
        writer.finish();
        Response::DeleteRange(deleted)
    }

    fn txn(&mut self, txn: &Txn) -> Result<Response, Rejection> {
        let plan = Plan::of(self.store.now(), txn);
        validate(self.store.now(), &|id| self.leases.contains(id), txn, &plan)?;
        let mut writer = self.writer();
        let response = perform(&mut writer, txn, &plan);
        writer.finish();
        self.tally.txns += u64::from(1 < response.responses.len());
        Ok(Response::Txn(response))
    }

    fn compact(&mut self, revision: i64) -> Result<Response, Rejection> {
        // A store that was never compacted counts as compacted at -1.
        let revision = u64::try_from(revision).map_err(|_| Rejection::Compacted)?;
        self.store.compact(Revision(revision))?;
        self.compacting = true;
        Ok(Response::Compact)
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer { transaction: self.store.write(), leases: &mut self.leases, tally: &mut self.tally }
    }

    // === Leases ===

    fn lease_grant(&mut self, id: i64, ttl: i64) -> Result<Response, Rejection> {
        if id == 0 {
            return Err(Rejection::LeaseNotFound);
        }
        if LEASE_TTL_MAX < ttl {
            return Err(Rejection::LeaseTtlTooLarge);
        }
        if self.leases.contains(id) {
            return Err(Rejection::LeaseExists);
        }
        self.leases.grant(id, ttl);
        self.tally.leases_granted += 1;
        Ok(Response::LeaseGrant { ttl })
    }

    fn lease_revoke(&mut self, id: i64) -> Result<Response, Rejection> {
        if !self.leases.contains(id) {
            return Err(Rejection::LeaseNotFound);
        }
        let keys: Vec<Box<[u8]>> = self.leases.attached.keys(id).map(Box::from).collect();
        let mut writer = self.writer();
        for key in &keys {
            let deleted = writer.delete_keys(KeyRange::Single(key));
            assert!(deleted.len() == 1, "a key is attached to lease {id}, and does not exist");
        }
        writer.finish();
        self.leases.revoke(id);
        self.tally.leases_revoked += 1;
        Ok(Response::Done)
    }

    /// Returns all leases by ID, without their keys. A clone of the table is cheap, and can be read
    /// on any thread.
    pub fn leases(&self) -> &LeaseTable {
        &self.leases.table
    }

    /// Returns a lease.
    pub fn lease(&self, id: i64) -> Option<Lease> {
        self.leases.table.get(id)
    }

    /// Returns the keys that are attached to a lease, in their order.
    pub fn lease_keys(&self, id: i64) -> impl Iterator<Item = &[u8]> {
        self.leases.attached.keys(id)
    }

    /// Returns which leases were granted and revoked since this was last asked, in order. Whoever
    /// counts the time of leases asks after each batch of commands; one who does not begins with
    /// [`Machine::leases`], and still asks, so that nothing piles up.
    pub fn take_lease_changes(&mut self) -> Vec<LeaseChange> {
        self.leases.take_changes()
    }

    // === The cluster ===

    /// Tells whether a change of the configuration is possible, as far as it is known here. Whoever
    /// proposes one asks first, and has applied all changes before it.
    ///
    /// # Errors
    ///
    /// An ID or an address that is taken, or an ID that is not there or was removed.
    pub fn check_membership(&self, context: &MembershipContext) -> Result<(), Rejection> {
        self.cluster.check(context)
    }

    /// Follows a change of the configuration that was committed.
    pub fn apply_membership(&mut self, context: &MembershipContext) {
        self.cluster.follow(context);
    }

    /// Returns names and addresses of the members. Who votes, the configuration says.
    pub fn members(&self) -> &Arc<BTreeMap<u64, MemberAttributes>> {
        &self.cluster.members
    }

    /// Returns the IDs of all members that were ever removed.
    pub fn removed(&self) -> &Arc<BTreeSet<u64>> {
        &self.cluster.removed
    }

    /// Returns the alarms that are raised, as (member, kind).
    pub fn alarms(&self) -> &Arc<BTreeSet<(u64, AlarmKind)>> {
        &self.cluster.alarms
    }

    /// Returns the version that the whole cluster can speak, if it was ever told.
    pub fn cluster_version(&self) -> Option<&Arc<str>> {
        self.cluster.version.as_ref()
    }

    /// Returns the version that a downgrade under way goes to.
    pub fn downgrade(&self) -> Option<&Arc<str>> {
        self.cluster.downgrade.as_ref()
    }

    // === The whole ===

    /// Returns the keys as they are now, for reading on any thread.
    pub fn view(&self) -> View {
        self.store.view()
    }

    /// Returns the keys as they are now, for reading here.
    pub fn view_now(&self) -> &View {
        self.store.now()
    }

    /// Tells whether [`Machine::compact_step`] has something to do.
    pub fn is_compacting(&self) -> bool {
        self.compacting
    }

    /// Takes away what the next few changes of the log have superseded, if it is compacted. Every
    /// member calls this when it likes.
    pub fn compact_step(&mut self, changes_max: NonZeroUsize) -> Progress {
        let progress = self.store.compact_step(changes_max);
        self.compacting = progress == Progress::Unfinished;
        progress
    }

    /// Returns what commands have done since the machine was made or loaded.
    pub fn tally(&self) -> Tally {
        Tally { versions_dropped: self.store.dropped(), ..self.tally }
    }

    /// Returns a hash over everything that is replicated, for comparing members: over all changes
    /// of keys there ever were, the compacted revision, leases, and the cluster. It takes no time
    /// that grows with keys or leases.
    pub fn digest(&self) -> u64 {
        let view = self.store.now();
        let compacted = view.compacted().map_or(u64::MAX, |revision| revision.0);
        let mut bytes = Vec::new();
        for number in [view.revision().0, compacted, view.digest(), self.leases.table.digest()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.cluster.encode(&mut bytes);
        hash(&bytes, 0)
    }
}

/// Whether a command may make the contents grow.
#[derive(Clone, Copy)]
enum Growth {
    Some,
    None,
}

impl Writer<'_> {
    /// Deletes keys and takes them off their leases.
    fn delete_keys(&mut self, keys: KeyRange<'_>) -> Vec<Version> {
        let deleted = self.transaction.delete(keys);
        for version in &deleted {
            self.leases.move_key(version.key(), version.lease(), None);
        }
        deleted
    }

    fn finish(self) {
        // What has changed is read from views.
        let _events = self.transaction.commit();
    }
}

impl Stage for Writer<'_> {
    fn now(&self) -> &View {
        self.transaction.now()
    }

    fn put(&mut self, put: PutRef<'_>) -> Option<Version> {
        let keeps = put.ignore_value || put.ignore_lease;
        let kept = if keeps { self.now().get(put.key).cloned() } else { None };
        assert!(keeps == kept.is_some(), "a key that was there is to be kept, and is gone");
        let value = match &kept {
            Some(version) if put.ignore_value => version.value().bytes(),
            Some(_) | None => put.value,
        };
        let lease = match &kept {
            Some(version) if put.ignore_lease => version.lease(),
            Some(_) | None => Some(put.lease).filter(|lease| *lease != 0),
        };
        self.tally.puts += 1;
        self.tally.put_bytes += (put.key.len() + value.len()) as u64;
        let before = self.transaction.put(put.key, value, lease);
        let lease_before = before.as_ref().and_then(Version::lease);
        self.leases.move_key(put.key, lease_before, lease);
        before
    }

    fn delete(&mut self, delete: &DeleteRange) -> DeletedRange {
        let keys = KeyRange::of_request(&delete.key, &delete.range_end);
        let deleted = self.delete_keys(keys);
        self.tally.deletes += 1;
        DeletedRange {
            deleted: i64::try_from(deleted.len()).expect("there are fewer keys than 2^63"),
            previous: if delete.previous { deleted } else { Vec::new() },
        }
    }
}

impl From<CompactError> for Rejection {
    fn from(error: CompactError) -> Rejection {
        match error {
            CompactError::Compacted(_) => Rejection::Compacted,
            CompactError::Future(_) => Rejection::FutureRevision,
        }
    }
}
