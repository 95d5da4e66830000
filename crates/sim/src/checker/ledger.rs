//! What the oracles remember of each member's log.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use raft::{
    DurableState, Entry, EntryId, Index, MemberId, Membership, Payload, SnapshotMeta, Status, Term,
};

use super::{Verdict, Violation, violation};

/// What tells two entries apart: the term, and a hash of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) term: Term,
    pub(crate) digest: u64,
}

impl Stamp {
    pub(crate) fn of(entry: &Entry) -> Stamp {
        let mut digest = Digest(0xCBF2_9CE4_8422_2325);
        entry.payload.hash(&mut digest);
        Stamp { term: entry.term, digest: digest.finish() }
    }
}

/// A hash that is the same in every process.
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The log of one member, as its writes tell it.
///
/// Invariant: configurations stand at rising indexes.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    base: EntryId,
    stamps: VecDeque<Stamp>,
    /// The configurations in the log, after the one of the image that the member began with.
    configurations: Vec<(Index, Membership)>,
}

/// What an entry replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced {
    /// What stood at the entry's place and behind it.
    pub(crate) stamps: Vec<Stamp>,
    /// Whether a configuration was among it.
    pub(crate) configuration: bool,
}

impl Mirror {
    fn new(durable: &DurableState) -> Mirror {
        let image = durable.snapshot.id;
        let mut mirror = Mirror {
            base: durable.base,
            stamps: durable.entries.iter().map(Stamp::of).collect(),
            configurations: vec![(image.index, durable.snapshot.membership.clone())],
        };
        if mirror.term_at(image.index) == Some(image.term) {
            for entry in durable.entries.iter().filter(|entry| entry.index > image.index) {
                mirror.note(entry);
            }
        } else {
            mirror.base = image;
            mirror.stamps.clear();
        }
        mirror
    }

    fn note(&mut self, entry: &Entry) {
        if let Payload::Membership(change) = &entry.payload {
            let before = self.configurations.last().map_or(Index::ZERO, |(index, _)| *index);
            assert!(before < entry.index, "a configuration at {} comes late", entry.index);
            self.configurations.push((entry.index, change.membership.clone()));
        }
    }

    pub(crate) fn base(&self) -> EntryId {
        self.base
    }

    pub(crate) fn last(&self) -> EntryId {
        let index = Index(self.base.index.0 + self.stamps.len() as u64);
        EntryId::new(index, self.stamps.back().map_or(self.base.term, |stamp| stamp.term))
    }

    fn place(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.base.index.0 + 1)?).ok()
    }

    /// The entry at `index`; `None` if it is trimmed or not there.
    pub(crate) fn at(&self, index: Index) -> Option<Stamp> {
        self.stamps.get(self.place(index)?).copied()
    }

    /// The term of the entry at `index`, also of the one before the first.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.at(index).map(|stamp| stamp.term)
    }

    /// The configuration in force, and from which index on.
    pub(crate) fn membership(&self) -> (Index, &Membership) {
        let (index, membership) = self.configurations.last().expect("the first one always stays");
        (*index, membership)
    }

    pub(crate) fn install(&mut self, meta: &SnapshotMeta) {
        self.base = meta.id;
        self.stamps.clear();
        self.configurations = vec![(meta.id.index, meta.membership.clone())];
    }

    pub(crate) fn trim(&mut self, base: EntryId) {
        if base.index > self.base.index {
            let dropped = usize::try_from(base.index.0 - self.base.index.0).expect("a short log");
            self.stamps.drain(..dropped.min(self.stamps.len()));
            self.base = base;
        }
    }

    /// Adds an entry, and returns the one before it and what it replaced.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(EntryId, Replaced), Violation> {
        let mut replaced = Replaced::default();
        let previous = entry.index.previous();
        let (Some(place), Some(term)) = (self.place(entry.index), self.term_at(previous)) else {
            let text = format!("entry {} is written behind {}", entry.id(), self.last());
            return Err(Violation { oracle: "log matching", text });
        };
        if place < self.stamps.len() {
            replaced.stamps = self.stamps.drain(place..).collect();
            while self.membership().0 >= entry.index && self.configurations.len() > 1 {
                self.configurations.pop();
                replaced.configuration = true;
            }
        }
        self.stamps.push_back(Stamp::of(entry));
        self.note(entry);
        Ok((EntryId::new(previous, term), replaced))
    }
}

/// The logs of all members.
#[derive(Debug, Default)]
pub(crate) struct Mirrors(BTreeMap<MemberId, Mirror>);

impl Mirrors {
    pub(crate) fn restart(&mut self, id: MemberId, durable: &DurableState) {
        self.0.insert(id, Mirror::new(durable));
    }

    pub(crate) fn of(&self, id: MemberId) -> &Mirror {
        self.0.get(&id).expect("a member is known from its start on")
    }

    pub(crate) fn of_mut(&mut self, id: MemberId) -> &mut Mirror {
        self.0.get_mut(&id).expect("a member is known from its start on")
    }

    /// A member's log is what it has handed out to be written, and so is its configuration.
    pub(crate) fn check(&self, now: &Status) -> Verdict {
        let mirror = self.of(now.id);
        if (now.base, now.last) != (mirror.base(), mirror.last()) {
            let (base, last) = (mirror.base(), mirror.last());
            return violation(
                "log matching",
                format!(
                    "{} says its log is {}..{}, and was given out as {base}..{last}",
                    now.id, now.base, now.last
                ),
            );
        }
        let (index, membership) = mirror.membership();
        if now.membership != *membership {
            return violation(
                "membership",
                format!(
                    "{} uses {}, and the last in its log is {membership} at {index}",
                    now.id, now.membership
                ),
            );
        }
        Ok(())
    }
}
