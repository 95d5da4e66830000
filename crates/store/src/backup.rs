//! What a backup becomes when a new cluster is made of it.

use mvcc::Revision;

use crate::cluster::Cluster;
use crate::image::Image;
use crate::machine::Machine;

/// What a new cluster keeps of the history of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// What the backup has.
    Kept,
    /// Nothing: it counts as compacted, so that whoever watched the old cluster learns that it must
    /// look anew.
    Forgotten,
}

impl Machine {
    /// Makes this the state in which a new cluster begins: its keys and leases stay, and members,
    /// alarms and versions of the old cluster are forgotten. This many revisions are passed over,
    /// lest they mean one thing to those who knew the old cluster and another to those who know the
    /// new one.
    pub fn begin_anew(&mut self, passed_over: u64, history: History) {
        self.cluster = Cluster::default();
        self.store.pass_over(passed_over);
        match history {
            History::Kept => {}
            History::Forgotten => self.forget_history(),
        }
    }

    fn forget_history(&mut self) {
        let now = self.store.now();
        // A store that has nothing to forget is left as it is.
        if now.compacted() < Some(now.revision()) && Revision::FIRST < now.revision() {
            let revision = now.revision();
            self.store.compact(revision).expect("what was reached and is not compacted can be");
            self.compacting = true;
        }
    }
}

impl Image {
    /// Returns a machine in this state.
    pub fn into_machine(self) -> Machine {
        self.rebuild()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{AlarmAction, AlarmKind, Command, MachineLoader, MemberAttributes, Put};
    use crate::{MembershipContext, Rejection};

    fn put(key: &'static str, value: &'static str) -> Command {
        Command::Put(Put { key: key.into(), value: value.into(), lease: 7, ..Put::default() })
    }

    /// A machine of one member, with an alarm, a lease, and a key that was written twice.
    fn machine() -> Machine {
        let mut machine = Machine::new();
        let attributes = MemberAttributes::default();
        machine.apply_membership(&MembershipContext::Added { member: 1, attributes });
        for command in [
            Command::LeaseGrant { id: 7, ttl: 60 },
            put("a", "1"),
            put("a", "2"),
            Command::Alarm { action: AlarmAction::Activate, member: 1, kind: AlarmKind::NoSpace },
        ] {
            machine.apply(&command).result.unwrap();
        }
        machine
    }

    #[test]
    fn keys_and_leases_stay_and_the_cluster_is_forgotten() {
        let mut machine = machine();
        machine.begin_anew(1000, History::Kept);
        let view = machine.view();
        assert_eq!(view.revision(), Revision(1003));
        assert_eq!(view.get(b"a").unwrap().value().bytes(), b"2");
        assert_eq!(view.get_at(b"a", Revision(2)).unwrap().unwrap().value().bytes(), b"1");
        assert!(machine.leases().get(7).is_some());
        assert!(machine.members().is_empty());
        assert_eq!(machine.apply(&put("a", "3")).result.err(), None::<Rejection>);
        assert_eq!(machine.view().revision(), Revision(1004));
    }

    #[test]
    fn forgotten_history_counts_as_compacted() {
        let mut machine = machine();
        machine.begin_anew(1000, History::Forgotten);
        assert_eq!(machine.view().compacted(), Some(Revision(1003)));
        assert!(machine.view().get_at(b"a", Revision(3)).is_err());
        while machine.compact_step(NonZeroUsize::MIN) == mvcc::Progress::Unfinished {}
        assert_eq!(machine.view().sizes().past_versions, 0);
        let mut empty = Machine::new();
        empty.begin_anew(0, History::Forgotten);
        assert_eq!(empty.view().compacted(), None);
    }

    #[test]
    fn an_image_becomes_the_machine_that_it_shows() {
        let mut machine = machine();
        machine.begin_anew(5, History::Forgotten);
        let again = machine.image().into_machine();
        assert_eq!(again.digest(), machine.digest());
        let mut loader = MachineLoader::new();
        for chunk in again.image().chunks() {
            loader.push(&chunk).unwrap();
        }
        assert_eq!(loader.finish().unwrap().digest(), machine.digest());
    }
}
