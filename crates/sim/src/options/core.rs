//! What one seed draws for the members' cores.

use raft::{Config, MemberId, ReadConfirmation};

use crate::rng::Random;

/// The settings of all members' cores: see [`Config`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoreOptions {
    /// The shortest election timeout, in ticks.
    pub election_ticks: u32,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u32,
    /// Entries in one message.
    pub append_entries_max: usize,
    /// Bytes of entries in one message.
    pub append_bytes_max: usize,
    /// Appends under way to one member.
    pub inflight_messages_max: usize,
    /// Bytes under way to one member.
    pub inflight_bytes_max: usize,
    /// Bytes that are not committed.
    pub uncommitted_bytes_max: usize,
    /// Entries before the latest image that stay.
    pub catch_up_entries: u64,
    /// Bytes of entries that stay in memory.
    pub catch_up_bytes: usize,
    /// Ticks until an image is sent again.
    pub snapshot_ticks: u32,
    /// How reads are confirmed.
    pub read_confirmation: ReadConfirmation,
}

impl CoreOptions {
    /// Draws all settings; tight limits are as likely as wide ones.
    pub(crate) fn draw(random: &mut Random) -> CoreOptions {
        let election_ticks = random.weighted(&[(3, 3), (2, 4), (2, 5), (2, 7), (1, 10)]);
        let slow_heartbeat = election_ticks >= 5 && random.chance(300);
        let snapshot = random.between(u64::from(election_ticks), u64::from(3 * election_ticks));
        let drift = random.between(1, u64::from(election_ticks).div_ceil(2));
        let lease = ReadConfirmation::LeaderLease {
            drift_ticks: u32::try_from(drift).expect("a drift of few ticks"),
        };
        CoreOptions {
            election_ticks,
            heartbeat_ticks: if slow_heartbeat { 2 } else { 1 },
            append_entries_max: random.weighted(&[(1, 1), (1, 2), (1, 7), (3, 4096)]),
            append_bytes_max: random.weighted(&[(1, 60), (1, 300), (3, 1 << 20)]),
            inflight_messages_max: random.weighted(&[(1, 1), (1, 2), (1, 8), (3, 256)]),
            inflight_bytes_max: random.weighted(&[(1, 100), (1, 1000), (4, 16 << 20)]),
            uncommitted_bytes_max: random.weighted(&[(1, 150), (1, 1000), (4, 64 << 20)]),
            catch_up_entries: random.weighted(&[(2, 0), (1, 1), (2, 5), (1, 50), (1, 5000)]),
            catch_up_bytes: random.weighted(&[(1, 0), (1, 100), (1, 1000), (3, 32 << 20)]),
            snapshot_ticks: u32::try_from(snapshot).expect("few ticks"),
            read_confirmation: random.weighted(&[(3, ReadConfirmation::Quorum), (1, lease)]),
        }
    }

    /// By how many thousandths clocks may be wrong.
    pub(crate) fn skew_bound(&self) -> u64 {
        let election = u64::from(self.election_ticks);
        match self.read_confirmation {
            ReadConfirmation::Quorum => 400,
            // A follower keeps its promise for one tick less than the election timeout, a leader
            // relies on it for `drift` ticks less: so much may the two clocks differ.
            ReadConfirmation::LeaderLease { drift_ticks } => {
                let drift = u64::from(drift_ticks);
                1000 * (drift - 1) / (2 * election - 1 - drift)
            }
        }
    }

    /// The settings of one member that starts with `seed`.
    pub(crate) fn config(&self, id: MemberId, seed: u64) -> Config {
        Config {
            id,
            seed,
            election_ticks: self.election_ticks,
            heartbeat_ticks: self.heartbeat_ticks,
            append_entries_max: self.append_entries_max,
            append_bytes_max: self.append_bytes_max,
            inflight_messages_max: self.inflight_messages_max,
            inflight_bytes_max: self.inflight_bytes_max,
            uncommitted_bytes_max: self.uncommitted_bytes_max,
            catch_up_entries: self.catch_up_entries,
            catch_up_bytes: self.catch_up_bytes,
            snapshot_ticks: self.snapshot_ticks,
            read_confirmation: self.read_confirmation,
        }
    }
}
