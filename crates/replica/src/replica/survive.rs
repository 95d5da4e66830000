//! What a member that has lost the others can save.

use std::collections::BTreeMap;

use raft::{Entry, EntryId, Membership, Payload};
use store::{History, Image, MemberAttributes};

use super::change::decode_context;
use super::{Identity, Replica};
use crate::fault::Fault;

/// All that one member knows, for a cluster that begins with it alone.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// Whose it was.
    pub identity: Identity,
    /// The last entry of its log.
    pub last: EntryId,
    /// The configuration in force there.
    pub membership: Membership,
    /// The members that it knew, with their names and addresses.
    pub members: BTreeMap<u64, MemberAttributes>,
    /// The state after that entry, in which there are no members.
    pub image: Image,
}

impl Replica {
    /// Ends the replica and returns all that it knows. That includes entries of which it does not
    /// know whether they were committed: what was acknowledged may be among them, and nobody is
    /// left who could tell.
    ///
    /// # Errors
    ///
    /// If an entry cannot be executed.
    pub fn into_survivor(mut self) -> Result<Survivor, Fault> {
        let applied = self.applied.index;
        let rest: Vec<Entry> =
            self.core.entries().filter(|entry| applied < entry.index).cloned().collect();
        for entry in &rest {
            self.survive(entry).map_err(|found| Fault::Entry { at: entry.id(), found })?;
        }
        let members = (**self.machine.members()).clone();
        self.machine.begin_anew(0, History::Kept);
        Ok(Survivor {
            identity: self.identity,
            last: self.core.last(),
            membership: self.applied_membership.clone(),
            members,
            image: self.machine.image(),
        })
    }

    fn survive(&mut self, entry: &Entry) -> Result<(), String> {
        match &entry.payload {
            Payload::Noop => {}
            Payload::Command(command) => {
                self.machine.apply_encoded(command).map_err(|error| error.to_string())?;
            }
            Payload::Membership(change) => {
                self.applied_membership.clone_from(&change.membership);
                if !change.context.is_empty() {
                    let (_, context) = decode_context(&change.context)?;
                    self.machine.apply_membership(&context);
                }
            }
        }
        Ok(())
    }
}
