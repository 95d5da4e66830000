//! The service that is replicated: a small key-value machine.
//!
//! A command is written as little-endian words, and so is an image:
//!
//! ```text
//!   command   operation u64 │ key u64 │ value u64 │ kind u64 │ expected u64 │ padding
//!                                                   0 put      –
//!                                                   1 swap     of an absent key
//!                                                   2 swap     the value before
//!   image     applied u64 │ (key u64 │ value u64) for each key
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::{Entry, Index, Payload};

/// What a command does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sets the value.
    Put { value: u64 },
    /// Sets the value if the present one is `expect`; `None` stands for an absent key.
    Swap { expect: Option<u64>, value: u64 },
}

/// A command of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The operation of a client that it carries out; each is proposed once.
    pub(crate) operation: u64,
    pub(crate) key: u64,
    pub(crate) action: Action,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The value was set.
    Done,
    /// The present value was another than expected.
    Differs,
}

impl Command {
    /// The command as bytes, with `padding` more.
    pub(crate) fn encode(&self, padding: usize) -> Bytes {
        let (value, kind, expect) = match self.action {
            Action::Put { value } => (value, 0, 0),
            Action::Swap { expect: None, value } => (value, 1, 0),
            Action::Swap { expect: Some(expect), value } => (value, 2, expect),
        };
        let mut bytes = Vec::with_capacity(40 + padding);
        put_words(&mut bytes, &[self.operation, self.key, value, kind, expect]);
        bytes.resize(40 + padding, 0);
        bytes.into()
    }

    /// The command that `bytes` stand for; `None` if they stand for none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Command> {
        let [operation, key, value, kind, expect] = take_words(bytes)?;
        let action = match kind {
            0 => Action::Put { value },
            1 => Action::Swap { expect: None, value },
            2 => Action::Swap { expect: Some(expect), value },
            3.. => return None,
        };
        Some(Command { operation, key, action })
    }
}

fn put_words(bytes: &mut Vec<u8>, words: &[u64]) {
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
}

fn take_words<const COUNT: usize>(bytes: &[u8]) -> Option<[u64; COUNT]> {
    let mut words = [0; COUNT];
    for (position, word) in words.iter_mut().enumerate() {
        let eight = bytes.get(8 * position..8 * position + 8)?;
        let read = u64::from_le_bytes(eight.try_into().expect("eight bytes were taken"));
        *word = read;
    }
    Some(words)
}

/// The state of one member's service.
///
/// Invariant: entries are applied in order, without gaps, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    applied: Index,
    values: BTreeMap<u64, u64>,
    /// A sum over all keys and values: equal states have equal sums.
    sum: u64,
}

impl Machine {
    /// Up to where the log is applied.
    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    /// What stands for the state when states are compared.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The value of a key; `None` if there is none.
    pub(crate) fn read(&self, key: u64) -> Option<u64> {
        self.values.get(&key).copied()
    }

    /// Applies an entry; `None` unless it is a command.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Applied> {
        assert!(
            entry.index == self.applied.next(),
            "entry {} is applied after {}",
            entry.id(),
            self.applied
        );
        self.applied = entry.index;
        match &entry.payload {
            Payload::Noop | Payload::Membership(_) => None,
            Payload::Command(bytes) => {
                let command = Command::decode(bytes).expect("only clients' commands are proposed");
                Some(self.carry_out(&command))
            }
        }
    }

    fn carry_out(&mut self, command: &Command) -> Applied {
        let value = match command.action {
            Action::Put { value } => value,
            Action::Swap { expect, value } => {
                if self.read(command.key) != expect {
                    return Applied::Differs;
                }
                value
            }
        };
        self.set(command.key, value);
        Applied::Done
    }

    fn set(&mut self, key: u64, value: u64) {
        if let Some(before) = self.values.insert(key, value) {
            self.sum = self.sum.wrapping_sub(mix(key, before));
        }
        self.sum = self.sum.wrapping_add(mix(key, value));
    }

    /// An image of the state.
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(8 + 16 * self.values.len());
        put_words(&mut bytes, &[self.applied.0]);
        for (key, value) in &self.values {
            put_words(&mut bytes, &[*key, *value]);
        }
        bytes.into()
    }

    /// The state that an image holds, the empty one if that is empty. `None` if it is no image.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Machine> {
        let mut machine = Machine::default();
        if bytes.is_empty() {
            return Some(machine);
        }
        let [applied] = take_words(bytes)?;
        machine.applied = Index(applied);
        for pair in bytes[8..].chunks(16) {
            let [key, value] = take_words(pair)?;
            machine.set(key, value);
        }
        Some(machine)
    }
}

fn mix(key: u64, value: u64) -> u64 {
    let mut mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ value;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 27)
}

#[cfg(test)]
mod tests {
    use raft::Term;

    use super::*;

    fn entry(index: u64, action: Action) -> Entry {
        let command = Command { operation: index, key: 1, action };
        let payload = Payload::Command(command.encode(3));
        Entry { index: Index(index), term: Term(1), payload }
    }

    #[test]
    fn swap_is_done_only_on_what_is_expected() {
        let mut machine = Machine::default();
        let swap = |expect, value| Action::Swap { expect, value };
        assert_eq!(machine.apply(&entry(1, swap(Some(9), 5))), Some(Applied::Differs));
        assert_eq!(machine.apply(&entry(2, swap(None, 6))), Some(Applied::Done));
        assert_eq!(machine.apply(&entry(3, Action::Put { value: 7 })), Some(Applied::Done));
        assert_eq!(machine.apply(&entry(4, swap(Some(7), 8))), Some(Applied::Done));
        assert_eq!(machine.read(1), Some(8));
    }

    #[test]
    fn image_holds_the_state() {
        let mut machine = Machine::default();
        machine.apply(&entry(1, Action::Put { value: 7 }));
        let loaded = Machine::decode(&machine.encode()).expect("what was encoded");
        assert_eq!((loaded.applied(), loaded.sum()), (Index(1), machine.sum()));
        assert_eq!(loaded.read(1), Some(7));
        assert!(Machine::decode(&[1, 2, 3]).is_none(), "three bytes are no image");
    }

    #[test]
    fn sum_tells_states_apart_and_forgets_the_past() {
        let mut one = Machine::default();
        one.apply(&entry(1, Action::Put { value: 7 }));
        let first = one.sum();
        one.apply(&entry(2, Action::Put { value: 8 }));
        assert_ne!(one.sum(), first);
        one.apply(&entry(3, Action::Put { value: 7 }));
        assert_eq!(one.sum(), first);
    }
}
