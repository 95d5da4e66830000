//! Situations that must have happened somewhere in a run of many seeds: if one never did, the
//! simulation does not test what it is thought to test.

/// Declares the situations `Probe`, and their counts `Probes`.
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
    };
}

pub(crate) use probes;

probes! {
    LeaderElected "A leader was elected.",
    LaterTermElected "A leader was elected after an earlier one.",
    SplitVote "Two members campaigned in the same term.",
    CandidateYielded "A candidate followed the leader of its term.",
    LeaderSteppedDown "A leader stepped down, and knew of no other.",
    LeaderLearntTerm "A leader learnt of a later term.",
    TwoLeaders "Two members led different terms at the same time.",
    LeaderCrashed "A leader crashed.",
    LeaderPaused "A leader stood still, and led on when it returned.",
    LeaderStalled "The disk of a leader stopped answering.",
    PreVoteRefused "A question before an election was answered with no.",
    VoteRefused "A vote was refused.",
    VoteIgnored "A vote was asked for while the leader was alive.",
    LearnerVoted "A member voted that is not known to itself as a voter.",
    StaleAppendAnswered "A leader of the past was told so.",
    EntryReplaced "An entry was replaced.",
    EntriesReplacedMany "More than three entries were replaced at once.",
    EarlierTermCommitted "Entries of an earlier term were committed with one of the own.",
    CommitAheadOfDisk "A member applied entries that were not on its disk.",
    AppendRejected "An append was rejected.",
    AppendLate "An append arrived that brought nothing new.",
    TransferBegun "A leader was asked to hand over.",
    TransferDone "The member that leadership was handed to led the next term.",
    TransferGivenUp "A handover was given up.",
    LeaderCrashedInTransfer "A leader crashed while it handed over.",
    CommandRefusedInTransfer "A command was refused because of a handover.",
    CommandBusy "A command was refused because too much is not committed.",
    CommandReplaced "A client was told that its command is replaced for good.",
    CommandUnknown "A client gave up, and does not know what became of its command.",
    SwapFailed "A swap found another value.",
    ReadAtLeader "A leader answered a read of its own.",
    ReadAtFollower "A follower answered a read.",
    ReadAtOnce "A read was answered without asking anybody.",
    ReadLeaderChanged "A read failed because the leader changed.",
    ReadTimedOut "A read failed because the leader did not answer.",
    ReadWaitedForApply "A read waited until its index was applied.",
    ImageMade "A service made an image.",
    LogTrimmed "A log was trimmed.",
    ImageRequested "A leader asked for an image for another.",
    ImageFailed "An image for another could not be made.",
    ImageInstalled "A member took over an image.",
    ImageInstalledInJoint "A member took over an image with a joint configuration.",
    ImageReplacedEntries "An image replaced entries that were never committed.",
    ImageNotNeeded "An image arrived that held nothing new.",
    ImageRepeated "An image was sent again to the same member.",
    JointEntered "A joint configuration came into force.",
    JointLeft "A joint configuration was left.",
    JointLeftByOther "A joint configuration was left by another leader than began it.",
    LeaderCrashedInJoint "A leader crashed in a joint configuration.",
    ConfigurationReplaced "A configuration left with the log that it stood in.",
    LearnerAdded "A learner was added.",
    LearnerPromoted "A learner became a voter.",
    VoterDemoted "A voter became a learner.",
    LeaderRemoved "A leader committed its own removal.",
    RemovedCampaigned "A removed member asked whether it would win.",
    ChangePending "A change was refused because another is not committed.",
    ChangeTooYoung "A change was refused because the leader has not committed in its term.",
    VoteLost "A vote that was not durable was lost.",
    EntriesLost "Entries that were not durable were lost.",
    WriteTorn "A crash left a part of a write.",
    WriteKept "A write that was not acknowledged survived a crash.",
    CrashAtEffect "A member crashed while it did what its core asked for.",
    CrashInRecovery "A member crashed soon after it had started.",
    AllDown "All members were down.",
    RestartedFromImage "A member started from an image.",
    RestartedBehindImage "A member started with a log that begins before its image.",
    RestartedWithoutLog "A member started with an image that its log does not reach.",
    AckSkipped "An acknowledgement of a write was skipped in favour of a later one.",
    AckOfEarlierTerm "A write was acknowledged in a later term than it was made.",
    SingleVoter "A single voter committed something.",
    SevenVoters "Seven voters committed something.",
    QuorumDown "So many members were down that nothing could be committed.",
    RescueWithOutsiders "A quorum was healed while others stayed in their faults.",
}

/// Records the situations that are seen: each must be seen in some run.
macro_rules! sometimes {
    ($probes:expr, $($probe:ident if $seen:expr),+ $(,)?) => {{
        $(if $seen {
            $probes.hit($crate::probe::Probe::$probe);
        })+
    }};
}

pub(crate) use sometimes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_missing() {
        let mut probes = Probes::default();
        assert_eq!(probes.missing().count(), Probe::ALL.len());
        probes.hit(Probe::SplitVote);
        let mut sum = Probes::default();
        sum.add(&probes);
        sum.add(&probes);
        assert_eq!(sum.count(Probe::SplitVote), 2);
        assert!(sum.missing().all(|probe| probe != Probe::SplitVote));
        assert_eq!(sum.missing().count(), Probe::ALL.len() - 1);
    }
}
