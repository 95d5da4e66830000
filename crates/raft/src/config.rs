//! What can be set about one member's core.

use crate::types::MemberId;

/// The settings of one member. Times are in ticks; how long a tick lasts is the driver's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Who this member is.
    pub id: MemberId,
    /// Feeds the member's random numbers. It should differ between members, or they time out
    /// together, and must differ between restarts of one member: it also makes the numbers under
    /// which a follower asks its leader for read indexes.
    pub seed: u64,
    /// The shortest election timeout, in ticks; each timeout is drawn from once to twice this
    /// (paper §9.3). More than `heartbeat_ticks`.
    pub election_ticks: u32,
    /// A leader sends at least this often, in ticks; one or more.
    pub heartbeat_ticks: u32,
    /// At most this many entries in one message; one or more.
    pub append_entries_max: usize,
    /// At most this many bytes of entries in one message; a single larger entry goes alone.
    pub append_bytes_max: usize,
    /// At most this many appends sent to a member and not answered; one or more.
    pub inflight_messages_max: usize,
    /// No further append is sent to a member while this many bytes are not answered; one or more.
    pub inflight_bytes_max: usize,
    /// A leader takes no further command while this many bytes are not committed.
    pub uncommitted_bytes_max: usize,
    /// How many entries before the service's latest image stay in the log, so that members that lag
    /// a little need no image.
    pub catch_up_entries: u64,
    /// When entries in memory take more bytes than this, the oldest leave it that are durable and
    /// applied. Members that lag further behind get an image.
    pub catch_up_bytes: usize,
    /// An image that was sent and not acknowledged is sent again after this many ticks.
    pub snapshot_ticks: u32,
    /// How a leader makes sure that it still leads before it answers a read. With leases, this and
    /// `election_ticks` must be the same on all members.
    pub read_confirmation: ReadConfirmation,
}

/// How a leader makes sure that it still leads before it answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadConfirmation {
    /// A quorum confirms it after the read has arrived (thesis §6.4). Rests on no clock.
    Quorum,
    /// A quorum confirmed it so recently that no other leader can have been elected since (thesis
    /// §6.4.1). A stale read is possible if clocks drift further apart than the margin, or if the
    /// driver fails to report a pause with [`Input::Paused`](crate::Input::Paused).
    LeaderLease {
        /// By how many ticks clocks may drift apart within one election timeout: one or more, since
        /// the ticks of two members are never in step, and less than `election_ticks`.
        drift_ticks: u32,
    },
}

impl Config {
    /// Settings that suit a tick of 100 ms: heartbeats at each tick, election timeouts of 1 to 2 s.
    #[must_use]
    pub fn new(id: MemberId, seed: u64) -> Config {
        Config {
            id,
            seed,
            election_ticks: 10,
            heartbeat_ticks: 1,
            append_entries_max: 4096,
            append_bytes_max: 1 << 20,
            inflight_messages_max: 256,
            inflight_bytes_max: 16 << 20,
            uncommitted_bytes_max: 64 << 20,
            catch_up_entries: 5000,
            catch_up_bytes: 32 << 20,
            snapshot_ticks: 600,
            read_confirmation: ReadConfirmation::Quorum,
        }
    }

    /// Panics if the settings contradict each other: they come from the driver, which has checked
    /// what its own user said.
    pub(crate) fn assert_valid(&self) {
        assert!(self.heartbeat_ticks >= 1, "heartbeat_ticks must be at least one");
        assert!(
            self.election_ticks > self.heartbeat_ticks,
            "election_ticks must be more than heartbeat_ticks, or healthy leaders are voted out"
        );
        assert!(self.append_entries_max >= 1, "append_entries_max must be at least one");
        assert!(self.inflight_messages_max >= 1, "inflight_messages_max must be at least one");
        assert!(self.inflight_bytes_max >= 1, "inflight_bytes_max must be at least one");
        assert!(self.election_ticks <= u32::MAX / 2, "election_ticks must leave room to double it");
        assert!(self.snapshot_ticks >= 1, "snapshot_ticks must be at least one");
        if let ReadConfirmation::LeaderLease { drift_ticks } = self.read_confirmation {
            assert!(
                (1..self.election_ticks).contains(&drift_ticks),
                "drift_ticks must be at least one and less than election_ticks: below, a lease \
                 could outlive the promises it rests on; above, none would ever hold"
            );
        }
    }
}
