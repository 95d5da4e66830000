//! Situations that must have happened somewhere in a run of many seeds: if one never did, the
//! simulation does not test what it is thought to test.

macro_rules! probes {
    ($($name:ident $text:literal,)*) => {
        /// A situation that must happen in some run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Probe {
            $(#[doc = $text] $name,)*
        }

        impl Probe {
            /// All of them.
            pub const ALL: &[Probe] = &[$(Probe::$name,)*];

            /// What has happened.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Probe::$name => $text,)* }
            }
        }
    };
}

probes! {
    LeaderElected "A leader was elected.",
    LaterTermElected "A leader was elected after an earlier one.",
    LeaderCrashed "A leader's process died.",
    CommandForwarded "A command was forwarded to the leader.",
    CommandRefused "A forwarded command was refused.",
    CommandRetried "A command that was certain to be lost was sent again.",
    CommandNoLeader "A command was given up because there was no leader.",
    CommandBusy "A command was refused because too much waits.",
    CommandUnknown "A client does not know what became of its command.",
    UnknownCommandWritten "A command whose client does not know of it was executed.",
    ConnectionLostTold "A client was told that the connection to the leader was lost.",
    AnswerForgotten "A client went before its answer came.",
    SwapFailed "A swap found another value.",
    ReadAtLeader "A leader answered a read.",
    ReadAtFollower "A follower answered a read.",
    LeaseRenewedAtLeader "A lease was renewed at the leader.",
    LeaseRenewedAtFollower "A lease was renewed at a follower.",
    LeaseRefused "A member refused a question about leases.",
    LeaseGone "A client was told that its lease is gone.",
    LeaseRanOut "A lease ran out, and took its key with it.",
    LeaseOutlivedLeader "A lease was renewed by another leader than had granted it.",
    Compacted "The history was compacted.",
    CompactionRefused "A compaction was refused.",
    CheckpointMade "A member made a checkpoint.",
    LogTrimmed "A log was trimmed.",
    RestartFromCheckpoint "A member started from a checkpoint that it had made.",
    RestartBetweenCheckpointAndMark "A member found a checkpoint that its log does not name.",
    ImageSent "A leader announced an image.",
    ImageBrokeOff "An image broke off on its way.",
    ImageReceived "An image arrived whole.",
    ImageInstalled "A member took over an image.",
    ImageNotWanted "An image arrived that was not wanted any more.",
    CrashInCreation "A member lost power while it was created.",
    CrashInRecovery "A member lost power while it recovered.",
    CrashInSync "A member lost power while it synced.",
    CrashInJob "A member lost power while a job was running.",
    CrashInImage "A member lost power while it took in an image.",
    CrashAtEffect "A member's process died between two effects.",
    AllDown "All members were down.",
    DiskFull "The log of a member found no space.",
    DiskFullOver "A member whose disk was full went on writing.",
    CheckpointFull "A checkpoint found no space.",
    LeaderDiskFull "The disk of a leader was full.",
    DiskErrorStopped "A member stopped because a call to its disk failed.",
    DamageFound "A member found its files damaged, and did not start.",
    DamagedImage "A checkpoint that was to be sent was damaged.",
    SpaceAlarmRaised "The alarm about space was raised.",
    SpaceAlarmLowered "The alarm about space was lowered.",
    WriteRefusedForSpace "A write was refused for want of space.",
    LearnerAdded "A learner was added.",
    LearnerPromoted "A learner became a voter.",
    MemberRemoved "A member was removed.",
    MemberRemovedAnswered "A member learnt that it was removed.",
    ChangeForwarded "A change of the members was forwarded.",
    ChangeRefused "A change of the members was refused.",
    TransferDone "Leadership was handed over.",
    TransferRefused "Leadership was not handed over.",
    LateMessage "A message arrived after its connection was replaced.",
    Paused "A process stood still, and was told so.",
    RescueWithOutsiders "A quorum was healed while others stayed in their faults.",
    RescueImpossible "Too many members were damaged to heal a quorum.",
}

/// How often each situation has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    counts: Vec<u64>,
}

impl Default for Probes {
    fn default() -> Probes {
        Probes { counts: vec![0; Probe::ALL.len()] }
    }
}

impl Probes {
    /// Records that the situation has happened.
    pub fn hit(&mut self, probe: Probe) {
        self.counts[probe as usize] += 1;
    }

    /// Records that the situation has happened, if it has.
    pub(crate) fn hit_if(&mut self, probe: Probe, has_happened: bool) {
        self.counts[probe as usize] += u64::from(has_happened);
    }

    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Probes) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// How often the situation has happened.
    #[must_use]
    pub fn count(&self, probe: Probe) -> u64 {
        self.counts[probe as usize]
    }

    /// The situations that never happened.
    pub fn missing(&self) -> impl Iterator<Item = Probe> {
        Probe::ALL.iter().copied().filter(|probe| self.count(*probe) == 0)
    }
}
