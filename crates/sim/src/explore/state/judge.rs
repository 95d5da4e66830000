//! What must hold in every state, checked where a state differs from the one before.

use raft::RoleKind;

use super::{Cast, State};
use crate::checker::Violation;
use crate::explore::check::{self, Facts};
use crate::explore::table::Fingerprint;

impl Cast {
    /// Checks a state that follows another by what happened to one member.
    pub(super) fn check(
        &mut self,
        before: &State,
        next: &mut State,
        slot: usize,
    ) -> Result<(), Violation> {
        let (old, new) = (before.core.members[slot], next.core.members[slot]);
        if old == new {
            return Ok(());
        }
        next.core.history = self.hear(before.core.history, new)?;
        for other in (0..self.len).filter(|other| *other != slot) {
            self.match_logs(new, next.core.members[other])?;
        }
        let history = self.histories.get(next.core.history);
        if self.facts(old).disk != self.facts(new).disk {
            history.check_kept(self.facts(old), self.facts(new))?;
        }
        if before.core.history != next.core.history {
            let members = &next.core.members[..self.len];
            let all: Vec<&Facts> = members.iter().map(|member| self.facts(*member)).collect();
            let known = self.histories.get(before.core.history);
            history.check_durable(known, self.facts(new), &all)?;
            for leader in all.iter().filter(|member| member.role == RoleKind::Leader) {
                history.check_complete(leader)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, history: u32, condition: u32) -> Result<u32, Violation> {
        if let Some(heard) = self.heard.get((history, condition)) {
            return Ok(heard);
        }
        let after = self.histories.get(history).hear(self.facts(condition))?;
        let heard = self.histories.number(Fingerprint::of(&after), || after);
        self.heard.add((history, condition), heard);
        Ok(heard)
    }

    fn match_logs(&mut self, one: u32, other: u32) -> Result<(), Violation> {
        let pair = (one.min(other), one.max(other));
        if self.matched.get(pair).is_none() {
            check::check_matching(self.facts(one), self.facts(other))?;
            self.matched.add(pair, 1);
        }
        Ok(())
    }
}
