//! The operator, and what goes wrong with it.

use std::collections::VecDeque;

use operator::plan::plan;

use super::world::{Objects, World};

/// How many looks a cache may be behind.
const HISTORY_MAX: usize = 8;

/// What goes wrong at one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The operator dies before the write.
    Before,
    /// The operator dies after the step, so that the status is not written; also what a write looks
    /// like whose answer is lost.
    After,
    /// The write is refused, as somebody else wrote.
    Conflict,
    /// The step is done twice.
    Twice,
}

pub(super) const FAULTS: [Fault; 4] = [Fault::Before, Fault::After, Fault::Conflict, Fault::Twice];

/// What goes wrong in one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// At which write, counted over the whole run.
    pub(super) at: usize,
    pub(super) fault: Fault,
    /// How many looks old the cache is then, and for so many looks.
    pub(super) stale: usize,
    /// How many ticks nothing is noticed afterwards.
    pub(super) missed: usize,
}

/// An operator that looks at the world.
pub(super) struct Operator {
    history: VecDeque<Objects>,
    trouble: Option<Trouble>,
    /// How many looks the cache still stays as old as it was.
    old_for: usize,
    asleep: usize,
}

impl Operator {
    pub(super) fn new(trouble: Option<Trouble>) -> Operator {
        Operator { history: VecDeque::new(), trouble, old_for: 0, asleep: 0 }
    }

    /// One look. Says whether anything was written.
    pub(super) fn look(&mut self, world: &mut World) -> bool {
        self.history.push_front(world.objects.clone());
        self.history.truncate(HISTORY_MAX);
        if 0 < self.asleep {
            self.asleep -= 1;
            return true;
        }
        let behind = match self.trouble {
            Some(trouble) if 0 < self.old_for => {
                self.old_for -= 1;
                trouble.stale.min(self.history.len() - 1)
            }
            Some(_) | None => 0,
        };
        let cache = self.history[behind].clone();
        let Some(seen) = world.observe(&cache) else { return false };
        let made = plan(&world.spec, &seen);
        assert_eq!(made, plan(&world.spec, &seen), "the same twice is decided differently");
        let fault = self.trouble.filter(|trouble| trouble.at == world.writes);
        if let (Some(trouble), Some(_)) = (fault, &made.step) {
            self.old_for = trouble.stale;
            self.asleep = trouble.missed;
            // The write counts even if it fails, so that the fault is met once.
            world.writes += 1;
        }
        let fault = fault.map(|trouble| trouble.fault);
        if let Some(step) = &made.step {
            match fault {
                Some(Fault::Before | Fault::Conflict) => return true,
                Some(Fault::After) => {
                    world.apply(step);
                    return true;
                }
                Some(Fault::Twice) => {
                    world.apply(step);
                    world.apply(step);
                }
                None => drop(world.apply(step)),
            }
        }
        // The status is written with the version that was read: an old one is refused.
        let is_new = made.status != seen.cluster.status;
        if let Some(cluster) = &mut world.objects.cluster
            && is_new
            && cluster.uid == seen.cluster.uid
            && cluster.status == seen.cluster.status
        {
            assert!(
                cluster.status.cluster_id.is_none()
                    || cluster.status.cluster_id == made.status.cluster_id,
                "the cluster's ID changes"
            );
            cluster.status = made.status;
        }
        made.step.is_some() || is_new
    }
}
