//! The offline check of everything that a member has stored.

use std::fmt;
use std::path::Path;

use disk::Disk;
use mvcc::Revision;
use raft::{EntryId, Index};

use crate::checkpoint::{list, load, name_of};
use crate::fault::Fault;
use crate::replica::Identity;

/// What was found in a member's directory.
#[derive(Debug)]
pub struct VerifyReport {
    /// Each checkpoint by its name, with what it holds, or what is wrong with it.
    pub checkpoints: Vec<(String, Result<VerifiedCheckpoint, Fault>)>,
    /// The log.
    pub wal: wal::Report,
    /// Why log and checkpoints do not belong together; `None` if they do, or if the log is damaged.
    pub gap: Option<String>,
}

/// What a sound checkpoint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// Whose it is.
    pub identity: Identity,
    /// Where it stands in the log.
    pub at: EntryId,
    /// Its size in bytes.
    pub bytes: u64,
    /// The revision of its keys.
    pub revision: Revision,
    /// How many keys exist in it.
    pub keys: usize,
    /// The digest of the machine.
    pub digest: u64,
}

/// Reads all that is stored in the directory of a member that does not run, and changes nothing but
/// the lock file of the log.
///
/// # Errors
///
/// If there is no member, or if its files cannot be read. What is wrong with their contents stands
/// in the report.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<VerifyReport, Fault> {
    let indexes = list(disk, dir)?;
    if indexes.is_empty() {
        return Err(Fault::NoMember(dir.to_owned()));
    }
    // First the log, whose lock shows that nobody writes here.
    let wal = wal::verify(disk, &dir.join("wal"))?;
    let checkpoints: Vec<_> =
        indexes.iter().map(|index| (name_of(*index), check(disk, dir, *index))).collect();
    let sound = checkpoints.iter().filter_map(|(_, found)| Some(found.as_ref().ok()?.at));
    let gap = match &wal.verdict {
        Ok(log) => gap(sound, log.base, log.last),
        Err(_) => None,
    };
    Ok(VerifyReport { checkpoints, wal, gap })
}

fn check(disk: &dyn Disk, dir: &Path, index: Index) -> Result<VerifiedCheckpoint, Fault> {
    let loaded = load(disk, dir, index)?;
    let view = loaded.machine.view();
    Ok(VerifiedCheckpoint {
        identity: Identity { cluster_id: loaded.head.cluster_id, member_id: loaded.head.member_id },
        at: loaded.head.meta.id,
        bytes: loaded.bytes,
        revision: view.revision(),
        keys: view.sizes().keys,
        digest: loaded.machine.digest(),
    })
}

/// Tells why a log of entries after `base` up to `last` goes on from none of the sound checkpoints.
fn gap(mut sound: impl Iterator<Item = EntryId>, base: EntryId, last: EntryId) -> Option<String> {
    let goes_on = |at: EntryId| base.index <= at.index && at.index <= last.index;
    (!sound.any(goes_on)).then(|| {
        format!("no sound checkpoint stands where the log, after {base} up to {last}, goes on from")
    })
}

impl VerifyReport {
    /// Tells whether a member would start here and has lost nothing.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wal.verdict.is_ok()
            && self.gap.is_none()
            && self.checkpoints.iter().all(|(_, found)| found.is_ok())
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, found) in &self.checkpoints {
            match found {
                Ok(found) => {
                    let Identity { cluster_id, member_id } = found.identity;
                    writeln!(
                        f,
                        "{name}: sound, {} bytes, at {}, member {member_id:x} of cluster \
                         {cluster_id:x}, revision {}, {} keys, digest {:016x}",
                        found.bytes, found.at, found.revision, found.keys, found.digest
                    )?;
                }
                Err(fault) => writeln!(f, "{name}: {fault}")?,
            }
        }
        self.wal.fmt(f)?;
        self.gap.iter().try_for_each(|gap| writeln!(f, "{gap}"))
    }
}

#[cfg(test)]
mod tests {
    use raft::Term;

    use super::*;

    #[test]
    fn a_log_goes_on_from_a_checkpoint_within_it_or_right_before_it() {
        let at = |index| EntryId { index: Index(index), term: Term(1) };
        let gap = |sound: &[u64]| gap(sound.iter().map(|index| at(*index)), at(5), at(9));
        assert_eq!(gap(&[5]), None);
        assert_eq!(gap(&[3, 9]), None);
        assert_eq!(
            gap(&[4]).unwrap(),
            "no sound checkpoint stands where the log, after 5@1 up to 9@1, goes on from"
        );
        assert!(gap(&[]).is_some() && gap(&[10]).is_some());
    }
}
