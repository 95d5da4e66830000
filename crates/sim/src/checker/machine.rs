//! State Machine Safety (paper, Figure 3): the same state at the same index, everywhere.

use raft::{Index, MemberId};

use super::{Verdict, violation};

/// The state that the first service came to, at each index.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    sums: Vec<Option<(MemberId, u64)>>,
}

impl Machines {
    /// A service has come to a state with this sum at `index`.
    pub(crate) fn reached(&mut self, member: MemberId, index: Index, sum: u64) -> Verdict {
        let at = usize::try_from(index.0).expect("logs are short");
        if at >= self.sums.len() {
            self.sums.resize(at + 1, None);
        }
        let (first, expected) = *self.sums[at].get_or_insert((member, sum));
        if expected == sum {
            return Ok(());
        }
        violation(
            "state machine safety",
            format!("{member} and {first} have applied up to {index}, and their states differ"),
        )
    }
}
