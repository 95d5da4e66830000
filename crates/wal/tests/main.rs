//! The log against a model, against crashes, and against damage.
#![expect(clippy::unwrap_used, reason = "what a test does not expect, ends it")]
#![expect(clippy::missing_assert_message, reason = "what is compared says what is wrong")]

mod corruption;
mod crash;
mod forged;
mod format;
mod full;
mod model;
mod workload;
