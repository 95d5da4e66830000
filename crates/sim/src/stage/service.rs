//! The service on a stage: it remembers the commands it was told, and makes images of that.

use bytes::Bytes;
use raft::{Entry, Index, Payload};

/// A member's service.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// Up to where the log is applied.
    pub(super) applied: Index,
    /// All commands since the beginning of the log, also those that came with an image.
    pub(super) commands: Vec<String>,
    /// What was handed out since the member started.
    pub(super) entries: Vec<Entry>,
    /// Entries that were handed out and wait, since the service is held.
    pub(super) waiting: Vec<Entry>,
    /// Whether the service applies nothing for now.
    pub(super) held: bool,
}

impl Service {
    /// The state that an image holds.
    pub(super) fn load(index: Index, image: &Bytes) -> Service {
        let text = String::from_utf8_lossy(image);
        let commands = text.lines().map(str::to_owned).collect();
        Service { applied: index, commands, ..Service::default() }
    }

    /// Takes over the leader's image.
    pub(super) fn replace(&mut self, index: Index, image: &Bytes) {
        let held = self.held;
        let entries = std::mem::take(&mut self.entries);
        *self = Service { held, entries, ..Service::load(index, image) };
    }

    /// An image of the state.
    pub(super) fn image(&self) -> Bytes {
        Bytes::from(self.commands.join("\n"))
    }

    /// Applies one entry.
    pub(super) fn apply(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.applied.next(), "entries must be applied in order, each once");
        self.applied = entry.index;
        if let Payload::Command(command) = &entry.payload {
            self.commands.push(String::from_utf8_lossy(command).into_owned());
        }
        self.entries.push(entry);
    }
}
