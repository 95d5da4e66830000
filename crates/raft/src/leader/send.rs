//! What a leader sends: decided at each flush, for everything that happened since the last one.

use crate::core::Core;
use crate::effects::SnapshotRequest;
use crate::leader::{Leader, Peer};
use crate::message::{Body, Round};
use crate::progress::Window;
use crate::status::ProgressKind;
use crate::types::{Entry, EntryId, Index, MemberId, Snapshot};

impl Leader {
    // === Images ===

    /// Sends an image that the driver has made.
    pub(crate) fn on_snapshot_ready(&mut self, core: &mut Core, to: MemberId, snapshot: Snapshot) {
        let id = snapshot.meta.id;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.progress.kind() != ProgressKind::Snapshot {
            return;
        }
        if id.index < core.log.base().index {
            // The log was trimmed meanwhile: the image would not reach where it begins.
            return peer.progress.become_probe();
        }
        assert!(core.log.holds(id), "the driver made an image at {id}, which is not in the log");
        peer.progress.on_snapshot_sent(id.index);
        core.send_now(to, Body::InstallSnapshot { snapshot });
    }

    /// Records that an image could not be made or delivered; another is asked for in time.
    pub(crate) fn on_snapshot_failed(&mut self, to: MemberId) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.progress.on_snapshot_failed();
        }
    }

    /// The index up to which the log may be trimmed without stranding an image that is under way or
    /// being made.
    pub(crate) fn trim_limit(&self) -> Index {
        self.peers
            .values()
            .filter_map(|peer| peer.progress.trim_limit())
            .min()
            .unwrap_or(Index(u64::MAX))
    }

    // === Sending ===

    /// Sends everybody what is due: entries, the commit index, a round, a heartbeat.
    pub(crate) fn flush(&mut self, core: &mut Core) {
        if self.reads.wants_round() || (self.heartbeat_due && self.reads.wants_confirmation()) {
            // Each repetition is a round of its own: an answer to the one before proves less.
            self.reads.begin_round(self.ticks);
            self.maybe_confirm(core);
        }
        let round = self.reads.round();
        let heartbeat_due = std::mem::take(&mut self.heartbeat_due);
        for (id, peer) in &mut self.peers {
            let round_is_news = peer.told_round < round;
            let sent = send_entries(core, *id, peer, round);
            let commit_is_news = peer.progress.kind() == ProgressKind::Replicate
                && peer.told_commit < core.log.committed();
            // Entries are answered when a disk has them. What is asked to see whether the other is
            // there, and follows, must not wait for that.
            if heartbeat_due || round_is_news || (!sent && commit_is_news) {
                send_heartbeat(core, *id, peer, round);
            }
        }
        self.tell_successor(core);
    }
}

/// Sends a member all entries that it lacks and has room for, and tells whether there were any.
fn send_entries(core: &mut Core, to: MemberId, peer: &mut Peer, round: Round) -> bool {
    let window = Window {
        messages_max: core.config.inflight_messages_max,
        bytes_max: core.config.inflight_bytes_max,
    };
    if peer.progress.kind() == ProgressKind::Replicate
        && core.log.term_at(peer.progress.next().previous()).is_none()
    {
        // What is under way ends before the log begins, and so no heartbeat could tell that it is
        // lost: the window might stay full for ever.
        peer.progress.become_probe();
    }
    let mut sent = false;
    while peer.progress.may_send(window) {
        let next = peer.progress.next();
        let Some(term) = core.log.term_at(next.previous()) else {
            request_snapshot(core, to, peer);
            break;
        };
        let entries =
            core.log.slice(next, core.config.append_entries_max, core.config.append_bytes_max);
        let Some(last) = entries.last() else { break };
        let bytes = entries.iter().map(Entry::size).sum();
        peer.progress.on_sent(last.index, bytes);
        send_append(core, to, peer, EntryId::new(next.previous(), term), entries, round);
        sent = true;
    }
    sent
}

/// Sends a member an append without entries, at the point where the next entries would go.
fn send_heartbeat(core: &mut Core, to: MemberId, peer: &mut Peer, round: Round) {
    let at = match peer.progress.kind() {
        ProgressKind::Probe | ProgressKind::Replicate => peer.progress.next().previous(),
        // If the image has arrived, and only the news of it was lost, this is accepted.
        ProgressKind::Snapshot => peer.progress.snapshot_sent().unwrap_or(Index::ZERO),
    };
    // All logs agree before their first entry: such an append asks for nothing.
    let prev = core.log.term_at(at).map_or(EntryId::ZERO, |term| EntryId::new(at, term));
    send_append(core, to, peer, prev, Vec::new(), round);
}

fn send_append(
    core: &mut Core,
    to: MemberId,
    peer: &mut Peer,
    prev: EntryId,
    entries: Vec<Entry>,
    round: Round,
) {
    assert!(to != core.id(), "a leader appends to its own log without messages");
    assert!(
        entries.first().is_none_or(|first| first.index == prev.index.next()),
        "entries are sent behind a gap after {prev}"
    );
    let commit = core.log.committed();
    peer.told_commit = commit;
    assert!(peer.told_round <= round, "rounds never go back within a term");
    peer.told_round = round;
    core.send_now(to, Body::AppendEntries { prev, entries, commit, round });
}

/// Asks for an image for a member whose next entry is trimmed, if the member is there to take it.
fn request_snapshot(core: &mut Core, to: MemberId, peer: &mut Peer) {
    if peer.contact_ticks < core.config.election_ticks {
        let at_least = core.log.base().index;
        peer.progress.become_snapshot(at_least);
        core.outbox.snapshot_requests.push(SnapshotRequest { to, at_least });
    }
}
