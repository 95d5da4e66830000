//! Tells whether what clients saw could have come from one register per key.
//!
//! A history is linearizable if every operation can be given a moment between its call and its
//! return, such that all of them make sense when they are executed at once at their moments, in
//! that order (Herlihy and Wing). Each key is a register of its own, so that each is checked on its
//! own. Nobody has written to a register at first.
//!
//! Every value is written at most once to a key. A value that was left never comes back then, which
//! makes the search short: most steps have only one choice.
//!
//! An operation whose outcome was never known may take effect at any time after its call, also long
//! after its client has given up, or never.

use std::collections::BTreeMap;
use std::fmt;

mod register;
mod search;
#[cfg(test)]
mod tests;

use register::Register;

/// One operation of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose it is.
    pub client: u64,
    /// When it was called.
    pub call: u64,
    /// When it returned, at or after `call`; `None` if its outcome was never known.
    pub ret: Option<u64>,
    /// On which register it acts.
    pub key: u64,
    /// What it does, and what its client saw.
    pub op: Op,
}

/// What an operation does, and what its client saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value.
    Write {
        /// The value; no other operation on the key writes the same.
        value: u64,
    },
    /// Reads a value.
    Read {
        /// The value; `None` if nobody had written yet.
        value: Option<u64>,
    },
    /// Writes a value if another is there.
    Cas {
        /// The value that must be there; `None` if nobody may have written yet.
        expect: Option<u64>,
        /// The value to write; no other operation on the key writes the same.
        value: u64,
        /// Whether it was there. `None` if that was never known; then it does not matter whether
        /// the operation returned.
        succeeded: Option<bool>,
    },
}

/// Why a history is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which register cannot be explained.
    pub key: u64,
    /// What is wrong.
    pub kind: ViolationKind,
    /// The operations around the contradiction, by the time of their call.
    pub operations: Vec<Operation>,
}

/// What can be wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// A client saw a value that nobody wrote.
    FromNowhere,
    /// No order of the operations explains what their clients saw.
    NoOrder,
    /// The search for an order was given up, so that nobody knows.
    Undecided,
}

/// Finds, for every key, an order of its operations that explains what their clients saw.
///
/// # Errors
///
/// If there is none for some key, or if it was not found within the limit of the search.
///
/// # Panics
///
/// If a value is written twice to a key, or an operation returns before its call: the history is
/// then not one that a workload of ours can have made.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    check_within(history, search::WORLDS_MAX)
}

fn check_within(history: &[Operation], worlds_max: usize) -> Result<(), Violation> {
    let mut keys: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(operation.key).or_default().push(*operation);
    }
    for (key, operations) in keys {
        let refuse = |(kind, operations)| violation(key, kind, operations);
        let register = Register::new(&operations).map_err(refuse)?;
        search::run(&register, worlds_max).map_err(refuse)?;
    }
    Ok(())
}

fn violation(key: u64, kind: ViolationKind, mut operations: Vec<Operation>) -> Violation {
    operations.sort_by_key(|operation| (operation.call, operation.ret, operation.client));
    operations.dedup();
    Violation { key, kind, operations }
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: ", self.key)?;
        f.write_str(match self.kind {
            ViolationKind::FromNowhere => "a client saw a value that nobody wrote",
            ViolationKind::NoOrder => "no order explains what the clients saw",
            ViolationKind::Undecided => "too many orders to look for one that explains this",
        })?;
        for operation in &self.operations {
            write!(f, "\n  {operation}")?;
        }
        Ok(())
    }
}

/// Draws an operation: `client 3: cas 7 → 9 refused, from 120 to 180`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: {}, from {}", self.client, self.op, self.call)?;
        match self.ret {
            Some(ret) => write!(f, " to {ret}"),
            None => f.write_str(" on, never answered"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn = |value: &Option<u64>| value.map_or("nothing".to_owned(), |v| v.to_string());
        match self {
            Op::Write { value } => write!(f, "write {value}"),
            Op::Read { value } => write!(f, "read {}", drawn(value)),
            Op::Cas { expect, value, succeeded } => {
                write!(f, "cas {} → {value}", drawn(expect))?;
                f.write_str(match succeeded {
                    Some(true) => " done",
                    Some(false) => " refused",
                    None => " unknown",
                })
            }
        }
    }
}
