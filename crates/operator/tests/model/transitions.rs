//! Every transition, with every fault at every write.

use operator::plan::id::Ordinal;
use operator::plan::observed::Home;

use super::faults::{FAULTS, Operator, Trouble};
use super::world::World;

/// A transition that takes longer does not come to an end.
const TICKS_MAX: usize = 400;

/// Among so many threads the transitions are divided.
const PARTS: usize = 2;

/// At least so many runs are made.
const RUNS_MIN: usize = 5000;

/// What somebody does to a cluster that is at rest.
type Act = fn(&mut World);

struct Transition {
    name: &'static str,
    replicas: u32,
    acts: &'static [Act],
    /// What holds at rest, after each act.
    voters: &'static [usize],
}

const TRANSITIONS: &[Transition] = &[
    Transition { name: "bootstrap of one", replicas: 1, acts: &[], voters: &[1] },
    Transition { name: "bootstrap of three", replicas: 3, acts: &[], voters: &[3] },
    Transition {
        name: "one, three, five, three, one",
        replicas: 1,
        acts: &[
            |world| world.spec.replicas = 3,
            |world| world.spec.replicas = 5,
            |world| world.spec.replicas = 3,
            |world| world.spec.replicas = 1,
            |world| world.spec.replicas = 3,
        ],
        voters: &[1, 3, 5, 3, 1, 3],
    },
    Transition {
        name: "in with kept volumes, and out again",
        replicas: 3,
        acts: &[
            |world| {
                world.spec.storage.retention.when_scaled = operator::crd::Retention::Retain;
                world.spec.replicas = 1;
            },
            |world| world.spec.replicas = 3,
        ],
        voters: &[3, 1, 3],
    },
    Transition {
        name: "sleep and wake",
        replicas: 3,
        acts: &[|world| world.spec.replicas = 0, |world| world.spec.replicas = 1],
        voters: &[3, 0, 1],
    },
    Transition {
        name: "roll, bad roll and back",
        replicas: 3,
        acts: &[
            |world| world.digest = "v2".to_owned(),
            |world| {
                world.bad.insert("bad".to_owned());
                world.digest = "bad".to_owned();
            },
            |world| world.digest = "v2".to_owned(),
        ],
        voters: &[3, 3, 3, 3],
    },
    Transition {
        name: "bad roll of one and back",
        replicas: 1,
        acts: &[
            |world| {
                world.bad.insert("bad".to_owned());
                world.digest = "bad".to_owned();
            },
            |world| world.digest = "v1".to_owned(),
        ],
        voters: &[1, 0, 1],
    },
    Transition {
        name: "pod lost",
        replicas: 3,
        acts: &[|world| lose_pod(world, 0)],
        voters: &[3, 3],
    },
    Transition {
        name: "volume lost",
        replicas: 3,
        acts: &[|world| {
            lose_volume(world, 1);
            lose_pod(world, 1);
        }],
        voters: &[3, 3],
    },
    Transition {
        name: "volume deleted under a running pod",
        replicas: 3,
        acts: &[|world| lose_volume(world, 0)],
        voters: &[3, 3],
    },
    Transition {
        name: "node lost",
        replicas: 5,
        acts: &[|world| {
            world.objects.volumes.get_mut(&Ordinal(2)).unwrap().home = Home::Gone;
        }],
        voters: &[5, 5],
    },
    Transition {
        name: "deleted and made again over old volumes",
        replicas: 3,
        acts: &[|world| world.objects.cluster.as_mut().unwrap().is_deleting = true, World::create],
        voters: &[3, 0, 3],
    },
    Transition {
        name: "deleted with its volumes",
        replicas: 3,
        acts: &[World::delete_volumes_too, |world| {
            world.objects.cluster.as_mut().unwrap().is_deleting = true;
        }],
        voters: &[3, 3, 0],
    },
];

fn lose_pod(world: &mut World, ordinal: u32) {
    world.objects.pods.get_mut(&Ordinal(ordinal)).unwrap().is_deleting = true;
}

fn lose_volume(world: &mut World, ordinal: u32) {
    let volume = world.objects.volumes.get_mut(&Ordinal(ordinal)).unwrap();
    volume.is_deleting = true;
    world.sacrificed.insert(volume.uid.clone());
}

/// Runs until nothing is written any more, and nothing is awaited.
fn settle(world: &mut World, operator: &mut Operator, voters: usize, name: &str) {
    let mut calm = 0;
    for _ in 0..TICKS_MAX {
        let wrote = operator.look(world);
        if !wrote && is_reached(world, voters) {
            calm += 1;
        } else {
            calm = 0;
        }
        // So long is longer than anything that is waited for.
        if calm == 5 {
            return;
        }
        world.tick();
    }
    let seen = world.observe(&world.objects.clone());
    let made = seen.map(|seen| operator::plan::plan(&world.spec, &seen));
    panic!("{name} does not come to {voters} voters and rest: {made:#?}");
}

fn is_reached(world: &World, voters: usize) -> bool {
    if voters == 0 {
        return world.told().is_none();
    }
    let Some(told) = world.told() else { return false };
    let found = told.members.values().filter(|member| !member.is_learner).count();
    let set = world.objects.set.as_ref();
    let spread = set.is_some_and(|set| {
        let pods = world.objects.pods.values();
        let fresh = pods.filter(|pod| pod.revision == set.digest).count();
        let is_bad = world.bad.contains(&world.digest);
        // A bad change stops at the first pod.
        let blocked = set.replicas == 0 || (is_bad && fresh == 1);
        blocked || (!is_bad && fresh == world.objects.pods.len())
    });
    let serving = told.members.values().filter(|member| member.health.is_serving()).count();
    let missing = usize::from(world.bad.contains(&world.digest));
    found == voters && serving + missing == voters && spread
}

/// Runs a transition, and says how many writes it took.
fn run(transition: &Transition, trouble: Option<Trouble>) -> usize {
    let name = format!("{} with {trouble:?}", transition.name);
    let mut world = World::new(transition.replicas);
    let mut operator = Operator::new(trouble);
    settle(&mut world, &mut operator, transition.voters[0], &name);
    for (act, voters) in transition.acts.iter().zip(&transition.voters[1..]) {
        act(&mut world);
        world.tick();
        settle(&mut world, &mut operator, *voters, &name);
    }
    world.writes
}

#[test]
fn transitions_come_to_rest_without_faults() {
    for transition in TRANSITIONS {
        run(transition, None);
    }
}

/// Runs every so manieth transition with every fault, so that several threads share the work.
fn run_with_faults(part: usize) -> usize {
    let mut runs = 0;
    for transition in TRANSITIONS.iter().skip(part).step_by(PARTS) {
        for at in 0..run(transition, None) {
            for fault in FAULTS {
                for stale in [0, 2, 6] {
                    for missed in [0, 3] {
                        run(transition, Some(Trouble { at, fault, stale, missed }));
                        runs += 1;
                    }
                }
            }
        }
    }
    runs
}

#[test]
fn transitions_come_to_rest_with_a_fault_at_every_write() {
    let runs: usize = std::thread::scope(|scope| {
        let parts = (0..PARTS).map(|part| scope.spawn(move || run_with_faults(part)));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    assert!(RUNS_MIN < runs, "only {runs} runs were made");
}
