//! What must hold after every step, whatever was done to the cluster.

use std::collections::BTreeMap;

use raft::{Entry, EntryId, MemberId, Payload, Raft, RoleKind, Snapshot, Term};

/// Remembers what was seen, and compares.
#[derive(Debug, Default)]
pub(super) struct Checks {
    leaders: BTreeMap<Term, MemberId>,
    /// Each entry that any log has ever held, by index and term, and the term before it.
    entries: BTreeMap<(u64, u64), (Entry, Term)>,
    /// Each entry that any member has applied.
    applied: BTreeMap<u64, Entry>,
    /// Whether checks are off, for logs and messages that no Raft could have made.
    pub(super) off: bool,
}

impl Checks {
    /// Checks one member after a step: Election Safety, Log Matching, Leader Completeness.
    pub(super) fn member(&mut self, core: &Raft) {
        if self.off {
            return;
        }
        let status = core.status();
        let mut before = status.evicted;
        for entry in core.entries() {
            assert_eq!(entry.index, before.index.next(), "{}: the log has a gap", status.id);
            let key = (entry.index.0, entry.term.0);
            let seen = self.entries.entry(key).or_insert_with(|| (entry.clone(), before.term));
            assert!(
                seen.0 == *entry && seen.1 == before.term,
                "Log Matching: {} holds {} after term {}, another log held {} after term {}",
                status.id,
                super::draw_entry(entry),
                before.term,
                super::draw_entry(&seen.0),
                seen.1,
            );
            before = entry.id();
        }
        if status.role == RoleKind::Leader {
            let first = *self.leaders.entry(status.term).or_insert(status.id);
            assert_eq!(first, status.id, "Election Safety: two leaders in term {}", status.term);
            self.leader(core, status.id, status.term, status.evicted);
        }
    }

    fn leader(&self, core: &Raft, id: MemberId, term: Term, base: EntryId) {
        let log: BTreeMap<u64, &Entry> =
            core.entries().map(|entry| (entry.index.0, entry)).collect();
        for (index, entry) in self.applied.range(base.index.0 + 1..) {
            assert!(
                entry.term > term || log.get(index) == Some(&entry),
                "Leader Completeness: {id} leads term {term} without the committed {}",
                super::draw_entry(entry),
            );
        }
    }

    /// Checks State Machine Safety for an entry that is about to be applied.
    pub(super) fn apply(&mut self, id: MemberId, entry: &Entry) {
        if self.off {
            return;
        }
        let first = self.applied.entry(entry.index.0).or_insert_with(|| entry.clone());
        assert!(
            first == entry,
            "State Machine Safety: {id} applies {}, and {} was applied there",
            super::draw_entry(entry),
            super::draw_entry(first),
        );
    }

    /// Checks State Machine Safety for an image that is about to be taken over.
    pub(super) fn image(&self, id: MemberId, snapshot: &Snapshot) {
        let index = snapshot.meta.id.index.0;
        // What came before the stage began is not known.
        if self.off || (1..=index).any(|index| !self.applied.contains_key(&index)) {
            return;
        }
        let mut commands = Vec::new();
        for entry in self.applied.range(..=index).map(|(_, entry)| entry) {
            if let Payload::Command(command) = &entry.payload {
                commands.push(String::from_utf8_lossy(command).into_owned());
            }
        }
        assert_eq!(
            String::from_utf8_lossy(&snapshot.data),
            commands.join("\n"),
            "State Machine Safety: {id} takes an image that is not what was applied",
        );
    }
}
