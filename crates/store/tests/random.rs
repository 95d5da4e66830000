//! Random commands to machines and to the model, side by side, and every answer compared.
//!
//! A failure names its seed: `one_run(seed)` alone repeats it. The environment variable
//! `STORE_OPERATIONS` gives another number of operations than the small one of every day.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mvcc::{Progress, RecentViews, View};
use store::{
    Command, Image, Lease, Machine, MachineLoader, Response, range, range_borrowed, read_txn,
};

use crate::dice::Dice;
use crate::draw::Draw;
use crate::model::Model;
use crate::said::{Row, Said, of_range, of_txn, said};

/// How many operations one run has.
const RUN_LEN: u64 = 1_000;
const OPERATIONS_OF_EVERY_DAY: u64 = 60_000;

struct Run {
    dice: Dice,
    machine: Machine,
    /// The same, but it compacts when it likes, and is now and then loaded from an image.
    twin: Machine,
    model: Model,
    recent: RecentViews,
    /// Views and images of the past, with the model as it was.
    kept: Vec<(View, Image, Model)>,
}

pub(crate) fn load(image: Image) -> Machine {
    let mut loader = MachineLoader::new();
    for chunk in image.chunks() {
        loader.push(&chunk).unwrap();
    }
    loader.finish().unwrap()
}

fn one_run(seed: u64) {
    let machine = Machine::new();
    let recent = RecentViews::new(machine.view(), 20);
    let mut run = Run {
        dice: Dice(seed),
        machine,
        twin: Machine::new(),
        model: Model::new(),
        recent,
        kept: Vec::new(),
    };
    for _ in 0..RUN_LEN {
        run.operation();
    }
    while run.twin.compact_step(NonZeroUsize::new(100).unwrap()) == Progress::Unfinished {}
    let [ours, theirs] =
        [&run.machine, &run.twin].map(|machine| machine.image().chunks().collect::<Vec<_>>());
    assert_eq!(ours, theirs, "two machines give two images");
    for (view, image, model) in std::mem::take(&mut run.kept) {
        run.model = model;
        run.compare_reads(&view, None);
        run.machine = load(image);
        run.compare_all();
    }
}

impl Run {
    fn draw(&mut self) -> Draw<'_> {
        Draw { dice: &mut self.dice, revision: self.model.revision }
    }

    fn operation(&mut self) {
        match self.dice.below(20) {
            0 => self.membership(),
            1 => self.compact_some(),
            2 if self.dice.one_in(10) => self.twin = load(self.twin.image()),
            3 if self.dice.one_in(20) => {
                self.kept.push((self.machine.view(), self.machine.image(), self.model.clone()))
            }
            4..8 => {
                let view = self.machine.view();
                let recent = self.recent.clone();
                self.compare_reads(&view, Some(&recent));
            }
            8 => {
                self.compare_all();
                self.compare_machines();
            }
            _ => self.command(),
        }
    }

    fn command(&mut self) {
        let command = self.draw().command();
        let id = self.draw().id();
        let encoded = command.encode(id);
        let revision_before = self.model.revision;
        let wanted = self.model.apply(&command);
        let applied = if let Command::Put(put) = &command
            && self.dice.one_in(2)
        {
            self.machine.apply_put(put)
        } else {
            self.machine.apply(&command)
        };
        assert_eq!(said(&applied), wanted, "{command:?}");
        let (back, twin) = self.twin.apply_encoded(&encoded).unwrap();
        assert_eq!((back, &twin), (id, &applied), "{command:?}");
        self.recent.push(self.machine.view());
        if let Ok(Response::Txn(txn)) = &applied.result {
            assert_eq!(txn.has_changed(), revision_before < wanted.0, "{command:?}");
        }
    }

    fn membership(&mut self) {
        let context = self.draw().membership();
        let is_possible = self.machine.check_membership(&context);
        assert_eq!(is_possible, self.twin.check_membership(&context));
        for machine in [&mut self.machine, &mut self.twin] {
            machine.apply_membership(&context);
        }
        self.model.follow(&context);
    }

    fn compact_some(&mut self) {
        let steps = NonZeroUsize::new(1 + self.dice.count(20)).unwrap();
        let machine = if self.dice.one_in(3) { &mut self.machine } else { &mut self.twin };
        let was_compacting = machine.is_compacting();
        let progress = machine.compact_step(steps);
        assert_eq!(machine.is_compacting(), progress == Progress::Unfinished);
        assert!(was_compacting || progress == Progress::Finished);
    }

    fn compare_reads(&mut self, view: &View, recent: Option<&RecentViews>) {
        let request = self.draw().range();
        let answer = range(view, recent, &request);
        let ours = answer.as_ref().map(of_range).map_err(|rejection| *rejection);
        assert_eq!(ours, self.model.range(&request), "{request:?}");
        let borrowed = range_borrowed(view, recent, &request);
        let rows =
            borrowed.map(|result| result.versions.into_iter().map(Row::from).collect::<Vec<_>>());
        let owned = ours.map(|said| {
            let Said::Range { rows, .. } = said else { panic!("a range is answered by {said:?}") };
            rows
        });
        assert_eq!(rows, owned, "{request:?}");
        let txn = self.draw().read_txn(2);
        let ours = read_txn(view, &txn).as_ref().map(of_txn).map_err(|rejection| *rejection);
        assert_eq!(ours, self.model.read_txn(&txn), "{txn:?}");
    }

    /// Compares everything that can be seen.
    fn compare_all(&mut self) {
        let changes = self.machine.take_lease_changes();
        if !changes.is_empty() {
            assert_eq!(changes, self.model.lease_changes);
        }
        self.twin.take_lease_changes();
        self.model.lease_changes.clear();
        let leases = self.machine.leases().iter();
        let ours: Vec<_> =
            leases.map(|lease| (lease.id, (lease.ttl, lease.remaining.unwrap_or(0)))).collect();
        assert_eq!(ours, self.model.leases.clone().into_iter().collect::<Vec<_>>());
        for (id, (ttl, remaining)) in &self.model.leases {
            let keys: Vec<Vec<u8>> = self.machine.lease_keys(*id).map(<[u8]>::to_vec).collect();
            assert_eq!(keys, self.model.lease_keys(*id), "lease {id}");
            let Lease { id: found, .. } = self.machine.lease(*id).unwrap();
            let left = self.machine.lease(*id).unwrap().seconds_left();
            assert_eq!((found, left), (*id, if *remaining == 0 { *ttl } else { *remaining }));
        }
        assert_eq!(**self.machine.members(), self.model.members);
        assert_eq!(**self.machine.removed(), self.model.removed);
        assert_eq!(**self.machine.alarms(), self.model.alarms);
        assert_eq!(
            self.machine.cluster_version().map(|text| &**text),
            self.model.version.as_deref()
        );
        assert_eq!(self.machine.downgrade().map(|text| &**text), self.model.downgrade.as_deref());
        let compacted = self.machine.view_now().compacted();
        let compacted = compacted.map_or(-1, |revision| i64::try_from(revision.0).unwrap());
        assert_eq!(compacted, self.model.compacted);
    }

    fn compare_machines(&self) {
        assert_eq!(self.machine.digest(), self.twin.digest());
        assert_eq!(self.machine.live_bytes(), self.twin.live_bytes());
    }
}

#[test]
fn machine_answers_as_the_model_does() {
    let operations = std::env::var("STORE_OPERATIONS").ok().map(|text| text.parse().unwrap());
    let runs = operations.unwrap_or(OPERATIONS_OF_EVERY_DAY).div_ceil(RUN_LEN);
    for seed in 0..runs {
        if catch_unwind(AssertUnwindSafe(|| one_run(seed))).is_err() {
            panic!("seed {seed} fails: one_run({seed}) repeats it");
        }
    }
}
