//! What can be seen of a stage.

use raft::{
    Dropped, DurableState, Entry, EntryId, Message, Raft, ReadId, ReadOutcome, RoleKind, Status,
};

use super::{Stage, Trace};

impl Stage {
    /// All members that are up.
    #[must_use]
    pub fn up(&self) -> Vec<u64> {
        let up = self.players.iter().filter(|(_, player)| player.core.is_some());
        up.map(|(member, _)| *member).collect()
    }

    /// All members, also those that are down.
    #[must_use]
    pub fn members(&self) -> Vec<u64> {
        self.players.keys().copied().collect()
    }

    /// The core of a member that is up.
    #[must_use]
    pub fn raft(&self, member: u64) -> &Raft {
        let core = self.player(member).core.as_ref();
        core.unwrap_or_else(|| panic!("m{member} is down"))
    }

    /// What a member that is up tells about itself.
    #[must_use]
    pub fn status(&self, member: u64) -> Status {
        self.raft(member).status()
    }

    /// The role of a member that is up.
    #[must_use]
    pub fn role(&self, member: u64) -> RoleKind {
        self.status(member).role
    }

    /// The term of a member that is up.
    #[must_use]
    pub fn term(&self, member: u64) -> u64 {
        self.status(member).term.0
    }

    /// The commit index of a member that is up.
    #[must_use]
    pub fn committed(&self, member: u64) -> u64 {
        self.status(member).committed.0
    }

    /// The leader of the latest term, if there is one that is up.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        let statuses = self.up().into_iter().map(|member| self.status(member));
        let leaders = statuses.filter(|status| status.role == RoleKind::Leader);
        leaders.max_by_key(|status| status.term).map(|status| status.id.0)
    }

    /// The log in memory of a member that is up, since its last trim.
    #[must_use]
    pub fn log(&self, member: u64) -> Vec<Entry> {
        self.raft(member).entries().cloned().collect()
    }

    /// The names of the entries in [`Stage::log`].
    #[must_use]
    pub fn log_ids(&self, member: u64) -> Vec<EntryId> {
        self.raft(member).entries().map(Entry::id).collect()
    }

    /// The terms of the entries in [`Stage::log`]: a log as the paper draws it.
    #[must_use]
    pub fn log_terms(&self, member: u64) -> Vec<u64> {
        self.raft(member).entries().map(|entry| entry.term.0).collect()
    }

    /// The commands that the service of `member` holds, also those that came with an image.
    #[must_use]
    pub fn applied(&self, member: u64) -> &[String] {
        &self.player(member).service.commands
    }

    /// The entries that were handed to the service of `member` one by one since it started.
    #[must_use]
    pub fn applied_entries(&self, member: u64) -> &[Entry] {
        &self.player(member).service.entries
    }

    /// What a restart of `member` would find.
    #[must_use]
    pub fn durable(&self, member: u64) -> &DurableState {
        &self.player(member).disk.durable
    }

    /// How many writes of `member` wait on its held disk.
    #[must_use]
    pub fn writes_waiting(&self, member: u64) -> usize {
        self.player(member).disk.writes.len()
    }

    /// The messages that `member` did not act on, since it was added.
    #[must_use]
    pub fn dropped(&self, member: u64) -> &[Dropped] {
        &self.player(member).dropped
    }

    /// What became of the reads that `member` was asked for, since it was added.
    #[must_use]
    pub fn reads(&self, member: u64) -> &[ReadOutcome] {
        &self.player(member).reads
    }

    /// What became of one read that `member` was asked for; `None` as long as it waits.
    #[must_use]
    pub fn read_outcome(&self, member: u64, read: u64) -> Option<ReadOutcome> {
        let is_it = |outcome: &&ReadOutcome| match outcome {
            ReadOutcome::Ready { id, .. } | ReadOutcome::Failed { id, .. } => *id == ReadId(read),
        };
        self.reads(member).iter().find(is_it).copied()
    }

    /// The messages under way, in the order in which they would be delivered.
    pub fn in_flight(&self) -> impl Iterator<Item = &Message> {
        self.network.flying.iter().map(|flying| &flying.message)
    }

    /// What happened since this was last called, one line each.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.record.lines)
    }

    /// Everything that happened, for the picture; one millisecond is one step.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.record.trace
    }

    /// Everything that happened, for the picture, once the stage is done with.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.record.trace
    }
}
