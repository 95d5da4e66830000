//! Deterministic simulation of Holdfast.

pub mod stage;
pub mod trace;
