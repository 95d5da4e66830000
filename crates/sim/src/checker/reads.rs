//! Reads are never stale: a read misses nothing that was committed when it was asked for.
//!
//! That is more than clients could notice, for they learn of a commit later than the oracle does.

use std::collections::BTreeMap;

use raft::{Index, MemberId};

use super::{Verdict, violation};

/// The reads that wait, with what was committed when they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    floors: BTreeMap<u64, Index>,
}

impl Reads {
    /// A read is asked for, when entries up to `committed` are committed.
    pub(crate) fn asked(&mut self, read: u64, committed: Index) {
        let before = self.floors.insert(read, committed);
        assert!(before.is_none(), "read {read} is asked for twice");
    }

    /// A member may answer a read from `index` on.
    pub(crate) fn ready(&mut self, member: MemberId, read: u64, index: Index) -> Verdict {
        match self.floors.remove(&read) {
            None => {
                violation("reads", format!("{member} answers read {read}, which does not wait"))
            }
            Some(floor) if index < floor => violation(
                "reads",
                format!(
                    "{member} answers a read from index {index}, and {floor} was committed when it \
                     was asked for"
                ),
            ),
            Some(_) => Ok(()),
        }
    }

    /// A member gives up a read.
    pub(crate) fn failed(&mut self, member: MemberId, read: u64) -> Verdict {
        match self.floors.remove(&read) {
            None => violation("reads", format!("{member} fails read {read}, which does not wait")),
            Some(_) => Ok(()),
        }
    }
}
