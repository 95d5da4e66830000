//! How members run: what of their flags is for people to choose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{self, rules};

/// How the members run.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::ELECTION)))]
pub struct ServerSpec {
    /// How often a leader tells the others that it leads.
    #[schemars(range(min = 5, max = 10_000))]
    pub heartbeat_millis: u32,
    /// How long the others wait for that before they elect another.
    #[schemars(range(min = 50, max = 50_000))]
    pub election_millis: u32,
    /// How large the store may become.
    #[schemars(range(min = 16_777_216i64, max = 107_374_182_400i64))]
    pub quota_bytes: i64,
    /// When old revisions are dropped.
    pub auto_compaction: AutoCompaction,
    /// How many entries there are between two snapshots of a member.
    #[schemars(range(min = 100, max = 10_000_000))]
    pub snapshot_count: u32,
    /// Flags of the server that have no field here, each as `--flag=value`.
    #[schemars(length(max = 32), inner(length(max = 512)))]
    #[schemars(extend("x-kubernetes-validations" = rules(rule::EXTRA_ARGS)))]
    pub extra_args: Vec<String>,
}

/// When old revisions are dropped.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(rule::AUTO_COMPACTION)))]
pub struct AutoCompaction {
    /// What `retention` counts.
    pub mode: CompactionMode,
    /// How much is kept: a time such as `1h`, or a number of revisions; `0` keeps all.
    #[schemars(length(max = 32))]
    pub retention: String,
}

/// What the retention of old revisions counts.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionMode {
    /// Time.
    Periodic,
    /// Revisions.
    Revision,
}

impl Default for ServerSpec {
    fn default() -> ServerSpec {
        ServerSpec {
            heartbeat_millis: 100,
            election_millis: 1000,
            quota_bytes: 2 << 30,
            auto_compaction: AutoCompaction::default(),
            snapshot_count: 10_000,
            extra_args: Vec::new(),
        }
    }
}

impl Default for AutoCompaction {
    fn default() -> AutoCompaction {
        AutoCompaction { mode: CompactionMode::Periodic, retention: "1h".to_owned() }
    }
}
