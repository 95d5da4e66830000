//! Deterministic simulation of Holdfast.

pub mod trace;
