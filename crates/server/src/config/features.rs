//! Feature gates: etcd's switches for what is new.

use std::collections::BTreeMap;

use super::nearest::nearest;
use super::notice::Notice;

/// One gate.
struct Gate {
    name: &'static str,
    /// `ALPHA` gates are off and `BETA` gates are on unless they are turned.
    stage: &'static str,
    /// What comes of turning it on or off here.
    effect: &'static str,
}

/// The stages of a gate.
const ALPHA: &str = "ALPHA";
const BETA: &str = "BETA";

/// etcd 3.7's gates. None changes what we do: what they turn on is always on, or does not exist.
const GATES: [Gate; 9] = [
    gate("CompactHashCheck", ALPHA, "members compare their data at every compaction"),
    gate("FastLeaseKeepAlive", BETA, "keeping a lease alive never waits for the log"),
    gate("InitialCorruptCheck", ALPHA, "checksums of all data are verified at every start"),
    gate("LeaseCheckpoint", ALPHA, "the remaining time of leases is always kept"),
    gate("LeaseCheckpointPersist", ALPHA, "the remaining time of leases is always kept"),
    gate("PriorityRequest", ALPHA, "leases and heartbeats always go first"),
    gate("SetMemberLocalAddr", ALPHA, "the system chooses the address that this member calls from"),
    gate(
        "StopGRPCServiceOnDefrag",
        ALPHA,
        "there is no defragmentation that could stop the service",
    ),
    gate("TxnModeWriteWithSharedBuffer", BETA, "transactions copy no buffers"),
];

const fn gate(name: &'static str, stage: &'static str, effect: &'static str) -> Gate {
    Gate { name, stage, effect }
}

/// Which gates are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureGates {
    on: BTreeMap<&'static str, bool>,
}

impl Default for FeatureGates {
    fn default() -> FeatureGates {
        FeatureGates { on: GATES.iter().map(|gate| (gate.name, gate.stage == BETA)).collect() }
    }
}

impl FeatureGates {
    /// The names of all gates.
    pub fn known() -> impl Iterator<Item = &'static str> {
        GATES.iter().map(|gate| gate.name)
    }

    /// Tells whether a gate is on; `None` if there is none of this name.
    #[must_use]
    pub fn is_on(&self, name: &str) -> Option<bool> {
        self.on.get(name).copied()
    }

    /// The gates with their stage and their state, for the metric that shows them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        GATES.iter().map(|gate| (gate.name, gate.stage, self.on[gate.name]))
    }

    /// Reads `A=true,B=false`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(text: &str, notices: &mut Vec<Notice>) -> Result<FeatureGates, String> {
        let mut gates = FeatureGates::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                format!("--feature-gates wants A=true,B=false, and holds `{pair}`")
            })?;
            let on = match value.trim() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                other => {
                    return Err(format!(
                        "--feature-gates wants true or false for {name}, and was given `{other}`"
                    ));
                }
            };
            let name = name.trim();
            if name == "AllAlpha" || name == "AllBeta" {
                notices.push(Notice::info(format!("the feature gate {name} has no effect here")));
                continue;
            }
            let gate = GATES.iter().find(|gate| gate.name == name).ok_or_else(|| unknown(name))?;
            gates.on.insert(gate.name, on);
            notices.push(Notice::info(format!(
                "the feature gate {name} has no effect here: {}",
                gate.effect
            )));
        }
        let is_on = |name| gates.is_on(name) == Some(true);
        if is_on("LeaseCheckpointPersist") && !is_on("LeaseCheckpoint") {
            return Err(
                "the feature gate LeaseCheckpointPersist requires LeaseCheckpoint to be on, \
                        which it is not"
                    .to_owned(),
            );
        }
        Ok(gates)
    }
}

fn unknown(name: &str) -> String {
    match nearest(name, FeatureGates::known()) {
        Some(near) => {
            format!("--feature-gates holds the unrecognized feature gate {name}; is {near} meant?")
        }
        None => format!(
            "--feature-gates holds the unrecognized feature gate {name}; known are {}",
            FeatureGates::known().collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeatureGates, String> {
        FeatureGates::parse(text, &mut Vec::new())
    }

    #[test]
    fn gates_have_the_defaults_of_etcd_until_set() {
        let gates = parse("").unwrap();
        let on: Vec<_> = gates.iter().filter(|(.., on)| *on).map(|(name, ..)| name).collect();
        assert_eq!(on, ["FastLeaseKeepAlive", "TxnModeWriteWithSharedBuffer"]);
        let gates = parse("InitialCorruptCheck=true,FastLeaseKeepAlive=false").unwrap();
        assert_eq!(gates.is_on("InitialCorruptCheck"), Some(true));
        assert_eq!(gates.is_on("FastLeaseKeepAlive"), Some(false));
    }

    #[test]
    fn setting_a_gate_says_that_it_has_no_effect_and_why() {
        let mut notices = Vec::new();
        FeatureGates::parse("InitialCorruptCheck=true", &mut notices).unwrap();
        assert_eq!(
            notices[0].text,
            "the feature gate InitialCorruptCheck has no effect here: checksums of all data are \
             verified at every start"
        );
    }

    #[test]
    fn wrong_gates_are_refused_with_the_reason() {
        for (text, error) in [
            ("Foo", "--feature-gates wants A=true,B=false, and holds `Foo`"),
            (
                "InitialCorruptChek=true",
                "--feature-gates holds the unrecognized feature gate InitialCorruptChek; is \
                 InitialCorruptCheck meant?",
            ),
            (
                "LeaseCheckpoint=on",
                "--feature-gates wants true or false for LeaseCheckpoint, and was given `on`",
            ),
            (
                "LeaseCheckpointPersist=true",
                "the feature gate LeaseCheckpointPersist requires LeaseCheckpoint to be on, which \
                 it is not",
            ),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
        assert!(parse("Nothing=true").unwrap_err().ends_with("TxnModeWriteWithSharedBuffer"));
    }
}
