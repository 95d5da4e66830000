//! Deterministic simulation of Holdfast.

pub mod script;
pub mod stage;
pub mod trace;
