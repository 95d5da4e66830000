//! How much room the contents take, and when the alarm about it is due.
//!
//! The quota is a setting of each member, and members may have different ones. So it decides
//! nothing here: a member that finds it exceeded raises its alarm through the log, and from that
//! entry on every member refuses the same commands. It is lowered in the same way.

use crate::command::{AlarmKind, Command, Operation, Put, Txn};
use crate::machine::Machine;

/// What a lease counts beside its keys, in bytes, as in etcd.
const LEASE_BYTES: usize = 64;

/// What a put counts beside its key and value, in bytes, as in etcd: before it is done it is not
/// known what will be freed.
const PUT_BYTES: usize = 256;

/// The alarm is lowered when there is a tenth of the quota to spare, so that it does not go up and
/// down with every write.
const SPARE_DIVISOR: u64 = 10;

/// What a member should do about its alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceVerdict {
    /// Nothing.
    Fine,
    /// Propose that its [`AlarmKind::NoSpace`] is raised.
    Raise,
    /// Propose that its [`AlarmKind::NoSpace`] is lowered.
    Lower,
}

impl Machine {
    /// Returns what the latest versions of all keys and the leases take, in bytes: the same on
    /// every member. History is not counted: compaction takes it away by itself.
    pub fn live_bytes(&self) -> u64 {
        let leases = self.leases().len() * LEASE_BYTES;
        (self.view_now().sizes().live_bytes + leases) as u64
    }

    /// Tells what a member should do about its alarm, given its quota in bytes; `None` for no
    /// quota. Proposing the same more than once does no harm.
    pub fn space_verdict(&self, member: u64, quota: Option<u64>) -> SpaceVerdict {
        let is_raised = self.alarms().contains(&(member, AlarmKind::NoSpace));
        let live = self.live_bytes();
        match quota {
            Some(quota) if !is_raised && quota <= live => SpaceVerdict::Raise,
            Some(quota) if is_raised && live < quota - quota / SPARE_DIVISOR => SpaceVerdict::Lower,
            None if is_raised => SpaceVerdict::Lower,
            Some(_) | None => SpaceVerdict::Fine,
        }
    }
}

impl Command {
    /// Returns how much room the command may take, in bytes, as etcd reckons it: of a transaction,
    /// the branch that takes more. A member with less to spare refuses it before proposing.
    pub fn space_bytes(&self) -> usize {
        match self {
            Command::Put(put) => put_bytes(put),
            Command::Txn(txn) => txn_bytes(txn),
            Command::LeaseGrant { .. } => LEASE_BYTES,
            Command::DeleteRange(_)
            | Command::Compact { .. }
            | Command::LeaseRevoke { .. }
            | Command::LeaseExpire { .. }
            | Command::LeaseCheckpoint { .. }
            | Command::Alarm { .. }
            | Command::Publish { .. }
            | Command::MemberUpdate { .. }
            | Command::ClusterVersion { .. }
            | Command::Downgrade { .. }
            | Command::Nothing => 0,
        }
    }
}

fn put_bytes(put: &Put) -> usize {
    PUT_BYTES + put.key.len() + put.value.len()
}

fn txn_bytes(txn: &Txn) -> usize {
    branch_bytes(&txn.success).max(branch_bytes(&txn.failure))
}

fn branch_bytes(branch: &[Operation]) -> usize {
    let bytes = branch.iter().map(|operation| match operation {
        Operation::Put(put) => put_bytes(put),
        Operation::Txn(txn) => txn_bytes(txn),
        Operation::Range(_) | Operation::DeleteRange(_) => 0,
    });
    bytes.sum()
}
