//! The store seen from outside: against a model, at random, and rule by rule.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![expect(clippy::missing_assert_message, reason = "what is compared says what differs")]

mod checkpoint;
mod compaction;
mod contract;
mod dice;
mod model;
mod random;
mod watch;
