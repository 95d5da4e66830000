//! What must hold in every state of a search: Raft's promises (paper, Figure 3), and that what is
//! committed is on enough disks.

use raft::{DurableState, Entry, EntryId, MemberId, Membership, Raft, RoleKind, Term};

use crate::checker::durability::is_quorum;
use crate::checker::{Verdict, Violation, violation};
use crate::explore::member::Member;
use crate::explore::table::Fingerprint;

/// One entry of a log, and a mark of all entries up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) id: EntryId,
    mark: u64,
}

fn links<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Link> {
    let mut mark = 0;
    entries
        .map(|entry| {
            mark = Fingerprint::short(&(mark, entry));
            Link { id: entry.id(), mark }
        })
        .collect()
}

/// What the checks ask about one member.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) id: MemberId,
    /// Its place among the members.
    pub(super) slot: usize,
    pub(super) role: RoleKind,
    pub(super) term: Term,
    /// The term that is on its disk.
    pub(super) durable_term: Term,
    pub(super) committed: usize,
    pub(super) membership: Membership,
    pub(super) log: Vec<Link>,
    pub(super) disk: Vec<Link>,
    /// How far it has come: rarely less than in the conditions that it comes from.
    pub(super) rank: usize,
}

/// A rank that no member comes to.
pub(super) const RANK_MAX: usize = 1 << 10;

impl Facts {
    pub(super) fn of(member: &Member) -> Facts {
        let core: &Raft = member.core();
        let disk: &DurableState = member.disk();
        let status = core.status();
        let log = links(core.entries());
        let small = |number: u64| usize::try_from(number).expect("a small scope");
        let role = match status.role {
            RoleKind::Follower | RoleKind::PreCandidate => 0,
            RoleKind::Candidate => 1,
            RoleKind::Leader => 2,
        };
        let matched: u64 = status.members.iter().map(|peer| peer.matched.0 + peer.next.0).sum();
        let rank = 64 * small(status.term.0)
            + 8 * log.len()
            + 4 * small(status.durable.0 + status.committed.0)
            + 2 * (role + usize::from(status.vote.is_some()))
            + small(matched);
        Facts {
            id: status.id,
            slot: small(status.id.0 - 1),
            role: status.role,
            term: status.term,
            durable_term: disk.hard_state.term,
            committed: usize::try_from(status.committed.0).expect("a small log"),
            membership: status.membership,
            log,
            disk: links(disk.entries.iter()),
            rank: rank.min(RANK_MAX - 1),
        }
    }
}

/// What has ever been decided, which members may have forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// The leaders that were seen, by term.
    leaders: Vec<(Term, MemberId)>,
    /// All entries that were ever committed, and the term of the leader that did it.
    committed: Vec<(Link, Term)>,
}

impl History {
    /// Takes over what one member says, which must go with all that is known.
    pub(super) fn hear(&self, member: &Facts) -> Result<History, Violation> {
        let mut after = self.clone();
        if member.role == RoleKind::Leader {
            after.hear_leader(member)?;
        }
        for (place, link) in member.log.iter().take(member.committed).enumerate() {
            match after.committed.get(place) {
                None => after.committed.push((*link, member.term)),
                Some((known, _)) if known == link => {}
                Some((known, _)) => violation(
                    "machine",
                    format!("{} commits {}, and {} was committed", member.id, link.id, known.id),
                )?,
            }
        }
        Ok(after)
    }

    fn hear_leader(&mut self, leader: &Facts) -> Verdict {
        let Facts { id, term, .. } = leader;
        match self.leaders.iter().find(|(led, _)| led == term) {
            None => {
                self.leaders.push((*term, *id));
                self.leaders.sort_unstable();
            }
            Some((_, other)) if other == id => {}
            Some((_, other)) => {
                violation("election", format!("{other} and {id} both lead term {term}"))?;
            }
        }
        self.check_complete(leader)
    }

    /// Holds that a leader has all that was committed in its term and before.
    pub(super) fn check_complete(&self, leader: &Facts) -> Verdict {
        for (place, (link, term)) in self.committed.iter().enumerate() {
            if *term <= leader.term && leader.log.get(place) != Some(link) {
                let text = format!(
                    "{} leads term {} without {}, committed in term {term}",
                    leader.id, leader.term, link.id
                );
                return violation("completeness", text);
            }
        }
        Ok(())
    }

    /// Holds that what was committed since `before` is on the disks of a quorum, as the member that
    /// committed it knows the configuration.
    pub(super) fn check_durable(&self, before: &History, by: &Facts, all: &[&Facts]) -> Verdict {
        for (place, (link, _)) in self.committed.iter().enumerate().skip(before.committed.len()) {
            let holds = |id: MemberId| {
                let member = all.iter().find(|member| member.id == id);
                member.is_some_and(|member| member.disk.get(place) == Some(link))
            };
            if !is_quorum(&by.membership, holds) {
                let holders: Vec<String> = by
                    .membership
                    .voters()
                    .filter(|id| holds(*id))
                    .map(|id| id.to_string())
                    .collect();
                let text = format!(
                    "{} commits {} of {}, which is on the disks of [{}] alone",
                    by.id,
                    link.id,
                    by.membership,
                    holders.join(" ")
                );
                return violation("durability", text);
            }
        }
        Ok(())
    }

    /// Holds that nothing committed leaves a disk.
    pub(super) fn check_kept(&self, before: &Facts, after: &Facts) -> Verdict {
        for (place, (link, _)) in self.committed.iter().enumerate() {
            if before.disk.get(place) == Some(link) && after.disk.get(place) != Some(link) {
                let text = format!("committed {} leaves the disk of {}", link.id, after.id);
                return violation("durability", text);
            }
        }
        Ok(())
    }
}

/// Holds that two logs with the same entry are equal up to it.
pub(super) fn check_matching(one: &Facts, other: &Facts) -> Verdict {
    let mut equal = None;
    for (a, b) in one.log.iter().zip(&other.log).rev() {
        if equal.is_none() && a.id == b.id {
            equal = Some(a.id);
        }
        if let Some(id) = equal
            && a != b
        {
            let text = format!(
                "{} and {} both hold {id}, and at {} {} and {}",
                one.id, other.id, a.id.index, a.id, b.id
            );
            return violation("matching", text);
        }
    }
    Ok(())
}
