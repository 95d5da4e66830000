//! Tests of the operator from outside.
#![expect(clippy::unwrap_used, reason = "what a test does not expect, ends it")]

mod definition;
mod model;
mod scripts;
