//! Executing what is committed.

use raft::{Entry, Index, Input, MembershipChange, Payload, Snapshot};
use store::LeaseChange;

use super::Replica;
use super::change::decode_context;
use crate::fault::Fault;

impl Replica {
    /// Executes entries, in order, and answers the clients who wait for them here.
    pub(super) fn apply_all(&mut self, entries: &[Entry]) -> Result<(), Fault> {
        let Some(last) = entries.last() else { return Ok(()) };
        for entry in entries {
            self.apply(entry)?;
        }
        self.core.feed(Input::Applied(last.index));
        self.follow_leases(last.index);
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Fault> {
        let (id, before) = (entry.id(), self.applied);
        assert!(id.index == before.index.next(), "entry {id} is executed after {before}");
        assert!(before.term <= id.term, "entry {id} is executed after {before}");
        if before.term < id.term {
            // Before the entry itself: it was sent in its own term, and so is none of the lost.
            self.proposals.on_term_applied(id.term);
        }
        let wrong = |found: String| Fault::Entry { at: id, found };
        match &entry.payload {
            Payload::Noop => {}
            Payload::Command(command) => {
                let executed = self.machine.apply_encoded(command);
                let (command, applied) = executed.map_err(|error| wrong(error.to_string()))?;
                self.on_executed(command, applied, id);
            }
            Payload::Membership(change) => self.apply_membership(change).map_err(wrong)?,
        }
        self.applied = id;
        self.checkpoints.on_applied(entry);
        Ok(())
    }

    fn apply_membership(&mut self, change: &MembershipChange) -> Result<(), String> {
        let MembershipChange { membership, context } = change;
        self.applied_membership.clone_from(membership);
        // The entry by which a joint configuration is left has no context.
        let mut author = None;
        if !context.is_empty() {
            let (id, context) = decode_context(context)?;
            self.machine.apply_membership(&context);
            author = Some(id);
        }
        self.on_changed(author, membership);
        Ok(())
    }

    /// Lets the clock follow which leases were granted and revoked.
    fn follow_leases(&mut self, applied: Index) {
        let changes = self.machine.take_lease_changes();
        let Some(lead) = &mut self.lead else { return };
        for change in changes {
            match change {
                LeaseChange::Granted { id, ttl } => lead.clock.start(self.now, id, ttl),
                LeaseChange::Revoked { id } => lead.clock.stop(id),
            }
        }
        lead.clock.on_applied(self.now, applied);
    }

    /// Takes over an image of the leader's: its file becomes a checkpoint of ours, durable before
    /// the log says that it counts, and its machine takes the place of ours.
    pub(super) fn install(&mut self, snapshot: &Snapshot) -> Result<(), Fault> {
        let received = self.checkpoints.take_incoming(&snapshot.data);
        let received = received.expect("the core installs what has arrived");
        let meta = &snapshot.meta;
        assert!(received.meta == *meta, "an image at {} arrived as {}", received.meta.id, meta.id);
        let (before, revision) = (self.applied, received.machine.view_now().revision());
        assert!(before.index < meta.id.index, "an image at {} after {before}", meta.id);
        if revision < self.machine.view_now().revision() {
            // Revisions that clients have seen must not come again with other contents.
            let found = format!("an image from the leader at revision {revision:?}, before ours");
            return Err(Fault::Entry { at: meta.id, found });
        }
        let name = crate::checkpoint::name_of(meta.id.index);
        let (from, to) = (self.images.dir.join(&received.file), self.images.dir.join(name));
        self.images.disk.rename(&from, &to)?;
        self.images.disk.sync_dir(&self.images.dir)?;
        self.machine = received.machine;
        self.applied = meta.id;
        self.applied_membership.clone_from(&meta.membership);
        self.checkpoints.on_installed(meta.id.index, received.bytes);
        self.proposals.on_skipped(meta.id.term);
        // Whether a change of a client here is among what was skipped, nobody can tell it; a joint
        // configuration that is left is news all the same.
        self.on_changed(None, &meta.membership);
        Ok(())
    }
}
