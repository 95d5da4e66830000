//! What one seed draws for a cluster of whole members: its settings, and which faults it meets.
//!
//! Most faults are off in most runs (swarm testing). Each can be switched off afterwards, by its
//! [`Fault`], without changing what the others do.

use std::fmt;

use replica::Options as MemberOptions;

use crate::clock::Shape;
use crate::options::{CoreOptions, Delay};
use crate::rng::Random;

/// Everything that a seed draws. Times are in microseconds, probabilities in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How many members found the cluster.
    pub members: u64,
    /// How long the cluster is under fire.
    pub duration: u64,
    /// The settings of the members.
    pub member: MemberSettings,
    /// The connections between members.
    pub network: NetworkOptions,
    /// The disks.
    pub disk: DiskOptions,
    /// How long a tick should last.
    pub tick: u64,
    /// In what way clocks go wrong.
    pub clock: Shape,
    /// By how much at most.
    pub skew_max: u32,
    /// What is done to the cluster.
    pub nemesis: NemesisOptions,
    /// What clients do.
    pub workload: WorkloadOptions,
}

/// The settings of all members: see [`MemberOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberSettings {
    /// Those of the core.
    pub core: CoreOptions,
    /// The size of a segment of the log.
    pub segment_bytes: u64,
    /// After how much log a checkpoint is made.
    pub checkpoint_log_bytes_min: u64,
    /// How long a question is tried.
    pub request_ticks_max: u32,
    /// How much the contents may take.
    pub quota_bytes: Option<u64>,
    /// Whether changes that the cluster may not survive are refused.
    pub strict_reconfiguration: bool,
}

/// How connections behave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkOptions {
    /// How many messages are lost, though the connection holds.
    pub loss: u32,
    /// How the time that a message takes is drawn.
    pub delay: Delay,
    /// The mean time that a message takes.
    pub delay_mean: u64,
    /// How many messages that were not sent the sender is told of.
    pub told: u32,
    /// How many images break off on their way.
    pub image_failures: u32,
    /// How many deaths of a leader its followers hear of at once.
    pub deaths_heard: u32,
}

/// How disks behave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DiskOptions {
    /// The mean time of a sync.
    pub sync_mean: u64,
    /// The mean time of a job in the background.
    pub job_mean: u64,
    /// How many calls of a million read or write less than they were asked to.
    pub short: u64,
    /// How many calls of a million take long.
    pub stall: u64,
    /// How many deaths of a process are losses of power.
    pub power: u32,
}

/// What is done to the cluster: the mean time between two deeds, and the weight of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NemesisOptions {
    /// The mean time between two deeds.
    pub interval: u64,
    /// The mean time that a fault lasts.
    pub duration: u64,
    /// How many deeds hit the leader, whatever else they might have hit.
    pub leaders: u32,
    /// How often each fault is chosen; zero if never.
    pub weights: Vec<(u32, Fault)>,
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadOptions {
    /// How many clients there are.
    pub clients: u64,
    /// How many keys they share.
    pub keys: u64,
    /// The mean time between an answer and the next question.
    pub think_mean: u64,
    /// How often clients get, put, swap, use leases, and compact.
    pub mix: [u32; 5],
    /// How many bytes are added to a value.
    pub padding: usize,
    /// How many clients always ask the same member.
    pub pinned: u32,
    /// How many questions are forgotten by who asked them.
    pub forgetful: u32,
    /// The longest time to live of a lease, in seconds.
    pub ttl_max: u64,
}

macro_rules! faults {
    ($($name:ident $word:literal $most:literal $text:literal,)*) => {
        /// A class of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $text] $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];

            /// The word by which it is called.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Fault::$name => $word,)* }
            }

            /// The largest weight of its deeds; zero for what is no deed.
            fn most(self) -> u64 {
                match self { $(Fault::$name => $most,)* }
            }
        }
    };
}

faults! {
    Loss "loss" 0 "Messages are lost.",
    ImageFailure "image-failure" 0 "Images break off on their way.",
    Short "short" 0 "Reads and writes do less than they were asked to.",
    Slow "slow" 0 "Calls to the disk take long.",
    Skew "skew" 0 "Clocks are wrong.",
    Reset "reset" 6 "A connection breaks, and what is under way on it is lost.",
    Partition "partition" 8 "Some members cannot reach some others.",
    Clog "clog" 3 "One link carries nothing for a while, and then all at once.",
    Crash "crash" 6 "A member's process dies.",
    EffectCrash "effect-crash" 6 "A member's process dies while it does what is due.",
    CallCrash "call-crash" 6 "A member loses power during a call to its disk.",
    Blackout "blackout" 2 "All members lose power.",
    Bounce "bounce" 2 "All members but the leader die and start again at once.",
    Pause "pause" 4 "A member's process stands still.",
    Stall "stall" 4 "A member's disk stops answering.",
    Full "full" 4 "A member's disk is full.",
    DiskError "disk-error" 4 "Calls to a member's disk fail.",
    Rot "rot" 3 "A bit of a member's files rots.",
    Membership "membership" 6 "Members are added, promoted and removed.",
    Transfer "transfer" 4 "Leadership is handed over.",
    Nudge "nudge" 4 "A member is told that its leader is gone, or that it was paused.",
    Overtake "overtake" 3 "A leader stands still, unreached, until another has led for a while.",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const MILLISECOND: u64 = 1000;
const SECOND: u64 = 1_000_000;

impl Options {
    /// Draws everything.
    #[must_use]
    pub fn draw(seed: u64) -> Options {
        let mut random = Random::of(seed, "whole options");
        let tick = random.weighted(&[(3, 100), (2, 50), (2, 20)]) * MILLISECOND;
        let member = MemberSettings::draw(&mut random);
        let election = u64::from(member.core.election_ticks) * tick;
        let skew_max = member.core.skew_bound();
        Options {
            seed,
            members: random.weighted(&[(2, 1), (10, 3), (4, 5)]),
            duration: random.between(40, 80) * SECOND * tick / (100 * MILLISECOND),
            network: NetworkOptions::draw(&mut random, election),
            disk: DiskOptions::draw(&mut random, election),
            tick,
            clock: random
                .pick(&[Shape::Linear, Shape::Periodic, Shape::Step, Shape::Jitter])
                .expect("there are four"),
            skew_max: u32::try_from(u64::from(rarely(&mut random, 1000)) * skew_max / 1000)
                .expect("thousandths are few"),
            nemesis: NemesisOptions::draw(&mut random, election),
            workload: WorkloadOptions::draw(&mut random, election),
            member,
        }
    }

    /// The longest election timeout, in microseconds of a clock that is right.
    #[must_use]
    pub fn election_timeout_max(&self) -> u64 {
        2 * u64::from(self.member.core.election_ticks) * self.tick
    }

    /// Switches a class of faults off.
    pub fn switch_off(&mut self, fault: Fault) {
        self.nemesis.weights.retain(|(_, other)| *other != fault);
        let zero = |other: Fault, chance: u64| if other == fault { 0 } else { chance };
        let small = |other: Fault, chance: u32| if other == fault { 0 } else { chance };
        self.network.loss = small(Fault::Loss, self.network.loss);
        self.network.image_failures = small(Fault::ImageFailure, self.network.image_failures);
        self.disk.short = zero(Fault::Short, self.disk.short);
        self.disk.stall = zero(Fault::Slow, self.disk.stall);
        self.skew_max = small(Fault::Skew, self.skew_max);
    }

    /// The classes of faults that are on.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let constant = [
            (Fault::Loss, 0 < self.network.loss),
            (Fault::ImageFailure, 0 < self.network.image_failures),
            (Fault::Short, 0 < self.disk.short),
            (Fault::Slow, 0 < self.disk.stall),
            (Fault::Skew, 0 < self.skew_max),
        ];
        let deeds = self.nemesis.weights.iter().map(|(weight, deed)| (*deed, 0 < *weight));
        let all: Vec<(Fault, bool)> = constant.into_iter().chain(deeds).collect();
        let is_on = |fault: &Fault| all.contains(&(*fault, true));
        Fault::ALL.iter().copied().filter(is_on).collect()
    }
}

/// Draws a probability that is zero in half of the runs.
fn rarely(random: &mut Random, max: u64) -> u32 {
    let drawn = random.between(1, max);
    if random.chance(500) { u32::try_from(drawn).expect("thousandths are few") } else { 0 }
}

impl MemberSettings {
    fn draw(random: &mut Random) -> MemberSettings {
        let mut core = CoreOptions::draw(random);
        // Commands are longer here than where the core is simulated alone.
        core.uncommitted_bytes_max = random.weighted(&[(1, 600), (1, 4000), (6, 64 << 20)]);
        MemberSettings {
            segment_bytes: random.weighted(&[(2, 16 << 10), (1, 32 << 10), (1, 128 << 10)]),
            checkpoint_log_bytes_min: random.weighted(&[
                (1, 500),
                (2, 3000),
                (2, 20_000),
                (1, u64::MAX),
            ]),
            request_ticks_max: random.weighted(&[(1, 20), (2, 60), (1, 200)]),
            quota_bytes: random.weighted(&[(4, None), (1, Some(3000)), (1, Some(10_000))]),
            strict_reconfiguration: random.chance(700),
            core,
        }
    }

    /// The options of one life of a member.
    pub(crate) fn options(&self, id: u64, seed: u64, tick: u64) -> MemberOptions {
        MemberOptions {
            dir: super::DIR.into(),
            core: self.core.config(raft::MemberId(id), seed),
            tick_millis: u32::try_from(tick / MILLISECOND).expect("a tick is short"),
            segment_bytes: self.segment_bytes,
            checkpoint_log_bytes_min: self.checkpoint_log_bytes_min,
            request_ticks_max: self.request_ticks_max,
            command_bytes_max: 2000,
            quota_bytes: self.quota_bytes,
            strict_reconfiguration: self.strict_reconfiguration,
            learners_max: 2,
        }
    }
}

impl NetworkOptions {
    fn draw(random: &mut Random, election: u64) -> NetworkOptions {
        // Mostly such that messages come back well within an election timeout, or little happens.
        let slowest = random.weighted(&[(6, 20), (3, 8), (1, 3)]);
        NetworkOptions {
            loss: rarely(random, 100),
            delay: random.weighted(&[(2, Delay::Exponential), (1, Delay::Uniform)]),
            delay_mean: random
                .between(MILLISECOND / 2, (election / slowest).min(100 * MILLISECOND)),
            told: rarely(random, 1000),
            image_failures: rarely(random, 400),
            deaths_heard: rarely(random, 1000),
        }
    }
}

impl DiskOptions {
    fn draw(random: &mut Random, election: u64) -> DiskOptions {
        let slowest = random.weighted(&[(6, 50), (3, 10), (1, 3)]);
        DiskOptions {
            sync_mean: random.between(100, election / slowest),
            job_mean: random.between(100, election),
            short: u64::from(rarely(random, 1000)) * 100,
            stall: u64::from(rarely(random, 1000)),
            power: random.weighted(&[(1, 0), (2, 500), (2, 1000)]),
        }
    }
}

impl NemesisOptions {
    fn draw(random: &mut Random, election: u64) -> NemesisOptions {
        let weights = Fault::ALL
            .iter()
            .map(|fault| {
                let drawn = random.between(0, fault.most());
                let is_on = random.chance(400);
                (if is_on { u32::try_from(drawn).expect("weights are small") } else { 0 }, *fault)
            })
            .filter(|(weight, _)| 0 < *weight)
            .collect();
        let longest_interval = random.weighted(&[(3, 8), (1, 2)]) * election;
        let longest_fault = random.weighted(&[(3, 6), (1, 2)]) * election;
        NemesisOptions {
            interval: random.between(election / 2, longest_interval),
            duration: random.between(election / 4, longest_fault),
            leaders: random.weighted(&[(1, 100), (2, 400), (1, 900)]),
            weights,
        }
    }
}

impl WorkloadOptions {
    fn draw(random: &mut Random, election: u64) -> WorkloadOptions {
        WorkloadOptions {
            clients: random.between(2, 7),
            keys: random.weighted(&[(2, 1), (2, 3), (1, 10)]),
            think_mean: random.between(election / 20, election / 2),
            mix: random.weighted(&[
                (3, [4, 4, 2, 2, 1]),
                (1, [0, 1, 0, 0, 0]),
                (2, [5, 1, 1, 0, 0]),
                (1, [1, 1, 4, 0, 0]),
                (2, [1, 2, 0, 6, 1]),
            ]),
            padding: random.weighted(&[(3, 0), (2, 100), (1, 1500)]),
            pinned: random.weighted(&[(1, 0), (2, 500), (1, 1000)]),
            forgetful: rarely(random, 200),
            ttl_max: random.between(2, 6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_that_is_switched_off_is_off_and_others_stay() {
        for seed in 0..200 {
            let drawn = Options::draw(seed);
            for fault in drawn.faults() {
                let mut options = drawn.clone();
                options.switch_off(fault);
                let expected: Vec<Fault> =
                    drawn.faults().into_iter().filter(|other| *other != fault).collect();
                assert_eq!(options.faults(), expected, "seed {seed}");
            }
        }
    }

    #[test]
    fn every_fault_is_on_in_some_runs_and_off_in_others() {
        let runs: Vec<Vec<Fault>> = (0..200).map(|seed| Options::draw(seed).faults()).collect();
        for fault in Fault::ALL {
            let on = runs.iter().filter(|faults| faults.contains(fault)).count();
            assert!((20..=180).contains(&on), "{fault} is on in {on} of 200 runs");
        }
    }
}
