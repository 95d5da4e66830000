//! What one seed draws: the cluster, its settings, and which faults it meets, how often.
//!
//! Most faults are off in most runs: a run with all of them at once rarely gets far enough to
//! show anything (swarm testing). Each can be switched off afterwards, by its [`Fault`], without
//! changing what the others do.

mod core;

use std::fmt;

use raft::ReadConfirmation;

pub use self::core::CoreOptions;
use crate::clock::Shape;
use crate::rng::Random;

/// Everything that a seed draws. Times are in microseconds, probabilities in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How many members vote at first.
    pub voters: u64,
    /// How many members learn at first.
    pub learners: u64,
    /// How long the cluster is under fire.
    pub duration: u64,
    /// The settings of the members' cores.
    pub core: CoreOptions,
    /// The network.
    pub network: NetworkOptions,
    /// The disks.
    pub disk: DiskOptions,
    /// The clocks.
    pub clock: ClockOptions,
    /// The services.
    pub service: ServiceOptions,
    /// What is done to the cluster.
    pub nemesis: NemesisOptions,
    /// What clients do.
    pub workload: WorkloadOptions,
}

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkOptions {
    /// How many messages are lost.
    pub loss: u32,
    /// How many messages arrive twice.
    pub duplication: u32,
    /// How many messages, or second copies of them, take up to [`NetworkOptions::straggler_max`].
    pub stragglers: u32,
    /// The longest time that a straggler takes.
    pub straggler_max: u64,
    /// How the time that a message takes is drawn.
    pub delay: Delay,
    /// The mean time that a message takes.
    pub delay_mean: u64,
    /// Whether messages overtake each other.
    pub order: Order,
    /// How many lost messages the sender hears of.
    pub loss_noticed: u32,
}

/// How the time that a message takes is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delay {
    /// Many are fast, a few slow.
    Exponential,
    /// Anything up to twice the mean.
    Uniform,
}

/// Whether messages overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Each link delivers in the order of sending, stragglers apart.
    Kept,
    /// Any message may overtake any other.
    Lost,
}

/// How disks behave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DiskOptions {
    /// Whether a member goes on while it writes.
    pub mode: DiskMode,
    /// The mean time of a sync.
    pub latency_mean: u64,
    /// How many writes one sync covers at most.
    pub sync_writes_max: usize,
    /// How many acknowledgements are skipped in favour of a later one.
    pub coalesced: u32,
    /// How many crashes leave a part of a write.
    pub torn: u32,
    /// How many crashes lose what is not durable; after the others it is there.
    pub lost: u32,
}

/// Whether a member goes on while it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskMode {
    /// It goes on, and hears of the write when it is done.
    Asynchronous,
    /// It does nothing else until the write is done.
    Synchronous,
}

/// How clocks behave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClockOptions {
    /// How long a tick should last.
    pub tick: u64,
    /// In what way clocks go wrong.
    pub shape: Shape,
    /// By how much at most.
    pub skew_max: u32,
}

/// How services behave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceOptions {
    /// A service makes an image after so many entries; `None` if it never does by itself.
    pub image_every: Option<u64>,
    /// The mean time to make an image.
    pub image_latency: u64,
    /// The mean time to apply what was handed out; zero if that is done at once.
    pub apply_latency: u64,
    /// How many images for another member cannot be made.
    pub image_failures: u32,
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
    /// How long a client waits for an answer.
    pub timeout: u64,
    /// How often clients read, put and swap.
    pub mix: [u32; 3],
    /// How many bytes are added to a command.
    pub padding: usize,
    /// How often a client asks any member, instead of the one that it usually asks.
    pub wandering: u32,
    /// How many clients always ask the same member, whoever leads.
    pub pinned: u32,
}

macro_rules! faults {
    ($($name:ident $word:literal $text:literal,)*) => {
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
        }
    };
}

faults! {
    Loss "loss" "Messages are lost.",
    Duplication "duplication" "Messages arrive twice.",
    Stragglers "stragglers" "Messages arrive long after they were sent.",
    Partition "partition" "Some members cannot reach some others.",
    Clog "clog" "One link carries nothing for a while, and then all at once.",
    Crash "crash" "A member's process dies.",
    EffectCrash "effect-crash" "A member's process dies while it does what its core asks for.",
    PowerCut "power-cut" "All members die together.",
    Bounce "bounce" "All members but the leader die and start again at once, some to campaign.",
    LostWrites "lost-writes" "A crash loses what was not synced.",
    TornWrites "torn-writes" "A crash leaves a part of a write.",
    Pause "pause" "A member's process stands still.",
    Stall "stall" "A member's disk stops answering.",
    Skew "skew" "Clocks are wrong.",
    Membership "membership" "The configuration changes.",
    Transfer "transfer" "Leadership is handed over.",
    Image "image" "A service makes an image out of turn.",
    ImageFailure "image-failure" "An image for another member cannot be made.",
    Nudge "nudge" "A member is told to campaign, to forget its leader, or that a connection broke.",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The widest window of appends where messages overtake each other.
const INFLIGHT_UNORDERED_MAX: usize = 8;
const MILLISECOND: u64 = 1000;
const SECOND: u64 = 1_000_000;

impl Options {
    /// Draws everything.
    #[must_use]
    pub fn draw(seed: u64) -> Options {
        let mut random = Random::of(seed, "options");
        let tick = random.weighted(&[(8, 100), (1, 50), (1, 20)]) * MILLISECOND;
        let mut core = CoreOptions::draw(&mut random);
        let election = u64::from(core.election_ticks) * tick;
        let network = NetworkOptions::draw(&mut random, election);
        if network.order == Order::Lost {
            // A stream that overtakes itself is sent again from every gap on: with a wide window
            // that costs a run more than it shows.
            core.inflight_messages_max = core.inflight_messages_max.min(INFLIGHT_UNORDERED_MAX);
        }
        let mut workload = WorkloadOptions::draw(&mut random, election);
        let mut nemesis = NemesisOptions::draw(&mut random, election);
        if core.read_confirmation != ReadConfirmation::Quorum && random.chance(500) {
            // Leases are about what a leader that is cut off answers: somebody must ask it.
            workload.mix = [4, 1, 0];
            workload.think_mean = 1 + election / 20;
            workload.pinned = 600;
            nemesis.leaders = 900;
            nemesis.weights.extend([(8, Fault::Partition), (2, Fault::Bounce)]);
        }
        Options {
            seed,
            voters: random.weighted(&[(1, 1), (10, 3), (7, 5), (2, 7)]),
            learners: random.weighted(&[(7, 0), (2, 1), (1, 2)]),
            duration: random.between(100, 160) * SECOND * tick / (100 * MILLISECOND),
            network,
            disk: DiskOptions::draw(&mut random, election),
            clock: ClockOptions::draw(&mut random, tick, &core),
            service: ServiceOptions::draw(&mut random, election),
            nemesis,
            workload,
            core,
        }
    }

    /// The longest election timeout, in microseconds of a clock that is right.
    #[must_use]
    pub fn election_timeout_max(&self) -> u64 {
        2 * u64::from(self.core.election_ticks) * self.clock.tick
    }

    /// Switches a class of faults off.
    pub fn switch_off(&mut self, fault: Fault) {
        self.nemesis.weights.retain(|(_, other)| *other != fault);
        match fault {
            Fault::Loss => self.network.loss = 0,
            Fault::Duplication => self.network.duplication = 0,
            Fault::Stragglers => self.network.stragglers = 0,
            Fault::LostWrites => self.disk.lost = 0,
            Fault::TornWrites => self.disk.torn = 0,
            Fault::Skew => self.clock.skew_max = 0,
            Fault::ImageFailure => self.service.image_failures = 0,
            Fault::Partition
            | Fault::Clog
            | Fault::Crash
            | Fault::EffectCrash
            | Fault::PowerCut
            | Fault::Bounce
            | Fault::Pause
            | Fault::Stall
            | Fault::Membership
            | Fault::Transfer
            | Fault::Image
            | Fault::Nudge => {}
        }
    }

    /// The classes of faults that are on.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let is_on = |fault: &Fault| match fault {
            Fault::Loss => self.network.loss > 0,
            Fault::Duplication => self.network.duplication > 0,
            Fault::Stragglers => self.network.stragglers > 0,
            Fault::LostWrites => self.disk.lost > 0,
            Fault::TornWrites => self.disk.torn > 0,
            Fault::Skew => self.clock.skew_max > 0,
            Fault::ImageFailure => self.service.image_failures > 0,
            Fault::Partition
            | Fault::Clog
            | Fault::Crash
            | Fault::EffectCrash
            | Fault::PowerCut
            | Fault::Bounce
            | Fault::Pause
            | Fault::Stall
            | Fault::Membership
            | Fault::Transfer
            | Fault::Image
            | Fault::Nudge => {
                self.nemesis.weights.iter().any(|(weight, on)| on == fault && *weight > 0)
            }
        };
        Fault::ALL.iter().copied().filter(is_on).collect()
    }
}

/// Draws a probability that is zero in half of the runs.
fn rarely(random: &mut Random, max: u64) -> u32 {
    let drawn = random.between(1, max);
    if random.chance(500) { u32::try_from(drawn).expect("thousandths are few") } else { 0 }
}

impl NetworkOptions {
    fn draw(random: &mut Random, election: u64) -> NetworkOptions {
        // Mostly such that messages come back well within an election timeout, or little happens.
        let slowest = random.weighted(&[(6, 20), (3, 8), (1, 3)]);
        NetworkOptions {
            loss: rarely(random, 300),
            duplication: rarely(random, 500),
            stragglers: rarely(random, 50),
            straggler_max: random.between(1, 20) * election,
            delay: random.weighted(&[(2, Delay::Exponential), (1, Delay::Uniform)]),
            delay_mean: random
                .between(MILLISECOND / 2, (election / slowest).min(100 * MILLISECOND)),
            order: random.weighted(&[(2, Order::Lost), (1, Order::Kept)]),
            loss_noticed: rarely(random, 1000),
        }
    }
}

impl DiskOptions {
    fn draw(random: &mut Random, election: u64) -> DiskOptions {
        let slowest = random.weighted(&[(6, 50), (3, 10), (1, 2)]);
        DiskOptions {
            mode: random.weighted(&[(3, DiskMode::Asynchronous), (1, DiskMode::Synchronous)]),
            latency_mean: random.between(100, election / slowest),
            sync_writes_max: random.weighted(&[(3, usize::MAX), (1, 1), (1, 2)]),
            coalesced: rarely(random, 1000),
            torn: rarely(random, 1000),
            lost: rarely(random, 1000).max(rarely(random, 1000)),
        }
    }
}

impl ClockOptions {
    fn draw(random: &mut Random, tick: u64, core: &CoreOptions) -> ClockOptions {
        let skew_bound = core.skew_bound();
        let skew_max = u64::from(rarely(random, 1000)) * skew_bound / 1000;
        ClockOptions {
            tick,
            shape: random
                .pick(&[Shape::Linear, Shape::Periodic, Shape::Step, Shape::Jitter])
                .expect("there are four"),
            skew_max: u32::try_from(skew_max).expect("thousandths are few"),
        }
    }
}

impl ServiceOptions {
    fn draw(random: &mut Random, election: u64) -> ServiceOptions {
        let image_every = random.weighted(&[
            (2, Some(3)),
            (2, Some(10)),
            (2, Some(50)),
            (1, Some(200)),
            (1, None),
        ]);
        let apply_latency = random.between(1, election / 2);
        ServiceOptions {
            image_every,
            image_latency: random.between(1, election / 4),
            apply_latency: if random.chance(400) { apply_latency } else { 0 },
            image_failures: rarely(random, 500),
        }
    }
}

impl NemesisOptions {
    fn draw(random: &mut Random, election: u64) -> NemesisOptions {
        let weights = Fault::ALL
            .iter()
            .map(|fault| {
                let most = match fault {
                    Fault::Partition => 8,
                    Fault::Crash | Fault::EffectCrash => 6,
                    Fault::Membership => 6,
                    Fault::Pause | Fault::Stall | Fault::Clog => 4,
                    Fault::Transfer | Fault::Nudge => 4,
                    Fault::PowerCut | Fault::Bounce | Fault::Image => 2,
                    Fault::Loss
                    | Fault::Duplication
                    | Fault::Stragglers
                    | Fault::LostWrites
                    | Fault::TornWrites
                    | Fault::Skew
                    | Fault::ImageFailure => 0,
                };
                let drawn = random.between(0, most);
                let is_on = random.chance(500);
                (if is_on { u32::try_from(drawn).expect("weights are small") } else { 0 }, *fault)
            })
            .filter(|(weight, _)| *weight > 0)
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
            clients: random.between(1, 6),
            keys: random.weighted(&[(2, 1), (2, 3), (1, 10)]),
            think_mean: random.between(election / 10, election),
            timeout: random.between(election, 6 * election),
            mix: random.weighted(&[(3, [2, 2, 1]), (1, [0, 1, 0]), (2, [5, 1, 1]), (1, [1, 1, 4])]),
            padding: random.weighted(&[(3, 0), (1, 100)]),
            wandering: random.weighted(&[(2, 100), (2, 400), (1, 1000)]),
            pinned: random.weighted(&[(2, 0), (2, 300), (1, 700)]),
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

    #[test]
    fn clocks_keep_within_what_a_lease_rests_on() {
        for seed in 0..2000 {
            let Options { core, clock, .. } = Options::draw(seed);
            let ReadConfirmation::LeaderLease { drift_ticks } = core.read_confirmation else {
                continue;
            };
            let (election, drift) = (u64::from(core.election_ticks), u64::from(drift_ticks));
            let skew = u64::from(clock.skew_max);
            let lease = (election - drift) * (1000 + skew);
            let promise = (election - 1) * (1000 - skew);
            assert!(lease <= promise, "seed {seed}: a lease of {lease} outlives {promise}");
        }
    }
}
